import ipaddr from 'ipaddr.js'
import type { Address } from '../domain/activity.ts'

const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10
/** __AUDIT_ARCH_LE of <linux/audit.h>. */
const LITTLE_ENDIAN = 0x40000000
const MOST_REMEMBERED = 8192

export type TextOf = (bytes: Buffer) => string

/** Decodes the `saddr` field. Sockets repeat themselves: what was decoded is remembered, up to a fixed number. */
export class SockaddrReader {
  private readonly known = new Map<string, Address | undefined>()
  private readonly textOf: TextOf

  /** `textOf` turns the bytes of a name into text, two different names into two different texts. */
  constructor(textOf: TextOf) {
    this.textOf = textOf
  }

  /**
   * `saddr`: the kernel's copy of the sockaddr as hex. The family is in the byte order of the machine that logged, which
   * `arch` tells; ports and addresses are in network order. Undefined for what is no host and no file: AF_UNSPEC,
   * netlink and the like, or cut short.
   */
  read(saddr: string, arch: number): Address | undefined {
    const isLittle = (arch & LITTLE_ENDIAN) !== 0
    const key = isLittle ? saddr : `>${saddr}`
    if (this.known.has(key)) return this.known.get(key)
    const address = decode(Buffer.from(saddr, 'hex'), isLittle, this.textOf)
    if (this.known.size >= MOST_REMEMBERED) this.known.clear()
    this.known.set(key, address)
    return address
  }
}

function decode(bytes: Buffer, isLittle: boolean, textOf: TextOf): Address | undefined {
  if (bytes.length < 2) return undefined
  const family = isLittle ? bytes.readUInt16LE(0) : bytes.readUInt16BE(0)
  switch (family) {
    case AF_UNIX:
      return unixAddress(bytes, textOf)
    case AF_INET:
      return bytes.length < 8 ? undefined : ip(bytes.subarray(4, 8), bytes.readUInt16BE(2))
    case AF_INET6:
      // 24 bytes are legal: RFC 2133 knew no scope. The flow label is the sender's whim.
      return bytes.length < 24 ? undefined : ip(bytes.subarray(8, 24), bytes.readUInt16BE(2))
    default:
      return undefined
  }
}

/** IPv4 in IPv6 (`::ffff:a.b.c.d`) is the same host as the IPv4 address. */
function ip(bytes: Buffer, port: number): Address {
  const parsed = ipaddr.fromByteArray([...bytes])
  const address =
    parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress() ? parsed.toIPv4Address() : parsed
  return { family: 'ip', address: address.toString(), port }
}

/** unix(7): a path ends at its NUL or at the end; an abstract name begins with NUL and holds every byte to the end. */
function unixAddress(bytes: Buffer, textOf: TextOf): Address | undefined {
  if (bytes.length === 2) return undefined
  if (bytes[2] === 0) {
    const name = bytes.subarray(3)
    return name.length === 0 ? undefined : { family: 'unix', path: textOf(name), isAbstract: true }
  }
  const nul = bytes.indexOf(0, 2)
  const path = textOf(bytes.subarray(2, nul < 0 ? bytes.length : nul))
  return { family: 'unix', path, isAbstract: false }
}
