import type { Message } from './messages.ts'

/** Link types: https://www.tcpdump.org/linktypes.html */
const LINK = {
  null: 0,
  ethernet: 1,
  rawOld: [12, 14],
  raw: 101,
  loop: 108,
  sll: 113,
  v4: 228,
  v6: 229,
  sll2: 276,
}
/** EtherTypes. */
const IPV4 = 0x0800
const IPV6 = 0x86dd
const VLAN = [0x8100, 0x88a8]
const MOST_VLANS = 2
/** Protocols of IP: https://www.iana.org/assignments/protocol-numbers */
const TCP = 6
const UDP = 17
const FRAGMENT = 44
/** Headers of IPv6 that stand before the one of interest: hop-by-hop, routing, destination options, mobility. */
const EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 60, 135])
const MOST_EXTENSIONS = 8
const DNS_PORT = 53
const FIN_OR_RST = 0x05
const SYN = 0x02
/** Halves of TCP connections of which a message is still being sent. */
const MOST_STREAMS = 256
const LONGEST_STREAM = 65_537

/** One packet of a capture. */
export interface Packet {
  readonly timeMs: number
  /** Type of the link it was captured on. */
  readonly link: number
  readonly bytes: Buffer
  /** Whether it was longer. */
  readonly isCut: boolean
}

interface Stream {
  /** Sequence number of the next byte. */
  next: number
  bytes: Buffer
}

/** Packets → DNS messages, over UDP and TCP, with port 53 at one end. */
export class PacketReader {
  /** Packets with port 53 that could not be read, and fragments, of which nobody can tell. Only grows. */
  unread = 0
  private readonly streams = new Map<string, Stream>()

  /** Calls `emit` for each message that this packet completes. */
  read(packet: Packet, emit: (message: Message) => void): void {
    const network = networkOf(packet.link, packet.bytes)
    if (network === undefined) return
    const { version, bytes } = network
    const carried = version === IPV4 ? ofV4(bytes) : ofV6(bytes)
    if (carried === undefined) return
    if (carried === 'unread') {
      this.unread++
      return
    }
    const { protocol, payload, source, target } = carried
    if (payload.length < 8) return
    const from = payload.readUInt16BE(0)
    const to = payload.readUInt16BE(2)
    if (from !== DNS_PORT && to !== DNS_PORT) return
    if (packet.isCut) {
      this.unread++
      return
    }
    const ends = { timeMs: packet.timeMs, from: `${source} ${from}`, to: `${target} ${to}`, sender: source }
    if (protocol === UDP) emit({ ...ends, bytes: payload.subarray(8, Math.max(8, payload.readUInt16BE(4))) })
    else this.readTcp(payload, ends, emit)
  }

  /** Messages with their lengths before them; in order, or not at all. */
  private readTcp(segment: Buffer, ends: Omit<Message, 'bytes'>, emit: (message: Message) => void): void {
    if (segment.length < 20) return
    const key = `${ends.from} ${ends.to}`
    const sequence = segment.readUInt32BE(4)
    const flags = segment[13] ?? 0
    const payload = segment.subarray(((segment[12] ?? 0) >> 4) * 4)
    if ((flags & SYN) !== 0) {
      this.begin(key, { next: (sequence + 1) >>> 0, bytes: Buffer.alloc(0) })
      return
    }
    if (payload.length > 0) this.join(key, sequence, payload, ends, emit)
    if ((flags & FIN_OR_RST) !== 0) this.streams.delete(key)
  }

  private join(
    key: string,
    sequence: number,
    payload: Buffer,
    ends: Omit<Message, 'bytes'>,
    emit: (message: Message) => void,
  ): void {
    const stream = this.streams.get(key)
    if (stream === undefined) return
    if (sequence !== stream.next) {
      // Sent again, most often. What is lost, or came in another order, cannot be found again.
      if (isBehind(sequence, stream.next)) return
      this.unread++
      this.streams.delete(key)
      return
    }
    stream.next = (sequence + payload.length) >>> 0
    stream.bytes = Buffer.concat([stream.bytes, payload])
    while (stream.bytes.length >= 2) {
      const length = stream.bytes.readUInt16BE(0)
      if (stream.bytes.length < 2 + length) break
      emit({ ...ends, bytes: stream.bytes.subarray(2, 2 + length) })
      stream.bytes = stream.bytes.subarray(2 + length)
    }
    if (stream.bytes.length > LONGEST_STREAM) this.streams.delete(key)
  }

