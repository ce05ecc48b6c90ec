import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs'
import type { Chunk, LogPosition } from '../domain/chunk.ts'
import { UsageError } from '../domain/result.ts'
import { bytesAt, fingerprintOf, firstLine } from './first-line.ts'
import { InodeTail } from './inode-tail.ts'
import { isAbsent, unreadable } from './unreadable.ts'

/** An open log and how far it has been read. It stays the same log when it is renamed or removed. */
export class LogFile {
  readonly path: string
  readonly inode: number
  readonly #device: number
  readonly #fd: number
  readonly #pollMs: number
  #tail: InodeTail | undefined
  #firstLine: Buffer | undefined
  #fingerprint = ''
  #offset = 0
  #readMs = Date.now()

  /**
   * Opens a log at its beginning; undefined when there is none of that name.
   * @throws UsageError when it cannot be opened or is not a regular file
   */
  static open(path: string, pollMs: number): LogFile | undefined {
    try {
      // Without O_NONBLOCK, opening a named pipe would block the whole agent.
      return new LogFile(path, openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), pollMs)
    } catch (error) {
      if (isAbsent(error)) return undefined
      throw unreadable(path, error)
    }
  }

  private constructor(path: string, fd: number, pollMs: number) {
    const stat = fstatSync(fd)
    if (!stat.isFile()) {
      closeSync(fd)
      throw new UsageError(`cannot follow ${path}: it is not a regular file`)
    }
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

  /** Whether a saved position is one in this log. One from before its first line was complete can say the inode only. */
  holds(position: LogPosition): boolean {
    if (position.inode !== this.inode) return false
    return position.fingerprint === '' || position.fingerprint === this.#fingerprint
  }

  /** Whether that name leads to this log now. */
  isAt(path: string): boolean {
    const stat = statSync(path, { throwIfNoEntry: false })
    return stat?.ino === this.inode && stat.dev === this.#device
  }

  /** Whether what was read is no longer there, so that the offset has lost its meaning. */
  wasCut(): boolean {
    if (fstatSync(this.#fd).size < this.#offset) return true
    const known = this.#firstLine
    return known !== undefined && !bytesAt(this.#fd, 0, known.length).equals(known)
  }

  /** Goes on at a byte offset. */
  seek(offset: number): void {
    this.#offset = offset
  }

  /** Goes on after what is there now, or at the beginning of the last line when that is not complete. */
  seekToEnd(): void {
    const start = Math.max(0, fstatSync(this.#fd).size - 16 * 1024)
    this.#offset = start + bytesAt(this.#fd, start, 16 * 1024).lastIndexOf('\n') + 1
  }

  /** Starts again with another content. */
  restart(): void {
    this.#offset = 0
    this.#firstLine = undefined
    this.#identify()
  }

  /**
   * The next bytes, at most 1 MiB; undefined when there are none now.
   *
   * A log whose first line is not complete yet is left alone, so that every position has a fingerprint, unless
   * nobody will ever complete it (`isFinal`).
   */
  async read(isFinal: boolean): Promise<Chunk | undefined> {
    this.#readMs = Date.now()
    this.#identify()
    if (this.#firstLine === undefined && !isFinal) return undefined
    const at = { path: this.path, inode: this.inode, fingerprint: this.#fingerprint, offset: this.#offset }
    this.#tail ??= new InodeTail(this.#fd, this.#pollMs)
    const bytes = await this.#tail.read(this.#offset)
    this.#offset += bytes.length
    return bytes.length === 0 ? undefined : { bytes, at }
  }

  /** Calls back when the log may have changed; undefined stops that. */
  onChange(callback: (() => void) | undefined): void {
    this.#tail ??= new InodeTail(this.#fd, this.#pollMs)
    this.#tail.onChange = callback
  }

  close(): void {
    this.#tail?.unwatch()
    closeSync(this.#fd)
  }

  #identify(): void {
    if (this.#firstLine !== undefined) return
    this.#firstLine = firstLine(this.#fd)
    this.#fingerprint = fingerprintOf(this.#firstLine)
  }
}
