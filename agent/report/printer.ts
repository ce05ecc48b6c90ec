import type { Report } from '../domain/report.ts'
import type { Log } from '../support/log.ts'
import type { Output } from '../support/standard-output.ts'
import { ANSI, PLAIN, textOf } from './text.ts'

export interface PrinterOptions {
  /** One JSON object a line instead of text. */
  readonly json: boolean
  readonly output: Output
  readonly log?: Log
}

export interface Printer {
  readonly print: (report: Report) => void
  /**
   * Prints what an earlier run may have printed before it was killed: only where it does not stand already. On a pipe or
   * a terminal that cannot be known, so there it is printed.
   */
  readonly again: (report: Report) => void
}

/** Sends reports where people and programs read them: standard output, and the log file when there is one. */
export function printer({ json, output, log }: PrinterOptions): Printer {
  const colours = output.isTerminal && !json ? ANSI : PLAIN
  const lineOf = (report: Report): string => (json ? jsonOf(report) : textOf(report, colours))
  return {
    print: (report) => {
      output.write(`${lineOf(report)}\n`)
      log?.line(textOf(report))
    },
    again: (report) => {
      const line = lineOf(report)
      if (!output.holds(line)) output.write(`${line}\n`)
      const text = textOf(report)
      if (log?.holds(text) === false) log.line(text)
    },
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
