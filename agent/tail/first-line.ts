import { createHash } from 'node:crypto'
import { readSync } from 'node:fs'

/** No audit record is longer than 9 KiB; a first line without an end by then is as good as complete. */
export const LONGEST_LINE_BYTES = 16 * 1024

const STAMP = /\bmsg=audit\((\d{1,12})\.(\d{3}):/

interface FirstLine {
  /** Its newline left off. */
  readonly line: Buffer
  /** See `fingerprintOf`; empty while the line is not complete. */
  readonly fingerprint: string
}

/** First line of an open regular file, or what there is of it. */
export function firstLine(fd: number): FirstLine {
  const start = bytesAt(fd, 0, LONGEST_LINE_BYTES)
  const end = start.indexOf('\n')
  const line = end === -1 ? start : start.subarray(0, end)
  const isComplete = end !== -1 || start.length === LONGEST_LINE_BYTES
  return { line, fingerprint: isComplete ? fingerprintOf(line) : '' }
}

/** SHA-256 (hex) of a first line. See LogPosition. */
export const fingerprintOf = (line: Buffer): string => createHash('sha256').update(line).digest('hex')

/** Stamp of the record in a line: Unix time in milliseconds; undefined when it has none. */
export function stampOf(line: Buffer): number | undefined {
  const match = STAMP.exec(line.toString('latin1'))
  return match === null ? undefined : Number(match[1]) * 1000 + Number(match[2])
}

/** Up to `length` bytes from `offset` on; fewer only at the end of the file. */
export function bytesAt(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  return bytes.subarray(0, readSync(fd, bytes, 0, length, offset))
}
