import type { Argv } from 'yargs'
import { type Decision, Decisions, type Outcome, type Refusal } from '../baseline/decisions.ts'
import type { SinceEdge } from '../baseline/incidents.ts'
import { loadConfig } from '../config/config.ts'
import { UsageError } from '../domain/result.ts'
import { type Generalisation, generalisationOf, generalise } from '../generalise.ts'
import { jsonOf } from '../report/printer.ts'
import { onOneLine, timeText } from '../report/text.ts'
import { commandAuthor } from './author.ts'
import { command, type Command, CONFIG_OPTIONS, DB_OPTION, JSON_OPTION } from './command.ts'

/** Options of each command that changes what is normal. */
export const DECISION_OPTIONS = {
  reason: { type: 'string', requiresArg: true, describe: 'why, for the journal' },
  author: {
    type: 'string',
    requiresArg: true,
    describe: 'who decided, for the journal',
    defaultDescription: 'who runs the command',
  },
  db: DB_OPTION,
  ...CONFIG_OPTIONS,
  json: JSON_OPTION,
} as const

const EDGE_OPTION = {
  type: 'number',
  requiresArg: true,
  array: true,
  describe: 'only this edge, by its number in the incident; more than one if you like',
} as const

const LONGEST_WORDS = 1000
/** Edges since a report that are listed. */
const MOST_SHOWN = 20
const DAY_MS = 86_400_000
const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: DAY_MS,
  w: 7 * DAY_MS,
}

export const acceptCommand: Command = command({
  lists: ['edge'],
  options: (yargs) =>
    idPositional(yargs)
      .options({ edge: EDGE_OPTION, ...DECISION_OPTIONS } as const)
      .example('sudo $0 accept 12 --reason "the new backup"', 'what it did is normal from now on')
      .example('sudo $0 accept 12 --edge 1 --edge 3', 'only two of its edges'),
  run: (words) =>
    decide(words, (decisions, decision) => decisions.accept(words.id, decision, numbersOf(words.edge))),
})

export const denyCommand: Command = command({
  lists: ['edge'],
  options: (yargs) =>
    idPositional(yargs)
      .options({ edge: EDGE_OPTION, ...DECISION_OPTIONS } as const)
      .example('sudo $0 deny 12', 'what it did is never learned, and is reported each time'),
  run: (words) =>
    decide(words, (decisions, decision) => decisions.deny(words.id, decision, numbersOf(words.edge))),
})

export const maintenanceCommand: Command = command({
  options: (yargs) =>
    idPositional(yargs)
      .options(DECISION_OPTIONS)
      .example('sudo $0 maintenance 12', 'it was an upgrade: normal, but provisional'),
  run: (words) => decide(words, (decisions, decision) => decisions.maintenance(words.id, decision)),
})

export const laterCommand: Command = command({
  options: (yargs) =>
    idPositional(yargs)
      .options({
        for: {
          type: 'string',
          requiresArg: true,
          default: '1d',
          describe: 'how long review leaves it out: a number with s, m, h, d or w',
        },
        ...DECISION_OPTIONS,
      } as const)
      .example('sudo $0 later 12 --for 7d', 'ask again in a week'),
  run: (words) => {
    const forMs = durationOf(words.for)
    return decide(words, (decisions, decision) =>
      decisions.later(words.id, decision, decision.timeMs + forMs),
    )
  },
})

export const generaliseCommand: Command = command({
  options: (yargs) =>
    idPositional(yargs)
      .options({
        edge: { type: 'number', requiresArg: true, default: 1, describe: 'which of its edges, by number' },
        'dry-run': {
          type: 'boolean',
          default: false,
          describe: 'say what it would allow, and change nothing',
        },
        ...DECISION_OPTIONS,
      } as const)
      .example('sudo $0 generalise 12 --edge 2 --dry-run', 'what else would be normal with it'),
  run: (words) => {
    const db = baselineOf(words)
    const { id } = words
    const [number = 1] = numbersOf([words.edge]) ?? []
    if (!Number.isSafeInteger(id)) throw new UsageError('which incident? Its number, such as 12')
    const proposed = generalisationOf(db, id, number)
    if (words['dry-run']) {
      const text = words.json
        ? jsonOf({ kind: 'generalisation', ...proposed })
        : generalisationText(proposed).trimEnd()
      process.stdout.write(`${text}\n`)
    } else {
      const outcome = generalise(db, id, number, proposed.general, decisionOf(words))
      process.stdout.write(
        words.json ? `${jsonOf({ kind: 'decision', ...outcome })}\n` : outcomeText(outcome),
      )
    }
    return Promise.resolve(0)
  },
})

/** What else would be normal, for a person. */
export const generalisationText = ({ edge, general, allows }: Generalisation): string =>
  [
    `${edge.kind} ${edge.from}->${edge.to}`,
    `  would become ${general.to}`,
    ...allows.map((name) => `  and allow ${name}`),
  ]
    .map((line) => `${line}\n`)
    .join('')

