import type Database from 'better-sqlite3'
import type { Edge, EdgeKind, FileAction } from '../domain/edge.ts'
import { EdgeBook, type EdgeRow, type EdgeStats, type KnownEdge, type RowId } from './edge-book.ts'
import { ON_SAME_EDGE, SEEN_AGAIN } from './migrations.ts'
import { NOT_FRESH } from './sources.ts'

/** File edges that a restarted agent still remembers as siblings. */
const MOST_RECENT = 10_000

/** Edges that are normal, those learned in the window of a training that goes on, and the nodes of all. */
export class StoredEdges {
  private readonly book: EdgeBook
  private readonly statements: ReturnType<typeof prepare>
  /** What was not seen since then is dormant. Unix time in milliseconds. */
  private dormantMs = Number.NEGATIVE_INFINITY

  constructor(database: Database.Database) {
    this.statements = prepare(database)
    this.book = new EdgeBook({ find: (edge) => this.findRow(edge) })
  }

  /** Changes whenever what `find`, and `saw` of UnseenBook, have handed out must not be counted any more. */
  get edition(): number {
    return this.book.edition
  }

  /** The edge when the baseline has it, for `count`: as long as `edition` is the same it need not be looked for again. */
  find(edge: Edge): KnownEdge | undefined {
    return this.book.find(edge)
  }

  /** A known edge was seen again. */
  count(known: KnownEdge, timeMs: number): void {
    this.book.count(known, timeMs)
  }

  /** The edge is normal from now on. True when it was not before. `tree`: of the processes that made it. */
  learn(edge: Edge, timeMs: number, tree = ''): boolean {
    return this.book.learn(edge, timeMs, tree)
  }

  /** The edges are others now, behind this one's back; what was not written is lost. */
  forget(): void {
    this.book.forget()
  }

  /** What was not seen since `dormantMs` is dormant. What is remembered of an edge does not say so: `forget` it, too. */
  ageBy(dormantMs: number): void {
    this.dormantMs = dormantMs
  }

  /** Writes what was learned and counted. Belongs into a transaction. */
  write(): void {
    this.book.drain((known) => this.writeEdge(known))
  }

  /** Row of a node, made when there is none. */
  nodeId(name: string): RowId {
    const known = this.statements.nodeId.get(name)
    return known === undefined ? this.statements.addNode.run(name).lastInsertRowid : known.id
  }

  /** Stores an edge between these nodes, or adds what was seen of it. */
  put(
    from: RowId,
    to: RowId,
    kind: EdgeKind,
    { firstMs, lastMs, sightings, days, windows }: EdgeStats,
  ): void {
    this.statements.writeEdge.run(from, to, kind, firstMs, lastMs, sightings, days, windows)
  }

  /** What is stored is not normal before the window of the training ends. */
  addFresh(from: RowId, to: RowId, kind: EdgeKind, tree: string): void {
    this.statements.addFresh.run(from, to, kind, tree)
  }

  /** Whether the edge is stored. */
  has({ from, to, kind }: Edge): boolean {
    return this.statements.findEdge.get(from, to, kind) !== undefined
  }

  /** Whether anything is done to a node, when all is normal. */
  isTarget(name: string): boolean {
    return this.statements.knownTarget.get(name) !== undefined
  }

  /** Whom a process listens at and takes connections from, when all is normal; not all, when they are many. */
  callersOf(process: string): readonly string[] {
    return this.statements.callersOf.all(process).map(({ name }) => name)
  }

  /** What a process has done of one kind, when all was normal. */
  habitOf(process: string, kind: EdgeKind): { readonly targets: number; readonly sightings: number } {
    return this.statements.habitOf.get(process, kind) ?? { targets: 0, sightings: 0 }
  }

  /** Whether a process stands in the baseline, as one that did something before this window. */
  isKnown(process: string): boolean {
    return this.book.hasSource(process) || this.statements.knownSource.get(process) !== undefined
  }

  /** Processes that stand in the baseline or in a finding. */
  *processes(): Iterable<string> {
    for (const { name } of this.statements.processes.all()) yield name
  }

  /** The file edges that were seen last, oldest first: for patterns to learn from after a restart. */
  *recentFileEdges(): Iterable<{ process: string; action: FileAction; path: string }> {
    for (const row of this.statements.recentFileEdges.all(MOST_RECENT).reverse()) {
      yield {
        process: row.from_name,
        action: row.kind as FileAction,
        path: row.to_name.slice(`file:${row.kind}:`.length),
      }
    }
  }

