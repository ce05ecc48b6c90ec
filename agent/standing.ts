import { statSync } from 'node:fs'
import { holderOf } from './baseline/lock.ts'
import { reasonOf } from './baseline/place.ts'
import { type BaselineCounts, type BaselineStatus, type LogProgress, statusOf } from './baseline/status.ts'
import { type AlertCounts, vitalsOf } from './baseline/vitals.ts'
import { learningOf } from './detect/learning.ts'
import type { Learning } from './domain/learning.ts'
import type { BlindSpot } from './domain/report.ts'
import { UsageError } from './domain/result.ts'
import { openAt, savedLogsOf } from './tail/rotation.ts'
import { isAbsent } from './tail/unreadable.ts'

/** An agent that watches the kernel looks at it once a minute at least. */
const OLD_LOOK_MS = 180_000
/** Nothing is polled here; openAt wants it for whoever reads on. */
const POLL_MS = 1000

/** How a baseline and its agent are. */
export interface Standing {
  readonly db: string
  /** Undefined when there is no baseline. */
  readonly status: BaselineStatus | undefined
  /** Undefined without a baseline. */
  readonly alerts: AlertCounts | undefined
  readonly coverage: SeenCoverage
}

/** How well the agent sees. */
export interface SeenCoverage {
  /** `unknown` when no agent runs, or it has not told yet. */
  readonly state: 'complete' | 'degraded' | 'unknown'
  /** Since when it is so, as far as that is known; of `unknown`, when an agent told last. Unix time in milliseconds. */
  readonly sinceMs: number | undefined
  /** Of the agent that runs. */
  readonly pid: number | undefined
  readonly kernel: 'watched' | 'unknown'
  readonly ongoing: readonly BlindSpot[]
  readonly recent: readonly BlindSpot[]
}

/**
 * How they are now.
 * @param patienceMs how long to wait for a program that keeps the baseline locked
 * @param counts what was counted shortly before
 * @throws UsageError when the baseline cannot be read; that there is none is no error
 */
export function standingOf(db: string, patienceMs?: number, counts?: BaselineCounts): Standing {
  const status = isThere(db) ? statusOf(db, patienceMs, counts) : undefined
  const alerts = status && vitalsOf(db, Date.now(), patienceMs).alerts
  return { db, status, alerts, coverage: coverageOf(status, holderOf(db)?.pid) }
}

/** How far the training has come that goes on, or the last one that ended; undefined when there was none. */
export const learningIn = ({
  learning,
  learned,
}: Pick<BaselineStatus, 'learning' | 'learned'>): Learning | undefined =>
  learning ?? (learned === undefined ? undefined : learningOf(learned))

function coverageOf(status: BaselineStatus | undefined, pid: number | undefined): SeenCoverage {
  const { ongoing = [], recent = [], isDegraded = false, timeMs } = status?.coverage ?? {}
  const isKnown = pid !== undefined && timeMs !== undefined
  const lookAgeMs = Date.now() - (status?.kernelLookMs ?? 0)
  const kernel = isKnown && lookAgeMs < OLD_LOOK_MS ? 'watched' : 'unknown'
  const seen = { pid, kernel, ongoing, recent } as const
  if (!isKnown) return { ...seen, state: 'unknown', sinceMs: timeMs }
  const spots = ongoing.length > 0 ? ongoing : recent.slice(-1)
  return ongoing.length > 0 || isDegraded
    ? { ...seen, state: 'degraded', sinceMs: Math.min(...spots.map(({ fromMs }) => fromMs), timeMs) }
    : { ...seen, state: 'complete', sinceMs: recent.at(-1)?.toMs }
}

/**
 * Whether there is a baseline, whatever it is.
 * @throws UsageError when that may not be known
 */
export function isThere(db: string): boolean {
  try {
    statSync(db)
    return true
  } catch (error) {
    if (isAbsent(error)) return false
    throw new UsageError(`cannot read ${db}: ${reasonOf(error)}`, { cause: error })
  }
}

/**
 * For programs. Undefined becomes null, so that every object has the same keys; without a baseline there are none to have.
 */
export function standingObject({ db, status, alerts, coverage }: Standing): object {
  if (status === undefined) return { kind: 'status', db, phase: 'absent' }
  const { phase, training, from, edges, nodes, patterns, findings, incidents, lastReportMs, logs } = status
  const learning = learningIn(status)
  return {
    kind: 'status',
    db,
    phase,
    training: training === undefined ? null : { ...training, plannedMs: training.plannedMs ?? null },
    from: from ?? null,
    edges,
    nodes,
    patterns,
    findings,
    incidents,
    budget:
      status.budget === undefined
        ? null
        : { ...status.budget, thresholdBits: status.budget.thresholdBits ?? null },
    learning: learning === undefined ? null : { ...learning, enoughInMs: learning.enoughInMs ?? null },
    lastReportMs: lastReportMs ?? null,
    coverage: { ...coverage, sinceMs: coverage.sinceMs ?? null, pid: coverage.pid ?? null },
    alerts,
    logs: logs.map((progress) => {
      const { log, path, offset, clockMs } = progress
      const behindBytes = bytesBehind(progress)
      const behindMs = behindBytes === undefined ? null : msBehind(progress, behindBytes)
      return { log, path, offset, behindBytes: behindBytes ?? null, behindMs, clockMs }
    }),
  }
}

/** By how much the last event that was read is older than now. Nothing, when there is nothing to read. */
export const msBehind = ({ clockMs }: LogProgress, behindBytes: number): number =>
  behindBytes === 0 ? 0 : Math.max(0, Date.now() - clockMs)

/** From a place to the end of the live log, over all logs between them; undefined when the place is gone. */
export function bytesBehind({ log, ...position }: LogProgress): number | undefined {
  try {
    const file = openAt(log, position, POLL_MS)
    if (file === undefined) return undefined
    file.close()
    const logs = savedLogsOf(log)
    const unread = logs.slice(logs.indexOf(file.path))
    return unread.reduce((sum, path) => sum + statSync(path).size, 0) - position.offset
  } catch (error) {
    if (error instanceof UsageError || isAbsent(error)) return undefined
    throw error
  }
}
