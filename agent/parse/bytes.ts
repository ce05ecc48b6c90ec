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

const NINE = 0x39

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

/** Like `decimalAt`, with an optional minus sign; 0 when there is no number. */
export function signedAt(bytes: Uint8Array, at: number, end: number): number {
  const isNegative = bytes[at] === MINUS
  const value = decimalAt(bytes, isNegative ? at + 1 : at, end)
  if (value <= 0) return 0
  return isNegative ? -value : value
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

/** The low 32 bits, signed, of a hex number without `0x`: `ffffff9c` and `ffffffffffffff9c` are both -100. */
export function hexLow32At(bytes: Uint8Array, at: number, end: number): number {
  let value = 0
  for (let position = at; position < end; position++) {
    const digit = hexDigit(bytes[position] ?? 0)
    if (digit < 0) break
    value = (value << 4) | digit
  }
  return value
}

/** Value of one hex digit, or -1. */
export function hexDigit(byte: number): number {
  if (byte >= ZERO && byte <= NINE) return byte - ZERO
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

/** Whether `text` (ASCII) stands at `at`. */
export function standsAt(bytes: Uint8Array, at: number, text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (bytes[at + index] !== text.charCodeAt(index)) return false
  }
  return true
}
