import type { BlindSpot } from '../domain/report.ts'

/** A log that is read as it comes is never that far behind. */
const LAG_MS = 10_000

/** Tells when the log grows faster than it is read, and when that is over. */
export class Lag {
  private sinceMs: number | undefined
  private mostBytes = 0

  /**
   * @param behindBytes of the log that are not read yet; undefined when that is not known
   * @param readMs stamp of what was read last. Unix time in milliseconds
   */
  look(nowMs: number, behindBytes: number | undefined, readMs: number): BlindSpot | undefined {
    if (behindBytes === undefined) return undefined
    this.mostBytes = Math.max(this.mostBytes, behindBytes)
    const { sinceMs } = this
    if (sinceMs === undefined && behindBytes > 0 && nowMs - readMs > LAG_MS) {
      this.sinceMs = readMs
      const seconds = Math.round((nowMs - readMs) / 1000)
      const detail = `bytes: reading is ${seconds} s and ${behindBytes} bytes behind the end of the log`
      return { ...spotOf(readMs, nowMs, behindBytes, detail), isOngoing: true }
    }
    if (behindBytes > 0) return undefined
    const most = this.mostBytes
    this.mostBytes = 0
    this.sinceMs = undefined
    if (sinceMs === undefined) return undefined
    return spotOf(sinceMs, nowMs, most, 'bytes at most were unread; the end of the log is reached again')
  }

  /** Whether the end of the log is not reached. */
  get isBehind(): boolean {
    return this.sinceMs !== undefined || this.mostBytes > 0
  }
}

const spotOf = (fromMs: number, toMs: number, count: number, detail: string): BlindSpot => ({
  kind: 'blind-spot',
  reason: 'behind',
  fromMs,
  toMs,
  count,
  detail,
})
