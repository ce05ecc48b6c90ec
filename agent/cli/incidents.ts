import { incidentsIn, type StoredIncident } from '../baseline/incidents.ts'
import { loadConfig } from '../config/config.ts'
import { INCIDENT_STATES } from '../domain/report.ts'
import { UsageError } from '../domain/result.ts'
import { ecsOf } from '../report/ecs.ts'
import { jsonOf } from '../report/printer.ts'
import { type Look, lookFor, onOneLine, textOf, timeText } from '../report/text.ts'
import { standardOutput } from '../support/standard-output.ts'
import { command, CONFIG_OPTIONS, DB_OPTION, FORMAT_OPTIONS, formatOf, SHOWN_IDS } from './command.ts'
import { sinceText } from './decisions.ts'
import { thisOrigin } from './origin.ts'
import { timeOf } from './values.ts'

export const incidentsCommand = command({
  lists: ['id'],
  options: (yargs) =>
    yargs
      .positional('id', SHOWN_IDS)
      .options({
        db: DB_OPTION,
        all: {
          type: 'boolean',
          default: false,
          describe: 'also those that the budget of alerts kept back',
        },
        state: {
          choices: INCIDENT_STATES,
          requiresArg: true,
          describe: 'only those of which a person said this',
        },
        since: {
          type: 'string',
          requiresArg: true,
          describe: 'only those that were reported or seen since: epoch seconds or ISO 8601',
        },
        ...CONFIG_OPTIONS,
        ...FORMAT_OPTIONS,
      } as const)
      .example('sudo $0 incidents', 'a line for each, also while the agent runs')
      .example('sudo $0 incidents 12', 'all that is known of one, as often as it was seen by now')
      .example('sudo $0 incidents --all --since 2026-11-20 --json', 'an object for each'),
  run: (words) => {
    const { db } = loadConfig(words, { db: words.db })
    const ids = words.id?.map(idOf)
    const found = incidentsIn(db, {
      ...(ids === undefined || ids.length === 0 ? {} : { ids }),
      withheld: words.all || (ids?.length ?? 0) > 0,
      ...(words.state === undefined ? {} : { state: words.state }),
      ...(words.since === undefined ? {} : { sinceMs: timeOf(words.since, 'since') }),
    })
    const format = formatOf(words)
    const output = standardOutput()
    const look = lookFor(output)
    const left = new Set(ids)
    let shown = 0
    for (const stored of found) {
      left.delete(stored.incident.id)
      if (format === 'json') output.write(`${jsonOf(objectOf(stored))}\n`)
      else if (format === 'ecs') output.write(`${jsonOf(ecsOf(stored.incident, thisOrigin()) ?? {})}\n`)
      else if (ids !== undefined && ids.length > 0)
        output.write(`${textOf(stored.incident, look)}\n${sinceText(stored.since)}${fateOf(stored)}`)
      else output.write(`${shown === 0 ? HEADINGS : ''}${lineOf(stored, look)}\n`)
      shown++
    }
    const [absent] = left
    if (absent !== undefined && words.state === undefined && words.since === undefined)
      throw new UsageError(`there is no incident ${absent} in ${db}`)
    if (shown === 0 && format === 'text') output.write('no incidents\n')
    return Promise.resolve(0)
  },
})

/** A row of the table: id, time, severity, score, count, state and title. */
const rowOf = (words: readonly string[]): string =>
  words.map((word, index) => (WIDTHS[index] === undefined ? word : word.padEnd(WIDTHS[index]))).join(' ')

const WIDTHS: readonly number[] = [6, 24, 8, 5, 7, 11]
const HEADINGS = `${rowOf(['ID', 'FIRST', 'SEVERITY', 'SCORE', 'COUNT', 'STATE', 'TITLE'])}\n`

function lineOf(
  { incident, state, isWithheld }: StoredIncident,
  { severities, off, branches }: Look,
): string {
  const { id, firstMs, severity, score, count, title } = incident
  const told = isWithheld && state === 'open' ? 'withheld' : state
  const words = [String(id), timeText(firstMs), severity, score.toFixed(0), String(count), told]
  const [number = '', time = '', grade = '', ...rest] = words.map((word, index) =>
    word.padEnd(WIDTHS[index] ?? 0),
  )
  return [
    number,
    time,
    `${severities[severity]}${grade}${off}`,
    ...rest,
    onOneLine(title).replaceAll('…', branches.more),
  ].join(' ')
}

/** With what the reports of a run do not know. */
const objectOf = ({ incident, state, isWithheld, reportedMs, since }: StoredIncident): object => ({
  ...incident,
  state,
  withheld: isWithheld,
  reportedMs,
  ...(since.length === 0 ? {} : { since }),
})

const fateOf = ({ state, isWithheld }: StoredIncident): string => {
  const fate = [state === 'open' ? '' : state, isWithheld ? 'withheld: see alerts-per-day' : '']
    .filter((text) => text !== '')
    .join('; ')
  return fate === '' ? '' : `  state ${fate}\n`
}

function idOf(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text))
    throw new UsageError(`incidents takes the numbers of incidents, not ${JSON.stringify(text)}`)
  return Number(text)
}
