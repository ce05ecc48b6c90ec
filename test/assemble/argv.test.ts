import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { joinArgv, type Argv } from '../../agent/assemble/argv.ts'
import type { ArgumentPiece, ExecveRecord } from '../../agent/domain/record.ts'

const fromHex = (hex: string): string => Buffer.from(hex, 'hex').toString()

const record = (argc: number | undefined, ...pieces: ArgumentPiece[]): ExecveRecord => ({
  type: 'EXECVE',
  argc,
  pieces,
  lengths: [],
  isCut: false,
})
const quoted = (index: number, text: string, fragment = 0): ArgumentPiece => ({
  index,
  fragment,
  text,
  isHex: false,
})
const hex = (index: number, text: string, fragment = 0): ArgumentPiece => ({
  index,
  fragment,
  text,
  isHex: true,
})
const join = (...records: ExecveRecord[]): Argv => joinArgv(records, fromHex)

test.each<[string, Argv, readonly string[], boolean]>([
  ['one record', join(record(2, quoted(0, 'ls'), quoted(1, '/'))), ['ls', '/'], false],
  ['no argument at all', join(record(0)), [], false],
  [
    'an empty argument',
    join(record(3, quoted(0, 'printf'), quoted(1, ''), quoted(2, 'x'))),
    ['printf', '', 'x'],
    false,
  ],
  [
    'an empty argument left out by an old kernel',
    join(record(3, quoted(0, 'ls'), quoted(2, 'x'))),
    ['ls', '', 'x'],
    false,
  ],
  [
    'hex and what looks like it',
    join(record(3, quoted(0, 'x'), quoted(1, '6D79'), hex(2, '6D7920'))),
    ['x', '6D79', 'my '],
    false,
  ],
  ['missing arguments', join(record(5, quoted(0, 'sh'), quoted(1, '-c'))), ['sh', '-c'], true],
  ['more than announced', join(record(1, quoted(0, 'sh'), quoted(1, '-c'))), ['sh', '-c'], true],
  [
    'only a continuation',
    join(record(undefined, quoted(1, 'BBB', 1), quoted(2, 'end'))),
    ['', 'BBB', 'end'],
    true,
  ],
  [
    'a continuation',
    join(record(3, quoted(0, 'x'), quoted(1, 'AA')), record(undefined, quoted(1, 'BB', 1), quoted(2, 'end'))),
    ['x', 'AABB', 'end'],
    false,
  ],
  [
    'a character across two fragments',
    join(record(1, hex(0, 'C3')), record(undefined, hex(0, 'A9', 1))),
    ['é'],
    false,
  ],
  [
    'fragments that arrive the wrong way round',
    join(record(undefined, hex(0, 'A9', 1), quoted(1, 'b')), record(2, hex(0, 'C3'))),
    ['é', 'b'],
    false,
  ],
  [
    'a fragment lost in the middle',
    join(record(1, quoted(0, 'a')), record(undefined, quoted(0, 'c', 2))),
    ['ac'],
    true,
  ],
  [
    'fragments the wrong way round, and more missing',
    join(record(undefined, quoted(0, 'b', 1)), record(3, quoted(0, 'a'))),
    ['ab'],
    true,
  ],
  [
    'a record cut in the middle of a byte',
    join(record(2, quoted(0, 'x'), hex(1, '61622'))),
    ['x', 'ab'],
    true,
  ],
  ['no record that says anything', join(record(undefined)), [], true],
])('%s', (_, { argv, truncated }, words, isTruncated) => {
  expect({ argv, truncated }).toEqual({ argv: words, truncated: isTruncated })
})

test('two hundred thousand arguments are cut and said to be', () => {
  const pieces = Array.from({ length: 65_536 }, (_, index) => quoted(index, 'x'))
  const { argv, truncated } = join(record(200_000, ...pieces))
  expect(argv).toHaveLength(65_536)
  expect(truncated).toBe(true)
})

test('a forged index builds no list of empty arguments, whatever argc says', () => {
  for (const argc of [2, 65_536]) {
    const { argv, truncated } = join(record(argc, quoted(0, 'x'), quoted(65_535, 'y')))
    expect(argv).toEqual(['x', 'y'])
    expect(truncated).toBe(true)
  }
})

test('megabytes of arguments are cut and said to be', () => {
  const records = Array.from({ length: 2_000 }, (_, index) =>
    record(index === 0 ? 2_000 : undefined, quoted(index, 'x'.repeat(7_500))),
  )
  const { argv, truncated } = join(...records)
  expect(truncated).toBe(true)
  expect(argv.reduce((total, word) => total + word.length, 0)).toBeLessThanOrEqual(4 << 20)
  expect(argv[0]).toHaveLength(7_500)
})

