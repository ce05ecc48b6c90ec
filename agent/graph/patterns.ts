import type { ExecutableBy } from '../domain/activity.ts'
import { type PatternAction, prefixOf } from '../domain/edge.ts'
import type { StateEntry, StateWriter } from '../domain/state.ts'
import { extremesOf } from './allowed.ts'
import { escaped, expressionOfRuns, expressionOfText, noWord } from './expressions.ts'
import { type Kept, KeptNames } from './kept.ts'
import { type Part, type Shape, shapesOf, typedShape } from './shapes.ts'
import { WaitingShapes } from './waiting.ts'

/** Siblings that must differ in a number or a short hash, and in what may be random, before that is believed. */
const ENOUGH_TYPED = 2
const ENOUGH_RUNS = 3
/** Every new file is tried on all patterns of its directories. */
const MOST_IN_DIRECTORY = 64
/** Characters of all patterns: 5,000 of usual length. */
const MOST_CHARACTERS = 10_000_000
/** What a regular expression costs besides its text, compiled. */
const CHARACTERS_OF_PATTERN = 2000
/**
 * Names longer than this, process and path together, teach nothing: who may choose names may not choose our memory. Paths
 * of that length are left as they are: nor may he choose our time.
 */
const LONGEST_TEACHER = 1024
/** Before the expression of a pattern whose files somebody may execute; to a regular expression it means nothing. */
const EXECUTABLE = '(?<executable>)'
/** Where programs are that have come to stay, and what starts them. */
const SYSTEM = /^\/(?:etc|usr|s?bin|lib(?:exec|32|64|x32)?|boot|dev|proc|sys)\//
/** A control character: printed names have none. */
const SEPARATOR = '\u001f'

/** A pattern as it is stored. */
export interface PathPattern {
  /** Printed name of the only process it applies to. */
  readonly process: string
  readonly action: PatternAction
  /** Regular expression for the path, without anchors. */
  readonly path: string
  readonly examples: readonly string[]
  /** `pinned`: never replaced by a wider one. `denied`: what it covers has its own name, and teaches nothing. */
  readonly state?: 'learned' | 'pinned' | 'denied'
}

/** A pattern that has just been learned. */
export interface NewPattern extends PathPattern {
  /** Paths of narrower patterns that it covers whole, which are no more. */
  readonly replaces: readonly string[]
}

/**
 * Volatile names, process by process.
 *
 * What changes for certain (a uuid, a digest, a time, a pid) is taken out of a name at first sight. What may change (a
 * small number, a short hash, six letters that look random) is, when files that one process treated alike differ in
 * nothing else. Either way the name becomes a regular expression, and the files one node of the graph. It is made of
 * escaped literals and of character classes that hold no `/`, and is only ever tried on what the process that taught it
 * does likewise.
 *
 * Files that may be executed teach only patterns of such files, and others only those of others. Of programs (others than
 * the owner may execute them) and of what `protectionOf` says, only directories may change, never the name itself. Never
 * covered is what was executed once, what somebody has denied, and what `protectionOf` says.
 */
export class PathPatterns {
  /** By owner, then by the directory that holds all the files of a pattern. */
  private readonly learned = new Map<string, OwnersPatterns>()
  private readonly denied = new Map<string, RegExp[]>()
  private readonly waiting: WaitingShapes
  private readonly protectionOf: ProtectionOf
  private readonly kept: KeptNames
  private characters = 0
  /** How often a pattern was not learned because there were too many. Only grows. */
  refusedPatterns = 0

  /**
   * @param tracksChanges whether `drain` will be called
   * @param protectionOf what of a path must stay as it is
   */
  constructor(
    known: Iterable<PathPattern> = [],
    tracksChanges = false,
    protectionOf: ProtectionOf = () => 'nothing',
  ) {
    this.waiting = new WaitingShapes(tracksChanges)
    this.kept = new KeptNames(tracksChanges)
    this.protectionOf = protectionOf
    this.reset(known)
  }

