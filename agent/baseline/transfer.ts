import { createHash, type Hash } from 'node:crypto'
import type Database from 'better-sqlite3'
import { z } from 'zod'
import { type Edge, EDGE_KINDS, type EdgeKind, isPeerAction, type PatternAction } from '../domain/edge.ts'
import { UsageError } from '../domain/result.ts'
import type { PatternRow } from './pattern-book.ts'
import type { Item } from './content.ts'
import { Journal } from './journal.ts'
import { type Doubt, DOUBTS, type EdgeAge, type EdgeState, LIFE_SPAN, quietSince, stateOf } from './life.ts'
import { ON_SAME_EDGE } from './migrations.ts'
import { openDatabase, openForReading } from './open.ts'
import { refuseBrokenJournal } from './verify.ts'

/**
 * First line of an export; the number changes when older programs could not read it. 1 had no line of kind `end`, 2 none
 * of what a person said.
 */
const FORMAT = 3
const STATELESS_FORMAT = 2
const UNSEALED_FORMAT = 1
/** Of a name or a reason. */
const LONGEST_WORDS = 1000

export interface StoredEdge {
  readonly kind: EdgeKind
  readonly from: string
  readonly to: string
  readonly firstMs: number
  readonly lastMs: number
  readonly sightings: number
  readonly days: number
  readonly windows: number
  readonly state: EdgeState
  /** Why it is provisional, besides having been seen in one window only. */
  readonly doubt?: Doubt
  readonly accepted?: Verdict
}

/** Who said so. */
export interface Verdict {
  readonly timeMs: number
  readonly author: string
  readonly reason?: string
}

/** An edge that a person said is never normal. */
export interface DeniedEdge {
  readonly edge: Edge
  readonly denied: Verdict
}

/** Names as the graph prints them: no control character, no second line. */
const Node = z
  .string()
  .regex(/^(?:proc|host|file):[^\u0000-\u001f\u007f-\u009f\u2028\u2029\p{Cs}]*$/u, 'no name of a node')
/**
 * Literal text, escapes, classes without a slash and counts: nothing that could cover a file in another directory. Before it
 * may stand that it covers what may be executed: see graph/patterns.ts.
 */
const PATH =
  /^(?:\(\?<executable>\))?(?:\(\?!(?:\[[A-Za-z_-]+\](?:\{\d+\})?)+\)|[^\\^$.*+?()[\]{}|]|\\(?:[^A-Za-z0-9]|d)|\[[^\]^/\\][^\]/\\]*\]|\+|\{\d+(?:,\d+)?\})*$/
/** A network, a class of hosts or one host, and its ports. */
const PEERS = /^(?:\[[0-9a-f:]+(?:\/\d+)?\]|[a-z0-9_.-]+(?:\/\d+)?):(?:\d+|\d+-\d+|\*)$/

const Header = z.strictObject({
  kind: z.literal('baseline'),
  format: z.literal([UNSEALED_FORMAT, STATELESS_FORMAT, FORMAT]),
})
const Time = z.int().min(0)
const Name = z.string().max(LONGEST_WORDS)
const VerdictWords = z.strictObject({ timeMs: Time, author: Name, reason: Name.optional() })
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
    doubt: z.enum(DOUBTS).optional(),
    accepted: VerdictWords.optional(),
  })
  .refine(({ firstMs, lastMs }) => firstMs <= lastMs, 'lastMs is before firstMs')
  .refine(({ sightings, days }) => days <= sightings, 'more days than sightings')
  .refine(({ sightings, windows = 1 }) => windows <= sightings, 'more windows than sightings')
/** Sockets of this host have paths. */
const isOverHosts = (action: PatternAction, path: string): boolean =>
  isPeerAction(action) && !path.startsWith('unix:')

