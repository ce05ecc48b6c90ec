/** What an expression may become: repetitions are written out. */
const MOST_STEPS = 4000
const MOST_REPEATS = 256
const ANY_CASE = '(?i)'

/** One step of an expression; they go on at the next one unless they say where. */
type Step =
  | { readonly does: 'take'; readonly takes: (code: number) => boolean }
  | { readonly does: 'split'; one: number; other: number }
  | { readonly does: 'jump'; to: number }
  | { readonly does: 'assert'; readonly what: '^' | '$' | 'b' | 'B' }
  | { readonly does: 'match' }

/**
 * A regular expression that is matched in time proportional to the text, whatever both are: it goes through all its ways at
 * once instead of one after the other (Thompson 1968). Text from the log is hostile, and so long that one that goes back to try
 * again could stop the agent. In exchange it knows neither back references nor looking ahead or behind. What it knows it means
 * as JavaScript does with the flags `u` and `s`; `(?i)` at its beginning makes capitals and small letters the same.
 */
export class Expression {
  private readonly steps: readonly Step[]
  private readonly isAnyCase: boolean
  /** Whether it matches from the beginning of a text on, or not at all. */
  private readonly isAnchored: boolean
  /** See `Piece`; in small letters where case does not matter. */
  private readonly needs: readonly string[] | undefined
  /** Steps that are waited at, in order, and at which position of the text each was put there last. */
  private here: number[] = []
  private there: number[] = []
  private readonly seenAt: Int32Array

  /** @throws SyntaxError which says what is wrong */
  constructor(source: string) {
    this.isAnyCase = source.startsWith(ANY_CASE)
    const { steps, needs } = new Parser(
      this.isAnyCase ? source.slice(ANY_CASE.length) : source,
      this.isAnyCase,
    ).parse()
    this.steps = steps
    this.needs = this.isAnyCase ? needs?.map((text) => text.toLowerCase()) : needs
    const [first] = steps
    this.isAnchored = first?.does === 'assert' && first.what === '^'
    this.seenAt = new Int32Array(this.steps.length)
  }

  /** Whether it matches anywhere in the text. */
  test(text: string): boolean {
    return this.hasNeeds(text) && this.matches(text)
  }

  /** Whether it may match at all, which is quickly said of most texts. */
  private hasNeeds(text: string): boolean {
    const { needs } = this
    if (needs === undefined) return true
    if (!this.isAnyCase) return needs.some((part) => text.includes(part))
    // Other letters may be the same as one of ours: the sign for Kelvin is a k.
    if (!ASCII_ONLY.test(text)) return true
    const small = text.toLowerCase()
    return needs.some((part) => small.includes(part))
  }

  private matches(text: string): boolean {
    this.seenAt.fill(-1)
    this.here.length = 0
    for (let at = 0; at <= text.length;) {
      const code = text.codePointAt(at)
      if ((at === 0 || !this.isAnchored) && this.follow(0, this.here, text, at)) return true
      if (code === undefined || (this.isAnchored && this.here.length === 0)) return false
      const next = at + (code > 0xffff ? 2 : 1)
      this.there.length = 0
      for (const index of this.here) {
        const step = this.steps[index]
        if (step?.does === 'take' && step.takes(code) && this.follow(index + 1, this.there, text, next))
          return true
      }
      const passed = this.here
      this.here = this.there
      this.there = passed
      at = next
    }
    return false
  }

  /** Puts what waits for a character behind `from` into the list. Whether the end was reached. */
  private follow(from: number, list: number[], text: string, at: number): boolean {
    const open = [from]
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      if (this.seenAt[index] === at) continue
      this.seenAt[index] = at
      const step = this.steps[index]
      switch (step?.does) {
        case 'match':
          return true
        case 'take':
          list.push(index)
          break
        case 'jump':
          open.push(step.to)
          break
        case 'split':
          open.push(step.other, step.one)
          break
        case 'assert':
          if (holds(step.what, text, at, this.isAnyCase ? WORD_IN_ANY_CASE : WORD)) open.push(index + 1)
          break
        case undefined:
      }
    }
    return false
  }
}