/** @throws UsageError when one is none */
function numbersOf(edges: readonly number[] | undefined): readonly number[] | undefined {
  if (edges?.every((edge) => Number.isSafeInteger(edge) && edge > 0) === false)
    throw new UsageError('--edge takes the number of an edge in the report, from 1')
  return edges
}

/** The incident that a command is about. */
export const idPositional = <T>(yargs: Argv<T>) =>
  yargs.positional('id', { type: 'number', demandOption: true, describe: 'number of the incident' })

interface DecisionWords {
  readonly id: number
  readonly reason: string | undefined
  readonly author: string | undefined
  readonly db: string | undefined
  readonly config: string | undefined
  readonly profile: string | undefined
  readonly set: readonly string[] | undefined
  readonly json: boolean
}

/** Where the words say that the baseline is. */
export const baselineOf = ({
  db,
  ...words
}: Pick<DecisionWords, 'db' | 'config' | 'profile' | 'set'>): string => loadConfig(words, { db }).db

/** Who decides, now, as the words say. */
export const decisionOf = ({ reason, author }: Pick<DecisionWords, 'reason' | 'author'>): Decision => ({
  author: author === undefined ? commandAuthor() : `${sentence(author, 'author')} (${commandAuthor()})`,
  reason: reason === undefined ? undefined : sentence(reason, 'reason'),
  timeMs: Date.now(),
})

function decide(
  words: DecisionWords,
  change: (decisions: Decisions, decision: Decision) => Outcome,
): Promise<number> {
  if (!Number.isSafeInteger(words.id)) throw new UsageError('which incident? Its number, such as 12')
  const decisions = new Decisions(baselineOf(words))
  try {
    const outcome = change(decisions, decisionOf(words))
    process.stdout.write(words.json ? `${jsonOf({ kind: 'decision', ...outcome })}\n` : outcomeText(outcome))
  } finally {
    decisions.close()
  }
  return Promise.resolve(0)
}

/** What has changed, for a person. */
export function outcomeText({
  incident,
  state,
  edges,
  refused,
  settled,
  toldAgain,
  alerts,
}: Outcome): string {
  const isVain = edges.length === 0 && refused.length > 0
  const lines = [
    isVain
      ? `nothing was changed: incident ${incident} is ${STATE_TEXTS[state]} as before`
      : `incident ${incident} is ${STATE_TEXTS[state]}${edges.length === 0 ? '' : `: ${edges.length} edges`}`,
    ...refused.map((refusal) => `  left out: ${refusalText(refusal)}`),
    ...(settled.length === 0 ? [] : [`  and with it, as all in them is normal now: ${settled.join(', ')}`]),
    ...(alerts.length === 0 ? [] : [`  alerts that are reset with it: ${alerts.join(', ')}`]),
    ...(toldAgain === 0
      ? []
      : [`  ${toldAgain} that came since its report are not decided on, and are reported anew`]),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

/** What came to an incident after its report, for a person. */
export function sinceText(since: readonly SinceEdge[]): string {
  if (since.length === 0) return ''
  const lines = since
    .slice(-MOST_SHOWN)
    .map(({ kind, from, to, count, firstMs }) =>
      onOneLine(`    ${kind} ${from}->${to} (${count} times since ${timeText(firstMs)})`),
    )
  const shown = since.length > lines.length ? `, the last ${lines.length} of ${since.length}` : ''
  return [`  since its report, and in no decision on it${shown}:`, ...lines]
    .map((line) => `${line}\n`)
    .join('')
}

const STATE_TEXTS: Readonly<Record<Outcome['state'], string>> = {
  open: 'still open',
  accepted: 'accepted',
  denied: 'denied',
  later: 'left for later',
  maintenance: 'maintenance',
  rebased: 'part of what is normal',
}

/** An edge that was left out, and why. */
export const refusalText = ({ edge: { kind, from, to }, why }: Refusal): string =>
  `${kind} ${from}->${to} (${why === 'denied' ? 'denied: fullmon accept with --edge lifts that' : why})`

/**
 * How long a person wants something to last, in milliseconds.
 * @throws UsageError when the words make no sense
 */
export function durationOf(text: string): number {
  const [, number, unit = ''] = /^(\d{1,4})([smhdw])$/.exec(text) ?? []
  const unitMs = UNIT_MS[unit]
  if (number === undefined || unitMs === undefined || Number(number) === 0)
    throw new UsageError(`--for takes a number above 0 with s, m, h, d or w, such as 7d, not '${text}'`)
  return Number(number) * unitMs
}

/** Words of a person that are printed again: one line of moderate length. */
function sentence(text: string, option: string): string {
  if (text.trim() === '' || text.length > LONGEST_WORDS || /\p{Cc}/u.test(text))
    throw new UsageError(`--${option} takes one line of at most ${LONGEST_WORDS} characters`)
  return text.toWellFormed()
}
