import { createHash } from 'node:crypto'
import type Database from 'better-sqlite3'
import { z } from 'zod'
import { EDGE_KINDS, type EdgeKind } from '../domain/edge.ts'
import { UsageError } from '../domain/result.ts'
import type { Item } from './content.ts'
import { Journal } from './journal.ts'
import { ON_SAME_EDGE } from './migrations.ts'
import { openDatabase, openForReading } from './open.ts'
import { verifyJournal } from './verify.ts'

/** First line of an export; the number changes when older programs could not read it. 1 had no line of kind `end`. */
const FORMAT = 2
const UNSEALED_FORMAT = 1

export interface StoredEdge {
  readonly kind: EdgeKind
  readonly from: string
  readonly to: string
  readonly firstMs: number
  readonly lastMs: number
  readonly sightings: number
  readonly days: number
  readonly windows: number
}

/** Names as the graph prints them: no control character, no second line. */
const Node = z
  .string()
  .regex(/^(?:proc|host|file):[^\u0000-\u001f\u007f-\u009f\u2028\u2029\p{Cs}]*$/u, 'no name of a node')
/** Literal text, escapes, classes without a slash and counts: nothing that could cover a file in another directory. */
const Path = z
  .string()
  .min(1)
  .regex(
    /^(?:[^\\^$.*+?()[\]{}|]|\\(?:[^A-Za-z0-9]|d)|\[[^\]^/\\][^\]/\\]*\]|\+|\{\d+(?:,\d+)?\})*$/,
    'no pattern of a path',
  )

const Header = z.strictObject({ kind: z.literal('baseline'), format: z.literal([UNSEALED_FORMAT, FORMAT]) })
const Time = z.int().min(0)
const EdgeLine = z
  .strictObject({
    kind: z.literal('edge'),
    edge: z.strictObject({ kind: z.enum(EDGE_KINDS), from: Node, to: Node }),
    firstMs: Time,
    lastMs: Time,
    sightings: z.int().min(1),
    days: z.int().min(1),
    // Earlier releases did not count them.
    windows: z.int().min(1).optional(),
  })
  .refine(({ firstMs, lastMs }) => firstMs <= lastMs, 'lastMs is before firstMs')
  .refine(({ sightings, days }) => days <= sightings, 'more days than sightings')
  .refine(({ sightings, windows = 1 }) => windows <= sightings, 'more windows than sightings')
