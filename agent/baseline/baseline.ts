import type Database from 'better-sqlite3'
import type { LogPosition } from '../domain/chunk.ts'
import type { Edge, EdgeKind, FileAction } from '../domain/edge.ts'
import type { EventId } from '../domain/record.ts'
import type { Evidence } from '../domain/report.ts'
import { EdgeBook, type EdgeStats } from './edge-book.ts'
import { openDatabase } from './open.ts'

/** An unseen edge that waits for the end of its window. */
export interface UnseenEdge {
  readonly edge: Edge
  readonly chain: readonly string[]
  readonly firstMs: number
  readonly evidence: Evidence
}

export interface StoredPattern {
  readonly process: string
  readonly action: FileAction
  readonly path: string
  readonly printed: string
  readonly examples: readonly string[]
  readonly learnedMs: number
}

/** Where a live agent stands in its log, and how far its clock had come. */
export interface Checkpoint {
  readonly position: LogPosition
  /** Events behind that place that were finished before it. */
  readonly finished: readonly EventId[]
  readonly clockMs: number
}

export interface Training {
  readonly fromMs: number
  readonly toMs: number
  readonly plannedMs: number | undefined
  readonly finished: boolean
}

interface UnseenNow extends UnseenEdge {
  lastMs: number
  sightings: number
}

/**
 * What is normal on this host, and what was not, in one SQLite file.
 *
 * Sightings are gathered in memory and written at the end of a `batch`, in one transaction with the position in the
 * log: after a crash reading goes on right behind the last batch that was written.
 */
export class Baseline {
  private readonly database: Database.Database
  private readonly book: EdgeBook
  private readonly unseen = new Map<string, UnseenNow>()
  private readonly statements: ReturnType<typeof prepare>

  constructor(path: string) {
    this.database = openDatabase(path)
    this.statements = prepare(this.database)
    this.book = new EdgeBook({
      find: (edge) => this.statements.findEdge.get(edge.from, edge.to, edge.kind) !== undefined,
    })
  }

  /** Whether the baseline has the edge; if so it was seen again at `timeMs`. */
  sawKnown(edge: Edge, timeMs: number): boolean {
    return this.book.sawKnown(edge, timeMs)
  }

  /** The edge is normal from now on. True when it was not before. */
  learn(edge: Edge, timeMs: number): boolean {
    return this.book.learn(edge, timeMs)
  }

  /** The edge is not in the baseline: remembered once for each chain it happens in, until `reportable` hands it out. */
  sawUnseen(found: UnseenEdge): void {
    const { edge } = found
    const key = `${edge.kind} ${edge.from}\u0000${edge.to}\u0000${found.chain.join('\u0000')}`
    const known = this.unseen.get(key)
    if (known === undefined) this.unseen.set(key, { ...found, lastMs: found.firstMs, sightings: 1 })
    else {
      known.sightings++
      known.lastMs = Math.max(known.lastMs, found.firstMs)
    }
  }

  /**
   * Does `work` and writes all that it learned and saw, in one transaction: after a crash the file is as it was after
   * some batch. Within `work` transactions may nest.
   */
  batch<T>(work: () => T): T {
    return this.database.transaction(() => {
      const result = work()
      this.flush()
      return result
    })()
  }

  checkpoint(log: string): Checkpoint | undefined {
    const row = this.statements.readCheckpoint.get(log)
    if (row === undefined) return undefined
    const { path, inode, fingerprint, offset, clock_ms: clockMs } = row
    const finished = (JSON.parse(row.finished) as [string, number, number][]).map(
      ([node, timeMs, serial]) => ({
        node,
        timeMs,
        serial,
      }),
    )
    return { position: { path, inode, fingerprint, offset }, finished, clockMs }
  }

  /** Remembers how far the log has been read. Belongs into the batch that read it. */
  writeCheckpoint(log: string, { position, finished, clockMs }: Checkpoint): void {
    const ids = JSON.stringify(finished.map(({ node, timeMs, serial }) => [node, timeMs, serial]))
    this.statements.writeCheckpoint.run({ log, ...position, finished: ids, clockMs })
  }

  /** Unseen edges that have not been reported yet, in the order of time. */
  reportable(): readonly (UnseenEdge & { readonly id: number })[] {
    this.flush()
    return this.statements.unreported.all().map((row) => {
      const evidence = JSON.parse(row.evidence) as Evidence
      return {
        id: row.id,
        edge: { kind: row.kind, from: row.from_name, to: row.to_name },
        chain: JSON.parse(row.chain) as string[],
        firstMs: row.first_ms,
        evidence: { ...evidence, count: row.sightings },
      }
    })
  }

  /** These have been reported; with `merge` they are normal from now on. */
  markReported(ids: readonly number[], timeMs: number, merge: boolean): void {
    this.flush()
    for (const id of ids) {
      this.statements.markReported.run(timeMs, id)
      if (merge) {
        this.statements.mergeFinding.run(id)
        this.statements.markMerged.run(timeMs, id)
      }
    }
    if (merge) this.book.forget()
  }

