import { type AlertDeed, historyOf } from '../baseline/alert-history.ts'
import { alertsIn } from '../baseline/alerts.ts'
import { loadConfig } from '../config/config.ts'
import { type Alert, ALERT_SOURCES, isOver, isUnhandled, type Subject } from '../domain/alert.ts'
import { UsageError } from '../domain/result.ts'
import { SEVERITIES } from '../domain/severity.ts'
import { jsonOf } from '../report/printer.ts'
import { type Look, lookFor, onOneLine, textOf, timeText } from '../report/text.ts'
import { standardOutput } from '../support/standard-output.ts'
import { command, CONFIG_OPTIONS, DB_OPTION, JSON_OPTION, SHOWN_IDS } from './command.ts'

/** What became of an alert by now. `muted`: it is open, and makes nobody look before a time. */
const FATES = ['open', 'acknowledged', 'muted', 'reset'] as const

type Fate = (typeof FATES)[number]

/** Which alerts are meant. */
export const ALERT_CHOICE_OPTIONS = {
  source: { choices: ALERT_SOURCES, requiresArg: true, describe: 'only those of this kind' },
  severity: { choices: SEVERITIES, requiresArg: true, describe: 'only those of this gravity or more' },
} as const

export const alertsCommand = command({
  lists: ['id'],
  options: (yargs) =>
    yargs
      .positional('id', SHOWN_IDS)
      .options({
        db: DB_OPTION,
        all: { type: 'boolean', default: false, describe: 'also those that were reset' },
        state: { choices: FATES, requiresArg: true, describe: 'only those of which this is true now' },
        ...ALERT_CHOICE_OPTIONS,
        ...CONFIG_OPTIONS,
        json: JSON_OPTION,
      } as const)
      .example('sudo $0 alerts', 'what nobody has reset yet, a line for each')
      .example('sudo $0 alerts 3', 'all that is known of one, and what was done with it')
      .example('sudo $0 alerts --state open --severity high --json', 'an object for each'),
  run: (words) => {
    const { db } = loadConfig(words, { db: words.db })
    const ids = words.id === undefined || words.id.length === 0 ? undefined : words.id.map(alertIdOf)
    const nowMs = Date.now()
    const all = alertsIn(db)
    const absent = ids?.find((id) => !all.some((alert) => alert.id === id))
    if (absent !== undefined) throw new UsageError(`there is no alert ${absent} in ${db}`)
    const { source, state, severity = SEVERITIES[0] } = words
    const isAny = words.all || state !== undefined || ids !== undefined
    const wanted = all
      .filter(({ id }) => ids === undefined || ids.includes(id))
      .filter((alert) => isAny || alert.state !== 'reset')
      .filter((alert) => state === undefined || fateOf(alert, nowMs) === state)
      .filter((alert) => source === undefined || alert.source === source)
      .filter((alert) => rankOf(alert) >= SEVERITIES.indexOf(severity))
    const output = standardOutput()
    const look = lookFor(output)
    if (words.json) {
      for (const alert of wanted) {
        const history = ids === undefined ? {} : { history: historyOf(db, alert.id) }
        output.write(`${jsonOf({ ...alert, isUnhandled: isUnhandled(alert, nowMs), ...history })}\n`)
      }
    } else if (ids !== undefined) {
      for (const alert of wanted) output.write(wholeText(alert, historyOf(db, alert.id), nowMs, look))
    } else output.write(tableOf(wanted, nowMs, look))
    return Promise.resolve(0)
  },
})

/** @throws UsageError when it is none */
export function alertIdOf(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text))
    throw new UsageError(`alerts have numbers, such as 3, not ${JSON.stringify(text)}`)
  return Number(text)
}

export function fateOf(alert: Alert, nowMs: number): Fate {
  return alert.state === 'open' && !isUnhandled(alert, nowMs) ? 'muted' : alert.state
}

const rankOf = ({ severity }: Alert): number => SEVERITIES.indexOf(severity)

const WIDTHS: readonly number[] = [6, 24, 8, 8, 7, 12]
const HEADINGS = `${rowOf(['ID', 'LAST', 'SEVERITY', 'SOURCE', 'COUNT', 'STATE', 'TITLE'])}\n`

function rowOf(words: readonly string[]): string {
  return words.map((word, index) => word.padEnd(WIDTHS[index] ?? 0)).join(' ')
}

/** What waits for somebody first, the gravest before the others. */
function tableOf(alerts: readonly Alert[], nowMs: number, look: Look): string {
  if (alerts.length === 0) return 'no alerts\n'
  const inOrder = alerts.toSorted(
    (one, other) =>
      FATES.indexOf(fateOf(one, nowMs)) - FATES.indexOf(fateOf(other, nowMs)) ||
      rankOf(other) - rankOf(one) ||
      one.id - other.id,
  )
  return HEADINGS + inOrder.map((alert) => `${lineOf(alert, nowMs, look)}\n`).join('')
}

function lineOf(alert: Alert, nowMs: number, { severities, off, branches }: Look): string {
  const { id, lastMs, severity, source, count, title } = alert
  const words = [String(id), timeText(lastMs), severity, source, String(count), fateOf(alert, nowMs)]
  const [number = '', time = '', grade = '', ...rest] = words.map((word, index) =>
    word.padEnd(WIDTHS[index] ?? 0),
  )
  const told = onOneLine(title).replaceAll('…', branches.more) + (isKnownOver(alert) ? ' (over)' : '')
  return [number, time, `${severities[severity]}${grade}${off}`, ...rest, told].join(' ')
}

/** Whether what it is about is not there any more, and somebody should know. */
const isKnownOver = (alert: Alert): boolean => isOver(alert) && alert.state !== 'reset'

/** All that is known of one, for a person. */
function wholeText(alert: Alert, history: readonly AlertDeed[], nowMs: number, look: Look): string {
  const { source, firstMs, lastMs, count, mutedUntilMs, incident, subject } = alert
  const fate = fateOf(alert, nowMs)
  const until = fate === 'muted' && mutedUntilMs !== undefined ? ` until ${timeText(mutedUntilMs)}` : ''
  const often = count === 1 ? 'once' : `${count} times`
  const lines = [
    // With its reasons, although it may be over.
    textOf({ ...alert, isPresent: true }, look),
    `  state ${fate}${until}${isKnownOver(alert) ? '; what it is about is over' : ''}`,
    `  found ${often}, ${timeText(firstMs)} to ${timeText(lastMs)}, source ${source}`,
    ...(incident === undefined ? [] : [`  see   fullmon incidents ${incident}`]),
    ...subjectLines(subject),
    ...history.map(deedLine),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

const subjectLines = (subject: Subject): readonly string[] =>
  Object.entries(subject).map(([key, value]) =>
    onOneLine(`  ${key} ${typeof value === 'object' ? jsonOf(value) : value}`),
  )

function deedLine({ timeMs, action, author, reason, untilMs, incident }: AlertDeed): string {
  const until = untilMs === undefined ? '' : ` until ${timeText(untilMs)}`
  const of = incident === undefined ? '' : ` of incident ${incident}`
  return onOneLine(
    `  ${timeText(timeMs)} ${action}${of}${until} by ${author}${reason === undefined ? '' : `: ${reason}`}`,
  )
}
