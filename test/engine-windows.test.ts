/** What becomes of windows that were not seen whole, and of those that held too much. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Baseline } from '../agent/baseline/baseline.ts'
import { edgesIn } from '../agent/baseline/transfer.ts'
import type { BlindReason, BlindSpot } from '../agent/domain/report.ts'
import {
  blindSpots,
  incidents,
  CRON,
  newBaseline,
  NGINX,
  NOON_MS,
  paths,
  replay,
  start,
  TRAINING_MS,
  WINDOW_MS,
} from './support/engine.ts'
import { findingsOf } from './support/incidents.ts'
import { folderForTest } from './support/folder.ts'
import { LogBuilder } from './support/log-builder.ts'

const WINDOWS = TRAINING_MS / WINDOW_MS
/** The window of the training in which something is missing. */
const BAD = 2

const spot = (reason: BlindReason, isOngoing: boolean): BlindSpot => ({
  ...{ kind: 'blind-spot', reason, fromMs: NOON_MS, toMs: NOON_MS, count: 0, detail: reason },
  ...(isOngoing ? { isOngoing: true as const } : {}),
})

/** A host that goes to an address in another network in each window, and to one of them in all. */
function windowOf(number: number, log: LogBuilder): LogBuilder {
  log.connect(NGINX, '10.7.100.1', 443).after(1000)
  return log.connect(NGINX, `10.7.${number}.1`, 443).after(1000)
}

/** Numbers of the windows whose address was learned. */
const learnedIn = (path: string): number[] =>
  [...edgesIn(path)]
    .map(({ to }) => Number(/^host:10\.7\.(\d+)\.1:443$/.exec(to)?.[1]))
    .filter((number) => number < 100)
    .sort((one, other) => one - other)

const allBut = (...left: number[]): number[] =>
  Array.from({ length: WINDOWS }, (_, number) => number).filter((number) => !left.includes(number))

describe('a window of the training in which something is missing', () => {
  const WAYS: Readonly<Record<string, (log: LogBuilder) => LogBuilder>> = {
    'a line that cannot be read': (log) => log.junk(),
    'a gap in the serials': (log) => log.lose(2),
    // Its PATH records would be waited for during 4,096 records, or until nothing arrives for two seconds.
    'half an event': (log) => log.begin(CRON),
  }

  function trained(
    spoil: (log: LogBuilder) => LogBuilder,
    learnDegraded: boolean,
  ): [string, Baseline, number] {
    const path = join(folderForTest(), 'baseline.db')
    const baseline = newBaseline(path)
    let unlearned = -1
    const { engine } = start(baseline, { learnDegraded, onTrained: (count) => (unlearned = count) })
    const log = new LogBuilder(NOON_MS)
    let read = 0
    for (let number = 0; number <= WINDOWS; number++) {
      log.timeMs = NOON_MS + number * WINDOW_MS
      windowOf(number, log)
      if (number === BAD) windowOf(number, spoil(log))
      engine.ingest({ bytes: log.bytes.subarray(read), at: undefined })
      read = log.bytes.length
      // Nothing more arrives in this window.
      engine.idle(log.timeMs + 2000)
    }
    engine.end()
    return [path, baseline, unlearned]
  }

  test.each(Object.keys(WAYS))('by %s is not learned, those before and behind it are', (way) => {
    const [path, baseline, unlearned] = trained(WAYS[way] ?? ((log) => log), false)
    expect(learnedIn(path)).toEqual(allBut(BAD))
    expect(unlearned).toBe(1)
    expect(baseline.verify().problem).toBeUndefined()
  })

  test.each(Object.keys(WAYS))('by %s is learned when that is asked for', (way) => {
    const [path, baseline, unlearned] = trained(WAYS[way] ?? ((log) => log), true)
    expect(learnedIn(path)).toEqual(allBut())
    expect(unlearned).toBe(0)
    expect(baseline.verify().problem).toBeUndefined()
  })

  test('is told of, and what it alone has shown is reported when it comes again', () => {
    const log = new LogBuilder(NOON_MS)
    for (let number = 0; number < WINDOWS; number++) {
      log.timeMs = NOON_MS + number * WINDOW_MS
      windowOf(number, log)
      if (number === BAD) log.junk()
    }
    log.timeMs = NOON_MS + TRAINING_MS
    for (let number = 0; number < WINDOWS; number++) windowOf(number, log)
    const reports = replay(log)
    expect(paths(reports)).toEqual([`proc::33:/usr/sbin/nginx->host:10.7.${BAD}.1:443`])
    expect(blindSpots(reports).map(({ reason, fromMs }) => [reason, fromMs])).toEqual([
      ['unreadable-line', NOON_MS + BAD * WINDOW_MS],
    ])
  })

  test('takes nothing back that was normal before the training', () => {
    const path = join(folderForTest(), 'baseline.db')
    const baseline = newBaseline(path)
    replay(windowOf(BAD, new LogBuilder(NOON_MS)), { plan: { kind: 'everything' } }, baseline)
    const again = windowOf(3, windowOf(BAD, new LogBuilder(NOON_MS + 86_400_000)).junk())
    replay(again, { plan: { kind: 'everything' } }, baseline)
    expect(learnedIn(path)).toEqual([BAD])
  })
})

