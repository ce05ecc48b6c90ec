import type Database from 'better-sqlite3'
import type { Edge } from '../domain/edge.ts'
import type { EdgeMark, Severity } from '../domain/report.ts'
import { type Doubt, type EdgeAge, type EdgeState, quietSince, stateOf } from './life.ts'
import { openForReading } from './open.ts'
import type { Verdict } from './transfer.ts'

/** What the baseline has of an edge that is normal. */
export interface NormalEdge {
  readonly state: EdgeState
  readonly doubt: Doubt | null
  readonly firstMs: number
  readonly lastMs: number
  readonly sightings: number
  readonly days: number
  readonly windows: number
  /** The training that it was seen first in; null when there was none then. */
  readonly training: { readonly fromMs: number; readonly toMs: number } | null
  /** The row of the journal since which it is vouched for, as far as its time tells. */
  readonly journal: (Verdict & { readonly row: number; readonly action: string }) | null
}

/** A pattern that covers a file, or did so until a person forgot it. */
export interface CoveringPattern {
  readonly printed: string
  readonly isForgotten: boolean
  readonly examples: readonly string[]
  readonly learnedMs: number
  /** What the baseline has of the edge that stands for all its files. */
  readonly normal: NormalEdge | null
}

/** An edge as it was found unseen. */
export interface FoundEdge {
  /** Null while its window goes on. */
  readonly incident: number | null
  readonly severity: Severity | null
  readonly score: number | null
  readonly isWithheld: boolean
  readonly mark: EdgeMark | null
  readonly bits: number
  readonly firstMs: number
  readonly lastMs: number
  readonly sightings: number
  /** When it became normal; null when it has not. */
  readonly mergedMs: number | null
}

/** Where an edge comes from. */
export interface EdgeStory {
  readonly edge: Edge
  readonly normal: NormalEdge | null
  readonly denied: Verdict | null
  readonly pattern: CoveringPattern | null
  /** One for each chain that it was found in, the oldest first. */
  readonly found: readonly FoundEdge[]
}

/** Findings of one edge that are told. */
const MOST_FOUND = 100

/**
 * What a baseline knows of edges, also while an agent writes to it; undefined of those that it knows nothing of.
 * @param dormantDays after how many days without a sighting an edge is dormant
 * @throws UsageError when there is no baseline, it is not ours, or it has another schema
 */
export function storiesOf(
  path: string,
  edges: readonly Edge[],
  dormantDays: number,
): readonly (EdgeStory | undefined)[] {
  const database = openForReading(path)
  try {
    return database.transaction(() => {
      const dormantMs = quietSince(database, dormantDays)
      return edges
        .map((edge) => storyOf(database, edge, dormantMs))
        .map((story) => {
          const { normal, denied, pattern, found } = story
          return (normal ?? denied ?? pattern ?? found[0]) === undefined ? undefined : story
        })
    })()
  } finally {
    database.close()
  }
}

function storyOf(database: Database.Database, edge: Edge, dormantMs: number): EdgeStory {
  const found = database.prepare<Edge, Omit<FoundEdge, 'isWithheld'> & { isWithheld: 0 | 1 | null }>(
    `SELECT incident_id AS incident, severity, score, withheld AS isWithheld, mark, bits, first_ms AS firstMs,
            last_ms AS lastMs, sightings, merged_ms AS mergedMs
       FROM findings LEFT JOIN incidents ON incidents.id = incident_id WHERE ${NAMED_EDGE}
      ORDER BY first_ms, findings.id LIMIT ${MOST_FOUND}`,
  )
  return {
    edge,
    normal: normalEdge(database, edge, dormantMs),
    denied: deniedEdge(database, edge),
    pattern: coveringPattern(database, edge, dormantMs),
    found: found.all(edge).map((row) => ({ ...row, isWithheld: row.isWithheld === 1 })),
  }
}

interface NormalRow extends EdgeAge {
  readonly firstMs: number
  readonly sightings: number
  readonly days: number
}

function normalEdge(database: Database.Database, edge: Edge, dormantMs: number): NormalEdge | null {
  const row = database
    .prepare<Edge, NormalRow>(
      `SELECT first_ms AS firstMs, last_ms AS lastMs, sightings, days, windows, doubt, accepted
         FROM edges WHERE ${NAMED_EDGE}`,
    )
    .get(edge)
  if (row === undefined) return null
  const { accepted, ...stats } = row
  const { firstMs } = row
  const training = database
    .prepare<[number, number], { fromMs: number; toMs: number }>(
      `SELECT from_ms AS fromMs, to_ms AS toMs FROM trainings WHERE from_ms <= ? AND to_ms >= ?
        ORDER BY id DESC LIMIT 1`,
    )
    .get(firstMs, firstMs)
  return {
    ...stats,
    state: stateOf(row, dormantMs),
    training: training ?? null,
    journal: rowOf(database, accepted === null ? { sinceMs: firstMs } : { id: accepted }),
  }
}

function deniedEdge(database: Database.Database, edge: Edge): Verdict | null {
  const row = database
    .prepare<Edge, { journal: number }>(`SELECT journal FROM denied WHERE ${NAMED_EDGE}`)
    .get(edge)
  return row === undefined ? null : rowOf(database, { id: row.journal })
}

function rowOf(
  database: Database.Database,
  { id = null, sinceMs = null }: { readonly id?: number | null; readonly sinceMs?: number | null },
): NormalEdge['journal'] {
  const row = database
    .prepare<
      { id: number | null; sinceMs: number | null },
      { row: number; action: string; timeMs: number; author: string; detail: string }
    >(
      `SELECT id AS row, action, time_ms AS timeMs, author, detail FROM journal
        WHERE id = @id OR @id IS NULL AND time_ms >= @sinceMs AND action IN ('learn', 'rebase', 'import')
                          AND detail ->> 'pattern' IS NULL
        ORDER BY id LIMIT 1`,
    )
    .get({ id, sinceMs })
  if (row === undefined) return null
  const { detail, ...rest } = row
  const { reason } = JSON.parse(detail) as { reason?: string }
  return reason === undefined ? rest : { ...rest, reason }
}

interface PatternRow {
  readonly path: string
  readonly printed: string
  readonly examples: string
  readonly learnedMs: number
  readonly isForgotten: 0 | 1
}

function coveringPattern(database: Database.Database, edge: Edge, dormantMs: number): CoveringPattern | null {
  const { kind, from, to } = edge
  const printedEdge = `${from}->${to}`
  const rows = database
    .prepare<[string, string], PatternRow>(
      `SELECT path, printed, examples, learned_ms AS learnedMs, state = 'denied' AS isForgotten FROM patterns
        WHERE process = ? AND action = ? ORDER BY isForgotten, id`,
    )
    .all(from, kind)
  const row = rows.find(
    ({ printed, path }) => to.endsWith(`:${path}`) || new RegExp(printed).test(printedEdge),
  )
  if (row === undefined) return null
  const { path, printed, learnedMs } = row
  const examples = JSON.parse(row.examples) as string[]
  const prefix = to.slice(0, to.indexOf(':', to.indexOf(':') + 1) + 1)
  return {
    printed,
    isForgotten: row.isForgotten === 1,
    examples,
    learnedMs,
    normal: normalEdge(database, { kind, from, to: prefix + path }, dormantMs),
  }
}

const NAMED_EDGE = `from_id = (SELECT id FROM nodes WHERE name = @from)
  AND to_id = (SELECT id FROM nodes WHERE name = @to) AND kind = @kind`