const ASCII_ONLY = /^[\0-\x7f]*$/
const WORD = /^\w$/
const WORD_IN_ANY_CASE = /^\w$/iu

function holds(what: '^' | '$' | 'b' | 'B', text: string, at: number, word: RegExp): boolean {
  if (what === '^') return at === 0
  if (what === '$') return at === text.length
  const isEdge = word.test(text[at - 1] ?? '') !== word.test(text[at] ?? '')
  return isEdge === (what === 'b')
}

/** What stands for one character, or begins a part of its own. */
const ATOM =
  /\\(?:[dDwWsS]|[pP]\{[^}]*\}|x[0-9a-fA-F]{2}|u\{[0-9a-fA-F]+\}|u[0-9a-fA-F]{4}|[nrtfv0]|[\\\/^$.*+?()[\]{}|\-])|\[(?:\\.|[^\]\\])*\]|[^\\[\]()*+?{}|^$]/suy
const QUANTIFIER = /(?:[*+?]|\{(?<least>\d+)(?<comma>,(?<most>\d*))?\})\??/y

/** A piece of an expression. */
interface Piece {
  readonly steps: Step[]
  /** One of these stands in every text that it matches; undefined when nothing is sure. */
  readonly needs: readonly string[] | undefined
}

/** Within a sequence: `literal` is what it stands for when that is one character, and always the same. */
interface Part extends Piece {
  readonly literal: string | undefined
  readonly isAssertion: boolean
}

class Parser {
  private readonly source: string
  private readonly flags: string
  private at = 0

  constructor(source: string, isAnyCase: boolean) {
    this.flags = isAnyCase ? 'isu' : 'su'
    this.source = source
  }

  parse(): Piece {
    const { steps, needs } = this.either()
    if (this.at < this.source.length) throw this.wrong('a ) without its (')
    return { steps: [...steps, { does: 'match' }], needs }
  }

  private either(): Piece {
    const one = this.sequence()
    if (this.source[this.at] !== '|') return one
    this.at++
    const other = this.either()
    const length = one.steps.length
    const steps = bounded([
      { does: 'split', one: 1, other: length + 2 },
      ...moved(one.steps, 1),
      { does: 'jump', to: length + other.steps.length + 2 },
      ...moved(other.steps, length + 2),
    ])
    const isSure = one.needs !== undefined && other.needs !== undefined
    return { steps, needs: isSure ? [...one.needs, ...other.needs] : undefined }
  }

  private sequence(): Piece {
    let steps: Step[] = []
    let needs: readonly string[] | undefined
    let run = ''
    for (let next = this.source[this.at]; next !== undefined && next !== '|' && next !== ')';) {
      const part = this.quantified(this.part())
      steps = bounded([...steps, ...moved(part.steps, steps.length)])
      if (part.literal !== undefined) run += part.literal
      else if (!part.isAssertion) {
        needs = rarer(needs, [run], part.needs)
        run = ''
      }
      next = this.source[this.at]
    }
    return { steps, needs: rarer(needs, [run]) }
  }

  private part(): Part {
    const next = this.source[this.at]
    if (next === '(') return { ...this.group(), literal: undefined, isAssertion: false }
    if (next === '^' || next === '$') {
      this.at++
      return assertion(next)
    }
    const [, edge] = /^\\([bB])/.exec(this.source.slice(this.at, this.at + 2)) ?? []
    if (edge === 'b' || edge === 'B') {
      this.at += 2
      return assertion(edge)
    }
    ATOM.lastIndex = this.at
    const [atom] = ATOM.exec(this.source) ?? []
    if (atom === undefined)
      throw this.wrong(`${this.source.slice(this.at, this.at + 2)} is not understood here`)
    this.at += atom.length
    const literal = literalOf(atom)
    return {
      steps: [{ does: 'take', takes: takerOf(atom, this.flags) }],
      ...{ literal, needs: undefined, isAssertion: false },
    }
  }

