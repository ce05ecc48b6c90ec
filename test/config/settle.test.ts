import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { settled } from '../../agent/config/settle.ts'
import { complaint } from '../support/complaint.ts'

const set = (text: string, key: string, value: unknown): string =>
  settled(text, 'c.yaml', [{ key: key.split('.'), value }])

test('what people have written stays as it is, but for the value that is set', () => {
  const text = `# Ours
monitor:   30     # seconds

processes:
  # by hand
  required:        # of the web
    - /usr/sbin/nginx   # the first
    - sshd              # the second
    # - redis
outputs: # who hears of it
  webhook:
    url: 'https://a.example/x'  # secret
    min_severity: high
log:   # not yet
# after all
`
  expect(set(text, 'monitor', 60)).toBe(text.replace('30 ', '60 '))
  expect(set(text, 'log', '/var/log/x y')).toBe(text.replace('log:', 'log: "/var/log/x y"'))
  expect(set(text, 'outputs.webhook.url', undefined)).toBe(text.replace(/ +url:.*\n/, ''))
  expect(set(text, 'outputs.webhook.url', 'b')).toBe(text.replace(/'https.*'/, 'b'))
  expect(set(text, 'outputs.syslog.enabled', true)).toBe(
    text.replace('  webhook:', '  syslog:\n    enabled: true\n  webhook:'),
  )
  expect(set(text, 'alerts-per-day', 3)).toBe(`${text}alerts-per-day: 3\n`)
  expect(set(text, 'processes.required', ['sshd', '/opt/x'])).toBe(
    text.replace(/ +- \/usr.*\n/, '').replace('the second\n', 'the second\n    - /opt/x\n'),
  )
  expect(set(text, 'a.b', ['c', 'd'])).toBe(`${text}a:\n  b:\n    - c\n    - d\n`)
})

test.each([
  ['', 'a.b', 1, 'a:\n  b: 1\n'],
  ['# nothing', 'a', [], '# nothing\na: []\n'],
  ['a: {b: 1, c: 2} # x\n', 'a.b', 'yes', 'a: {b: "yes", c: 2} # x\n'],
  ['a:\r\n  b: 1\r\n', 'a.c', 2, 'a:\r\n  c: 2\r\n  b: 1\r\n'],
  ['a: [x, z]\n', 'a', ['z'], 'a: [z]\n'],
  ['a:\n  - x\n', 'a', [], 'a:\n  []\n'],
  ['a: |\n  two\n  lines\nb: 1\n', 'a', 'one', 'a: one\nb: 1\n'],
  ['a: 1\n', 'b', undefined, 'a: 1\n'],
  ['a: {b: 1, c: 2}\n', 'a.b', undefined, 'a: { c: 2 }\n'],
  ['alerts_per_day: 1', 'alerts-per-day', 2, 'alerts_per_day: 2'],
])('%j with %s %j', (text, key, value, expected) => {
  expect(set(text, key, value)).toBe(expected)
})

test('what has no place for it is left alone', () => {
  for (const text of ['a: 3\n', '- a\n'])
    expect(complaint(() => set(text, 'a.b', 1))).toMatch(/c\.yaml: a\.b cannot be set/)
  expect(complaint(() => set('a: [\n', 'a', 1))).toMatch(/^c\.yaml:/)
})

test('hostile words are what they are, and no more', () => {
  const hostile = 'x\u001b]0;a\u0007\u202e\u{e0041}\nmonitor: 1 # "'
  const text = set('log: a\n', 'log', hostile)
  expect(text).toMatch(/^[\x20-\x7e\n]*$/)
  expect(parse(text)).toEqual({ log: hostile })
})

test('whatever is set is read as it was meant, and all else as before', () => {
  const word = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom('yes', '1', '0x1', '~', '- a', 'a: b', '#', '{a', "'", '"', '\n', '/a #b'),
  )
  const value = fc.oneof(word, fc.nat(), fc.boolean(), fc.uniqueArray(word, { maxLength: 3 }))
  const config = fc.record(
    { b: value, s: fc.record({ x: value, y: value }, { requiredKeys: [] }) },
    { requiredKeys: [] },
  )
  const style = fc.record({ indentSeq: fc.boolean(), indent: fc.integer({ min: 1, max: 4 }) })
  fc.assert(
    fc.property(config, value, fc.constantFrom('b', 's.x', 'n.m'), style, (before, wanted, key, options) => {
      const expected: { s?: object; n?: object; b?: unknown } = { ...before }
      if (key === 'b') expected.b = wanted
      if (key === 's.x') expected.s = { ...before.s, x: wanted }
      if (key === 'n.m') expected.n = { m: wanted }
      const after = set(stringify(before, options), key, wanted)
      // What is in a list stays in its order, and what is new comes behind.
      const sorted = (each: unknown): unknown =>
        JSON.parse(JSON.stringify(each), (_, v: unknown) => (Array.isArray(v) ? v.toSorted() : v))
      expect(sorted(parse(after))).toEqual(sorted(expected))
    }),
  )
})
