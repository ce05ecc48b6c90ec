import type Database from 'better-sqlite3'
import type { Edge, EdgeKind } from '../domain/edge.ts'
import { type Learned, PARTS } from '../domain/learning.ts'

const MINUTE_MS = 60_000
/** Edges of which somebody wants to know where they belong. */
const MOST_EDGES = 10_000

interface Span {
  readonly from_ms: number
  readonly to_ms: number
  readonly finished: 0 | 1
}

/**
 * What the training that goes on has seen, or the last one that ended.
 * @returns undefined when there was none, or it has no length
 */
export function learnedOf(database: Database.Database): Learned | undefined {
  const all = database.prepare<[], Span>('SELECT from_ms, to_ms, finished FROM trainings ORDER BY id').all()
  const before = all.slice(0, -1).findLastIndex(({ finished }) => finished === 1)
  const spans = all.slice(before + 1)
  const [first] = spans
  const last = spans.at(-1)
  if (first === undefined || last === undefined || last.to_ms <= first.from_ms) return undefined
  const fromMs = first.from_ms
  const toMs = last.to_ms
  const middleMs = (fromMs + toMs) / 2
  const sums = database
    .prepare<[number], { observations: number; once: number }>(
      'SELECT coalesce(sum(windows), 0) AS observations, count(*) FILTER (WHERE windows = 1 AND first_ms >= ?) AS once FROM edges',
    )
    .get(middleMs) ?? { observations: 0, once: 0 }
  return {
    ...{ fromMs, toMs },
    minutes: spans.reduce((sum, { from_ms, to_ms }) => sum + to_ms - from_ms, 0) / MINUTE_MS,
    observations: sums.observations,
    onceLately: sums.once,
    curve: curveOf(database, fromMs, toMs),
    lately: database
      .prepare<[number, number], Edge>(
        `SELECT kind, source.name AS "from", target.name AS "to" FROM edges
           JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
          WHERE first_ms >= ? ORDER BY first_ms DESC, source.name, kind, target.name LIMIT ?`,
      )
      .all(middleMs, MOST_EDGES),
  }
}

function curveOf(database: Database.Database, fromMs: number, toMs: number): Learned['curve'] {
  const rows = database
    .prepare<{ fromMs: number; toMs: number }, { kind: EdgeKind; part: number; count: number }>(
      `SELECT kind, max(0, min(${PARTS - 1}, CAST((first_ms - @fromMs) * ${PARTS} / (@toMs - @fromMs) AS INTEGER))) AS part,
              count(*) AS "count"
         FROM edges WHERE first_ms <= @toMs GROUP BY 1, 2`,
    )
    .all({ fromMs, toMs })
  const curve: Partial<Record<EdgeKind, number[]>> = {}
  for (const { kind, part, count } of rows) {
    const counts = (curve[kind] ??= new Array<number>(PARTS).fill(0))
    counts[part] = count
  }
  return curve
}
