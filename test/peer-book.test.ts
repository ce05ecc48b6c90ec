import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Baseline } from '../agent/baseline/baseline.ts'
import { exportBaseline, importBaseline } from '../agent/baseline/transfer.ts'
import { verifyBaseline } from '../agent/baseline/verify.ts'
import type { Report } from '../agent/domain/report.ts'
import type { EngineOptions } from '../agent/engine.ts'
import type { NameSource, ResolvedName } from '../agent/peers/resolved.ts'
import {
  blindSpots,
  newBaseline,
  NGINX,
  NOON_MS,
  patterns,
  planAt,
  replay,
  start,
  summary,
} from './support/engine.ts'
import { folderForTest } from './support/folder.ts'
import { findingsOf } from './support/incidents.ts'
import { LogBuilder } from './support/log-builder.ts'

const ME = { source: 'f', author: 'alice' }
const API = 'api.partner.test'
const RESOLVER = '192.0.2.53'
/** Behind the end of the training. */
const LATER_MS = NOON_MS + 61_000

/** Hands out answers when the log has come to their times. */
class Answers implements NameSource {
  readonly unread = 0
  private next = 0
  private readonly names: readonly ResolvedName[]

  constructor(...names: readonly ResolvedName[]) {
    this.names = names
  }

  takeUntil(timeMs: number, take: (name: ResolvedName) => void): void {
    for (
      let name = this.names[this.next];
      name !== undefined && name.timeMs <= timeMs;
      name = this.names[++this.next]
    )
      take(name)
  }
}

const answer = (timeMs: number, address: string, name = API, server = RESOLVER): ResolvedName => ({
  ...{ timeMs, name, server },
  addresses: [address],
  ttlS: 5,
})
const hosts = (reports: readonly Report[]): string[] => findingsOf(reports).map(({ edge }) => edge.to)

/** A process that was trained on connecting to one address of API. */
function trained(log = new LogBuilder(NOON_MS)): LogBuilder {
  return log.connect(NGINX, '203.0.113.1', 443).after(60_000).connect(NGINX, '203.0.113.1', 443).after(1000)
}

describe('a host that DNS has named', () => {
  test('is known at every address, from the stamp of its answer on', () => {
    const names = new Answers(answer(NOON_MS, '203.0.113.1'), answer(LATER_MS + 10, '198.51.100.7'))
    const log = trained().connect(NGINX, '198.51.100.7', 443)
    const baseline = newBaseline()
    const reports = replay(log, { names }, baseline)
    expect(hosts(reports)).toEqual([])
    expect(
      baseline.edges.find({ kind: 'connect', from: 'proc::33:/usr/sbin/nginx', to: `host:${API}:443` }),
    ).toBeDefined()
    expect(summary(reports)).toMatchObject({ edges: 1, dns: { answers: 2, unread: 0, distrusted: 0 } })
  })

  test('is unknown on another port, to another process, and before its answer', () => {
    const names = new Answers(answer(NOON_MS, '203.0.113.1'), answer(LATER_MS + 500, '198.51.100.7'))
    const log = trained()
      .connect(NGINX, '198.51.100.7', 443)
      .after(500)
      .connect(NGINX, '203.0.113.1', 8443)
      .connect({ pid: 9, exe: '/bin/nc' }, '198.51.100.7', 443)
    expect(hosts(replay(log, { names }))).toEqual([
      'host:198.51.100.7:443',
      'host:203.0.113.1:8443',
      `host:${API}:443`,
    ])
  })

  test('is told with its address when it is a stranger, and stays one stranger when its name is old', () => {
    const names = new Answers(answer(NOON_MS, '203.0.113.1'), answer(LATER_MS, '198.51.100.66', 'evil.test'))
    const log = trained()
      .connect(NGINX, '198.51.100.66', 443)
      .after(7000)
      .connect(NGINX, '198.51.100.66', 443)
    const findings = findingsOf(replay(log, { names }))
    expect(findings.map(({ edge }) => edge.to)).toEqual(['host:evil.test:443'])
    expect(findings[0]?.evidence).toMatchObject({ address: '198.51.100.66', count: 2 })
  })

  test('is known by its address to a baseline that was made without DNS', () => {
    const baseline = newBaseline()
    replay(trained(), {}, baseline)
    const log = new LogBuilder(LATER_MS).connect(NGINX, '203.0.113.1', 443)
    const options = { plan: { kind: 'none' }, names: new Answers(answer(LATER_MS, '203.0.113.1')) } as const
    expect(hosts(replay(log, options, baseline))).toEqual([])
  })

  test('is known within the chunk in which its answer comes', () => {
    const names = new Answers(answer(NOON_MS, '203.0.113.1'), answer(LATER_MS + 2000, '198.51.100.7'))
    const log = trained()
    for (let count = 0; count < 3; count++) log.connect(NGINX, '198.51.100.7', 443).after(1500)
    const findings = findingsOf(replay(log, { names }))
    expect(findings.map(({ edge }) => edge.to)).toEqual(['host:198.51.100.7:443'])
    expect(findings[0]?.evidence.count).toBe(2)
  })

  test('is remembered over a restart', () => {
    const baseline = newBaseline()
    const resumed = (log: LogBuilder, names: NameSource): Report[] => {
      const options: Partial<EngineOptions> = {
        log: '-',
        names,
        plan: planAt(baseline),
        continuesStream: true,
      }
      const { engine, reports } = start(baseline, options)
      engine.ingest({ bytes: log.bytes, at: undefined })
      engine.stop()
      return reports
    }
    const before = new Answers(answer(NOON_MS, '203.0.113.1'), answer(NOON_MS + 100, '198.51.100.7'))
    resumed(trained(), before)
    const log = new LogBuilder(LATER_MS)
      .connect(NGINX, '198.51.100.7', 443)
      .connect(NGINX, '198.51.100.8', 443)
    const reports = resumed(log, new Answers(answer(LATER_MS, '198.51.100.8', API, '198.51.100.66')))
    expect(hosts(reports)).toEqual(['host:198.51.100.8:443'])
    expect(summary(reports)?.dns).toMatchObject({ answers: 0, distrusted: 1 })
  })
})

