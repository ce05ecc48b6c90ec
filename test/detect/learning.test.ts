import { describe, expect, test } from 'vitest'
import { learningOf } from '../../agent/detect/learning.ts'
import type { EdgeKind } from '../../agent/domain/edge.ts'
import { type Learned, PARTS } from '../../agent/domain/learning.ts'
import { Chance } from '../fuzz/chance.ts'

const MINUTE_MS = 60_000
const SEEDS = Array.from({ length: 20 }, (_, seed) => seed + 1)

/** Edges that are seen in a minute with chances that are known: those of Zipf, for draws with putting back. */
class Host {
  readonly chances: readonly number[]
  private readonly chance: Chance
  private readonly seen = new Map<number, { first: number; count: number }>()
  private minutes = 0

  constructor(seed: number, { edges, exponent, draws }: { edges: number; exponent: number; draws: number }) {
    this.chance = new Chance(seed)
    const weights = Array.from({ length: edges }, (_, rank) => (rank + 1) ** -exponent)
    const sum = weights.reduce((all, weight) => all + weight, 0)
    this.chances = weights.map((weight) => 1 - (1 - weight / sum) ** draws)
  }

  live(minutes: number): this {
    for (let minute = 0; minute < minutes; minute++, this.minutes++) {
      for (const [edge, chance] of this.chances.entries()) {
        if (this.chance.next() >= chance) continue
        const known = this.seen.get(edge)
        if (known === undefined) this.seen.set(edge, { first: this.minutes, count: 1 })
        else known.count++
      }
    }
    return this
  }

  get learned(): Learned {
    const { minutes } = this
    const all = [...this.seen.values()]
    const curve = new Array<number>(PARTS).fill(0)
    for (const { first } of all) {
      const part = Math.floor((first * PARTS) / minutes)
      curve[part] = (curve[part] ?? 0) + 1
    }
    return {
      ...{ fromMs: 0, toMs: minutes * MINUTE_MS, minutes },
      observations: all.reduce((sum, { count }) => sum + count, 0),
      onceLately: all.filter(({ first, count }) => count === 1 && first >= minutes / 2).length,
      curve: { create: curve },
      lately: [],
    }
  }

  /** The chance that the next observation is of a new edge, as only who made the host can know it. */
  get missing(): number {
    const sum = (all: number, chance: number): number => all + chance
    const unseen = this.chances.filter((_, edge) => !this.seen.has(edge))
    return unseen.reduce(sum, 0) / this.chances.reduce(sum, 0)
  }
}

describe('the chance that the next observation is of a new edge', () => {
  test.each([
    ['a host with a long tail', { edges: 5000, exponent: 1.1, draws: 200 }],
    ['a host whose edges are nearly all seen', { edges: 1000, exponent: 0.8, draws: 100 }],
    ['a host whose edges are all as rare', { edges: 4000, exponent: 0, draws: 50 }],
  ])('is right within a tenth on average, and within half of it for each: %s', (_, options) => {
    const ratios = SEEDS.map((seed) => {
      const host = new Host(seed, options).live(60)
      return learningOf(host.learned).chanceOfNew / host.missing
    })
    const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length
    expect(mean).toBeGreaterThan(0.9)
    expect(mean).toBeLessThan(1.1)
    for (const ratio of ratios) {
      expect(ratio).toBeGreaterThan(0.5)
      expect(ratio).toBeLessThan(1.5)
    }
  })

  test('and new edges to expect in as much time again are about as many as come', () => {
    const pairs = SEEDS.map((seed) => {
      const host = new Host(seed, { edges: 5000, exponent: 1.1, draws: 200 }).live(60)
      const { expected } = learningOf(host.learned)
      expect(expected.inMs).toBe(60 * MINUTE_MS)
      const before = host.learned.curve.create ?? []
      const count = (counts: readonly number[]): number => counts.reduce((sum, each) => sum + each, 0)
      const come = count(host.live(60).learned.curve.create ?? []) - count(before)
      return [expected.edges, come] as const
    })
    for (const [edges, come] of pairs) {
      // New edges become fewer, which is not foreseen here: rather too many are expected.
      expect(edges).toBeGreaterThan(come * 0.9)
      expect(edges).toBeLessThan(come * 2)
    }
  })
})

describe('a training', () => {
  const learned = (
    kinds: Partial<Record<EdgeKind, readonly number[]>>,
    more: Partial<Learned> = {},
  ): Learned => ({
    ...{
      fromMs: 0,
      toMs: 480 * MINUTE_MS,
      minutes: 480,
      observations: 100_000,
      onceLately: 0,
      curve: kinds,
      lately: [],
    },
    ...more,
  })

  test('whose services were only started when it began is enough', () => {
    const started = learned({ exec: [80, 0, 0, 0, 0, 0, 0, 0] })
    expect(learningOf(started)).toMatchObject({ isEnough: true, enoughInMs: 0 })
  })

  test.each<[string, Learned]>([
    ['of four minutes', learned({ exec: [80, 0, 0, 0, 0, 0, 0, 0] }, { minutes: 4 })],
    ['that saw hardly anything', learned({ exec: [1, 0, 0, 0, 0, 0, 0, 0] }, { observations: 100 })],
    ['whose last quarter was full of what is new', learned({ exec: [80, 0, 0, 0, 0, 0, 50, 0] })],
    ['that saw much just once', learned({ exec: [80, 9, 9, 9, 9, 9, 9, 9] }, { onceLately: 60 })],
  ])('%s is not', (_, each) => {
    expect(learningOf(each).isEnough).toBe(false)
  })

  test('that brings as much that is new as ever does not foresee its end', () => {
    const steady = learned({ create: [90, 90, 90, 90, 90, 90, 90, 90] }, { onceLately: 360 })
    expect(learningOf(steady).enoughInMs).toBeUndefined()
  })

  test('foresees its end where new edges become fewer by a law', () => {
    let foreseen = 0
    for (const seed of SEEDS) {
      const host = new Host(seed, { edges: 400, exponent: 0.5, draws: 20 }).live(80)
      const { isEnough, enoughInMs } = learningOf(host.learned)
      if (isEnough || enoughInMs === undefined) continue
      foreseen++
      expect(host.missing).toBeGreaterThan(1 / 2000)
      host.live(Math.ceil(enoughInMs / MINUTE_MS))
      expect(host.missing).toBeLessThan(2 / 1000)
    }
    expect(foreseen).toBeGreaterThan(SEEDS.length / 4)
  })

  test('names those who keep it from being enough, the worst first', () => {
    const from = 'proc::app:/usr/bin/app'
    const lately = [
      { kind: 'create', from, to: 'file:create:/srv/in/one.txt' },
      { kind: 'create', from, to: 'file:create:/srv/in/two.txt' },
      { kind: 'create', from, to: 'file:create:/srv/in/two.php' },
      { kind: 'connect', from, to: 'host:192.0.2.1:443' },
      { kind: 'connect', from, to: 'host:[2001:db8::1]:443' },
      { kind: 'connect', from, to: 'host:api.example.org:443' },
      { kind: 'exec', from, to: 'proc::app:/usr/bin/perl</srv/a/b.pl' },
    ] as const
    expect(
      learningOf(learned({}, { lately })).contributors.map(({ kind, place, edges }) => [kind, place, edges]),
    ).toEqual([
      ['create', '/srv/in/*.txt', 2],
      ['connect', 'address:443', 2],
      ['create', '/srv/in/*.php', 1],
      ['connect', '*:443', 1],
      ['exec', '/usr/bin/*', 1],
    ])
  })
})
