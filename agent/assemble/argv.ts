import type { ExecveRecord } from '../domain/record.ts'

/** Longer argument lists are cut: 2 MiB is what one execve may carry by default (ARG_MAX of old kernels, MAX_ARG_STRLEN × 16). */
const MOST_CHARACTERS = 4 * 1024 * 1024

/** Undoes the kernel's hex for one argument. */
export type DecodeHex = (hex: string) => string

export interface Argv {
  readonly argv: readonly string[]
  readonly truncated: boolean
}

/**
 * The argument list from all EXECVE records of an event.
 *
 * Arguments are put in order by their index; fragments of one argument are joined before they are decoded, because a
 * character may straddle two of them. Old kernels left empty arguments out (fixed in 4.20), so a hole in a list that is
 * complete up to `argc` otherwise reads as an empty argument.
 */
export function joinArgv(records: readonly ExecveRecord[], decodeHex: DecodeHex): Argv {
  const byIndex = new Map<number, { text: string; isHex: boolean; next: number }>()
  let argc: number | undefined
  let truncated = false
  let characters = 0
  for (const record of records) {
    argc ??= record.argc
    for (const piece of record.pieces) {
      characters += piece.text.length
      if (characters > MOST_CHARACTERS) return { argv: listOf(byIndex, decodeHex), truncated: true }
      const begun = byIndex.get(piece.index)
      if (begun === undefined) {
        if (piece.fragment !== 0) truncated = true
        byIndex.set(piece.index, { text: piece.text, isHex: piece.isHex, next: piece.fragment + 1 })
      } else {
        if (piece.fragment !== begun.next) truncated = true
        begun.text += piece.text
        begun.next = piece.fragment + 1
      }
    }
  }
  const argv = listOf(byIndex, decodeHex)
  const cut = argc === undefined || argv.length !== argc || byIndex.size === 0
  return { argv, truncated: truncated || cut }
}

function listOf(
  byIndex: ReadonlyMap<number, { readonly text: string; readonly isHex: boolean }>,
  decodeHex: DecodeHex,
): string[] {
  const length = byIndex.size === 0 ? 0 : Math.max(...byIndex.keys()) + 1
  // An index far beyond what is there is a torn or forged line, not a list of empty arguments.
  if (length > byIndex.size * 2 + 64)
    return [...byIndex.values()].map((argument) => decode(argument, decodeHex))
  return Array.from({ length }, (_, index) => {
    const argument = byIndex.get(index)
    return argument === undefined ? '' : decode(argument, decodeHex)
  })
}

const decode = (
  argument: { readonly text: string; readonly isHex: boolean },
  decodeHex: DecodeHex,
): string => (argument.isHex ? decodeHex(argument.text) : argument.text)
