import type Database from 'better-sqlite3'
import { z } from 'zod'
import { EDGE_KINDS, type EdgeKind } from '../domain/edge.ts'
import { UsageError } from '../domain/result.ts'
import { ON_SAME_EDGE } from './migrations.ts'
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

/** Names as the graph prints them: no control character, no second line. */
const Node = z
  .string()
  .regex(/^(?:proc|host|file):[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/, 'no name of a node')
/** Literal text, escapes, classes without a slash and counts: nothing that could cover a file in another directory. */
const Path = z
  .string()
  .min(1)
  .regex(
    /^(?:[^\\^$.*+?()[\]{}|]|\\(?:[^A-Za-z0-9]|d)|\[[^\]^/\\][^\]/\\]*\]|\+|\{\d+(?:,\d+)?\})*$/,
    'no pattern of a path',
  )

const Header = z.strictObject({ kind: z.literal('baseline'), format: z.literal(FORMAT) })
const Time = z.int().min(0)
const EdgeLine = z
  .strictObject({
    kind: z.literal('edge'),
    edge: z.strictObject({ kind: z.enum(EDGE_KINDS), from: Node, to: Node }),
    firstMs: Time,
    lastMs: Time,
    sightings: z.int().min(1),
    days: z.int().min(1),
  })
  .refine(({ firstMs, lastMs }) => firstMs <= lastMs, 'lastMs is before firstMs')
  .refine(({ sightings, days }) => days <= sightings, 'more days than sightings')
const PatternLine = z
  .strictObject({
    kind: z.literal('pattern'),
    process: Node,
    action: z.enum(['create', 'delete', 'rename', 'write', 'attribute']),
    path: Path,
    pattern: z.string(),
    examples: z.array(z.string()),
    learnedMs: Time,
  })
  .refine(
    ({ path, pattern }) => pattern.startsWith('^') && pattern.endsWith(`${path}$`),
    'pattern and path differ',
  )
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
    return database.transaction(() => write(database, parsed)).immediate()
  } finally {
    database.close()
  }
}

function* parse(lines: Iterable<string>, source: string): Iterable<Line> {
  let number = 0
  let isBegun = false
  for (const text of lines) {
    number++
    if (text.trim() === '') continue
    const line = Line.safeParse(jsonOf(text))
    const isHeader = line.success && line.data.kind === 'baseline'
    if (!isBegun && !isHeader) throw new UsageError(`${source}:${number}: this is no exported baseline`)
    isBegun = true
    if (!line.success) throw new UsageError(`${source}:${number}: ${complaintOf(line.error)}`)
    if (line.data.kind === 'pattern') checkPattern(line.data.path, `${source}:${number}`)
    yield line.data
  }
  if (!isBegun) throw new UsageError(`${source} is empty`)
}

const complaintOf = ({ issues: [issue] }: z.ZodError): string =>
  issue === undefined ? 'not understood' : [...issue.path, issue.message].map(String).join(': ')

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
  const addEdge = database.prepare<[string, string, string, number, number, number, number]>(
    `INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days)
     VALUES ((SELECT id FROM nodes WHERE name = ?), (SELECT id FROM nodes WHERE name = ?), ?, ?, ?, ?, ?)
     ${ON_SAME_EDGE}`,
  )
  const addPattern = database.prepare<[string, string, string, string, string, number]>(
    `INSERT INTO patterns (process, action, path, printed, examples, learned_ms)
     VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  )
  const addTraining = database.prepare<[number, number, number | null, number]>(
    'INSERT INTO trainings (from_ms, to_ms, planned_ms, finished) VALUES (?, ?, ?, ?)',
  )
  const isTrained =
    database.prepare<[], { finished: number }>('SELECT finished FROM trainings ORDER BY id DESC').get()
      ?.finished === 1
  let edges = 0
  for (const line of lines) {
    switch (line.kind) {
      case 'baseline':
        break
      case 'training':
        // Half a training does not take away that the baseline is trained.
        if (line.finished || !isTrained)
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
        addEdge.run(edge.from, edge.to, edge.kind, firstMs, lastMs, sightings, days)
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
