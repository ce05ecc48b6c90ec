import type { BlindReason, BlindSpot, Tamper, TamperReason } from '../domain/report.ts'

/** What was lost, and how much of it is known. */
export interface Loss {
  readonly reason: BlindReason
  /** Time of the last thing that was read. Unix time in milliseconds. */
  readonly fromMs: number
  /** Time of the next; now, if that is not known. */
  readonly toMs?: number | undefined
  /** Known bytes. There may have been more. */
  readonly bytes: number
  readonly detail: string
}

/** A blind spot that counts bytes, and says so. */
export const lossOf = ({ reason, fromMs, toMs = Date.now(), bytes, detail }: Loss): BlindSpot => ({
  kind: 'blind-spot',
  reason,
  fromMs,
  toMs: Math.max(fromMs, toMs),
  count: bytes,
  detail: `${detail} (${bytes === 0 ? 'how many bytes is not known' : `at least ${bytes} bytes`})`,
})

/** Something that was done to the log by nobody knows whom. */
export const tamperOf = (reason: TamperReason, detail: string): Tamper => ({
  kind: 'tamper',
  reason,
  timeMs: Date.now(),
  process: '',
  chain: [],
  detail,
})
