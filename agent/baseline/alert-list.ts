import type { Alert, AlertState } from '../domain/alert.ts'
import { SEVERITIES, type Severity } from '../domain/severity.ts'
import { alertOf, type AlertRow } from './alerts.ts'
import { openForReading } from './open.ts'

/** Which alerts are wanted: those of which all of this is true. */
export interface AlertFilter {
  readonly state?: AlertState
  readonly least?: Severity
  /** How many. */
  readonly most: number
}

/**
 * Alerts of a baseline, those that opened last first, also while an agent writes to it.
 * @param patienceMs how long to wait for a program that keeps the baseline locked
 * @throws UsageError when there is no baseline, it is not ours, or it has another schema
 */
export function newestAlertsIn(
  path: string,
  { state, least = SEVERITIES[0], most }: AlertFilter,
  patienceMs?: number,
): Alert[] {
  const database = openForReading(path, patienceMs)
  const severities = JSON.stringify(SEVERITIES.slice(SEVERITIES.indexOf(least)))
  try {
    return database
      .prepare<[string | null, string, number], AlertRow>(
        `SELECT * FROM alerts WHERE state = coalesce(?, state) AND severity IN (SELECT value FROM json_each(?))
          ORDER BY id DESC LIMIT ?`,
      )
      .all(state ?? null, severities, most)
      .map(alertOf)
  } finally {
    database.close()
  }
}
