import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Address } from '../../agent/domain/activity.ts'
import { SockaddrReader } from '../../agent/interpret/sockaddr.ts'
import { textOfBytes } from '../../agent/parse/text.ts'

const X86_64 = 0xc000003e
const S390X = 0x80000016

const read = (saddr: string, arch = X86_64): Address | undefined =>
  new SockaddrReader(textOfBytes).read(saddr.replaceAll(' ', ''), arch)
const ip = (address: string, port: number): Address => ({ family: 'ip', address, port })
const unix = (path: string): Address => ({ family: 'unix', path, isAbstract: false })
const abstract = (path: string): Address => ({ family: 'unix', path, isAbstract: true })
const hex = (text: string): string => Buffer.from(text, 'latin1').toString('hex').toUpperCase()

describe('<linux/in.h>, <linux/in6.h>', () => {
  test.each<[what: string, saddr: string, arch: number, address: Address | undefined]>([
    ['IPv4', '0200 18EB 7F000001 0000000000000000', X86_64, ip('127.0.0.1', 6379)],
    [
      'IPv4 with anything in its padding',
      '0200 18EB 7F000001 68656C6C6F776F72',
      X86_64,
      ip('127.0.0.1', 6379),
    ],
    ['IPv4 and no padding', '0200 01BB CB007142', X86_64, ip('203.0.113.66', 443)],
    ['IPv4 cut short', '0200 01BB CB0071', X86_64, undefined],
    ['IPv4 of a big-endian machine', '0002 D903 C0A80001 0000000000000000', S390X, ip('192.168.0.1', 55555)],
    [
      'IPv4 in the wrong byte order',
      '0002 D903 C0A80001 0000000000000000',
      X86_64,
      { family: 'other', number: 0x0200, data: 'd903c0a800010000000000000000' },
    ],
    ['IPv6', '0A00 01BB 00000000 20010DB8000000000000000000000001 00000000', X86_64, ip('2001:db8::1', 443)],
    [
      'IPv6 of a big-endian machine',
      '000A 01BB 00000000 20010DB8000000000000000000000001 00000000',
      S390X,
      ip('2001:db8::1', 443),
    ],
    [
      'IPv6 as RFC 2133 has it',
      '0A00 01BB 00000000 20010DB8000000000000000000000001',
      X86_64,
      ip('2001:db8::1', 443),
    ],
    [
      'IPv6 with any flow label',
      '0A00 01BB FFFFFFFF 20010DB8000000000000000000000001 00000000',
      X86_64,
      ip('2001:db8::1', 443),
    ],
    ['IPv6 cut short', '0A00 01BB 00000000 20010DB80000000000000000000000', X86_64, undefined],
    [
      'IPv6 unspecified',
      '0A00 0050 00000000 00000000000000000000000000000000 00000000',
      X86_64,
      ip('::', 80),
    ],
    ['IPv6 loopback', '0A00 0050 00000000 00000000000000000000000000000001 00000000', X86_64, ip('::1', 80)],
    [
      'IPv4 in IPv6',
      '0A00 1F90 00000000 00000000000000000000FFFF0A000001 00000000',
      X86_64,
      ip('10.0.0.1', 8080),
    ],
    ['AF_UNSPEC', '0000 0000 00000000 0000000000000000', X86_64, undefined],
    ['nothing', '', X86_64, undefined],
    ['half a family', '02', X86_64, undefined],
    ['no hex', 'unknown', X86_64, undefined],
  ])('%s', (_, saddr, arch, address) => {
    expect(read(saddr, arch)).toEqual(address)
  })

  test('any address and port', () => {
    const byte = fc.nat(255)
    fc.assert(
      fc.property(
        fc.tuple(byte, byte, byte, byte),
        fc.nat(65_535),
        fc.boolean(),
        (address, port, isLittle) => {
          const tail = [port >> 8, port & 255, ...address]
          const saddr = Buffer.from(isLittle ? [2, 0, ...tail] : [0, 2, ...tail]).toString('hex')
          expect(read(saddr, isLittle ? X86_64 : S390X)).toEqual(ip(address.join('.'), port))
          const mapped = Buffer.from([
            10,
            0,
            port >> 8,
            port & 255,
            ...zeros(4),
            ...zeros(10),
            255,
            255,
            ...address,
          ])
          expect(read(mapped.toString('hex'))).toEqual(ip(address.join('.'), port))
        },
      ),
    )
  })

  test('an IPv6 address is written as RFC 5952 says', () => {
    const words = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 65_535 })), {
      minLength: 8,
      maxLength: 8,
    })
    fc.assert(
      fc.property(words, (address) => {
        fc.pre(address.slice(0, 5).some((word) => word !== 0))
        const bytes = Buffer.from(address.flatMap((word) => [word >> 8, word & 255]))
        // The URL standard serialises hosts in the same way (https://url.spec.whatwg.org/#concept-ipv6-serializer).
        const { hostname } = new URL(`http://[${address.map((word) => word.toString(16)).join(':')}]/`)
        expect(read(`0A00005000000000${bytes.toString('hex')}00000000`)).toEqual(
          ip(hostname.slice(1, -1), 80),
        )
      }),
    )
  })
})

const zeros = (count: number): number[] => new Array<number>(count).fill(0)

