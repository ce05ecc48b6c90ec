import type Database from 'better-sqlite3'
import type { Edge } from '../domain/edge.ts'
import type { Learned } from '../domain/learning.ts'
import type { RowId } from './edge-book.ts'
import type { StoredEdges } from './edges.ts'
import { learnedOf } from './learned.ts'
import type { Ledger } from './ledger.ts'

export interface Training {
  readonly fromMs: number
  readonly toMs: number
  readonly plannedMs: number | undefined
  readonly finished: boolean
}

/** When was trained, and the edges of the window that goes on: fresh ones, which are not normal before it ends. */
export class Trainings {
  private readonly database: Database.Database
  private readonly edges: StoredEdges
  private readonly ledger: Ledger
  private readonly statements: ReturnType<typeof prepare>
  private readonly flush: () => void
  private trainingId: RowId = 0

  /** @param flush writes what is still in memory */
  constructor(database: Database.Database, edges: StoredEdges, ledger: Ledger, flush: () => void) {
    this.database = database
    this.edges = edges
    this.ledger = ledger
    this.statements = prepare(database)
    this.flush = flush
  }

  all(): readonly Training[] {
    return this.statements.trainings.all().map((row) => ({
      fromMs: row.from_ms,
      toMs: row.to_ms,
      plannedMs: row.planned_ms ?? undefined,
      finished: row.finished === 1,
    }))
  }

  /** The training that was begun last and is not finished goes on. */
  resume(): void {
    this.trainingId = this.statements.lastTraining.get()?.id ?? this.trainingId
  }

  begin(fromMs: number, plannedMs: number | undefined): void {
    this.trainingId = this.statements.beginTraining.run(fromMs, fromMs, plannedMs ?? null).lastInsertRowid
  }

  /** The training that was begun last has learned up to `toMs`; `finished` ends it. */
  extend(toMs: number, finished: boolean): void {
    this.statements.extendTraining.run(toMs, finished ? 1 : 0, this.trainingId)
  }

  /**
   * The window of the training is over. What was learned in it is normal from now on, or was never learned. What the
   * trees of unreported findings did is in doubt.
   * @param timeMs of its end
   * @param isDegraded whether the window was not seen whole
   * @returns how many edges that are
   */
  settle(isKept: boolean, timeMs: number, isDegraded = false): number {
    this.flush()
    const { count } = this.statements.countFresh.get() ?? { count: 0 }
    if (count === 0) return 0
    if (isKept) {
      const detail = { edges: count }
      this.ledger.write({ action: 'learn', timeMs, detail }, this.statements.freshEdges.iterate())
      if (isDegraded) this.statements.doubtFresh.run()
      this.statements.suspectFresh.run()
    } else {
      this.statements.deleteFreshEdges.run()
      this.edges.forget()
    }
    this.statements.clearFresh.run()
    return count
  }

  /** What the training has seen so far, or the last one saw. */
  learned(): Learned | undefined {
    this.flush()
    return learnedOf(this.database)
  }
}

interface TrainingRow {
  from_ms: number
  to_ms: number
  planned_ms: number | null
  finished: 0 | 1
}

const prepare = (database: Database.Database) => ({
  trainings: database.prepare<[], TrainingRow>('SELECT * FROM trainings ORDER BY id'),
  lastTraining: database.prepare<[], { id: number }>(
    'SELECT max(id) AS id FROM trainings WHERE finished = 0 HAVING max(id) IS NOT NULL',
  ),
  beginTraining: database.prepare<[number, number, number | null]>(
    'INSERT INTO trainings (from_ms, to_ms, planned_ms) VALUES (?, ?, ?)',
  ),
  extendTraining: database.prepare<[number, number, RowId]>(
    'UPDATE trainings SET to_ms = max(to_ms, ?), finished = ? WHERE id = ?',
  ),
  countFresh: database.prepare<[], { count: number }>('SELECT count(*) AS count FROM fresh'),
  freshEdges: database.prepare<[], Edge>(
    `SELECT kind, source.name AS "from", target.name AS "to" FROM fresh
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id`,
  ),
  clearFresh: database.prepare<[]>('DELETE FROM fresh'),
  doubtFresh: database.prepare<[]>(
    "UPDATE edges SET doubt = 'degraded' WHERE (from_id, to_id, kind) IN (SELECT from_id, to_id, kind FROM fresh)",
  ),
  suspectFresh: database.prepare<[]>(
    `UPDATE edges SET doubt = 'incident' WHERE (from_id, to_id, kind) IN
       (SELECT from_id, to_id, kind FROM fresh WHERE tree <> '' AND tree IN (SELECT tree FROM findings WHERE reported_ms IS NULL))`,
  ),
  deleteFreshEdges: database.prepare<[]>(
    'DELETE FROM edges WHERE (from_id, to_id, kind) IN (SELECT from_id, to_id, kind FROM fresh)',
  ),
})
