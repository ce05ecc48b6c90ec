import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { QueryLogReader } from '../../agent/peers/query-log.ts'
import { LogAnswers } from '../../agent/peers/reader.ts'
import type { ResolvedName } from '../../agent/peers/resolved.ts'
import { ANSWERS, FIXTURES } from './captures.ts'

const NOON_MS = Date.parse('2026-11-20T12:00:00Z')
const LOGS = ['plain', 'extra']

const logged = (name: string): string => readFileSync(join(FIXTURES, `${name}.log`), 'utf8')

function read(text: string, nearMs = NOON_MS): { names: ResolvedName[]; unread: number } {
  const reader = new LogAnswers(nearMs)
  const names: ResolvedName[] = []
  reader.push(Buffer.from(text), (name) => names.push(name))
  reader.end((name) => names.push(name))
  return { names, unread: reader.unread }
}

const pairs = (names: readonly ResolvedName[]): string[] =>
  names.flatMap(({ name, addresses }) => addresses.map((address) => `${name} ${address}`)).sort()

describe.each(LOGS)('the query log of dnsmasq, %s', (name) => {
  test('tells what was asked for, over aliases', () => {
    const { names, unread } = read(logged(name))
    expect(pairs(names)).toEqual(
      ANSWERS.flatMap(([asked, addresses]) => addresses.map((address) => `${asked} ${address}`)).sort(),
    )
    expect(unread).toBe(0)
  })

  test.each([
    ['ISO 8601', '2026-11-21T15:09:41+00:00 lab '],
    ['ISO 8601 with a fraction', '2026-11-21T15:09:41.123456+00:00 lab '],
    ['another zone', '2026-11-21T17:09:41+0200 lab '],
    ['epoch seconds', '1795273781.000 '],
  ])('is read with stamps as %s', (_, stamp) => {
    const text = logged(name).replaceAll(/^.{15} /gm, stamp)
    const { names, unread } = read(text)
    expect(pairs(names)).toEqual(pairs(read(logged(name)).names))
    expect(new Set(names.map(({ timeMs }) => Math.floor(timeMs / 1000)))).toEqual(new Set([1795273781]))
    expect(unread).toBe(0)
  })

  test('law: lines that are damaged or in another order make no name of an alias, and no failure', () => {
    const lines = logged(name).split('\n')
    const asked = new Set<string>(ANSWERS.map(([each]) => each))
    fc.assert(
      fc.property(
        fc.shuffledSubarray(lines),
        fc.array(fc.tuple(fc.nat(200), fc.nat(), fc.string({ unit: 'binary' }))),
        (some, damages) => {
          for (const [at, line, text] of damages) {
            const index = line % Math.max(1, some.length)
            const old = some[index] ?? ''
            some[index] = old.slice(0, at) + text + old.slice(at + text.length)
          }
          for (const each of read(some.join('\n')).names) expect(each.addresses.length).toBeGreaterThan(0)
        },
      ),
    )
    const { names } = read(lines.slice().reverse().join('\n'))
    for (const each of names) expect(asked.has(each.name)).toBe(true)
  })
})

describe('a stamp without a year and zone', () => {
  test.each([
    ['2026-11-20T12:00:00Z', '2026-11-21T15:09:39'],
    ['2019-12-31T23:00:00Z', '2019-11-21T15:09:39'],
    ['2020-01-02T00:00:00Z', '2019-11-21T15:09:39'],
  ])('is of the year that comes nearest to %s, in the zone of this host', (near, time) => {
    const { names } = read(logged('plain'), Date.parse(near))
    expect(names[0]?.timeMs).toBe(new Date(time).getTime())
  })
})

describe('answers of dnsmasq', () => {
  const line = (text: string): string => `1795211392.5 dnsmasq[7]: ${text}\n`

  test('that stand among those to others are told apart by their numbers', () => {
    const text = [
      '1 127.0.0.1/1000 query[A] a.test from 127.0.0.1',
      '2 127.0.0.1/1001 query[A] b.test from 127.0.0.1',
      '1 127.0.0.1/1000 forwarded a.test to 192.0.2.1',
      '1 127.0.0.1/1000 reply a.test is <CNAME>',
      '2 127.0.0.1/1001 cached b.test is 203.0.113.2',
      '1 127.0.0.1/1000 reply alias.test is 203.0.113.1',
    ]
      .map(line)
      .join('')
    expect(pairs(read(text).names)).toEqual(['a.test 203.0.113.1', 'b.test 203.0.113.2'])
  })

  test('that nobody asked for are none', () => {
    expect(read(line('reply a.test is 203.0.113.1')).names).toEqual([])
  })

  test('are no longer than names are, and take no more than their room: who may ask may write what they like', () => {
    const asked = (name: string): string => line(`query[A] ${name} from 127.0.0.1`)
    const reply = (name: string): string => line(`reply ${name} is 203.0.113.1`)
    const long = `${'x'.repeat(60_000)}.test`
    expect(read(asked(long) + reply(long))).toEqual({ names: [], unread: 2 })
    const flood = Array.from({ length: 5000 }, (_, number) => asked(`${number}.${'x'.repeat(200)}.test`))
    expect(read([asked('a.test'), ...flood.slice(0, 1000), reply('a.test')].join('')).names).toHaveLength(1)
    expect(read([asked('a.test'), ...flood, reply('a.test')].join('')).names).toEqual([])
  })

  test('come from files, DHCP and the configuration too', () => {
    const text = [
      'query[A] a.test from 127.0.0.1',
      '/etc/hosts a.test is 203.0.113.1',
      'DHCP a.test is 203.0.113.2',
    ]
    expect(read(text.map(line).join('')).names).toHaveLength(2)
  })
})

