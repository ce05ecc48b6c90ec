import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Decisions } from '../agent/baseline/decisions.ts'
import { deniedIn } from '../agent/baseline/transfer.ts'
import type { Incident } from '../agent/domain/report.ts'
import type { NameSource, ResolvedName } from '../agent/peers/resolved.ts'
import { CRON, incidents, newBaseline, NGINX, NOON_MS, replay, WINDOW_MS } from './support/engine.ts'
import { folderForTest } from './support/folder.ts'
import { LogBuilder } from './support/log-builder.ts'

const BOB = { author: 'bob', reason: 'no business of ours', timeMs: NOON_MS }
const HOUR_MS = 3_600_000

/** Answers of DNS in the order of time. */
function answers(names: readonly ResolvedName[]): NameSource {
  const left = [...names]
  return {
    unread: 0,
    takeUntil(timeMs, take) {
      for (let next = left[0]; next !== undefined && next.timeMs <= timeMs; next = left[0]) {
        take(next)
        left.shift()
      }
    },
  }
}

const answer = (name: string, address: string, timeMs: number): ResolvedName => ({
  ...{ name, timeMs, addresses: [address], ttlS: 60, server: '10.0.0.53' },
})

/** A host on which nginx talks to api.good.test; then what `deed` does on it, one hour after the other. */
class Host {
  readonly path = join(folderForTest(), 'baseline.db')
  private nowMs = NOON_MS

  constructor() {
    const log = new LogBuilder(NOON_MS)
    const names: ResolvedName[] = []
    for (let minute = 0; minute < 10; minute++) {
      names.push(answer('api.good.test', '198.51.100.1', log.timeMs))
      log.connect(NGINX, '198.51.100.1', 443).create(CRON, '/run/cron.pid').after(60_000)
    }
    replay(log, { plan: { kind: 'everything' }, names: answers(names) }, newBaseline(this.path))
    this.nowMs = log.timeMs
  }

  anHourLater(deed: (log: LogBuilder) => void, names: Readonly<Record<string, string>> = {}): Incident[] {
    this.nowMs += HOUR_MS + 1000
    const log = new LogBuilder(this.nowMs)
    const resolved = Object.entries(names).map(([name, address]) => answer(name, address, this.nowMs))
    deed(log)
    log.after(2 * WINDOW_MS).create(CRON, '/run/cron.pid')
    const options = { plan: { kind: 'none' }, names: answers(resolved) } as const
    return incidents(replay(log, options, newBaseline(this.path)))
  }

  get decisions(): Decisions {
    const decisions = new Decisions(this.path)
    onTestFinished(() => decisions.close())
    return decisions
  }
}

const told = (found: readonly Incident[]): unknown[] =>
  found.flatMap(({ edges }) => edges.map(({ to, count, mark }) => [to, count, mark]))

describe('a name that a person denied', () => {
  const connect = (address: string) => (log: LogBuilder) => void log.connect(NGINX, address, 443)

  /** evil.test is denied; it is the only incident until now. */
  function denied(): Host {
    const host = new Host()
    const found = host.anHourLater(connect('203.0.113.9'), { 'evil.test': '203.0.113.9' })
    expect(told(found)).toEqual([['host:evil.test:443', 1, undefined]])
    host.decisions.deny(1, BOB)
    return host
  }

  test('is reported on an address that a known name shares, and under what was denied', () => {
    const host = denied()
    const names = { 'evil.test': '198.51.100.1', 'api.good.test': '198.51.100.1' }
    const found = host.anHourLater(connect('198.51.100.1'), names)
    expect(told(found)).toEqual([['host:evil.test:443', 1, 'denied']])
  })

  test('is not denied any more when the edge of the report is accepted', () => {
    const host = denied()
    const names = { 'evil.test': '203.0.113.9' }
    const [found] = host.anHourLater(connect('203.0.113.9'), names)
    host.decisions.accept(found?.id ?? 0, BOB, [1])
    expect([...deniedIn(host.path)]).toEqual([])
    expect(told(host.anHourLater(connect('203.0.113.9'), names))).toEqual([])
  })

  test('is not learned by a training under its address', () => {
    const host = denied()
    const log = new LogBuilder(NOON_MS + 4 * HOUR_MS)
    log
      .connect(NGINX, '203.0.113.9', 443)
      .after(2 * WINDOW_MS)
      .create(CRON, '/run/cron.pid')
    const names = answers([answer('evil.test', '203.0.113.9', NOON_MS + 4 * HOUR_MS)])
    replay(log, { plan: { kind: 'everything' }, names }, newBaseline(host.path))
    expect(told(host.anHourLater(connect('203.0.113.9')))).toEqual([['host:203.0.113.9:443', 1, undefined]])
  })
})

describe('a pattern that a person denied', () => {
  const upload = (first: number, count: number) => (log: LogBuilder) => {
    for (let number = first; number < first + count; number++)
      log.create(
        NGINX,
        `/srv/up/${(BigInt(number) * 0x9e3779b97f4a7c15f39cc0605cedc835n).toString(16).slice(-32)}.bin`,
      )
  }
  const PATTERN = 'file:create:/srv/up/[0-9a-f]{32}\\.bin'

  test('is one edge of a report, however many files there are', () => {
    const host = new Host()
    expect(told(host.anHourLater(upload(1, 1)))).toEqual([[PATTERN, 1, undefined]])
    host.decisions.deny(1, BOB)
    expect(told(host.anHourLater(upload(10, 200)))).toEqual([[PATTERN, 200, 'denied']])
    host.decisions.accept(2, BOB, [1])
    expect(told(host.anHourLater(upload(300, 5)))).toEqual([])
  })

  test('holds for a file that is normal by its own name', () => {
    const host = new Host()
    host.anHourLater(upload(1, 1))
    host.decisions.deny(1, BOB)
    const baseline = newBaseline(host.path)
    const file = `/srv/up/${'ab'.repeat(16)}.bin`
    baseline.batch(() =>
      baseline.edges.learn(
        { kind: 'create', from: 'proc::33:/usr/sbin/nginx', to: `file:create:${file}` },
        NOON_MS,
      ),
    )
    expect(told(host.anHourLater((log) => void log.create(NGINX, file)))).toEqual([[PATTERN, 1, 'denied']])
  })
})
