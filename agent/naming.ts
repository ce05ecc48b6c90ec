import type { Baseline } from './baseline/baseline.ts'
import type { Edge, FileAction } from './domain/edge.ts'
import type { PatternLearned } from './domain/report.ts'
import type { StateWriter } from './domain/state.ts'
import type { SeenEdge } from './graph/edges.ts'
import { directoryOf, PathPatterns, printedPattern } from './graph/patterns.ts'

/** Name of this host in the state. */
const HOME = ''

/**
 * The names that an edge may be known by: as it was seen, and as patterns of volatile names make it.
 */
export class Naming {
  private readonly baseline: Baseline
  private readonly patterns: PathPatterns

  /** @param tracksChanges whether `drain` will be called */
  constructor(baseline: Baseline, tracksChanges: boolean) {
    this.baseline = baseline
    this.patterns = patternsOf(baseline, tracksChanges)
  }

  /** The edge under the name that it is learned and reported by. The same object when that is its own. */
  nameOf({ edge, filePath }: SeenEdge): Edge {
    if (filePath === undefined) return edge
    const to = this.patterns.nameOf(edge.from, edge.kind as FileAction, filePath)
    return to === edge.to ? edge : { kind: edge.kind, from: edge.from, to }
  }

  /** An edge has become normal under its own name: the pattern that it and its siblings teach, stored. */
  learn(edge: Edge, timeMs: number): PatternLearned | undefined {
    const filePath = filePathOf(edge)
    if (filePath === undefined) return undefined
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
