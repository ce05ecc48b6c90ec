import type Database from 'better-sqlite3'
import type { Edge, EdgeKind } from '../domain/edge.ts'
import type { Incident, IncidentEdge, IncidentState } from '../domain/report.ts'
import { openForReading } from './open.ts'

/** An incident as it is now: later sightings of its edges are counted. */
export interface StoredIncident {
  readonly incident: Incident
  readonly state: IncidentState
  /** Whether the budget kept it back. */
  readonly isWithheld: boolean
  /** When it was reported. Unix time in milliseconds. */
  readonly reportedMs: number
  /** What came to it since: no decision on it is about that. */
  readonly since: readonly SinceEdge[]
}

/** An edge that came to an incident after its report. */
export interface SinceEdge extends Edge {
  readonly count: number
  readonly firstMs: number
}

/** Which incidents are wanted: those of which all of this is true. */
export interface IncidentFilter {
  readonly ids?: readonly number[]
  readonly withheld: boolean
  readonly state?: IncidentState
  /** Reported, or seen again, since then. Unix time in milliseconds. */
  readonly sinceMs?: number
}

/**
 * The incidents of a baseline in the order of their ids, also while an agent writes to it.
 * @throws UsageError when there is no baseline, it is not ours, or it has another schema
 */
export function* incidentsIn(path: string, filter: IncidentFilter): Iterable<StoredIncident> {
  const database = openForReading(path)
  try {
    const rows = database.prepare<[], IncidentRow>(`${INCIDENTS} ORDER BY id`)
    const findings = database.prepare<[number], FindingRow>(FINDINGS)
    for (const row of rows.iterate()) {
      if (isWanted(row, filter))
        yield { ...storedIncident(row, findings), since: sinceReport(database, row.id) }
    }
  } finally {
    database.close()
  }
}

/** One of them, from an open database. */
export function incidentIn(database: Database.Database, id: number): StoredIncident | undefined {
  const row = database.prepare<[number], IncidentRow>(`${INCIDENTS} WHERE id = ?`).get(id)
  if (row === undefined) return undefined
  const findings = database.prepare<[number], FindingRow>(FINDINGS)
  return { ...storedIncident(row, findings), since: sinceReport(database, id) }
}

function isWanted(
  { id, withheld, state, time_ms: timeMs, last_ms: lastMs }: IncidentRow,
  { ids, withheld: isWithheldWanted, state: wanted, sinceMs = Number.NEGATIVE_INFINITY }: IncidentFilter,
): boolean {
  if (ids !== undefined && !ids.includes(id)) return false
  if (withheld === 1 && !isWithheldWanted) return false
  return (wanted === undefined || state === wanted) && Math.max(timeMs, lastMs ?? timeMs) >= sinceMs
}

function storedIncident(
  row: IncidentRow,
  findings: Database.Statement<[number], FindingRow>,
): Omit<StoredIncident, 'since'> {
  const reported = JSON.parse(row.report) as Incident
  const now = new Map<string, FindingRow>()
  for (const finding of findings.iterate(row.id)) now.set(keyOf(finding, finding.chain), finding)
  const edges = reported.edges.map((edge): IncidentEdge => {
    const found = now.get(keyOf(edge, JSON.stringify(edge.chain)))
    // A finding that was seen too long ago is forgotten, and one that came again is of another incident.
    if (found === undefined) return edge
    const { sightings: count, last_ms: lastMs } = found
    return { ...edge, count, lastMs, evidence: { ...edge.evidence, count } }
  })
  return {
    incident: {
      ...reported,
      edges,
      count: Math.max(reported.count, (row.sightings ?? 0) + row.moved),
      lastMs: Math.max(reported.lastMs, row.last_ms ?? reported.lastMs),
    },
    state: row.state,
    isWithheld: row.withheld === 1,
    reportedMs: row.time_ms,
  }
}

const keyOf = ({ kind, from, to }: Pick<FindingRow, 'kind' | 'from' | 'to'>, chain: string): string =>
  `${kind} ${from}\u0000${to}\u0000${chain}`

interface IncidentRow {
  id: number
  time_ms: number
  withheld: 0 | 1
  state: IncidentState
  moved: number
  report: string
  sightings: number | null
  last_ms: number | null
}

interface FindingRow {
  kind: EdgeKind
  from: string
  to: string
  chain: string
  sightings: number
  last_ms: number
}

const INCIDENTS = `
  SELECT id, time_ms, withheld, state, moved, report,
         (SELECT sum(sightings) FROM findings WHERE incident_id = incidents.id) AS sightings,
         (SELECT max(last_ms) FROM findings WHERE incident_id = incidents.id) AS last_ms
    FROM incidents`

const FINDINGS = `
  SELECT kind, source.name AS "from", target.name AS "to", chain, sightings, last_ms FROM findings
    JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
   WHERE incident_id = ?`

/** What came to an incident after its report, in the order of its coming. */
export const sinceReport = (database: Database.Database, id: number): readonly SinceEdge[] =>
  database
    .prepare<[number], SinceEdge>(
      `SELECT kind, source.name AS "from", target.name AS "to", sum(sightings) AS "count", min(first_ms) AS firstMs
         FROM findings JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
         JOIN incidents ON incidents.id = incident_id
        WHERE incident_id = ? AND merged_ms IS NULL AND reported_ms > incidents.time_ms
        GROUP BY from_id, to_id, kind ORDER BY firstMs, min(findings.id)`,
    )
    .all(id)
