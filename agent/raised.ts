import { createHash } from 'node:crypto'
import type { Baseline } from './baseline/baseline.ts'
import { processOf } from './detect/nodes.ts'
import { type Incident, SEVERITIES } from './domain/report.ts'
import type { StateReader, StateWriter } from './domain/state.ts'
import { type Hit, ruleIncidentOf } from './rules/incident.ts'

/**
 * Incidents that one process may raise by one rule in an hour, that all of one user may, and that everybody may; more are
 * counted to the last. Nobody uses up what is left for another user.
 */
const MOST_OF_PROCESS = 5
const MOST_OF_USER = 20
const MOST_OF_RULE = 100
const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
/** What goes on is told again, as what may never be learned is. */
const DAY_MS = 86_400_000
/** Within this time a program is started by what has just been started. */
const PASSING_MS = 10_000
/** What is remembered; the oldest is forgotten. */
const MOST_REMEMBERED = 2000

type Remembered = readonly [incident: number, sinceMs: number, count: number]

/**
 * Incidents of rules: the same rule on the same chain raises one, until that is decided on or its alert is reset; what comes
 * meanwhile counts there. Everything here belongs into a transaction.
 */
export class RaisedIncidents {
  /** How many there were in this run. */
  count = 0
  private readonly baseline: Baseline
  private readonly post: (incident: Incident) => void
  /** By what they are about, as digests: names may be long. */
  private readonly remembered = new Map<string, Remembered>()
  private readonly changed = new Set<string>()
  private readonly silent = new Map<string, Set<string>>()
  /** Sightings since the last `settle`, by the incident that they count to. */
  private readonly again = new Map<number, { count: number; lastMs: number }>()

  constructor(baseline: Baseline, post: (incident: Incident) => void) {
    this.baseline = baseline
    this.post = post
  }

  /**
   * @param treeOf which processes did it
   * @param command the first process of what was started just now to do it; undefined when it has run for long
   */
  raise(hit: Hit, treeOf: () => string, command: string | undefined): void {
    const { rule, chain, edge, isUnseen, timeMs, succeeded } = hit
    const names = chain.join('->')
    const same = digestOf(`${rule.id} ${edge.kind} ${succeeded} ${names}->${edge.to}`)
    const told = this.openAt(same, timeMs, DAY_MS) ?? this.raisedAbove(hit)
    if (told !== undefined) {
      this.countTo(told, timeMs)
      return
    }
    const tree = treeOf()
    const ofTree = digestOf(`${rule.id} in ${tree}`)
    const ofCommand = (gravity: string): string => digestOf(`${gravity} by ${command} in ${tree}`)
    const ofProcess = digestOf(`${rule.id} of ${names}`)
    const { container, user } = processOf(chain.at(-1) ?? '') ?? { container: '', user: '' }
    const ofUser = digestOf(`${rule.id} by ${container}:${user}`)
    const ofRule = digestOf(rule.id)
    // Somebody was called, and what is unseen is told of whole at the end of the window.
    const called =
      isUnseen && command !== undefined ? this.openAt(ofCommand(hit.severity), timeMs, MINUTE_MS) : undefined
    if (called !== undefined) this.noteSilent(tree, rule.id)
    const crowded =
      called ??
      (rule.novel ? this.openAt(ofTree, timeMs, MINUTE_MS) : undefined) ??
      this.openAt(ofProcess, timeMs, HOUR_MS, MOST_OF_PROCESS) ??
      this.openAt(ofUser, timeMs, HOUR_MS, MOST_OF_USER) ??
      this.openAt(ofRule, timeMs, HOUR_MS, MOST_OF_RULE)
    if (crowded !== undefined) {
      this.countTo(crowded, timeMs)
      return
    }
    const incident = ruleIncidentOf(this.baseline.incidents.next, hit)
    this.baseline.incidents.addRaised(tree, incident, timeMs)
    const notGraver = command === undefined ? [] : SEVERITIES.slice(0, SEVERITIES.indexOf(hit.severity) + 1)
    for (const [key, spanMs] of [
      [same, DAY_MS],
      [ofTree, MINUTE_MS],
      ...notGraver.map((gravity) => [ofCommand(gravity), MINUTE_MS] as const),
      [ofProcess, HOUR_MS],
      [ofUser, HOUR_MS],
      [ofRule, HOUR_MS],
    ] as const)
      this.remember(key, incident.id, timeMs, spanMs)
    this.count++
    this.post(incident)
  }

