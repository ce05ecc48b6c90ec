import { closeSync, openSync, readSync } from 'node:fs'
import { UsageError } from '../domain/result.ts'
import { isCapture } from '../peers/capture.ts'
import { type AnswerReader, CaptureAnswers, LogAnswers } from '../peers/reader.ts'
import type { NameSource, ResolvedName } from '../peers/resolved.ts'

const CHUNK_BYTES = 65_536
const NUL = 0

/**
 * Saved DNS answers: captures (pcap, pcapng) and query logs (dnsmasq, systemd-resolved), told by what is in them. They are
 * read as far as the time that is asked for.
 * @throws UsageError when one cannot be read, or is neither
 */
export class SavedNames implements NameSource {
  private readonly files: readonly SavedFile[]

  constructor(paths: readonly string[]) {
    const files: SavedFile[] = []
    this.files = files
    try {
      for (const path of paths) files.push(new SavedFile(path))
    } catch (error) {
      this.close()
      throw error
    }
  }

  takeUntil(timeMs: number, take: (name: ResolvedName) => void): void {
    for (const file of this.files) file.takeUntil(timeMs, take)
  }

  get unread(): number {
    return this.files.reduce((sum, { unread }) => sum + unread, 0)
  }

  close(): void {
    for (const file of this.files) file.close()
  }
}

/** One of them, opened, and read a piece at a time. */
class SavedFile {
  private readonly path: string
  private fd: number | undefined
  private readonly chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  private first: Buffer
  private reader: AnswerReader | undefined
  private waiting: ResolvedName[] = []
  private next = 0

  constructor(path: string) {
    this.path = path
    this.fd = this.trying(() => openSync(path, 'r'))
    this.first = Buffer.from(this.read())
    if (isCapture(this.first) || !this.first.includes(NUL)) return
    this.close()
    throw new UsageError(
      `${path} is neither a capture (pcap, pcapng) nor the query log of a resolver; a packed one must be unpacked`,
    )
  }

  takeUntil(timeMs: number, take: (name: ResolvedName) => void): void {
    for (;;) {
      for (let name = this.waiting[this.next]; name !== undefined; name = this.waiting[this.next]) {
        if (name.timeMs > timeMs) return
        take(name)
        this.next++
      }
      this.waiting = []
      this.next = 0
      if (!this.readMore(timeMs)) return
    }
  }

  get unread(): number {
    return this.reader?.unread ?? 0
  }

  close(): void {
    if (this.fd !== undefined) closeSync(this.fd)
    this.fd = undefined
  }

  /** @returns whether there may be more */
  private readMore(timeMs: number): boolean {
    if (this.fd === undefined) return false
    this.reader ??= isCapture(this.first) ? new CaptureAnswers() : new LogAnswers(timeMs)
    const { first, reader } = this
    const keep = (name: ResolvedName): void => void this.waiting.push(name)
    this.first = Buffer.alloc(0)
    const bytes = first.length > 0 ? first : this.read()
    if (bytes.length > 0) reader.push(bytes, keep)
    if (bytes.length > 0 && !reader.isBroken) return true
    reader.end(keep)
    this.close()
    return this.waiting.length > 0
  }

  private read(): Buffer {
    const { chunk, fd } = this
    return fd === undefined
      ? chunk.subarray(0, 0)
      : chunk.subarray(
          0,
          this.trying(() => readSync(fd, chunk)),
        )
  }

  private trying<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      this.close()
      throw new UsageError(
        `cannot read ${this.path}: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }
}
