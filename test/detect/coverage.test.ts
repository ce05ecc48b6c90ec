import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CoverageWatch } from '../../agent/detect/coverage.ts'
import type { BlindReason, BlindSpot, Coverage } from '../../agent/domain/report.ts'

const spot = (reason: BlindReason, isOngoing = false, fromMs = 0): BlindSpot => ({
  ...{ kind: 'blind-spot', reason, fromMs, toMs: fromMs, count: 1, detail: reason },
  ...(isOngoing ? { isOngoing } : {}),
})

/** Nothing is missing from the log for these: domain/report.ts. */
const HARMLESS = [
  'behind',
  'host-unscanned',
  'kernel-backlog',
  'clock-set-back',
  'baseline-unwritable',
  'shed',
] as const
const HARMFUL = [
  'unreadable-line',
  'incomplete-event',
  'late-record',
  'serial-gap',
  'log-missing',
  'log-unreadable',
  'log-truncated',
  'log-rotated-unread',
  'kernel-lost',
  'rules-missing',
  'never-task',
  'audit-disabled',
  'auditd-stopped',
  'auditd-replaced',
  'nothing-arrives',
  'kernel-unknown',
  'plugin-absent',
  'plugin-ended',
  'plugin-overflow',
] as const

/** What `resume` gets: through the table, as JSON. */
const stored = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

describe('counts', () => {
  const COUNTERS = {
    unreadableLines: 'unreadable-line',
    tornLines: 'unreadable-line',
    incompleteEvents: 'incomplete-event',
    lateRecords: 'late-record',
    missingSerials: 'serial-gap',
    shedProcesses: 'shed',
    shedFiles: 'shed',
  } as const

  test.each(Object.entries(COUNTERS))('%s are a %s', (counter, reason) => {
    const coverage = new CoverageWatch()
    expect(coverage.missed({ [counter]: 3 }, 10, 20)).toEqual([
      expect.objectContaining({ kind: 'blind-spot', reason, fromMs: 10, toMs: 20, count: 3 }),
    ])
    expect(coverage.hasMissed).toBe(true)
    expect(coverage.isDegraded).toBe(reason !== 'shed')
  })

  test('that are none say nothing', () => {
    const coverage = new CoverageWatch()
    expect(coverage.missed({ unreadableLines: 0, records: 17 }, 0, 1)).toEqual([])
    expect([coverage.hasMissed, coverage.isDegraded]).toEqual([false, false])
  })

  test('law: each thing is told once, in the interval in which it came, also over restarts', () => {
    const windows = fc.array(
      fc.record({ unreadableLines: fc.nat(2), missingSerials: fc.nat(2), restarts: fc.boolean() }),
      { maxLength: 12 },
    )
    fc.assert(
      fc.property(windows, (all) => {
        let coverage = new CoverageWatch()
        const sums = { unreadableLines: 0, missingSerials: 0 }
        for (const [index, { unreadableLines, missingSerials, restarts }] of all.entries()) {
          sums.unreadableLines += unreadableLines
          sums.missingSerials += missingSerials
          const [fromMs, toMs] = [index * 10, index * 10 + 10]
          const spots = coverage.missed({ ...sums }, 0, toMs)
          expect(spots.map(({ reason, count }) => [reason, count])).toEqual(
            [
              ['unreadable-line', unreadableLines],
              ['serial-gap', missingSerials],
            ].filter(([, count]) => count !== 0),
          )
          for (const each of spots) expect([each.fromMs, each.toMs]).toEqual([fromMs, toMs])
          if (!restarts) continue
          const state = stored([coverage.memory, coverage.at(toMs)] as const)
          coverage = new CoverageWatch()
          coverage.resume(...state)
        }
      }),
    )
  })
})

