import type { Finding } from '../domain/report.ts'
import type { Danger } from './dangers.ts'
import { listOf, objectOf, shortName, userOf, verbOf } from './phrases.ts'

/** What a process has done of one kind, when all was normal. */
export interface Habit {
  /** Distinct targets. */
  readonly targets: number
  readonly sightings: number
}

/** What is known of habits. */
export interface Habits {
  readonly habitOf: (process: string, kind: Finding['edge']['kind']) => Habit
  /** Whether a process does anything at all. */
  readonly isKnown: (process: string) => boolean
  /** Whether anybody does anything to a target. */
  readonly isReached: (target: string) => boolean
}

/** Sources whose novelties are told; the dangers speak of all. */
const MOST_NOVELTIES = 2
const MOST_OBJECTS = 3

/**
 * Why findings that belong together are unusual and what makes them dangerous, the weightiest first; each is one sentence
 * without a full stop.
 */
export function reasonsOf(
  findings: readonly Finding[],
  dangers: readonly Danger[],
  habits: Habits,
): readonly string[] {
  const alike = new Map<string, [Finding, ...Finding[]]>()
  for (const finding of findings.toSorted((one, other) => other.bits - one.bits)) {
    const { from, kind } = finding.edge
    const same = alike.get(`${kind} ${from}`)
    if (same === undefined) alike.set(`${kind} ${from}`, [finding])
    else same.push(finding)
  }
  const novelties = [...alike.values()]
    .slice(0, MOST_NOVELTIES)
    .map((same) => ({ bits: same[0].bits, reason: noveltyOf(same, habits) }))
  const all = [...dangers, ...novelties].sort((one, other) => other.bits - one.bits)
  return [...new Set(all.map(({ reason }) => reason))]
}

/** What their source did before instead. */
function noveltyOf(alike: readonly [Finding, ...Finding[]], { habitOf, isKnown, isReached }: Habits): string {
  const [finding] = alike
  const { kind, from } = finding.edge
  const who = `${shortName(from)} (${userOf(from)})`
  if (!isKnown(from)) return `${shortName(from)} was never seen as ${userOf(from)} before`
  const { targets, sightings } = habitOf(from, kind)
  const verb = verbOf(finding)
  if (targets === 0) return `${who} was seen before, but never ${verb} anything`
  const never = listOf([...new Set(alike.map(objectOf))], MOST_OBJECTS, 'or')
  const isNews = kind !== 'privilege' && !alike.some(({ edge }) => isReached(edge.to))
  const nobody = isNews ? '; nothing else on this host did so either' : ''
  return `${who} ${verb} ${amount(targets, OBJECTS[kind])} ${amount(sightings, 'time')}, but never ${never}${nobody}`
}

const OBJECTS: Readonly<Record<Finding['edge']['kind'], string>> = {
  exec: 'program',
  'memory-exec': 'program',
  connect: 'peer',
  listen: 'address',
  accept: 'peer',
  create: 'file',
  delete: 'file',
  rename: 'file',
  write: 'file',
  attribute: 'file',
  privilege: 'user',
  trace: 'process',
}

/** `1 address`, `2 addresses`. */
const amount = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? '' : noun.endsWith('s') ? 'es' : 's'}`
