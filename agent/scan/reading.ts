import { closeSync, openSync, opendirSync, readlinkSync, readSync } from 'node:fs'
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

function readOpened(fd: number, mostBytes: number): Reading {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for (;;) {
      const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, mostBytes + 1 - length))
      const count = readSync(fd, chunk, 0, chunk.length, null)
      chunks.push(chunk.subarray(0, count))
      length += count
      if (count === 0) return { kind: 'read', bytes: Buffer.concat(chunks) }
      if (length > mostBytes) return { kind: 'cut', bytes: Buffer.concat(chunks).subarray(0, mostBytes) }
    }
  } finally {
    closeSync(fd)
  }
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

/** Open descriptors of a process, at most so many; undefined when they may not be known. */
export function descriptorsOf(
  directory: string,
  most: number,
): { readonly fds: readonly string[]; readonly isCut: boolean } | undefined {
  const fds: string[] = []
  try {
    const opened = opendirSync(`${directory}/fd`, { bufferSize: 1024 })
    try {
      for (let entry = opened.readSync(); entry !== null; entry = opened.readSync()) {
        if (fds.length === most) return { fds, isCut: true }
        fds.push(entry.name)
      }
    } finally {
      opened.closeSync()
    }
  } catch (error) {
    if (isForbidden(error)) return undefined
    throw error
  }
  return { fds, isCut: false }
}

const isForbidden = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && FORBIDDEN.has(error.code as string | undefined)
