import * as fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { describe, expect, test } from 'vitest'
import type { PeerAction } from '../../agent/domain/edge.ts'
import { canonical, Network, networksAround, reachOf } from '../../agent/peers/addresses.ts'
import { coversPeer, LearnedPeers } from '../../agent/peers/learned.ts'
import { PeerNaming } from '../../agent/peers/naming.ts'
import { type NetworkNames, Networks } from '../../agent/peers/networks.ts'
import { Peers } from '../../agent/peers/peers.ts'

const APP = 'proc::app:/usr/bin/python3</srv/app.py'
const OTHER = 'proc::root:/usr/bin/curl'
const NOON_MS = Date.parse('2026-11-20T12:00:00Z')

/** Remembers the last few of everything. */
class Waiting {
  private readonly samples = new Map<string, string[]>()

  add(key: string, sample: string): readonly string[] {
    const samples = this.samples.get(key) ?? []
    this.samples.set(key, samples)
    if (!samples.includes(sample)) samples.push(sample)
    return samples.slice(-8)
  }
}

interface Setting {
  readonly peers?: Peers
  readonly networks?: NetworkNames
}

/** A baseline of one process: what it has met is known under the best name it had. */
class Host {
  readonly learned = new LearnedPeers([], new Waiting())
  readonly known = new Set<string>()
  private readonly naming: PeerNaming

  constructor({ peers = new Peers(), networks = {} }: Setting = {}) {
    this.naming = new PeerNaming(peers, new Networks(networks), this.learned)
  }

  nodes(
    action: PeerAction,
    address: string,
    port?: number,
    process = APP,
    isLearning = false,
  ): readonly string[] {
    return this.naming.nodesOf(process, action, { address, port }, { timeMs: NOON_MS, isLearning })
  }

  knows(action: PeerAction, address: string, port?: number, process = APP): boolean {
    return this.nodes(action, address, port, process).some((node) => this.known.has(`${process} ${node}`))
  }

  learn(action: PeerAction, address: string, port?: number): string | undefined {
    if (this.knows(action, address, port)) return undefined
    const [node = ''] = this.nodes(action, address, port, APP, true)
    this.known.add(`${APP} ${node}`)
    const pattern = this.learned.learn(APP, action, node)
    if (pattern === undefined) return undefined
    const covers = coversPeer(pattern.path)
    for (const each of this.known) {
      const [, name = ''] = each.split(`${APP} host:`)
      if (covers(name)) this.known.delete(each)
    }
    this.known.add(`${APP} host:${pattern.path}`)
    return pattern.path
  }
}

const resolved = (address: string, ...names: readonly string[]): Peers => {
  const peers = new Peers()
  for (const name of names) peers.answered({ timeMs: NOON_MS, name, addresses: [address], ttlS: 5 }, true)
  return peers
}

describe('addresses', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['2001:DB8::0:7', '2001:db8::7'],
    ['fe80::1%eth0', 'fe80::1'],
    ['0127.1', undefined],
    ['1.2.3', undefined],
    ['localhost', undefined],
    ['', undefined],
  ])('%s is written %s', (text, written) => {
    expect(canonical(text)).toBe(written)
  })

  test.each([
    ['127.0.0.53', 'loopback'],
    ['::1', 'loopback'],
    ['10.1.2.3', 'private'],
    ['169.254.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['fd00::1', 'private'],
    ['fe80::1', 'private'],
    ['203.0.113.7', 'public'],
    ['2001:db8::7', 'public'],
    ['2606:4700::1', 'public'],
    ['0.0.0.0', 'none'],
    ['::', 'none'],
    ['224.0.0.1', 'none'],
    ['255.255.255.255', 'none'],
  ])('%s is %s', (address, reach) => {
    expect(reachOf(address)).toBe(reach)
  })

  test('law: the networks around an address have it', () => {
    const ofAddress = fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => ipaddr.process(text).toString())
    fc.assert(
      fc.property(ofAddress, ofAddress, (address, other) => {
        for (const cidr of networksAround(address)) {
          expect(Network.of(cidr)?.has(address)).toBe(true)
          const [base, bits] = ipaddr.parseCIDR(cidr)
          const parsed = ipaddr.parse(other)
          expect(Network.of(cidr)?.has(other)).toBe(parsed.kind() === base.kind() && parsed.match(base, bits))
        }
      }),
    )
  })

  test.each([
    '',
    'x',
    '10.0.0.0/33',
    '10.0.0.1/8',
    '2001:db8::/129',
    '2001:db8::1/64',
    '10.0.0/8',
    '10.0.0.0/8/8',
  ])('%j is no network', (cidr) => {
    expect(Network.of(cidr)).toBeUndefined()
  })
})