  private group(): Piece {
    this.at++
    if (this.source.startsWith('?:', this.at)) this.at += 2
    else if (this.source[this.at] === '?')
      throw this.wrong('looking ahead or behind, and names of groups, are not understood')
    const piece = this.either()
    if (this.source[this.at] !== ')') throw this.wrong('a ( without its )')
    this.at++
    return piece
  }

  private quantified(part: Part): Part {
    QUANTIFIER.lastIndex = this.at
    const match = QUANTIFIER.exec(this.source)
    if (match === null) return part
    this.at += match[0].length
    const [sign] = match[0]
    const { least: leastText = '', comma, most: mostText = '' } = match.groups ?? {}
    const least = sign === '{' ? Number(leastText) : sign === '+' ? 1 : 0
    const most =
      sign === '?'
        ? 1
        : sign !== '{'
          ? undefined
          : comma === undefined
            ? least
            : mostText === ''
              ? undefined
              : Number(mostText)
    if (least > MOST_REPEATS || (most ?? 0) > MOST_REPEATS || (most ?? least) < least)
      throw this.wrong(`expected at most ${MOST_REPEATS} repetitions, the smaller number first`)
    const { literal, needs } = part
    const once = literal === undefined ? needs : [literal]
    return {
      steps: repeated(part.steps, least, most),
      ...{ needs: least === 0 ? undefined : once, literal: undefined, isAssertion: false },
    }
  }

  private wrong(why: string): SyntaxError {
    return new SyntaxError(`${why}, at character ${this.at + 1}`)
  }
}

/** The character that an atom always stands for. */
function literalOf(atom: string): string | undefined {
  const [first = '', second] = Array.from(atom)
  if (second === undefined) return first === '.' ? undefined : first
  return first === '\\' && atom.length === 2 && !/[a-zA-Z0-9]/.test(second) ? second : undefined
}

const assertion = (what: '^' | '$' | 'b' | 'B'): Part => ({
  steps: [{ does: 'assert', what }],
  ...{ literal: undefined, needs: undefined, isAssertion: true },
})

/** What is less often there, by the length of its shortest text. */
function rarer(...all: readonly (readonly string[] | undefined)[]): readonly string[] | undefined {
  let best: readonly string[] | undefined
  for (const needs of all)
    if (needs !== undefined && shortest(needs) > (best === undefined ? 0 : shortest(best))) best = needs
  return best
}

const shortest = (texts: readonly string[]): number => Math.min(...texts.map(({ length }) => length))

function repeated(part: readonly Step[], least: number, most: number | undefined): Step[] {
  let steps: Step[] = []
  for (let count = 0; count < least; count++) steps = bounded([...steps, ...moved(part, steps.length)])
  if (most === undefined) {
    const at = steps.length
    const loop: Step = { does: 'split', one: at + 1, other: at + part.length + 2 }
    return bounded([...steps, loop, ...moved(part, at + 1), { does: 'jump', to: at }])
  }
  const end = steps.length + (most - least) * (part.length + 1)
  for (let count = least; count < most; count++) {
    const at = steps.length
    steps = bounded([...steps, { does: 'split', one: at + 1, other: end }, ...moved(part, at + 1)])
  }
  return steps
}

function bounded(steps: Step[]): Step[] {
  if (steps.length > MOST_STEPS) throw new SyntaxError('the expression stands for too much')
  return steps
}

/** The same steps, `by` further on. */
const moved = (steps: readonly Step[], by: number): Step[] =>
  steps.map((step) => {
    if (step.does === 'jump') return { ...step, to: step.to + by }
    return step.does === 'split' ? { ...step, one: step.one + by, other: step.other + by } : step
  })

const ASCII = 128

/** Whether a character is one of those that an atom stands for; what it is of ASCII is found out once. */
function takerOf(atom: string, flags: string): (code: number) => boolean {
  const single = new RegExp(`^(?:${atom})$`, flags)
  const takes = (code: number): boolean => single.test(String.fromCodePoint(code))
  const ascii: (boolean | undefined)[] = []
  return (code) => (code < ASCII ? (ascii[code] ??= takes(code)) : takes(code))
}
