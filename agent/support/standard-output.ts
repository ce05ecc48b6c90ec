import { fstatSync } from 'node:fs'
import { lastLines } from './last-lines.ts'

const FILE = '/proc/self/fd/1'

/** Where reports are printed. */
export interface Output {
  readonly isTerminal: boolean
  readonly write: (text: string) => void
  /** Whether this line was printed before, as far as that can be known: of a pipe or a terminal it cannot. */
  readonly holds: (line: string) => boolean
}

/** Standard output. A line that a former run left unfinished in a file is ended. */
export function standardOutput(): Output {
  const isFile = fstatSync(1).isFile()
  const write = (text: string): void => void process.stdout.write(text)
  if (isFile && lastLines(FILE).isCut) write('\n')
  return {
    isTerminal: process.stdout.isTTY,
    write,
    holds: (line) => isFile && lastLines(FILE).lines.includes(line),
  }
}
