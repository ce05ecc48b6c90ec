import { expressionOfText } from './expressions.ts'
import { oddness, type Token, tokensOf } from './tokens.ts'

/** A part that siblings may not share: a token, or a run of letters and digits that may be random. */
export interface Part {
  readonly type: Token['type'] | 'run'
  readonly text: string
  readonly isStrong: boolean
}

/** A path cut at its changing parts: `literals[i]` stands before `parts[i]`, the last literal at the end. */
export interface Shape {
  /** Paths with the same key differ in their parts only. */
  readonly key: string
  readonly literals: readonly string[]
  readonly parts: readonly Part[]
}

/** Shortest run of letters and digits that can be the random part of a temporary name: mkstemp(3) makes six. */
const SHORTEST_RUN = 6
/** A path gives one shape for each run that might be random; further ones are not looked at. */
const MOST_RUNS = 6

const RUN = /[A-Za-z0-9_]+/g
const PAIR = /\/[0-9a-f]{2}(?=\/|$)/g
/** A control character: printed paths have none. */
const SEPARATOR = '\u001f'

/**
 * The path with its tokens taken out; undefined when it has none.
 *
 * @param isNameLiteral whether only what lies in directories may change
 */
export function typedShape(path: string, isNameLiteral = false): Shape | undefined {
  const tokens = tokensOf(path).filter(isBefore(endOf(path, isNameLiteral)))
  return tokens.length === 0 ? undefined : shapeOf(path, tokens)
}

/** How far a path may change. */
const endOf = (path: string, isNameLiteral: boolean): number =>
  isNameLiteral ? path.lastIndexOf('/') : path.length

const isBefore =
  (limit: number) =>
  ({ end }: { readonly end: number }): boolean =>
    end <= limit

/**
 * The shapes that a path may share with its siblings: one with its tokens (uuid, stamp, hash, number, random) taken out,
 * one for each run of letters and digits that might be random besides, and one for all that look so at once.
 *
 * @param isNameLiteral whether only what lies in directories may change
 */
export function shapesOf(path: string, isNameLiteral = false): Shape[] {
  const isFree = isBefore(endOf(path, isNameLiteral))
  const tokens = tokensOf(path).filter(isFree)
  const shapes = tokens.length === 0 ? [] : [shapeOf(path, tokens)]
  const runs = runsOf(path, tokens).filter(isFree)
  for (const run of runs) shapes.push(shapeOf(path, [...tokens.filter(isApartFrom([run])), run]))
  const odd = runs.filter(({ text }) => oddness(text) > 0)
  if (odd.length > 1) shapes.push(shapeOf(path, [...tokens.filter(isApartFrom(odd)), ...odd]))
  const pairs = pairsOf(path, tokens).filter(isFree)
  if (pairs.length > 0) shapes.push(shapeOf(path, [...tokens.filter(isApartFrom(pairs)), ...pairs]))
  const loose = looseParts(path, tokens, pairs, isFree)
  if (loose !== undefined) shapes.push(shapeOf(path, loose))
  return shapes
}

/**
 * All parts that may change at once, and whatever looks random as a run, so that siblings have one shape although chance
 * gave some of them a random part that shows at first sight, and others none. What does not change stays literal.
 */
function looseParts(
  path: string,
  tokens: readonly Token[],
  pairs: readonly PlacedPart[],
  isFree: (part: PlacedPart) => boolean,
): readonly PlacedPart[] | undefined {
  const certain = tokens.filter(({ type }) => type !== 'random')
  const runs = runsOf(path, certain).filter(isFree)
  const odd = runs.filter(({ text }) => oddness(text) > 0)
  const isNew =
    pairs.length > 0 || (certain.length < tokens.length && runs.length > 0) || odd.length < runs.length
  if (!isNew || runs.length + pairs.length < 2 || odd.length + pairs.length === 0) return undefined
  const taken = [...runs, ...pairs]
  return [...certain.filter(isApartFrom(taken)), ...taken]
}

/** Directories named by the first two digits of a hash, as git and caches make them, and files named so. */
function pairsOf(path: string, tokens: readonly Token[]): PlacedPart[] {
  const pairs: PlacedPart[] = []
  for (const match of path.matchAll(PAIR)) {
    const start = match.index + 1
    const end = start + 2
    const isTaken = tokens.some((token) => token.isStrong && token.start < end && token.end > start)
    if (!isTaken) pairs.push({ type: 'hash', text: path.slice(start, end), isStrong: false, start, end })
    if (pairs.length === MOST_RUNS) break
  }
  return pairs
}

interface PlacedPart extends Part {
  readonly start: number
  readonly end: number
}

function runsOf(path: string, tokens: readonly Token[]): PlacedPart[] {
  const runs: PlacedPart[] = []
  for (const match of path.matchAll(RUN)) {
    const [text] = match
    const start = match.index
    const end = start + text.length
    if (text.length < SHORTEST_RUN) continue
    const isTaken = tokens.some((token) => token.type !== 'number' && token.start < end && token.end > start)
    if (isTaken) continue
    runs.push({ type: 'run', text, isStrong: false, start, end })
    if (runs.length === MOST_RUNS) break
  }
  return runs
}

const isApartFrom =
  (others: readonly PlacedPart[]) =>
  ({ start, end }: PlacedPart): boolean =>
    others.every((other) => other.end <= start || other.start >= end)

function shapeOf(path: string, unsorted: readonly PlacedPart[]): Shape {
  const parts = [...unsorted].sort((one, other) => one.start - other.start)
  const literals: string[] = []
  let key = ''
  let at = 0
  for (const part of parts) {
    const literal = path.slice(at, part.start)
    literals.push(literal)
    key += `${literal}${SEPARATOR}${part.type}${formOf(part)}${SEPARATOR}`
    at = part.end
  }
  literals.push(path.slice(at))
  return {
    key: key + path.slice(at),
    literals,
    parts: parts.map(({ type, text, isStrong }) => ({ type, text, isStrong })),
  }
}

/** What siblings have in common in this part. */
function formOf({ type, text }: Part): string {
  switch (type) {
    case 'hash':
    case 'capitals':
    case 'run':
      return String(text.length)
    case 'random':
    case 'stamp':
      return expressionOfText(type, [text])
    case 'uuid':
    case 'number':
      return ''
  }
}
