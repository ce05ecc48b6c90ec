import type { Baseline } from './baseline/baseline.ts'
import type { Decision } from './baseline/decisions.ts'
import { type Edge, type EdgeKind, isPeerAction, type PatternAction, prefixOf } from './domain/edge.ts'
import type { PatternLearned } from './domain/report.ts'
import type { StateWriter } from './domain/state.ts'
import type { SeenEdge } from './graph/edges.ts'
import {
  directoryOf,
  isExpression,
  isOfExecutables,
  type NewPattern,
  PathPatterns,
  printedPattern,
  type ProtectionOf,
} from './graph/patterns.ts'
import { PeerBook } from './peer-book.ts'
import { coversPeer } from './peers/learned.ts'
import type { NetworkNames } from './peers/networks.ts'
import type { ResolvedName } from './peers/resolved.ts'
import { protectionOf } from './protection.ts'

/** Name of this host in the state. */
const HOME = ''

/** What is looked for of an edge to name it. */
export type NamedEdge = Pick<SeenEdge, 'edge'> & Partial<Pick<SeenEdge, 'filePath' | 'executableBy' | 'peer'>>

/** A node that stands for many. */
interface Cover {
  readonly name: string
  readonly covers: (name: string) => boolean
}

/** An edge that stands for many, and the expression over their paths. */
export interface Proposal {
  readonly edge: Edge
  readonly expression: string
}

/**
 * The names that an edge may be known by: as it was seen, as patterns of volatile names make it, and as DNS and the
 * configuration call its host.
 */
export class Naming {
  private readonly baseline: Baseline
  private readonly patterns: PathPatterns
  private readonly peers: PeerBook
  /** What denied names stand for, as long as the baseline hands out the same ones. */
  private readonly denied = new WeakMap<readonly string[], readonly Cover[]>()
  /** Changes whenever something has another name than before. */
  edition = 0

