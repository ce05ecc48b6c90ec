import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Peers } from '../../agent/peers/peers.ts'
import { StateTable } from '../support/state.ts'

const NOON_MS = Date.parse('2026-11-20T12:00:00Z')
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const WEB = '203.0.113.7'

interface Answer {
  readonly atMs?: number
  readonly name?: string
  readonly addresses?: readonly string[]
  readonly ttlS?: number
  readonly server?: string
  readonly isLearning?: boolean
}

function answer(peers: Peers, { atMs = NOON_MS, isLearning = true, ...rest }: Answer): void {
  const { name = 'api.partner.test', addresses = [WEB], ttlS = 5, server } = rest
  const from = server === undefined ? {} : { server }
  peers.answered({ timeMs: atMs, name, addresses, ttlS, ...from }, isLearning)
}

const namesOf = (peers: Peers, address: string, timeMs: number): string[] =>
  peers.namesOf(address, timeMs).map(({ name }) => name)

const tables = new WeakMap<Peers, StateTable>()

function restarted(peers: Peers): Peers {
  const table = tables.get(peers) ?? new StateTable('peer')
  tables.set(peers, table)
  peers.drain(table)
  const again = new Peers(peers.servers, true)
  again.restore(table.entries())
  return again
}

describe('a name', () => {
  test('is that of its addresses from the answer on, but for the coarseness of stamps', () => {
    const peers = new Peers()
    expect(peers.isEmpty).toBe(true)
    answer(peers, { addresses: [WEB, '2001:db8::7'] })
    expect(peers.isEmpty).toBe(false)
    expect(namesOf(peers, WEB, NOON_MS - 11)).toEqual([])
    expect(namesOf(peers, WEB, NOON_MS - 10)).toEqual(['api.partner.test'])
    expect(namesOf(peers, '2001:db8::7', NOON_MS)).toEqual(['api.partner.test'])
    expect(namesOf(peers, '203.0.113.8', NOON_MS)).toEqual([])
  })

  test('is forgotten an hour after the answer, or as late as its TTL says', () => {
    const peers = new Peers()
    answer(peers, {})
    answer(peers, { addresses: ['203.0.113.8'], ttlS: 7200 })
    answer(peers, { addresses: ['203.0.113.9'], ttlS: 2 ** 31 })
    expect(namesOf(peers, WEB, NOON_MS + HOUR_MS + 1)).toEqual([])
    expect(namesOf(peers, '203.0.113.8', NOON_MS + 2 * HOUR_MS)).toHaveLength(1)
    expect(namesOf(peers, '203.0.113.9', NOON_MS + 8 * DAY_MS)).toEqual([])
  })

  test('stays while it is used: who keeps a connection asks once', () => {
    const peers = new Peers()
    answer(peers, {})
    for (let minutes = 0; minutes < 600; minutes += 59)
      expect(namesOf(peers, WEB, NOON_MS + minutes * 60_000)).toEqual(['api.partner.test'])
    expect(namesOf(peers, WEB, NOON_MS + DAY_MS)).toEqual([])
  })

  test('is fresh for five seconds, or as long as it may be kept', () => {
    const peers = new Peers([], true)
    answer(peers, { name: 'slow.test', ttlS: 300 })
    answer(peers, { name: 'quick.test' })
    const freshAt = (atMs: number): string[] =>
      restarted(peers)
        .namesOf(WEB, NOON_MS + atMs)
        .flatMap(({ name, isFresh }) => (isFresh ? [name] : []))
    expect(freshAt(5000)).toEqual(['quick.test', 'slow.test'])
    expect(freshAt(5001)).toEqual(['slow.test'])
    expect(freshAt(300_001)).toEqual([])
    answer(peers, { name: 'quick.test', atMs: NOON_MS + 600_000 })
    expect(freshAt(600_000)).toEqual(['quick.test'])
  })

  test('is written in one way, whatever the case, the dot at its end and the form of the address', () => {
    const peers = new Peers()
    answer(peers, { name: 'API.Partner.TEST.', addresses: ['::ffff:203.0.113.7', '2001:0DB8:0::7', 'no'] })
    expect(namesOf(peers, WEB, NOON_MS)).toEqual(['api.partner.test'])
    expect(namesOf(peers, '2001:db8::7', NOON_MS)).toEqual(['api.partner.test'])
  })

  test.each([
    '',
    '.',
    'a..test',
    '203.0.113.9',
    '0x7f.0x1',
    '1',
    'unix',
    'private',
    'public',
    'family-31',
    'evil.test:8080->host:x',
    'evil\n.test',
    'b\u202eled.test',
    '[2001:db8::1]',
    '203.0.113.0/24',
    `${'a'.repeat(60)}.`.repeat(5),
    'ünï.test',
    'x.test->y',
  ])('that could be taken for something else is none: %j', (name) => {
    const peers = new Peers()
    answer(peers, { name })
    expect(peers.isEmpty).toBe(true)
  })
})

