import type { Evidence } from '../domain/report.ts'

const MOST_CHARACTERS = 16_384
/** Quotes and a comma: a list may also be long for the number of its words. */
const CHARACTERS_OF_WORD = 3

/**
 * Arguments as evidence keeps them: one execve may carry 2 MiB of them. What is too much is left out, and the last word
 * says how much that was; the same list when nothing is.
 */
export function boundedArgv(argv: Evidence['argv']): Evidence['argv'] {
  const all = argv.reduce((sum, { length }) => sum + length, 0)
  if (all + argv.length * CHARACTERS_OF_WORD <= MOST_CHARACTERS) return argv
  const kept: string[] = []
  let room = MOST_CHARACTERS
  let whole = 0
  for (const word of argv) {
    if (room < word.length + CHARACTERS_OF_WORD) break
    room -= word.length + CHARACTERS_OF_WORD
    kept.push(word)
    whole++
  }
  const cut = beginningOf(argv[whole] ?? '', room)
  if (cut !== '') kept.push(cut)
  const characters = all - kept.reduce((sum, { length }) => sum + length, 0)
  const words = argv.length - whole
  return [...kept, `… (${characters} more characters in ${words} argument${words === 1 ? '' : 's'})`]
}

/** At most `most` characters, and no half of a character at the end. */
function beginningOf(text: string, most: number): string {
  const beginning = text.slice(0, most)
  return beginning.isWellFormed() || !text.isWellFormed() ? beginning : beginning.slice(0, -1)
}
