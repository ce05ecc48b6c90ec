import { readFileSync } from 'node:fs'
import type { Argv } from 'yargs'
import { type Doubt, EDGE_STATES } from '../baseline/life.ts'
import {
  deniedIn,
  edgesIn,
  exportBaseline,
  importBaseline,
  type StoredEdge,
  type Verdict,
} from '../baseline/transfer.ts'
import { loadConfig } from '../config/config.ts'
import { EDGE_KINDS } from '../domain/edge.ts'
import { UsageError } from '../domain/result.ts'
import { jsonOf } from '../report/printer.ts'
import { onOneLine, timeText } from '../report/text.ts'
import { commandAuthor } from './author.ts'
import { CONFIG_OPTIONS, DB_OPTION, JSON_OPTION, command, fileFromYargs } from './command.ts'

const STATES = [...EDGE_STATES, 'denied'] as const
const ACTIONS = ['show', 'stats', 'export', 'import'] as const

export const baselineCommand = command({
  options: (yargs: Argv) =>
    yargs
      .positional('action', { choices: ACTIONS, demandOption: true, describe: 'what to do' })
      .positional('file', { type: 'string', describe: 'import: what export printed; - for standard input' })
      .options({
        db: DB_OPTION,
        state: {
          choices: STATES,
          requiresArg: true,
          describe: 'show: only edges in this state; denied ones are shown only so',
        },
        match: { type: 'string', requiresArg: true, describe: 'show: only edges whose text contains this' },
        ...CONFIG_OPTIONS,
        json: JSON_OPTION,
      } as const)
      .example('sudo $0 baseline show --match nginx', 'edges that name nginx')
      .example('sudo $0 baseline show --state provisional', 'what was not seen often, or learned in doubt')
      .example('sudo $0 baseline stats', 'edges by kind')
      .example('sudo $0 baseline export > host.jsonl', 'a copy, also while the agent runs')
      .example('sudo $0 baseline import host.jsonl --db new.db', 'merge it into another'),
  run: (words) => {
    if (words.file !== undefined && words.action !== 'import')
      throw new UsageError(
        `baseline ${words.action} takes no file${words.action === 'export' ? ': it prints, so write > FILE' : ''}`,
      )
    const { db } = loadConfig(words, { db: words.db })
    switch (words.action) {
      case 'show':
        show(db, words)
        break
      case 'stats':
        stats(db, words.json)
        break
      case 'export':
        for (const line of exportBaseline(db)) process.stdout.write(`${line}\n`)
        break
      case 'import':
        importFile(db, words.file === undefined ? undefined : fileFromYargs(words.file), words.json)
        break
    }
    return Promise.resolve(0)
  },
})

interface Shown {
  readonly match: string | undefined
  readonly state: (typeof STATES)[number] | undefined
  readonly json: boolean
}

function show(db: string, { match, state, json: isJson }: Shown): void {
  const isShown = (path: string): boolean => match === undefined || path.includes(match)
  const print = (json: object, text: string): void => {
    process.stdout.write(`${isJson ? jsonOf(json) : text}\n`)
  }
  if (state === 'denied') {
    for (const { edge, denied } of deniedIn(db)) {
      const path = `${edge.from}->${edge.to}`
      if (isShown(path))
        print(
          { kind: 'denied', edge, denied },
          `${edge.kind.padEnd(11)} ${path} [denied ${verdictText(denied)}]`,
        )
    }
    return
  }
  for (const edge of edgesIn(db)) {
    const path = `${edge.from}->${edge.to}`
    if (!isShown(path) || (state !== undefined && edge.state !== state)) continue
    const { kind, from, to, ...stats } = edge
    print(
      { kind: 'edge', edge: { kind, from, to }, ...stats },
      `${kind.padEnd(11)} ${path} [${statsText(edge)}]`,
    )
  }
}

/** What is to be said of an edge besides its name. */
export function statsText({ state, doubt, accepted, sightings, days, lastMs }: StoredEdge): string {
  const why = doubt === undefined ? '' : ` (${DOUBT_TEXTS[doubt]})`
  const who = accepted === undefined ? '' : ` ${verdictText(accepted)}`
  return `${state}${why}${who}, ${sightings} on ${days} days, last ${timeText(lastMs)}`
}

/** Who said so, when and why. */
export const verdictText = ({ author, timeMs, reason }: Verdict): string =>
  `by ${author} at ${timeText(timeMs)}${reason === undefined ? '' : `: ${onOneLine(reason)}`}`

/** Why an edge is provisional. */
export const DOUBT_TEXTS: Readonly<Record<Doubt, string>> = {
  degraded: 'learned when not everything was seen',
  incident: 'near an incident',
  rebase: 'by rebase',
  maintenance: 'maintenance',
}

function stats(db: string, json: boolean): void {
  const counts = new Map(EDGE_KINDS.map((kind) => [kind, { edges: 0, sightings: 0 }]))
  for (const { kind, sightings } of edgesIn(db)) {
    const count = counts.get(kind)
    if (count === undefined) continue
    count.edges++
    count.sightings += sightings
  }
  for (const [kind, { edges, sightings }] of counts) {
    if (json) process.stdout.write(`${jsonOf({ kind: 'stats', edgeKind: kind, edges, sightings })}\n`)
    else if (edges > 0) process.stdout.write(`${kind.padEnd(11)} ${edges} edges, seen ${sightings} times\n`)
  }
}

function importFile(db: string, file: string | undefined, json: boolean): void {
  if (file === undefined)
    throw new UsageError('import what? Name a file that export wrote, or - for standard input')
  let text: string
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
  const { edges, refused, isSealed, isRepeated } = importBaseline(db, text.split('\n'), {
    source: file,
    author: commandAuthor(),
  })
  if (!isSealed)
    process.stderr.write(
      `fullmon: ${file} was exported by an older fullmon: nothing in it tells whether it is whole\n`,
    )
  process.stdout.write(
    json
      ? `${jsonOf({ kind: 'import', edges, refused, isRepeated })}\n`
      : isRepeated === true
        ? `${file} was imported into ${db} before: nothing is added\n`
        : `${edges - refused} edges merged into ${db}${refused === 0 ? '' : `; ${refused} are denied there and stay unseen`}\n`,
  )
}