describe('networks that are learned', () => {
  test('cover what one process meets in them on one port, and nothing else', () => {
    const host = new Host()
    for (const last of [5, 9, 77]) expect(host.learn('connect', `203.0.113.${last}`, 8080)).toBeUndefined()
    expect(host.knows('connect', '203.0.113.200', 8080)).toBe(false)
    expect(host.learn('connect', '203.0.113.120', 8080)).toBe('203.0.113.0/24:8080')
    expect(host.knows('connect', '203.0.113.200', 8080)).toBe(true)
    expect(host.nodes('connect', '203.0.113.200', 8080)[0]).toBe('host:203.0.113.0/24:8080')
    expect(host.knows('connect', '203.0.113.200', 4444)).toBe(false)
    expect(host.knows('connect', '203.0.114.200', 8080)).toBe(false)
    expect(host.knows('connect', '203.0.113.200', 8080, OTHER)).toBe(false)
    expect(host.knows('accept', '203.0.113.200')).toBe(false)
    expect(host.known.size).toBe(1)
  })

  test('are of IPv6 too', () => {
    const host = new Host()
    for (const last of ['1', '2', '3:4']) host.learn('connect', `2001:db8::${last}`, 443)
    expect(host.learn('connect', '2001:db8::abcd', 443)).toBe('[2001:db8::/64]:443')
    expect(host.knows('connect', '2001:db8::1:2:3', 443)).toBe(true)
    expect(host.knows('connect', '2001:db8:0:1::1', 443)).toBe(false)
  })

  test('are not taught by addresses that DNS has named', () => {
    const peers = new Peers()
    for (let last = 1; last <= 9; last++)
      peers.answered(
        { timeMs: NOON_MS, name: `n${last}.test`, addresses: [`203.0.113.${last}`], ttlS: 5 },
        true,
      )
    const host = new Host({ peers })
    for (let last = 1; last <= 9; last++)
      expect(host.learn('connect', `203.0.113.${last}`, 8080)).toBeUndefined()
    expect(host.knows('connect', '203.0.113.251', 8080)).toBe(false)
  })

  test('nor by loopback, groups, or names and networks', () => {
    const host = new Host()
    for (let last = 1; last <= 9; last++) {
      expect(host.learn('connect', `127.0.0.${last}`, 80)).toBeUndefined()
      expect(host.learn('connect', `224.0.0.${last}`, 80)).toBeUndefined()
    }
  })
})

test('a pattern that was denied covers nothing, teaches nothing, and leaves nothing to a wider one', () => {
  const learned = new LearnedPeers(
    [
      { process: APP, action: 'accept', path: '198.51.100.0/24:*', examples: [], state: 'denied' },
      { process: APP, action: 'accept', path: 'public:*', examples: [] },
      { process: APP, action: 'listen', path: '0.0.0.0:10000-65535', examples: [], state: 'denied' },
      { process: APP, action: 'listen', path: '0.0.0.0:32768-65535', examples: [] },
    ],
    new Waiting(),
  )
  expect(learned.networksOf(APP, 'accept', '198.51.100.7', '*')).toEqual([])
  expect(learned.networksOf(APP, 'accept', '203.0.113.7', '*')).toEqual(['public'])
  expect(learned.networksOf(OTHER, 'accept', '203.0.113.7', '*')).toEqual([])
  expect(learned.portsWith(APP, 'listen', '0.0.0.0', 40_001)).toEqual([])
  for (let count = 1; count < 9; count++) {
    expect(learned.learn(APP, 'accept', `host:198.51.100.${count}:*`)).toBeUndefined()
    expect(learned.learn(APP, 'listen', `host:0.0.0.0:${40_000 + count}`)).toBeUndefined()
  }
  learned.reset([])
  expect(learned.networksOf(APP, 'accept', '203.0.113.7', '*')).toEqual([])
})

