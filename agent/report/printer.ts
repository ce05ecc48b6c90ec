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
    write(json ? `${JSON.stringify(report)}\n` : `${textOf(report, colours)}\n`)
    log?.line(textOf(report))
  }
}
