import type { Baseline } from './baseline/baseline.ts'
import { type Edge, isPeerAction } from './domain/edge.ts'
import type { PatternLearned } from './domain/report.ts'
import type { StateWriter } from './domain/state.ts'
import type { SeenEdge } from './graph/edges.ts'
import { WaitingShapes } from './graph/waiting.ts'
import { canonical, reachOf } from './peers/addresses.ts'
import { coversPeer, LearnedPeers } from './peers/learned.ts'
import { peerNode } from './peers/names.ts'
import { addressesOf, PeerNaming } from './peers/naming.ts'
import { type NetworkNames, Networks } from './peers/networks.ts'
import { Peers } from './peers/peers.ts'
import type { ResolvedName } from './peers/resolved.ts'

/** Name of this host in the state. */
const HOME = ''
/** Under which the servers are remembered that answered during the training. */
const RESOLVERS = 'resolvers'
const DNS_PORT = '53'
/** Characters of the names of unknown peers that are remembered; all are forgotten together when there are more. */
const MOST_STRANGERS = 1_000_000
/** What an entry costs besides its text. */
const CHARACTERS_OF_ENTRY = 100
/** How long what an edge is called need not be looked for again, by the time of the log. */
const SAME_MS = 1000
/** Characters of addresses that wait for more of their network. */
const MOST_WAITING = 2_000_000

/** What an edge was called when it was looked for last. */
interface Called {
  readonly edge: Edge
  readonly untilMs: number
  /** Of the names and of the baseline. */
  readonly revision: number
  readonly edition: number
}

/** The names that the hosts of edges may be known by: from DNS, from the configuration, and as they were learned. */
export class PeerBook {
  /** How many answers named a host. Only grows. */
  answers = 0
  private readonly baseline: Baseline
  private readonly peers: Peers
  private readonly learned: LearnedPeers
  private readonly naming: PeerNaming
  private readonly waiting: WaitingShapes
  /** Under which names strangers were met: they keep them when the names are no longer fresh. */
  private readonly strangers = new Set<string>()
  private strangerCharacters = 0
  /** As long as they are seen. */
  private called = new WeakMap<SeenEdge, Called>()

  /** @param tracksChanges whether `drain` will be called */
  constructor(baseline: Baseline, tracksChanges: boolean, networks: NetworkNames = {}) {
    this.baseline = baseline
    this.waiting = new WaitingShapes(tracksChanges, MOST_WAITING, 'address')
    this.peers = new Peers(baseline.kept.memory(RESOLVERS) as string[] | undefined, tracksChanges)
    if (tracksChanges) {
      const read = baseline.kept.states.of(HOME)
      this.waiting.restore(read('address'))
      this.peers.restore(read('peer'))
    }
    this.learned = new LearnedPeers(baseline.patterns.ofPeers(), this.waiting)
    this.naming = new PeerNaming(this.peers, new Networks(networks), this.learned)
  }

  /** A name was resolved. Belongs into a batch. */
  heard(name: ResolvedName, isLearning: boolean): void {
    const servers = this.peers.servers.size
    const { distrusted } = this.peers
    this.peers.answered(name, isLearning || this.isNormal(name.server))
    if (this.peers.distrusted === distrusted) this.answers++
    if (this.peers.servers.size !== servers) this.baseline.kept.remember(RESOLVERS, [...this.peers.servers])
  }

  /**
   * Whether some process is known to ask this server, whose answers nobody heard during the training: it was accepted
   * since, or there was nobody who listened. In that case this host itself is believed, too: nobody but root answers
   * from there.
   */
  private isNormal(server: string | undefined): boolean {
    const address = server === undefined ? undefined : canonical(server)
    if (server === undefined || address === undefined || this.peers.servers.has(server)) return false
    if (this.peers.servers.size === 0 && reachOf(address) === 'loopback') return true
    return addressesOf(address).some((each) => this.baseline.edges.isTarget(peerNode(each, DNS_PORT)))
  }

