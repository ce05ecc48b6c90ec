import { openForReading } from './open.ts'
import { type BaselineStatus, phaseIn } from './status.ts'

/** What a baseline was made of, and by whom it is vouched for. Times are Unix time in milliseconds. */
export interface Contents {
  readonly phase: BaselineStatus['phase']
  /** Spans of the log that were learned from. */
  readonly trainings: readonly {
    readonly fromMs: number
    readonly toMs: number
    readonly plannedMs: number | null
    readonly finished: boolean
  }[]
  /** The last row of the journal; null before the first one. */
  readonly journal: {
    readonly row: number
    readonly head: string
    readonly timeMs: number
    readonly action: string
    readonly author: string
  } | null
}

/** Trainings that are told, the last ones: each start of the agent within a training makes one. */
const MOST_TRAININGS = 100

/**
 * Reads them at one moment, also while an agent writes.
 * @param patienceMs how long to wait for a program that keeps the baseline locked
 * @throws UsageError when there is no baseline, it is not ours, or it has another schema
 */
export function contentsOf(path: string, patienceMs?: number): Contents {
  const database = openForReading(path, patienceMs)
  try {
    return database.transaction(() => ({
      phase: phaseIn(database),
      trainings: database
        .prepare<[number], TrainingRow>(
          `SELECT from_ms, to_ms, planned_ms, finished FROM (SELECT * FROM trainings ORDER BY id DESC LIMIT ?) ORDER BY id`,
        )
        .all(MOST_TRAININGS)
        .map(({ from_ms: fromMs, to_ms: toMs, planned_ms: plannedMs, finished }) => ({
          ...{ fromMs, toMs, plannedMs, finished: finished === 1 },
        })),
      journal:
        database
          .prepare<[], NonNullable<Contents['journal']>>(
            `SELECT id AS "row", hash AS head, time_ms AS timeMs, action, author FROM journal ORDER BY id DESC LIMIT 1`,
          )
          .get() ?? null,
    }))()
  } finally {
    database.close()
  }
}

interface TrainingRow {
  from_ms: number
  to_ms: number
  planned_ms: number | null
  finished: 0 | 1
}
