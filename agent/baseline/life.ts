import type Database from 'better-sqlite3'
import type { Edge } from '../domain/edge.ts'
import { Journal } from './journal.ts'

/**
 * What becomes of an edge that is normal:
 *
 * - `provisional`: seen in one window only, or learned in doubt;
 * - `learned`: seen again in a later window;
 * - `accepted`: a person said so; it neither becomes dormant nor expires;
 * - `dormant`: not seen for long, so that its return is worth a word.
 *
 * One that is not seen for longer still expires: it is unseen again.
 */
export const EDGE_STATES = ['learned', 'provisional', 'accepted', 'dormant'] as const
export type EdgeState = (typeof EDGE_STATES)[number]

/**
 * Why an edge was learned in doubt: in a window that was not seen whole, by the tree of processes that an alert was
 * about, because it had been reported, or as part of maintenance. All but `incident` pass when it is seen again in a
 * later window; that one only a person lifts.
 */
export const DOUBTS = ['degraded', 'incident', 'rebase', 'maintenance'] as const
export type Doubt = (typeof DOUBTS)[number]

/** What the state of an edge follows from. */
export interface EdgeAge {
  readonly windows: number
  readonly lastMs: number
  readonly doubt: Doubt | null
  /** Row of the journal in which a person accepted it. */
  readonly accepted: number | null
}

/** After how many days without a sighting an edge is dormant, and is forgotten; 0 for never. */
export interface LifeSpan {
  readonly dormantDays: number
  readonly expireDays: number
}

export const LIFE_SPAN: LifeSpan = { dormantDays: 30, expireDays: 180 }

/** Of a finding that is merged: whether its incident was an alert, had in it what may never be learned, or was maintenance. */
export const DOUBT_OF_MERGED = `
  CASE WHEN EXISTS (SELECT 1 FROM incidents WHERE incidents.id = findings.incident_id AND severity IN ('high', 'critical'))
         OR EXISTS (SELECT 1 FROM findings near WHERE near.incident_id = findings.incident_id
                      AND near.mark IS NOT NULL AND near.mark <> 'dormant')
       THEN 'incident' WHEN tree GLOB 'maintenance *' OR tree GLOB 'after maintenance *' THEN 'maintenance' ELSE 'rebase' END`

const DAY_MS = 86_400_000
/** No lifetime is longer: see Config. */
const MOST_DAYS = 3660
/** Edges that are forgotten at once, with a row of the journal: after a long silence it may be all of them. */
const PORTION = 10_000
/** Edges that a row of the journal names. */
const MOST_EXAMPLES = 10

/** @param dormantMs what was not seen since then is dormant */
export function stateOf({ windows, lastMs, doubt, accepted }: EdgeAge, dormantMs: number): EdgeState {
  if (accepted !== null) return 'accepted'
  if (lastMs < dormantMs) return 'dormant'
  return doubt !== null || windows <= 1 ? 'provisional' : 'learned'
}

/**
 * When edges that were not seen for so many days were seen last, at the latest. Only days on which the agent saw
 * something count, so that nothing ages while a host is off.
 */
export function quietSince(database: Database.Database, days: number): number {
  if (days <= 0) return Number.NEGATIVE_INFINITY
  const row = database
    .prepare<[number], { day: number }>('SELECT day FROM days ORDER BY day DESC LIMIT 1 OFFSET ?')
    .get(days - 1)
  return row === undefined ? Number.NEGATIVE_INFINITY : row.day * DAY_MS
}

/** Takes a day of the log's time. */
export function noteDay(database: Database.Database, timeMs: number): void {
  database
    .prepare<[number]>('INSERT INTO days VALUES (?) ON CONFLICT DO NOTHING')
    .run(Math.floor(timeMs / DAY_MS))
  database
    .prepare<[number]>(
      'DELETE FROM days WHERE day < (SELECT day FROM days ORDER BY day DESC LIMIT 1 OFFSET ?)',
    )
    .run(MOST_DAYS)
}

/**
 * Forgets what nobody accepted and what was not seen since `beforeMs`, and says so in the journal. Belongs into a
 * transaction.
 * @returns how many edges that were
 */
export function expire(database: Database.Database, beforeMs: number, timeMs: number): number {
  if (beforeMs === Number.NEGATIVE_INFINITY) return 0
  const expired = database.prepare<[number, number, string, number, number], ExpiredRow>(
    `SELECT from_id, to_id, kind, source.name AS "from", target.name AS "to"
       FROM edges CROSS JOIN nodes source ON source.id = from_id CROSS JOIN nodes target ON target.id = to_id
      WHERE (from_id, to_id, kind) > (?, ?, ?) AND last_ms < ? AND accepted IS NULL
        AND (from_id, to_id, kind) NOT IN (SELECT from_id, to_id, kind FROM fresh)
      ORDER BY from_id, to_id, kind LIMIT ?`,
  )
  let count = 0
  let last: (Omit<ExpiredRow, keyof Edge> & { kind: string }) | undefined = { from_id: 0, to_id: 0, kind: '' }
  while (last !== undefined) {
    const rows = expired.all(last.from_id, last.to_id, last.kind, beforeMs, PORTION)
    forget(database, rows, beforeMs, timeMs)
    count += rows.length
    last = rows.at(-1)
  }
  return count
}

interface ExpiredRow extends Edge {
  readonly from_id: number
  readonly to_id: number
}

function forget(
  database: Database.Database,
  rows: readonly ExpiredRow[],
  beforeMs: number,
  timeMs: number,
): void {
  if (rows.length === 0) return
  const remove = database.prepare<[number, number, string]>(
    'DELETE FROM edges WHERE from_id = ? AND to_id = ? AND kind = ?',
  )
  for (const { from_id: from, to_id: to, kind } of rows) remove.run(from, to, kind)
  const edges = rows.map(({ kind, from, to }): Edge => ({ kind, from, to }))
  const examples = edges.slice(0, MOST_EXAMPLES).map(({ from, to }) => `${from}->${to}`)
  const detail = { edges: rows.length, unseenSince: beforeMs, examples }
  new Journal(database).append({ timeMs, action: 'expire', author: 'agent', detail }, { removed: edges })
}

/**
 * What came to an incident after its report, which nobody has seen when it was decided on, is told of anew. Belongs into
 * the transaction that decides.
 * @returns how many findings that are
 */
export const tellAgain = (database: Database.Database): number =>
  database
    .prepare<[]>(
      `UPDATE findings SET reported_ms = NULL, incident_id = NULL WHERE merged_ms IS NULL
          AND incident_id IN (SELECT id FROM incidents WHERE state NOT IN ('open', 'later'))
          AND reported_ms > (SELECT time_ms FROM incidents WHERE incidents.id = incident_id)`,
    )
    .run().changes
