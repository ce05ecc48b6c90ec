import type Database from 'better-sqlite3'
import type { Edge } from '../domain/edge.ts'
import { openForReading } from './open.ts'

/** Findings of a summary that are kept one by one. */
const MOST_FINDINGS = 200

/** Key of a place: whose it is, the kind of its edges, and where. */
export interface PlaceKey {
  readonly process: string
  readonly kind: string
  readonly place: string
}

export interface PlaceState {
  /** How many incidents were of it, without a long time between them. */
  readonly incidents: number
  /** When it had something new last. Unix time in milliseconds. */
  readonly lastMs: number
  /** Since when it is unstable; null while it is not. Unix time in milliseconds. */
  readonly sinceMs: number | null
  /** The incident that stands for its edges, and since when; null before the first, and when a person has decided on it. */
  readonly incident: number | null
  readonly toldMs: number | null
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

  /** An incident was of this place, the first of several when the one before is as old as `apartMs`. */
  count(key: PlaceKey, timeMs: number, apartMs: number): void {
    this.statements.count.run({ ...key, timeMs, apartMs })
  }

  /** Something was new in this place. */
  touch(key: PlaceKey, timeMs: number): void {
    this.statements.touch.run({ ...key, timeMs })
  }

  /** New edges have ended in this place. */
  settle(key: PlaceKey): void {
    this.statements.settle.run(key)
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
  summarise(key: PlaceKey, incident: number, timeMs: number): void {
    this.statements.summarise.run({ ...key, incident, timeMs })
  }

  /** What a process has to do with, of one kind: with known windows, or none when it is not known. */
  targetsOf(process: string, kind: string): Iterable<{ readonly to: string; readonly windows: number }> {
    return this.statements.targets.iterate({ process, kind })
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

/** A place where new edges never end, and the incident that they are counted in, if there is one. */
export type UnstablePlace = PlaceKey & Pick<PlaceState, 'incident'>

/**
 * Those among the places where new edges never end, also while an agent runs.
 * @throws UsageError when there is no baseline, it is not ours, or it has another schema
 */
export function unstableAmong(path: string, places: readonly PlaceKey[]): readonly UnstablePlace[] {
  const database = openForReading(path)
  try {
    const known = new UnstablePlaces(database)
    return places.flatMap((place) => {
      const { sinceMs = null, incident = null } = known.find(place) ?? {}
      return sinceMs === null ? [] : [{ ...place, incident }]
    })
  } finally {
    database.close()
  }
}

const KEY = 'process = @process AND kind = @kind AND place = @place'
const EXCESS =
  'SELECT id, sightings FROM findings WHERE incident_id = ? ORDER BY last_ms DESC, id DESC LIMIT -1 OFFSET ?'

const prepare = (database: Database.Database) => ({
  find: database.prepare<PlaceKey, PlaceState>(
    `SELECT incidents, last_ms AS lastMs, since_ms AS sinceMs, told_ms AS toldMs,
            (SELECT id FROM incidents WHERE id = incident_id AND state = 'open') AS incident
       FROM unstable WHERE ${KEY}`,
  ),
  count: database.prepare<PlaceKey & { timeMs: number; apartMs: number }>(
    `INSERT INTO unstable (process, kind, place, incidents, last_ms) VALUES (@process, @kind, @place, 1, @timeMs)
     ON CONFLICT DO UPDATE SET
       incidents = CASE WHEN excluded.last_ms - last_ms < @apartMs THEN incidents + 1 ELSE 1 END,
       last_ms = excluded.last_ms`,
  ),
  touch: database.prepare<PlaceKey & { timeMs: number }>(
    `UPDATE unstable SET last_ms = @timeMs WHERE ${KEY}`,
  ),
  settle: database.prepare<PlaceKey>(
    `UPDATE unstable SET incidents = 0, since_ms = NULL, incident_id = NULL, told_ms = NULL WHERE ${KEY}`,
  ),
  targets: database.prepare<{ process: string; kind: string }, { to: string; windows: number }>(
    `SELECT target.name AS "to", windows FROM edges JOIN nodes target ON target.id = to_id
      WHERE from_id = (SELECT id FROM nodes WHERE name = @process) AND kind = @kind
      UNION ALL
     SELECT target.name, 0 FROM findings JOIN nodes target ON target.id = to_id
      WHERE from_id = (SELECT id FROM nodes WHERE name = @process) AND kind = @kind AND merged_ms IS NULL`,
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
  summarise: database.prepare<PlaceKey & { incident: number; timeMs: number }>(
    `UPDATE unstable SET incident_id = @incident, told_ms = @timeMs, last_ms = @timeMs WHERE ${KEY}`,
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
