import type Database from 'better-sqlite3'
import type { Coverage } from '../domain/report.ts'
import { SEVERITIES, type Severity } from '../domain/severity.ts'
import { openForReading } from './open.ts'
import { memoryIn, phaseIn, type BaselineStatus } from './status.ts'

/** Alerts that nobody has reset, by what became of them: `open` ones wait for a person, and are not muted. */
export type AlertCounts = Readonly<
  Record<Severity, Readonly<Record<'open' | 'acknowledged' | 'muted', number>>>
>

export interface NewestAlert {
  readonly id: number
  readonly severity: Severity
  readonly title: string
}

/** What tells whether all is well, and costs little however large a baseline is. */
export interface Vitals {
  readonly phase: BaselineStatus['phase']
  readonly alerts: AlertCounts
  /** Of each severity the open alert that came last, and is not muted. */
  readonly newest: readonly NewestAlert[]
  /** How well the last agent saw when it told so last; undefined when none ever did. */
  readonly coverage: Coverage | undefined
  /** When an agent looked at the kernel's audit last. Unix time in milliseconds. */
  readonly kernelLookMs: number | undefined
}

/**
 * Reads them at one moment, also while an agent writes.
 * @param patienceMs how long to wait for a program that keeps the baseline locked
 * @throws UsageError when there is no baseline, it is not ours, or it has another schema
 */
export function vitalsOf(path: string, nowMs: number, patienceMs?: number): Vitals {
  const database = openForReading(path, patienceMs)
  try {
    return database.transaction(() => ({
      phase: phaseIn(database),
      alerts: countAlerts(database, nowMs),
      newest: database
        .prepare<[number], NewestAlert>(
          `SELECT severity, max(id) AS id, title FROM alerts
            WHERE state <> 'reset' AND state = 'open' AND coalesce(muted_until_ms, 0) <= ? GROUP BY severity`,
        )
        .all(nowMs),
      coverage: memoryIn(database, 'coverage', '') as Coverage | undefined,
      kernelLookMs: (memoryIn(database, 'memory', 'kernel') as { timeMs: number } | undefined)?.timeMs,
    }))()
  } finally {
    database.close()
  }
}

export const noAlerts = (): AlertCounts =>
  Object.fromEntries(
    SEVERITIES.map((severity) => [severity, { open: 0, acknowledged: 0, muted: 0 }]),
  ) as AlertCounts

function countAlerts(database: Database.Database, nowMs: number): AlertCounts {
  const counts = noAlerts() as Record<Severity, Record<'open' | 'acknowledged' | 'muted', number>>
  const rows = database
    .prepare<[number], { severity: Severity; fate: 'open' | 'acknowledged' | 'muted'; count: number }>(
      `SELECT severity, CASE WHEN state = 'open' AND coalesce(muted_until_ms, 0) > ? THEN 'muted' ELSE state END AS fate,
              count(*) AS count FROM alerts WHERE state <> 'reset' GROUP BY 1, 2`,
    )
    .all(nowMs)
  for (const { severity, fate, count } of rows) counts[severity][fate] += count
  return counts
}
