import { closeSync, constants, fstatSync, openSync, read } from 'node:fs'
import { promisify } from 'node:util'
import type { Chunk, LogPosition } from '../domain/chunk.ts'
import { UsageError } from '../domain/result.ts'
import { bytesAt, firstLine, LONGEST_LINE_BYTES, stampOf } from './first-line.ts'
import { isAbsent, statOf, unreadable } from './unreadable.ts'
import { Watcher } from './watcher.ts'

const MAX_CHUNK_BYTES = 1024 * 1024

/** So many of the bytes that were read last tell whether they are still there. A record begins with a stamp and a serial. */
const MARK_BYTES = 256

const readAt = promisify(read)

/** That a log holds less than it did. */
export interface Cut {
  /** Whether the offset has lost its meaning, so that the log is to be read from its beginning. */
  readonly isAnew: boolean
  /** Bytes that were seen in it and never read; there may have been more. */
  readonly lostBytes: number
}

/** An open log and how far it has been read. It stays the same log when it is renamed or removed. */
export class LogFile {
  readonly path: string
  readonly inode: number
  readonly #device: number
  readonly #fd: number
  readonly #pollMs: number
  #watcher: Watcher | undefined
  #onChange: (() => void) | undefined
  /** Its first line; while that is not complete, what there was of it when it was looked at last. */
  #beginning: Buffer = Buffer.alloc(0)
  #fingerprint = ''
  #offset = 0
  /** What stands before the offset. */
  #mark: Buffer = Buffer.alloc(0)
  #seenBytes = 0
  #readMs = Date.now()

  /**
   * Opens a log at its beginning; undefined when there is none of that name.
   * @throws UsageError when it cannot be opened or is not a regular file
   */
  static open(path: string, pollMs: number): LogFile | undefined {
    let fd: number | undefined
    try {
      // Without O_NONBLOCK, opening a named pipe would block the whole agent.
      fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
      return new LogFile(path, fd, pollMs)
    } catch (error) {
      if (fd !== undefined) closeSync(fd)
      if (isAbsent(error)) return undefined
      throw unreadable(path, error)
    }
  }

  private constructor(path: string, fd: number, pollMs: number) {
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw new UsageError(`cannot follow ${path}: it is not a regular file`)
    this.path = path
    this.inode = stat.ino
    this.#device = stat.dev
    this.#fd = fd
    this.#pollMs = pollMs
    this.#identify()
  }

