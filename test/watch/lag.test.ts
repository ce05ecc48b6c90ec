import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Lag } from '../../agent/watch/lag.ts'

const NOW_MS = 1_000_000_000

test('who is at the end of the log is never behind, however old its last event is', () => {
  const lag = new Lag()
  for (const readMs of [NOW_MS, NOW_MS - 86_400_000]) {
    expect(lag.look(NOW_MS, 0, readMs)).toBeUndefined()
    expect(lag.isBehind).toBe(false)
  }
})

test('a log that is read as it comes is not told of, but there is more to read', () => {
  const lag = new Lag()
  expect(lag.look(NOW_MS, 5000, NOW_MS - 10_000)).toBeUndefined()
  expect(lag.isBehind).toBe(true)
  expect(lag.look(NOW_MS + 1, 0, NOW_MS)).toBeUndefined()
  expect(lag.isBehind).toBe(false)
})

test('being behind is told once, and once that it is over, with the whole time and the most there was', () => {
  const lag = new Lag()
  const sinceMs = NOW_MS - 12_000
  expect(lag.look(NOW_MS, 5000, sinceMs)).toEqual({
    ...{ kind: 'blind-spot', reason: 'behind', fromMs: sinceMs, toMs: NOW_MS, count: 5000 },
    detail: 'bytes: reading is 12 s and 5000 bytes behind the end of the log',
    isOngoing: true,
  })
  for (const bytes of [9000, 100, 7000])
    expect(lag.look(NOW_MS + 1000, bytes, NOW_MS - 60_000)).toBeUndefined()
  expect(lag.isBehind).toBe(true)
  const over = lag.look(NOW_MS + 5000, 0, NOW_MS + 5000)
  expect(over).toMatchObject({ reason: 'behind', fromMs: sinceMs, toMs: NOW_MS + 5000, count: 9000 })
  expect(over).not.toHaveProperty('isOngoing')
  expect(lag.isBehind).toBe(false)
  // The next time begins anew.
  expect(lag.look(NOW_MS + 99_000, 20, NOW_MS + 80_000)).toMatchObject({ count: 20, isOngoing: true })
})

test('nothing is said where nobody knows how much is left, and what was said stands', () => {
  const lag = new Lag()
  expect(lag.look(NOW_MS, undefined, 0)).toBeUndefined()
  expect(lag.isBehind).toBe(false)
  expect(lag.look(NOW_MS, 1, 0)).toBeDefined()
  expect(lag.look(NOW_MS, undefined, NOW_MS)).toBeUndefined()
  expect(lag.isBehind).toBe(true)
})

test('law: it begins and ends by turns, and nothing is behind between an end and a beginning', () => {
  const look = fc.record({ bytes: fc.nat(3), agoMs: fc.nat(30_000), passedMs: fc.nat(5000) })
  fc.assert(
    fc.property(fc.array(look), (looks) => {
      const lag = new Lag()
      let nowMs = NOW_MS
      let isTold: boolean = false
      for (const { bytes, agoMs, passedMs } of looks) {
        nowMs += passedMs
        const spot = lag.look(nowMs, bytes, nowMs - agoMs)
        const begins: boolean = !isTold && bytes > 0 && agoMs > 10_000
        const ends: boolean = isTold && bytes === 0
        expect(spot?.isOngoing).toBe(begins ? true : undefined)
        expect(spot !== undefined).toBe(begins || ends)
        isTold = (isTold || begins) && !ends
        expect(lag.isBehind).toBe(bytes > 0)
      }
    }),
  )
})
