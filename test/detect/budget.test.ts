import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { thresholdBitsOf } from '../../agent/detect/budget.ts'

const scores = fc.array(fc.double({ min: 0, max: 40, noNaN: true }))
const perDay = fc.integer({ min: 1, max: 100 })
const days = fc.double({ min: 0.01, max: 30, noNaN: true })

test('no more are to be expected above the threshold than the budget allows, and none is kept back without need', () => {
  fc.assert(
    fc.property(scores, days, perDay, (met, span, most) => {
      const bits = thresholdBitsOf(met, span, most)
      if (bits === undefined) {
        expect(1 / span).toBeGreaterThan(most)
        return
      }
      const expected = (threshold: number): number =>
        (met.filter((score) => score > threshold).length + 1) / span
      expect(expected(bits)).toBeLessThanOrEqual(most)
      // Half a bit below it there are too many.
      const below = met.filter((score) => score < bits - 0.5)
      if (bits > 0) expect(expected(Math.max(0, ...below) - 1e-9)).toBeGreaterThan(most)
    }),
  )
})

test.each([
  [
    'three hours of a busy training: none may be expected, so all that was met is kept back',
    [3, 9, 5],
    1 / 8,
    9.5,
  ],
  ['two hours are too short for ten a day', [3, 9, 5], 1 / 12, undefined],
  ['a day, and fewer than ten', [3, 9, 5], 1, 0],
  [
    'a day with twenty: the nine that are most surprising',
    Array.from({ length: 20 }, (_, bits) => bits),
    1,
    10.5,
  ],
])('%s', (_, met, span, bits) => {
  expect(thresholdBitsOf(met, span, 10)).toBe(bits)
})
