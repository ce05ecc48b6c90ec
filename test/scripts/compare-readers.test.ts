import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { compare, judge, outdated } from '../../scripts/compare-readers.ts'
import { GROUPS, type InputClass, type Said } from '../../scripts/input-classes.ts'
import { ausearch, fullmon, laurel, NOT_SHOWN, type ReadEvent } from '../../scripts/reader-tools.ts'

const DOCUMENT = readFileSync(join(import.meta.dirname, '../../docs/inputs.md'), 'utf8')

describe('docs/inputs.md', () => {
  test('says what fullmon makes of each input now', () => {
    expect(outdated(DOCUMENT, fullmon())).toEqual([])
  })

  test.each([laurel('laurel'), ausearch()])('says what $name makes of it', (reader) => {
    if (reader.version === undefined || !DOCUMENT.includes(`${reader.name} ${reader.version}`)) {
      process.stderr.write(
        `compare-readers.test.ts: ${reader.name} left out: not installed in that version\n`,
      )
      return
    }
    expect(outdated(DOCUMENT, reader)).toEqual([])
  })

  test.each(GROUPS.flatMap(({ classes }) => classes))('who reads nothing is wrong: $name', (input) => {
    expect(judge(input, { name: 'nobody', version: '0', read: () => [] }).kind).toBe('wrong')
  })
})

describe('a reading', () => {
  const input = (said: Said, orElse?: Said): InputClass => ({
    ...{ name: '', right: '', logs: [] },
    events: [
      {
        serial: 6,
        timeMs: 1000,
        types: ['SYSCALL', 'CWD'],
        said,
        ...(orElse === undefined ? {} : { orElse }),
      },
    ],
  })
  const read = (
    shown: ReadEvent['shown'],
    types: readonly string[] = ['CWD', 'SYSCALL', 'EOE'],
  ): ReadEvent => ({
    ...{ serial: 6, timeMs: 1000, types, shown },
  })

  test.each<readonly [string, InputClass, readonly ReadEvent[], string]>([
    ['all of it', input({ pid: 1, argv: ['a'] }), [read({ pid: 1, argv: ['a'], uid: 7 })], 'right '],
    ['nothing', input({}), [], 'wrong event lost'],
    [
      'an event at another time',
      input({}),
      [{ ...read({}), timeMs: 1001 }],
      'wrong takes CWD, SYSCALL, EOE for a record',
    ],
    ['an event twice', input({}), [read({}), read({})], 'wrong one event is 2'],
    [
      'an event more',
      input({}),
      [read({}), { ...read({}, ['USER_LOGIN']), serial: 7 }],
      'wrong takes USER_LOGIN for a record',
    ],
    ['a record less', input({}), [read({}, ['SYSCALL'])], 'wrong CWD lost'],
    ['another value', input({ argv: ['a', ''] }), [read({ argv: ['a'] })], 'wrong arguments: `["a"]`'],
    [
      'a value that is none',
      input({ success: undefined }),
      [read({ success: false })],
      'wrong success: `false`',
    ],
    ['no value', input({ pid: 1 }), [read({})], 'wrong process: `none`'],
    [
      'what it does not show',
      input({ pid: 1, file: '/x' }),
      [read({ pid: 1, file: NOT_SHOWN })],
      'not shown path',
    ],
    [
      'what is wrong, and what it does not show',
      input({ file: '/x', pid: 1 }),
      [read({ pid: 2, file: NOT_SHOWN })],
      'wrong process: `2`',
    ],
    [
      'another value that is right',
      input({ operation: 'openat' }, { operation: '18' }),
      [read({ operation: '18' })],
      'right ',
    ],
    [
      'neither value',
      input({ operation: 'openat' }, { operation: '18' }),
      [read({ operation: '24' })],
      'wrong operation: `"24"`',
    ],
  ])('of %s', (_, truth, events, expected) => {
    const { kind, what } = compare(truth, events)
    expect(`${kind} ${what}`).toBe(expected)
  })

  test('may have what it is right to leave out', () => {
    const { events, ...rest } = input({})
    const perhaps = { ...rest, events: [], perhaps: events }
    expect(compare(perhaps, []).kind).toBe('right')
    expect(compare(perhaps, [read({})]).kind).toBe('right')
  })
})
