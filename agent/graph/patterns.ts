import type { FileAction } from '../domain/edge.ts'
import type { StateEntry, StateWriter } from '../domain/state.ts'
import { fileName } from './edges.ts'
import { type Shape, shapesOf, type Token } from './shapes.ts'
import { WaitingShapes } from './waiting.ts'

/** Siblings that must have been seen before their common shape is believed. */
const ENOUGH_SIBLINGS = 3
/** Every new file is tried on all patterns of its directory. */
const MOST_IN_DIRECTORY = 256
/** Characters of all patterns: 5,000 of usual length. */
const MOST_CHARACTERS = 10_000_000
/** What a regular expression costs besides its text, compiled. */
const CHARACTERS_OF_PATTERN = 2000
/** Names longer than this, process and path together, teach nothing: who may choose names may not choose our memory. */
const LONGEST_TEACHER = 1024
/** Of the random parts of siblings at least this share must look random, else they are words. */
const RANDOM_SHARE = 2 / 3
/** Random parts look odd once in so many characters at least. */
const MOST_ORDERLY = 8
const SHORTEST_RANDOM = 5
/** A control character: printed names have none. */
const SEPARATOR = '\u001f'

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
  /** By owner, then by the directory that holds all the files of a pattern. */
  private readonly learned = new Map<string, Map<string, LearnedPattern[]>>()
  private readonly waiting: WaitingShapes
  private characters = 0
  /** How often a pattern was not learned because there were too many. Only grows. */
  refusedPatterns = 0

  /** @param tracksChanges whether `drain` will be called */
  constructor(known: Iterable<PathPattern> = [], tracksChanges = false) {
    this.waiting = new WaitingShapes(tracksChanges)
    for (const pattern of known) this.add(pattern)
  }

  /** Files wait for siblings again as they did when this was drained. Belongs before the first file. */
  restore(entries: Iterable<StateEntry>): void {
    this.waiting.restore(entries)
  }

  /** Hands out which files wait for siblings, as far as that has changed since the last time. */
  drain(writer: StateWriter): void {
    this.waiting.drain(writer)
  }

  /** How often a shape that waited for siblings was forgotten, because there were too many. Only grows. */
  get forgottenShapes(): number {
    return this.waiting.forgotten
  }

  /** The name under which the graph knows the file: its path, or the pattern that covers it. */
  nameOf(process: string, action: FileAction, path: string): string {
    return fileName(action, this.covering(process, action, path)?.path ?? path)
  }

  /** Takes a file that has come into the baseline; the pattern that it and its siblings teach, once they are enough. */
  learn(process: string, action: FileAction, path: string): PathPattern | undefined {
    if (this.covering(process, action, path) !== undefined) return undefined
    for (const { shape, samples } of this.gather(process, action, path)) {
      if (samples.length < ENOUGH_SIBLINGS) continue
      const siblings = samples.map((sample) => sample.split(SEPARATOR))
      const expression = expressionOf(shape, siblings)
      if (expression === undefined) continue
      const examples = siblings.map((texts) => pathOf(shape, texts))
      const pattern = { process, action, path: expression, examples }
      if (this.hasRoom(pattern)) {
        this.add(pattern)
        return pattern
      }
      this.refusedPatterns++
      return undefined
    }
    return undefined
  }

  /** Takes a file that was in the baseline before the start. */
  remember(process: string, action: FileAction, path: string): void {
    this.gather(process, action, path)
  }

  private covering(process: string, action: FileAction, path: string): LearnedPattern | undefined {
    const patterns = this.learned.get(ownerKey(process, action))
    if (patterns === undefined) return undefined
    for (let end = 0; end !== -1; end = path.indexOf('/', end + 1)) {
      const found = patterns.get(path.slice(0, end))?.find(({ regex }) => regex.test(path))
      if (found !== undefined) return found
    }
    return undefined
  }

  /** The shapes of the path, each with the changing parts of the siblings that share it, its own among them. */
  private gather(
    process: string,
    action: FileAction,
    path: string,
  ): { shape: Shape; samples: readonly string[] }[] {
    if (process.length + path.length > LONGEST_TEACHER) return []
    const owner = ownerKey(process, action)
    return shapesOf(path).map((shape) => {
      const sample = shape.tokens.map(({ text }) => text).join(SEPARATOR)
      return { shape, samples: this.waiting.add(`${owner}${SEPARATOR}${shape.key}`, sample) }
    })
  }

  private hasRoom({ process, action, path }: PathPattern): boolean {
    if (this.characters >= MOST_CHARACTERS) return false
    const siblings = this.learned.get(ownerKey(process, action))?.get(directoryOf(path))
    return siblings === undefined || siblings.length < MOST_IN_DIRECTORY
  }

  private add({ process, action, path }: PathPattern): void {
    const key = ownerKey(process, action)
    const directories = this.learned.get(key) ?? new Map<string, LearnedPattern[]>()
    const directory = directoryOf(path)
    const patterns = directories.get(directory) ?? []
    patterns.push({ regex: new RegExp(`^${path}$`), path })
    this.learned.set(key, directories.set(directory, patterns))
    this.characters += CHARACTERS_OF_PATTERN + path.length
  }
}

