import type Database from 'better-sqlite3'
import type { Edge } from '../domain/edge.ts'
import type { Evidence, Finding } from '../domain/report.ts'
import { findingOf, type FindingRow, inOrder, NO_INCIDENT } from './finding-row.ts'
import { Portion } from './portion.ts'
import type { UnseenEdge } from './unseen.ts'

/** What one tree of processes did that is not reported yet. */
export interface Reportable {
  readonly tree: string
  readonly parent: string
  /** In the order of time; the most surprising when there are too many. */
  readonly findings: readonly Finding[]
  /** Of all its findings: how many, how often they were seen, and when. */
  readonly edges: number
  readonly count: number
  readonly firstMs: number
  readonly lastMs: number
}

/** Trees of one parent. */
interface Crowd {
  readonly parent: string
  readonly trees: readonly string[]
}

/** What was found, by the trees of processes that did it: what waits to be reported, and what was. */
export class StoredFindings {
  private readonly statements: ReturnType<typeof prepare>
  private readonly flush: () => void

  /** @param flush writes what is still in memory */
  constructor(database: Database.Database, flush: () => void) {
    this.statements = prepare(database)
    this.flush = flush
  }

  /** Bits of a step between two nodes that was unseen and has not become known; 0 when there was none. */
  unseenBits(from: string, to: string): number {
    return this.statements.unseenBits.get(from, to) ?? 0
  }

  /** Rates each unseen edge that has not been reported yet, in bits. */
  rate(bitsOf: (edge: Edge, chain: readonly string[]) => number): void {
    this.flush()
    const { unrated, putBits } = this.statements
    for (const { id, kind, from_name: from, to_name: to, chain } of unrated.all())
      putBits.run(bitsOf({ kind, from, to }, JSON.parse(chain) as string[]), id)
  }

  /**
   * Unseen edges that have not been reported yet: those of the tree that was first to do something.
   * @param held trees that are not to be reported yet
   */
  reportable(held: readonly string[] = [], matters?: (rest: Finding) => boolean): Reportable | undefined {
    this.flush()
    const first = this.statements.unreportedTree.get(JSON.stringify(held))
    if (first === undefined) return undefined
    const { tree } = first
    const { parent, edges, count, firstMs, lastMs } = this.statements.unreportedCounts.get(tree) as Reportable
    return { tree, parent, findings: this.waitingOf(tree, matters), edges, count, firstMs, lastMs }
  }

  /** What is not reported yet of parents with more trees than `most`, one tree after the other; without those of none. */
  crowdedTrees(most: number): readonly Crowd[] {
    this.flush()
    const { crowdedParents, treesOf } = this.statements
    return crowdedParents.all(most).map(({ parent }) => ({
      parent,
      trees: treesOf.all(parent).map(({ tree }) => tree),
    }))
  }

  /**
   * What waits of a tree in the order of time. When it is too much: what is marked, what is done to other things than
   * files, and the most surprising; and of the rest what matters all the same.
   */
  waitingOf(tree: string, matters: (rest: Finding) => boolean = () => false): readonly Finding[] {
    const listed = new Portion()
    const others = new Portion()
    for (const row of this.statements.unreported.iterate(tree)) {
      if (listed.take(row) || others.isFull) continue
      if (matters(findingOf(row))) others.take(row)
    }
    return inOrder([...listed.rows, ...others.rows])
  }

  /** Who changed one of these nodes first, as far as that was found, and when. */
  firstFound(names: readonly string[]): { readonly by: string; readonly timeMs: number } | undefined {
    return this.statements.firstFound.get(JSON.stringify(names))
  }

  /** What waits of a tree is of another one from now on. */
  joinTree(tree: string, other: string): void {
    this.statements.joinTree.run(other, tree)
  }

  /** Whether this was found in this chain before, reported or not, and has not become normal since. */
  has({ kind, from, to }: Edge, chain: readonly string[]): boolean {
    return this.statements.findFinding.get(from, to, kind, JSON.stringify(chain)) !== undefined
  }

  /** What is not reported yet, in the order of its coming. */
  *unreported(): Iterable<Pick<UnseenEdge, 'edge' | 'chain' | 'evidence'>> {
    for (const { kind, from_name: from, to_name: to, chain, evidence } of this.statements.waiting.iterate())
      yield {
        edge: { kind, from, to },
        chain: JSON.parse(chain) as string[],
        evidence: JSON.parse(evidence) as Evidence,
      }
  }

