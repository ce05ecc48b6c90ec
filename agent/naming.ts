import type { Baseline } from './baseline/baseline.ts'
import type { Edge, FileAction } from './domain/edge.ts'
import type { PatternLearned } from './domain/report.ts'
import type { StateWriter } from './domain/state.ts'
import type { SeenEdge } from './graph/edges.ts'
import { directoryOf, PathPatterns, printedPattern } from './graph/patterns.ts'
import { PeerBook } from './peer-book.ts'
import type { NetworkNames } from './peers/networks.ts'
import type { ResolvedName } from './peers/resolved.ts'

/** Name of this host in the state. */
const HOME = ''

/**
 * The names that an edge may be known by: as it was seen, as patterns of volatile names make it, and as DNS and the
 * configuration call its host.
 */
export class Naming {
  private readonly baseline: Baseline
  private readonly patterns: PathPatterns
  private readonly peers: PeerBook

  /** @param tracksChanges whether `drain` will be called */
  constructor(baseline: Baseline, tracksChanges: boolean, networks?: NetworkNames) {
    this.baseline = baseline
    this.patterns = patternsOf(baseline, tracksChanges)
    this.peers = new PeerBook(baseline, tracksChanges, networks)
  }

  /** A name was resolved. Belongs into a batch. */
  heard(name: ResolvedName, isLearning: boolean): void {
    this.peers.heard(name, isLearning)
  }

  get heardOfDns(): { readonly answers: number; readonly distrusted: number } {
    const { answers, distrusted } = this.peers
    return { answers, distrusted }
  }

  /** Whether the name of the edge, once looked for, holds until the baseline changes. */
  isLasting(seen: SeenEdge): boolean {
    return this.peers.isLasting(seen)
  }

  /** The edge under the name that it is learned and reported by. The same object when that is its own. */
  nameOf(seen: SeenEdge, timeMs: number, isLearning: boolean): Edge {
    const { edge, filePath } = seen
    if (filePath === undefined) return this.peers.nameOf(seen, timeMs, isLearning)
    const to = this.patterns.nameOf(edge.from, edge.kind as FileAction, filePath)
    return to === edge.to ? edge : { kind: edge.kind, from: edge.from, to }
  }

  /** An edge has become normal under its own name: the pattern that it and its siblings teach, stored. */
  learn(edge: Edge, timeMs: number): PatternLearned | undefined {
    const filePath = filePathOf(edge)
    if (filePath === undefined) return this.peers.learn(edge, timeMs)
    const pattern = this.patterns.learn(edge.from, edge.kind as FileAction, filePath)
    if (pattern === undefined) return undefined
    const printed = printedPattern(pattern)
    const regex = new RegExp(`^${pattern.path}$`)
    const stored = { ...pattern, printed, learnedMs: timeMs }
    this.baseline.addPattern(stored, (path) => regex.test(path), directoryOf(pattern.path))
    const { process, action, examples } = pattern
    return { kind: 'pattern', pattern: printed, process, action, examples }
  }

  /** Writes what has changed since the last time. */
  drain(writer: StateWriter): void {
    this.patterns.drain(writer)
    this.peers.drain(writer)
  }
}

/** Known patterns, and the files that may yet teach one. */
function patternsOf(baseline: Baseline, tracksChanges: boolean): PathPatterns {
  const known = baseline.patterns()
  const patterns = new PathPatterns(known, tracksChanges)
  const waiting = tracksChanges ? [...baseline.states.of(HOME)('sample')] : []
  if (waiting.length > 0) {
    patterns.restore(waiting)
    return patterns
  }
  const covered = new Set(known.map(({ process, action, path }) => `${process} ${action} ${path}`))
  for (const { process, action, path } of baseline.recentFileEdges()) {
    if (!covered.has(`${process} ${action} ${path}`)) patterns.remember(process, action, path)
  }
  return patterns
}

function filePathOf(edge: Edge): string | undefined {
  const prefix = `file:${edge.kind}:`
  return edge.to.startsWith(prefix) ? edge.to.slice(prefix.length) : undefined
}
