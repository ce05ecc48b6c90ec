import { spawnSync } from 'node:child_process'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyGlob, globExpression } from '../../agent/support/glob.ts'

const bashSays = (glob: string, text: string): boolean =>
  spawnSync('bash', ['-c', `[[ $1 == ${glob} ]]`, 'bash', text]).status === 0

test.each([
  ['/usr/*/env', '/usr/bin/env', true],
  ['/usr/*', '/usr/bin/env', false],
  ['/usr/**', '/usr/bin/env', true],
  ['/usr/**', '/usr', false],
  ['/srv/**/x.log', '/srv/x.log', true],
  ['/srv/**/x.log', '/srv/a/b/x.log', true],
  ['/srv/**/x.log', '/srv/a/b/yx.log', false],
  ['/srv/a**/x', '/srv/x', false],
  ['/srv/a**/x', '/srv/ab/c/x', true],
  ['**/x', 'x', true],
  ['**', '/any/thing\nat all', true],
  ['/a.c', '/abc', false],
  ['/*/.hidden', '/a/.hidden', true],
  ['/tmp/{a,b*}/c', '/tmp/bcd/c', true],
  ['/tmp/{a,b*}/c', '/tmp/cd/c', false],
  ['/tmp/a\\*', '/tmp/a*', true],
  ['/tmp/a\\*', '/tmp/ab', false],
  ['/tmp/[', '/tmp/[', true],
  ['/tmp/}', '/tmp/}', true],
  ['/tmp/a,b', '/tmp/a,b', true],
  ['nginx', 'nginx2', false],
])('%s and %s: %s', (glob, text, isMatch) => {
  expect(globExpression(glob).test(text)).toBe(isMatch)
  expect(anyGlob(['/never', glob])(text)).toBe(isMatch)
})

test.each(['[a-c]', '[!a-c]', '[]x]', '[!]x]', '[^x]', 'a?c', '*b', '[a-]'])('%s as bash has it', (glob) => {
  const words = ['a', 'b', 'd', ']', '^', '-', 'x', 'abc', 'a\nc', 'ab', '']
  const ours = words.filter((word) => globExpression(glob).test(word))
  expect(ours).toEqual(words.filter((word) => bashSays(glob, word)))
})

test('what has no wildcard matches itself and nothing else', () => {
  const plain = fc.string({ unit: fc.constantFrom('/', 'a', '.', '+', '(', '|', '$', '^', ' ', '-', '\n') })
  fc.assert(fc.property(plain, plain, (one, other) => globExpression(one).test(other) === (one === other)))
})

test('what makes no sense is an error', () => {
  expect(() => globExpression('[z-a]')).toThrow(SyntaxError)
  expect(() => globExpression('/tmp/{a,b')).toThrow(SyntaxError)
})

/** The same as an expression, which tries one way after the other. */
function expressionOf(glob: string): RegExp {
  const text = glob
    .replace(/[.]/g, '\\.')
    .replace(/(?<=^|\/)\*\*\//g, '\u0001')
    .replaceAll('**', '\u0002')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]')
    .replaceAll('\u0001', '(?:.*/)?')
    .replaceAll('\u0002', '.*')
    .replaceAll('{', '(?:')
    .replaceAll(',', '|')
    .replaceAll('}', ')')
  return new RegExp(`^${text}$`, 's')
}

test('law: in all ways at once it is the same as in one after the other', () => {
  const part = fc.constantFrom('a', 'b', '.', '/', '*', '?', '**/', '/**/', '{a,*b}', '{,/a}', '{**,x}')
  // Three stars and more are none of ours to explain.
  const glob = fc
    .array(part, { maxLength: 7 })
    .map((parts) => parts.join(''))
    .filter((text) => !text.includes('***'))
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'x', '.', '/'), maxLength: 9 })
  fc.assert(
    fc.property(glob, text, (one, other) => {
      expect(globExpression(one).test(other)).toBe(expressionOf(one).test(other))
    }),
    { numRuns: 3000 },
  )
})

test.each([
  ['java *-Dapp=*-Dname=*-jar *.jar'.replaceAll('*', '**'), `java ${'-Dapp=-Dname=-jar '.repeat(250)}`],
  ['**/a/**/b/**/c/**/*.so', `${'/a/b/c'.repeat(700)}/x`],
])('nobody chooses a text that takes long: %s', (glob, text) => {
  expect(globExpression(glob).test(text)).toBe(false)
})
