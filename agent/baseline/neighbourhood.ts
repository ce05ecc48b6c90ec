import type Database from 'better-sqlite3'
import type { EdgeKind } from '../domain/edge.ts'
import type { GraphEdge, GraphPart } from './graph.ts'
import { openForReading } from './open.ts'

/**
 * What is around a node, in both directions, also while an agent writes: the nearest first.
 *
 * @param depth how many edges away
 * @param mostEdges where to stop
 * @param patienceMs how long to wait for a program that keeps the baseline locked
 * @returns undefined when the baseline has no node with that name
 * @throws UsageError when there is no baseline, it is not ours, or it has another schema
 */
export function neighbourhoodOf(
  path: string,
  node: string,
  depth: number,
  mostEdges: number,
  patienceMs?: number,
): GraphPart | undefined {
  const database = openForReading(path, patienceMs)
  try {
    return database.transaction(() => walk(database, node, depth, mostEdges))()
  } finally {
    database.close()
  }
}

/** Breadth first. Of each node no more is read than there is room for. */
function walk(
  database: Database.Database,
  start: string,
  depth: number,
  mostEdges: number,
): GraphPart | undefined {
  const id = database.prepare<[string], { id: number }>('SELECT id FROM nodes WHERE name = ?').get(start)?.id
  if (id === undefined) return undefined
  const around = database.prepare<{ id: number; most: number }, EdgeRow>(AROUND)
  const names = new Map([[id, start]])
  const edges = new Map<string, GraphEdge>()
  let isCut = false
  let border = [id]
  for (let distance = 0; distance < depth && !isCut; distance++) {
    const beyond: number[] = []
    for (const near of border) {
      for (const row of around.iterate({ id: near, most: mostEdges + 1 })) {
        if (edges.size >= mostEdges && !edges.has(keyOf(row))) {
          isCut = true
          break
        }
        edges.set(keyOf(row), edgeOf(row))
        for (const [end, name] of [
          [row.from_id, row.from],
          [row.to_id, row.to],
        ] as const) {
          if (names.has(end)) continue
          names.set(end, name)
          beyond.push(end)
        }
      }
      if (isCut) break
    }
    border = beyond
  }
  return { nodes: [...names.values()], edges: [...edges.values()], isCut }
}

interface EdgeRow {
  from_id: number
  to_id: number
  kind: EdgeKind
  from: string
  to: string
  state: GraphEdge['state']
  sightings: number
  first_ms: number
  last_ms: number
  incident_id: number | null
}

const keyOf = ({ from_id, to_id, kind }: EdgeRow): string => `${from_id} ${to_id} ${kind}`

const edgeOf = ({
  kind,
  from,
  to,
  state,
  sightings,
  first_ms,
  last_ms,
  incident_id,
}: EdgeRow): GraphEdge => ({
  ...{ kind, from, to, state, count: sightings, firstMs: first_ms, lastMs: last_ms },
  ...(incident_id === null ? {} : { incident: incident_id }),
})

/** Of an edge that was met in several chains there are several findings. What was merged is known. */
const FOUND =
  'SELECT from_id, to_id, kind, sightings, first_ms, last_ms, incident_id FROM findings WHERE merged_ms IS NULL'
const KNOWN = "SELECT from_id, to_id, kind, 'known', sightings, first_ms, last_ms, NULL FROM edges WHERE"

/** What is unseen first: it is little, and what somebody looks for. */
const AROUND = `
  SELECT e.*, source.name AS "from", target.name AS "to" FROM (
    SELECT from_id, to_id, kind, 'unseen' AS state, sum(sightings) AS sightings, min(first_ms) AS first_ms,
           max(last_ms) AS last_ms, max(incident_id) AS incident_id
      FROM (SELECT * FROM (${FOUND} AND from_id = @id LIMIT @most)
            UNION ALL SELECT * FROM (${FOUND} AND to_id = @id AND from_id <> @id LIMIT @most))
     GROUP BY from_id, to_id, kind
    UNION ALL SELECT * FROM (${KNOWN} from_id = @id LIMIT @most)
    UNION ALL SELECT * FROM (${KNOWN} to_id = @id AND from_id <> @id LIMIT @most)
  ) e
  JOIN nodes source ON source.id = e.from_id JOIN nodes target ON target.id = e.to_id`
