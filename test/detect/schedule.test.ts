import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Schedule, type TrainingPlan } from '../../agent/detect/schedule.ts'

const NOON_MS = Date.parse('2026-11-20T12:00:00Z')
const MINUTE_MS = 60_000

function scheduleAt(startMs: number, plan: TrainingPlan, windowMs = MINUTE_MS): Schedule {
  const schedule = new Schedule(plan, windowMs)
  schedule.advance(startMs)
  return schedule
}

describe('training', () => {
  test('for a time begins with the first event', () => {
    const schedule = scheduleAt(NOON_MS, { kind: 'for', durationMs: 1000 })
    expect(schedule.trainingEndMs).toBe(NOON_MS + 1000)
    expect(schedule.isInTraining(NOON_MS)).toBe(true)
    schedule.advance(NOON_MS + 999)
    expect(schedule.isTrained).toBe(false)
    expect(schedule.isInTraining(NOON_MS + 999)).toBe(true)
    schedule.advance(NOON_MS + 1000)
    expect(schedule.isTrained).toBe(true)
    expect(schedule.isInTraining(NOON_MS + 1000)).toBe(false)
  })

  test('for no time at all is over at once', () => {
    const schedule = scheduleAt(NOON_MS, { kind: 'for', durationMs: 0 })
    expect(schedule.isTrained).toBe(true)
    expect(schedule.isInTraining(NOON_MS)).toBe(false)
  })

  test('until a time takes what is stamped before it', () => {
    const schedule = scheduleAt(NOON_MS, { kind: 'until', timeMs: NOON_MS + 500 })
    expect(schedule.isInTraining(NOON_MS + 499)).toBe(true)
    schedule.advance(NOON_MS + 500)
    expect(schedule.isInTraining(NOON_MS + 500)).toBe(false)
    // An event of just before that ended a little later belongs to it all the same.
    expect(schedule.isInTraining(NOON_MS + 499)).toBe(true)
  })

  test('until a time given in fractions of a millisecond ends at a whole one', () => {
    const schedule = scheduleAt(NOON_MS, { kind: 'until', timeMs: NOON_MS + 500.0001 })
    expect(schedule.trainingEndMs).toBe(NOON_MS + 500)
  })

  test.each<TrainingPlan>([
    { kind: 'for', durationMs: 1e300 },
    { kind: 'until', timeMs: 1e300 },
  ])('$kind a time beyond all calendars ends at the last day of them', (plan) => {
    expect(scheduleAt(NOON_MS, plan).trainingEndMs).toBe(Date.parse('+275760-09-13T00:00:00Z'))
  })

  test('until a time that has passed is over at once', () => {
    const schedule = scheduleAt(NOON_MS, { kind: 'until', timeMs: NOON_MS - 1 })
    expect(schedule.isTrained).toBe(true)
    expect(schedule.isInTraining(NOON_MS)).toBe(false)
    // Windows follow the first event, not the time long ago.
    schedule.advance(NOON_MS + MINUTE_MS)
    expect(schedule.passedWindow()).toBe(NOON_MS + MINUTE_MS)
  })

  test('on everything never ends', () => {
    const schedule = scheduleAt(NOON_MS, { kind: 'everything' })
    schedule.advance(NOON_MS + 365 * 86_400_000)
    expect(schedule.isTrained).toBe(false)
    expect(schedule.isInTraining(NOON_MS + 365 * 86_400_000)).toBe(true)
    expect(schedule.passedWindow()).toBe(NOON_MS + 365 * 86_400_000)
    expect(schedule.passedWindow()).toBeUndefined()
  })

  test('can be none', () => {
    const schedule = scheduleAt(NOON_MS, { kind: 'none' })
    expect(schedule.isTrained).toBe(true)
    expect(schedule.isInTraining(NOON_MS)).toBe(false)
    expect(schedule.isInTraining(0)).toBe(false)
    schedule.advance(NOON_MS + MINUTE_MS)
    expect(schedule.passedWindow()).toBe(NOON_MS + MINUTE_MS)
  })

  test.each<TrainingPlan>([
    { kind: 'none' },
    { kind: 'everything' },
    { kind: 'for', durationMs: 0 },
    { kind: 'until', timeMs: 0 },
  ])('$kind: before the first event there is no time', (plan) => {
    const schedule = new Schedule(plan, MINUTE_MS)
    expect(schedule.nowMs).toBeUndefined()
    expect(schedule.trainingEndMs).toBeUndefined()
    expect(schedule.isTrained).toBe(false)
    expect(schedule.isInTraining(NOON_MS)).toBe(false)
    expect(schedule.passedWindow()).toBeUndefined()
    expect(schedule.isDue(NOON_MS)).toBe(true)
  })

  test('a call that blocked since long ago is dated by its arrival', () => {
    const schedule = scheduleAt(NOON_MS, { kind: 'for', durationMs: 10_000 })
    schedule.advance(NOON_MS + 20_000)
    // accept(2) was called in the training and returned now.
    expect(schedule.isInTraining(NOON_MS + 5000)).toBe(false)
    expect(schedule.isInTraining(NOON_MS - 3_600_000)).toBe(false)
  })

  test('a call that blocked since before the first event is learned in training', () => {
    const schedule = scheduleAt(NOON_MS, { kind: 'for', durationMs: 10_000 })
    expect(schedule.isInTraining(NOON_MS - 3_600_000)).toBe(true)
  })
})

