import type { ArgumentPiece, ExecveRecord } from '../domain/record.ts'

/** Longer argument lists are cut: 2 MiB is what one execve may carry by default (ARG_MAX of old kernels, MAX_ARG_STRLEN × 16). */
const MOST_CHARACTERS = 4 * 1024 * 1024

/** Undoes the kernel's hex for one argument. */
export type DecodeHex = (hex: string) => string

export interface Argv {
  readonly argv: readonly string[]
  readonly truncated: boolean
}

/**
 * The argument list from all EXECVE records of an event, in whatever order they arrived.
 *
 * Arguments are put in order by their index, and fragments of one by theirs; these are joined before they are decoded,
 * because a character may straddle two of them. Old kernels left empty arguments out (fixed in 4.20), so a hole in a list
 * that is complete up to `argc` otherwise reads as an empty argument.
 */
export function joinArgv(records: readonly ExecveRecord[], decodeHex: DecodeHex): Argv {
  const byIndex = new Map<number, ArgumentPiece[]>()
  let argc: number | undefined
  let length = 0
  let characters = 0
  for (const record of records) {
    argc ??= record.argc
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
  return {
    argv: isSparse
      ? [...byIndex.keys()].sort((one, other) => one - other).map(textAt)
      : Array.from({ length }, (_, index) => textAt(index)),
    truncated:
      isSparse || length !== argc || characters > MOST_CHARACTERS || ![...byIndex.values()].every(isWhole),
  }
}

/** Whether all fragments up to the last are there, in order, and none was cut in the middle of a byte. */
const isWhole = (pieces: readonly ArgumentPiece[]): boolean =>
  pieces.every(({ fragment, isHex, text }, place) => fragment === place && !(isHex && text.length % 2 === 1))

function textOf(pieces: readonly ArgumentPiece[], decodeHex: DecodeHex): string {
  const text = pieces.map((piece) => piece.text).join('')
  return pieces[0]?.isHex === true ? decodeHex(text) : text
}