  /** When it was written last, Unix time in milliseconds. */
  get modifiedMs(): number {
    return fstatSync(this.#fd).mtimeMs
  }

  /** When its name or its permissions changed last, or it was written: Unix time in milliseconds. */
  get renamedMs(): number {
    return fstatSync(this.#fd).ctimeMs
  }

  /** When it was read last, or opened if never: Unix time in milliseconds. */
  get readMs(): number {
    return this.#readMs
  }

  /** Stamp of its first record, Unix time in milliseconds; undefined when there is none. */
  get firstStampMs(): number | undefined {
    return stampOf(this.#beginning)
  }

  get sizeBytes(): number {
    return fstatSync(this.#fd).size
  }

  get unreadBytes(): number {
    return Math.max(0, this.sizeBytes - this.#offset)
  }

  /** Whether it has a name anywhere. */
  get isLinked(): boolean {
    return fstatSync(this.#fd).nlink > 0
  }

  /** Whether a saved position is one in this log. One from before its first line was complete can say the inode only. */
  holds(position: LogPosition): boolean {
    if (position.inode !== this.inode) return false
    return position.fingerprint === '' || position.fingerprint === this.#fingerprint
  }

  /** Whether this is another file with what a saved position is in, and what came before it: who copied it? */
  isCopyWith({ inode, fingerprint, offset }: LogPosition): boolean {
    if (fingerprint === '' || inode === this.inode) return false
    return fingerprint === this.#fingerprint && this.sizeBytes >= offset
  }

  /** Whether this is another file with everything that is known of `original`. */
  isCopyOf(original: LogFile): boolean {
    const beginning = original.#beginning
    return this.inode !== original.inode && beginning.length > 0 && original.#isWholeIn(this.#fd)
  }

  /** Goes on where `original` was read to. */
  goOnFrom(original: LogFile): void {
    this.seek(original.#offset)
  }

  /** Whether that name leads to this log now. */
  isAt(path: string): boolean {
    const stat = statOf(path)
    return stat?.ino === this.inode && stat.dev === this.#device
  }

  /** Whether it holds less than when this was asked last, or what was read is no longer there. */
  wasCut(): Cut | undefined {
    const { size } = fstatSync(this.#fd)
    const seenBytes = this.#seenBytes
    this.#seenBytes = size
    if (!this.#isWholeIn(this.#fd)) return { isAnew: true, lostBytes: Math.max(0, seenBytes - this.#offset) }
    return size < seenBytes ? { isAnew: false, lostBytes: seenBytes - size } : undefined
  }

  /** Goes on at a byte offset. */
  seek(offset: number): void {
    const start = Math.max(0, offset - MARK_BYTES)
    const before = bytesAt(this.#fd, start, offset - start)
    this.#offset = offset
    this.#mark = before.length === offset - start ? before : Buffer.alloc(0)
  }

  /** Goes on after what is there now, or at the beginning of the last line when that is not complete. */
  seekToEnd(): void {
    const start = Math.max(0, this.sizeBytes - 16 * 1024)
    this.seek(start + bytesAt(this.#fd, start, 16 * 1024).lastIndexOf('\n') + 1)
  }

  /** Goes on at the first line with that stamp or a later one; stamps rise, but for those of calls that have blocked. */
  seekToTime(timeMs: number): void {
    let [before, behind] = [0, this.sizeBytes]
    while (before < behind) {
      const middle = Math.floor((before + behind) / 2)
      const line = this.#lineBehind(middle)
      if (line === undefined || line.stampMs >= timeMs) behind = middle
      else before = line.end
    }
    this.seek(before)
  }

  /** The next line with a stamp that begins there or behind it, as far as lines are no longer than any. */
  #lineBehind(offset: number): { readonly stampMs: number; readonly end: number } | undefined {
    const from = Math.max(0, offset - 1)
    const bytes = bytesAt(this.#fd, from, 4 * LONGEST_LINE_BYTES)
    let start = offset === 0 ? 0 : bytes.indexOf('\n') + 1
    for (let end = bytes.indexOf('\n', start); end !== -1 && (start > 0 || offset === 0);) {
      const stampMs = stampOf(bytes.subarray(start, end))
      if (stampMs !== undefined) return { stampMs, end: from + end + 1 }
      start = end + 1
      end = bytes.indexOf('\n', start)
    }
    return undefined
  }

  /** Starts again with another content. */
  restart(): void {
    this.seek(0)
    this.#beginning = Buffer.alloc(0)
    this.#fingerprint = ''
    this.#identify()
  }

  /**
   * The next bytes, at most 1 MiB; undefined when there are none now, or when what came before them has been replaced
   * since `wasCut` was asked.
   *
   * A log whose first line is not complete yet is left alone, so that every position has a fingerprint, unless
   * nobody will ever complete it (`isFinal`).
   */
  async read(isFinal: boolean): Promise<Chunk | undefined> {
    this.#readMs = Date.now()
    this.#identify()
    if (this.#fingerprint === '' && !isFinal) return undefined
    const length = Math.min(this.unreadBytes, MAX_CHUNK_BYTES)
    if (length === 0) return undefined
    const at = this.position
    const marked = this.#mark.length
    // What was read last is read again: if it is still there, what follows it is what followed it.
    const block = Buffer.allocUnsafe(marked + length)
    const { bytesRead } = await readAt(this.#fd, block, 0, block.length, at.offset - marked)
    const bytes = block.subarray(marked, Math.max(marked, bytesRead))
    const known = at.offset === 0 ? this.#beginning : this.#mark
    const isKnown = block.subarray(0, Math.min(known.length, bytesRead)).equals(known)
    if (bytes.length === 0 || !isKnown) return undefined
    this.#offset += bytes.length
    this.#mark = Buffer.from(block.subarray(Math.max(0, bytesRead - MARK_BYTES), bytesRead))
    return { bytes, at }
  }

  /** Calls back when the log may have changed; undefined stops that. */
  onChange(callback: (() => void) | undefined): void {
    this.#onChange = callback
    this.#watcher ??= new Watcher(this.#fd, this.#pollMs, () => this.#onChange?.())
  }

  close(): void {
    this.#watcher?.unwatch()
    closeSync(this.#fd)
  }

  /** Where the next bytes are read. */
  get position(): LogPosition {
    return { path: this.path, inode: this.inode, fingerprint: this.#fingerprint, offset: this.#offset }
  }

  /** Whether everything that was read stands in a file, as far as its size, its beginning and its end tell. */
  #isWholeIn(fd: number): boolean {
    const mark = this.#mark
    return (
      fstatSync(fd).size >= this.#offset &&
      isAt(fd, 0, this.#beginning) &&
      isAt(fd, this.#offset - mark.length, mark)
    )
  }

  #identify(): void {
    if (this.#fingerprint !== '') return
    const { line, fingerprint } = firstLine(this.#fd)
    this.#beginning = line
    this.#fingerprint = fingerprint
  }
}

const isAt = (fd: number, offset: number, known: Buffer): boolean =>
  bytesAt(fd, offset, known.length).equals(known)
