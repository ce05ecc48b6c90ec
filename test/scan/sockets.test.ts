import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseSockets, placeOf } from '../../agent/scan/sockets.ts'

const REST = '00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0'

/** Words of four bytes, each turned around: as the kernel prints addresses on a little-endian machine. */
const printed = (bytes: readonly number[]): string =>
  Array.from({ length: bytes.length / 4 }, (_, word) =>
    bytes
      .slice(word * 4, word * 4 + 4)
      .reverse()
      .map((byte) => byte.toString(16).padStart(2, '0').toUpperCase())
      .join(''),
  ).join('')

const addressIn = (bytes: readonly number[]): string | undefined =>
  parseSockets(`   0: ${printed(bytes)}:0016 ${printed(bytes)}:0000 0A ${REST}`, 'tcp')[0]?.[1].localAddress

const byte = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 }))

test('an address of IPv4 is read as its bytes stand', () => {
  fc.assert(
    fc.property(fc.array(byte, { minLength: 4, maxLength: 4 }), (bytes) => {
      expect(addressIn(bytes)).toBe(bytes.join('.'))
    }),
  )
})

test('an address of IPv6 is written as a URL has it', () => {
  fc.assert(
    fc.property(fc.array(byte, { minLength: 16, maxLength: 16 }), (bytes) => {
      const groups = Array.from({ length: 8 }, (_, index) =>
        (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
      )
      expect(addressIn(bytes)).toBe(new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1))
    }),
  )
})

test('an address of IPv4 in one of IPv6 is that of IPv4', () => {
  expect(addressIn([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 7])).toBe('192.0.2.7')
})

test.each([
  ['tcp', '01', 'connected'],
  ['tcp', '02', 'connecting'],
  ['tcp', '08', 'connected'],
  ['tcp', '0A', 'listening'],
  ['tcp', '06', 'other'],
  ['tcp', '07', 'other'],
  ['udp', '07', 'listening'],
  ['udp', '01', 'connected'],
] as const)('%s in state %s is %s', (protocol, state, word) => {
  const [found] = parseSockets(`   3: 0100007F:1F90 0200007F:A2B4 ${state} ${REST}`, protocol)
  expect(found).toEqual([
    '4711',
    {
      ...{ protocol, state: word, localAddress: '127.0.0.1', localPort: 8080 },
      ...{ remoteAddress: '127.0.0.2', remotePort: 41652 },
    },
  ])
})

test('what is no socket is left out: headings, torn lines, and those that nobody has any more', () => {
  const text = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:0',
    `   1: 0100007F:1F91 00000000:0000 06 ${REST.replace('4711', '0')}`,
    '',
  ].join('\n')
  expect(parseSockets(text, 'tcp')).toEqual([])
})

test('a place is printed with brackets where the address has colons', () => {
  const [[, four], [, six]] = parseSockets(
    `0: 00000000:0016 00000000:0000 0A ${REST}\n1: ${'0'.repeat(32)}:0035 ${'0'.repeat(32)}:0000 07 ${REST}`,
    'tcp',
  ) as [[string, never], [string, never]]
  expect([placeOf(four), placeOf(six)]).toEqual(['tcp 0.0.0.0:22', 'tcp [::]:53'])
})
