import type { Report } from '../domain/report.ts'
import type { Log } from '../support/log.ts'
import type { Output } from '../support/standard-output.ts'
import { lookFor, textOf } from './text.ts'

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
  const look = lookFor(output)
  const logLook = lookFor({ ...output, isTerminal: false })
  const logged = (report: Report): string => textOf(report, logLook)
  const printed = (report: Report): string => (json ? jsonOf(report) : textOf(report, look))
  return {
    print: (report) => {
      output.write(`${printed(report)}\n`)
      log?.line(logged(report))
    },
    again: (report) => {
      const text = printed(report)
      if (!output.holds(text)) output.write(`${text}\n`)
      const line = logged(report)
      if (log?.holds(line) === false) log.line(line)
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