describe('windows', () => {
  test('go through the training, end with it, and follow it', () => {
    const schedule = scheduleAt(NOON_MS, { kind: 'for', durationMs: MINUTE_MS + 1000 })
    schedule.advance(NOON_MS + MINUTE_MS - 1)
    expect(schedule.passedWindow()).toBeUndefined()
    schedule.advance(NOON_MS + MINUTE_MS)
    expect(schedule.passedWindow()).toBe(NOON_MS + MINUTE_MS)
    schedule.advance(NOON_MS + MINUTE_MS + 1000 + MINUTE_MS - 1)
    expect(schedule.passedWindow()).toBe(NOON_MS + MINUTE_MS + 1000)
    expect(schedule.passedWindow()).toBeUndefined()
  })

  test('follow a training that is shorter', () => {
    const schedule = scheduleAt(NOON_MS, { kind: 'for', durationMs: 1000 })
    schedule.advance(NOON_MS + 1000 + MINUTE_MS)
    expect(schedule.passedWindow()).toBe(NOON_MS + 1000)
    expect(schedule.passedWindow()).toBe(NOON_MS + 1000 + MINUTE_MS)
    expect(schedule.passedWindow()).toBeUndefined()
  })

  test('that passed without an event are passed over', () => {
    const schedule = scheduleAt(NOON_MS, { kind: 'none' })
    schedule.advance(NOON_MS + 1_000_000 * MINUTE_MS + 7)
    expect(schedule.passedWindow()).toBe(NOON_MS + 1_000_000 * MINUTE_MS)
    expect(schedule.passedWindow()).toBeUndefined()
  })
})

const PLAN: fc.Arbitrary<TrainingPlan> = fc.oneof(
  fc.constant({ kind: 'none' } as const),
  fc.constant({ kind: 'everything' } as const),
  fc.record({ kind: fc.constant('for' as const), durationMs: fc.nat(100_000) }),
  fc.record({ kind: fc.constant('until' as const), timeMs: fc.integer({ min: -50_000, max: 50_000 }) }),
)
const STAMPS = fc.array(fc.oneof(fc.integer({ min: -5000, max: 5000 }), fc.nat(300_000)), {
  minLength: 1,
  maxLength: 40,
})

/** When training ends, by the words of the plan. */
function endOf(plan: TrainingPlan, firstMs: number): number {
  if (plan.kind === 'for') return firstMs + plan.durationMs
  if (plan.kind === 'until') return plan.timeMs
  return plan.kind === 'none' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
}

describe('law', () => {
  test('the time is the newest stamp so far', () => {
    fc.assert(
      fc.property(PLAN, STAMPS, (plan, stamps) => {
        const schedule = new Schedule(plan, 1000)
        stamps.forEach((stamp, index) => {
          schedule.advance(stamp)
          expect(schedule.nowMs).toBe(Math.max(...stamps.slice(0, index + 1)))
        })
      }),
    )
  })

  test('training is over when the time has come, and never begins again', () => {
    fc.assert(
      fc.property(PLAN, STAMPS, (plan, stamps) => {
        const schedule = new Schedule(plan, 1000)
        const endMs = endOf(plan, stamps[0] ?? 0)
        stamps.forEach((stamp, index) => {
          schedule.advance(stamp)
          const nowMs = Math.max(...stamps.slice(0, index + 1))
          expect(schedule.isTrained).toBe(nowMs >= endMs)
          expect(schedule.isInTraining(nowMs)).toBe(nowMs < endMs)
          // However old a stamp is, an event that arrives long after the end is not learned.
          if (nowMs > endMs + 2000) expect(schedule.isInTraining(stamp)).toBe(false)
        })
      }),
    )
  })

  test('windows have one length, but for the last of the training; end one after the other, each once, and as soon as their time has come', () => {
    fc.assert(
      fc.property(PLAN, STAMPS, fc.integer({ min: 1, max: 50_000 }), (plan, stamps, windowMs) => {
        let schedule = new Schedule(plan, windowMs)
        const [firstMs = 0] = stamps
        const trainedMs = Math.max(firstMs, endOf(plan, firstMs))
        let lastEndMs = firstMs
        for (const stamp of stamps) {
          const wasDue = schedule.isDue(stamp)
          const wasTrained = schedule.isTrained
          schedule.advance(stamp)
          for (let endMs = schedule.passedWindow(); endMs !== undefined; endMs = schedule.passedWindow()) {
            expect(wasDue).toBe(true)
            const beginMs = endMs > trainedMs ? trainedMs : firstMs
            if (endMs !== trainedMs) expect((endMs - beginMs) % windowMs).toBe(0)
            expect(endMs).toBeGreaterThan(lastEndMs)
            expect(endMs).toBeLessThanOrEqual(stamp)
            lastEndMs = endMs
          }
          if (schedule.isTrained !== wasTrained) expect(wasDue).toBe(true)
          expect(schedule.nowMs).toBeLessThan(lastEndMs + windowMs)
          // One that goes on from here is like this one.
          const { memory } = schedule
          if (memory === undefined || schedule.nowMs === undefined) continue
          const next = new Schedule(restOf(plan, trainedMs, schedule.nowMs), windowMs)
          next.resume(memory)
          expect([next.isTrained, next.nowMs]).toEqual([schedule.isTrained, schedule.nowMs])
          schedule = next
        }
      }),
    )
  })
})

/** What is left of a plan. */
function restOf(plan: TrainingPlan, trainedMs: number, nowMs: number): TrainingPlan {
  if (plan.kind === 'for') return { kind: 'for', durationMs: Math.max(0, trainedMs - nowMs) }
  return plan
}