test('one argument of megabytes is cut and said to be', () => {
  const pieces = Array.from({ length: 1_000 }, (_, fragment) => quoted(0, 'x'.repeat(7_500), fragment))
  const { argv, truncated } = join(record(1, ...pieces))
  expect(truncated).toBe(true)
  expect(argv).toHaveLength(1)
  expect(argv[0]?.length).toBeLessThanOrEqual(4 << 20)
})

/** As the kernel does it: an argument that does not fit is cut anywhere, in hex at any byte, and goes on further behind. */
const written = fc
  .array(fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 6 })
  .chain((argv) =>
    fc.record({
      argv: fc.constant(argv),
      cuts: fc.array(fc.array(fc.nat(12), { maxLength: 3 }), {
        minLength: argv.length,
        maxLength: argv.length,
      }),
      perRecord: fc.integer({ min: 1, max: 4 }),
      order: fc.array(fc.nat(), { minLength: 60, maxLength: 60 }),
    }),
  )

function fragmentsOf(word: string, index: number, cuts: readonly number[]): ArgumentPiece[] {
  const isHex = !/^[!#-~]*$/.test(word)
  const bytes = Buffer.from(word)
  const bounds = [
    0,
    ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((one, other) => one - other),
    bytes.length,
  ]
  return bounds.slice(1).map((end, fragment) => {
    const part = bytes.subarray(bounds[fragment], end)
    return isHex ? hex(index, part.toString('hex'), fragment) : quoted(index, part.toString(), fragment)
  })
}

test('arguments come back whole, wherever they were cut and in whatever order the records arrive', () => {
  fc.assert(
    fc.property(written, ({ argv, cuts, perRecord, order }) => {
      const words = argv.map((word) => Buffer.from(word).toString())
      const pieces = words.flatMap((word, index) => fragmentsOf(word, index, cuts[index] ?? []))
      const records: ExecveRecord[] = []
      for (let at = 0; at < pieces.length; at += perRecord)
        records.push(record(at === 0 ? words.length : undefined, ...pieces.slice(at, at + perRecord)))
      const shuffled = records
        .map((each, index) => ({ each, key: order[index] ?? 0 }))
        .sort((one, other) => one.key - other.key)
        .map(({ each }) => each)
      expect(join(...shuffled)).toEqual({ argv: words, truncated: false })
    }),
    { numRuns: 500 },
  )
})

test('what was lost is said, whichever record it was', () => {
  const words = ['x', 'é'.repeat(40), 'end']
  const all = words.flatMap((word, index) => fragmentsOf(word, index, [10, 20]))
  const records = all.map((piece, index) => record(index === 0 ? words.length : undefined, piece))
  for (const lost of records.slice(0, -1)) {
    // Of an argument that was cut, the last fragment alone can go unnoticed: nothing but `_len` tells, which is not read.
    const [piece] = lost.pieces
    const isLastFragment = all.every(
      ({ index, fragment }) => index !== piece?.index || fragment <= piece.fragment,
    )
    if (isLastFragment) continue
    expect(join(...records.filter((each) => each !== lost)).truncated).toBe(true)
  }
})

test.each([
  ['as many characters as announced', 20, [quoted(0, 'x'.repeat(12)), quoted(0, 'y'.repeat(8), 1)], false],
  ['fewer', 21, [quoted(0, 'x'.repeat(12)), quoted(0, 'y'.repeat(8), 1)], true],
  ['as many bytes as announced, in hex', 3, [hex(0, '4142'), hex(0, '43', 1)], false],
  ['as many hex digits as announced', 6, [hex(0, '4142'), hex(0, '43', 1)], false],
  ['nothing', 6, [], true],
] as const)('a long argument is whole with %s', (_, length, pieces, truncated) => {
  const { argc, ...rest } = record(1, ...pieces)
  expect(join({ ...rest, argc, lengths: [{ index: 0, length }] }).truncated).toBe(truncated)
})

test('fragments of one argument, of which only the second needs hex', () => {
  expect(join(record(1, quoted(0, 'ab'), hex(0, '2063', 1)))).toEqual({ argv: ['ab c'], truncated: false })
})

test('a line that ends in the middle of an argument is not the whole list', () => {
  expect(join({ ...record(1, quoted(0, 'ls')), isCut: true })).toEqual({ argv: ['ls'], truncated: true })
})
