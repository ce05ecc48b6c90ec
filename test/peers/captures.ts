import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CaptureReader } from '../../agent/peers/capture.ts'
import type { Packet } from '../../agent/peers/packets.ts'
import { CaptureAnswers } from '../../agent/peers/reader.ts'
import type { ResolvedName } from '../../agent/peers/resolved.ts'

export const FIXTURES = join(import.meta.dirname, '../fixtures/dns')

export const captured = (name: string): Buffer => readFileSync(join(FIXTURES, `${name}.pcap`))

/** What ask.py was told, in the order of its asking, by what hosts.conf says. */
export const ANSWERS = [
  ['api.partner.test', ['203.0.113.40']],
  ['api.partner.test', ['203.0.113.40']],
  ['www.shop.test', ['203.0.113.7', '203.0.113.8']],
  ['www.shop.test', ['2001:db8::7']],
  ['six.test', ['2001:db8::6']],
  ['edge.cdn.test', ['203.0.113.7', '203.0.113.8']],
  ['api.partner.test', ['203.0.113.40']],
] as const

export const told = ({ name, addresses }: ResolvedName): readonly [string, readonly string[]] => [
  name,
  [...addresses].sort(),
]

export function answersOf(pieces: readonly Buffer[]): { names: ResolvedName[]; unread: number } {
  const reader = new CaptureAnswers()
  const names: ResolvedName[] = []
  for (const piece of pieces) reader.push(piece, (name) => names.push(name))
  reader.end()
  return { names, unread: reader.unread }
}

export function packetsOf(bytes: Buffer): Packet[] {
  const packets: Packet[] = []
  new CaptureReader().push(bytes, (packet) => packets.push({ ...packet, bytes: Buffer.from(packet.bytes) }))
  return packets
}

/** A capture in the classic format, as pcap-savefile(5) describes it. */
export function pcap(
  packets: readonly Packet[],
  { link = packets[0]?.link ?? 1, isLittle = true, isNano = false } = {},
): Buffer {
  const write = (words: readonly number[], at?: number): Buffer => {
    const bytes = Buffer.alloc(4 * words.length)
    words.forEach((word, index) =>
      isLittle ? bytes.writeUInt32LE(word, 4 * index) : bytes.writeUInt32BE(word, 4 * index),
    )
    return at === undefined ? bytes : bytes.subarray(at)
  }
  const version = isLittle ? 0x0004_0002 : 0x0002_0004
  const parts = [write([isNano ? 0xa1b23c4d : 0xa1b2c3d4, version, 0, 0, 262_144, link])]
  for (const { timeMs, bytes, isCut } of packets) {
    const seconds = Math.floor(timeMs / 1000)
    const fraction = Math.round((timeMs - seconds * 1000) * (isNano ? 1_000_000 : 1000))
    parts.push(write([seconds, fraction, bytes.length, bytes.length + (isCut ? 1 : 0)]), bytes)
  }
  return Buffer.concat(parts)
}

/** The same as pcapng: a section, an interface with a comment, and a block of a kind that nobody knows. */
export function pcapng(
  packets: readonly Packet[],
  { link = packets[0]?.link ?? 1, isLittle = true } = {},
): Buffer {
  const word = (value: number): Buffer => {
    const bytes = Buffer.alloc(4)
    if (isLittle) bytes.writeUInt32LE(value)
    else bytes.writeUInt32BE(value)
    return bytes
  }
  const half = (value: number): Buffer => {
    const bytes = Buffer.alloc(2)
    if (isLittle) bytes.writeUInt16LE(value)
    else bytes.writeUInt16BE(value)
    return bytes
  }
  const block = (type: number, ...body: Buffer[]): Buffer => {
    const bytes = Buffer.concat(body)
    const padded = Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
    return Buffer.concat([word(type), word(12 + padded.length), padded, word(12 + padded.length)])
  }
  const comment = Buffer.concat([half(1), half(5), Buffer.from('hello\0\0\0')])
  const nanoseconds = Buffer.concat([half(9), half(1), Buffer.from([9, 0, 0, 0])])
  const end = Buffer.concat([half(0), half(0)])
  return Buffer.concat([
    block(0x0a0d0d0a, word(0x1a2b3c4d), half(1), half(0), word(0xffffffff), word(0xffffffff)),
    block(1, half(link), half(0), word(0), comment, nanoseconds, end),
    block(0xbad, Buffer.from('unknown')),
    ...packets.map(({ timeMs, bytes, isCut }) => {
      const units = BigInt(Math.round(timeMs * 1000)) * 1000n
      return block(
        6,
        word(0),
        word(Number(units >> 32n)),
        word(Number(units & 0xffff_ffffn)),
        word(bytes.length),
        word(bytes.length + (isCut ? 1 : 0)),
        bytes,
      )
    }),
  ])
}
