import type Database from 'better-sqlite3'
import {
  type Edge,
  type EdgeKind,
  isPeerAction,
  type PatternAction,
  type PeerAction,
  prefixOf,
} from '../domain/edge.ts'
import type { Item } from './content.ts'
import type { Decision } from './decisions.ts'
import type { RowId } from './edge-book.ts'
import type { StoredEdges } from './edges.ts'
import type { Ledger } from './ledger.ts'

export interface StoredPattern<Action extends EdgeKind = PatternAction> {
  readonly process: string
  readonly action: Action
  readonly path: string
  readonly printed: string
  readonly examples: readonly string[]
  readonly learnedMs: number
  readonly state?: PatternState
}

export type PatternState = 'learned' | 'pinned' | 'denied'

export interface PatternRow {
  process: string
  action: PatternAction
  path: string
  printed: string
  examples: string
  learned_ms: number
  state: PatternState
}

/** Patterns that stand for many edges, and how they come to. */
export class PatternBook {
  private readonly edges: StoredEdges
  private readonly ledger: Ledger
  private readonly statements: ReturnType<typeof prepare>
  private readonly flush: () => void

  /** @param flush writes what is still in memory */
  constructor(database: Database.Database, edges: StoredEdges, ledger: Ledger, flush: () => void) {
    this.edges = edges
    this.ledger = ledger
    this.statements = prepare(database)
    this.flush = flush
  }

  /** Patterns over names of files, and of sockets of this host. */
  ofNames(): readonly StoredPattern[] {
    return this.every().filter((each) => !isOverHosts(each))
  }

  /** Patterns over the hosts that a process talks to. */
  ofPeers(): readonly StoredPattern<PeerAction>[] {
    return this.every().flatMap((each) => (isOverHosts(each) ? [each] : []))
  }

  /**
   * Stores a pattern and makes one edge of those it covers. Their nodes stay: a finding may stand on one, and to look
   * takes longer than the few are worth.
   *
   * @param covers gets the path of a file node, and what follows `host:` in the node of a peer
   * @param directory that all covered files are in, without a slash at its end
   * @param replaces paths of patterns that are no more because this one covers all that they did
   */
  add(
    pattern: StoredPattern,
    covers: (path: string) => boolean,
    directory = '',
    replaces: readonly string[] = [],
    { author = 'agent', reason }: Partial<Decision> = {},
  ): void {
    this.flush()
    const { changes } = this.statements.addPattern.run({
      ...pattern,
      examples: JSON.stringify(pattern.examples),
    })
    const added: Item[] = changes === 0 ? [] : [pattern]
    const removed: Item[] = []
    let merged = 0
    const { process, action, path } = pattern
    const prefix = prefixOf(action)
    const edge: Edge = { kind: action, from: process, to: prefix + path }
    const isStored = this.edges.has(edge)
    let to: RowId | undefined
    let from: RowId = 0
    // Once each: ports that a wider range replaces are covered by it, too.
    const found = new Map<RowId, CoveredRow>()
    // Not all that are there: a directory may hold very many others.
    for (const row of this.statements.fileEdgesIn.iterate({ process, action, prefix: prefix + directory }))
      if (row.name !== edge.to && covers(row.name.slice(prefix.length))) found.set(row.to_id, row)
    for (const narrower of replaces) {
      const name = prefix + narrower
      const rows = this.statements.fileEdgesIn.all({ process, action, prefix: name })
      for (const row of rows) if (row.name === name) found.set(row.to_id, row)
      if (this.statements.removePattern.run(process, action, narrower).changes > 0)
        removed.push({ process, action, path: narrower })
    }
    for (const covered of found.values()) {
      const { first_ms: firstMs, last_ms: lastMs, ...seen } = covered
      to ??= this.edges.nodeId(edge.to)
      this.edges.put(covered.from_id, to, action, { ...seen, firstMs, lastMs })
      this.statements.deleteEdge.run(covered.from_id, covered.to_id, action)
      from = covered.from_id
      if (this.statements.removeFresh.run(from, covered.to_id, action).changes > 0) continue
      removed.push({ kind: action, from: process, to: covered.name })
      merged++
    }
    if (to !== undefined) {
      // It may be there already: an import can bring what a training learns, too.
      const isFresh = !isStored || this.statements.removeFresh.run(from, to, action).changes > 0
      if (isFresh && merged > 0) added.push(edge)
      else if (isFresh) this.edges.addFresh(from, to, action, '')
    }
    const { printed, learnedMs } = pattern
    const detail = { pattern: printed, edges: -merged, ...(reason === undefined ? {} : { reason }) }
    this.ledger.write({ action: 'learn', timeMs: learnedMs, author, detail }, added, removed)
    this.edges.forget()
  }

  private every(): readonly StoredPattern[] {
    return this.statements.patterns.all().map((row) => ({
      process: row.process,
      action: row.action,
      path: row.path,
      printed: row.printed,
      examples: JSON.parse(row.examples) as string[],
      learnedMs: row.learned_ms,
      state: row.state,
    }))
  }
}

const isOverHosts = (pattern: StoredPattern): pattern is StoredPattern<PeerAction> =>
  isPeerAction(pattern.action) && !pattern.path.startsWith('unix:')

interface CoveredRow {
  from_id: number
  to_id: number
  name: string
  first_ms: number
  last_ms: number
  sightings: number
  days: number
  windows: number
}

const prepare = (database: Database.Database) => ({
  patterns: database.prepare<[], PatternRow>('SELECT * FROM patterns ORDER BY id'),
  removePattern: database.prepare<[string, string, string]>(
    'DELETE FROM patterns WHERE process = ? AND action = ? AND path = ?',
  ),
  addPattern: database.prepare<Omit<StoredPattern, 'examples'> & { examples: string }>(
    `INSERT INTO patterns (process, action, path, printed, examples, learned_ms)
     VALUES (@process, @action, @path, @printed, @examples, @learnedMs) ON CONFLICT DO NOTHING`,
  ),
  // In the order of time, so that days are added up rightly. No name goes beyond the last character of Unicode.
  fileEdgesIn: database.prepare<{ process: string; action: string; prefix: string }, CoveredRow>(
    `SELECT edges.*, target.name FROM nodes target CROSS JOIN edges
      WHERE target.name >= @prefix AND target.name < @prefix || char(0x10ffff)
        AND from_id = (SELECT id FROM nodes WHERE name = @process) AND to_id = target.id AND kind = @action
      ORDER BY first_ms, target.name`,
  ),
  deleteEdge: database.prepare<[number, number, string]>(
    'DELETE FROM edges WHERE from_id = ? AND to_id = ? AND kind = ?',
  ),
  removeFresh: database.prepare<[RowId, RowId, string]>(
    'DELETE FROM fresh WHERE from_id = ? AND to_id = ? AND kind = ?',
  ),
})
