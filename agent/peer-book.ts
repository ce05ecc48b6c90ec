import type { Baseline } from './baseline/baseline.ts'
import { type Edge, isPeerAction } from './domain/edge.ts'
import type { PatternLearned } from './domain/report.ts'
import type { StateWriter } from './domain/state.ts'
import type { SeenEdge } from './graph/edges.ts'
import { WaitingShapes } from './graph/waiting.ts'
import { coversPeer, LearnedPeers } from './peers/learned.ts'
import { PeerNaming } from './peers/naming.ts'
import { type NetworkNames, Networks } from './peers/networks.ts'
import { Peers } from './peers/peers.ts'
import type { ResolvedName } from './peers/resolved.ts'

/** Name of this host in the state. */
const HOME = ''
/** Under which the servers are remembered that answered during the training. */
const RESOLVERS = 'resolvers'
/** Characters of addresses that wait for more of their network. */
const MOST_WAITING = 2_000_000

/** The names that the hosts of edges may be known by: from DNS, from the configuration, and as they were learned. */
export class PeerBook {
  /** How many answers named a host. Only grows. */
  answers = 0
  private readonly baseline: Baseline
  private readonly peers: Peers
  private readonly learned: LearnedPeers
  private readonly naming: PeerNaming
  private readonly waiting: WaitingShapes

  /** @param tracksChanges whether `drain` will be called */
  constructor(baseline: Baseline, tracksChanges: boolean, networks: NetworkNames = {}) {
    this.baseline = baseline
    this.waiting = new WaitingShapes(tracksChanges, MOST_WAITING, 'address')
    this.peers = new Peers((baseline.memory(RESOLVERS) ?? []) as string[], tracksChanges)
    if (tracksChanges) {
      const read = baseline.states.of(HOME)
      this.waiting.restore(read('address'))
      this.peers.restore(read('peer'))
    }
    this.learned = new LearnedPeers(baseline.peerPatterns(), this.waiting)
    this.naming = new PeerNaming(this.peers, new Networks(networks), this.learned)
  }

  /** A name was resolved. Belongs into a batch. */
  heard(name: ResolvedName, isLearning: boolean): void {
    const servers = this.peers.servers.size
    const { distrusted } = this.peers
    this.peers.answered(name, isLearning)
    if (this.peers.distrusted === distrusted) this.answers++
    if (this.peers.servers.size !== servers) this.baseline.remember(RESOLVERS, [...this.peers.servers])
  }

  /** Answers of servers that nobody asked while the host was learned. Only grows. */
  get distrusted(): number {
    return this.peers.distrusted
  }

  /** Whether what is known of the edge holds until the baseline changes, whatever is resolved meanwhile. */
  isLasting({ edge, peer }: SeenEdge): boolean {
    return peer === undefined || edge.kind !== 'connect' || this.peers.isEmpty
  }

  /**
   * The edge under the name that the baseline knows it by, or the best one when it knows none. The same object when
   * that is its own.
   */
  nameOf({ edge, peer }: SeenEdge, timeMs: number, isLearning: boolean): Edge {
    const { kind, from } = edge
    if (peer === undefined || !isPeerAction(kind)) return edge
    const edges = this.naming
      .nodesOf(from, kind, peer, { timeMs, isLearning })
      .map((to) => (to === edge.to ? edge : { kind, from, to }))
    return edges.find((each) => this.baseline.find(each) !== undefined) ?? edges[0] ?? edge
  }

  /** An edge has become normal: the pattern that it teaches with others of its kind, stored. */
  learn({ kind, from, to }: Edge, timeMs: number): PatternLearned | undefined {
    if (!isPeerAction(kind)) return undefined
    const pattern = this.learned.learn(from, kind, to)
    if (pattern === undefined) return undefined
    const { process, action, path, examples } = pattern
    const printed = `${process}->host:${path}`
    this.baseline.addPattern({ ...pattern, printed, learnedMs: timeMs }, coversPeer(path))
    return { kind: 'pattern', pattern: printed, process, action, examples }
  }

  /** Writes what has changed since the last time. */
  drain(writer: StateWriter): void {
    this.waiting.drain(writer)
    this.peers.drain(writer)
  }
}
