import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { EdgeBook, type EdgeStats } from '../../agent/baseline/edge-book.ts'
import type { Edge } from '../../agent/domain/edge.ts'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
const NOON_MS = Date.parse('2026-11-20T12:00:00Z')

const ROW = { from: 1, to: 2 }

/** Names that a careless key would mix up. */
const EDGES: readonly Edge[] = [
  { kind: 'exec', from: 'a', to: 'b' },
  { kind: 'exec', from: 'a', to: 'b c' },
  { kind: 'exec', from: 'a b', to: 'c' },
  { kind: 'trace', from: 'a', to: 'b' },
  { kind: 'write', from: 'a', to: 'exec b' },
  { kind: 'write', from: '__proto__', to: 'constructor' },
]
const textOf = ({ kind, from, to }: Edge): string => JSON.stringify([kind, from, to])

type Step =
  | { readonly do: 'learn' | 'see'; readonly edge: number; readonly afterMs: number }
  | { readonly do: 'drain' | 'forget' }

const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('learn' as const), edge: fc.nat(5), afterMs: fc.nat(DAY_MS) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('see' as const), edge: fc.nat(5), afterMs: fc.nat(DAY_MS) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drain' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget' as const) }) },
)

test('law: what it hands out adds up to every sighting, however often it forgets', () => {
  fc.assert(
    fc.property(
      fc.array(STEP, { maxLength: 60 }),
      fc.constantFrom(0, 300, 1000, 1e9),
      (steps, mostCharacters) => {
        const stored = new Map<string, EdgeStats[]>()
        const truth = new Map<string, number[]>()
        const book = new EdgeBook(
          { find: (edge) => (stored.has(textOf(edge)) ? ROW : undefined) },
          mostCharacters,
        )
        const drain = (): void =>
          book.drain(({ edge, firstMs, lastMs, sightings, days, windows }) => {
            const batches = stored.get(textOf(edge)) ?? []
            stored.set(textOf(edge), [...batches, { firstMs, lastMs, sightings, days, windows }])
          })
        let nowMs = NOON_MS
        for (const step of steps) {
          if (!('edge' in step)) {
            drain()
            if (step.do === 'forget') book.forget()
            continue
          }
          nowMs += step.afterMs
          const edge = EDGES[step.edge]
          if (edge === undefined) continue
          const times = truth.get(textOf(edge))
          if (step.do === 'learn') expect(book.learn(edge, nowMs)).toBe(times === undefined)
          else {
            const known = book.find(edge)
            expect(known !== undefined).toBe(times !== undefined)
            if (known !== undefined) book.count(known, nowMs)
          }
          if (step.do === 'learn' || times !== undefined) truth.set(textOf(edge), [...(times ?? []), nowMs])
        }
        drain()
        drain()
        expect([...stored.keys()].sort()).toEqual([...truth.keys()].sort())
        for (const [key, times] of truth) {
          const batches = stored.get(key) ?? []
          expect(Math.min(...batches.map(({ firstMs }) => firstMs))).toBe(Math.min(...times))
          expect(Math.max(...batches.map(({ lastMs }) => lastMs))).toBe(Math.max(...times))
          expect(batches.reduce((sum, { sightings }) => sum + sightings, 0)).toBe(times.length)
          // The days of each batch are those between its first and its last sighting on which there was one.
          for (const { firstMs, lastMs, days, windows } of batches) {
            const within = times.filter((time) => time >= firstMs && time <= lastMs)
            expect(days).toBe(new Set(within.map((time) => Math.floor(time / DAY_MS))).size)
            expect(windows).toBe(new Set(within.map((time) => Math.floor(time / MINUTE_MS))).size)
          }
        }
      },
    ),
  )
})

test('a late sighting moves the first time back, and adds its day', () => {
  const [edge] = EDGES
  if (edge === undefined) return
  const book = new EdgeBook({ find: () => undefined })
  for (const timeMs of [NOON_MS, NOON_MS - DAY_MS, NOON_MS - 10]) book.learn(edge, timeMs)
  const handed: EdgeStats[] = []
  book.drain(({ firstMs, lastMs, sightings, days, windows }) => {
    handed.push({ firstMs, lastMs, sightings, days, windows })
  })
  expect(handed).toEqual([{ firstMs: NOON_MS - DAY_MS, lastMs: NOON_MS, sightings: 3, days: 2, windows: 2 }])
})

test.each([
  { mostCharacters: 100, asked: 3 },
  { mostCharacters: 1e6, asked: 1 },
])('with room for $mostCharacters characters it asks the store $asked times', ({ mostCharacters, asked }) => {
  let times = 0
  const book = new EdgeBook({ find: () => (++times > 0 ? ROW : undefined) }, mostCharacters)
  for (let batch = 0; batch < 3; batch++) {
    book.find({ kind: 'exec', from: 'a', to: 'b' })
    book.find({ kind: 'exec', from: 'a', to: 'b' })
    book.drain(() => undefined)
  }
  expect(times).toBe(asked)
})

test('what is forgotten before it was handed out is never handed out', () => {
  const [edge] = EDGES
  if (edge === undefined) return
  const book = new EdgeBook({ find: () => undefined })
  book.learn(edge, NOON_MS)
  book.forget()
  let handed = 0
  book.drain(() => handed++)
  expect(handed).toBe(0)
  expect(book.learn(edge, NOON_MS)).toBe(true)
})