const PatternLine = z
  .strictObject({
    kind: z.literal('pattern'),
    process: Node,
    action: z.enum(['create', 'delete', 'rename', 'write', 'attribute', 'connect', 'listen', 'accept']),
    path: z.string().min(1),
    pattern: z.string(),
    examples: z.array(z.string()),
    learnedMs: Time,
    // Not of one that was just learned.
    state: z.enum(['pinned', 'denied']).optional(),
  })
  .refine(({ action, path }) => (isOverHosts(action, path) ? PEERS : PATH).test(path), {
    path: ['path'],
    error: 'no pattern of a path',
  })
  .refine(
    ({ action, process, path, pattern }) =>
      isOverHosts(action, path)
        ? pattern === `${process}->host:${path}`
        : pattern.startsWith('^') && pattern.endsWith(`${path}$`),
    'pattern and path differ',
  )
const DeniedLine = z.strictObject({
  kind: z.literal('denied'),
  edge: z.strictObject({ kind: z.enum(EDGE_KINDS), from: Node, to: Node }),
  denied: VerdictWords,
})
/** A server whose answers are believed: see agent/peers/peers.ts. */
const ResolverLine = z.strictObject({
  kind: z.literal('resolver'),
  address: z.union([z.ipv4(), z.ipv6()], { error: 'no address' }),
})
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
const Line = z.discriminatedUnion('kind', [
  Header,
  EdgeLine,
  DeniedLine,
  PatternLine,
  TrainingLine,
  ResolverLine,
  EndLine,
])
type Line = z.infer<typeof Line>

/** Who imports, and from where: for the journal and for complaints. */
export interface Importer {
  readonly source: string
  readonly author: string
  /**
   * Head of the journal of a baseline that is taken instead of training; null when it had none. Undefined for one that is
   * merged into another.
   */
  readonly head?: string | null
}

/** Lines that were exported, all of them read and found right. */
export interface Export {
  readonly lines: readonly Line[]
  /** Of the lines before the end, in hex. */
  readonly sha256: string
  /** False for an export of an older program, of which nobody can tell whether it is whole. */
  readonly isSealed: boolean
}

