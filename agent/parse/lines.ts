import { LF } from './bytes.ts'

/** auditd writes at most 8,970 bytes and a node name; what is longer than this is no record. */
export const LONGEST_LINE = 64 * 1024

/** `end` is the newline's place; `offset` is where the line begins in the stream. */
export type OnLine = (bytes: Buffer, start: number, end: number, offset: number) => void

/**
 * Cuts a stream of bytes into lines, however the reads were cut. Keeps the unfinished last line and nothing else; a line
 * that is too long is thrown away and counted.
 */
export class LineCutter {
  overlongLines = 0
  private unfinished: Buffer = Buffer.alloc(0)
  /** Bytes of the unfinished line that were thrown away, when it is too long already. */
  private thrownAway = 0
  private restOffset: number
  private readonly onLine: OnLine

  constructor(onLine: OnLine, offset = 0) {
    this.onLine = onLine
    this.restOffset = offset
  }

  push(chunk: Buffer): void {
    const first = chunk.indexOf(LF)
    if (first < 0) {
      this.keep(chunk)
      return
    }
    this.finishRest(chunk, first)
    const base = this.restOffset
    let start = first + 1
    for (;;) {
      const end = chunk.indexOf(LF, start)
      if (end < 0) break
      this.take(chunk, start, end, base + start - first - 1)
      start = end + 1
    }
    this.restOffset = base + start - first - 1
    this.keep(chunk.subarray(start))
  }

  /** Offset in the stream of the first byte that belongs to no finished line. */
  get offset(): number {
    return this.restOffset
  }

  /** What the stream ended with, if it was in the middle of a line. One that is too long already has been counted as such. */
  get rest(): Buffer {
    return this.unfinished
  }

  private take(bytes: Buffer, start: number, end: number, offset: number): void {
    if (end - start > LONGEST_LINE) this.overlongLines++
    else this.onLine(bytes, start, end, offset)
  }

  private finishRest(chunk: Buffer, newline: number): void {
    const offset = this.restOffset
    this.restOffset += this.thrownAway + this.unfinished.length + newline + 1
    if (this.thrownAway > 0) this.thrownAway = 0
    else if (this.unfinished.length === 0) this.take(chunk, 0, newline, offset)
    else {
      const line = Buffer.concat([this.unfinished, chunk.subarray(0, newline)])
      this.unfinished = Buffer.alloc(0)
      this.take(line, 0, line.length, offset)
    }
  }

  private keep(tail: Buffer): void {
    if (tail.length === 0) return
    const length = this.unfinished.length + tail.length
    if (this.thrownAway > 0) this.thrownAway += length
    else if (length > LONGEST_LINE) {
      this.overlongLines++
      this.thrownAway = length
      this.unfinished = Buffer.alloc(0)
    } else
      this.unfinished =
        this.unfinished.length === 0 ? Buffer.from(tail) : Buffer.concat([this.unfinished, tail])
  }
}