  patterns(): readonly StoredPattern[] {
    return this.statements.patterns.all().map((row) => ({
      process: row.process,
      action: row.action,
      path: row.path,
      printed: row.printed,
      examples: JSON.parse(row.examples) as string[],
      learnedMs: row.learned_ms,
    }))
  }

  /** Stores a pattern and makes one edge of those it covers. `covers` gets the path of a file node. */
  addPattern(pattern: StoredPattern, covers: (path: string) => boolean): void {
    this.flush()
    this.statements.addPattern.run({ ...pattern, examples: JSON.stringify(pattern.examples) })
    const prefix = `file:${pattern.action}:`
    const edge: Edge = { kind: pattern.action, from: pattern.process, to: prefix + pattern.path }
    for (const covered of this.statements.edgesOfProcess.all(pattern.process, pattern.action)) {
      if (covered.name === edge.to || !covers(covered.name.slice(prefix.length))) continue
      this.writeEdge(edge, {
        firstMs: covered.first_ms,
        lastMs: covered.last_ms,
        sightings: covered.sightings,
        days: covered.days,
        firstDay: covered.last_day,
        lastDay: covered.last_day,
      })
      this.statements.deleteEdge.run(covered.from_id, covered.to_id, pattern.action)
      this.statements.deleteNodeIfUnused.run({ id: covered.to_id })
    }
    this.book.forget()
  }

  /** File edges of the baseline, for patterns to learn from after a restart. */
  *fileEdges(): Iterable<{ process: string; action: FileAction; path: string }> {
    for (const row of this.statements.fileEdges.iterate()) {
      yield {
        process: row.from_name,
        action: row.kind as FileAction,
        path: row.to_name.slice(row.kind.length + 6),
      }
    }
  }

  trainings(): readonly Training[] {
    return this.statements.trainings.all().map((row) => ({
      fromMs: row.from_ms,
      toMs: row.to_ms,
      plannedMs: row.planned_ms ?? undefined,
      finished: row.finished === 1,
    }))
  }

  beginTraining(fromMs: number, plannedMs: number | undefined): void {
    this.statements.beginTraining.run(fromMs, fromMs, plannedMs ?? null)
  }

  /** The training that goes on has learned up to `toMs`; `finished` ends it. */
  extendTraining(toMs: number, finished: boolean): void {
    this.statements.extendTraining.run(toMs, finished ? 1 : 0)
  }

  countEdges(): number {
    return this.statements.countEdges.get()?.count ?? 0
  }

  /** Distinct edges that were reported. */
  countReported(): number {
    return this.statements.countReported.get()?.count ?? 0
  }

  close(): void {
    this.database.close()
  }

  private flush(): void {
    this.book.drain((edge, stats) => this.writeEdge(edge, stats))
    for (const found of this.unseen.values()) this.writeUnseen(found)
    this.unseen.clear()
  }

  private nodeId(name: string): number | bigint {
    const known = this.statements.nodeId.get(name)
    return known === undefined ? this.statements.addNode.run(name).lastInsertRowid : known.id
  }

  private writeEdge(edge: Edge, stats: EdgeStats): void {
    this.statements.writeEdge.run({
      from: this.nodeId(edge.from),
      to: this.nodeId(edge.to),
      kind: edge.kind,
      ...stats,
    })
  }

  private writeUnseen(found: UnseenNow): void {
    this.statements.writeUnseen.run({
      from: this.nodeId(found.edge.from),
      to: this.nodeId(found.edge.to),
      kind: found.edge.kind,
      chain: JSON.stringify(found.chain),
      evidence: JSON.stringify(found.evidence),
      firstMs: found.firstMs,
      lastMs: found.lastMs,
      sightings: found.sightings,
    })
  }
}

interface FindingRow {
  id: number
  kind: EdgeKind
  from_name: string
  to_name: string
  chain: string
  evidence: string
  first_ms: number
  sightings: number
}

interface EdgeRow {
  from_id: number
  to_id: number
  name: string
  first_ms: number
  last_ms: number
  sightings: number
  days: number
  last_day: number
}

interface CheckpointRow {
  path: string
  inode: number
  fingerprint: string
  offset: number
  finished: string
  clock_ms: number
}

interface PatternRow {
  process: string
  action: FileAction
  path: string
  printed: string
  examples: string
  learned_ms: number
}

interface TrainingRow {
  from_ms: number
  to_ms: number
  planned_ms: number | null
  finished: 0 | 1
}

