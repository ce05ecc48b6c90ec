import ipaddr from 'ipaddr.js'

/** What an address can be reached from. Test networks (RFC 5737) stand for public ones. */
export type Reach = 'loopback' | 'private' | 'public' | 'none'

const PRIVATE: ReadonlySet<string> = new Set(['private', 'uniqueLocal', 'linkLocal', 'carrierGradeNat'])
/** Nobody's address: what is bound to them is bound to all, or to a group. */
const NOBODYS: ReadonlySet<string> = new Set(['unspecified', 'broadcast', 'multicast'])

/**
 * The address as the graph writes it: RFC 5952, and IPv4 in IPv6 as IPv4. Undefined for what is no address, or is one
 * in words that have several readings (`0127.1`).
 */
export function canonical(address: string): string | undefined {
  const isV4 = ipaddr.IPv4.isValidFourPartDecimal(address)
  if (!isV4 && !(address.includes(':') && ipaddr.IPv6.isValid(address))) return undefined
  const parsed = ipaddr.process(address)
  // A zone (`%eth0`) is this host's own affair, and not in the audit log.
  return parsed instanceof ipaddr.IPv6 ? new ipaddr.IPv6(parsed.parts).toString() : parsed.toString()
}

/** From where an address, written as the graph writes it, can be reached. */
export function reachOf(address: string): Reach {
  const range: string = ipaddr.parse(address).range()
  if (range === 'loopback') return 'loopback'
  if (NOBODYS.has(range)) return 'none'
  return PRIVATE.has(range) ? 'private' : 'public'
}

/**
 * The networks of an address that a host is usually one of many in, the nearest first: /24 and /16, for IPv6 /64 and /48.
 */
export function networksAround(address: string): readonly [near: string, far: string] {
  const parsed = ipaddr.parse(address)
  if (parsed instanceof ipaddr.IPv6) return [prefix(parsed, 64), prefix(parsed, 48)]
  const [one, two, three] = parsed.octets
  return [`${one}.${two}.${three}.0/24`, `${one}.${two}.0.0/16`]
}

const prefix = ({ parts }: ipaddr.IPv6, bits: number): string =>
  `${new ipaddr.IPv6(parts.map((part, index) => (index < bits / 16 ? part : 0))).toString()}/${bits}`

/** A network in CIDR notation. */
export class Network {
  private readonly address: ipaddr.IPv4 | ipaddr.IPv6
  private readonly bits: number

  private constructor(address: ipaddr.IPv4 | ipaddr.IPv6, bits: number) {
    this.address = address
    this.bits = bits
  }

  /** Undefined when it is none: `10.0.0.0/8`, `2001:db8::/32`, or one address. Bits behind the prefix must be zero. */
  static of(cidr: string): Network | undefined {
    const [, address = '', bits] = /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(cidr) ?? []
    if (canonical(address) === undefined) return undefined
    const parsed = ipaddr.parse(address)
    const most = parsed instanceof ipaddr.IPv6 ? 128 : 32
    const length = bits === undefined ? most : Number(bits)
    if (length > most || ipaddr.parse(address).toByteArray().some(isBehind(length))) return undefined
    return new Network(parsed, length)
  }

  /** @param address as the graph writes it */
  has(address: string): boolean {
    const parsed = ipaddr.parse(address)
    return parsed.kind() === this.address.kind() && parsed.match(this.address, this.bits)
  }
}

/** Whether a byte has bits that do not belong to the first `length` of all. */
const isBehind =
  (length: number) =>
  (byte: number, index: number): boolean =>
    (byte & (0xff >> Math.min(8, Math.max(0, length - 8 * index)))) !== 0
