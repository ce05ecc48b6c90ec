/** A part of a path that may change from one file to the next. */
export interface Token {
  readonly type: 'uuid' | 'date' | 'hash' | 'number' | 'run'
  readonly text: string
}

/** A path cut at its changing parts: `literals[i]` stands before `tokens[i]`, the last literal at the end. */
export interface Shape {
  /** Paths with the same key differ in their tokens only. */
  readonly key: string
  readonly literals: readonly string[]
  readonly tokens: readonly Token[]
}

/** Shortest run of letters and digits that can be the random part of a temporary name: mkstemp(3) makes six. */
const SHORTEST_RUN = 6
/** A path gives one shape for each run that might be random; further ones are not looked at. */
const MOST_RUNS = 6

const HEX = '[0-9a-fA-F]'
const TYPED = new RegExp(
  [
    `(?<uuid>${HEX}{8}-${HEX}{4}-${HEX}{4}-${HEX}{4}-${HEX}{12})`,
    String.raw`(?<date>(?<!\d)(?:19|20)\d\d-[01]\d-[0-3]\d(?!\d))`,
    // A hash may be spread over directories by its first digits: `objects/3f/c09…`, `cache/a/b1/3e2…`.
    String.raw`(?<spread>(?<=/)[0-9a-f]{1,2}(?=(?:/[0-9a-f]{1,2})?/[0-9a-f]{30,128}(?![0-9a-zA-Z])))`,
    `(?<hash>(?<![0-9a-zA-Z])(?:[0-9a-f]{8,128}|[0-9A-F]{8,128})(?![0-9a-zA-Z]))`,
    String.raw`(?<number>\d+)`,
  ].join('|'),
  'g',
)
const RUN = /[A-Za-z0-9_]+/g
const HAS_DIGIT = /\d/
const HAS_LETTER = /[a-zA-Z]/
/** A control character: printed paths have none. */
const SEPARATOR = '\u001f'

/**
 * The shapes that a path may share with its siblings: one with its typed parts (uuid, date, hash, number) taken out, and
 * one for each run of letters and digits that might be random besides.
 */
export function shapesOf(path: string): Shape[] {
  const typed = [...typedTokens(path)]
  const shapes: Shape[] = []
  if (typed.length > 0) shapes.push(shape(path, typed))
  let runs = 0
  for (const match of path.matchAll(RUN)) {
    const [text] = match
    const end = match.index + text.length
    if (text.length < SHORTEST_RUN) continue
    const others = typed.filter((token) => token.end <= match.index || token.start >= end)
    const isInsideTyped = typed.some(
      (token) => token.type !== 'number' && token.start < end && token.end > match.index,
    )
    if (isInsideTyped) continue
    shapes.push(shape(path, [...others, { type: 'run' as const, text, start: match.index, end }]))
    if (++runs === MOST_RUNS) break
  }
  return shapes
}

interface PlacedToken extends Token {
  readonly start: number
  readonly end: number
}

function* typedTokens(path: string): Iterable<PlacedToken> {
  for (const match of path.matchAll(TYPED)) {
    const { uuid, date, spread, hash } = match.groups ?? {}
    const [text] = match
    // A word such as `deadbeef` is no hash: that takes digits and letters.
    if (hash !== undefined && !HAS_DIGIT.test(hash)) continue
    const isHash = spread !== undefined || (hash !== undefined && HAS_LETTER.test(hash))
    const type = uuid !== undefined ? 'uuid' : date !== undefined ? 'date' : isHash ? 'hash' : 'number'
    yield { type, text, start: match.index, end: match.index + text.length }
  }
}

function shape(path: string, unsorted: readonly PlacedToken[]): Shape {
  const tokens = [...unsorted].sort((one, other) => one.start - other.start)
  const literals: string[] = []
  let key = ''
  let at = 0
  for (const { type, text, start, end } of tokens) {
    const literal = path.slice(at, start)
    literals.push(literal)
    key += `${literal}${SEPARATOR}${type}${type === 'run' || type === 'hash' ? text.length : ''}${SEPARATOR}`
    at = end
  }
  literals.push(path.slice(at))
  return { key: key + path.slice(at), literals, tokens: tokens.map(({ type, text }) => ({ type, text })) }
}
