import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { boundedArgv } from '../../agent/detect/evidence.ts'

const MOST = 16_384

describe('arguments as evidence', () => {
  test('are left alone when they are few', () => {
    const argv = ['sh', '-c', 'x'.repeat(16_000)]
    expect(boundedArgv(argv)).toBe(argv)
    expect(boundedArgv([])).toEqual([])
  })

  test('are cut where 2 MiB come in one', () => {
    const [first, cut, rest, ...others] = boundedArgv(['sh', 'x'.repeat(2_097_152)])
    expect([first, cut, rest, others]).toEqual([
      'sh',
      'x'.repeat(MOST - 5),
      `… (${2_097_152 - MOST + 5} more characters in 1 argument)`,
      [],
    ])
  })

  test('are left out where they are many', () => {
    const argv = ['rm', ...Array.from({ length: 100_000 }, (_, index) => `file${index}`)]
    const bounded = boundedArgv(argv)
    expect(bounded.slice(0, 1000)).toEqual(argv.slice(0, 1000))
    expect(bounded.at(-1)).toMatch(/^… \(\d+ more characters in \d+ arguments\)$/)
    expect(boundedArgv(new Array<string>(65_536).fill('')).at(-1)).toBe(
      '… (0 more characters in 60075 arguments)',
    )
  })

  test('law: they take little room, begin as they did, and are added up', () => {
    const word = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.nat({ max: 20_000 }).map((count) => '😀'.repeat(count)),
      fc.nat({ max: 20_000 }).map((count) => 'x'.repeat(count)),
    )
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (argv) => {
        const bounded = boundedArgv(argv)
        expect(JSON.stringify(bounded).length).toBeLessThan(2 * MOST + 100)
        const said = /^… \((\d+) more characters in (\d+) arguments?\)$/.exec(bounded.at(-1) ?? '')
        if (said === null) expect(bounded).toBe(argv)
        else {
          const kept = bounded.slice(0, -1)
          expect(kept.every((text) => text.isWellFormed())).toBe(true)
          expect(argv.join('').startsWith(kept.join(''))).toBe(true)
          expect(kept.join('').length + Number(said[1])).toBe(argv.join('').length)
          const isWhole = kept.length + Number(said[2]) === argv.length
          expect(isWhole || kept.length + Number(said[2]) === argv.length + 1).toBe(true)
        }
      }),
    )
  })
})