describe('systemd-resolved', () => {
  const MESSAGE = {
    state: 'success',
    rcode: 0,
    question: [{ class: 1, type: 1, name: 'www.shop.test' }],
    collectedQuestions: [{ class: 1, type: 1, name: 'edge.cdn.test' }],
    answer: [
      {
        rr: { key: { class: 1, type: 5, name: 'www.shop.test' }, name: 'edge.cdn.test' },
        raw: 'A3d3dwRz',
        ifindex: 2,
      },
      {
        rr: { key: { class: 1, type: 1, name: 'edge.cdn.test' }, address: [203, 0, 113, 7] },
        raw: 'BGVk',
        ifindex: 2,
      },
      {
        rr: {
          key: { class: 1, type: 28, name: 'edge.cdn.test' },
          address: [32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
        },
      },
      { rr: { key: { class: 1, type: 1, name: 'other.test' }, address: [203, 0, 113, 66] } },
    ],
  }
  const EXPECTED = ['www.shop.test 2001:db8:0:0:0:0:0:7', 'www.shop.test 203.0.113.7']

  test('tells what was asked for, as JSON', () => {
    expect(pairs(read(`1795211392.5 ${JSON.stringify(MESSAGE)}\n`).names)).toEqual(EXPECTED)
    const failed = { ...MESSAGE, state: 'errno' }
    expect(read(`1795211392.5 ${JSON.stringify(failed)}\n`).names).toEqual([])
  })

  test('tells it in the lines of resolvectl monitor', () => {
    const text = `→ Q: www.shop.test IN A
→ C: edge.cdn.test IN A
← S: success
← A: www.shop.test IN CNAME edge.cdn.test
← A: edge.cdn.test IN A 203.0.113.7
← A: other.test IN A 203.0.113.66

→ Q: missing.test IN A
← S: rcode-failure: NXDOMAIN

→ Q: six.test IN AAAA
← S: success
← A: six.test IN AAAA 2001:db8::6
`
    const stamped = text.replaceAll(/^(?=.)/gm, '2026-11-20T12:00:00Z ')
    expect(pairs(read(stamped).names)).toEqual(['six.test 2001:db8::6', 'www.shop.test 203.0.113.7'])
  })

  test('tells it in its debug lines, by who called', () => {
    const call = {
      method: 'io.systemd.Resolve.ResolveHostname',
      parameters: { name: 'api.partner.test', flags: 0 },
    }
    const result = {
      parameters: { addresses: [{ ifindex: 2, family: 2, address: [203, 0, 113, 40] }], name: 'edge.test' },
    }
    const line = (caller: string, what: string, message: unknown): string =>
      `2026-11-20T12:00:00+0000 lab systemd-resolved[9]: varlink-${caller}: ${what}: ${JSON.stringify(message)}\n`
    const text =
      line('7', 'New incoming message', call) +
      line('8', 'Sending message', result) +
      line('7', 'Sending message', result)
    expect(pairs(read(text).names)).toEqual(['api.partner.test 203.0.113.40'])
  })

  test('without times tells nothing, which is counted: nobody knows what was before what', () => {
    expect(read(`${JSON.stringify(MESSAGE)}\n`)).toEqual({ names: [], unread: 1 })
  })

  test('whose message was cut is counted', () => {
    expect(read(`1795211392.5 ${JSON.stringify(MESSAGE).slice(0, 60)}\n`)).toEqual({ names: [], unread: 1 })
  })

  test('is read live by the time of its coming', () => {
    const reader = new QueryLogReader()
    expect(reader.read(JSON.stringify(MESSAGE), NOON_MS, NOON_MS)?.timeMs).toBe(NOON_MS)
  })
})

test('other lines are of no interest', () => {
  expect(read('Nov 20 12:00:00 lab sshd[1]: {"a":1}\n\nanything\n')).toEqual({ names: [], unread: 0 })
})

test('a line without an end is read up to a mebibyte', () => {
  const reader = new LogAnswers(NOON_MS)
  for (let count = 0; count < 40; count++) reader.push(Buffer.alloc(65_536, 'x'), () => undefined)
  expect(reader.unread).toBeGreaterThan(0)
})
