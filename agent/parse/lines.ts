import { LF } from './bytes.ts'

/** auditd writes at most 8,970 bytes and a node name; what is longer than this is no record. */
export const LONGEST_LINE = 64 * 1024

/** `end` is the newline's place; `offset` is where the line begins in the stream. */
export type OnLine = (bytes: Buffer, start: number, end: number, offset: number) => void

/** Cuts a stream of bytes into lines, however the reads were cut. Keeps the unfinished last line and nothing else. */
export class LineCutter {
  /** Bytes of lines that were thrown away because they never ended. */
  overlongLines = 0
  private rest: Buffer = Buffer.alloc(0)
  private isSkipping = false
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
      this.onLine(chunk, start, end, base + start - first - 1)
      start = end + 1
    }
    this.restOffset = base + start - first - 1
    this.keep(chunk.subarray(start))
  }

  /** Offset in the stream of the first byte that no line has taken yet. */
  get offset(): number {
    return this.restOffset
  }

  /** Whether the stream ended in the middle of a line. */
  get hasRest(): boolean {
    return this.rest.length > 0 || this.isSkipping
  }

  private finishRest(chunk: Buffer, newline: number): void {
    if (this.isSkipping) {
      this.isSkipping = false
      this.restOffset += newline + 1
    } else if (this.rest.length === 0) {
      this.onLine(chunk, 0, newline, this.restOffset)
      this.restOffset += newline + 1
    } else {
      const line = Buffer.concat([this.rest, chunk.subarray(0, newline + 1)])
      this.rest = Buffer.alloc(0)
      const offset = this.restOffset
      this.restOffset += line.length
      this.onLine(line, 0, line.length - 1, offset)
    }
  }

  private keep(tail: Buffer): void {
    if (tail.length === 0) return
    if (this.isSkipping) {
      this.restOffset += tail.length
      return
    }
    if (this.rest.length + tail.length <= LONGEST_LINE) {
      this.rest = this.rest.length === 0 ? Buffer.from(tail) : Buffer.concat([this.rest, tail])
      return
    }
    this.overlongLines++
    this.restOffset += this.rest.length + tail.length
    this.rest = Buffer.alloc(0)
    this.isSkipping = true
  }
}
