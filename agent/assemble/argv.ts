import type { ArgumentPiece, ExecveRecord } from '../domain/record.ts'

/** Longer argument lists are cut: 2 MiB is what one execve may carry by default (ARG_MAX of old kernels, MAX_ARG_STRLEN × 16). */
const MOST_CHARACTERS = 4 * 1024 * 1024

/** Undoes the kernel's hex for one argument. */
export type DecodeHex = (hex: string) => string

export interface Argv {
  readonly argv: readonly string[]
  readonly truncated: boolean
}

/** Lists of events that had one record, by that record: readers hand out the same record for the same bytes. */
const joined = new WeakMap<ExecveRecord, Argv>()

/**
 * The argument list from all EXECVE records of an event, in whatever order they arrived.
 *
 * Arguments are put in order by their index, and fragments of one by theirs; these are joined before they are decoded,
 * because a character may straddle two of them. Old kernels left empty arguments out (fixed in 4.20), so a hole in a list
 * that is complete up to `argc` otherwise reads as an empty argument.
 */
export function joinArgv(records: readonly ExecveRecord[], decodeHex: DecodeHex): Argv {
  const first = records[0]
  if (first === undefined || records.length > 1) return join(records, decodeHex)
  let argv = joined.get(first)
  if (argv === undefined) joined.set(first, (argv = join(records, decodeHex)))
  return argv
}

function join(records: readonly ExecveRecord[], decodeHex: DecodeHex): Argv {
  const byIndex = new Map<number, ArgumentPiece[]>()
  const announced = new Map<number, number>()
  let argc: number | undefined
  let length = 0
  let characters = 0
  let isCut = false
  for (const record of records) {
    argc ??= record.argc
    isCut ||= record.isCut
    for (const each of record.lengths) announced.set(each.index, each.length)
    for (const piece of record.pieces) {
      characters += piece.text.length
      if (characters > MOST_CHARACTERS) break
      const pieces = byIndex.get(piece.index)
      if (pieces === undefined) byIndex.set(piece.index, [piece])
      else pieces.push(piece)
      length = Math.max(length, piece.index + 1)
    }
  }
  for (const pieces of byIndex.values())
    if (pieces.length > 1) pieces.sort((one, other) => one.fragment - other.fragment)
  const textAt = (index: number): string => textOf(byIndex.get(index) ?? [], decodeHex)
  // An index far beyond what is there is a torn or forged line, not a list of empty arguments.
  const isSparse = length > byIndex.size * 2 + 64
  const isWhole = [...byIndex].every(([index, pieces]) => areWhole(pieces, announced.get(index)))
  const isThere = [...announced.keys()].every((index) => byIndex.has(index))
  return {
    argv: isSparse
      ? [...byIndex.keys()].sort((one, other) => one - other).map(textAt)
      : Array.from({ length }, (_, index) => textAt(index)),
    truncated: isCut || isSparse || length !== argc || characters > MOST_CHARACTERS || !isWhole || !isThere,
  }
}

/**
 * Whether all fragments up to the last are there, in order, none was cut in the middle of a byte, and they are as long
 * together as was announced: in characters as written (before Linux 4.8), or in bytes of the argument.
 */
function areWhole(pieces: readonly ArgumentPiece[], announced: number | undefined): boolean {
  let written = 0
  let bytes = 0
  for (const [place, { fragment, isHex, text }] of pieces.entries()) {
    if (fragment !== place || (isHex && text.length % 2 === 1)) return false
    written += text.length
    bytes += isHex ? text.length / 2 : text.length
  }
  return announced === undefined || announced === written || announced === bytes
}

/** The kernel begins to write hex with the first fragment that needs it, and then stays with it. */
function textOf(pieces: readonly ArgumentPiece[], decodeHex: DecodeHex): string {
  if (!pieces.some(({ isHex }) => isHex)) return pieces.map(({ text }) => text).join('')
  return decodeHex(pieces.map(({ text, isHex }) => (isHex ? wholeBytes(text) : hexOf(text))).join(''))
}

const wholeBytes = (hex: string): string => hex.slice(0, hex.length - (hex.length % 2))
const hexOf = (text: string): string => Buffer.from(text, 'latin1').toString('hex')
