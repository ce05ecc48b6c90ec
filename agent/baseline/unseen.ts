import type Database from 'better-sqlite3'
import type { Edge } from '../domain/edge.ts'
import type { Finding } from '../domain/report.ts'
import type { RowId } from './edge-book.ts'
import type { StoredEdges } from './edges.ts'
import { NO_INCIDENT } from './finding-row.ts'

/** How often what is denied is reported while it goes on; what is never learned, each day. */
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

/** An unseen edge that waits for the end of its window. */
export interface UnseenEdge extends Omit<Finding, 'lastMs'> {
  /** Which processes it belongs to: see detect/trees.ts. */
  readonly tree: string
  /** Who started these: a key and a printed name, with a space between; empty when that is init or not known. */
  readonly parent: string
}

/** An unseen edge in one of the chains that it happens in, and how often since it was written last. */
export interface UnseenNow extends Omit<UnseenEdge, 'firstMs'> {
  firstMs: number
  lastMs: number
  sightings: number
}

/** What was not normal since the last batch, gathered in memory until it is written. */
export class UnseenBook {
  private readonly edges: StoredEdges
  private readonly found = new Map<string, UnseenNow>()
  private readonly unwritten = new Set<UnseenNow>()
  private readonly statements: ReturnType<typeof prepare>

  constructor(database: Database.Database, edges: StoredEdges) {
    this.edges = edges
    this.statements = prepare(database)
  }

  /**
   * The edge is not in the baseline: remembered once for each chain it happens in, until an incident takes it. The
   * result is for `count`.
   */
  saw(found: UnseenEdge): UnseenNow {
    const key = unseenKey(found)
    let unseen = this.found.get(key)
    if (unseen === undefined) {
      unseen = { ...found, lastMs: found.firstMs, sightings: 0 }
      this.found.set(key, unseen)
    }
    this.count(unseen, found.firstMs)
    return unseen
  }

  /** What was found of this in this chain since the last batch, for `count`. */
  now(edge: Edge, chain: readonly string[]): UnseenNow | undefined {
    return this.found.get(unseenKey({ edge, chain }))
  }

  /** The same in the same chain was seen again. */
  count(unseen: UnseenNow, timeMs: number): void {
    if (unseen.sightings === 0) {
      this.unwritten.add(unseen)
      unseen.firstMs = timeMs
      unseen.lastMs = timeMs
    } else unseen.lastMs = Math.max(unseen.lastMs, timeMs)
    unseen.sightings++
  }

  /** Writes what was found. Belongs into a transaction. */
  write(): void {
    for (const found of this.unwritten) {
      this.writeUnseen(found)
      found.sightings = 0
    }
    this.forget()
  }

  /** What was found and not written is forgotten. */
  forget(): void {
    this.found.clear()
    this.unwritten.clear()
  }

  private writeUnseen(found: UnseenNow): void {
    const { edge, firstMs, lastMs, sightings, tree, parent, bits } = found
    const key = {
      from: this.edges.nodeId(edge.from),
      to: this.edges.nodeId(edge.to),
      kind: edge.kind,
      chain: JSON.stringify(found.chain),
      mark: found.mark ?? null,
    }
    const evidence = JSON.stringify(found.evidence)
    this.reopen(key, { firstMs, tree, parent, bits, evidence })
    this.statements.writeUnseen.run({ ...key, evidence, firstMs, lastMs, sightings, tree, parent, bits })
  }

  /** What was reported, and is worth another report now, is a new finding; what was seen of it stays with its incident. */
  private reopen(
    key: { from: RowId; to: RowId; kind: string; chain: string; mark: string | null },
    anew: { firstMs: number; tree: string; parent: string; bits: number; evidence: string },
  ): void {
    const { reportedBefore, moveSightings, reopen } = this.statements
    const before = reportedBefore.get({
      ...key,
      hourAgoMs: anew.firstMs - HOUR_MS,
      dayAgoMs: anew.firstMs - DAY_MS,
    })
    if (before === undefined) return
    if (before.incident_id !== null) moveSightings.run(before.sightings, before.incident_id)
    reopen.run({ ...anew, id: before.id })
  }
}

const unseenKey = ({ edge, chain, mark }: Pick<UnseenEdge, 'edge' | 'chain' | 'mark'>): string =>
  [mark ?? '', `${edge.kind} ${edge.from}`, edge.to, ...chain].join('\u0000')

const prepare = (database: Database.Database) => ({
  writeUnseen: database.prepare<{
    from: RowId
    to: RowId
    kind: string
    chain: string
    evidence: string
    firstMs: number
    lastMs: number
    sightings: number
    tree: string
    parent: string
    bits: number
    mark: string | null
  }>(
    `INSERT INTO findings (from_id, to_id, kind, chain, evidence, first_ms, last_ms, sightings, tree, parent, bits, mark)
     VALUES (@from, @to, @kind, @chain, @evidence, @firstMs, @lastMs, @sightings, @tree, @parent, @bits, @mark)
     ON CONFLICT DO UPDATE SET last_ms = max(last_ms, excluded.last_ms),
       sightings = sightings + excluded.sightings, mark = coalesce(excluded.mark, mark)`,
  ),
  reportedBefore: database.prepare<
    {
      from: RowId
      to: RowId
      kind: string
      chain: string
      mark: string | null
      hourAgoMs: number
      dayAgoMs: number
    },
    { id: number; incident_id: number | null; sightings: number }
  >(
    `SELECT id, incident_id, sightings FROM findings
      WHERE from_id = @from AND to_id = @to AND kind = @kind AND chain = @chain AND reported_ms IS NOT NULL
        AND (merged_ms IS NOT NULL OR ${NO_INCIDENT} OR @mark IS NOT NULL AND @mark IS NOT mark OR @mark = 'dormant'
             OR @mark = 'denied' AND reported_ms <= @hourAgoMs OR reported_ms <= @dayAgoMs AND @mark IS NOT NULL)`,
  ),
  moveSightings: database.prepare<[number, number]>('UPDATE incidents SET moved = moved + ? WHERE id = ?'),
  reopen: database.prepare<{
    id: number
    firstMs: number
    evidence: string
    tree: string
    parent: string
    bits: number
  }>(
    `UPDATE findings SET reported_ms = NULL, merged_ms = NULL, incident_id = NULL, degraded = 0, sightings = 0,
       first_ms = @firstMs, last_ms = @firstMs, evidence = @evidence, tree = @tree, parent = @parent,
       bits = @bits WHERE id = @id`,
  ),
})
