import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Expression } from '../../agent/support/expression.ts'

/** Expressions over few letters, so that they match now and then. */
const source = fc.letrec<{ part: string; all: string }>((tie) => ({
  part: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(
      'a',
      'b',
      'k',
      'ab',
      '.',
      '[ab]',
      '[^a]',
      '\\d',
      '\\w',
      '^',
      '$',
      '\\b',
      'é',
      '\\.',
      '😀',
    ),
    fc
      .tuple(tie('all'), fc.constantFrom('', '*', '+', '?', '{2}', '{1,3}', '{0,}', '*?'))
      .map(([all, sign]) => `(?:${all})${sign}`),
    fc.tuple(tie('all'), tie('all')).map(([one, other]) => `(${one}|${other})`),
  ),
  all: fc.array(tie('part'), { maxLength: 4 }).map((parts) => parts.join('')),
})).all
const text = fc.string({
  unit: fc.constantFrom('a', 'A', 'b', 'k', '\u212a', '1', ' ', '.', '\n', 'é', '😀'),
  maxLength: 12,
})

test('an expression matches what that of JavaScript does', () => {
  fc.assert(
    fc.property(source, text, fc.boolean(), (expression, said, isAnyCase) => {
      const ours = new Expression(isAnyCase ? `(?i)${expression}` : expression)
      expect(ours.test(said)).toBe(new RegExp(expression, isAnyCase ? 'isu' : 'su').test(said))
    }),
    { numRuns: 3000 },
  )
})

test('capitals are small letters when it says so', () => {
  expect(new Expression('(?i)^BASH').test('bash -i')).toBe(true)
  expect(new Expression('^BASH').test('bash -i')).toBe(false)
})

describe('what JavaScript would take years for', () => {
  test.each(['(a+)+$', '(a|aa)+$', '(.*)*x', '^(?:a?){50}a{50}$', '.*.*.*.*.*y'])(
    '%s is done at once',
    (bad) => {
      expect(new Expression(bad).test(`${'a'.repeat(10_000)}b`)).toBe(false)
    },
  )
})

describe('what is not understood is refused', () => {
  test.each([
    ['(?=a)', 'looking ahead or behind, and names of groups, are not understood, at character 2'],
    ['(a)\\1', '\\1 is not understood here, at character 4'],
    ['a)', 'a ) without its (, at character 2'],
    ['(a', 'a ( without its ), at character 3'],
    ['*a', '*a is not understood here, at character 1'],
    ['a{999}', 'expected at most 256 repetitions, the smaller number first, at character 7'],
    ['((a{200}){200}){200}', 'the expression stands for too much'],
    ['[b-a]', 'Invalid regular expression: /^(?:[b-a])$/su: Range out of order in character class'],
  ])('%s', (bad, said) => {
    expect(() => new Expression(bad)).toThrow(new SyntaxError(said))
  })
})