export interface Imported {
  /** Edges that were read. */
  readonly edges: number
  /** Edges among them that stay unseen, because a person denied them. */
  readonly refused: number
  /** False for an export of an older program, of which nobody can tell whether it is whole. */
  readonly isSealed: boolean
  /** Whether it was imported before, so that nothing was added. */
  readonly isRepeated?: true
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

/** Edges that a person denied, in the order of their names. */
export function* deniedIn(path: string): Iterable<DeniedEdge> {
  const database = openForReading(path)
  try {
    yield* selectDenied(database)
  } finally {
    database.close()
  }
}

/**
 * What is normal, one JSON object a line: a header, trainings, servers of DNS, patterns, what was denied, edges in the
 * order of their names, and an end that tells whether all of it is there. Consistent while an agent writes, because it is one read
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
    for (const address of resolversIn(database))
      yield JSON.stringify({ kind: 'resolver', address } satisfies z.infer<typeof ResolverLine>)
    const patterns = database
      .prepare('SELECT * FROM patterns ORDER BY process, action, path')
      .all() as PatternRow[]
    for (const row of patterns) {
      const { process, action, path: pattern, printed, examples, learned_ms: learnedMs, state } = row
      const parsed = JSON.parse(examples) as string[]
      yield JSON.stringify({
        kind: 'pattern',
        process,
        action,
        path: pattern,
        pattern: printed,
        examples: parsed,
        learnedMs,
        ...(state === 'learned' ? {} : { state }),
      })
    }
    for (const denied of selectDenied(database))
      yield JSON.stringify({ kind: 'denied', ...denied } satisfies z.infer<typeof DeniedLine>)
    for (const stored of selectEdges(database)) {
      const { kind, from, to, firstMs, lastMs, sightings, days, windows, doubt, accepted } = stored
      const stats = { firstMs, lastMs, sightings, days, windows, doubt, accepted }
      yield JSON.stringify({ kind: 'edge', edge: { kind, from, to }, ...stats } satisfies z.input<
        typeof EdgeLine
      >)
    }
  } finally {
    database.close()
  }
}

/**
 * Merges exported lines into a baseline, all of them or none, and writes so into its journal. What stands there already is
 * not merged again.
 *
 * @throws UsageError naming the first line that is wrong, or what the journal of the baseline does not vouch for
 */
export function importBaseline(path: string, lines: Iterable<string>, importer: Importer): Imported {
  return importExport(path, readExport(lines, importer.source), importer)
}

/**
 * @param source where the lines are from, in complaints
 * @throws UsageError naming the first line that is wrong
 */
export function readExport(lines: Iterable<string>, source: string): Export {
  const seal = createHash('sha256')
  const parsed = [...parse(lines, source, seal)]
  return { lines: parsed, sha256: seal.digest('hex'), isSealed: parsed.at(-1)?.kind === 'end' }
}

/** Whether its last training came to its end. */
export const isTrained = ({ lines }: Export): boolean =>
  lines.findLast((line) => line.kind === 'training')?.finished === true

/** As `importBaseline`. @throws UsageError when the journal of the baseline does not vouch for it */
export function importExport(path: string, exported: Export, importer: Importer): Imported {
  const database = openDatabase(path)
  try {
    const merge = database.transaction(() => {
      refuseBrokenJournal(database, path, 'nothing is imported into')
      if (wasImported(database, exported.sha256)) return { edges: 0, refused: 0, isRepeated: true as const }
      return write(database, exported, importer)
    })
    return { ...merge.immediate(), isSealed: exported.isSealed }
  } finally {
    database.close()
  }
}

/** Whether a row of the journal says so. */
const wasImported = (database: Database.Database, sha256: string): boolean =>
  database
    .prepare<[string]>(
      "SELECT 1 FROM journal WHERE action = 'import' AND json_extract(detail, '$.sha256') = ?",
    )
    .get(sha256) !== undefined

/** Servers whose answers are believed, as the agent remembers them: see agent/peer-book.ts. */
const resolversIn = (database: Database.Database): readonly string[] =>
  JSON.parse(
    database
      .prepare<[], string>(
        "SELECT value FROM state WHERE node = '' AND kind = 'memory' AND key = 'resolvers'",
      )
      .pluck()
      .get() ?? '[]',
  ) as string[]

/** @param seal takes the lines before the end */
function* parse(lines: Iterable<string>, source: string, seal: Hash): Iterable<Line> {
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
      if (line.data.kind === 'pattern' && !isOverHosts(line.data.action, line.data.path))
        checkPattern(line.data.path, place)
      if (line.data.kind === 'end') {
        checkEnd(line.data, { lines: number - 1, sha256: seal.copy().digest('hex') }, place)
        isEnded = true
      }
      yield line.data
    }
    if (!isEnded) seal.update(`${text}\n`)
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

function write(
  database: Database.Database,
  { lines, sha256 }: Export,
  { source, author, head }: Importer,
): Pick<Imported, 'edges' | 'refused'> {
  const addTraining = database.prepare<[number, number, number | null, number]>(
    'INSERT INTO trainings (from_ms, to_ms, planned_ms, finished) VALUES (?, ?, ?, ?)',
  )
  const wasTrained =
    database.prepare<[], { finished: number }>('SELECT finished FROM trainings ORDER BY id DESC').get()
      ?.finished === 1
  const rows = new EdgeRows(database)
  const addPattern = patternAdder(database)
  const change = { added: [] as Item[], removed: [] as Item[], denied: [] as Edge[] }
  const accepted: Edge[] = []
  const newlyDenied = new Set<string>()
  const resolvers = new Set(resolversIn(database))
  const known = resolvers.size
  const counts = { edges: 0, patterns: 0, denied: 0, refused: 0 }
  for (const line of lines) {
    switch (line.kind) {
      case 'baseline':
      case 'end':
        break
      case 'training':
        // Half a training does not take away that the baseline is trained.
        if (line.finished || !wasTrained)
          addTraining.run(line.fromMs, line.toMs, line.plannedMs, line.finished ? 1 : 0)
        break
      case 'resolver':
        resolvers.add(line.address)
        break
      case 'pattern':
        if (addPattern(line))
          change.added.push({
            ...{ process: line.process, action: line.action, path: line.path },
            isDenied: line.state === 'denied',
          })
        counts.patterns++
        break
      case 'denied':
        if (rows.isDenied(line.edge) || newlyDenied.has(keyOf(line.edge))) break
        newlyDenied.add(keyOf(line.edge))
        if (rows.remove(line.edge)) change.removed.push(line.edge)
        change.denied.push(line.edge)
        counts.denied++
        break
      case 'edge':
        counts.edges++
        if (rows.isDenied(line.edge) || newlyDenied.has(keyOf(line.edge))) {
          counts.refused++
          break
        }
        if (rows.add(line)) change.added.push(line.edge)
        if (line.accepted !== undefined) accepted.push(line.edge)
        break
    }
  }
  const { edges, patterns, denied, refused } = counts
  const more = {
    ...(denied === 0 ? {} : { denied }),
    ...(refused === 0 ? {} : { refused }),
    ...(head === undefined ? {} : { head }),
  }
  const trusted = [...resolvers].slice(known)
  const believed = trusted.length === 0 ? {} : { resolvers: trusted }
  const detail = { source, sha256, edges, patterns, added: change.added.length, ...more, ...believed }
  const row = new Journal(database).append({ timeMs: Date.now(), action: 'import', author, detail }, change)
  if (trusted.length > 0)
    database
      .prepare<[string]>(
        `INSERT INTO state (node, kind, key, value) VALUES ('', 'memory', 'resolvers', ?)
         ON CONFLICT DO UPDATE SET value = excluded.value`,
      )
      .run(JSON.stringify([...resolvers]))
  for (const edge of change.denied) rows.deny(edge, row)
  for (const edge of accepted) rows.accept(edge, row)
  return { edges, refused }
}

const keyOf = ({ kind, from, to }: Edge): string => `${kind} ${from}->${to}`

/** Adds a pattern, and says whether it was not there. */
function patternAdder(database: Database.Database): (line: z.infer<typeof PatternLine>) => boolean {
  const add = database.prepare<[string, string, string, string, string, number, string]>(
    `INSERT INTO patterns (process, action, path, printed, examples, learned_ms, state)
     VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  )
  return ({ process, action, path, pattern, examples, learnedMs, state = 'learned' }) =>
    add.run(process, action, path, pattern, JSON.stringify(examples), learnedMs, state).changes > 0
}

/** What an import does to edges. */
class EdgeRows {
  private readonly statements: ReturnType<typeof prepareRows>

  constructor(database: Database.Database) {
    this.statements = prepareRows(database)
  }

  /** Merges an edge, and says whether it was not normal before. */
  add({ edge, firstMs, lastMs, sightings, days, windows = days, doubt }: z.infer<typeof EdgeLine>): boolean {
    const key = this.keyOf(edge)
    const wasThere = this.statements.isThere.get(...key) !== undefined
    this.statements.add.run(...key, firstMs, lastMs, sightings, days, windows, doubt ?? null)
    // It need not wait for the end of its window any more.
    return this.statements.settle.run(...key).changes > 0 || !wasThere
  }

  /** Takes an edge away, and says whether it was normal. */
  remove(edge: Edge): boolean {
    const key = this.keyOf(edge)
    const wasFresh = this.statements.settle.run(...key).changes > 0
    return this.statements.remove.run(...key).changes > 0 && !wasFresh
  }

  isDenied(edge: Edge): boolean {
    return this.statements.isDenied.get(...this.keyOf(edge)) !== undefined
  }

  deny(edge: Edge, journal: number): void {
    this.statements.deny.run(...this.keyOf(edge), journal)
  }

  accept(edge: Edge, journal: number): void {
    this.statements.accept.run(journal, ...this.keyOf(edge))
  }

  private keyOf({ kind, from, to }: Edge): readonly [number, number, string] {
    return [this.idOf(from), this.idOf(to), kind]
  }

  private idOf(name: string): number {
    this.statements.addNode.run(name)
    return this.statements.nodeId.get(name) ?? 0
  }
}

const prepareRows = (database: Database.Database) => ({
  addNode: database.prepare<[string]>('INSERT INTO nodes (name) VALUES (?) ON CONFLICT DO NOTHING'),
  nodeId: database.prepare<[string], number>('SELECT id FROM nodes WHERE name = ?').pluck(),
  isThere: database.prepare<[number, number, string]>(
    'SELECT 1 FROM edges WHERE from_id = ? AND to_id = ? AND kind = ?',
  ),
  add: database.prepare<[number, number, string, number, number, number, number, number, string | null]>(
    `INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days, windows, doubt)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ${ON_SAME_EDGE}`,
  ),
  settle: database.prepare<[number, number, string]>(
    'DELETE FROM fresh WHERE from_id = ? AND to_id = ? AND kind = ?',
  ),
  remove: database.prepare<[number, number, string]>(
    'DELETE FROM edges WHERE from_id = ? AND to_id = ? AND kind = ?',
  ),
  isDenied: database.prepare<[number, number, string]>(
    'SELECT 1 FROM denied WHERE from_id = ? AND to_id = ? AND kind = ?',
  ),
  deny: database.prepare<[number, number, string, number]>('INSERT INTO denied VALUES (?, ?, ?, ?)'),
  accept: database.prepare<[number, number, number, string]>(
    'UPDATE edges SET accepted = ?, doubt = NULL WHERE from_id = ? AND to_id = ? AND kind = ?',
  ),
})

interface TrainingRow {
  from_ms: number
  to_ms: number
  planned_ms: number | null
  finished: 0 | 1
}

/** Columns of the row of the journal in which a person said so. */
const VERDICT = `journal.time_ms AS verdictMs, journal.author, journal.detail`

interface VerdictRow {
  verdictMs: number | null
  author: string | null
  detail: string | null
}

interface EdgeRow extends EdgeAge, VerdictRow {
  kind: EdgeKind
  from: string
  to: string
  firstMs: number
  sightings: number
  days: number
}

function* selectEdges(database: Database.Database): Iterable<StoredEdge> {
  const rows = database.prepare<[], EdgeRow>(
    `SELECT kind, source.name AS "from", target.name AS "to", first_ms AS firstMs, last_ms AS lastMs, sightings, days,
            windows, doubt, accepted, ${VERDICT}
       FROM edges JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
       LEFT JOIN journal ON journal.id = accepted
      ORDER BY source.name, kind, target.name`,
  )
  const dormantMs = quietSince(database, LIFE_SPAN.dormantDays)
  for (const row of rows.iterate()) {
    const { kind, from, to, firstMs, lastMs, sightings, days, windows, doubt, accepted } = row
    const stats = { firstMs, lastMs, sightings, days, windows, state: stateOf(row, dormantMs) }
    yield {
      ...{ kind, from, to, ...stats },
      ...(doubt === null ? {} : { doubt }),
      ...(accepted === null ? {} : { accepted: verdictOf(row) }),
    }
  }
}

function* selectDenied(database: Database.Database): Iterable<DeniedEdge> {
  const rows = database.prepare<[], Edge & VerdictRow>(
    `SELECT kind, source.name AS "from", target.name AS "to", ${VERDICT}
       FROM denied JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
       LEFT JOIN journal ON journal.id = denied.journal ORDER BY source.name, kind, target.name`,
  )
  for (const row of rows.iterate()) {
    const { kind, from, to } = row
    yield { edge: { kind, from, to }, denied: verdictOf(row) }
  }
}

function verdictOf({ verdictMs, author, detail }: VerdictRow): Verdict {
  const { reason } = JSON.parse(detail ?? '{}') as { reason?: string }
  return { timeMs: verdictMs ?? 0, author: author ?? '?', ...(reason === undefined ? {} : { reason }) }
}
