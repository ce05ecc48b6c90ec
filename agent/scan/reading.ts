import { closeSync, openSync, opendirSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import { textOfBytes } from '../parse/text.ts'

const CHUNK_BYTES = 65_536
/** EACCES and EPERM: it is there, and not for us. */
const FORBIDDEN: ReadonlySet<string | undefined> = new Set(['EACCES', 'EPERM'])

/** What was read of a file of /proc: all of it, its beginning, or nothing because it is not for us. */
export type Reading =
  { readonly kind: 'read' | 'cut'; readonly bytes: Buffer } | { readonly kind: 'forbidden' }

/** At most so many bytes of a file of /proc. @throws when the process is gone */
export function readUpTo(path: string, mostBytes: number): Reading {
  try {
    return readOpened(openSync(path, 'r'), mostBytes)
  } catch (error) {
    if (isForbidden(error)) return { kind: 'forbidden' }
    throw error
  }
}

/** Files of /proc are read by the thousand, and nobody else reads meanwhile. */
const scratch = Buffer.alloc(CHUNK_BYTES)

function readOpened(fd: number, mostBytes: number): Reading {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for (;;) {
      const count = readSync(fd, scratch, 0, Math.min(CHUNK_BYTES, mostBytes + 1 - length), null)
      if (count === 0) return { kind: 'read', bytes: joined(chunks) }
      chunks.push(Buffer.from(scratch.subarray(0, count)))
      length += count
      if (length > mostBytes) return { kind: 'cut', bytes: joined(chunks).subarray(0, mostBytes) }
    }
  } finally {
    closeSync(fd)
  }
}

const joined = (chunks: readonly Buffer[]): Buffer => {
  const [only] = chunks
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks)
}

/** Where a link of /proc points to; undefined when it may not be known. @throws when the process is gone */
export function linkTo(path: string): string | undefined {
  try {
    return textOfBytes(readlinkSync(path, 'buffer'))
  } catch (error) {
    if (isForbidden(error)) return undefined
    throw error
  }
}

/**
 * Open descriptors of a process, at most so many; undefined when they may not be known.
 * @param slots how many it can have at present
 */
export function descriptorsOf(
  directory: string,
  slots: number,
  most: number,
): { readonly fds: readonly string[]; readonly isCut: boolean } | undefined {
  try {
    // Quicker, and as good where there cannot be too many.
    if (slots <= most) return { fds: readdirSync(`${directory}/fd`), isCut: false }
    return firstOf(`${directory}/fd`, most)
  } catch (error) {
    if (isForbidden(error)) return undefined
    throw error
  }
}

function firstOf(path: string, most: number): { readonly fds: readonly string[]; readonly isCut: boolean } {
  const fds: string[] = []
  const opened = opendirSync(path, { bufferSize: 1024 })
  try {
    for (let entry = opened.readSync(); entry !== null; entry = opened.readSync()) {
      if (fds.length === most) return { fds, isCut: true }
      fds.push(entry.name)
    }
    return { fds, isCut: false }
  } finally {
    opened.closeSync()
  }
}

/** Whether an error says that a process has ended meanwhile. */
export const isGone = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')

const isForbidden = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && FORBIDDEN.has(error.code as string | undefined)