  /** @param tracksChanges whether `drain` will be called */
  constructor(
    baseline: Baseline,
    tracksChanges: boolean,
    networks?: NetworkNames,
    isOwned: (path: string) => boolean = () => false,
  ) {
    this.baseline = baseline
    const protection: ProtectionOf = (path, process) => (isOwned(path) ? 'all' : protectionOf(path, process))
    this.patterns = patternsOf(baseline, tracksChanges, protection)
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

  /** Whether DNS was answered, and by nobody who is believed. */
  get believesNobody(): boolean {
    return this.peers.believesNobody
  }

  /** Addresses whose names were forgotten because there were too many. Only grows. */
  get shedAddresses(): number {
    return this.peers.shedAddresses
  }

  /** Whether the name of the edge, once looked for, holds until the baseline changes. */
  isLasting(seen: SeenEdge): boolean {
    return this.peers.isLasting(seen)
  }

  /** The edge under the name that it is learned and reported by. The same object when that is its own. */
  nameOf(seen: SeenEdge, timeMs: number, isLearning: boolean): Edge {
    const { edge, filePath, executableBy } = seen
    if (edge.kind === 'exec') this.noteExecuted(edge.to)
    const place = placeOf(edge, filePath)
    if (place === undefined) return this.peers.nameOf(seen, timeMs, isLearning)
    const to = this.patterns.nameOf(edge.from, place.action, place.path, executableBy)
    return to === edge.to ? edge : { kind: edge.kind, from: edge.from, to }
  }

  /** The name of the edge under which a person denied it, whatever else it is known as; undefined when nobody did. */
  deniedNameOf(seen: NamedEdge, timeMs: number): Edge | undefined {
    const { kind, from } = seen.edge
    const denials = this.baseline.denials.of(from, kind)
    if (denials.length === 0) return undefined
    const names = this.namesOf(seen, timeMs)
    const to = names.find((name) => denials.includes(name)) ?? this.deniedPatternOf(seen, names, denials)
    if (to === undefined) return undefined
    return to === seen.edge.to ? seen.edge : { kind, from, to }
  }

  /** All nodes that the far side of the edge may be known as, its own first. */
  namesOf(seen: NamedEdge, timeMs: number): readonly string[] {
    const { edge, filePath, executableBy } = seen
    const place = placeOf(edge, filePath)
    if (place === undefined) return this.peers.namesOf(seen, timeMs)
    const { action, path } = place
    return [...new Set([edge.to, this.patterns.nameOf(edge.from, action, path, executableBy)])]
  }

  /** A pattern that was denied holds for its files, also when they are called otherwise by now; a network for its hosts. */
  private deniedPatternOf(
    { edge, filePath }: NamedEdge,
    names: readonly string[],
    denials: readonly string[],
  ): string | undefined {
    const place = placeOf(edge, filePath)
    let covers = this.denied.get(denials)
    if (covers === undefined) this.denied.set(denials, (covers = denials.flatMap(coverOf)))
    return covers.find(({ covers: isCovered }) =>
      place === undefined ? names.some(isCovered) : isCovered(prefixOf(place.action) + place.path),
    )?.name
  }

  /** An edge has become normal under the name `edge`: the pattern that it teaches, alone or with its siblings, stored. */
  learn(
    { edge: { from, to, kind }, filePath, executableBy, peer }: SeenEdge,
    edge: Edge,
    timeMs: number,
  ): PatternLearned | undefined {
    const place = placeOf({ from, to, kind }, filePath)
    if (place === undefined) return peer === undefined ? undefined : this.peers.learn(edge, timeMs)
    return this.store(this.patterns.learn(from, place.action, place.path, executableBy), timeMs)
  }

  /** The same of an edge of which only the name is known. `by`: who made it normal, if anybody did. */
  learnNamed(edge: Edge, timeMs: number, by?: Decision): PatternLearned | undefined {
    const place = placeOf(edge)
    if (place === undefined) return this.peers.learn(edge, timeMs)
    const { action, path } = place
    if (isExpression(path)) return this.store(this.patterns.adopt(edge.from, action, path), timeMs, by)
    // It has its own name though it looks volatile: it is executable.
    if (this.patterns.nameOf(edge.from, action, path) !== edge.to) return undefined
    return this.store(this.patterns.learn(edge.from, action, path), timeMs, by)
  }

  /** The edge with all that may change in the name of its file taken out; undefined when nothing may. */
  propose(edge: Edge): Proposal | undefined {
    const place = placeOf(edge)
    if (place === undefined || isExpression(place.path)) return undefined
    const expression = this.patterns.propose(edge.from, place.action, place.path)
    if (expression === undefined) return undefined
    const { kind, from } = edge
    return { edge: { kind, from, to: prefixOf(place.action) + expression }, expression }
  }

  /** Somebody else has written to the baseline. */
  reload(): void {
    this.patterns.reset(this.baseline.patterns.ofNames())
    this.peers.reload()
    this.edition++
  }

  /** Writes what has changed since the last time. */
  drain(writer: StateWriter): void {
    this.patterns.drain(writer)
    this.peers.drain(writer)
  }

  private store(learned: NewPattern | undefined, timeMs: number, by?: Decision): PatternLearned | undefined {
    if (learned === undefined) return undefined
    const { process, action, path, examples, replaces } = learned
    const printed = printedPattern(learned)
    const regex = new RegExp(`^${path}$`)
    const stored = { process, action, path, examples, printed, learnedMs: timeMs }
    // Whether somebody may execute the file of a stored edge is not known.
    const covers = (name: string): boolean =>
      !isOfExecutables(path) && regex.test(name) && !this.patterns.isKept(name)
    this.baseline.patterns.add(stored, covers, directoryOf(path), replaces, by)
    return { kind: 'pattern', pattern: printed, process, action, examples }
  }

  private noteExecuted(process: string): void {
    for (const path of filesOf(process)) if (this.patterns.noteExecuted(path)) this.edition++
  }
}

/** Known patterns, and the files that may yet teach one. */
function patternsOf(baseline: Baseline, tracksChanges: boolean, protection: ProtectionOf): PathPatterns {
  const known = baseline.patterns.ofNames()
  const patterns = new PathPatterns(known, tracksChanges, protection)
  if (tracksChanges) patterns.restoreKept(baseline.kept.states.of(HOME)('executed'))
  for (const process of baseline.edges.processes())
    for (const path of filesOf(process)) patterns.noteExecuted(path)
  const waiting = tracksChanges ? [...baseline.kept.states.of(HOME)('sample')] : []
  if (waiting.length > 0) {
    patterns.restore(waiting)
    return patterns
  }
  for (const { process, action, path } of baseline.edges.recentFileEdges())
    patterns.remember(process, action, path)
  return patterns
}

/** What a node stands for besides itself, if anything. */
function coverOf(name: string): Cover[] {
  const [, prefix = '', path = ''] = /^(file:[a-z]+:|host:)(.*)$/s.exec(name) ?? []
  if (isExpression(path)) {
    const regex = new RegExp(`^${path}$`)
    return [{ name, covers: (other) => other.startsWith(prefix) && regex.test(other.slice(prefix.length)) }]
  }
  if (prefix !== 'host:') return []
  const isOfPeer = coversPeer(path)
  return [{ name, covers: (other) => other.startsWith(prefix) && isOfPeer(other.slice(prefix.length)) }]
}

/** What a pattern may cover of an edge: the path of a file, or of a socket of this host. */
function placeOf({ kind, to }: Edge, filePath?: string): { action: PatternAction; path: string } | undefined {
  if (!isPatternAction(kind)) return undefined
  if (filePath !== undefined) return { action: kind, path: filePath }
  const prefix = prefixOf(kind)
  const path = to.slice(prefix.length)
  const isPlace = to.startsWith(prefix) && (!isPeerAction(kind) || path.startsWith('unix:'))
  return isPlace ? { action: kind, path } : undefined
}

const isPatternAction = (kind: EdgeKind): kind is PatternAction =>
  kind !== 'exec' && kind !== 'privilege' && kind !== 'trace' && kind !== 'memory-exec'

/** The program and the script of a process, by its printed name, as far as that says which file it is. */
function filesOf(process: string): string[] {
  const [, exe, script] = /^proc:[^:]*:[^:]*:([^<]*)(?:<(\/.*))?$/.exec(process) ?? []
  return [exe?.replaceAll('\\x3c', '<') ?? '', script ?? ''].filter(
    (path) => path.startsWith('/') && !isExpression(path),
  )
}