interface LearnedPattern {
  readonly regex: RegExp
  readonly path: string
}

/** The directory that a pattern's files have in common, as far as it is literal; no slash at its end. */
export function directoryOf(pattern: string): string {
  const [literal = ''] = /^(?:[^\\[]|\\[^d])*/.exec(pattern) ?? []
  return literal.slice(0, Math.max(0, literal.lastIndexOf('/'))).replace(/\\(.)/g, '$1')
}

/** The pattern as it is printed and stored: anchored, over a whole printed edge, so that it says whose files it covers. */
export const printedPattern = ({ process, action, path }: PathPattern): string =>
  `^${escaped(`${process}->${fileName(action, '')}`)}${path}$`

const ownerKey = (process: string, action: FileAction): string => `${action} ${process}`

const pathOf = (shape: Shape, texts: readonly string[]): string =>
  shape.literals.map((literal, index) => literal + (texts[index] ?? '')).join('')

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')

/** The regular expression that siblings of one shape share; undefined when what differs are words. */
function expressionOf(shape: Shape, siblings: readonly (readonly string[])[]): string | undefined {
  let expression = ''
  for (const [index, literal] of shape.literals.entries()) {
    expression += escaped(literal)
    const token = shape.tokens[index]
    if (token === undefined) continue
    const part = expressionOfTokens(
      token,
      siblings.map((texts) => texts[index] ?? ''),
    )
    if (part === undefined) return undefined
    expression += part
  }
  return expression
}

function expressionOfTokens(first: Token, texts: readonly string[]): string | undefined {
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
  if (!areRandom(middles)) return undefined
  // Python's tempfile draws from a-z, 0-9 and _; mkstemp(3) from all letters and digits.
  const alphabet = middles.some((middle) => /[A-Z]/.test(middle)) ? '[A-Za-z0-9_]' : '[a-z0-9_]'
  return `${escaped(first.slice(0, prefix))}${alphabet}{${length}}${escaped(first.slice(first.length - suffix))}`
}

/** What chance writes and people do not: digits between letters, letters between digits, capitals that begin no word. */
const ODD =
  /(?<=[a-zA-Z])\d+(?=[a-zA-Z])|(?<=\d)[a-zA-Z]+(?=\d)|(?<=[a-z])[A-Z](?![a-z])|(?<=[A-Z\d])[A-Z][a-z](?=[A-Z\d])/g

/**
 * Whether chance chose the names. One name alone says little (`x86_64`, `utf8mb4`, `userId`), so it takes most of them,
 * often enough, and no common build: `u32x4_eq` and `i16x8_le` are numbers in a form, not noise. Of the 120,000 files
 * of a developer's Debian 11 families were taken for noise; three names by mkstemp(3) are enough in 85 of 100 programs.
 */
function areRandom(texts: readonly string[]): boolean {
  const odd = texts.map((text) => text.match(ODD)?.length ?? 0)
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
