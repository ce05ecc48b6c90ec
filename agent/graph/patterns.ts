import type { FileAction } from '../domain/edge.ts'
import { fileName } from './edges.ts'
import { type Shape, shapesOf, type Token } from './shapes.ts'

/** Siblings that must have been seen before their common shape is believed. */
const ENOUGH_SIBLINGS = 3
const MOST_SAMPLES = 8
/** Shapes waiting for siblings, of all processes together; beyond that the oldest are forgotten. */
const MOST_WAITING = 50_000
const MOST_REMEMBERED = 65_536
/** Of the random parts of siblings at least this share must look random, else they are words. */
const RANDOM_SHARE = 2 / 3
const SHORTEST_RANDOM = 5

/** A pattern as it is stored. */
export interface PathPattern {
  /** Printed name of the only process it applies to. */
  readonly process: string
  readonly action: FileAction
  /** Regular expression for the path, without anchors. */
  readonly path: string
  readonly examples: readonly string[]
}

/**
 * Volatile file names, process by process.
 *
 * When three files that one process treated alike differ only in a number, a date, a uuid, a hash or a random part, the
 * shape they share becomes a regular expression, and the files one node of the graph. It is made of escaped literals
 * and of character classes that hold no `/`, and only ever tried on file edges of the process that taught it.
 */
export class PathPatterns {
  private readonly learned = new Map<string, { regex: RegExp; path: string }[]>()
  private readonly waiting = new Map<string, Shape[]>()
  private readonly remembered = new Map<string, string>()

  constructor(known: Iterable<PathPattern> = []) {
    for (const pattern of known) this.add(pattern)
  }

  /** The name under which the graph knows the file: its path, or the pattern that covers it. */
  nameOf(process: string, action: FileAction, path: string): string {
    const patterns = this.learned.get(ownerKey(process, action))
    if (patterns === undefined) return fileName(action, path)
    const key = `${process}\u0000${action}\u0000${path}`
    const known = this.remembered.get(key)
    if (known !== undefined) return known
    const name = fileName(action, patterns.find(({ regex }) => regex.test(path))?.path ?? path)
    if (this.remembered.size >= MOST_REMEMBERED) this.remembered.clear()
    this.remembered.set(key, name)
    return name
  }

  /** Takes a file that has come into the baseline; the pattern that it and its siblings teach, once they are enough. */
  learn(process: string, action: FileAction, path: string): PathPattern | undefined {
    for (const samples of this.gather(process, action, path)) {
      if (samples.length < ENOUGH_SIBLINGS) continue
      const expression = expressionOf(samples)
      if (expression === undefined) continue
      const pattern = { process, action, path: expression, examples: samples.map(pathOf) }
      this.add(pattern)
      return pattern
    }
    return undefined
  }

  /** Takes a file that was in the baseline before the start. */
  remember(process: string, action: FileAction, path: string): void {
    this.gather(process, action, path)
  }

  /** The siblings of each shape of the path, itself among them. */
  private gather(process: string, action: FileAction, path: string): (readonly Shape[])[] {
    return shapesOf(path).map((shape) => {
      const samples = this.samplesOf(`${ownerKey(process, action)}\u0000${shape.key}`)
      if (!samples.some((sample) => isSameShape(sample, shape))) {
        if (samples.length >= MOST_SAMPLES) samples.shift()
        samples.push(shape)
      }
      return samples
    })
  }

  private add(pattern: PathPattern): void {
    const key = ownerKey(pattern.process, pattern.action)
    const patterns = this.learned.get(key) ?? []
    patterns.push({ regex: new RegExp(`^${pattern.path}$`), path: pattern.path })
    this.learned.set(key, patterns)
    this.remembered.clear()
  }

  private samplesOf(key: string): Shape[] {
    const waiting = this.waiting.get(key)
    if (waiting !== undefined) return waiting
    if (this.waiting.size >= MOST_WAITING) {
      for (const oldest of this.waiting.keys()) {
        this.waiting.delete(oldest)
        break
      }
    }
    const samples: Shape[] = []
    this.waiting.set(key, samples)
    return samples
  }
}

