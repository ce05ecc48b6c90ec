import type { PeerAction } from '../domain/edge.ts'
import { Network, networksAround, reachOf } from './addresses.ts'
import {
  ANY_PORT,
  FIRST_HIGH_PORT,
  hasPort,
  LAST_PORT,
  peerNode,
  peerOfNode,
  type Ports,
  portsOf,
  portsText,
} from './names.ts'

/** Addresses, or networks, that must have been met before what holds them all is believed. */
const ENOUGH_ADDRESSES = 4
/** Ports that must have been met: of those beyond where most services live, and of any that are not given out by name. */
const ENOUGH_EPHEMERAL = 3
const ENOUGH_HIGH = 8
const FIRST_EPHEMERAL_PORT = 10_000
/** Where Linux begins (`ip_local_port_range`); others begin at 49152 (RFC 6335), or have to be told. */
const FIRST_LOCAL_PORT = 32_768
/** Ports below the ephemeral ones are those of many services, unless they lie together. */
const MOST_APART = 1000
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
  /** The node without its `host:`: `203.0.113.0/24:8080`, `public:*`, `ftp.example.test:32768-65535`. */
  readonly path: string
  readonly examples: readonly string[]
  /** `denied`: what it covers has its own name, and teaches nothing. */
  readonly state?: 'learned' | 'pinned' | 'denied'
}

export interface NewPeerPattern extends PeerPattern {
  /** Paths of learned ones that it covers whole. */
  readonly replaces: readonly string[]
}

/** Ports that were learned to be one. */
interface LearnedPorts extends Ports {
  readonly isPinned: boolean
}

/** What waits for more of its kind. */
interface Waiting {
  /** @returns the last samples of the key, this one among them, each once */
  add(key: string, sample: string): readonly string[]
}

interface Candidate {
  readonly key: string
  readonly sample: string
  /** What so many teach; undefined while they are too few. */
  readonly taughtBy: (samples: readonly string[]) => string | undefined
  /** Whether this denied path stands for what would be taught. */
  readonly isDeniedBy: (path: string) => boolean
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
  /** By owner and label. */
  private readonly spans = new Map<string, readonly LearnedPorts[]>()
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
    this.spans.clear()
    this.characters = 0
    for (const pattern of known) this.add(pattern)
  }

  /** Learned networks that cover the address for this process and port, the widest first, as labels. */
  networksOf(process: string, action: PeerAction, address: string, port: string): readonly string[] {
    const owner = ownerKey(process, action)
    const paths = this.learned.get(owner)
    if (paths === undefined) return []
    const denied = this.denied.get(owner)
    const labels = widest(action, address)
    if (denied !== undefined && labels.some((label) => denied.has(pathOf(label, port)))) return []
    return labels.filter((label) => paths.has(pathOf(label, port)))
  }

  /** Ports of this host that are one for the process, this one among them; the most first. */
  portsWith(process: string, action: PeerAction, label: string, port: number): readonly Ports[] {
    const owner = ownerKey(process, action)
    const spans = this.spans.get(`${owner} ${label}`)
    if (spans === undefined) return []
    const name = pathOf(label, String(port))
    const isDenied = [...(this.denied.get(owner) ?? [])].some((path) => coversPeer(path)(name))
    return isDenied ? [] : spans.filter((span) => hasPort(span, port))
  }

  /** Takes an edge that has come into the baseline; the pattern that it teaches with others of its kind. */
  learn(process: string, action: PeerAction, node: string): NewPeerPattern | undefined {
    if (process.length + node.length > LONGEST_TEACHER) return undefined
    const owner = ownerKey(process, action)
    const candidates = candidatesOf(action, node, (label) => this.spans.get(`${owner} ${label}`) ?? [])
    const denied = this.denied.get(owner)
    if (denied !== undefined && candidates.some(({ isDeniedBy }) => [...denied].some(isDeniedBy)))
      return undefined
    let found: PeerPattern | undefined
    // The widest last: of what has become enough at once it is what covers the most.
    for (const { key, sample, taughtBy } of candidates) {
      const samples = this.waiting.add(`${owner} ${key}`, sample)
      const path = taughtBy(samples)
      if (path !== undefined && this.learned.get(owner)?.has(path) !== true)
        found = { process, action, path, examples: [...samples] }
    }
    if (found === undefined || !this.hasRoom(found)) return undefined
    const replaces = this.replacedBy(owner, found.path)
    for (const path of replaces) this.remove(owner, path)
    this.add(found)
    return { ...found, replaces }
  }

  private replacedBy(owner: string, path: string): readonly string[] {
    const { label, port } = peerOfNode(`host:${path}`) ?? { label: '', port: '' }
    if (portsOf(port) === undefined) return []
    const covers = coversPeer(path)
    return (this.spans.get(`${owner} ${label}`) ?? [])
      .filter(({ isPinned }) => !isPinned)
      .map((span) => pathOf(label, portsText(span)))
      .filter(covers)
  }

  private remove(owner: string, path: string): void {
    const { label, port } = peerOfNode(`host:${path}`) ?? { label: '', port: '' }
    const key = `${owner} ${label}`
    this.learned.get(owner)?.delete(path)
    const spans = this.spans.get(key) ?? []
    this.spans.set(
      key,
      spans.filter((span) => portsText(span) !== port),
    )
    this.characters -= path.length + CHARACTERS_OF_PATTERN
  }

  private hasRoom({ process, action }: PeerPattern): boolean {
    const count = this.learned.get(ownerKey(process, action))?.size ?? 0
    return count < MOST_OF_PROCESS && this.characters < MOST_CHARACTERS
  }

  private add({ process, action, path, state }: PeerPattern): void {
    const owner = ownerKey(process, action)
    const place = state === 'denied' ? this.denied : this.learned
    place.set(owner, (place.get(owner) ?? new Set<string>()).add(path))
    if (state !== 'denied') this.addSpan(owner, path, state === 'pinned')
    this.characters += path.length + CHARACTERS_OF_PATTERN
  }

  private addSpan(owner: string, path: string, isPinned: boolean): void {
    const { label, port } = peerOfNode(`host:${path}`) ?? { label: '', port: '' }
    const span = portsOf(port)
    if (span === undefined) return
    const key = `${owner} ${label}`
    const spans = [...(this.spans.get(key) ?? []), { ...span, isPinned }]
    this.spans.set(
      key,
      spans.sort((one, other) => other.last - other.first - (one.last - one.first)),
    )
  }
}

