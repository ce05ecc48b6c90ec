/** Bytes that the grammar of the log is made of. */
export const TAB = 0x09
export const LF = 0x0a
export const CR = 0x0d
/** Separates what the kernel wrote from what auditd added in ENRICHED format. */
export const GS = 0x1d
export const SPACE = 0x20
export const QUOTE = 0x22
export const CLOSING = 0x29
export const MINUS = 0x2d
export const POINT = 0x2e
export const ZERO = 0x30
export const COLON = 0x3a
export const EQUALS = 0x3d
export const LETTER_Y = 0x79

/** An unsigned decimal number that begins at `at` and ends at the first byte that is no digit; -1 when there is none. */
export function decimalAt(bytes: Uint8Array, at: number, end: number): number {
  let value = 0
  let position = at
  for (; position < end; position++) {
    const digit = (bytes[position] ?? 0) - ZERO
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
  }
  return position === at ? -1 : value
}

/** An octal number, as of permissions: `0100644`; 0 when there is none. */
export function octalAt(bytes: Uint8Array, at: number, end: number): number {
  let value = 0
  for (let position = at; position < end; position++) {
    const digit = (bytes[position] ?? 0) - ZERO
    if (digit < 0 || digit > 7) break
    value = value * 8 + digit
  }
  return value
}

/** Value of one hex digit, or -1. */
export const hexDigit = (byte: number): number => HEX_DIGITS[byte] ?? -1

const HEX_DIGITS = Int8Array.from({ length: 256 }, (_, byte) => {
  const value = Number.parseInt(String.fromCharCode(byte), 16)
  return Number.isNaN(value) ? -1 : value
})

/** A text of 4 to 12 bytes, to be looked for four bytes at a time. */
export class Word {
  readonly length: number
  private readonly first: number
  private readonly middle: number
  private readonly last: number

  constructor(text: string) {
    const bytes = Buffer.from(text, 'latin1')
    this.length = bytes.length
    this.first = bytes.readInt32BE(0)
    this.middle = bytes.readInt32BE(Math.max(0, Math.min(4, bytes.length - 4)))
    // May overlap what is before it.
    this.last = bytes.readInt32BE(bytes.length - 4)
  }

  /** Whether the text stands at `at`. */
  standsAt(words: DataView, at: number): boolean {
    const { length } = this
    if (at + length > words.byteLength || words.getInt32(at) !== this.first) return false
    return (
      words.getInt32(at + length - 4) === this.last && (length <= 8 || words.getInt32(at + 4) === this.middle)
    )
  }
}

/** Whether `text` (ASCII) stands at `at`. */
export function standsAt(bytes: Uint8Array, at: number, text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (bytes[at + index] !== text.charCodeAt(index)) return false
  }
  return true
}
