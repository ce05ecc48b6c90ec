import { createHash } from 'node:crypto'
import { readSync } from 'node:fs'

/** No audit record is longer than 9 KiB; a first line without an end by then is as good as complete. */
const MAX_BYTES = 16 * 1024

const STAMP = /\bmsg=audit\((\d{1,12})\.(\d{3}):/

/** First line of an open regular file, its newline left off; undefined while the newline is not there yet. */
export function firstLine(fd: number): Buffer | undefined {
  const start = bytesAt(fd, 0, MAX_BYTES)
  const end = start.indexOf('\n')
  if (end !== -1) return start.subarray(0, end)
  return start.length === MAX_BYTES ? start : undefined
}

/** SHA-256 (hex) of a first line; empty while there is no complete one. See LogPosition. */
export function fingerprintOf(line: Buffer | undefined): string {
  return line === undefined ? '' : createHash('sha256').update(line).digest('hex')
}

/** Stamp of the record in a line: Unix time in milliseconds; undefined when it has none. */
export function stampOf(line: Buffer | undefined): number | undefined {
  const match = STAMP.exec(line?.toString('latin1') ?? '')
  return match === null ? undefined : Number(match[1]) * 1000 + Number(match[2])
}

/** Up to `length` bytes from `offset` on; fewer only at the end of the file. */
export function bytesAt(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  return bytes.subarray(0, readSync(fd, bytes, 0, length, offset))
}