  /** These are the patterns from now on: somebody else has changed them. */
  reset(known: Iterable<PathPattern>): void {
    this.learned.clear()
    this.denied.clear()
    this.characters = 0
    for (const pattern of known) this.add(pattern)
  }

  /** Files wait for siblings again as they did when this was drained. Belongs before the first file. */
  restore(entries: Iterable<StateEntry>): void {
    this.waiting.restore(entries)
  }

  /** What was executed or could be is known again as it was when this was drained. Belongs before the first file. */
  restoreKept(entries: Iterable<StateEntry>): void {
    this.kept.restore(entries)
  }

  /** Hands out which files wait for siblings and which may not be covered, as far as that has changed since the last time. */
  drain(writer: StateWriter): void {
    this.waiting.drain(writer)
    this.kept.drain(writer)
  }

  /** How often a shape that waited for siblings was forgotten, because there were too many. Only grows. */
  get forgottenShapes(): number {
    return this.waiting.forgotten
  }

  /**
   * A file was executed or a script run: from now on it has its own name.
   * @returns whether it may have had another one until now
   */
  noteExecuted(path: string): boolean {
    return this.keep(path, 'executed')
  }

  /** Whether a file was executed once, or others than its owner could execute it. */
  isKept(path: string): boolean {
    return this.kept.get(path) !== undefined
  }

  /** The name under which the graph knows the file or socket: its path, or the pattern that covers it. */
  nameOf(process: string, action: PatternAction, path: string, by: ExecutableBy = 'nobody'): string {
    if (by === 'others') this.keep(path, 'program')
    const freedom = this.freedomOf(process, action, path, by)
    if (freedom === 'none') return ownName(action, path)
    const file: FileOf = { process, action, path, isExecutable: by !== 'nobody', freedom }
    const expression = this.covering(file)?.path ?? reducedPath(file)
    return expression === undefined ? ownName(action, path) : prefixOf(action) + expression
  }

  /** Takes a file that has come into the baseline; the pattern that it teaches, alone or with its siblings. */
  learn(
    process: string,
    action: PatternAction,
    path: string,
    by: ExecutableBy = 'nobody',
  ): NewPattern | undefined {
    const freedom = this.freedomOf(process, action, path, by)
    if (freedom === 'none') return undefined
    const file: FileOf = { process, action, path, isExecutable: by !== 'nobody', freedom }
    if (this.covering(file) !== undefined) return undefined
    for (const { shape, samples } of this.gather(file)) {
      const siblings = samples
        .map((sample) => sample.split(SEPARATOR))
        .filter((texts) => this.kept.get(pathOf(shape, texts)) !== 'executed')
      if (!areEnough(shape, siblings)) continue
      const expression = expressionOf(shape, siblings)
      if (expression === undefined) continue
      const examples = siblings.map((texts) => pathOf(shape, texts))
      return this.take({ process, action, path: markOf(file) + expression, examples })
    }
    return undefined
  }

  /** Takes a name that was made of a file before: what it covers has become normal. */
  adopt(process: string, action: PatternAction, path: string): NewPattern | undefined {
    const isKnown = this.learned
      .get(ownerKey(process, action))
      ?.byDirectory.get(directoryOf(path))
      ?.some((pattern) => pattern.path === path)
    return isKnown === true ? undefined : this.take({ process, action, path, examples: [] })
  }

  /**
   * What one name teaches when a person asks for it: all that may change in it does.
   * @returns an expression; undefined when nothing may change, or the name must stay what it is
   */
  propose(process: string, action: PatternAction, path: string): string | undefined {
    const freedom = this.freedomOf(process, action, path, 'nobody')
    const shape = freedom === 'none' ? undefined : typedShape(path, freedom === 'directories')
    if (shape === undefined) return undefined
    const texts = shape.parts.map(({ text }) => text)
    return expressionOf(shape, [texts, texts.map(anotherLike)])
  }

  /** Takes a file that was in the baseline before the start. */
  remember(process: string, action: PatternAction, path: string): void {
    const freedom = this.freedomOf(process, action, path, 'nobody')
    if (!isExpression(path) && freedom !== 'none')
      this.gather({ process, action, path, isExecutable: false, freedom })
  }