describe('a live agent in training', () => {
  /** Which windows are learned when `tell` is called at the beginning of each. */
  function learned(
    tell: (engine: ReturnType<typeof start>['engine'], window: number) => void,
    learnDegraded = false,
  ): number[] {
    const path = join(folderForTest(), 'baseline.db')
    const { engine } = start(newBaseline(path), { learnDegraded })
    const log = new LogBuilder(NOON_MS)
    let read = 0
    for (let number = 0; number <= WINDOWS; number++) {
      log.timeMs = NOON_MS + number * WINDOW_MS
      engine.idle(log.timeMs)
      tell(engine, number)
      windowOf(number, log)
      engine.ingest({ bytes: log.bytes.subarray(read), at: undefined })
      read = log.bytes.length
    }
    engine.end()
    return learnedIn(path)
  }

  test('does not learn while it is told that something goes on, up to the window in which that ends', () => {
    const tell = (engine: ReturnType<typeof start>['engine'], window: number): void => {
      if (window === 1 || window === 3) engine.wentBlind(spot('log-missing', window === 1))
    }
    expect(learned(tell)).toEqual(allBut(1, 2, 3))
    expect(learned(tell, true)).toEqual(allBut())
  })

  test.each(['behind', 'kernel-backlog', 'baseline-unwritable', 'shed'] as const)(
    'goes on learning while %s',
    (reason) => {
      expect(learned((engine) => engine.wentBlind(spot(reason, true)))).toEqual(allBut())
    },
  )

  test('goes on when the kernel is to be looked at again and the first look has not ended', () => {
    expect(learned((engine) => engine.heardOfKernel([], undefined))).toEqual(allBut())
  })

  test('goes on learning with what has been missing since before it began, and not when that changes', () => {
    expect(learned((engine) => engine.wentBlind(spot('rules-missing', true), true))).toEqual(allBut())
    const news = (isStanding: boolean) => [{ report: spot('rules-missing', true), isStanding }]
    expect(learned((engine, window) => engine.heardOfKernel(news(true), window))).toEqual(allBut())
    expect(learned((engine, window) => engine.heardOfKernel(news(window < 4), window))).toEqual([0, 1, 2, 3])
  })
})

