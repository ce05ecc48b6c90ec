import type { BaselineCounts } from '../baseline/status.ts'
import type { Metric, Sample } from './exposition.ts'
import type { LiveState } from './live-state.ts'
import type { HealthView } from './view.ts'

/** What this program is, and what it was built of. */
export interface Build {
  readonly version: string
  readonly commit: string
}

/** What metrics are made of. */
export interface Measured {
  readonly build: Build
  readonly live: LiveState
  readonly health: HealthView
  readonly isDegraded: boolean
  /** Undefined when the baseline cannot be read. */
  readonly counts: BaselineCounts | undefined
}

const PHASES = ['starting', 'training', 'monitoring', 'faulty'] as const

/** All that is measured. What nobody knows now is left out. */
export const metricsOf = (measured: Measured): Metric[] => [
  ...ofTheAgent(measured),
  ...ofTheLog(measured),
  ...ofWhatIsWrong(measured),
  ...ofTheBaseline(measured),
]

function ofTheAgent({ build, live, health }: Measured): Metric[] {
  const { scan } = live
  return [
    gauge('build_info', 'The version that runs.', [
      { labels: { ...build, node: process.version }, value: 1 },
    ]),
    gauge('start_time_seconds', 'When the agent started, Unix time.', [{ value: live.startMs / 1000 }]),
    gauge('resident_memory_bytes', 'Memory of the agent.', [{ value: process.memoryUsage.rss() }]),
    gauge('healthy', 'Whether /healthz answers 200.', [{ value: Number(health.healthy) }]),
    gauge(
      'phase',
      'What the agent does: 1 for the phase it is in.',
      PHASES.map((phase) => ({ labels: { phase }, value: Number(phase === live.phase) })),
    ),
    gauge('scan_time_seconds', 'When the processes were scanned last, Unix time.', some(scan?.timeMs, 1000)),
    gauge('scan_processes', 'Processes that the last scan looked at.', some(scan?.processes.length)),
    gauge('scan_suspicious', 'Suspicious ones among them.', some(scan?.suspicious)),
  ]
}

function ofTheLog({ live, health, isDegraded }: Measured): Metric[] {
  const { pulse, ongoing } = live
  return [
    counter('records_total', 'Audit records that were read.', some(pulse?.records)),
    counter('events_total', 'Audit events that were put together.', some(pulse?.events)),
    counter('unreadable_lines_total', 'Lines that are no audit records.', some(pulse?.unreadable)),
    counter('lost_events_total', 'Events that are missing by their serial numbers.', some(pulse?.lost)),
    counter('forged_lines_total', 'Lines that a process had auditd write.', some(pulse?.forged)),
    gauge('log_behind_bytes', 'Bytes of the log that are not read yet.', some(health.lag?.bytes)),
    gauge('log_behind_seconds', 'How much older than now what was read last is.', some(health.lag?.ms, 1000)),
    gauge('blind_spots', 'What keeps the agent from seeing now.', [{ value: ongoing.length }]),
    gauge(
      'blind_spot',
      '1 for each reason why the agent does not see everything now.',
      ongoing.map(({ reason }) => ({ labels: { reason }, value: 1 })),
    ),
    gauge('kernel_watched', "Whether the kernel's audit and its receiver are looked at.", [
      { value: Number(health.kernel === 'watched') },
    ]),
    gauge('coverage_degraded', 'Whether something was not seen lately.', [{ value: Number(isDegraded) }]),
  ]
}

function ofWhatIsWrong({ health, counts }: Measured): Metric[] {
  const alerts = Object.entries(health.alerts ?? {}).flatMap(([severity, states]) =>
    Object.entries(states).map(([state, value]) => ({ labels: { severity, state }, value })),
  )
  return [
    gauge('alerts', 'Alerts that nobody has reset; open ones wait for a person.', alerts),
    counter(
      'incidents_total',
      'Incidents of this baseline; the budget has withheld some.',
      counts === undefined
        ? []
        : Object.entries(counts.incidents).map(([state, value]) => ({ labels: { state }, value })),
    ),
  ]
}

function ofTheBaseline({ counts }: Measured): Metric[] {
  const edges = Object.entries(counts?.edges ?? {}).map(([kind, value]) => ({ labels: { kind }, value }))
  const findings = Object.entries(counts?.findings ?? {}).map(([state, value]) => ({
    labels: { state },
    value,
  }))
  return [
    gauge('baseline_readable', 'Whether the baseline can be read.', [
      { value: Number(counts !== undefined) },
    ]),
    gauge('edges', 'Edges that are normal.', edges),
    gauge('nodes', 'Processes, files and hosts in the baseline.', some(counts?.nodes)),
    gauge('patterns', 'Patterns of volatile names.', some(counts?.patterns)),
    gauge(
      'findings',
      'Edges that were not normal, one for each chain; merged ones are among the reported.',
      findings,
    ),
  ]
}

const gauge = (name: string, help: string, samples: readonly Sample[]): Metric => ({
  ...{ name: `fullmon_${name}`, type: 'gauge', help, samples },
})

const counter = (name: string, help: string, samples: readonly Sample[]): Metric => ({
  ...{ name: `fullmon_${name}`, type: 'counter', help, samples },
})

const some = (value: number | undefined, divisor = 1): Sample[] =>
  value === undefined ? [] : [{ value: value / divisor }]