  private keep(path: string, kept: Kept): boolean {
    const before = this.kept.get(path)
    if (before === kept || before === 'executed' || path.length > LONGEST_TEACHER) return false
    if (this.protectionOf(path) === 'all' || shapesOf(path).length === 0) return false
    this.kept.set(path, kept)
    return true
  }

  /** What may change in the path. */
  private freedomOf(process: string, action: PatternAction, path: string, by: ExecutableBy): Freedom {
    if (path.length > LONGEST_TEACHER) return 'none'
    const kept = this.kept.get(path)
    const protection = kept === 'executed' ? 'all' : this.protectionOf(path, process)
    if (protection === 'all') return 'none'
    const isNameLiteral = by === 'others' || kept !== undefined || protection === 'name'
    if (isNameLiteral && SYSTEM.test(path)) return 'none'
    if (this.denied.get(ownerKey(process, action))?.some((regex) => regex.test(path)) === true) return 'none'
    return isNameLiteral ? 'directories' : 'path'
  }

  private covering({ process, action, path, isExecutable, freedom }: FileOf): LearnedPattern | undefined {
    const owners = this.learned.get(ownerKey(process, action))
    let found: LearnedPattern | undefined
    for (const patterns of owners === undefined ? [] : aboveOf(owners, path)) {
      for (const known of patterns) {
        if (known.isExecutable !== isExecutable || (freedom === 'directories' && !known.hasLiteralName))
          continue
        if ((found !== undefined && !known.isPinned) || !known.regex.test(path)) continue
        // What somebody has chosen goes before what was learned.
        if (known.isPinned) return known
        found = known
      }
    }
    return found
  }

  /** The shapes of the path, each with the changing parts of the siblings that share it, its own among them. */
  private gather(file: FileOf): { shape: Shape; samples: readonly string[] }[] {
    const { process, action, path, freedom } = file
    if (process.length + path.length > LONGEST_TEACHER) return []
    const kind = `${freedom === 'directories' ? '/' : ''}${markOf(file)}`
    const owner = `${ownerKey(process, action)}${SEPARATOR}${kind}`
    return shapesOf(path, freedom === 'directories').map((shape) => {
      const sample = shape.parts.map(({ text }) => text).join(SEPARATOR)
      return { shape, samples: this.waiting.add(`${owner}${shape.key}`, sample) }
    })
  }

  private take(pattern: PathPattern): NewPattern | undefined {
    const replaced = this.narrowerThan(pattern)
    if (replaced.length === 0 && !this.hasRoom(pattern)) {
      this.refusedPatterns++
      return undefined
    }
    for (const known of replaced) this.remove(pattern, known)
    const regex = this.add(pattern)
    // An example that chance has made a word is not covered.
    const examples = pattern.examples.filter((example) => regex.test(example))
    return { ...pattern, examples, replaces: replaced.map(({ path }) => path) }
  }

  /** Patterns that cover an example of this one, and nothing that it does not. */
  private narrowerThan({ process, action, path, examples }: PathPattern): LearnedPattern[] {
    const owners = this.learned.get(ownerKey(process, action))
    if (owners === undefined) return []
    const found = new Set<LearnedPattern>()
    for (const example of examples)
      for (const patterns of aboveOf(owners, example))
        for (const known of patterns)
          if (
            !known.isPinned &&
            known.isExecutable === isOfExecutables(path) &&
            known.regex.test(example) &&
            !found.has(known) &&
            isWithin(known.path, path)
          )
            found.add(known)
    return [...found]
  }

  private hasRoom({ process, action, path }: PathPattern): boolean {
    if (this.characters >= MOST_CHARACTERS) return false
    const siblings = this.learned.get(ownerKey(process, action))?.byDirectory.get(directoryOf(path))
    return siblings === undefined || siblings.length < MOST_IN_DIRECTORY
  }

