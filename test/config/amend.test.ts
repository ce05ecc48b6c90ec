import * as fc from 'fast-check'
import { parse, stringify } from 'yaml'
import { expect, test } from 'vitest'
import { amended } from '../../agent/config/amend.ts'
import { complaint } from '../support/complaint.ts'

const PATHS = ['allowlist', 'paths']
const add = (text: string, value: unknown = '/opt/new', key: readonly string[] = PATHS): string =>
  amended(text, 'c.yaml', [{ key, value }])

test('what people have written stays as it is, but for the line that is added', () => {
  const text = `# Ours
monitor:   30     # seconds

allowlist:
  # who else
  names: [ 'a', "b" ]   # two


  paths:            # by hand
    - /opt/one      # first
    - "/opt/two"
    # the end
  sha256: []
# after all
`
  expect(add(text)).toBe(text.replace('"/opt/two"\n', '"/opt/two"\n    - /opt/new\n'))
  expect(add(text, 'c', ['allowlist', 'names'])).toBe(text.replace('"b" ]', '"b", c ]'))
  expect(add(text, '00', ['allowlist', 'sha256'])).toBe(text.replace('[]', '["00"]'))
  expect(add(text, 'bob', ['allowlist', 'users'])).toBe(
    text.replace('  # who else\n  names', '  # who else\n  users:\n    - bob\n  names'),
  )
  expect(add(text, '/srv', ['rules', 'skip', 'paths'])).toBe(
    `${text}rules:\n  skip:\n    paths:\n      - /srv\n`,
  )
})

test.each([
  ['', 'allowlist:\n  paths:\n    - /opt/new\n'],
  ['# nothing yet', '# nothing yet\nallowlist:\n  paths:\n    - /opt/new\n'],
  ['monitor: 3', 'monitor: 3\nallowlist:\n  paths:\n    - /opt/new\n'],
  ['allowlist: # soon\nmonitor: 3\n', 'allowlist: # soon\n  paths:\n    - /opt/new\nmonitor: 3\n'],
  ['allowlist:\n  paths:\nmonitor: 3\n', 'allowlist:\n  paths:\n    - /opt/new\nmonitor: 3\n'],
  ['allowlist:\n  paths:\n  - /a\nmonitor: 3\n', 'allowlist:\n  paths:\n  - /a\n  - /opt/new\nmonitor: 3\n'],
  ['allowlist:\n    paths:\n        - /a', 'allowlist:\n    paths:\n        - /a\n        - /opt/new\n'],
  ['allowlist:\r\n  paths:\r\n    - /a\r\n', 'allowlist:\r\n  paths:\r\n    - /a\r\n    - /opt/new\r\n'],
  [
    'allowlist:\n  paths: [\n    /a, # x\n    /b # y\n  ]\n',
    'allowlist:\n  paths: [\n    /a, # x\n    /b, /opt/new # y\n  ]\n',
  ],
  ['allowlist: {paths: []} # x\n', 'allowlist: {paths: [/opt/new]} # x\n'],
  ['monitor: 3\nallowlist: ~\n', 'monitor: 3\nallowlist:\n  paths:\n    - /opt/new\n'],
  ['{}\n', '{ allowlist: { paths: [ /opt/new ] } }\n'],
])('%j', (text, expected) => {
  expect(add(text)).toBe(expected)
})

test('a key is the same with dashes and with underscores', () => {
  expect(add('a_b:\n  c-d:\n    - x\n', 'z', ['a-b', 'c_d'])).toBe('a_b:\n  c-d:\n    - x\n    - z\n')
})

test('what stands there is not added again', () => {
  const once = add('allowlist:\n  paths: [/a]\n')
  expect(add(once)).toBe(once)
  const value = { user: 'app', exe: '/opt/x' }
  const expected = add('', value, ['processes', 'expected'])
  expect(parse(expected)).toEqual({ processes: { expected: [{ exe: '/opt/x', user: 'app' }] } })
  expect(add(expected, { exe: '/opt/x', user: 'app' }, ['processes', 'expected'])).toBe(expected)
})

test('what has no place for a list is left alone', () => {
  for (const text of ['allowlist: 3\n', 'allowlist:\n  paths: /a\n', '- a\n'])
    expect(complaint(() => add(text))).toMatch(/c\.yaml: allowlist\.paths cannot be added to/)
  expect(complaint(() => add('a: [\n'))).toMatch(/^c\.yaml:/)
})

test('whatever is added is read as it was meant, and all else as before', () => {
  const word = fc.oneof(
    fc.string({ unit: 'grapheme', minLength: 1 }),
    fc.constantFrom('yes', '1', '0x1', '~', '- a', 'a: b', '#', '{a', "'", '"', '\n', '/a #b'),
  )
  const list = fc.array(word, { maxLength: 3 })
  const config = fc.record(
    { monitor: fc.nat(), allowlist: fc.record({ names: list, paths: list }, { requiredKeys: [] }) },
    { requiredKeys: [] },
  )
  const style = fc.record({ indentSeq: fc.boolean(), indent: fc.integer({ min: 1, max: 4 }) })
  fc.assert(
    fc.property(config, word, style, (before, value, options) => {
      const after = parse(add(stringify(before, options), value)) as typeof before
      const paths = before.allowlist?.paths ?? []
      expect(after).toEqual({
        ...before,
        allowlist: { ...before.allowlist, paths: paths.includes(value) ? paths : [...paths, value] },
      })
    }),
  )
})