describe('a server', () => {
  const asked = '198.51.100.53'

  test('that answers only after the training names nothing', () => {
    const names = new Answers(answer(NOON_MS, '203.0.113.1'), answer(LATER_MS, '198.51.100.66', API, asked))
    const reports = replay(trained().connect(NGINX, '198.51.100.66', 443), { names })
    expect(hosts(reports)).toEqual(['host:198.51.100.66:443'])
    expect(summary(reports)?.dns).toEqual({ answers: 1, unread: 0, distrusted: 1 })
  })

  test('is believed when it is normal that somebody asks it', () => {
    const names = new Answers(answer(NOON_MS, '203.0.113.1'), answer(LATER_MS, '198.51.100.7', API, asked))
    const log = new LogBuilder(NOON_MS).connect({ pid: 9, exe: '/bin/dig' }, asked, 53)
    expect(hosts(replay(trained(log).connect(NGINX, '198.51.100.7', 443), { names }))).toEqual([])
  })

  test('is not the first that comes, where nobody listened during the training: that is said once', () => {
    const baseline = newBaseline()
    replay(trained(), { plan: { kind: 'everything' } }, baseline)
    const names = new Answers(
      answer(LATER_MS, '198.51.100.66', API, asked),
      answer(LATER_MS + 1, '198.51.100.66', 'b.test', asked),
    )
    const log = new LogBuilder(LATER_MS + 10).connect(NGINX, '198.51.100.66', 443)
    const reports = replay(log, { plan: { kind: 'none' }, names }, baseline)
    expect(hosts(reports)).toEqual(['host:198.51.100.66:443'])
    expect(blindSpots(reports)).toEqual([
      expect.objectContaining({
        reason: 'dns-unheard',
        detail: expect.stringContaining(asked) as string,
      }),
    ])
    expect(summary(reports)).toMatchObject({ coverage: 'complete', dns: { answers: 0, distrusted: 2 } })
  })

  test('of this host, or one that is asked as ever, is believed where nobody listened during the training', () => {
    for (const server of ['127.0.0.53', asked]) {
      const baseline = newBaseline()
      const log = new LogBuilder(NOON_MS).connect({ pid: 9, exe: '/bin/dig' }, asked, 53)
      replay(trained(log), { plan: { kind: 'everything' } }, baseline)
      const names = new Answers(answer(LATER_MS, '198.51.100.66', 'new.test', server))
      const later = new LogBuilder(LATER_MS + 10).connect(NGINX, '198.51.100.66', 443)
      const reports = replay(later, { plan: { kind: 'none' }, names }, baseline)
      expect(hosts(reports)).toEqual(['host:new.test:443'])
      expect(blindSpots(reports)).toEqual([])
    }
  })
})

