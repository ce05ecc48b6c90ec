import type { PeerAction } from '../domain/edge.ts'
import { reachOf } from './addresses.ts'
import type { LearnedPeers } from './learned.ts'
import { ANY_PORT, peerNode, portsText } from './names.ts'
import type { Networks } from './networks.ts'
import type { Peers } from './peers.ts'

/** Every address of loopback is this host; it is called by the first one. */
const LOOPBACK = ['127.0.0.1', '::1']

/** The far end of an edge, or the near end of a listen. */
export interface Peer {
  readonly address: string
  /** Undefined for the far side of an accept. */
  readonly port: number | undefined
}

/** Which nodes a peer may stand for: what DNS, the configuration and the training know of it. */
export class PeerNaming {
  private readonly peers: Peers
  private readonly networks: Networks
  private readonly learned: LearnedPeers

  constructor(peers: Peers, networks: Networks, learned: LearnedPeers) {
    this.peers = peers
    this.networks = networks
    this.learned = learned
  }

  /**
   * Names of the node, the best first. The process knows the peer when it knows any of them.
   *
   * A name that DNS gave comes first, since it is what the process meant; whoever may choose names can make an address
   * have one more, but not one that the process knows. While the host is learned any name is better than an address,
   * which will change; afterwards one that was answered long ago would only hide where a stranger connects to.
   */
  nodesOf(
    process: string,
    action: PeerAction,
    { address, port }: Peer,
    { timeMs, isLearning }: { readonly timeMs: number; readonly isLearning: boolean },
  ): readonly string[] {
    const portText = port === undefined ? ANY_PORT : String(port)
    const nodes: string[] = []
    for (const label of this.labelsOf(action, address, timeMs, isLearning)) {
      for (const ports of port === undefined ? [] : this.learned.portsWith(process, action, label, port))
        nodes.push(peerNode(label, portsText(ports)))
      nodes.push(peerNode(label, portText))
    }
    const learned = this.learned
      .networksOf(process, action, address, portText)
      .map((label) => peerNode(label, portText))
    if (learned.length === 0) return nodes
    // Before the address, behind all names.
    const bare = nodes.indexOf(peerNode(bareOf(address), portText))
    return [...nodes.slice(0, bare), ...learned, ...nodes.slice(bare)]
  }

  private labelsOf(
    action: PeerAction,
    address: string,
    timeMs: number,
    isLearning: boolean,
  ): readonly string[] {
    // Nobody looks up who calls, and a name for this host says nothing about who listens.
    const resolved = action === 'connect' ? this.peers.namesOf(address, timeMs) : []
    const names = resolved.filter(({ name }) => !this.networks.has(name))
    const best = names.flatMap(({ name, isFresh }) => (isLearning || isFresh ? [name] : []))
    const others = names.flatMap(({ name, isFresh }) => (isLearning || isFresh ? [] : [name]))
    return [...best, ...this.networks.namesOf(address), ...addressesOf(address), ...others]
  }
}

const isLoopback = (address: string): boolean => LOOPBACK.includes(address) || reachOf(address) === 'loopback'

const bareOf = (address: string): string => (isLoopback(address) ? '127.0.0.1' : address)

/** The address as it is printed, then as it may have been learned. */
export const addressesOf = (address: string): readonly string[] =>
  isLoopback(address) ? [...new Set(['127.0.0.1', address, '::1'])] : [address]