describe('several names of an address', () => {
  test('are all there, the one that was answered last first, also after a restart', () => {
    const peers = new Peers([], true)
    for (const name of ['a.test', 'b.test', 'c.test', 'a.test']) answer(peers, { name })
    const names = ['a.test', 'c.test', 'b.test']
    expect(namesOf(peers, WEB, NOON_MS)).toEqual(names)
    expect(namesOf(restarted(peers), WEB, NOON_MS)).toEqual(names)
  })

  test('are few: the ones that were answered longest ago are forgotten', () => {
    const peers = new Peers()
    for (let number = 0; number < 1000; number++) answer(peers, { name: `n${number}.test` })
    const names = peers.namesOf(WEB, NOON_MS)
    expect(names).toHaveLength(64)
    expect(names[0]?.name).toBe('n999.test')
  })
})

describe('a server', () => {
  test('that answers only after the training is not believed: anybody may ask their own', () => {
    const peers = new Peers()
    answer(peers, { server: '127.0.0.53' })
    answer(peers, { server: '198.51.100.66', addresses: ['198.51.100.66'], isLearning: false })
    expect(namesOf(peers, '198.51.100.66', NOON_MS)).toEqual([])
    expect(peers.distrusted).toBe(1)
    answer(peers, { server: '127.0.0.53', addresses: ['203.0.113.9'], isLearning: false })
    expect(namesOf(peers, '203.0.113.9', NOON_MS)).toEqual(['api.partner.test'])
  })

  test('is not believed when there was none in the training', () => {
    const peers = new Peers()
    answer(peers, { server: '203.0.113.53', isLearning: false })
    expect(peers.isEmpty).toBe(true)
    expect(peers.servers.size).toBe(0)
  })

  test('is remembered over a restart', () => {
    const peers = new Peers([], true)
    answer(peers, { server: '127.0.0.53' })
    const again = restarted(peers)
    answer(again, { server: '198.51.100.66', isLearning: false })
    expect(again.distrusted).toBe(1)
  })
})

test('law: after a restart at any moment the names are those without it', () => {
  const ofStep = fc.record({
    address: fc.constantFrom(WEB, '203.0.113.8', '2001:db8::7'),
    name: fc.constantFrom('a.test', 'b.test', 'c.test'),
    afterMs: fc.constantFrom(0, 1000, HOUR_MS, 2 * HOUR_MS),
    ttlS: fc.constantFrom(0, 7200),
    isRestart: fc.boolean(),
    isUse: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(ofStep, { maxLength: 40 }), (steps) => {
      const table = new StateTable('peer')
      const lasting = new Peers()
      let restarting = new Peers([], true)
      let nowMs = NOON_MS
      for (const { address, name, afterMs, ttlS, isRestart, isUse } of steps) {
        nowMs += afterMs
        for (const peers of [lasting, restarting]) {
          if (!isUse) answer(peers, { atMs: nowMs, name, addresses: [address], ttlS })
        }
        expect(restarting.namesOf(address, nowMs)).toEqual(lasting.namesOf(address, nowMs))
        restarting.drain(table)
        if (!isRestart) continue
        restarting = new Peers([], true)
        restarting.restore(table.entries())
      }
    }),
  )
})

test('memory is bounded, what is used lately stays, and what was forgotten is counted and gone from the state', () => {
  const table = new StateTable('peer')
  const peers = new Peers([], true, 20_000)
  answer(peers, {})
  let most = 0
  for (let number = 0; number < 5000; number++) {
    answer(peers, {
      name: `n${number}.test`,
      addresses: [`10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`],
    })
    expect(namesOf(peers, WEB, NOON_MS)).toEqual(['api.partner.test'])
    peers.drain(table)
    most = Math.max(most, table.entries().length)
  }
  expect(peers.forgotten).toBeGreaterThan(4000)
  expect(most).toBeLessThan(400)
})