/** The pattern as it is printed and stored: anchored, over a whole printed edge, so that it says whose files it covers. */
export const printedPattern = ({ process, action, path }: PathPattern): string =>
  `^${escaped(`${process}->${fileName(action, '')}`)}${path}$`

const ownerKey = (process: string, action: FileAction): string => `${action} ${process}`

const isSameShape = (one: Shape, other: Shape): boolean =>
  one.tokens.every((token, index) => token.text === other.tokens[index]?.text)

const pathOf = (shape: Shape): string =>
  shape.literals.map((literal, index) => literal + (shape.tokens[index]?.text ?? '')).join('')

const escaped = (text: string): string =>
  text.replace(/[\\^$.*+?()[\]{}|/-]/g, (character) =>
    character === '/' || character === '-' ? character : `\\${character}`,
  )

/** The regular expression that siblings of one shape share; undefined when what differs are words. */
function expressionOf(samples: readonly Shape[]): string | undefined {
  const [first] = samples
  if (first === undefined) return undefined
  let expression = ''
  for (const [index, literal] of first.literals.entries()) {
    expression += escaped(literal)
    const tokens = samples.flatMap((sample) => sample.tokens[index] ?? [])
    const [token] = tokens
    if (token === undefined) continue
    const part = expressionOfTokens(token, tokens)
    if (part === undefined) return undefined
    expression += part
  }
  return expression
}

function expressionOfTokens(first: Token, tokens: readonly Token[]): string | undefined {
  const texts = tokens.map((token) => token.text)
  // What never changed among the siblings is part of the name, not of the noise.
  if (texts.every((text) => text === first.text)) return escaped(first.text)
  switch (first.type) {
    case 'number':
      return '\\d+'
    case 'date':
      return '\\d{4}-\\d{2}-\\d{2}'
    case 'uuid': {
      const hex = hexClass(texts)
      return [8, 4, 4, 4, 12].map((length) => `${hex}{${length}}`).join('-')
    }
    case 'hash':
      return `${hexClass(texts)}{${first.text.length}}`
    case 'run':
      return randomExpression(texts)
  }
}

const hexClass = (texts: readonly string[]): string => {
  const isLower = texts.every((text) => !/[A-F]/.test(text))
  const isUpper = texts.every((text) => !/[a-f]/.test(text))
  return isLower ? '[0-9a-f]' : isUpper ? '[0-9A-F]' : '[0-9a-fA-F]'
}

/** Runs of one length: what they begin and end with together stays, the middle must look random. */
function randomExpression(texts: readonly string[]): string | undefined {
  const [first = ''] = texts
  let prefix = 0
  while (texts.every((text) => text[prefix] === first[prefix])) prefix++
  let suffix = 0
  while (texts.every((text) => text.at(-1 - suffix) === first.at(-1 - suffix))) suffix++
  const middles = texts.map((text) => text.slice(prefix, text.length - suffix))
  const length = first.length - prefix - suffix
  if (length < SHORTEST_RANDOM) return undefined
  if (middles.filter(looksRandom).length < middles.length * RANDOM_SHARE) return undefined
  // Python's tempfile draws from a-z, 0-9 and _; mkstemp(3) from all letters and digits.
  const alphabet = middles.some((middle) => /[A-Z]/.test(middle)) ? '[A-Za-z0-9_]' : '[a-z0-9_]'
  return `${escaped(first.slice(0, prefix))}${alphabet}{${length}}${escaped(first.slice(first.length - suffix))}`
}

/** Digits between letters, or capitals inside a word: what chance writes and people do not. */
const looksRandom = (text: string): boolean => /[a-zA-Z_]\d|\d[a-zA-Z_]/.test(text) || /[a-z][A-Z]/.test(text)