const prepare = (database: Database.Database) => ({
  nodeId: database.prepare<[string], { id: number }>('SELECT id FROM nodes WHERE name = ?'),
  addNode: database.prepare<[string]>('INSERT INTO nodes (name) VALUES (?)'),
  deleteNodeIfUnused: database.prepare<{ id: number }>(
    `DELETE FROM nodes WHERE id = @id
       AND NOT EXISTS (SELECT 1 FROM edges WHERE from_id = @id OR to_id = @id)
       AND NOT EXISTS (SELECT 1 FROM findings WHERE from_id = @id OR to_id = @id)`,
  ),
  findEdge: database.prepare<[string, string, string]>(
    `SELECT 1 FROM edges
      WHERE from_id = (SELECT id FROM nodes WHERE name = ?)
        AND to_id = (SELECT id FROM nodes WHERE name = ?) AND kind = ?`,
  ),
  writeEdge: database.prepare<EdgeStats & { from: number | bigint; to: number | bigint; kind: string }>(
    `INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days, last_day)
     VALUES (@from, @to, @kind, @firstMs, @lastMs, @sightings, @days, @lastDay)
     ON CONFLICT DO UPDATE SET
       first_ms = min(first_ms, excluded.first_ms),
       last_ms = max(last_ms, excluded.last_ms),
       sightings = sightings + excluded.sightings,
       days = days + excluded.days - (@firstDay <= last_day),
       last_day = max(last_day, excluded.last_day)`,
  ),
  deleteEdge: database.prepare<[number, number, string]>(
    'DELETE FROM edges WHERE from_id = ? AND to_id = ? AND kind = ?',
  ),
  edgesOfProcess: database.prepare<[string, string], EdgeRow>(
    `SELECT edges.*, nodes.name FROM edges JOIN nodes ON nodes.id = to_id
      WHERE from_id = (SELECT id FROM nodes WHERE name = ?) AND kind = ? ORDER BY to_id`,
  ),
  fileEdges: database.prepare<[], { kind: string; from_name: string; to_name: string }>(
    `SELECT kind, source.name AS from_name, target.name AS to_name FROM edges
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE kind IN ('create', 'delete', 'rename', 'write', 'attribute') ORDER BY from_id, to_id`,
  ),
  countEdges: database.prepare<[], { count: number }>('SELECT count(*) AS count FROM edges'),
  countReported: database.prepare<[], { count: number }>(
    `SELECT count(*) AS count FROM
       (SELECT DISTINCT from_id, to_id, kind FROM findings WHERE reported_ms IS NOT NULL)`,
  ),
  writeUnseen: database.prepare<{
    from: number | bigint
    to: number | bigint
    kind: string
    chain: string
    evidence: string
    firstMs: number
    lastMs: number
    sightings: number
  }>(
    `INSERT INTO findings (from_id, to_id, kind, chain, evidence, first_ms, last_ms, sightings)
     VALUES (@from, @to, @kind, @chain, @evidence, @firstMs, @lastMs, @sightings)
     ON CONFLICT DO UPDATE SET
       last_ms = max(last_ms, excluded.last_ms), sightings = sightings + excluded.sightings`,
  ),
  unreported: database.prepare<[], FindingRow>(
    `SELECT findings.*, source.name AS from_name, target.name AS to_name FROM findings
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE reported_ms IS NULL ORDER BY first_ms, findings.id`,
  ),
  markReported: database.prepare<[number, number]>('UPDATE findings SET reported_ms = ? WHERE id = ?'),
  markMerged: database.prepare<[number, number]>('UPDATE findings SET merged_ms = ? WHERE id = ?'),
  mergeFinding: database.prepare<[number]>(
    `INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days, last_day)
     SELECT from_id, to_id, kind, first_ms, last_ms, sightings,
            1 + (last_ms / 86400000 > first_ms / 86400000), last_ms / 86400000 FROM findings WHERE id = ?
     ON CONFLICT DO UPDATE SET
       first_ms = min(first_ms, excluded.first_ms),
       last_ms = max(last_ms, excluded.last_ms),
       sightings = sightings + excluded.sightings`,
  ),
  patterns: database.prepare<[], PatternRow>('SELECT * FROM patterns ORDER BY id'),
  addPattern: database.prepare<Omit<StoredPattern, 'examples'> & { examples: string }>(
    `INSERT INTO patterns (process, action, path, printed, examples, learned_ms)
     VALUES (@process, @action, @path, @printed, @examples, @learnedMs) ON CONFLICT DO NOTHING`,
  ),
  trainings: database.prepare<[], TrainingRow>('SELECT * FROM trainings ORDER BY id'),
  beginTraining: database.prepare<[number, number, number | null]>(
    'INSERT INTO trainings (from_ms, to_ms, planned_ms) VALUES (?, ?, ?)',
  ),
  extendTraining: database.prepare<[number, number]>(
    'UPDATE trainings SET to_ms = max(to_ms, ?), finished = ? WHERE id = (SELECT max(id) FROM trainings)',
  ),
  readCheckpoint: database.prepare<[string], CheckpointRow>('SELECT * FROM checkpoints WHERE log = ?'),
  writeCheckpoint: database.prepare<LogPosition & { log: string; finished: string; clockMs: number }>(
    `INSERT INTO checkpoints (log, path, inode, fingerprint, offset, finished, clock_ms)
     VALUES (@log, @path, @inode, @fingerprint, @offset, @finished, @clockMs)
     ON CONFLICT (log) DO UPDATE SET path = excluded.path, inode = excluded.inode,
       fingerprint = excluded.fingerprint, offset = excluded.offset, finished = excluded.finished, clock_ms = excluded.clock_ms`,
  ),
})
