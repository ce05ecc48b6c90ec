import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { StateWriter } from '../../agent/domain/state.ts'
import { WaitingShapes } from '../../agent/graph/waiting.ts'
import { StateTable } from '../support/state.ts'

/** What is remembered, said the slow way: a list of generations, of which the last two count. */
class Obvious {
  forgotten = 0
  private readonly generations = [new Map<string, string[]>()]

  add(key: string, sample: string, most: number): string[] {
    const newest = [...(this.generations.at(-1) ?? [])]
    if (newest.reduce((sum, [name, texts]) => sum + 200 + [name, ...texts].join('').length, 0) >= most) {
      const [older, newer] = this.generations.slice(-2)
      if (newer !== undefined) this.forgotten += older?.size ?? 0
      this.generations.push(new Map())
    }
    const samples = this.take(key)
    const now = samples.includes(sample) ? samples : [...samples, sample].slice(-8)
    this.generations.at(-1)?.set(key, now)
    return now
  }

  take(key: string): string[] {
    for (const generation of this.generations.slice(-2).reverse()) {
      const samples = generation.get(key)
      generation.delete(key)
      if (samples !== undefined) return samples
    }
    return []
  }
}

/** Room for three shapes or four. */
const FEW = 700
const KEY = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'é')
const SAMPLE = fc.oneof(
  fc.nat({ max: 12 }).map(String),
  fc.nat({ max: 3 }).map((n) => `${n}`.padEnd(40, 'x')),
)
const STEPS = fc.array(
  fc.record({ key: KEY, sample: SAMPLE, then: fc.constantFrom('go on', 'go on', 'drain', 'restart') }),
  { maxLength: 120, size: 'max' },
)

describe('law: whatever comes, and wherever it is cut', () => {
  test('the last two generations are remembered', () => {
    let forgotten = 0
    fc.assert(
      fc.property(STEPS, (steps) => {
        const shapes = new WaitingShapes(false, FEW)
        const obvious = new Obvious()
        for (const { key, sample } of steps)
          expect(shapes.add(key, sample)).toEqual(obvious.add(key, sample, FEW))
        expect(shapes.forgotten).toBe(obvious.forgotten)
        forgotten += shapes.forgotten
      }),
    )
    expect(forgotten).toBeGreaterThan(100)
  })

  test('a restart changes nothing', () => {
    fc.assert(
      fc.property(STEPS, (steps) => {
        const whole = new WaitingShapes(false, FEW)
        let cut = new WaitingShapes(true, FEW)
        let forgotten = 0
        const table = new StateTable('sample')
        for (const { key, sample, then } of steps) {
          expect(cut.add(key, sample)).toEqual(whole.add(key, sample))
          if (then === 'go on') continue
          cut.drain(table)
          if (then === 'drain') continue
          forgotten += cut.forgotten
          cut = new WaitingShapes(true, FEW)
          cut.restore(table.entries())
        }
        expect(forgotten + cut.forgotten).toBe(whole.forgotten)
      }),
    )
  })

  test('the table holds what is remembered and no more', () => {
    fc.assert(
      fc.property(STEPS, (steps) => {
        const shapes = new WaitingShapes(true, FEW)
        const table = new StateTable('sample')
        for (const { key, sample, then } of steps) {
          shapes.add(key, sample)
          if (then !== 'go on') shapes.drain(table)
        }
        shapes.drain(table)
        expect(new Set(steps.map(({ key }) => key)).size).toBe(table.entries().length + goneOf(steps))
      }),
    )
  })
})

/** How many of the keys that came are remembered no more. */
function goneOf(steps: readonly { key: string; sample: string }[]): number {
  const obvious = new Obvious()
  for (const { key, sample } of steps) obvious.add(key, sample, FEW)
  const keys = new Set(steps.map(({ key }) => key))
  return [...keys].filter((key) => obvious.take(key).length === 0).length
}

describe('what is drained', () => {
  /** Counts what is written into a table. */
  const counting = (table: StateTable): StateWriter & { writes: number } => ({
    writes: 0,
    put(kind, key, value) {
      this.writes++
      table.put(kind, key, value)
    },
    remove(kind, key) {
      this.writes++
      table.remove(kind, key)
    },
  })

  test('is only what has changed since', () => {
    const shapes = new WaitingShapes(true)
    const writer = counting(new StateTable('sample'))
    for (let index = 0; index < 100; index++) shapes.add(`key ${index}`, '1')
    shapes.drain(writer)
    expect(writer.writes).toBe(100)
    shapes.drain(writer)
    expect(writer.writes).toBe(100)
    shapes.add('key 1', '1')
    shapes.drain(writer)
    expect(writer.writes).toBe(100)
    shapes.add('key 1', '2')
    shapes.drain(writer)
    expect(writer.writes).toBe(101)
  })

  test('is nothing where nobody asked for it', () => {
    const shapes = new WaitingShapes(false)
    const writer = counting(new StateTable('sample'))
    shapes.add('key', '1')
    shapes.drain(writer)
    expect(writer.writes).toBe(0)
  })
})