  /** Whether there were answers, and no server that is believed. */
  get believesNobody(): boolean {
    return this.peers.distrusted > 0 && this.peers.servers.size === 0
  }

  /** Answers of servers that nobody asked while the host was learned. Only grows. */
  get distrusted(): number {
    return this.peers.distrusted
  }

  /** Addresses whose names were forgotten because there were too many. Only grows. */
  get shedAddresses(): number {
    return this.peers.forgotten
  }

  /** Whether what is known of the edge holds until the baseline changes, whatever is resolved meanwhile. */
  isLasting({ edge, peer }: SeenEdge): boolean {
    return peer === undefined || edge.kind !== 'connect' || this.peers.isEmpty
  }

  /**
   * The edge under the name that the baseline knows it by, or the best one when it knows none. The same object when
   * that is its own.
   */
  nameOf(seen: SeenEdge, timeMs: number, isLearning: boolean): Edge {
    if (seen.peer === undefined) return seen.edge
    const { revision } = this.peers
    const { edition } = this.baseline.edges
    const called = this.called.get(seen)
    const isSame = called?.revision === revision && called.edition === edition
    if (isSame && timeMs <= called.untilMs && timeMs > called.untilMs - SAME_MS) return called.edge
    const edge = this.lookUp(seen, timeMs, isLearning)
    this.called.set(seen, { edge, untilMs: timeMs + SAME_MS, revision, edition })
    return edge
  }

  /** All nodes that the host of the edge may be known as, its own first. */
  namesOf({ edge, peer }: Partial<SeenEdge> & Pick<SeenEdge, 'edge'>, timeMs: number): readonly string[] {
    const { kind, from, to } = edge
    if (peer === undefined || !isPeerAction(kind)) return [to]
    return [...new Set([to, ...this.naming.nodesOf(from, kind, peer, { timeMs, isLearning: false })])]
  }

  private lookUp({ edge, peer }: SeenEdge, timeMs: number, isLearning: boolean): Edge {
    const { kind, from } = edge
    if (peer === undefined || !isPeerAction(kind)) return edge
    const edges = this.naming
      .nodesOf(from, kind, peer, { timeMs, isLearning })
      .map((to) => (to === edge.to ? edge : { kind, from, to }))
    return (
      edges.find((each) => this.baseline.edges.find(each) !== undefined) ?? this.strangerOf(edges) ?? edge
    )
  }

  private strangerOf(edges: readonly Edge[]): Edge | undefined {
    const best = edges.find((each) => this.strangers.has(keyOf(each))) ?? edges[0]
    if (best === undefined || edges.length === 1) return best
    const key = keyOf(best)
    if (this.strangers.has(key)) return best
    if (this.strangerCharacters >= MOST_STRANGERS) {
      this.strangers.clear()
      this.strangerCharacters = 0
    }
    this.strangers.add(key)
    this.strangerCharacters += key.length + CHARACTERS_OF_ENTRY
    return best
  }

  /** An edge has become normal: the pattern that it teaches with others of its kind, stored. */
  learn({ kind, from, to }: Edge, timeMs: number): PatternLearned | undefined {
    if (!isPeerAction(kind)) return undefined
    const pattern = this.learned.learn(from, kind, to)
    if (pattern === undefined) return undefined
    const { process, action, path, examples, replaces } = pattern
    const printed = `${process}->host:${path}`
    const stored = { process, action, path, examples, printed, learnedMs: timeMs }
    this.baseline.patterns.add(stored, coversPeer(path), '', replaces)
    return { kind: 'pattern', pattern: printed, process, action, examples }
  }

  /** Somebody else has written to the baseline. */
  reload(): void {
    this.learned.reset(this.baseline.patterns.ofPeers())
    this.peers.trust((this.baseline.kept.memory(RESOLVERS) ?? []) as string[])
    this.called = new WeakMap()
  }

  /** Writes what has changed since the last time. */
  drain(writer: StateWriter): void {
    this.waiting.drain(writer)
    this.peers.drain(writer)
  }
}

const keyOf = ({ kind, from, to }: Edge): string => `${kind} ${from}->${to}`