test('servers that are believed are carried to another host, and only these', () => {
  const path = join(folderForTest(), 'one.db')
  const one = new Baseline(path)
  replay(trained(), { plan: { kind: 'everything' }, names: new Answers(answer(NOON_MS, '203.0.113.1')) }, one)
  one.close()
  const copy = join(folderForTest(), 'two.db')
  const { engine, reports } = (() => {
    const two = new Baseline(copy)
    onTestFinished(() => two.close())
    const names = new Answers(
      answer(LATER_MS, '198.51.100.7'),
      answer(LATER_MS, '198.51.100.66', API, '198.51.100.53'),
    )
    // It runs while the other one is imported.
    const running = start(two, { plan: { kind: 'none' }, names })
    importBaseline(copy, exportBaseline(path), ME)
    return running
  })()
  const log = new LogBuilder(LATER_MS + 10)
    .connect(NGINX, '198.51.100.7', 443)
    .connect(NGINX, '198.51.100.66', 443)
  engine.ingest({ bytes: log.bytes, at: undefined })
  engine.end()
  expect(hosts(reports)).toEqual(['host:198.51.100.66:443'])
  expect(summary(reports)?.dns).toMatchObject({ answers: 1, distrusted: 1 })
  expect([...exportBaseline(copy)].filter((line) => line.includes('"resolver"'))).toEqual([
    `{"kind":"resolver","address":"${RESOLVER}"}`,
  ])
})

describe('networks', () => {
  test('of the configuration name hosts', () => {
    const log = trained().connect(NGINX, '203.0.113.200', 443).connect(NGINX, '198.51.100.1', 443)
    const networks = { office: ['203.0.113.0/24'] }
    expect(hosts(replay(log, { networks }))).toEqual(['host:198.51.100.1:443'])
  })

  test('that were learned are stored, carried to another host, and vouched for', () => {
    const log = new LogBuilder(NOON_MS)
    for (let last = 1; last <= 5; last++) log.connect(NGINX, `203.0.113.${last}`, 443).after(10_000)
    log.after(20_000)
    const path = join(folderForTest(), 'one.db')
    const one = new Baseline(path)
    const pattern = 'proc::33:/usr/sbin/nginx->host:203.0.113.0/24:443'
    expect(patterns(replay(log, { plan: { kind: 'everything' } }, one))).toEqual([pattern])
    expect(one.edges.countEdges()).toBe(1)
    expect(one.patterns.ofNames()).toEqual([])
    one.close()
    expect(verifyBaseline(path, []).problem).toBeUndefined()
    const copy = join(folderForTest(), 'two.db')
    importBaseline(copy, exportBaseline(path), ME)
    const two = new Baseline(copy)
    expect(two.kept.memory('resolvers')).toBeUndefined()
    onTestFinished(() => two.close())
    const strangers = new LogBuilder(LATER_MS)
      .connect(NGINX, '203.0.113.99', 443)
      .connect(NGINX, '203.0.114.1', 443)
    const reports = replay(strangers, { plan: { kind: 'none' } }, two)
    expect(hosts(reports)).toEqual(['host:203.0.114.1:443'])
    expect(blindSpots(reports)).toEqual([])
  })
})

test('a flood of names takes no more than its room, hides no host that is used, and is said', () => {
  const flood = Array.from({ length: 60_000 }, (_, number) =>
    answer(
      LATER_MS + number / 100,
      `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`,
      `${'x'.repeat(60)}${number}.evil.test`,
    ),
  )
  const log = trained()
  for (let step = 0; step < 600; step++) log.connect(NGINX, '203.0.113.1', 443).after(1)
  const names = new Answers(answer(NOON_MS, '203.0.113.1'), ...flood)
  const reports = replay(log.after(20_000).connect(NGINX, '203.0.113.1', 443), { names })
  expect(hosts(reports)).toEqual([])
  expect(blindSpots(reports)).toEqual([
    expect.objectContaining({
      reason: 'shed',
      detail: expect.stringContaining('addresses whose names') as string,
    }),
  ])
})
