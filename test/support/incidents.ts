import type { Baseline } from '../../agent/baseline/baseline.ts'
import type { Reportable } from '../../agent/baseline/findings.ts'
import type { Normal } from '../../agent/detect/dangers.ts'
import { type Deeds, incidentOf } from '../../agent/detect/incidents.ts'
import type { Habits } from '../../agent/detect/reasons.ts'
import type { Edge } from '../../agent/domain/edge.ts'
import type { Evidence, Finding, Report } from '../../agent/domain/report.ts'

/** A host of which nothing is known. */
export const NOTHING_NORMAL: Normal & Habits = {
  isService: () => false,
  isUnseen: () => false,
  isWritten: () => false,
  writerOf: () => undefined,
  habitOf: () => ({ targets: 0, sightings: 0 }),
  isKnown: () => false,
  isReached: () => false,
}

/** An unseen edge as an incident lists it. */
export interface ReportedFinding {
  readonly timeMs: number
  readonly edge: Edge
  readonly chain: readonly string[]
  /** The chain, joined. */
  readonly path: string
  readonly evidence: Evidence
}

/** The unseen edges of all incidents, in the order of time. */
export const findingsOf = (reports: readonly Report[]): ReportedFinding[] =>
  reports
    .flatMap((report) =>
      // What rules tell at once is told again at the end of the window.
      report.kind === 'incident' && report.rule === undefined ? report.edges : [],
    )
    .map(({ kind, from, to, firstMs, chain, evidence }) => ({
      timeMs: firstMs,
      edge: { kind, from, to },
      chain,
      path: chain.join('->'),
      evidence,
    }))
    .sort((one, other) => one.timeMs - other.timeMs)

/** What waits of the tree that comes next. */
export const waitingIn = (baseline: Baseline): readonly Finding[] =>
  baseline.findings.reportable()?.findings ?? []

const deedsOf = (found: Reportable): Deeds => ({
  ...found,
  before: () => 0,
  trees: 1,
  goesOnFrom: undefined,
  earlier: [],
})

/** Reports the tree that comes next; false when nothing waits. */
export function reportNext(baseline: Baseline, timeMs: number, isDegraded = false): boolean {
  const found = baseline.findings.reportable()
  if (found !== undefined)
    baseline.incidents.add(found.tree, incidentOf(baseline.incidents.next, deedsOf(found), NOTHING_NORMAL), {
      timeMs,
      isDegraded,
      isWithheld: false,
    })
  return found !== undefined
}

/** Reports all that waits. */
export function reportAll(baseline: Baseline, timeMs: number, isDegraded = false): void {
  while (reportNext(baseline, timeMs, isDegraded));
}
