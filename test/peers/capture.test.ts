import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isCapture } from '../../agent/peers/capture.ts'
import type { Packet } from '../../agent/peers/packets.ts'
import { ANSWERS, answersOf, captured, FIXTURES, packetsOf, pcap, pcapng, told } from './captures.ts'

const ETHERNET_BYTES = 14
const CAPTURES = ['ethernet', 'nano', 'sll', 'sll2']
const hasTcpdump = spawnSync('tcpdump', ['--version']).status === 0
if (!hasTcpdump) process.stderr.write('capture.test.ts: in part left out: tcpdump is not installed\n')

/** What the kernel of a capture on all interfaces did not hand out. */
const isThere = (name: string, [asked]: readonly [string, readonly string[]]): boolean =>
  !name.startsWith('sll') || asked !== 'edge.cdn.test'

describe.each(CAPTURES)('a capture by tcpdump, %s', (name) => {
  test('tells what was asked for, over UDP and TCP, IPv4 and IPv6, and over aliases', () => {
    const { names, unread } = answersOf([captured(name)])
    expect(names.map(told)).toEqual(ANSWERS.filter((answer) => isThere(name, answer)))
    expect(names.every(({ ttlS }) => ttlS === 5)).toBe(true)
    expect(unread).toBe(0)
  })

  test('tells the same however it comes in pieces', () => {
    const bytes = captured(name)
    const { names } = answersOf([bytes])
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 20 }), (cuts) => {
        const ends = [0, ...cuts, bytes.length].sort((one, other) => one - other)
        const pieces = ends.slice(1).map((end, index) => bytes.subarray(ends[index], end))
        expect(answersOf(pieces)).toEqual({ names, unread: 0 })
      }),
      { numRuns: 50 },
    )
  })

  test.skipIf(!hasTcpdump)('has the packets, times and addresses that tcpdump reads', () => {
    const { stdout } = spawnSync('tcpdump', ['-r', join(FIXTURES, `${name}.pcap`), '-n', '-tt'], {
      encoding: 'utf8',
    })
    const lines = stdout.trim().split('\n')
    const packets = packetsOf(captured(name))
    expect(packets).toHaveLength(lines.length)
    for (const [index, line] of lines.entries())
      expect(packets[index]?.timeMs).toBeCloseTo(Number(line.split(' ')[0]) * 1000, 2)
    const addresses = [...stdout.matchAll(/ (?:A|AAAA) ([0-9a-f.:]+?)[, ]/g)].map(([, address]) => address)
    expect(answersOf([captured(name)]).names.flatMap((answer) => answer.addresses)).toEqual(addresses)
  })
})

describe('the same packets', () => {
  const packets = packetsOf(captured('ethernet'))
  const { names } = answersOf([captured('ethernet')])
  const inOther = (header: Buffer): Packet[] =>
    packets.map((packet) => ({
      ...packet,
      bytes: Buffer.concat([header, packet.bytes.subarray(ETHERNET_BYTES)]),
    }))

  test.each([
    ['in the other byte order', pcap(packets, { isLittle: false })],
    ['in nanoseconds', pcap(packets, { isNano: true, isLittle: false })],
    ['as pcapng', pcapng(packets)],
    ['as pcapng in the other byte order', pcapng(packets, { isLittle: false })],
    [
      'of two sections',
      Buffer.concat([pcapng(packets.slice(0, 9)), pcapng(packets.slice(9), { isLittle: false })]),
    ],
    ['without a link', pcap(inOther(Buffer.alloc(0)), { link: 101 })],
    ['without a link, by its old number', pcap(inOther(Buffer.alloc(0)), { link: 12 })],
    ['of the loopback of BSD', pcap(inOther(Buffer.from([2, 0, 0, 0])), { link: 0 })],
    ['of the loopback of OpenBSD', pcap(inOther(Buffer.from([0, 0, 0, 2])), { link: 108 })],
  ])('%s', (_, bytes) => {
    expect(isCapture(bytes)).toBe(true)
    const read = answersOf([bytes])
    expect(read.unread).toBe(0)
    expect(read.names.map(({ timeMs, ...name }) => ({ ...name, timeMs: timeMs.toFixed(2) }))).toEqual(
      names.map(({ timeMs, ...name }) => ({ ...name, timeMs: timeMs.toFixed(2) })),
    )
  })

  test('in a VLAN', () => {
    const tagged = packets.map((packet) => {
      const { bytes } = packet
      const tag = Buffer.from([0x81, 0, 0, 7])
      return { ...packet, bytes: Buffer.concat([bytes.subarray(0, 12), tag, bytes.subarray(12)]) }
    })
    expect(answersOf([pcap(tagged)]).names.map(told)).toEqual(names.map(told))
  })

  test('on another kind of link tell nothing', () => {
    expect(answersOf([pcap(packets, { link: 105 })])).toEqual({ names: [], unread: 0 })
  })

  test('answered from a port that is not that of DNS tell nothing: anybody may send from there', () => {
    const turned = packets.map((packet) => {
      const bytes = Buffer.from(packet.bytes)
      const isV4 = bytes.readUInt16BE(12) === 0x0800
      const ports = ETHERNET_BYTES + (isV4 ? ((bytes[ETHERNET_BYTES] ?? 0) & 0xf) * 4 : 40)
      const from = bytes.readUInt16BE(ports)
      bytes.writeUInt16BE(bytes.readUInt16BE(ports + 2), ports)
      bytes.writeUInt16BE(from, ports + 2)
      return { ...packet, bytes }
    })
    expect(answersOf([pcap(turned)])).toEqual({ names: [], unread: 0 })
  })

  test('as fragments are counted as unread, and nothing is made of them', () => {
    const fragments = packets.map((packet) => {
      const bytes = Buffer.from(packet.bytes)
      if (bytes.readUInt16BE(12) === 0x0800) bytes.writeUInt16BE(0x2000, ETHERNET_BYTES + 6)
      return { ...packet, bytes }
    })
    const read = answersOf([pcap(fragments)])
    expect(read.names.every(({ server }) => server?.includes(':'))).toBe(true)
    expect(read.unread).toBe(packets.filter(({ bytes }) => bytes.readUInt16BE(12) === 0x0800).length)
  })

  test('cut by a short snapshot length are counted as unread', () => {
    const cut = packets.map((packet) => ({ ...packet, bytes: packet.bytes.subarray(0, 64), isCut: true }))
    expect(answersOf([pcap(cut)])).toEqual({ names: [], unread: packets.length })
  })

  test('an end within a packet is said', () => {
    const bytes = captured('ethernet')
    expect(answersOf([bytes.subarray(0, bytes.length - 1)]).unread).toBe(1)
  })
})

test('law: nothing that is cut or damaged makes it fail, or tell a name that was not asked for', () => {
  const asked = new Set<string>(ANSWERS.map(([name]) => name))
  const files = [...CAPTURES.map(captured), pcapng(packetsOf(captured('ethernet')))]
  let told = 0
  fc.assert(
    fc.property(
      fc.constantFrom(...files),
      fc.integer({ min: 0, max: 5000 }),
      fc.array(fc.tuple(fc.nat(5000), fc.integer({ min: 1, max: 255 })), { maxLength: 8 }),
      (file, end, flips) => {
        const bytes = Buffer.from(file.subarray(0, end))
        for (const [at, mask] of flips) if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ mask
        const { names } = answersOf([bytes])
        told += names.length
        // A question and its answer cannot both be damaged alike by so few flips.
        for (const { name } of names) expect(asked.has(name)).toBe(true)
      },
    ),
    { numRuns: 400 },
  )
  expect(told).toBeGreaterThan(100)
})
