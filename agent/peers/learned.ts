import type { PeerAction } from '../domain/edge.ts'
import { Network, networksAround, reachOf } from './addresses.ts'
import { ANY_PORT, FIRST_HIGH_PORT, HIGH, peerNode, peerOfNode } from './names.ts'

/** Addresses, or networks, that must have been met before what holds them all is believed. */
const ENOUGH_ADDRESSES = 4
/** Ports that must have been met: of those beyond where most services live, and of any that are not given out by name. */
const ENOUGH_EPHEMERAL = 3
const ENOUGH_HIGH = 8
const FIRST_EPHEMERAL_PORT = 10_000
/** Patterns of one process and kind of edge, and characters of all. */
const MOST_OF_PROCESS = 256
const MOST_CHARACTERS = 4_000_000
const CHARACTERS_OF_PATTERN = 300
/** Names longer than this teach nothing. */
const LONGEST_TEACHER = 1024

/** Peers of one process that are one node. Stored beside the patterns of paths. */
export interface PeerPattern {
  readonly process: string
  readonly action: PeerAction
  /** The node without its `host:`: `203.0.113.0/24:8080`, `public:*`, `ftp.example.test:high`. */
  readonly path: string
  readonly examples: readonly string[]
  /** `denied`: what it covers has its own name, and teaches nothing. */
  readonly state?: 'learned' | 'pinned' | 'denied'
}

/** What waits for more of its kind. */
interface Waiting {
  /** @returns the last samples of the key, this one among them, each once */
  add(key: string, sample: string): readonly string[]
}

interface Candidate {
  readonly path: string
  readonly key: string
  readonly sample: string
  readonly isEnough: (samples: readonly string[]) => boolean
}

/**
 * Peers that change, process by process: when a process keeps meeting new addresses in one network on one port, or new
 * ports of one host, these become one node for it.
 *
 * Only addresses that nobody named teach a network: those that DNS has named are told by their names.
 */
export class LearnedPeers {
  /** By owner: names of nodes, without `host:`. */
  private readonly learned = new Map<string, Set<string>>()
  private readonly denied = new Map<string, Set<string>>()
  private readonly waiting: Waiting
  private characters = 0

  constructor(known: Iterable<PeerPattern>, waiting: Waiting) {
    this.waiting = waiting
    this.reset(known)
  }

  /** These are known from now on, and no others. */
  reset(known: Iterable<PeerPattern>): void {
    this.learned.clear()
    this.denied.clear()
    this.characters = 0
    for (const pattern of known) this.add(pattern)
  }

  /** Learned networks that cover the address for this process and port, the widest first, as labels. */
  networksOf(process: string, action: PeerAction, address: string, port: string): readonly string[] {
    const owner = ownerKey(process, action)
    const paths = this.learned.get(owner)
    if (paths === undefined) return []
    const denied = this.denied.get(owner)
    const labels = widest(address)
    if (denied !== undefined && labels.some((label) => denied.has(pathOf(label, port)))) return []
    return labels.filter((label) => paths.has(pathOf(label, port)))
  }

  /** Whether the ports of this host are one for the process. */
  hasHighPorts(process: string, action: PeerAction, label: string): boolean {
    return this.learned.get(ownerKey(process, action))?.has(pathOf(label, HIGH)) === true
  }

  /** Takes an edge that has come into the baseline; the pattern that it teaches with others of its kind. */
  learn(process: string, action: PeerAction, node: string): PeerPattern | undefined {
    if (process.length + node.length > LONGEST_TEACHER) return undefined
    const owner = ownerKey(process, action)
    const candidates = candidatesOf(action, node)
    const denied = this.denied.get(owner)
    if (denied !== undefined && candidates.some(({ path }) => denied.has(path))) return undefined
    let found: PeerPattern | undefined
    // The widest last: of what has become enough at once it is what covers the most.
    for (const { path, key, sample, isEnough } of candidates) {
      if (this.learned.get(owner)?.has(path) === true) continue
      const samples = this.waiting.add(`${owner} ${key}`, sample)
      if (isEnough(samples)) found = { process, action, path, examples: [...samples] }
    }
    if (found === undefined || !this.hasRoom(found)) return undefined
    this.add(found)
    return found
  }

  private hasRoom({ process, action }: PeerPattern): boolean {
    const count = this.learned.get(ownerKey(process, action))?.size ?? 0
    return count < MOST_OF_PROCESS && this.characters < MOST_CHARACTERS
  }

  private add({ process, action, path, state }: PeerPattern): void {
    const owner = ownerKey(process, action)
    const place = state === 'denied' ? this.denied : this.learned
    place.set(owner, (place.get(owner) ?? new Set<string>()).add(path))
    this.characters += path.length + CHARACTERS_OF_PATTERN
  }
}

/** Whether a node, without its `host:`, is one of those that a learned pattern makes one. */
export function coversPeer(path: string): (name: string) => boolean {
  const pattern = peerOfNode(`host:${path}`)
  if (pattern === undefined) return () => false
  const { label, port } = pattern
  if (port === HIGH)
    return (name) => {
      const peer = peerOfNode(`host:${name}`)
      return peer?.label === label && Number(peer.port) >= FIRST_HIGH_PORT
    }
  const network = Network.of(label)
  return (name) => {
    const peer = peerOfNode(`host:${name}`)
    if (peer === undefined || peer.port !== port || peer.label === label) return false
    // Of a smaller network the address before its slash tells.
    const address = peer.address ?? peerOfNode(peerNode(peer.label.replace(/\/\d+$/, ''), port))?.address
    if (address === undefined) return false
    return network === undefined ? reachOf(address) === label : network.has(address)
  }
}

function candidatesOf(action: PeerAction, node: string): readonly Candidate[] {
  const peer = peerOfNode(node)
  if (peer === undefined) return []
  const { label, port, address } = peer
  if (action === 'accept') return address === undefined ? [] : callers(address)
  // What is a network already is not one host.
  const candidates = Number(port) >= FIRST_HIGH_PORT && !label.includes('/') ? [highPorts(label, port)] : []
  if (action === 'listen' || address === undefined || !isOneOfMany(address)) return candidates
  const [near] = networksAround(address)
  return [...candidates, network(near, port, address)]
}

/** Every client of a server has an address of its own. */
function callers(address: string): readonly Candidate[] {
  if (!isOneOfMany(address)) return []
  const [near, far] = networksAround(address)
  return [
    network(near, ANY_PORT, address),
    network(far, ANY_PORT, near),
    network(reachOf(address), ANY_PORT, far),
  ]
}

const network = (label: string, port: string, sample: string): Candidate => ({
  path: pathOf(label, port),
  key: `network ${label} ${port}`,
  sample,
  isEnough: ({ length }) => length >= ENOUGH_ADDRESSES,
})

const highPorts = (label: string, port: string): Candidate => ({
  path: pathOf(label, HIGH),
  key: `ports ${label}`,
  sample: port,
  isEnough: (ports) =>
    ports.length >= ENOUGH_HIGH ||
    ports.filter((each) => Number(each) >= FIRST_EPHEMERAL_PORT).length >= ENOUGH_EPHEMERAL,
})

/** Loopback is one host, and nobody's address is no host. */
const isOneOfMany = (address: string): boolean => ['private', 'public'].includes(reachOf(address))

const widest = (address: string): readonly string[] => {
  const reach = reachOf(address)
  const [near, far] = networksAround(address)
  return [reach, far, near]
}

const pathOf = (label: string, port: string): string => peerNode(label, port).slice('host:'.length)

const ownerKey = (process: string, action: PeerAction): string => `${action} ${process}`
