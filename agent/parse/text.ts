import { hexDigit, QUOTE, standsAt } from './bytes.ts'

const SLOTS = 1 << 12
/** Longer texts are made anew each time: who chooses names may not choose our memory. */
const LONGEST_KEPT = 256

/**
 * Turns bytes into strings, and the same bytes into the same string again without making a new one.
 *
 * A cache with one slot for each hash: its size is fixed whatever the log says, and a miss only costs a new string.
 */
export class TextReader {
  private readonly plain: (string | undefined)[] = new Array<string | undefined>(SLOTS)
  private readonly decoded = new Map<string, string>()

  /** Bytes as they stand, one character a byte. */
  latin1(bytes: Buffer, start: number, end: number): string {
    if (end - start > LONGEST_KEPT) return bytes.toString('latin1', start, end)
    let hash = end - start
    for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + (bytes[at] ?? 0)) | 0
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
    const known = this.plain[slot]
    if (known?.length === end - start && isSame(known, bytes, start)) return known
    const made = bytes.toString('latin1', start, end)
    this.plain[slot] = made
    return made
  }

  /**
   * A value of the kernel's "untrusted string" form: `"text"` is literal and knows no escapes, anything else is hex.
   * Only the quote decides (kernel/audit.c, audit_log_untrustedstring). Undefined for `(null)`.
   */
  untrusted(bytes: Buffer, start: number, end: number): string | undefined {
    if (bytes[start] === QUOTE) {
      const last = end - 1 > start && bytes[end - 1] === QUOTE ? end - 1 : end
      return this.latin1(bytes, start + 1, last)
    }
    if (standsAt(bytes, start, '(null)')) return undefined
    return this.fromHex(this.latin1(bytes, start, end))
  }

  private fromHex(hex: string): string {
    if (hex.length > 2 * LONGEST_KEPT) return textOfHex(hex)
    const known = this.decoded.get(hex)
    if (known !== undefined) return known
    const text = textOfHex(hex)
    if (this.decoded.size >= SLOTS) this.decoded.clear()
    this.decoded.set(hex, text)
    return text
  }
}

function isSame(text: string, bytes: Buffer, start: number): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) !== bytes[start + index]) return false
  }
  return true
}

/** Bytes of a run of hex digits; an odd digit at the end of a cut record is dropped, and so is what follows a non-digit. */
export function bytesOfHex(hex: string): Buffer {
  let length = 0
  while (length < hex.length && hexDigit(hex.charCodeAt(length)) >= 0) length++
  return Buffer.from(hex.slice(0, length - (length % 2)), 'hex')
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Bytes as text without loss: UTF-8 where it is UTF-8, else every byte that is no ASCII becomes the lone surrogate
 * U+DC80..U+DCFF (as Python's surrogateescape does), so that two different names never become the same text.
 */
export function textOfBytes(bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch {
    return Array.from(bytes, (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join('')
  }
}

export const textOfHex = (hex: string): string => textOfBytes(bytesOfHex(hex))