describe('a window', () => {
  test.each(HARMFUL)('in which there was %s is degraded, and the next one is not', (reason) => {
    const coverage = new CoverageWatch()
    coverage.note(spot(reason))
    expect(coverage.isDegraded).toBe(true)
    coverage.beginWindow()
    expect(coverage.isDegraded).toBe(false)
    // `status` looks a window back.
    expect(coverage.at(0).isDegraded).toBe(true)
    coverage.beginWindow()
    expect(coverage.at(0).isDegraded).toBe(false)
  })

  test.each(HARMLESS)('in which there was %s is not, whether it is over or not', (reason) => {
    const coverage = new CoverageWatch()
    coverage.note(spot(reason))
    coverage.note(spot(reason, true))
    expect(coverage.isDegraded).toBe(false)
    coverage.beginWindow()
    expect(coverage.isDegraded).toBe(false)
    expect(coverage.hasMissed).toBe(true)
  })

  test('is degraded as long as anything goes on, up to the one in which the last of it ends', () => {
    const coverage = new CoverageWatch()
    coverage.note(spot('log-missing', true))
    coverage.note(spot('audit-disabled', true))
    for (const reason of ['log-missing', 'audit-disabled'] as const) {
      coverage.beginWindow()
      expect(coverage.isDegraded).toBe(true)
      coverage.note(spot(reason))
      expect(coverage.isDegraded).toBe(true)
    }
    coverage.beginWindow()
    expect(coverage.isDegraded).toBe(false)
  })

  test('is not degraded by what has been so since before the training, but by its getting worse', () => {
    const coverage = new CoverageWatch()
    coverage.note(spot('rules-missing', true), true)
    expect(coverage.isDegraded).toBe(false)
    coverage.beginWindow()
    expect(coverage.isDegraded).toBe(false)
    expect(coverage.at(0).ongoing).toHaveLength(1)
    coverage.note(spot('rules-missing', true, 5))
    expect(coverage.isDegraded).toBe(true)
    coverage.beginWindow()
    expect(coverage.isDegraded).toBe(true)
    expect(coverage.at(0).ongoing).toEqual([spot('rules-missing', true, 5)])
  })
})

describe('what status gets', () => {
  test('has what goes on apart from what is over, each reason at most once', () => {
    const coverage = new CoverageWatch()
    coverage.note(spot('log-missing', true, 1))
    coverage.note(spot('log-missing', true, 2))
    coverage.note(spot('serial-gap', false, 3))
    expect(coverage.at(7)).toEqual({
      ongoing: [spot('log-missing', true, 2)],
      recent: [spot('serial-gap', false, 3)],
      ...{ isDegraded: true, timeMs: 7 },
    })
    coverage.note(spot('log-missing', false, 4))
    expect(coverage.at(8)).toMatchObject({
      ongoing: [],
      recent: [spot('serial-gap', false, 3), spot('log-missing', false, 4)],
    })
  })

  test('is bounded, and has the newest last', () => {
    const coverage = new CoverageWatch()
    for (let number = 0; number < 1000; number++) coverage.note(spot('serial-gap', false, number))
    const times = coverage.at(0).recent.map(({ fromMs }) => fromMs)
    expect(times.length).toBeLessThan(100)
    expect(times).toEqual(times.map((_, index) => 1000 - times.length + index))
  })
})

test('law: after a restart the window is what it was, and nothing is forgotten or told again', () => {
  const step = fc.oneof(
    fc.record({
      does: fc.constant('note' as const),
      spot: fc.record({ reason: fc.constantFrom(...HARMLESS, ...HARMFUL), fromMs: fc.nat(9) }),
    }),
    fc.record({ does: fc.constant('count' as const), unreadableLines: fc.nat(3) }),
    fc.record({ does: fc.constant('window' as const) }),
    fc.record({ does: fc.constant('restart' as const) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const whole = new CoverageWatch()
      let coverage = new CoverageWatch()
      let unreadableLines = 0
      const both = (does: (watch: CoverageWatch) => unknown): void =>
        expect(does(coverage)).toEqual(does(whole))
      for (const each of steps) {
        if (each.does === 'note') {
          const { reason, fromMs } = each.spot
          both((watch) => watch.note(spot(reason, false, fromMs)))
        } else if (each.does === 'count') {
          unreadableLines += each.unreadableLines
          both((watch) => watch.missed({ unreadableLines }, 0, 1))
        } else if (each.does === 'window') both((watch) => watch.beginWindow())
        else {
          const [memory, known] = stored([coverage.memory, coverage.at(3)] as const)
          coverage = new CoverageWatch()
          coverage.resume(memory, known)
        }
        both((watch): Coverage => watch.at(3))
        both((watch) => watch.isDegraded)
      }
    }),
  )
})

test('what went on when an agent ended is no more than past, and tells the next window nothing', () => {
  const before = new CoverageWatch()
  before.note(spot('log-missing', true))
  const after = new CoverageWatch()
  after.resume(...stored([before.memory, before.at(1)] as const))
  expect(after.at(2)).toMatchObject({ ongoing: [], recent: [spot('log-missing', true)], isDegraded: true })
  after.beginWindow()
  expect(after.isDegraded).toBe(false)
})
