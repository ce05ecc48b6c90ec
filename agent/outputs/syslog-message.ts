import type { FACILITY_NAMES } from '../config/outputs.ts'
import type { Severity } from '../domain/report.ts'
import type { Notice } from '../report/notice.ts'

type Facility = (typeof FACILITY_NAMES)[number]

/** RFC 5424, 6.2.1. */
const FACILITIES: Readonly<Record<Facility, number>> = {
  user: 1,
  daemon: 3,
  auth: 4,
  authpriv: 10,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
}

/** RFC 5424, 6.2.1: critical, error, warning, notice. Emergencies and alerts are those of the whole host. */
export const PRIORITIES: Readonly<Record<Severity, number>> = { critical: 2, high: 3, medium: 4, low: 5 }

/** 32473 is the enterprise that RFC 5612 keeps for examples: fullmon has none of its own. */
const SD_ID = 'fullmon@32473'
const BOM = '\uFEFF'
const CUT = '…'
/** What is shorter says nothing. */
const LEAST_OF_VALUE = 16

export interface SyslogOptions {
  readonly facility: Facility
  readonly host: string
  readonly pid: number
  /** Most bytes of a message. */
  readonly mostBytes: number
}

/**
 * A message of RFC 5424: what it is about as structured data, the sentence and the reasons behind it as text. One that is too
 * long loses the end of its text, then parameters from the end, and says so with `…` and `cut="yes"`.
 */
export function syslogMessage(notice: Notice, { facility, host, pid, mostBytes }: SyslogOptions): Buffer {
  const { kind, severity, timeMs, headline, reasons, fields } = notice
  const priority = FACILITIES[facility] * 8 + PRIORITIES[severity]
  const head = `<${priority}>1 ${new Date(timeMs).toISOString()} ${headerWord(host, 255)} fullmon ${pid} ${kind}`
  const text = [headline, ...reasons].join('; ')
  const whole = Buffer.from(`${head} ${structured(fields)} ${BOM}${text}`)
  if (whole.length <= mostBytes) return whole
  const room = mostBytes - Buffer.byteLength(`${head}  ${BOM}`)
  // The text has at least half of the room.
  const data = structuredWithin(fields, Math.max(room - Buffer.byteLength(text), Math.floor(room / 2)))
  return Buffer.from(`${head} ${data} ${BOM}${beginningOf(text, room - Buffer.byteLength(data))}`)
}

type Parameters = Notice['fields']

const structured = (parameters: Parameters): string =>
  `[${SD_ID}${parameters.map(([name, value]) => ` ${name.slice(0, 32)}="${escaped(value)}"`).join('')}]`

function structuredWithin(parameters: Parameters, mostBytes: number): string {
  const kept: (readonly [string, string])[] = []
  const mark = ['cut', 'yes'] as const
  const sizeWith = (parameter: readonly [string, string]): number =>
    Buffer.byteLength(structured([...kept, parameter, mark]))
  let isCut = false
  for (const [name, value] of parameters) {
    if (sizeWith([name, value]) <= mostBytes) kept.push([name, value])
    else {
      isCut = true
      // Escaped, it may be twice as long.
      const room = Math.floor((mostBytes - sizeWith([name, ''])) / 2)
      if (room >= LEAST_OF_VALUE) kept.push([name, beginningOf(value, room)])
    }
  }
  return structured(isCut ? [...kept, mark] : kept)
}

/** RFC 5424, 6.3.3. */
const escaped = (value: string): string => value.replace(/["\\\]]/g, '\\$&')

/** RFC 5424, 6: printable ASCII without spaces. */
function headerWord(text: string, most: number): string {
  const word = text.replace(/[^!-~]/g, '?').slice(0, most)
  return word === '' ? '-' : word
}

/** As much of a text as fits, and no half of a character at its end. */
export function beginningOf(text: string, mostBytes: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= mostBytes) return text
  let end = Math.max(0, mostBytes - Buffer.byteLength(CUT))
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end) + CUT
}
