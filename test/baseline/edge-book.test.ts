import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { EdgeBook, type EdgeStats } from '../../agent/baseline/edge-book.ts'
import type { Edge } from '../../agent/domain/edge.ts'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
const NOON_MS = Date.parse('2026-11-20T12:00:00Z')

const ROW = { from: 1, to: 2, firstMs: NOON_MS, lastMs: NOON_MS }

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

/** A store, and a book over it that writes what it hands out as the baseline does. */
function bookOver(stored: Map<string, EdgeStats>, mostCharacters = 1e9) {
  const book = new EdgeBook(
    {
      find: (edge) => {
        const row = stored.get(textOf(edge))
        return row && { ...ROW, firstMs: row.firstMs, lastMs: row.lastMs }
      },
    },
    mostCharacters,
  )
  const drain = (): void =>
    book.drain(({ edge, ...more }) => {
      const row = stored.get(textOf(edge)) ?? { ...more, sightings: 0, days: 0, windows: 0 }
      stored.set(textOf(edge), {
        firstMs: Math.min(row.firstMs, more.firstMs),
        lastMs: Math.max(row.lastMs, more.lastMs),
        sightings: row.sightings + more.sightings,
        days: row.days + more.days,
        windows: row.windows + more.windows,
      })
    })
  return { book, drain }
}

test('law: what it hands out adds up to every sighting, however often it forgets', () => {
  fc.assert(
    fc.property(
      fc.array(STEP, { maxLength: 60 }),
      fc.constantFrom(0, 300, 1000, 1e9),
      (steps, mostCharacters) => {
        const stored = new Map<string, EdgeStats>()
        const truth = new Map<string, number[]>()
        const { book, drain } = bookOver(stored, mostCharacters)
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
        const spansOf = (times: readonly number[], spanMs: number): number =>
          new Set(times.map((time) => Math.floor(time / spanMs))).size
        expect([...stored.keys()].sort()).toEqual([...truth.keys()].sort())
        for (const [key, times] of truth)
          expect(stored.get(key)).toMatchObject({
            ...{ firstMs: Math.min(...times), lastMs: Math.max(...times), sightings: times.length },
            ...{ days: spansOf(times, DAY_MS), windows: spansOf(times, MINUTE_MS) },
          })
      },
    ),
  )
})

test('law: wherever stamps jump, it hands out the same in sum, however often it is asked', () => {
  const [edge] = EDGES
  if (edge === undefined) return
  const jumps = fc.array(fc.tuple(fc.integer({ min: -3 * DAY_MS, max: 3 * DAY_MS }), fc.boolean()))
  fc.assert(
    fc.property(jumps, (steps) => {
      const [once, often] = [new Map<string, EdgeStats>(), new Map<string, EdgeStats>()]
      const books = { once: bookOver(once), often: bookOver(often, 0) }
      let nowMs = NOON_MS
      for (const [afterMs, isAsked] of steps) {
        nowMs += afterMs
        books.once.book.learn(edge, nowMs)
        books.often.book.learn(edge, nowMs)
        if (isAsked) books.often.drain()
      }
      books.once.drain()
      books.often.drain()
      expect(often).toEqual(once)
    }),
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