describe('unix(7)', () => {
  const GARBAGE = '00005F3F1AF1987F0000000000000000000074C818F1987F0000A062F0F2E955'

  test.each<[what: string, saddr: string, address: Address | undefined]>([
    ['unnamed', '0100', unix('')],
    ['a path', `0100${hex('/tmp/sock')}00`, unix('/tmp/sock')],
    ['a path without its NUL', `0100${hex('/tmp/sock')}`, unix('/tmp/sock')],
    [
      'a path and what was on the stack',
      `0100${hex('/var/run/nscd/socket')}${GARBAGE}`,
      unix('/var/run/nscd/socket'),
    ],
    ['108 bytes of path', `0100${hex(`/${'x'.repeat(107)}`)}`, unix(`/${'x'.repeat(107)}`)],
    ['a relative path', `0100${hex('run.sock')}00`, unix('run.sock')],
    ['a path in UTF-8', `0100${Buffer.from('/tmp/é').toString('hex')}00`, unix('/tmp/é')],
    ['a path with a newline', `0100${hex('/x\ntype=EOE')}00`, unix('/x\ntype=EOE')],
    ['an abstract name', `010000${hex('@/tmp/dbus-AbC')}`, abstract('@/tmp/dbus-AbC')],
    ['an abstract name that plays a path', `010000${hex('/tmp/x')}`, abstract('/tmp/x')],
    ['an abstract name with NUL in it', `010000${hex('a\0b\0')}`, abstract('a\0b\0')],
    ['an abstract name of nothing', '010000', abstract('')],
    ['an abstract name of NULs', `0100${'00'.repeat(108)}`, abstract('\0'.repeat(107))],
  ])('%s', (_, saddr, address) => {
    expect(read(saddr)).toEqual(address)
  })

  test('two sockets are never one, whatever bytes name them', () => {
    const names = fc
      .uint8Array({ minLength: 1, maxLength: 6 })
      .filter((bytes) => bytes.every((byte) => byte !== 0))
    fc.assert(
      fc.property(names, names, fc.boolean(), (one, other, isAbstract) => {
        fc.pre(Buffer.compare(one, other) !== 0)
        const prefix = isAbstract ? '010000' : '0100'
        const [first, second] = [one, other].map((bytes) => read(prefix + Buffer.from(bytes).toString('hex')))
        expect(first).not.toEqual(second)
      }),
      { numRuns: 1000, examples: [[Buffer.from([0x2f, 0xff]), Buffer.from([0x2f, 0xfe]), false]] },
    )
  })
})

/** netlink(7), packet(7), vsock(7); what is no port or address of the internet is in the order of the machine. */
describe('other families', () => {
  test.each<[what: string, saddr: string, arch: number, address: Address | undefined]>([
    ['netlink', '1000 0000 D2040000 01000080', X86_64, { family: 'netlink', pid: 1234, groups: 0x80000001 }],
    [
      'netlink of a big-endian machine',
      '0010 0000 000004D2 80000001',
      S390X,
      { family: 'netlink', pid: 1234, groups: 0x80000001 },
    ],
    ['netlink cut short', '1000 0000 D2040000 010000', X86_64, undefined],
    // sll_protocol is ETH_P_ALL in network order; then ifindex, hatype, pkttype, halen, addr[8].
    [
      'packet',
      '1100 0003 02000000 0100 00 06 0000000000000000',
      X86_64,
      { family: 'packet', protocol: 3, interface: 2 },
    ],
    [
      'packet of a big-endian machine',
      '0011 0806 00000002 0001 00 06 0000000000000000',
      S390X,
      { family: 'packet', protocol: 0x0806, interface: 2 },
    ],
    ['packet cut short', '1100 0003 020000', X86_64, undefined],
    [
      'vsock to the host',
      '2800 0000 00040000 02000000 00000000',
      X86_64,
      { family: 'vsock', cid: 2, port: 1024 },
    ],
    [
      'vsock of a big-endian machine',
      '0028 0000 00000400 FFFFFFFF 00000000',
      S390X,
      { family: 'vsock', cid: 0xffffffff, port: 1024 },
    ],
    ['vsock cut short', '2800 0000 00040000 020000', X86_64, undefined],
    [
      'bluetooth',
      '1F00 0110 AABBCCDDEEFF 0000',
      X86_64,
      { family: 'other', number: 31, data: '0110aabbccddeeff0000' },
    ],
    ['a family of a big-endian machine', '001F 0110', S390X, { family: 'other', number: 31, data: '0110' }],
    ['a family that nobody knows', 'FFFF', X86_64, { family: 'other', number: 65535, data: '' }],
  ])('%s', (_, saddr, arch, address) => {
    expect(read(saddr, arch)).toEqual(address)
  })
})

test('what is remembered is what was said', () => {
  const reader = new SockaddrReader(textOfBytes)
  const same = '0200005001020304'
  const swapped = '0002005001020304'
  for (let round = 0; round < 3; round++) {
    expect(reader.read(same, X86_64)).toEqual(ip('1.2.3.4', 80))
    expect(reader.read(same, S390X)).toEqual({ family: 'other', number: 0x0200, data: '005001020304' })
    expect(reader.read(swapped, S390X)).toEqual(ip('1.2.3.4', 80))
    for (let port = 0; port < 9000; port++)
      reader.read(`0200${port.toString(16).padStart(4, '0')}0A000001`, X86_64)
  }
})
