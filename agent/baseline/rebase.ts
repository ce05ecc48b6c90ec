import type Database from 'better-sqlite3'
import type { Edge, EdgeKind } from '../domain/edge.ts'
import { resetDecided } from './alerts.ts'
import type { Decision, Refusal } from './decisions.ts'
import type { StoredEdges } from './edges.ts'
import type { FindingRow } from './finding-row.ts'
import type { Ledger } from './ledger.ts'
import { DOUBT_OF_MERGED, tellAgain } from './life.ts'
import { ON_SAME_EDGE } from './migrations.ts'

/** What was found, and why it does not become normal if it does not. */
export interface MergedFinding extends Omit<Refusal, 'why'> {
  readonly incident: number
  readonly why: Refusal['why'] | undefined
}

/** Makes normal what was found. */
export class Rebase {
  private readonly database: Database.Database
  private readonly edges: StoredEdges
  private readonly ledger: Ledger
  private readonly statements: ReturnType<typeof prepare>
  private readonly flush: () => void

  /** @param flush writes what is still in memory */
  constructor(database: Database.Database, edges: StoredEdges, ledger: Ledger, flush: () => void) {
    this.database = database
    this.edges = edges
    this.ledger = ledger
    this.statements = prepare(database)
    this.flush = flush
  }

  /**
   * Everything that ever was reported is normal from now on, unless it was only seen in windows that were not seen whole,
   * or may never be learned. It stays in doubt.
   * @param windowMs when the window began that has just been seen whole
   * @returns the edges that became normal
   */
  mergeReported(timeMs: number, windowMs: number): readonly Edge[] {
    this.flush()
    this.statements.seenWhole.run(windowMs)
    const rows = this.statements.unmerged.all()
    return this.merge(rows, { timeMs, author: 'agent', reason: undefined }).edges
  }

  /**
   * What incidents have shown is normal from now on, but what was only seen in windows that were not seen whole, or may
   * never be learned. It stays in doubt.
   * @param ids of the incidents; without, all that nobody has decided on
   * @returns each finding, with why it was left out if it was, and the alerts that are reset with them
   */
  mergeIncidents(
    ids: readonly number[] | undefined,
    decision: Decision,
  ): { readonly found: readonly MergedFinding[]; readonly alerts: readonly number[] } {
    this.flush()
    const chosen = ids === undefined ? undefined : new Set(ids)
    const rows = this.statements.mergeable
      .all()
      .filter(({ incident }) => chosen === undefined || chosen.has(incident))
    const found = rows.map((row): MergedFinding => {
      const { incident, kind, from_name: from, to_name: to, denied, degraded, mark } = row
      const why = denied === 1 ? 'denied' : (mark ?? (degraded === 1 ? 'degraded' : undefined))
      const edge = { kind, from, to }
      return { incident, edge, why: why === 'dormant' ? undefined : why }
    })
    const { row } = this.merge(
      rows.filter((_, index) => found[index]?.why === undefined),
      decision,
    )
    return { found, alerts: row === undefined ? [] : resetDecided(this.database, row) }
  }

  private merge(
    rows: readonly Pick<FindingRow, 'id' | 'kind' | 'from_name' | 'to_name'>[],
    { timeMs, author, reason }: Decision,
  ): { readonly edges: readonly Edge[]; readonly row: number | undefined } {
    const { mergeFinding, markMerged, endMerged } = this.statements
    const added: Edge[] = []
    const merged = rows.map(({ id, kind, from_name: from, to_name: to }): Edge => {
      const edge = { kind, from, to }
      if (!this.edges.has(edge)) added.push(edge)
      mergeFinding.run(id)
      markMerged.run(timeMs, id)
      return edge
    })
    const detail = { edges: added.length, ...(reason === undefined ? {} : { reason }) }
    let row: number | undefined
    if (added.length > 0) {
      row = this.ledger.write({ action: 'rebase', timeMs, author, detail }, added)
      endMerged.run(row)
      tellAgain(this.database)
    }
    this.edges.forget()
    return { edges: merged, row }
  }
}

const prepare = (database: Database.Database) => ({
  seenWhole: database.prepare<[number]>(
    'UPDATE findings SET degraded = 0 WHERE degraded = 1 AND last_ms >= ?',
  ),
  markMerged: database.prepare<[number, number]>('UPDATE findings SET merged_ms = ? WHERE id = ?'),
  unmerged: database.prepare<[], { id: number; kind: EdgeKind; from_name: string; to_name: string }>(
    `SELECT findings.id, kind, source.name AS from_name, target.name AS to_name FROM findings
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE reported_ms IS NOT NULL AND merged_ms IS NULL AND degraded = 0 AND mark IS NULL
        -- The many files of packages under one name (maintenance.ts), under which nothing is looked for.
        AND target.name NOT GLOB 'file:*/…'
        AND (from_id, to_id, kind) NOT IN (SELECT from_id, to_id, kind FROM denied) ORDER BY first_ms, findings.id`,
  ),
  mergeable: database.prepare<
    [],
    Pick<FindingRow, 'id' | 'kind' | 'from_name' | 'to_name' | 'mark'> & {
      incident: number
      degraded: 0 | 1
      denied: 0 | 1
    }
  >(
    `SELECT findings.id, kind, source.name AS from_name, target.name AS to_name, mark, incident_id AS incident, degraded,
            (from_id, to_id, kind) IN (SELECT from_id, to_id, kind FROM denied) AS denied FROM findings
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
       JOIN incidents ON incidents.id = incident_id
      WHERE merged_ms IS NULL AND state IN ('open', 'later') AND reported_ms <= time_ms
      ORDER BY first_ms, findings.id`,
  ),
  // Of the incidents with anything in them, those in which all became normal.
  endMerged: database.prepare<[number]>(
    `UPDATE incidents SET state = 'rebased', journal = ? WHERE state IN ('open', 'later')
        AND EXISTS (SELECT 1 FROM findings WHERE incident_id = incidents.id)
        AND NOT EXISTS (SELECT 1 FROM findings
                         WHERE incident_id = incidents.id AND merged_ms IS NULL AND reported_ms <= time_ms)`,
  ),
  mergeFinding: database.prepare<[number]>(
    `INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days, windows, doubt)
     SELECT from_id, to_id, kind, first_ms, last_ms, sightings, 1 + (last_ms / 86400000 > first_ms / 86400000),
            1 + (last_ms / 60000 > first_ms / 60000), ${DOUBT_OF_MERGED} FROM findings WHERE id = ? ${ON_SAME_EDGE}`,
  ),
})
