import type Database from 'better-sqlite3'
import type { Edge, EdgeKind } from '../domain/edge.ts'
import { incidentIn } from './incidents.ts'
import { openForReading } from './open.ts'

/** An edge of a part of the graph. Times are Unix time in milliseconds. */
export interface GraphEdge extends Edge {
  /** `known`: it is normal. `unseen`: it was met, and is not. */
  readonly state: 'known' | 'unseen'
  readonly count: number
  readonly firstMs: number
  readonly lastMs: number
  /** Of an unseen one that was reported. */
  readonly incident?: number
}

/** Nodes and edges that somebody wants to look at. */
export interface GraphPart {
  readonly nodes: readonly string[]
  readonly edges: readonly GraphEdge[]
  /** Whether there was more than was wanted. */
  readonly isCut: boolean
}

/**
 * What an incident is about: its edges, and the chains that led to them, also while an agent writes.
 *
 * @param mostEdges where to stop
 * @param patienceMs how long to wait for a program that keeps the baseline locked
 * @returns undefined when there is no such incident
 * @throws UsageError when there is no baseline, it is not ours, or it has another schema
 */
export function incidentGraphOf(
  path: string,
  id: number,
  mostEdges: number,
  patienceMs?: number,
): GraphPart | undefined {
  const database = openForReading(path, patienceMs)
  try {
    return database.transaction(() => drawn(database, id, mostEdges))()
  } finally {
    database.close()
  }
}

function drawn(database: Database.Database, id: number, mostEdges: number): GraphPart | undefined {
  const stored = incidentIn(database, id)
  if (stored === undefined) return undefined
  const { incident, since } = stored
  const known = database.prepare<{ from: string; to: string }, KnownRow>(KNOWN)
  const edges = new Map<string, GraphEdge>()
  const add = (edge: Edge, met: Omit<GraphEdge, keyof Edge | 'state' | 'incident'>): void => {
    const { kind, from, to } = edge
    const normal = known.all({ from, to }).find((row) => row.kind === kind)
    edges.set(`${kind} ${from}\u0000${to}`, {
      ...{ kind, from, to, ...met, incident: id },
      state: normal === undefined ? 'unseen' : 'known',
    })
  }
  for (const { kind, from, to, count, firstMs, lastMs } of incident.edges)
    add({ kind, from, to }, { count, firstMs, lastMs })
  for (const { kind, from, to, count, firstMs } of since)
    add({ kind, from, to }, { count, firstMs, lastMs: incident.lastMs })
  for (const { chain, firstMs, lastMs } of incident.edges) {
    for (const [index, from] of chain.slice(0, -2).entries()) {
      const to = chain[index + 1] ?? from
      const key = `exec ${from}\u0000${to}`
      if (from === to || edges.has(key)) continue
      const normal = known.all({ from, to })[0]
      edges.set(
        key,
        normal === undefined
          ? { kind: 'exec', from, to, state: 'unseen', count: 1, firstMs, lastMs }
          : {
              ...{ kind: normal.kind, from, to, state: 'known', count: normal.sightings },
              ...{ firstMs: normal.first_ms, lastMs: normal.last_ms },
            },
      )
    }
  }
  const drawnEdges = [...edges.values()].slice(0, mostEdges)
  return {
    nodes: [...new Set(drawnEdges.flatMap(({ from, to }) => [from, to]))],
    edges: drawnEdges,
    isCut: edges.size > mostEdges || incident.unlisted !== undefined,
  }
}

interface KnownRow {
  kind: EdgeKind
  sightings: number
  first_ms: number
  last_ms: number
}

const KNOWN = `
  SELECT kind, sightings, first_ms, last_ms FROM edges
   WHERE from_id = (SELECT id FROM nodes WHERE name = @from) AND to_id = (SELECT id FROM nodes WHERE name = @to)
   ORDER BY kind = 'exec' DESC`