describe('--rebase', () => {
  test('merges nothing that only windows have shown which were not seen whole, until one does', () => {
    const baseline = newBaseline()
    const attack = (log: LogBuilder): LogBuilder => log.connect(NGINX, '203.0.113.66', 4444)
    const { engine } = start(baseline, { rebase: true, plan: { kind: 'none' } })
    const log = new LogBuilder(NOON_MS).connect(NGINX, '192.0.2.1', 443)
    let read = 0
    const ingest = (): number => {
      log.timeMs = Math.ceil((log.timeMs + 1 - NOON_MS) / WINDOW_MS) * WINDOW_MS + NOON_MS
      engine.ingest({ bytes: log.bytes.subarray(read), at: undefined })
      read = log.bytes.length
      engine.idle(log.timeMs)
      return baseline.edges.countEdges()
    }
    expect(ingest()).toBe(1)
    attack(log).junk()
    expect(ingest()).toBe(1)
    // Whole, but it did not come again.
    log.connect(NGINX, '192.0.2.1', 443)
    expect(ingest()).toBe(1)
    attack(log).lose(1).connect(NGINX, '192.0.2.1', 443)
    expect(ingest()).toBe(1)
    attack(log)
    expect(ingest()).toBe(2)
    expect(baseline.verify().problem).toBeUndefined()
  })
})

test('--rebase merges nothing of an earlier run that was only seen in windows which were not seen whole', () => {
  const baseline = newBaseline()
  const options = { plan: { kind: 'none' }, rebase: true } as const
  replay(new LogBuilder(NOON_MS).connect(NGINX, '203.0.113.66', 4444).junk(), options, baseline)
  const nextDay = new LogBuilder(NOON_MS + 86_400_000)
  replay(nextDay.connect(NGINX, '192.0.2.1', 443), options, baseline)
  expect(baseline.edges.countEdges()).toBe(1)
  const another = new LogBuilder(NOON_MS + 2 * 86_400_000)
  replay(another.connect(NGINX, '203.0.113.66', 4444), options, baseline)
  expect(baseline.edges.countEdges()).toBe(2)
})

describe('a flood', () => {
  /** Most findings that one place may bring in a window: `SHARES` in the engine. */
  const MOST = 5000
  const COUNT = 20_000

  test('of one known process is cut off and counted, and hides nothing of another', () => {
    const log = new LogBuilder(NOON_MS).connect(NGINX, '192.0.2.1', 443).create(CRON, '/run/cron.pid')
    log.after(1001)
    for (let number = 0; number < COUNT; number++)
      log.connect(NGINX, `10.1.${number >> 8}.${number & 255}`, 80)
    log.create(CRON, '/etc/cron.d/backdoor').create(CRON, '/etc/cron.d/backdoor')
    log.connect(CRON, '203.0.113.66', 4444).after(WINDOW_MS)
    // In the next window there is room again.
    log.connect(NGINX, '203.0.113.1', 80)
    const reports = replay(log, { plan: { kind: 'for', durationMs: 1000 } })
    const all = findingsOf(reports)
    const flood = all.filter(({ edge }) => edge.to.startsWith('host:10.1.'))
    const [nginx] = incidents(reports).filter(({ chain }) => chain[0] === 'proc::33:/usr/sbin/nginx')
    expect(new Set(flood.map(({ edge }) => edge.to)).size).toBe(flood.length)
    expect(flood.length + (nginx?.unlisted ?? 0)).toBe(MOST)
    expect(nginx).toMatchObject({ count: MOST })
    expect(
      all.filter((each) => !flood.includes(each)).map(({ edge, evidence }) => [edge.to, evidence.count]),
    ).toEqual([
      ['file:create:/etc/cron.d/backdoor', 2],
      ['host:203.0.113.66:4444', 1],
      ['host:203.0.113.1:80', 1],
    ])
    const [shed, ...others] = blindSpots(reports)
    expect(others).toEqual([])
    expect(shed).toMatchObject({ reason: 'shed', count: COUNT - MOST })
    expect(shed?.detail).toContain('connect proc::33:/usr/sbin/nginx')
    expect(shed?.detail).toContain(`host:10.1.${(COUNT - 1) >> 8}.${(COUNT - 1) & 255}:80`)
  }, 60_000)
})
