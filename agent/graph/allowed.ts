/** One piece of the expression of a pattern: a character as it is, or so many of a class; `most` is undefined for any number. */
interface Piece {
  readonly members: readonly Range[]
  readonly count: number | undefined
  /** As it is written in the expression. */
  readonly source: string
}

type Range = readonly [first: number, last: number]

const PIECE =
  /\(\?(?:!|<executable>)[^)]*\)|(?<any>\\d\+)|(?<digits>\\d)(?:\{(?<digitCount>\d+)\})?|\[(?<class>[^\]]+)\](?:\{(?<count>\d+)\})?|\\(?<escaped>.)|(?<literal>[\s\S])/gu
const DIGITS: readonly Range[] = [[0x30, 0x39]]
/** Digits that a number of any length gets, in the names that are made. */
const USUAL_NUMBER = 5
/** A constant of Knuth's multiplicative hash. */
const STEP = 2_654_435_761

function piecesOf(expression: string): Piece[] {
  const pieces: Piece[] = []
  for (const match of expression.matchAll(PIECE)) {
    const { any, digits, digitCount, class: members, count, escaped, literal } = match.groups ?? {}
    const [source] = match
    if (any !== undefined) pieces.push({ members: DIGITS, count: undefined, source })
    else if (digits !== undefined) pieces.push({ members: DIGITS, count: Number(digitCount ?? 1), source })
    else if (members !== undefined)
      pieces.push({ members: rangesOf(members), count: Number(count ?? 1), source })
    else {
      const code = (escaped ?? literal)?.codePointAt(0)
      if (code !== undefined) pieces.push({ members: [[code, code]], count: 1, source })
    }
  }
  return pieces
}

const rangesOf = (members: string): Range[] =>
  [...members.matchAll(/(?<first>[^-])-(?<last>[^-])|(?<only>.)/gu)].map(({ groups }) => {
    const { first, last, only } = groups ?? {}
    const from = (first ?? only)?.codePointAt(0) ?? 0
    return [from, last?.codePointAt(0) ?? from]
  })

/** Names that an expression allows, the same ones every time, made by no program but by this one. */
export function namesAllowedBy(expression: string, count: number): string[] {
  const pieces = piecesOf(expression)
  const regex = new RegExp(`^${expression}$`)
  const names = new Set<string>()
  let seed = 1
  const below = (most: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return ((Math.imul(seed, STEP) >>> 0) >>> 8) % most
  }
  // A name that is a word by chance is not allowed, so a few more are made than are asked for.
  for (let tries = 0; tries < 4 * count && names.size < count; tries++) {
    const name = pieces
      .map((piece) => textOf(piece, piece.count ?? 1 + below(USUAL_NUMBER), (size) => below(size)))
      .join('')
    if (regex.test(name)) names.add(name)
  }
  return [...names]
}

/**
 * Names at the edges of what an expression allows. Another one that allows all of them allows, as patterns are made,
 * whatever this one does.
 */
export function extremesOf(expression: string): string[] {
  const pieces = piecesOf(expression)
  const regex = new RegExp(`^${expression}$`)
  const edges = Math.max(1, ...pieces.map(({ members }) => 2 * members.length))
  const names: string[] = []
  for (let edge = 0; edge < edges; edge++)
    for (const digits of [1, 20])
      for (const isMixed of [false, true]) {
        const name = pieces
          .map((piece) =>
            textOf(piece, piece.count ?? digits, (size, index) =>
              edgeOf(piece, size, isMixed ? edge + index : edge),
            ),
          )
          .join('')
        if (regex.test(name)) names.push(name)
      }
  return names
}

/** What changes from name to name, in words. */
export function variablePartsOf(expression: string): string[] {
  return piecesOf(expression)
    .filter(
      ({ members: [range, ...others], count }) =>
        count !== 1 || others.length > 0 || range?.[0] !== range?.[1],
    )
    .map(({ count, source }) => {
      if (count === undefined) return 'any number'
      const members = /\[(.*)\]/.exec(source)?.[1]
      return members === undefined ? `${count} digits` : `${count} of ${members}`
    })
}

/** @param choose of so many members, for the place of the character */
const textOf = (
  { members }: Piece,
  count: number,
  choose: (size: number, index: number) => number,
): string => {
  const size = members.reduce((sum, [first, last]) => sum + last - first + 1, 0)
  let text = ''
  for (let index = 0; index < count; index++) text += memberAt(members, size === 1 ? 0 : choose(size, index))
  return text
}

function memberAt(members: readonly Range[], place: number): string {
  let rest = place
  for (const [first, last] of members) {
    if (rest <= last - first) return String.fromCodePoint(first + rest)
    rest -= last - first + 1
  }
  return ''
}

/** The first and the last member of each range, in turns. */
function edgeOf({ members }: Piece, size: number, edge: number): number {
  const wanted = edge % (2 * members.length)
  let place = 0
  for (const [index, [first, last]] of members.entries()) {
    if (wanted === 2 * index) return place
    if (wanted === 2 * index + 1) return place + last - first
    place += last - first + 1
  }
  return size - 1
}
