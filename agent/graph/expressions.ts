import { fractionOf, oddness, type Token } from './tokens.ts'

/** Of the random parts of siblings at least this share must look random, else they are words. */
const RANDOM_SHARE = 2 / 3
/** Random parts look odd once in so many characters at least. */
const MOST_ORDERLY = 8
const SHORTEST_RANDOM = 5

export const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')

/** The regular expression for one text with a form of its own, or for several of that form. */
export function expressionOfText(type: Token['type'], texts: readonly string[]): string {
  const [first = ''] = texts
  switch (type) {
    case 'number':
      return '\\d+'
    case 'uuid': {
      const hex = hexClass(texts)
      return [8, 4, 4, 4, 12].map((length) => `${hex}{${length}}`).join('-')
    }
    case 'stamp':
      return expressionOfStamp(first)
    case 'hash':
      return `${hexClass(texts)}{${first.length}}`
    case 'capitals':
      return `[0-9A-F]{${first.length}}`
    case 'random':
      return `${alphabetOf(texts)}{${first.length}}`
  }
}

/**
 * The regular expression for runs of one length: what they begin and end with together stays, the middle must look random.
 *
 * @returns undefined when what differs are words
 */
export function expressionOfRuns(texts: readonly string[]): RunExpression | undefined {
  const [first = ''] = texts
  let prefix = 0
  while (texts.every((text) => text[prefix] === first[prefix])) prefix++
  let suffix = 0
  while (texts.every((text) => text.at(-1 - suffix) === first.at(-1 - suffix))) suffix++
  const middles = texts.map((text) => text.slice(prefix, text.length - suffix))
  const length = first.length - prefix - suffix
  if (length < SHORTEST_RANDOM || !areRandom(middles)) return undefined
  return {
    prefix: first.slice(0, prefix),
    class: middles.some((middle) => /[A-Z]/.test(middle)) ? '[A-Za-z0-9_]' : '[a-z0-9_]',
    length,
    suffix: first.slice(first.length - suffix),
  }
}

export interface RunExpression {
  readonly prefix: string
  readonly class: string
  readonly length: number
  readonly suffix: string
}

/**
 * What keeps a random part that is all there is of a name from covering a word: `backdoor` is eight of `[a-z0-9_]` too.
 *
 * @param members a class of characters
 */
export function noWord(members: string, length: number): string {
  const capitals = members.includes('A-Z') ? `(?![A-Za-z][a-z_]{${length - 1}})(?![A-Z_]{${length}})` : ''
  return capitals === '' ? `(?![a-z_]{${length}})` : capitals
}

/** A fraction of a second has as many digits as the program likes. */
function expressionOfStamp(stamp: string): string {
  const [from, to] = fractionOf(stamp)
  const fraction = from === to ? '' : `${escaped(stamp.slice(from, from + 1))}\\d+`
  return fixedDigits(stamp.slice(0, from)) + fraction + fixedDigits(stamp.slice(to))
}

const fixedDigits = (text: string): string => escaped(text).replace(/\d+/g, ({ length }) => `\\d{${length}}`)

const hexClass = (texts: readonly string[]): string => {
  const isLower = texts.every((text) => !/[A-F]/.test(text))
  const isUpper = texts.every((text) => !/[a-f]/.test(text))
  return isLower ? '[0-9a-f]' : isUpper ? '[0-9A-F]' : '[0-9a-fA-F]'
}

/** Python's tempfile draws from a-z, 0-9 and _; mkstemp(3) from all letters and digits. */
function alphabetOf(texts: readonly string[]): string {
  const text = texts.join('')
  const [{ length } = ''] = texts
  if (/[,-]/.test(text)) return '[a-z0-9,-]'
  const hasCapitals = /[A-Z]/.test(text)
  if (length < LONG) return hasCapitals || length !== PYTHON ? '[A-Za-z0-9_]' : '[a-z0-9_]'
  if (!hasCapitals) return '[a-z0-9]'
  return /[a-z]/.test(text) ? '[A-Za-z0-9]' : '[A-Z0-9]'
}

/** What chance chose for Python's tempfile. */
const PYTHON = 8
const LONG = 16

/**
 * Whether chance chose the names. One name alone says little (`x86_64`, `utf8mb4`, `userId`), so it takes most of them,
 * often enough, and no common build: `u32x4_eq` and `i16x8_le` are numbers in a form, not noise. Of the 120,000 files
 * of a developer's Debian 11 families were taken for noise; three names by mkstemp(3) are enough in 85 of 100 programs.
 */
function areRandom(texts: readonly string[]): boolean {
  const odd = texts.map(oddness)
  const length = texts.reduce((sum, text) => sum + text.length, 0)
  const builds = new Set(
    texts.map((text) => text.replace(/[a-z]/g, 'a').replace(/[A-Z]/g, 'A').replace(/\d/g, '0')),
  )
  return (
    odd.filter((count) => count > 0).length >= texts.length * RANDOM_SHARE &&
    odd.reduce((sum, count) => sum + count, 0) >= length / MOST_ORDERLY &&
    builds.size > texts.length / 2
  )
}
