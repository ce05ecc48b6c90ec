import { onTestFinished } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import type { TrainingPlan } from '../../agent/detect/schedule.ts'
import { NO_WORLD } from '../../agent/domain/activity.ts'
import type { BlindSpot, Incident, Report, Summary } from '../../agent/domain/report.ts'
import { Engine, type EngineOptions } from '../../agent/engine.ts'
import { findingsOf } from './incidents.ts'
import { type Doer, LogBuilder } from './log-builder.ts'

export const NOON_MS = Date.parse('2026-11-20T12:00:00Z')
export const TRAINING_MS = 60_000
export const WINDOW_MS = 10_000
export const CRON: Doer = { pid: 700, exe: '/usr/sbin/cron' }
export const NGINX: Doer = { pid: 800, exe: '/usr/sbin/nginx', uid: 33 }

/** A baseline that is closed after the test. */
export function newBaseline(path = ':memory:'): Baseline {
  const baseline = new Baseline(path)
  onTestFinished(() => baseline.close())
  return baseline
}

interface Running {
  readonly engine: Engine
  readonly reports: Report[]
}

/** An engine that trains for a minute, and what it reports. */
export function start(baseline: Baseline, options: Partial<EngineOptions> = {}): Running {
  const reports: Report[] = []
  const engine = new Engine({
    baseline,
    world: NO_WORLD,
    plan: { kind: 'for', durationMs: TRAINING_MS },
    monitorMs: WINDOW_MS,
    rebase: false,
    // Nothing is kept back.
    alertsPerDay: 1e9,
    emit: (report) => void reports.push(report),
    latestMs: () => Number.POSITIVE_INFINITY,
    ...options,
  })
  return { engine, reports }
}

/** Everything that is reported about a log, read at once or in the given pieces. */
export function replay(
  log: LogBuilder | readonly Buffer[],
  options: Partial<EngineOptions> = {},
  baseline = newBaseline(),
): Report[] {
  const { engine, reports } = start(baseline, options)
  for (const bytes of log instanceof LogBuilder ? [log.bytes] : log) engine.ingest({ bytes, at: undefined })
  engine.end()
  return reports
}

export const paths = (reports: readonly Report[]): string[] => findingsOf(reports).map(({ path }) => path)
export const incidents = (reports: readonly Report[]): Incident[] =>
  reports.filter((report) => report.kind === 'incident')
export const blindSpots = (reports: readonly Report[]): BlindSpot[] =>
  reports.filter((report) => report.kind === 'blind-spot')
export const patterns = (reports: readonly Report[]): string[] =>
  reports.flatMap((report) => (report.kind === 'pattern' ? [report.pattern] : []))
export const summary = (reports: readonly Report[]): Summary | undefined =>
  reports.find((report) => report.kind === 'summary')

/** A host that does the same thing every second, until the training is over. */
export function ordinaryLife(log = new LogBuilder(NOON_MS)): LogBuilder {
  for (let second = 0; second <= TRAINING_MS / 1000; second += 5) {
    log.connect(NGINX, '192.0.2.1', 443).create(CRON, '/run/cron.pid').after(5000)
  }
  return log
}

/** Time in which the agent does not run is no time of training, so the end is set by the clock here. */
export const planAt = (baseline: Baseline): TrainingPlan => {
  const isTrained = baseline.trainings.all().at(-1)?.finished === true
  return isTrained ? { kind: 'none' } : { kind: 'until', timeMs: NOON_MS + TRAINING_MS }
}
