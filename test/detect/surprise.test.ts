import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Source, surpriseOf } from '../../agent/detect/surprise.ts'
import type { EdgeKind } from '../../agent/domain/edge.ts'

const source = (count: number, once: Partial<Record<EdgeKind, number>> = {}): Source => ({
  minutes: { count, once: new Map(Object.entries(once) as [EdgeKind, number][]) },
  days: undefined,
})

test.each([
  ['a process that was never seen tosses a coin', source(0), 0, 1],
  ['one that made no new edge in 1023 observations: half an edge in 1024', source(1023), 0, 11],
  ['one whose every observation was new says next to nothing', source(1000, { exec: 1000 }), 0, 0.0007],
  [
    'edges of another kind that were seen once say nothing of this one',
    source(1023, { connect: 500 }),
    0,
    11,
  ],
  ['a target that three others reach is half as surprising', source(1023), 3, 5.5],
])('%s', (_, of, reach, bits) => {
  expect(surpriseOf('exec', of, reach)).toBeCloseTo(bits, 3)
})

test('a process that does a new thing each day, all day long, is not surprising when it does another', () => {
  const minutes = { count: 30 * 1440, once: new Map<EdgeKind, number>() }
  const days = { count: 30, once: new Map<EdgeKind, number>([['create', 30]]) }
  expect(surpriseOf('create', { minutes, days: undefined }, 0)).toBeGreaterThan(16)
  expect(surpriseOf('create', { minutes, days }, 0)).toBeLessThan(0.1)
})

test('surprise is never negative, grows with what was observed, and shrinks with what is new all the time', () => {
  const observed = fc
    .record({ count: fc.integer({ min: 0, max: 1e7 }), share: fc.double({ min: 0, max: 1, noNaN: true }) })
    .map(({ count, share }) => ({ count, once: Math.floor(count * share) }))
  fc.assert(
    fc.property(
      observed,
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 0, max: 64 }),
      (each, more, reach) => {
        const { count, once } = each
        const bits = surpriseOf('write', source(count, { write: once }), reach)
        expect(bits).toBeGreaterThanOrEqual(0)
        expect(surpriseOf('write', source(count + more, { write: once }), reach)).toBeGreaterThan(bits)
        expect(surpriseOf('write', source(count + more, { write: once + more }), reach)).toBeLessThanOrEqual(
          bits,
        )
        expect(surpriseOf('write', source(count, { write: once }), reach + 1)).toBeLessThanOrEqual(bits)
      },
    ),
  )
})
