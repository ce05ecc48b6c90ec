import type { Baseline, UnseenNow } from './baseline/baseline.ts'
import type { Core } from './core.ts'
import { boundedArgv } from './detect/evidence.ts'
import { incidentOf } from './detect/incidents.ts'
import { Quota } from './detect/quota.ts'
import { treeOf } from './detect/trees.ts'
import type { Edge } from './domain/edge.ts'
import type { AuditEvent } from './domain/event.ts'
import type { BlindSpot, Evidence, Incident } from './domain/report.ts'
import type { StateReader, StateWriter } from './domain/state.ts'
import type { SeenEdge } from './graph/edges.ts'
import { chainOf, processName } from './graph/names.ts'
import { callName } from './interpret/calls.ts'
import { uringCallOf } from './interpret/uring.ts'
import { Rating } from './rating.ts'

/** Findings that one place may bring in a window, and how many places have a share of their own. */
const SHARES = { findings: 5000, characters: 2_000_000, keys: 100 }

/** Findings that are kept. */
const MOST_FINDINGS = 100_000

interface Window {
  readonly fromMs: number
  readonly toMs: number
  /** Whether all of it was seen. */
  readonly isWhole: boolean
}

/** What a window has shown. */
export interface Reported {
  /** What is to be printed. */
  readonly incidents: readonly Incident[]
  readonly spots: readonly BlindSpot[]
}

/** Unseen edges, from their first sighting to the incident that reports them. */
export class Findings {
  /** Incidents of this run, and those among them that the budget kept back. */
  incidents = 0
  withheld = 0
  /** Incidents below it are kept back. */
  private readonly leastScore: number = 0
  private readonly baseline: Baseline
  private readonly core: Core
  private readonly quota = new Quota(SHARES)
  /** What the baseline has told of unseen edges, for one chunk: their evidence may hold many arguments. */
  private readonly unseen = new Map<SeenEdge, UnseenNow>()

  constructor(baseline: Baseline, core: Core) {
    this.baseline = baseline
    this.core = core
  }

  /** Whether the edge was met before in this chunk, and is now counted. */
  countAgain(seen: SeenEdge, timeMs: number): boolean {
    const unseen = this.unseen.get(seen)
    if (unseen !== undefined) this.baseline.countUnseen(unseen, timeMs)
    return unseen !== undefined
  }

  /** Takes an edge that is not known under its name `edge`. */
  take(seen: SeenEdge, edge: Edge, event: AuditEvent, timeMs: number): void {
    const { baseline } = this
    const ancestors = chainOf(seen.source)
    const chain = [...ancestors, edge.to]
    const evidence = evidenceOf(event)
    if (!baseline.hasFinding(edge, chain) && !this.hasRoom(edge, chain, evidence)) return
    const tree = treeOf(event.id.node, this.core.lineageOf(event), timeMs, ({ image }) =>
      baseline.isKnown(processName(image)),
    )
    this.unseen.set(seen, baseline.sawUnseen({ edge, chain, firstMs: timeMs, evidence, tree, bits: 0 }))
  }

  /** What was met is looked for again: the chunk is over, or the baseline has changed. */
  forget(): void {
    this.unseen.clear()
  }

  /** The window is over: what belongs together becomes an incident. */
  report({ fromMs, toMs, isWhole }: Window): Reported {
    const { baseline } = this
    const incidents: Incident[] = []
    const rating = new Rating(baseline, toMs)
    baseline.rate((edge, chain) => rating.bitsOf(edge, chain))
    const before = (from: string, to: string): number => baseline.unseenBits(from, to)
    for (let found = baseline.reportable(); found !== undefined; found = baseline.reportable()) {
      const incident = incidentOf({ ...found, before })
      const isWithheld = incident.score < this.leastScore
      const stored = baseline.addIncident(found.tree, incident, {
        timeMs: toMs,
        isDegraded: !isWhole,
        isWithheld,
      })
      this.incidents++
      if (isWithheld) this.withheld++
      else incidents.push(stored)
    }
    const spots = this.quota
      .overflow()
      .map(({ key, count, examples }) => tooMany(key, count, examples, fromMs, toMs))
    this.quota.clear()
    // Who makes findings all day may not fill the disk.
    const forgotten = baseline.trimFindings(MOST_FINDINGS)
    return { incidents, spots: forgotten === 0 ? spots : [...spots, trimmed(forgotten, toMs)] }
  }

  /** Writes what has changed since the last time. */
  drain(writer: StateWriter): void {
    this.quota.drain(writer)
  }

  /** Goes on where another run stopped. */
  restore(read: StateReader): void {
    for (const { edge, chain, evidence } of this.baseline.unreported()) this.hasRoom(edge, chain, evidence)
    this.quota.restore(read('quota'))
  }

  private hasRoom(edge: Edge, chain: readonly string[], { argv }: Evidence): boolean {
    const finding = chain.join('->')
    const characters = argv.reduce((sum, { length }) => sum + length, finding.length)
    return this.quota.admits(this.answerableFor(edge, chain.slice(0, -1)), finding, characters)
  }

  /** Whose share of the findings this takes: that of the nearest process which is normal, for this kind of edge. */
  private answerableFor({ kind }: Edge, ancestors: readonly string[]): string {
    const known = ancestors.findLast((name) => this.baseline.isKnown(name))
    return `${kind} ${known ?? ''}`
  }
}

/** What shows the event, for whoever looks it up. */
export function evidenceOf(event: AuditEvent): Evidence {
  const { id, argv } = event
  const uring = event.syscall === undefined ? uringCallOf(event) : undefined
  const syscall = event.syscall ?? uring?.syscall
  return {
    node: id.node,
    serial: id.serial,
    syscall: uring?.name ?? (syscall === undefined ? '' : callName(syscall.arch, syscall.syscall)),
    pid: syscall?.pid ?? -1,
    ppid: syscall?.ppid ?? -1,
    auid: syscall?.auid ?? -1,
    comm: syscall?.comm ?? '',
    argv: boundedArgv(argv),
    count: 1,
  }
}

const tooMany = (
  key: string,
  count: number,
  examples: readonly string[],
  fromMs: number,
  toMs: number,
): BlindSpot => ({
  kind: 'blind-spot',
  reason: 'shed',
  fromMs,
  toMs,
  count,
  detail: `sightings of unseen edges are only counted: too many in this window of ${key === '' ? 'all others' : key}; the last: ${examples.join(', ')}`,
})

const trimmed = (count: number, timeMs: number): BlindSpot => ({
  kind: 'blind-spot',
  reason: 'shed',
  fromMs: timeMs,
  toMs: timeMs,
  count,
  detail: 'findings that were reported long ago are forgotten, and are reported again when they come again',
})
