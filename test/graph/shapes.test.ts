import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Shape, shapesOf } from '../../agent/graph/shapes.ts'

const TYPES = ['uuid', 'date', 'hash', 'number'] as const

/** The parts of a path that are known by their form, as `type:text`. */
const typed = (path: string): string[] =>
  (shapesOf(path).find((shape) => shape.tokens.every(({ type }) => type !== 'run'))?.tokens ?? []).map(
    ({ type, text }) => `${type}:${text}`,
  )

/** The parts that may be random, one for each further shape. */
const runs = (path: string): string[] =>
  shapesOf(path).flatMap(({ tokens }) => tokens.filter(({ type }) => type === 'run').map(({ text }) => text))

const whole = ({ literals, tokens }: Shape): string =>
  literals.map((literal, index) => literal + (tokens[index]?.text ?? '')).join('')

describe('a part with a form of its own', () => {
  test.each([
    ['/run/user/1000/bus', ['number:1000']],
    ['/proc/4711/oom_score_adj', ['number:4711']],
    ['/var/log/app-2026-11-20.log', ['date:2026-11-20']],
    ['/var/log/app/2026/11/20.log', ['number:2026', 'number:11', 'number:20']],
    ['/var/log/app-20261120.log', ['number:20261120']],
    ['/var/lib/x/6ba7b810-9dad-11d1-80b4-00c04fd430c8/y', ['uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8']],
    ['/var/lib/x/6BA7B810-9DAD-11D1-80B4-00C04FD430C8', ['uuid:6BA7B810-9DAD-11D1-80B4-00C04FD430C8']],
    ['/srv/img/d41d8cd98f00b204e9800998ecf8427e.bin', ['hash:d41d8cd98f00b204e9800998ecf8427e']],
    ['/srv/img/D41D8CD98F00B204', ['hash:D41D8CD98F00B204']],
    ['/s/sess_d41d8cd98f00b204', ['hash:d41d8cd98f00b204']],
    [
      '/r/.git/objects/3f/c09b1e7a2d4f5c6b7a8990a1b2c3d4e5f60718',
      ['hash:3f', 'hash:c09b1e7a2d4f5c6b7a8990a1b2c3d4e5f60718'],
    ],
    [
      '/var/cache/nginx/9/ab/d41d8cd98f00b204e9800998ecf8427e',
      ['hash:9', 'hash:ab', 'hash:d41d8cd98f00b204e9800998ecf8427e'],
    ],
  ])('%s', (path, tokens) => {
    expect(typed(path)).toEqual(tokens)
  })

  test.each([
    ['/etc/passwd'],
    ['/srv/deadbeef/facade/defaced'],
    ['/srv/DEADBEEF'],
    ['/srv/beefcafe/cafebabe.txt'],
    ['/srv/ab/cd/names.txt'],
    [''],
    ['/'],
  ])('%s has none', (path) => {
    expect(typed(path)).toEqual([])
  })

  test('is no hash when letters outside hexadecimal stand beside it', () => {
    expect(typed('/srv/d41d8cd98f00b204xyz')).not.toContainEqual(expect.stringMatching(/^hash:/))
    expect(typed('/srv/xyzd41d8cd98f00b204')).not.toContainEqual(expect.stringMatching(/^hash:/))
  })

  test('is no hash when capitals and small letters are mixed', () => {
    expect(typed('/srv/d41D8cD98f00B204')).not.toContainEqual(expect.stringMatching(/^hash:/))
  })
})

describe('a part that may be random', () => {
  test.each([
    ['/tmp/tmp.aB3xYz', ['aB3xYz']],
    ['/tmp/tmpab12cd34.csv', ['tmpab12cd34']],
    ['/tmp/short', []],
    ['/srv/report/d41d8cd98f00b204e9800998ecf8427e', ['report']],
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
        '/',
        '.',
        '-',
        '_',
        '+(',
        'x',
        'tmp',
        'Ab3',
        '7',
        '2026-11-20',
        'd41d8cd98f00b204',
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

  test('no part that changes holds a slash, and none is empty', () => {
    fc.assert(
      fc.property(PATH, (path) => {
        for (const { tokens } of shapesOf(path)) {
          for (const { text } of tokens) expect(text).toMatch(/^[0-9A-Za-z_-]+$/)
        }
      }),
    )
  })

  test('paths with the same key have the same literals and the same types', () => {
    fc.assert(
      fc.property(PATH, PATH, (one, other) => {
        const byKey = new Map(shapesOf(one).map((shape) => [shape.key, shape]))
        for (const shape of shapesOf(other)) {
          const twin = byKey.get(shape.key)
          if (twin === undefined) continue
          expect(shape.literals).toEqual(twin.literals)
          expect(shape.tokens.map(({ type }) => type)).toEqual(twin.tokens.map(({ type }) => type))
        }
      }),
    )
  })

  test('another number, date, uuid or hash of the same length has the same key', () => {
    const text = {
      number: fc.nat().map(String),
      date: fc
        .date({
          min: new Date('1900-01-01'),
          max: new Date('2099-12-31'),
          noInvalidDate: true,
        })
        .map((date) => date.toISOString().slice(0, 10)),
      uuid: fc.uuid(),
      hash: fc.stringMatching(/^[0-9a-f]{32}$/).filter((hash) => /\d/.test(hash) && /[a-f]/.test(hash)),
    }
    fc.assert(
      fc.property(
        fc.constantFrom(...TYPES).chain((type) => fc.tuple(fc.constant(type), text[type], text[type])),
        ([type, one, other]) => {
          const keys = (part: string): string[] => shapesOf(`/srv/x/a-${part}.d`).map(({ key }) => key)
          expect(keys(one)[0]).toBe(keys(other)[0])
          expect(typed(`/srv/x/a-${one}.d`)).toEqual([`${type}:${one}`])
        },
      ),
    )
  })
})
