import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Shape, shapesOf } from '../../agent/graph/shapes.ts'

/** The parts that may be random, shape by shape. */
const runs = (path: string): string[][] =>
  shapesOf(path)
    .map(({ parts }) => parts.filter(({ type }) => type === 'run').map(({ text }) => text))
    .filter(({ length }) => length > 0)

const whole = ({ literals, parts }: Shape): string =>
  literals.map((literal, index) => literal + (parts[index]?.text ?? '')).join('')

describe('a part that may be random', () => {
  test.each([
    ['/tmp/aB3xYz', [['aB3xYz']]],
    ['/tmp/short', []],
    ['/srv/report/d41d8cd98f00b204e9800998ecf8427e', [['report']]],
    // Two that look so, one by one and together.
    ['/x/ddAb12xY/ddQ9dk2L.o', [['ddAb12xY'], ['ddQ9dk2L'], ['ddAb12xY', 'ddQ9dk2L']]],
    ['/x/reader/binder.o', [['reader'], ['binder']]],
  ])('%s', (path, expected) => {
    expect(runs(path)).toEqual(expected)
  })

  test('a path of a thousand words is not looked at for ever', () => {
    expect(shapesOf('/abcdef'.repeat(1000)).length).toBeLessThan(10)
  })
})

const PATH = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc
    .array(
      fc.constantFrom(
        ...['/', '.', '-', '_', '+(', 'x', 'tmp', 'Ab3', '7', '2026-11-20', 'd41d8cd98f00b204', 'k3x_9a2b'],
        '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
      ),
      { maxLength: 12 },
    )
    .map((parts) => parts.join('')),
)

describe('law', () => {
  test('a shape put together again is the path', () => {
    fc.assert(fc.property(PATH, (path) => shapesOf(path).every((shape) => whole(shape) === path)))
  })

  test('paths with the same key have the same literals and the same types', () => {
    fc.assert(
      fc.property(PATH, PATH, (one, other) => {
        const byKey = new Map(shapesOf(one).map((shape) => [shape.key, shape]))
        for (const shape of shapesOf(other)) {
          const twin = byKey.get(shape.key)
          if (twin === undefined) continue
          expect(shape.literals).toEqual(twin.literals)
          expect(shape.parts.map(({ type }) => type)).toEqual(twin.parts.map(({ type }) => type))
        }
      }),
    )
  })

  test('another text of the same form has the same key', () => {
    const text = {
      // Eight digits may be a date.
      number: fc.nat(9_999_999).map(String),
      stamp: fc
        .date({ min: new Date('1900-01-01'), max: new Date('2099-12-31'), noInvalidDate: true })
        .map((date) => date.toISOString().slice(0, 10)),
      uuid: fc.uuid(),
      hash: fc.stringMatching(/^[0-9a-f]{32}$/).filter((hash) => /\d/.test(hash) && /[a-f]/.test(hash)),
    }
    fc.assert(
      fc.property(
        fc
          .constantFrom('number', 'stamp', 'uuid', 'hash')
          .chain((type) => fc.tuple(fc.constant(type), text[type], text[type])),
        ([type, one, other]) => {
          const first = (part: string): Shape | undefined => shapesOf(`/srv/x/a-${part}.d`)[0]
          expect(first(one)?.key).toBe(first(other)?.key)
          expect(first(one)?.parts).toMatchObject([{ type, text: one }])
        },
      ),
    )
  })
})
