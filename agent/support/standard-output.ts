import { fstatSync } from 'node:fs'
import { holdsText, lastLines } from './last-lines.ts'

const FILE = '/proc/self/fd/1'

/** Where reports are printed. */
export interface Output {
  readonly isColoured: boolean
  /** Whether the locale has more characters than ASCII. */
  readonly isUnicode: boolean
  readonly write: (text: string) => void
  /** Whether this was printed before, whole, as far as that can be known: of a pipe or a terminal it cannot. */
  readonly holds: (text: string) => boolean
}

/** Standard output. A line that a former run left unfinished in a file is ended. */
export function standardOutput(): Output {
  const isFile = fstatSync(1).isFile()
  const write = (text: string): void => void process.stdout.write(text)
  if (isFile && lastLines(FILE).isCut) write('\n')
  return {
    isColoured: hasColours(process.stdout.isTTY, process.env),
    isUnicode: isUnicodeIn(process.env),
    write,
    holds: (text) => isFile && holdsText(lastLines(FILE).lines, text),
  }
}

/** Whether a terminal is there that shows colours, and nobody has asked for none: https://no-color.org */
export function hasColours(
  isTerminal: boolean,
  { NO_COLOR, TERM }: Readonly<Record<string, string | undefined>>,
): boolean {
  return isTerminal && (NO_COLOR ?? '') === '' && TERM !== 'dumb'
}

/** As setlocale(3) looks for the character set. */
export function isUnicodeIn(environment: Readonly<Record<string, string | undefined>>): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = environment
  const locale = [LC_ALL, LC_CTYPE, LANG].find((value) => value !== undefined && value !== '') ?? ''
  return /utf-?8/i.test(locale)
}