const PatternLine = z
  .strictObject({
    kind: z.literal('pattern'),
    process: Node,
    action: z.enum(['create', 'delete', 'rename', 'write', 'attribute', 'connect', 'listen', 'accept']),
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
/** Last line: how many stand before it, and SHA-256 over them, each with its newline. */
const EndLine = z.strictObject({
  kind: z.literal('end'),
  lines: z.int().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'no SHA-256'),
})
const Line = z.discriminatedUnion('kind', [Header, EdgeLine, PatternLine, TrainingLine, EndLine])
type Line = z.infer<typeof Line>

/** Who imports, and from where: for the journal and for complaints. */
export interface Importer {
  readonly source: string
  readonly author: string
}

export interface Imported {
  /** Edges that were read. */
  readonly edges: number
  /** False for an export of an older program, of which nobody can tell whether it is whole. */
  readonly isSealed: boolean
}

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
 * names, and an end that tells whether all of it is there. Consistent while an agent writes, because it is one read
 * transaction. The same baseline gives the same lines.
 */
export function* exportBaseline(path: string): Iterable<string> {
  const seal = createHash('sha256')
  let lines = 0
  for (const line of linesOf(path)) {
    seal.update(`${line}\n`)
    lines++
    yield line
  }
  yield JSON.stringify({ kind: 'end', lines, sha256: seal.digest('hex') } satisfies z.infer<typeof EndLine>)
}

function* linesOf(path: string): Iterable<string> {
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
 * Merges exported lines into a baseline, all of them or none, and writes so into its journal.
 *
 * @throws UsageError naming the first line that is wrong, or what the journal of the baseline does not vouch for
 */
export function importBaseline(path: string, lines: Iterable<string>, importer: Importer): Imported {
  const parsed = [...parse(lines, importer.source)]
  const isSealed = parsed.at(-1)?.kind === 'end'
  const database = openDatabase(path)
  try {
    const merge = database.transaction(() => {
      refuseBrokenJournal(database, path)
      return write(database, parsed, importer)
    })
    return { edges: merge.immediate(), isSealed }
  } finally {
    database.close()
  }
}

/** What somebody has changed behind the back of the journal would be vouched for from now on. */
function refuseBrokenJournal(database: Database.Database, path: string): void {
  const { problem } = verifyJournal(database)
  if (problem !== undefined)
    throw new UsageError(`nothing is imported into ${path}, which fullmon verify refuses: ${problem.reason}`)
}

function* parse(lines: Iterable<string>, source: string): Iterable<Line> {
  const seal = createHash('sha256')
  let number = 0
  let format: number | undefined
  let isEnded = false
  for (const text of lines) {
    number++
    const place = `${source}:${number}`
    if (text.trim() !== '') {
      const json = jsonOf(text)
      const line = Line.safeParse(json)
      if (line.success && line.data.kind === 'baseline') format ??= line.data.format
      if (format === undefined) throw new UsageError(`${place}: this is no exported baseline`)
      if (json === undefined) throw new UsageError(`${place}: this is no JSON; was the file cut off?`)
      if (!line.success) throw new UsageError(`${place}: ${complaintOf(line.error)}`)
      if (isEnded) throw new UsageError(`${place}: this stands behind its end`)
      if (line.data.kind === 'pattern') checkPattern(line.data.path, place)
      if (line.data.kind === 'end') {
        checkEnd(line.data, { lines: number - 1, sha256: seal.copy().digest('hex') }, place)
        isEnded = true
      }
      yield line.data
    }
    seal.update(`${text}\n`)
  }
  if (format === undefined) throw new UsageError(`${source} is empty`)
  if (!isEnded && format !== UNSEALED_FORMAT)
    throw new UsageError(`${source} was cut off: it has no line of kind "end"`)
}

type End = Pick<z.infer<typeof EndLine>, 'lines' | 'sha256'>

function checkEnd(written: End, read: End, place: string): void {
  if (written.lines !== read.lines) {
    throw new UsageError(
      `${place}: ${written.lines} lines were exported before this one, ${read.lines} are there: the file was changed`,
    )
  }
  if (written.sha256 !== read.sha256)
    throw new UsageError(
      `${place}: the lines before this one are not those that were exported: their SHA-256 differs`,
    )
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

/** @returns how many edges were read */
function write(database: Database.Database, lines: readonly Line[], { source, author }: Importer): number {
  const addTraining = database.prepare<[number, number, number | null, number]>(
    'INSERT INTO trainings (from_ms, to_ms, planned_ms, finished) VALUES (?, ?, ?, ?)',
  )
  const isTrained =
    database.prepare<[], { finished: number }>('SELECT finished FROM trainings ORDER BY id DESC').get()
      ?.finished === 1
  const add = { edge: edgeAdder(database), pattern: patternAdder(database) }
  const added: Item[] = []
  const counts = { edges: 0, patterns: 0 }
  for (const line of lines) {
    switch (line.kind) {
      case 'baseline':
      case 'end':
        break
      case 'training':
        // Half a training does not take away that the baseline is trained.
        if (line.finished || !isTrained)
          addTraining.run(line.fromMs, line.toMs, line.plannedMs, line.finished ? 1 : 0)
        break
      case 'pattern':
        if (add.pattern(line)) added.push({ process: line.process, action: line.action, path: line.path })
        counts.patterns++
        break
      case 'edge':
        if (add.edge(line)) added.push(line.edge)
        counts.edges++
        break
    }
  }
  const detail = { source, ...counts, added: added.length }
  new Journal(database).append({ timeMs: Date.now(), action: 'import', author, detail }, { added })
  return counts.edges
}

/** Adds a pattern, and says whether it was not there. */
function patternAdder(database: Database.Database): (line: z.infer<typeof PatternLine>) => boolean {
  const add = database.prepare<[string, string, string, string, string, number]>(
    `INSERT INTO patterns (process, action, path, printed, examples, learned_ms)
     VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  )
  return ({ process, action, path, pattern, examples, learnedMs }) =>
    add.run(process, action, path, pattern, JSON.stringify(examples), learnedMs).changes > 0
}

/** Merges an edge, and says whether it was not normal before. */
function edgeAdder(database: Database.Database): (line: z.infer<typeof EdgeLine>) => boolean {
  const addNode = database.prepare<[string]>('INSERT INTO nodes (name) VALUES (?) ON CONFLICT DO NOTHING')
  const nodeId = database.prepare<[string], number>('SELECT id FROM nodes WHERE name = ?').pluck()
  const isThere = database.prepare<[number, number, string]>(
    'SELECT 1 FROM edges WHERE from_id = ? AND to_id = ? AND kind = ?',
  )
  const addEdge = database.prepare<[number, number, string, number, number, number, number, number]>(
    `INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days, windows) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ${ON_SAME_EDGE}`,
  )
  // It need not wait for the end of its window any more.
  const settle = database.prepare<[number, number, string]>(
    'DELETE FROM fresh WHERE from_id = ? AND to_id = ? AND kind = ?',
  )
  const idOf = (name: string): number => {
    addNode.run(name)
    return nodeId.get(name) ?? 0
  }
  return ({ edge, firstMs, lastMs, sightings, days, windows = days }) => {
    const key = [idOf(edge.from), idOf(edge.to), edge.kind] as const
    const wasThere = isThere.get(...key) !== undefined
    addEdge.run(...key, firstMs, lastMs, sightings, days, windows)
    return settle.run(...key).changes > 0 || !wasThere
  }
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
      `SELECT kind, source.name AS "from", target.name AS "to", first_ms AS firstMs, last_ms AS lastMs, sightings, days,
              windows
         FROM edges JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
        ORDER BY source.name, kind, target.name`,
    )
    .iterate()
