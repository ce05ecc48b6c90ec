import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Recent } from '../../agent/interpret/recent.ts'

const MOST = 8
const steps = fc.array(fc.tuple(fc.constantFrom('get', 'set', 'delete'), fc.nat({ max: 20 }), fc.nat()), {
  maxLength: 200,
})

test('never a wrong value, and always one of the last half', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const recent = new Recent<number, number>(MOST)
      const truth = new Map<number, number>()
      let used: number[] = []
      for (const [step, key, value] of all) {
        if (step === 'set') {
          recent.set(key, value)
          truth.set(key, value)
        } else if (step === 'delete') {
          recent.delete(key)
          truth.delete(key)
        }
        const got = recent.get(key)
        const expected = truth.get(key)
        if (got !== undefined) expect(got).toBe(expected)
        if (used.slice(0, MOST / 2).includes(key) || step === 'set') expect(got).toBe(expected)
        // What was forgotten is gone for good, and does not count as used.
        if (got === undefined) truth.delete(key)
        used = [key, ...used.filter((each) => each !== key)].filter((each) => truth.has(each))
      }
    }),
  )
})

test('holds no more than it may', () => {
  const recent = new Recent<number, number>(MOST)
  for (let key = 0; key < 1000; key++) recent.set(key, key)
  const kept = Array.from({ length: 1000 }, (_, key) => key).filter((key) => recent.get(key) !== undefined)
  expect(kept.length).toBeLessThanOrEqual(MOST)
})
