import type { EdgeKind } from '../domain/edge.ts'
import type { EdgeMark, Evidence, Finding } from '../domain/report.ts'

/** Whether nothing shows a finding that was reported: it silences only what an incident tells of. */
export const NO_INCIDENT = 'NOT EXISTS (SELECT 1 FROM incidents WHERE incidents.id = findings.incident_id)'

/** A finding with the names of its nodes. */
export interface FindingRow {
  id: number
  kind: EdgeKind
  from_name: string
  to_name: string
  chain: string
  evidence: string
  first_ms: number
  last_ms: number
  sightings: number
  bits: number
  mark: EdgeMark | null
}

export const findingOf = (row: FindingRow): Finding => ({
  edge: { kind: row.kind, from: row.from_name, to: row.to_name },
  chain: JSON.parse(row.chain) as string[],
  firstMs: row.first_ms,
  lastMs: row.last_ms,
  bits: row.bits,
  ...(row.mark === null ? {} : { mark: row.mark }),
  evidence: { ...(JSON.parse(row.evidence) as Evidence), count: row.sightings },
})

/** In the order of time. */
export const inOrder = (rows: readonly FindingRow[]): readonly Finding[] =>
  rows.toSorted((one, other) => one.first_ms - other.first_ms || one.id - other.id).map(findingOf)
