import type { Report } from '../domain/report.ts'
import type { Log } from '../support/log.ts'
import type { Output } from '../support/standard-output.ts'
import type { Severity } from '../domain/severity.ts'
import { ecsOf, type Origin } from './ecs.ts'
import { gravityOf, isAtLeast } from './gravity.ts'
import { type Look, lookFor, textOf } from './text.ts'

/** How reports are printed: for people, or as one object a line, which is the report itself or by names of ECS. */
export const FORMATS = ['text', 'json', 'ecs'] as const

export type Format = (typeof FORMATS)[number]

export interface PrinterOptions {
  readonly format: Format
  readonly output: Output
  readonly log?: Log
  /** Who reports: names of ECS say it. */
  readonly origin: Origin
  /** Gravity from which something is printed; everything without it. */
  readonly least?: { readonly output: Severity; readonly log: Severity }
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
export function printer({ format, output, log, origin, least }: PrinterOptions): Printer {
  const look = lookFor(output)
  const logLook = lookFor({ ...output, isColoured: false })
  const printed = (report: Report): string | undefined =>
    isWanted(report, least?.output) ? formatted(report, format, origin, look) : undefined
  const logged = (report: Report): string | undefined =>
    isWanted(report, least?.log) ? textOf(report, logLook) : undefined
  return {
    print: (report) => {
      const [text, line] = [printed(report), logged(report)]
      if (text !== undefined) output.write(`${text}\n`)
      if (line !== undefined) log?.line(line)
    },
    again: (report) => {
      const [text, line] = [printed(report), logged(report)]
      if (text !== undefined && !output.holds(text)) output.write(`${text}\n`)
      if (line !== undefined && log?.holds(line) === false) log.line(line)
    },
  }
}

/** @returns undefined for a report that has no such form */
export function formatted(report: Report, format: Format, origin: Origin, look: Look): string | undefined {
  if (format === 'text') return textOf(report, look)
  const object = format === 'json' ? report : ecsOf(report, origin)
  return object && jsonOf(object)
}

/** What was learned is told like what is least grave; how a run ended is always told. */
function isWanted(report: Report, least: Severity | undefined): boolean {
  if (least === undefined || report.kind === 'summary') return true
  return isAtLeast(gravityOf(report) ?? 'low', least)
}

/** What JSON leaves as it is although it ends a line somewhere, moves a cursor, or hides or turns text. */
const LIVELY = /[\u007f-\u009f\p{Zl}\p{Zp}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu
/** How JSON.stringify writes half a character, which no strict reader takes, and the backslash that this could be confused with. */
const HALF = /\\\\|\\u(d[89a-f][0-9a-f]{2})/g

/**
 * One line of JSON that is safe to look at on a terminal: arguments of programs stand in it as they were, except that a
 * byte which is no UTF-8 is written as it is printed everywhere, `\xNN`.
 */
export const jsonOf = (report: object): string =>
  JSON.stringify(report)
    .replace(HALF, (text, half: string | undefined) => (half === undefined ? text : `\\\\${halfText(half)}`))
    .replace(LIVELY, (character) =>
      Array.from({ length: character.length }, (_, index) => character.charCodeAt(index))
        .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
        .join(''),
    )

/** As names are printed: see `printable`. */
const halfText = (hex: string): string => (/^dc[89a-f]/.test(hex) ? `x${hex.slice(2)}` : `u{${hex}}`)