  private add({ process, action, path, state }: PathPattern): RegExp {
    const key = ownerKey(process, action)
    const regex = new RegExp(`^${path}$`)
    if (state === 'denied') {
      this.denied.set(key, [...(this.denied.get(key) ?? []), regex])
      return regex
    }
    const owners: OwnersPatterns = this.learned.get(key) ?? {
      byDirectory: new Map(),
      lengths: new Set(),
      longest: 0,
    }
    const directory = directoryOf(path)
    const patterns = owners.byDirectory.get(directory) ?? []
    patterns.push({
      regex,
      path,
      isPinned: state === 'pinned',
      isExecutable: isOfExecutables(path),
      hasLiteralName: LITERAL.test(path.slice(path.lastIndexOf('/') + 1)),
    })
    owners.byDirectory.set(directory, patterns)
    owners.lengths.add(directory.length)
    owners.longest = Math.max(owners.longest, directory.length)
    this.learned.set(key, owners)
    this.characters += CHARACTERS_OF_PATTERN + path.length
    return regex
  }

  private remove({ process, action }: PathPattern, known: LearnedPattern): void {
    const byDirectory = this.learned.get(ownerKey(process, action))?.byDirectory
    const directory = directoryOf(known.path)
    const others = byDirectory?.get(directory)?.filter((pattern) => pattern !== known) ?? []
    if (others.length === 0) byDirectory?.delete(directory)
    else byDirectory?.set(directory, others)
    this.characters -= CHARACTERS_OF_PATTERN + known.path.length
  }
}

interface OwnersPatterns {
  readonly byDirectory: Map<string, LearnedPattern[]>
  /** Lengths of these directories, so that a path of a thousand directories is not looked up a thousand times. */
  readonly lengths: Set<number>
  longest: number
}

interface LearnedPattern {
  readonly regex: RegExp
  readonly path: string
  readonly isPinned: boolean
  readonly isExecutable: boolean
  readonly hasLiteralName: boolean
}

/** What of a path must stay as it is: all of it, the name of the file itself, or nothing. */
export type Protection = 'all' | 'name' | 'nothing'

/** @param process who is about to do something with the file, by its printed name */
export type ProtectionOf = (path: string, process?: string) => Protection

/** What of a path may change. */
type Freedom = 'path' | 'directories' | 'none'

interface FileOf {
  readonly process: string
  readonly action: PatternAction
  readonly path: string
  readonly isExecutable: boolean
  readonly freedom: Freedom
}

const markOf = ({ isExecutable }: FileOf): string => (isExecutable ? EXECUTABLE : '')

/** Whether the files of a pattern are those that somebody may execute. */
export const isOfExecutables = (expression: string): boolean => expression.startsWith(EXECUTABLE)

