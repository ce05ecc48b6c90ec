import { CaptureReader } from './capture.ts'
import { MessageReader } from './messages.ts'
import { PacketReader } from './packets.ts'
import { QueryLogReader } from './query-log.ts'
import type { ResolvedName } from './resolved.ts'

const NEWLINE = 10
/** A longer line is read as if it ended there. */
const LONGEST_LINE = 1_048_576
const EMPTY = Buffer.alloc(0)

type Emit = (name: ResolvedName) => void

/** Bytes that tell of DNS answers, in any format, as they come → names and their addresses. */
export interface AnswerReader {
  /** Takes the next bytes; they may be used again afterwards. */
  push(bytes: Buffer, emit: Emit): void
  /** There are no more. */
  end(emit: Emit): void
  /** Messages, packets or lines that could not be read. Only grows. */
  readonly unread: number
  /** Whether nothing that comes can be read any more. */
  readonly isBroken: boolean
}

/** Reads a capture: pcap or pcapng. */
export class CaptureAnswers implements AnswerReader {
  private readonly capture = new CaptureReader()
  private readonly packets = new PacketReader()
  private readonly messages = new MessageReader()
  private cut = 0

  push(bytes: Buffer, emit: Emit): void {
    this.capture.push(bytes, (packet) =>
      this.packets.read(packet, (message) => {
        const name = this.messages.read(message)
        if (name !== undefined) emit(name)
      }),
    )
  }

  end(): void {
    this.cut = this.capture.isCut ? 1 : 0
  }

  get unread(): number {
    return this.packets.unread + this.messages.unread + this.cut + (this.capture.isBroken ? 1 : 0)
  }

  get isBroken(): boolean {
    return this.capture.isBroken
  }
}

/** Reads the query log of a resolver. */
export class LogAnswers implements AnswerReader {
  readonly isBroken = false
  private readonly log = new QueryLogReader()
  private rest: Buffer = EMPTY
  private readonly nearMs: number

  /** @param nearMs a time that the log is about, for stamps without a year */
  constructor(nearMs: number) {
    this.nearMs = nearMs
  }

  push(bytes: Buffer, emit: Emit): void {
    const all = Buffer.concat([this.rest, bytes])
    let start = 0
    for (let end = all.indexOf(NEWLINE); end >= 0; end = all.indexOf(NEWLINE, start)) {
      this.line(all.subarray(start, end), emit)
      start = end + 1
    }
    const isOverlong = all.length - start > LONGEST_LINE
    if (isOverlong) this.line(all.subarray(start), emit)
    this.rest = isOverlong ? EMPTY : all.subarray(start)
  }

  end(emit: Emit): void {
    if (this.rest.length > 0) this.line(this.rest, emit)
    this.rest = EMPTY
  }

  get unread(): number {
    return this.log.unread
  }

  private line(bytes: Buffer, emit: Emit): void {
    const name = this.log.read(bytes.toString('utf8').trimEnd(), this.nearMs)
    if (name !== undefined) emit(name)
  }
}