describe('clients of a server', () => {
  test('become a network, a larger one, and then everybody', () => {
    const host = new Host()
    const met = (...addresses: readonly string[]): readonly (string | undefined)[] =>
      addresses.map((address) => host.learn('accept', address)).filter((path) => path !== undefined)
    expect(met('198.51.100.1', '198.51.100.2', '198.51.100.3', '198.51.100.4')).toEqual(['198.51.100.0/24:*'])
    expect(met('198.51.1.1', '198.51.2.1', '198.51.3.1')).toEqual(['198.51.0.0/16:*'])
    expect(host.known).toEqual(new Set([`${APP} host:198.51.0.0/16:*`]))
    expect(met('192.0.2.1', '203.0.113.1', '8.8.8.8')).toEqual(['public:*'])
    expect(host.known).toEqual(new Set([`${APP} host:public:*`]))
    expect(host.knows('accept', '9.9.9.9')).toBe(true)
    expect(host.knows('accept', '2606:4700::1')).toBe(true)
    expect(host.knows('accept', '10.0.0.1')).toBe(false)
    expect(host.knows('accept', '127.0.0.1')).toBe(true)
    expect(host.knows('accept', '::1')).toBe(true)
    expect(host.knows('accept', '127.0.0.1', undefined, OTHER)).toBe(false)
    expect(host.knows('connect', '127.0.0.1', 443)).toBe(false)
    expect(host.knows('connect', '9.9.9.9', 443)).toBe(false)
    expect(host.knows('accept', '9.9.9.9', undefined, OTHER)).toBe(false)
  })

  test('in private networks say nothing of those in public ones', () => {
    const host = new Host()
    for (const address of ['10.1.0.1', '10.2.0.1', '10.3.0.1', '172.16.0.1']) host.learn('accept', address)
    expect(host.knows('accept', '192.168.1.1')).toBe(true)
    expect(host.knows('accept', '203.0.113.1')).toBe(false)
  })

  test('are not called by what DNS says of their addresses', () => {
    const host = new Host({ peers: resolved('203.0.113.7', 'evil.test') })
    expect(host.nodes('accept', '203.0.113.7')).toEqual(['host:203.0.113.7:*'])
  })
})

describe('ports that are chosen anew', () => {
  test('become one, for one process, kind and host', () => {
    const host = new Host()
    expect(host.learn('listen', '0.0.0.0', 40_001)).toBeUndefined()
    expect(host.learn('listen', '0.0.0.0', 51_333)).toBeUndefined()
    expect(host.learn('listen', '0.0.0.0', 12_345)).toBe('0.0.0.0:10000-65535')
    expect(host.knows('listen', '0.0.0.0', 60_000)).toBe(true)
    expect(host.knows('listen', '0.0.0.0', 10_000)).toBe(true)
    expect(host.knows('listen', '0.0.0.0', 9999)).toBe(false)
    expect(host.knows('listen', '127.0.0.1', 60_000)).toBe(false)
    expect(host.knows('connect', '0.0.0.0', 60_000)).toBe(false)
    expect(host.knows('listen', '0.0.0.0', 60_000, OTHER)).toBe(false)
    expect(host.known).toEqual(new Set([`${APP} host:0.0.0.0:10000-65535`]))
  })

  test('are not those of a few services of one host', () => {
    const host = new Host()
    for (const port of [3306, 5432, 6379, 8080, 9090, 11_211]) host.learn('connect', '192.0.2.7', port)
    expect(host.knows('connect', '192.0.2.7', 31_337)).toBe(false)
  })

  test('are found among low ones too, when there are many', () => {
    const host = new Host()
    const learned = Array.from({ length: 8 }, (_, index) => host.learn('connect', '192.0.2.7', 5000 + index))
    expect(learned.at(-1)).toBe('192.0.2.7:5000-5007')
    expect(host.knows('connect', '192.0.2.7', 5008)).toBe(false)
    // Whoever counts on goes on learning.
    expect(host.learn('connect', '192.0.2.7', 5008)).toBe('192.0.2.7:5000-5008')
    for (let port = 5009; port < 7000; port++) host.learn('connect', '192.0.2.7', port)
    expect([...host.known][0]).toBe(`${APP} host:192.0.2.7:5000-5999`)
    expect(host.learned.portsWith(APP, 'connect', '192.0.2.7', 5000)).toHaveLength(1)
  })

  test('say no more than those that were met: not where services live, nor those that no kernel gives out', () => {
    const host = new Host()
    for (const port of [40_000, 40_007, 40_014]) host.learn('connect', '198.51.100.1', port)
    expect(host.known).toEqual(new Set([`${APP} host:198.51.100.1:32768-65535`]))
    for (const port of [1337, 4444, 8443, 31_337])
      expect(host.knows('connect', '198.51.100.1', port)).toBe(false)
    expect(host.learn('connect', '198.51.100.1', 20_000)).toBe('198.51.100.1:10000-65535')
    expect(host.known).toEqual(new Set([`${APP} host:198.51.100.1:10000-65535`]))
  })

  test('are all from the lowest on, where who has no fixed ones met low ones among many', () => {
    const host = new Host()
    for (const port of [50_000, 1500, 60_000, 2000, 30_000, 8000, 5000])
      expect(host.learn('listen', '::', port)).not.toBe('[::]:1500-65535')
    expect(host.knows('listen', '::', 1500)).toBe(true)
    expect(host.learn('listen', '::', 4000)).toBe('[::]:1500-65535')
    expect(host.known).toEqual(new Set([`${APP} host:[::]:1500-65535`]))
  })

  test('are of a name, whatever its addresses', () => {
    const peers = resolved('203.0.113.7', 'ftp.test')
    peers.answered({ timeMs: NOON_MS, name: 'ftp.test', addresses: ['203.0.113.8'], ttlS: 5 }, true)
    const host = new Host({ peers })
    for (const port of [40_001, 40_002]) host.learn('connect', '203.0.113.7', port)
    expect(host.learn('connect', '203.0.113.8', 40_003)).toBe('ftp.test:32768-65535')
    expect(host.knows('connect', '203.0.113.8', 50_000)).toBe(true)
    expect(host.knows('connect', '203.0.113.9', 50_000)).toBe(false)
  })

  test('make no host of a network', () => {
    const learned = new LearnedPeers([], new Waiting())
    for (const port of [40_001, 40_002, 40_003, 40_004])
      expect(learned.learn(APP, 'connect', `host:203.0.113.0/24:${port}`)).toBeUndefined()
  })
})

