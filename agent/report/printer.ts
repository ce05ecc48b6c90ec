import type { Report } from '../domain/report.ts'
import type { Log } from '../support/log.ts'
import { ANSI, PLAIN, textOf } from './text.ts'

export interface PrinterOptions {
  /** One JSON object a line instead of text. */
  readonly json: boolean
  readonly isTerminal: boolean
  readonly write: (text: string) => void
  readonly log?: Log
}

/** Sends reports where people and programs read them: standard output, and the log file when there is one. */
export function printer({ json, isTerminal, write, log }: PrinterOptions): (report: Report) => void {
  const colours = isTerminal && !json ? ANSI : PLAIN
  return (report) => {
    write(`${json ? jsonOf(report) : textOf(report, colours)}\n`)
    log?.line(textOf(report))
  }
}

/** What JSON leaves as it is although it ends a line somewhere, moves a cursor, or hides or turns text. */
const LIVELY = /[\u007f-\u009f\p{Zl}\p{Zp}\p{Cf}]/gu

/** One line of JSON that is safe to look at on a terminal: arguments of programs stand in it as they were. */
export const jsonOf = (report: object): string =>
  JSON.stringify(report).replace(LIVELY, (character) =>
    Array.from({ length: character.length }, (_, index) => character.charCodeAt(index))
      .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
      .join(''),
  )
