import type Database from 'better-sqlite3'
import { z } from 'zod'
import { EDGE_KINDS, type EdgeKind } from '../domain/edge.ts'
import { UsageError } from '../domain/result.ts'
import { openDatabase, openForReading } from './open.ts'

/** First line of an export; the number changes when older programs could not read it. */
const FORMAT = 1

export interface StoredEdge {
  readonly kind: EdgeKind
  readonly from: string
  readonly to: string
  readonly firstMs: number
  readonly lastMs: number
  readonly sightings: number
  readonly days: number
}

const DAY_MS = 86_400_000

const Header = z.strictObject({ kind: z.literal('baseline'), format: z.literal(FORMAT) })
const Time = z.int().min(0)
const EdgeLine = z.strictObject({
  kind: z.literal('edge'),
  edge: z.strictObject({ kind: z.enum(EDGE_KINDS), from: z.string().min(1), to: z.string().min(1) }),
  firstMs: Time,
  lastMs: Time,
  sightings: z.int().min(1),
  days: z.int().min(1),
})
const PatternLine = z.strictObject({
  kind: z.literal('pattern'),
  process: z.string().min(1),
  action: z.enum(['create', 'delete', 'rename', 'write', 'attribute']),
  path: z.string().min(1),
  pattern: z.string().min(1),
  examples: z.array(z.string()),
  learnedMs: Time,
})
const TrainingLine = z.strictObject({
  kind: z.literal('training'),
  fromMs: Time,
  toMs: Time,
  plannedMs: Time.nullable(),
  finished: z.boolean(),
})
const Line = z.discriminatedUnion('kind', [Header, EdgeLine, PatternLine, TrainingLine])
type Line = z.infer<typeof Line>

/** Edges of the baseline in the order of their names. */
export function* edgesIn(path: string): Iterable<StoredEdge> {
  const database = openForReading(path)
  try {
    yield* selectEdges(database)
  } finally {
    database.close()
  }
}

/**
 * Everything the baseline has learned, one JSON object a line: a header, trainings, patterns, edges in the order of their
 * names. Consistent while an agent writes, because it is one read transaction. The same baseline gives the same lines.
 */
export function* exportBaseline(path: string): Iterable<string> {
  const database = openForReading(path)
  try {
    database.exec('BEGIN')
    yield JSON.stringify({ kind: 'baseline', format: FORMAT } satisfies z.infer<typeof Header>)
    for (const row of database.prepare('SELECT * FROM trainings ORDER BY id').all() as TrainingRow[]) {
      yield JSON.stringify({
        kind: 'training',
        fromMs: row.from_ms,
        toMs: row.to_ms,
        plannedMs: row.planned_ms,
        finished: row.finished === 1,
      } satisfies z.infer<typeof TrainingLine>)
    }
    const patterns = database
      .prepare('SELECT * FROM patterns ORDER BY process, action, path')
      .all() as PatternRow[]
    for (const { process, action, path: pattern, printed, examples, learned_ms: learnedMs } of patterns) {
      const parsed = JSON.parse(examples) as string[]
      yield JSON.stringify({
        kind: 'pattern',
        process,
        action,
        path: pattern,
        pattern: printed,
        examples: parsed,
        learnedMs,
      })
    }
    for (const { kind, from, to, ...stats } of selectEdges(database)) {
      yield JSON.stringify({ kind: 'edge', edge: { kind, from, to }, ...stats } satisfies z.infer<
        typeof EdgeLine
      >)
    }
  } finally {
    database.close()
  }
}

/**
 * Merges exported lines into a baseline, all of them or none.
 *
 * @returns how many edges were read
 * @throws UsageError naming the first line that is wrong
 */
export function importBaseline(path: string, lines: Iterable<string>, source: string): number {
  const parsed = [...parse(lines, source)]
  const database = openDatabase(path)
  try {
    return database.transaction(() => write(database, parsed))()
  } finally {
    database.close()
  }
}

function* parse(lines: Iterable<string>, source: string): Iterable<Line> {
  let number = 0
  for (const text of lines) {
    number++
    if (text.trim() === '') continue
    const line = Line.safeParse(jsonOf(text))
    if (!line.success)
      throw new UsageError(`${source}:${number}: ${line.error.issues[0]?.message ?? 'not understood'}`)
    if (number === 1 && line.data.kind !== 'baseline')
      throw new UsageError(`${source}:1: this is no exported baseline`)
    if (line.data.kind === 'pattern') checkPattern(line.data.path, `${source}:${number}`)
    yield line.data
  }
  if (number === 0) throw new UsageError(`${source} is empty`)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function checkPattern(path: string, place: string): void {
  try {
    new RegExp(`^${path}$`)
  } catch {
    throw new UsageError(`${place}: the pattern is no regular expression`)
  }
}

function write(database: Database.Database, lines: readonly Line[]): number {
  const addNode = database.prepare<[string]>('INSERT INTO nodes (name) VALUES (?) ON CONFLICT DO NOTHING')
  const addEdge = database.prepare<[string, string, string, number, number, number, number, number]>(
    `INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days, last_day)
     VALUES ((SELECT id FROM nodes WHERE name = ?), (SELECT id FROM nodes WHERE name = ?), ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms),
       sightings = sightings + excluded.sightings, days = max(days, excluded.days),
       last_day = max(last_day, excluded.last_day)`,
  )
  const addPattern = database.prepare<[string, string, string, string, string, number]>(
    `INSERT INTO patterns (process, action, path, printed, examples, learned_ms)
     VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  )
  const addTraining = database.prepare<[number, number, number | null, number]>(
    'INSERT INTO trainings (from_ms, to_ms, planned_ms, finished) VALUES (?, ?, ?, ?)',
  )
  let edges = 0
  for (const line of lines) {
    switch (line.kind) {
      case 'baseline':
        break
      case 'training':
        addTraining.run(line.fromMs, line.toMs, line.plannedMs, line.finished ? 1 : 0)
        break
      case 'pattern': {
        const { process, action, path, pattern, examples, learnedMs } = line
        addPattern.run(process, action, path, pattern, JSON.stringify(examples), learnedMs)
        break
      }
      case 'edge': {
        const { edge, firstMs, lastMs, sightings, days } = line
        addNode.run(edge.from)
        addNode.run(edge.to)
        const lastDay = Math.floor(lastMs / DAY_MS)
        addEdge.run(edge.from, edge.to, edge.kind, firstMs, lastMs, sightings, days, lastDay)
        edges++
        break
      }
    }
  }
  return edges
}

interface TrainingRow {
  from_ms: number
  to_ms: number
  planned_ms: number | null
  finished: 0 | 1
}

interface PatternRow {
  process: string
  action: string
  path: string
  printed: string
  examples: string
  learned_ms: number
}

const selectEdges = (database: Database.Database): IterableIterator<StoredEdge> =>
  database
    .prepare<[], StoredEdge>(
      `SELECT kind, source.name AS "from", target.name AS "to", first_ms AS firstMs, last_ms AS lastMs, sightings, days
         FROM edges JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
        ORDER BY source.name, kind, target.name`,
    )
    .iterate()