describe('names of a peer', () => {
  test('are those of DNS, then those of networks, then the address', () => {
    const networks = { corp: ['203.0.0.0/16'], all: ['0.0.0.0/0'], six: ['2001:db8::/32'] }
    const host = new Host({ peers: resolved('203.0.113.7', 'a.test', 'b.test'), networks })
    expect(host.nodes('connect', '203.0.113.7', 443)).toEqual([
      'host:b.test:443',
      'host:a.test:443',
      'host:corp:443',
      'host:all:443',
      'host:203.0.113.7:443',
    ])
    expect(host.nodes('accept', '2001:db8::7')).toEqual(['host:six:*', 'host:[2001:db8::7]:*'])
    expect(host.nodes('listen', '2001:db8::7', 80)[0]).toBe('host:six:80')
  })

  test('of loopback are one, and older ones are known', () => {
    const host = new Host()
    const nodes = ['host:127.0.0.1:53', 'host:127.0.0.53:53', 'host:[::1]:53']
    expect(host.nodes('connect', '127.0.0.53', 53)).toEqual(nodes)
    expect(host.nodes('connect', '::1', 53)).toEqual(['host:127.0.0.1:53', 'host:[::1]:53'])
    host.learn('connect', '127.0.0.1', 6379)
    expect(host.knows('connect', '::1', 6379)).toBe(true)
    expect(host.knows('connect', '127.7.7.7', 6379)).toBe(true)
    expect(host.knows('connect', '127.7.7.7', 6380)).toBe(false)
  })

  test('that were given long ago name nothing new, but cover what is known by them', () => {
    const peers = new Peers()
    peers.answered({ timeMs: NOON_MS - 120_000, name: 'a.test', addresses: ['203.0.113.7'], ttlS: 5 }, true)
    const host = new Host({ peers })
    expect(host.nodes('connect', '203.0.113.7', 443)).toEqual(['host:203.0.113.7:443', 'host:a.test:443'])
    expect(host.nodes('connect', '203.0.113.7', 443, APP, true)[0]).toBe('host:a.test:443')
  })

  test('never hide that a process connects to somebody else: only a name it knows does', () => {
    const peers = resolved('198.51.100.66', 'evil.test')
    peers.answered({ timeMs: NOON_MS, name: 'api.partner.test', addresses: ['203.0.113.7'], ttlS: 5 }, true)
    const host = new Host({ peers, networks: { 'evil.test': ['203.0.113.7/32'] } })
    host.learn('connect', '203.0.113.7', 8080)
    expect(host.knows('connect', '198.51.100.66', 8080)).toBe(false)
    // The name of a network of the configuration is not for others to take.
    expect(host.nodes('connect', '198.51.100.66', 8080)).toEqual(['host:198.51.100.66:8080'])
  })
})

test('law: what a process has met it knows, and a stranger on an unmet port it does not', () => {
  const ofPeer = fc.record({
    action: fc.constantFrom<PeerAction>('connect', 'accept', 'listen'),
    address: fc
      .oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('10.0.0.1', '10.0.0.2', '203.0.113.9', '0.0.0.0', '::1'))
      .map((text) => ipaddr.process(text).toString()),
    port: fc.constantFrom(22, 443, 8080, 30_000, 40_000, 50_000),
  })
  fc.assert(
    fc.property(fc.array(ofPeer, { maxLength: 60 }), (met) => {
      const host = new Host()
      for (const { action, address, port } of met)
        host.learn(action, address, action === 'accept' ? undefined : port)
      for (const { action, address, port } of met) {
        expect(host.knows(action, address, action === 'accept' ? undefined : port)).toBe(true)
        if (action !== 'accept') expect(host.knows(action, address, 23)).toBe(false)
      }
    }),
  )
})
