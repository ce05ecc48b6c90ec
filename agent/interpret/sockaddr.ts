import ipaddr from 'ipaddr.js'
import type { Address } from '../domain/activity.ts'
import { Recent } from './recent.ts'

/** <linux/socket.h> */
const AF_UNSPEC = 0
const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10
const AF_NETLINK = 16
const AF_PACKET = 17
const AF_VSOCK = 40
/** __AUDIT_ARCH_LE of <linux/audit.h>. */
const LITTLE_ENDIAN = 0x40000000
/** AF_INET, little-endian. */
const INET = '0200'
const MOST_REMEMBERED = 8192

export type TextOf = (bytes: Buffer) => string

/** Decodes the `saddr` field. Sockets repeat themselves: what was decoded is remembered, up to a fixed number. */
export class SockaddrReader {
  private readonly known = new Recent<string, Address | null>(MOST_REMEMBERED)
  /** Texts of addresses of IPv4, by their number. */
  private readonly hosts = new Recent<number, string>(MOST_REMEMBERED)
  private readonly textOf: TextOf

  /** `textOf` turns the bytes of a name into text, two different names into two different texts. */
  constructor(textOf: TextOf) {
    this.textOf = textOf
  }

  /**
   * `saddr`: the kernel's copy of the sockaddr as hex. What is in the byte order of the machine that logged is read as
   * `arch` tells; addresses and ports of the internet are in network order. Undefined for AF_UNSPEC, which only dissolves
   * an association, and for what is cut short.
   */
  read(saddr: string, arch: number): Address | undefined {
    const isLittle = (arch & LITTLE_ENDIAN) !== 0
    const inet = isLittle && saddr.startsWith(INET) ? this.readInet(saddr) : undefined
    if (inet !== undefined) return inet
    const key = isLittle ? saddr : `>${saddr}`
    let address = this.known.get(key)
    if (address === undefined) {
      address = decode(Buffer.from(saddr, 'hex'), isLittle, this.textOf) ?? null
      this.known.set(key, address)
    }
    return address ?? undefined
  }

  /**
   * Straight from the digits, and not remembered, since most of them come with ever new ports. The text of an address is
   * the same string each time, which makes it quick to look up.
   */
  private readInet(saddr: string): Address | undefined {
    const high = byteAt(saddr, 4)
    const low = byteAt(saddr, 6)
    const one = byteAt(saddr, 8)
    const two = byteAt(saddr, 10)
    const three = byteAt(saddr, 12)
    const four = byteAt(saddr, 14)
    if ((high | low | one | two | three | four) < 0) return undefined
    const number = (one << 24) | (two << 16) | (three << 8) | four
    let text = this.hosts.get(number)
    if (text === undefined) {
      text = `${one}.${two}.${three}.${four}`
      this.hosts.set(number, text)
    }
    return ip(text, (high << 8) | low)
  }
}

/** The byte of two hex digits; negative where they are none, or the text has ended. */
const byteAt = (text: string, at: number): number => (digitAt(text, at) << 4) | digitAt(text, at + 1)

const digitAt = (text: string, at: number): number => DIGITS[text.charCodeAt(at)] ?? -1

/** Value of a hex digit by its character code; -1 for what is none. */
const DIGITS = Int8Array.from({ length: 128 }, (_, code) => {
  const value = Number.parseInt(String.fromCharCode(code), 16)
  return Number.isNaN(value) ? -1 : value
})

function decode(bytes: Buffer, isLittle: boolean, textOf: TextOf): Address | undefined {
  const { length } = bytes
  if (length < 2) return undefined
  const number = isLittle ? bytes.readUInt16LE(0) : bytes.readUInt16BE(0)
  const word = (at: number): number => (isLittle ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at))
  switch (number) {
    case AF_UNSPEC:
      return undefined
    case AF_UNIX:
      return unixAddress(bytes, textOf)
    case AF_INET:
      return length < 8 ? undefined : ip(ipv4(bytes, 4), bytes.readUInt16BE(2))
    case AF_INET6:
      // 24 bytes are legal: RFC 2133 knew no scope. The flow label is the sender's whim.
      return length < 24 ? undefined : ip(ipv6(bytes, 8), bytes.readUInt16BE(2))
    case AF_NETLINK:
      return length < 12 ? undefined : { family: 'netlink', pid: word(4), groups: word(8) }
    case AF_PACKET:
      return length < 8
        ? undefined
        : { family: 'packet', protocol: bytes.readUInt16BE(2), interface: word(4) }
    case AF_VSOCK:
      return length < 12 ? undefined : { family: 'vsock', cid: word(8), port: word(4) }
    default:
      return { family: 'other', number, data: bytes.toString('hex', 2) }
  }
}

const ip = (address: string, port: number): Address => ({ family: 'ip', address, port })

const ipv4 = (bytes: Buffer, at: number): string =>
  `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`

/** As RFC 5952 writes it. IPv4 in IPv6 (`::ffff:a.b.c.d`) is the same host as the IPv4 address. */
function ipv6(bytes: Buffer, at: number): string {
  const address = new ipaddr.IPv6([...bytes.subarray(at, at + 16)])
  return address.isIPv4MappedAddress() ? ipv4(bytes, at + 12) : address.toString()
}

/**
 * unix(7): of a socket without a name the family is all there is; a path ends at its NUL or at the end, and what stands
 * behind is what was on the stack; an abstract name begins with NUL and holds every byte to the end.
 */
function unixAddress(bytes: Buffer, textOf: TextOf): Address {
  if (bytes.length === 2) return { family: 'unix', path: '', isAbstract: false }
  if (bytes[2] === 0) return { family: 'unix', path: textOf(bytes.subarray(3)), isAbstract: true }
  const nul = bytes.indexOf(0, 2)
  const path = textOf(bytes.subarray(2, nul < 0 ? bytes.length : nul))
  return { family: 'unix', path, isAbstract: false }
}