  private begin(key: string, stream: Stream): void {
    this.streams.delete(key)
    if (this.streams.size >= MOST_STREAMS)
      for (const oldest of this.streams.keys()) {
        this.streams.delete(oldest)
        break
      }
    this.streams.set(key, stream)
  }
}

/** Sequence numbers wrap. */
const isBehind = (one: number, other: number): boolean => ((one - other) | 0) < 0

interface Carried {
  readonly protocol: number
  readonly payload: Buffer
  readonly source: string
  readonly target: string
}

interface NetworkPacket {
  readonly version: number
  readonly bytes: Buffer
}

/** Undefined for what is neither IPv4 nor IPv6. */
function networkOf(link: number, bytes: Buffer): NetworkPacket | undefined {
  switch (link) {
    case LINK.ethernet:
      return ofEthernet(bytes)
    case LINK.sll:
      return ofType(bytes, 14, 16)
    case LINK.sll2:
      return ofType(bytes, 0, 20)
    case LINK.null:
    case LINK.loop:
      // The family is that of the system that captured; the packet itself says the same.
      return ofVersion(bytes.subarray(4))
    case LINK.raw:
    case LINK.v4:
    case LINK.v6:
      return ofVersion(bytes)
    default:
      return LINK.rawOld.includes(link) ? ofVersion(bytes) : undefined
  }
}

function ofEthernet(bytes: Buffer): NetworkPacket | undefined {
  let at = 12
  for (let tags = 0; tags < MOST_VLANS && bytes.length >= at + 2; tags++) {
    if (!VLAN.includes(bytes.readUInt16BE(at))) break
    at += 4
  }
  return ofType(bytes, at, at + 2)
}

function ofType(bytes: Buffer, typeAt: number, networkAt: number): NetworkPacket | undefined {
  if (bytes.length < Math.max(typeAt + 2, networkAt)) return undefined
  const version = bytes.readUInt16BE(typeAt)
  return version === IPV4 || version === IPV6 ? { version, bytes: bytes.subarray(networkAt) } : undefined
}

function ofVersion(bytes: Buffer): NetworkPacket | undefined {
  const version = (bytes[0] ?? 0) >> 4
  if (version === 4) return { version: IPV4, bytes }
  return version === 6 ? { version: IPV6, bytes } : undefined
}

const isOfInterest = (protocol: number): boolean => protocol === UDP || protocol === TCP

/** RFC 791. */
function ofV4(bytes: Buffer): Carried | 'unread' | undefined {
  if (bytes.length < 20) return undefined
  const protocol = bytes[9] ?? 0
  if (!isOfInterest(protocol)) return undefined
  const headerBytes = ((bytes[0] ?? 0) & 0xf) * 4
  if (headerBytes < 20) return undefined
  // More fragments, or not the first one.
  if ((bytes.readUInt16BE(6) & 0x3fff) !== 0) return 'unread'
  // A network card that cuts into packets itself is handed 0. Behind the end there may be padding.
  const length = bytes.readUInt16BE(2)
  const payload = bytes.subarray(headerBytes, length === 0 ? undefined : length)
  return { protocol, payload, source: v4(bytes, 12), target: v4(bytes, 16) }
}

/** RFC 8200. */
function ofV6(bytes: Buffer): Carried | 'unread' | undefined {
  if (bytes.length < 40) return undefined
  let protocol = bytes[6] ?? 0
  const length = bytes.readUInt16BE(4)
  let payload = bytes.subarray(40, length === 0 ? undefined : 40 + length)
  for (let count = 0; EXTENSIONS.has(protocol) && count < MOST_EXTENSIONS; count++) {
    if (payload.length < 2) return undefined
    protocol = payload[0] ?? 0
    payload = payload.subarray(8 + 8 * (payload[1] ?? 0))
  }
  if (protocol === FRAGMENT) return isOfInterest(payload[0] ?? 0) ? 'unread' : undefined
  if (!isOfInterest(protocol)) return undefined
  return { protocol, payload, source: v6(bytes, 8), target: v6(bytes, 24) }
}

const v4 = (bytes: Buffer, at: number): string => bytes.subarray(at, at + 4).join('.')

const v6 = (bytes: Buffer, at: number): string =>
  Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(at + 2 * index).toString(16)).join(':')
