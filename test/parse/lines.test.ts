import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { LineCutter, LONGEST_LINE } from '../../agent/parse/lines.ts'

interface Line {
  /** Of a long line only its length, so that a failure can be read. */
  readonly text: string
  readonly offset: number
}

interface Cut {
  readonly lines: readonly Line[]
  readonly overlong: number
  /** Where the first byte is that belongs to no finished line. */
  readonly offset: number
  readonly rest: string
}

const short = (text: string): string => (text.length < 100 ? text : `${text.length} bytes`)

function cut(chunks: readonly Buffer[], start = 0): Cut {
  const lines: Line[] = []
  const cutter = new LineCutter((bytes, from, end, offset) => {
    lines.push({ text: short(bytes.toString('latin1', from, end)), offset })
  }, start)
  for (const chunk of chunks) cutter.push(chunk)
  return {
    lines,
    overlong: cutter.overlongLines,
    offset: cutter.offset,
    rest: cutter.rest.toString('latin1'),
  }
}

/** The whole stream at once, as one would do it by hand. */
function obvious(stream: string, start: number): Cut {
  const lines: Line[] = []
  let overlong = 0
  let offset = start
  const parts = stream.split('\n')
  const rest = parts.pop() ?? ''
  for (const text of parts) {
    if (text.length <= LONGEST_LINE) lines.push({ text: short(text), offset })
    else overlong++
    offset += text.length + 1
  }
  const isRestOverlong = rest.length > LONGEST_LINE
  return {
    lines,
    overlong: isRestOverlong ? overlong + 1 : overlong,
    offset,
    rest: isRestOverlong ? '' : rest,
  }
}

/** A number stands for as many letters. */
const pieces = fc.array(
  fc.oneof(
    { arbitrary: fc.string({ unit: fc.constantFrom('a', '\n', '\r', '\0', 'é', '"') }), weight: 9 },
    {
      arbitrary: fc.constantFrom(LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1, 3 * LONGEST_LINE),
      weight: 1,
    },
  ),
  { maxLength: 12 },
)

test('a line is whatever a newline ends, at its place in the stream, however the reads were cut', () => {
  fc.assert(
    fc.property(pieces, fc.nat(2 ** 40), (given, start) => {
      const parts = given.map((piece) => (typeof piece === 'number' ? 'x'.repeat(piece) : piece))
      const chunks = parts.map((part) => Buffer.from(part, 'latin1'))
      expect(cut(chunks, start)).toEqual(obvious(parts.join(''), start))
    }),
    { numRuns: 300 },
  )
})

test('cut after every byte, or not at all', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 40 }), (text) => {
      const bytes = Buffer.from(text)
      const single = Array.from(bytes, (_, index) => bytes.subarray(index, index + 1))
      expect(cut(single)).toEqual(obvious(text, 0))
      expect(cut([bytes])).toEqual(obvious(text, 0))
    }),
  )
})

test('a chunk may be reused once it was taken', () => {
  const chunk = Buffer.from('abc')
  const lines: string[] = []
  const cutter = new LineCutter((bytes, start, end) => lines.push(bytes.toString('latin1', start, end)))
  cutter.push(chunk)
  chunk.fill('z')
  cutter.push(Buffer.from('d\n'))
  expect(lines).toEqual(['abcd'])
})

test('a line without end is counted once and costs no memory', () => {
  const chunk = Buffer.alloc(1 << 20, 'x')
  const lines: string[] = []
  const cutter = new LineCutter((bytes, start, end) => lines.push(bytes.toString('latin1', start, end)))
  cutter.push(chunk)
  const before = process.memoryUsage().arrayBuffers
  for (let pushed = 0; pushed < 512; pushed++) cutter.push(chunk)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 << 20)
  cutter.push(Buffer.from('\nnext\n'))
  expect(lines).toEqual(['next'])
  expect(cutter.overlongLines).toBe(1)
  expect(cutter.offset).toBe(513 * (1 << 20) + 6)
})