/** Whether a node, without its `host:`, is one of those that a learned pattern makes one. */
export function coversPeer(path: string): (name: string) => boolean {
  const pattern = peerOfNode(`host:${path}`)
  if (pattern === undefined) return () => false
  const { label, port } = pattern
  const span = portsOf(port)
  if (span !== undefined)
    return (name) => {
      const peer = peerOfNode(`host:${name}`)
      if (peer?.label !== label || peer.port === port) return false
      const { first, last } = portsOf(peer.port) ?? { first: Number(peer.port), last: Number(peer.port) }
      return hasPort(span, first) && hasPort(span, last)
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

function candidatesOf(
  action: PeerAction,
  node: string,
  spansOf: (label: string) => readonly Ports[],
): readonly Candidate[] {
  const peer = peerOfNode(node)
  if (peer === undefined) return []
  const { label, port, address } = peer
  if (action === 'accept') return address === undefined ? [] : callers(address)
  if (portsOf(port) !== undefined) return []
  // What is a network already is not one host.
  const isHigh = Number(port) >= FIRST_HIGH_PORT && !label.includes('/')
  const candidates = isHigh ? [portsOfHost(label, port, spansOf(label))] : []
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

function network(label: string, port: string, sample: string): Candidate {
  const path = pathOf(label, port)
  return {
    key: `network ${label} ${port}`,
    sample,
    taughtBy: ({ length }) => (length >= ENOUGH_ADDRESSES ? path : undefined),
    isDeniedBy: (denied) => denied === path,
  }
}

const portsOfHost = (label: string, port: string, before: readonly Ports[]): Candidate => ({
  key: `ports ${label}`,
  sample: port,
  taughtBy: (ports) => {
    const span = spanOf(ports.map(Number), before)
    return span === undefined ? undefined : pathOf(label, portsText(span))
  },
  // Somebody said that no ports of this host are one.
  isDeniedBy: (denied) => {
    const peer = peerOfNode(`host:${denied}`)
    return peer?.label === label && portsOf(peer.port) !== undefined
  },
})

/**
 * The ports that one of which is chosen anew each time, by those that were met: no more than these say. A port of a
 * service, or of whoever listens where none should, is not among them when all of these are beyond it.
 */
function spanOf(ports: readonly number[], before: readonly Ports[]): Ports | undefined {
  const ephemeral = ports.filter((port) => port >= FIRST_EPHEMERAL_PORT)
  const [first, last] = [Math.min(...ports), Math.max(...ports)]
  if (ports.length >= ENOUGH_HIGH && first < FIRST_EPHEMERAL_PORT) {
    const near = joined({ first, last }, before)
    if (near.last - near.first < MOST_APART) return near
  }
  if (ephemeral.length < ENOUGH_EPHEMERAL) return undefined
  if (ports.length >= ENOUGH_HIGH && first < FIRST_EPHEMERAL_PORT) return { first, last: LAST_PORT }
  const lowest = Math.min(...ephemeral)
  return { first: lowest >= FIRST_LOCAL_PORT ? FIRST_LOCAL_PORT : FIRST_EPHEMERAL_PORT, last: LAST_PORT }
}

/** The span with all that it meets. */
const joined = (span: Ports, others: readonly Ports[]): Ports =>
  others
    .filter((other) => other.first <= span.last && span.first <= other.last)
    .reduce(
      (all, { first, last }) => ({ first: Math.min(all.first, first), last: Math.max(all.last, last) }),
      span,
    )

/** Loopback is one host, and nobody's address is no host. */
const isOneOfMany = (address: string): boolean => ['private', 'public'].includes(reachOf(address))

function widest(action: PeerAction, address: string): readonly string[] {
  const reach = reachOf(address)
  // Who serves anybody serves this host.
  if (reach === 'loopback') return action === 'accept' ? ['public'] : []
  const [near, far] = networksAround(address)
  return [reach, far, near]
}

const pathOf = (label: string, port: string): string => peerNode(label, port).slice('host:'.length)

const ownerKey = (process: string, action: PeerAction): string => `${action} ${process}`
