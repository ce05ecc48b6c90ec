import type Database from 'better-sqlite3'
import type { Edge } from '../domain/edge.ts'

/** Findings of a summary that are kept one by one. */
const MOST_FINDINGS = 200

/** Key of a place: whose it is, the kind of its edges, and where. */
export interface PlaceKey {
  readonly process: string
  readonly kind: string
  readonly place: string
}

export interface PlaceState {
  /** How many incidents were of it. */
  readonly incidents: number
  /** Since when it is unstable; null while it is not. Unix time in milliseconds. */
  readonly sinceMs: number | null
  /** The incident that stands for all of its edges; null before the first. */
  readonly incident: number | null
}

/** An edge of the baseline, and what a training has seen of it. */
export interface ObservedEdge extends Edge {
  readonly windows: number
  readonly firstMs: number
}

/** Places where new edges never end. */
export class UnstablePlaces {
  private readonly statements: ReturnType<typeof prepare>

  constructor(database: Database.Database) {
    this.statements = prepare(database)
  }

  find(key: PlaceKey): PlaceState | undefined {
    return this.statements.find.get(key)
  }

  /** An incident was of this place. */
  count(key: PlaceKey, timeMs: number): void {
    this.statements.count.run({ ...key, timeMs })
  }

  /** Forgets those that are not unstable and had no incident for longest, when there are too many. */
  trim(most: number): void {
    this.statements.trim.run(most)
  }

  /** The place is unstable from now on, if it is not yet. */
  declare(key: PlaceKey, sinceMs: number): void {
    this.statements.declare.run({ ...key, sinceMs })
  }

  /** An incident stands for all edges of a place from now on. */
  summarise(key: PlaceKey, incident: number): void {
    this.statements.summarise.run({ ...key, incident })
  }

  /** All edges of the baseline of kinds that a place may have. */
  edges(): Iterable<ObservedEdge> {
    return this.statements.edges.iterate()
  }

  /** Of the findings of a summary only the last ones are kept; the others are counted. */
  fold(incident: number): void {
    const { excess, addMoved, removeExcess } = this.statements
    const { sightings } = excess.get(incident, MOST_FINDINGS) ?? { sightings: null }
    if (sightings === null) return
    addMoved.run(sightings, incident)
    removeExcess.run(incident, MOST_FINDINGS)
  }
}

const KEY = 'process = @process AND kind = @kind AND place = @place'
const EXCESS =
  'SELECT id, sightings FROM findings WHERE incident_id = ? ORDER BY last_ms DESC, id DESC LIMIT -1 OFFSET ?'

const prepare = (database: Database.Database) => ({
  find: database.prepare<PlaceKey, PlaceState>(
    `SELECT incidents, since_ms AS sinceMs, incident_id AS incident FROM unstable WHERE ${KEY}`,
  ),
  count: database.prepare<PlaceKey & { timeMs: number }>(
    `INSERT INTO unstable (process, kind, place, incidents, last_ms) VALUES (@process, @kind, @place, 1, @timeMs)
     ON CONFLICT DO UPDATE SET incidents = incidents + 1, last_ms = excluded.last_ms`,
  ),
  declare: database.prepare<PlaceKey & { sinceMs: number }>(
    `INSERT INTO unstable (process, kind, place, incidents, last_ms, since_ms)
     VALUES (@process, @kind, @place, 0, @sinceMs, @sinceMs)
     ON CONFLICT DO UPDATE SET since_ms = coalesce(since_ms, excluded.since_ms)`,
  ),
  trim: database.prepare<[number]>(
    `DELETE FROM unstable WHERE (process, kind, place) IN (SELECT process, kind, place FROM unstable
      WHERE since_ms IS NULL ORDER BY last_ms DESC, process, kind, place LIMIT -1 OFFSET ?)`,
  ),
  summarise: database.prepare<PlaceKey & { incident: number }>(
    `UPDATE unstable SET incident_id = @incident WHERE ${KEY}`,
  ),
  edges: database.prepare<[], ObservedEdge>(
    `SELECT kind, source.name AS "from", target.name AS "to", windows, first_ms AS firstMs FROM edges
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE kind IN ('create', 'delete', 'rename', 'write', 'attribute', 'connect', 'accept')`,
  ),
  excess: database.prepare<[number, number], { sightings: number | null }>(
    `SELECT sum(sightings) AS sightings FROM (${EXCESS})`,
  ),
  addMoved: database.prepare<[number, number]>('UPDATE incidents SET moved = moved + ? WHERE id = ?'),
  removeExcess: database.prepare<[number, number]>(
    `DELETE FROM findings WHERE id IN (SELECT id FROM (${EXCESS}))`,
  ),
})
