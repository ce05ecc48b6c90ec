import { readFileSync, statSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { Chunk } from '../domain/chunk.ts'
import { UsageError } from '../domain/result.ts'
import { CommandError, outputOf } from '../support/command.ts'
import { firstLine } from './first-line.ts'
import { readStdin } from './stdin.ts'
import { unreadable } from './unreadable.ts'

const CHUNK_BYTES = 1024 * 1024

/**
 * Saved logs one after the other, as fast as possible, each to its end: plain, `.gz`, `.xz`, and `-` for standard input.
 *
 * **A chunk is valid until the next one is asked for**: its memory is used again. Nothing is put between two logs, so a
 * line that auditd began in one and ended in the next is whole. Chunks of plain files have a position, the others none.
 *
 * @param signal ends the iteration
 * @param onBytes called with the number of bytes of the files on disk that were read since the last call; see `sizeOf`
 * @throws UsageError when a log cannot be read or its archive is broken
 */
export async function* readSaved(
  paths: readonly string[],
  signal?: AbortSignal,
  onBytes: (bytes: number) => void = () => undefined,
): AsyncGenerator<Chunk, void, undefined> {
  for (const path of paths) {
    if (path === '-') yield* readStdin(signal)
    else yield* readLog(path, signal, onBytes)
  }
}

/**
 * Bytes on disk of all these logs, for a progress bar; standard input counts nothing.
 * @throws UsageError when there is no such log
 */
export function sizeOf(paths: readonly string[]): number {
  return paths.filter((path) => path !== '-').reduce((sum, path) => sum + sizeOfLog(path), 0)
}

function sizeOfLog(path: string): number {
  try {
    return statSync(path).size
  } catch (error) {
    throw unreadable(path, error)
  }
}

async function* readLog(
  path: string,
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Chunk, void, undefined> {
  let log: FileHandle | undefined
  let readBytes = 0
  const tellProgress = (fd: number): void => {
    const position = positionOf(fd)
    onBytes(position - readBytes)
    readBytes = position
  }
  try {
    log = await open(path)
    for await (const chunk of chunksOf(path, log)) {
      if (signal?.aborted === true) return
      tellProgress(log.fd)
      yield chunk
    }
    tellProgress(log.fd)
  } catch (error) {
    throw explained(path, error)
  } finally {
    await log?.close()
  }
}

function chunksOf(path: string, log: FileHandle): AsyncIterable<Chunk> {
  if (path.endsWith('.gz')) return withoutPosition(gunzipped(log))
  if (path.endsWith('.xz')) return withoutPosition(outputOf('xz', ['-dc'], log.fd))
  return plain(path, log)
}

/** Two buffers in turn: while the consumer works on one, the other is filled (a fifth faster, measured). */
async function* plain(path: string, log: FileHandle): AsyncGenerator<Chunk, void, undefined> {
  const stat = await log.stat()
  // `replay <(zcat …)` gives a pipe, which has no way back.
  const place = stat.isFile()
    ? { path, inode: stat.ino, fingerprint: firstLine(log.fd).fingerprint }
    : undefined
  let offset = 0
  let spare = Buffer.allocUnsafe(CHUNK_BYTES)
  let reading = log.read(Buffer.allocUnsafe(CHUNK_BYTES))
  for (;;) {
    const { bytesRead, buffer } = await reading
    if (bytesRead === 0) return
    reading = log.read(spare)
    // When the consumer leaves now, nobody waits for that read any more.
    reading.catch(() => undefined)
    spare = buffer
    yield { bytes: buffer.subarray(0, bytesRead), at: place && { ...place, offset } }
    offset += bytesRead
  }
}

function gunzipped(log: FileHandle): AsyncIterable<Buffer> {
  const packed = log.createReadStream({ autoClose: false })
  return pipeline(packed, createGunzip({ chunkSize: CHUNK_BYTES }), () => undefined)
}

async function* withoutPosition(pieces: AsyncIterable<Buffer>): AsyncGenerator<Chunk, void, undefined> {
  for await (const bytes of pieces) yield { bytes, at: undefined }
}

/**
 * How far an open file has been read, in bytes. The kernel knows it also for the file that xz reads, because a child
 * shares the position of the descriptor that it was given.
 */
function positionOf(fd: number): number {
  return Number(/^pos:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? 0)
}

function explained(path: string, error: unknown): Error {
  if (error instanceof CommandError || isZlibError(error)) {
    return new UsageError(`cannot unpack ${path}: ${error.message}`, { cause: error })
  }
  return unreadable(path, error)
}

const isZlibError = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && String(error.code).startsWith('Z_')