  countEdges(): number {
    return this.statements.countEdges.get()?.count ?? 0
  }

  private findRow({ from, to, kind }: Edge): EdgeRow | undefined {
    const row = this.statements.findEdgeAge.get(from, to, kind)
    if (row === undefined) return undefined
    const { accepted, ...found } = row
    const isAccepted = accepted !== null
    return { ...found, isDormant: !isAccepted && row.lastMs < this.dormantMs, isAccepted }
  }

  private writeEdge(known: KnownEdge): void {
    const { edge, from, to } = known
    known.from = from ?? this.nodeId(edge.from)
    known.to = to ?? this.nodeId(edge.to)
    const { firstMs, lastMs, sightings, days, windows } = known
    this.statements.countEdge.run(known.from, known.to, edge.kind, firstMs, lastMs, sightings, days, windows)
    if (from === undefined) this.addFresh(known.from, known.to, edge.kind, known.tree)
  }
}

const prepare = (database: Database.Database) => ({
  nodeId: database.prepare<[string], { id: number }>('SELECT id FROM nodes WHERE name = ?'),
  addNode: database.prepare<[string]>('INSERT INTO nodes (name) VALUES (?)'),
  findEdgeAge: database.prepare<
    [string, string, string],
    Omit<EdgeRow, 'isDormant' | 'isAccepted'> & { accepted: number | null }
  >(
    `SELECT from_id AS "from", to_id AS "to", first_ms AS firstMs, last_ms AS lastMs, accepted FROM edges
      WHERE from_id = (SELECT id FROM nodes WHERE name = ?)
        AND to_id = (SELECT id FROM nodes WHERE name = ?) AND kind = ?`,
  ),
  findEdge: database.prepare<[string, string, string], { known: 1 }>(
    `SELECT 1 AS known FROM edges
      WHERE from_id = (SELECT id FROM nodes WHERE name = ?)
        AND to_id = (SELECT id FROM nodes WHERE name = ?) AND kind = ?`,
  ),
  writeEdge: database.prepare<[RowId, RowId, string, number, number, number, number, number]>(
    `INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days, windows)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?) ${ON_SAME_EDGE}`,
  ),
  // Days and windows are what came to it: see KnownEdge.
  countEdge: database.prepare<[RowId, RowId, string, number, number, number, number, number]>(
    `INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days, windows)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET ${SEEN_AGAIN}, days = days + excluded.days, windows = windows + excluded.windows`,
  ),
  addFresh: database.prepare<[RowId, RowId, string, string]>(
    'INSERT INTO fresh (from_id, to_id, kind, tree) VALUES (?, ?, ?, ?)',
  ),
  // A semicolon is the character behind a colon.
  processes: database.prepare<[], { name: string }>(
    "SELECT name FROM nodes WHERE name > 'proc:' AND name < 'proc;'",
  ),
  recentFileEdges: database.prepare<[number], { kind: string; from_name: string; to_name: string }>(
    `SELECT kind, source.name AS from_name, target.name AS to_name FROM edges
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE kind IN ('create', 'delete', 'rename', 'write', 'attribute')
      ORDER BY last_ms DESC, target.name, source.name, kind LIMIT ?`,
  ),
  countEdges: database.prepare<[], { count: number }>('SELECT count(*) AS count FROM edges'),
  callersOf: database.prepare<[string], { name: string }>(
    `SELECT target.name FROM edges JOIN nodes target ON target.id = to_id
      WHERE from_id = (SELECT id FROM nodes WHERE name = ?) AND kind IN ('listen', 'accept')
      ORDER BY kind, target.name LIMIT 100`,
  ),
  habitOf: database.prepare<[string, string], { targets: number; sightings: number }>(
    `SELECT count(*) AS targets, coalesce(sum(sightings), 0) AS sightings FROM edges
      WHERE from_id = (SELECT id FROM nodes WHERE name = ?) AND kind = ?`,
  ),
  knownSource: database.prepare<[string], { known: 1 }>(
    `SELECT 1 AS known FROM edges WHERE from_id = (SELECT id FROM nodes WHERE name = ?) AND ${NOT_FRESH} LIMIT 1`,
  ),
  knownTarget: database.prepare<[string], { known: 1 }>(
    'SELECT 1 AS known FROM edges WHERE to_id = (SELECT id FROM nodes WHERE name = ?) LIMIT 1',
  ),
})
