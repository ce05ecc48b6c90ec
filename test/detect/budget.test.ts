import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Scored, thresholdsOf } from '../../agent/detect/budget.ts'

const one = fc.record({
  user: fc.constantFrom(':root', ':app', ':dev', ':backup'),
  score: fc.double({ min: 0, max: 40, noNaN: true }),
})
const days = fc.double({ min: 0.01, max: 30, noNaN: true })

/** Who would have been reported. */
const above = (
  met: readonly Scored[],
  { allBits, userBits }: NonNullable<ReturnType<typeof thresholdsOf>>,
): Scored[] => met.filter(({ user, score }) => score > Math.max(allBits, userBits[user] ?? 0))

test('no more are to be expected above the thresholds than the budget allows', () => {
  fc.assert(
    fc.property(fc.array(one), days, fc.integer({ min: 1, max: 100 }), (met, span, most) => {
      const thresholds = thresholdsOf(met, span, most)
      if (thresholds === undefined) expect(1 / span).toBeGreaterThan(most)
      else expect((above(met, thresholds).length + 1) / span).toBeLessThanOrEqual(most)
    }),
  )
})

test('nothing is kept back where there are no more than the budget allows, and no user has more than a quarter', () => {
  fc.assert(
    fc.property(fc.array(one, { maxLength: 10 }), (met) => {
      expect(thresholdsOf(met, 4.1, 10)).toEqual({ allBits: 0, userBits: {} })
    }),
  )
})

test('who makes noise drowns himself and nobody else', () => {
  fc.assert(
    fc.property(fc.array(one, { maxLength: 20 }), fc.integer({ min: 0, max: 500 }), (met, decoys) => {
      const others = met.filter(({ user }) => user !== ':dev')
      const flood = Array.from({ length: decoys }, () => ({ user: ':dev', score: 100 }))
      // 39 may be reported: ten of the flood, and all of the others.
      expect(thresholdsOf([...others, ...flood], 4, 10)?.allBits).toBe(0)
    }),
  )
})

const few = [3, 9, 5].map((score) => ({ user: ':a', score }))
const many = Array.from({ length: 20 }, (_, score) => ({ user: `:${score}`, score }))
test.each<[string, readonly Scored[], number, ReturnType<typeof thresholdsOf>]>([
  ['three hours: none may be expected', few, 1 / 8, { allBits: 0, userBits: { ':a': 9.5 } }],
  ['two hours are too short for ten a day', few, 1 / 12, undefined],
  ['a day, and few', few, 1, { allBits: 0, userBits: {} }],
  ['a day with twenty users: the nine that are most surprising', many, 1, { allBits: 10.5, userBits: {} }],
])('%s', (_, met, span, thresholds) => {
  expect(thresholdsOf(met, span, 10)).toEqual(thresholds)
})
