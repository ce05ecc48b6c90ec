import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { extremesOf, namesAllowedBy, variablePartsOf } from '../../agent/graph/allowed.ts'

const PIECE = fc.constantFrom(
  ...['/srv', '/', 'a', String.raw`\.`, String.raw`\+`, String.raw`\d+`, String.raw`\d{4}`, '[0-9a-f]{8}'],
  ...['[A-Za-z0-9_]{6}', '(?![a-z_]{8})[a-z0-9_]{8}'],
)
const EXPRESSION = fc.array(PIECE, { minLength: 1, maxLength: 8 }).map((pieces) => pieces.join(''))

describe('names that a pattern allows', () => {
  test('law: are allowed by it', () => {
    fc.assert(
      fc.property(EXPRESSION, (expression) => {
        const regex = new RegExp(`^${expression}$`)
        for (const name of [...namesAllowedBy(expression, 5), ...extremesOf(expression)])
          expect(name).toMatch(regex)
        expect(extremesOf(expression).length).toBeGreaterThan(0)
      }),
    )
  })

  test('are as many as were asked for, all different, and the same every time', () => {
    const expression = String.raw`/srv/[0-9a-f]{32}\.bin`
    const names = namesAllowedBy(expression, 5)
    expect(new Set(names).size).toBe(5)
    expect(namesAllowedBy(expression, 5)).toEqual(names)
    expect(namesAllowedBy('/srv/x', 5)).toEqual(['/srv/x'])
  })

  test('at the edges tell whether one pattern allows all that another does', () => {
    const isWithin = (one: string, other: string): boolean =>
      extremesOf(one).every((name) => new RegExp(`^${other}$`).test(name))
    for (const [narrow, wide] of [
      [String.raw`/a1\d+`, String.raw`/a\d+`],
      ['/[0-9a-f]{8}', '/[a-z0-9_]{8}'],
      ['/x[a-z0-9_]{6}', '/[a-z0-9_]{7}'],
      [String.raw`/\d{4}`, String.raw`/\d+`],
      ['/(?![a-z_]{8})[a-z0-9_]{8}', '/[a-z0-9_]{8}'],
    ] as const) {
      expect(isWithin(narrow, wide)).toBe(true)
      expect(isWithin(wide, narrow)).toBe(false)
    }
  })
})

test('what changes is said in words', () => {
  expect(variablePartsOf(String.raw`/a\.1/\d+/\d{4}-\d{2}/[0-9a-f]{32}`)).toEqual([
    'any number',
    '4 digits',
    '2 digits',
    '32 of 0-9a-f',
  ])
  expect(variablePartsOf('/a')).toEqual([])
})