  /** Rules that fired for a tree of processes and were not told, as another one had been, since `forgetSilent`. */
  silentIn(tree: string): readonly string[] {
    return [...(this.silent.get(tree) ?? [])]
  }

  /** The window is over: they have been told. */
  forgetSilent(): void {
    this.silent.clear()
  }

  /** Writes what has been counted. */
  settle(): void {
    for (const [id, { count, lastMs }] of this.again) {
      this.baseline.incidents.countRaised(id, count, lastMs)
      this.baseline.alerts.again(id, count, lastMs)
    }
    this.again.clear()
  }

  /** Writes what has changed since the last time. */
  drain(writer: StateWriter): void {
    for (const key of this.changed) {
      const value = this.remembered.get(key)
      if (value === undefined) writer.remove('rules', key)
      else writer.put('rules', key, value)
    }
    this.changed.clear()
  }

  /** Goes on where another run stopped. */
  restore(read: StateReader): void {
    const entries = [...read('rules')].map(({ key, value }) => [key, value as Remembered] as const)
    for (const [key, value] of entries.sort(([, [, one]], [, [, other]]) => one - other))
      this.remembered.set(key, value)
  }

  /** The incident that was raised last for this, when it is not to be told again and there were at least `most`. */
  private openAt(key: string, timeMs: number, spanMs: number, most = 1): number | undefined {
    const known = this.remembered.get(key)
    if (known === undefined) return undefined
    const [incident, sinceMs, count] = known
    if (count < most || timeMs - sinceMs >= spanMs) return undefined
    return this.baseline.incidents.isUnsettled(incident) ? incident : undefined
  }

  /**
   * What starts a program with the words of another one, as `sh -c` and `timeout` do, is told once: the incident of the same
   * rule that was raised just before for a process above.
   */
  private raisedAbove({ rule, chain, edge, timeMs, succeeded }: Hit): number | undefined {
    for (let length = chain.length; length > 1; length--) {
      const above = digestOf(`${rule.id} ${edge.kind} ${succeeded} ${chain.slice(0, length).join('->')}`)
      const open = this.openAt(above, timeMs, PASSING_MS)
      if (open !== undefined) return open
    }
    return undefined
  }

  private remember(key: string, incident: number, timeMs: number, spanMs: number): void {
    const [, sinceMs = timeMs, count = 0] = this.remembered.get(key) ?? []
    const goesOn = timeMs - sinceMs < spanMs
    this.remembered.delete(key)
    this.remembered.set(key, goesOn ? [incident, sinceMs, count + 1] : [incident, timeMs, 1])
    this.changed.add(key)
    if (this.remembered.size <= MOST_REMEMBERED) return
    const [oldest = ''] = this.remembered.keys()
    this.remembered.delete(oldest)
    this.changed.add(oldest)
  }

  private noteSilent(tree: string, rule: string): void {
    const rules = this.silent.get(tree) ?? new Set()
    if (rules.size === 0 && this.silent.size >= MOST_REMEMBERED) return
    this.silent.set(tree, rules.add(rule))
  }

  private countTo(incident: number, timeMs: number): void {
    const { count = 0, lastMs = timeMs } = this.again.get(incident) ?? {}
    this.again.set(incident, { count: count + 1, lastMs: Math.max(lastMs, timeMs) })
  }
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 22)
