import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Quota } from '../../agent/detect/quota.ts'
import { StateTable } from '../support/state.ts'

const admitted = (quota: Quota, key: string, findings: readonly string[]): string[] =>
  findings.filter((finding) => quota.admits(key, finding))
const numbered = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${name} ${index}`)

describe('a flood', () => {
  test('is cut off after a thousand, and what is more is counted, with its last examples', () => {
    const quota = new Quota()
    const flood = numbered('flood', 1_000_000)
    expect(admitted(quota, 'exec proc::root:/bin/x', flood)).toEqual(flood.slice(0, 1000))
    expect(quota.overflow()).toEqual([
      { key: 'exec proc::root:/bin/x', count: 999_000, examples: flood.slice(-3) },
    ])
  })

  test('hides nothing that comes from elsewhere, before or behind it', () => {
    const quota = new Quota()
    expect(quota.admits('early', 'one')).toBe(true)
    admitted(quota, 'flood', numbered('flood', 5000))
    expect(quota.admits('late', 'two')).toBe(true)
    expect(quota.overflow().map(({ key, count }) => ({ key, count }))).toEqual([
      { key: 'flood', count: 4000 },
    ])
  })

  test('of the same finding is no flood, and what was admitted stays so', () => {
    const quota = new Quota()
    expect(admitted(quota, 'key', new Array<string>(5000).fill('same'))).toHaveLength(5000)
    admitted(quota, 'key', numbered('flood', 5000))
    expect(quota.admits('key', 'same')).toBe(true)
    expect(quota.admits('key', 'flood 998')).toBe(true)
    expect(quota.admits('key', 'flood 999')).toBe(false)
  })

  test('of long names is cut off by its characters', () => {
    const quota = new Quota()
    const long = numbered('x'.repeat(100_000), 1000)
    expect(admitted(quota, 'key', long)).toHaveLength(40)
    const [overflow] = quota.overflow()
    expect(overflow?.count).toBe(960)
    expect(overflow?.examples.map((example) => [example.length, example.endsWith(' 999')])).toEqual([
      [1001, false],
      [1001, false],
      [1001, true],
    ])
  })

  test('from very many places has one share for those that are too many', () => {
    const quota = new Quota({ findings: 10 })
    const places = numbered('place', 5000)
    expect(places.filter((place) => quota.admits(place, `finding of ${place}`))).toEqual(
      places.slice(0, 1010),
    )
    expect(quota.overflow()).toMatchObject([{ key: '', count: 3990 }])
  })

  test('is over with the window', () => {
    const quota = new Quota({ findings: 1 })
    expect(admitted(quota, 'key', ['one', 'two'])).toEqual(['one'])
    quota.clear()
    expect(quota.overflow()).toEqual([])
    expect(admitted(quota, 'key', ['two', 'three'])).toEqual(['two'])
  })
})

test('law: a restart loses nothing of what was counted, and admits no more', () => {
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd'),
    finding: fc.nat({ max: 20 }).map(String),
    then: fc.constantFrom('go on', 'go on', 'go on', 'clear', 'restart'),
  })
  const limits = { findings: 2, keys: 3 }
  fc.assert(
    fc.property(fc.array(step, { size: 'max', maxLength: 60 }), (steps) => {
      const whole = new Quota(limits)
      let cut = new Quota(limits)
      const table = new StateTable('quota')
      let findings: { key: string; finding: string }[] = []
      for (const { key, finding, then } of steps) {
        const isAdmitted = whole.admits(key, finding)
        expect(cut.admits(key, finding)).toBe(isAdmitted)
        if (isAdmitted && !findings.some((each) => each.finding === finding)) findings.push({ key, finding })
        if (then === 'clear') {
          whole.clear()
          cut.clear()
          findings = []
        }
        if (then !== 'restart') continue
        cut.drain(table)
        cut = new Quota(limits)
        // The order is the one in which the keys came first.
        for (const each of findings) cut.admits(each.key, each.finding)
        cut.restore(table.entries())
      }
      expect(cut.overflow()).toEqual(whole.overflow())
    }),
    {
      numRuns: 1000,
      examples: [
        [
          // A key that brought too much, was cleared, and came again without bringing too much.
          [
            ...['a0', 'a1'],
            'a2 clear',
            'a0 restart',
            'a0 clear',
            ...['b0', 'd1', 'c2'],
            'a3 restart',
            'a4',
            'a5',
          ].map((text) => ({ key: text[0] ?? '', finding: text[1] ?? '', then: text.slice(3) })),
        ],
      ],
    },
  )
})