  /**
   * Forgets those that were reported and not seen for longest, when there are too many.
   * @returns how many
   */
  trim(most: number): number {
    const { count } = this.statements.countFindings.get() ?? { count: 0 }
    return count <= most ? 0 : this.statements.trimFindings.run(count - most).changes
  }

  /** Distinct edges that were reported. */
  countReported(): number {
    return this.statements.countReported.get()?.count ?? 0
  }
}

const prepare = (database: Database.Database) => ({
  unseenBits: database
    .prepare<[string, string], number | null>(
      `SELECT max(bits) FROM findings
        WHERE from_id = (SELECT id FROM nodes WHERE name = ?) AND to_id = (SELECT id FROM nodes WHERE name = ?)
          AND NOT EXISTS (SELECT 1 FROM edges WHERE edges.from_id = findings.from_id
                             AND edges.to_id = findings.to_id AND edges.kind = findings.kind)`,
    )
    .pluck(),
  unrated: database.prepare<[], Pick<FindingRow, 'id' | 'kind' | 'from_name' | 'to_name' | 'chain'>>(
    `SELECT findings.id, kind, source.name AS from_name, target.name AS to_name, chain FROM findings
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE reported_ms IS NULL ORDER BY first_ms, findings.id`,
  ),
  putBits: database.prepare<[number, number]>('UPDATE findings SET bits = ? WHERE id = ?'),
  unreportedTree: database.prepare<[string], { tree: string }>(
    `SELECT tree FROM findings WHERE reported_ms IS NULL AND tree NOT IN (SELECT value FROM json_each(?))
      ORDER BY first_ms, id LIMIT 1`,
  ),
  unreportedCounts: database.prepare<[string], Omit<Reportable, 'findings'>>(
    `SELECT tree, max(parent) AS parent, count(*) AS edges, sum(sightings) AS "count", min(first_ms) AS firstMs, max(last_ms) AS lastMs
       FROM findings WHERE reported_ms IS NULL AND tree = ?`,
  ),
  unreported: database.prepare<[string], FindingRow>(
    `SELECT findings.*, source.name AS from_name, target.name AS to_name FROM findings
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE reported_ms IS NULL AND tree = ?
      ORDER BY mark IS NULL, kind IN ('create', 'delete', 'rename', 'write', 'attribute'), bits DESC, first_ms, findings.id`,
  ),
  crowdedParents: database.prepare<[number], { parent: string }>(
    `SELECT parent FROM findings WHERE reported_ms IS NULL AND parent <> ''
      GROUP BY parent HAVING count(DISTINCT tree) > ? ORDER BY parent`,
  ),
  treesOf: database.prepare<[string], { tree: string }>(
    `SELECT tree FROM findings WHERE reported_ms IS NULL AND parent = ?
      GROUP BY tree ORDER BY min(first_ms), min(id)`,
  ),
  joinTree: database.prepare<[string, string]>(
    'UPDATE findings SET tree = ? WHERE reported_ms IS NULL AND tree = ?',
  ),
  firstFound: database.prepare<[string], { by: string; timeMs: number }>(
    `SELECT source.name AS by, first_ms AS timeMs FROM findings JOIN nodes source ON source.id = from_id
      WHERE to_id IN (SELECT id FROM nodes WHERE name IN (SELECT value FROM json_each(?)))
      ORDER BY first_ms, findings.id LIMIT 1`,
  ),
  findFinding: database.prepare<[string, string, string, string], { id: number }>(
    `SELECT id FROM findings WHERE from_id = (SELECT id FROM nodes WHERE name = ?)
       AND to_id = (SELECT id FROM nodes WHERE name = ?) AND kind = ? AND chain = ? AND merged_ms IS NULL
       AND (reported_ms IS NULL OR NOT ${NO_INCIDENT})`,
  ),
  waiting: database.prepare<[], Pick<FindingRow, 'kind' | 'from_name' | 'to_name' | 'chain' | 'evidence'>>(
    `SELECT kind, source.name AS from_name, target.name AS to_name, chain, evidence FROM findings
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE reported_ms IS NULL ORDER BY first_ms, findings.id`,
  ),
  countFindings: database.prepare<[], { count: number }>('SELECT count(*) AS count FROM findings'),
  trimFindings: database.prepare<[number]>(
    `DELETE FROM findings WHERE id IN
       (SELECT id FROM findings WHERE reported_ms IS NOT NULL ORDER BY last_ms, id LIMIT ?)`,
  ),
  countReported: database.prepare<[], { count: number }>(
    `SELECT count(*) AS count FROM
       (SELECT DISTINCT from_id, to_id, kind FROM findings WHERE reported_ms IS NOT NULL)`,
  ),
})