const LITERAL = /^(?:[^\\[(]|\\[^d])*$/

/** The patterns of each directory that the path lies in, from the root down. */
function* aboveOf(
  { byDirectory, lengths, longest }: OwnersPatterns,
  path: string,
): Iterable<readonly LearnedPattern[]> {
  for (let end = 0; end !== -1 && end <= longest; end = path.indexOf('/', end + 1)) {
    const patterns = lengths.has(end) ? byDirectory.get(path.slice(0, end)) : undefined
    if (patterns !== undefined) yield patterns
  }
}

/** Whether everything that `path` covers is covered by `wider`. */
function isWithin(path: string, wider: string): boolean {
  const regex = new RegExp(`^${wider}$`)
  return extremesOf(path).every((name) => regex.test(name))
}

/** The directory that a pattern's files have in common, as far as it is literal; no slash at its end. */
export function directoryOf(pattern: string): string {
  const path = isOfExecutables(pattern) ? pattern.slice(EXECUTABLE.length) : pattern
  const [literal = ''] = /^(?:[^\\[(]|\\[^d])*/.exec(path) ?? []
  return literal.slice(0, Math.max(0, literal.lastIndexOf('/'))).replace(/\\(.)/g, '$1')
}

/** The pattern as it is printed and stored: anchored, over a whole printed edge, so that it says whose files it covers. */
export const printedPattern = ({
  process,
  action,
  path,
}: Pick<PathPattern, 'process' | 'action' | 'path'>): string =>
  `^${escaped(`${process}->${prefixOf(action)}`)}${path}$`

/** Whether the path of a node is the expression of a pattern. */
export const isExpression = (path: string): boolean => path.includes('\\d') || path.includes(']{')

/** No file may pass for a pattern: what stands in every expression is escaped as `printable` does it. */
const ownName = (action: PatternAction, path: string): string =>
  prefixOf(action) + (isExpression(path) ? path.replaceAll('\\d', '\\x5cd').replaceAll(']{', ']\\x7b') : path)

/** Another text of the same form: each digit is the next one, and without digits each letter of those that are hex too. */
const anotherLike = (text: string): string => {
  const other = text.replace(/\d/g, (digit) => String((Number(digit) + 1) % 10))
  return other === text ? text.replace(/[a-e]/gi, (letter) => nextLetter(letter)) : other
}

const nextLetter = (letter: string): string => String.fromCharCode(letter.charCodeAt(0) + 1)

const ownerKey = (process: string, action: PatternAction): string => `${action} ${process}`

const pathOf = (shape: Shape, texts: readonly string[]): string =>
  shape.literals.map((literal, index) => literal + (texts[index] ?? '')).join('')

/** The expression of a name by itself; undefined when nothing in it changes for certain. */
function reducedPath(file: FileOf): string | undefined {
  const shape = typedShape(file.path, file.freedom === 'directories')
  if (shape?.parts.some(({ isStrong }) => isStrong) !== true) return undefined
  const expression = expressionOf(shape, [shape.parts.map(({ text }) => text)])
  return expression === undefined ? undefined : markOf(file) + expression
}

function areEnough({ parts }: Shape, siblings: readonly (readonly string[])[]): boolean {
  if (siblings.length === 0) return false
  if (parts.some((part, index) => isPair(part) && !arePairs(siblings.map((texts) => texts[index] ?? ''))))
    return false
  if (parts.some((part) => part.type === 'run' || isPair(part))) return siblings.length >= ENOUGH_RUNS
  if (parts.some(({ isStrong }) => isStrong)) return true
  return siblings.length >= ENOUGH_TYPED
}

const isPair = ({ type, text, isStrong }: Part): boolean => type === 'hash' && text.length === 2 && !isStrong

/** `ca`, `de` and `fa` are languages: of two hexadecimal digits half have a digit among them, and more when chance made them. */
const arePairs = (texts: readonly string[]): boolean =>
  new Set(texts).size === 1 || texts.filter((text) => /\d/.test(text)).length * 2 >= texts.length

/** The regular expression that siblings of one shape share; undefined when what differs are words. */
function expressionOf(shape: Shape, siblings: readonly (readonly string[])[]): string | undefined {
  let expression = ''
  for (const [index, literal] of shape.literals.entries()) {
    expression += escaped(literal)
    const part = shape.parts[index]
    if (part === undefined) continue
    const isWholeName = literal.endsWith('/') && /^(?:$|[/.])/.test(shape.literals[index + 1] ?? '')
    const found = expressionOfPart(
      part,
      siblings.map((texts) => texts[index] ?? ''),
      isWholeName,
    )
    if (found === undefined) return undefined
    expression += found
  }
  return expression
}

/** @param isWholeName whether nothing but an extension stands beside it */
function expressionOfPart(part: Part, texts: readonly string[], isWholeName: boolean): string | undefined {
  // What never changed among the siblings is part of the name, not of the noise.
  if (!part.isStrong && texts.every((text) => text === part.text)) return escaped(part.text)
  if (part.type !== 'run') {
    const expression = expressionOfText(part.type, texts)
    return part.type === 'random' && isWholeName
      ? noWord(expression, part.text.length) + expression
      : expression
  }
  const found = expressionOfRuns(texts)
  if (found === undefined) return undefined
  const { prefix, suffix, length } = found
  const members = `${found.class}{${length}}`
  const isAll = isWholeName && prefix === '' && suffix === ''
  return `${escaped(prefix)}${isAll ? noWord(members, length) : ''}${members}${escaped(suffix)}`
}
