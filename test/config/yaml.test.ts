import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { readYaml } from '../../agent/config/yaml.ts'
import { complaint } from '../support/complaint.ts'

const Schema = z.strictObject({
  plain: z.string().default('said by nobody'),
  section: z.strictObject({ inner: z.strictObject({ deep: z.int().optional() }).prefault({}) }).prefault({}),
  list: z.array(z.strictObject({ name: z.string() })).default([]),
  named: z.record(z.string(), z.strictObject({ size: z.int() })).default({}),
})

test('a text has what it says, and its places', () => {
  const { value, placeOf } = readYaml('section:\n  inner:\n    deep: 3\nlist:\n- name: x\n', 'f', Schema)
  expect(value).toEqual({
    plain: 'said by nobody',
    section: { inner: { deep: 3 } },
    list: [{ name: 'x' }],
    named: {},
  })
  expect(placeOf(['section', 'inner', 'deep'])).toBe('f:3:5')
  expect(placeOf(['list', 0, 'name'])).toBe('f:5:3')
})

describe('an unknown key is named with its place, and those that there are', () => {
  test.each([
    ['wrong: 1\n', 'f:1:1: wrong: no such key; there are plain, section, list, named'],
    ['section:\n  inner:\n    deeper: 1\n', 'f:3:5: section.inner.deeper: no such key; did you mean deep?'],
    ['list:\n- {name: x, other: 2}\n', 'f:2:13: list.0.other: no such key; there are name'],
    ['named:\n  a: {size: 1, seize: 2}\n', 'f:2:16: named.a.seize: no such key; did you mean size?'],
  ])('%j', (text, said) => {
    expect(complaint(() => readYaml(text, 'f', Schema))).toBe(said)
  })
})

test('what a terminal would obey is not said', () => {
  const said = [
    complaint(() => readYaml('"b\\e[31m\\nad": 1\n', 'f', Schema)),
    complaint(() => readYaml('"\\e[31m": 1\n"\\e[31m": 2\n', 'f', Schema)),
  ]
  expect(said[0]).toBe('f:1:1: b\\u{1b}[31m\\u{a}ad: no such key; there are plain, section, list, named')
  expect(said.join('')).not.toContain('\u001b')
})

test.each([200, 20_000, 200_000])('what is nested %i times is refused in a sentence', (depth) => {
  const text = `list: ${'['.repeat(depth)}${']'.repeat(depth)}`
  expect(complaint(() => readYaml(text, 'f', Schema))).toMatch(/^f(?::1:\d+)?: it is nested too deeply$/)
})
