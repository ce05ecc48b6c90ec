import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Word } from '../../agent/parse/bytes.ts'
import { Memo } from '../../agent/parse/memo.ts'

const wordsOf = (bytes: Buffer): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

/** Reads texts one after the other, each in the middle of a buffer that is used again, through a memo. */
function readAll(texts: readonly string[], memo: Memo<{ readonly text: string }>): string[] {
  const buffer = Buffer.alloc(200)
  return texts.map((text, turn) => {
    const start = turn % 7
    buffer.fill(turn % 256)
    const end = start + buffer.write(text, start, 'latin1')
    const known = memo.find(wordsOf(buffer), start, end)
    return (known ?? memo.keep(wordsOf(buffer), start, end, { text })).text
  })
}

test('law: what is found was read from the same bytes, however many share so few slots', () => {
  const text = fc.oneof(
    fc.stringMatching(/^[a-c]{0,12}$/),
    fc.stringMatching(/^item=[0-9] name="\/tmp\/[ab]{1,3}" inode=[1-9]{1,2}$/),
    fc.string({ unit: 'binary-ascii', maxLength: 100 }),
  )
  fc.assert(
    fc.property(fc.array(text, { maxLength: 300 }), fc.constantFrom(64, 512), (texts, slots) => {
      expect(readAll(texts, new Memo(slots, 64))).toEqual(texts)
    }),
  )
})

test('what was met twice is the same object from then on', () => {
  const memo = new Memo<object>(64, 64)
  const bytes = Buffer.from('item=0 name="/usr/bin/sh" inode=7')
  const met = [1, 2, 3, 4].map(() => {
    const known = memo.find(wordsOf(bytes), 0, bytes.length)
    return known ?? memo.keep(wordsOf(bytes), 0, bytes.length, {})
  })
  expect(met[1]).not.toBe(met[0])
  expect(met[2]).toBe(met[1])
  expect(met[3]).toBe(met[1])
})

test('texts that are longer than a slot, or shorter than four bytes, are not kept', () => {
  const memo = new Memo<object>(64, 16)
  for (const text of ['x'.repeat(17), 'abc', '']) {
    const bytes = Buffer.from(text)
    for (let time = 0; time < 3; time++) {
      expect(memo.find(wordsOf(bytes), 0, bytes.length)).toBeUndefined()
      memo.keep(wordsOf(bytes), 0, bytes.length, {})
    }
  }
})

test('law: a word stands where its text stands', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('arch=', ' a0=', ' success=', ' msg=audit(', 'abcdefghijkl'),
      fc.string({ unit: 'binary-ascii', maxLength: 20 }),
      fc.nat(3),
      fc.nat(30),
      (text, around, damage, at) => {
        const body = `${around}${text}${around}`
        const spoilt = body.slice(0, at) + '?'.repeat(damage) + body.slice(at + damage)
        const bytes = Buffer.from(spoilt, 'latin1')
        const word = new Word(text)
        for (let place = 0; place < bytes.length; place++)
          expect(word.standsAt(wordsOf(bytes), place)).toBe(spoilt.startsWith(text, place))
      },
    ),
  )
})

test('the beginning of a text that is kept is another text', () => {
  const whole = 'item=0 name="/usr/bin/python3" inode=260811 dev=fe:00 mode=01007'
  for (let long = 5; long <= 64; long++)
    for (let short = 4; short < long; short++) {
      const texts = [whole.slice(0, long), whole.slice(0, long), whole.slice(0, short)]
      expect(readAll(texts, new Memo(64, 64))).toEqual(texts)
    }
})
