import { existsSync } from 'node:fs'
import type { Chunk, LogPosition } from '../domain/chunk.ts'
import type { BlindReason, BlindSpot } from '../domain/report.ts'
import { LogFile } from './log-file.ts'
import { openAt, openOldest, openSuccessor, type Successor } from './rotation.ts'

export interface FollowOptions {
  /** Where an earlier run stopped. Wins over `startAt`. */
  readonly from?: LogPosition
  /** When that was, for a blind spot that began then. Unix time in milliseconds. */
  readonly fromMs?: number
  /** Where to begin in the live log; one that appears later is always read from its beginning. */
  readonly startAt: 'end' | 'beginning'
  /** How often to look for news, in milliseconds. */
  readonly pollMs: number
  /** Ends the iteration. */
  readonly signal: AbortSignal
}

/** A rotation leaves the log without its name for a moment, which is not worth a word. */
const PATIENCE_POLLS = 10

/**
 * The live log of auditd, for ever: every byte once and in order, over rotations, and a blind spot for each gap.
 *
 * Reads only what is asked for, in chunks of at most 1 MiB, so a slow consumer costs no memory; chunks stay valid.
 * When the log that `from` is in has been rotated away, goes on with the oldest saved log there is.
 *
 * @param path of the live log; the saved ones are `path.1` (newest), `path.2` …
 * @throws UsageError when a log cannot be opened or is not a regular file
 */
export async function* follow(
  path: string,
  { from, fromMs = Date.now(), startAt, pollMs, signal }: FollowOptions,
): AsyncGenerator<Chunk | BlindSpot, void, undefined> {
  const absence = new Absence(path, PATIENCE_POLLS * pollMs)
  let file: LogFile | undefined
  let next: Successor | undefined
  try {
    if (from === undefined) {
      file = LogFile.open(path, pollMs)
      if (startAt === 'end') file?.seekToEnd()
    } else {
      file = openAt(path, from, pollMs) ?? openOldest(path, pollMs)
      if (file?.holds(from) !== true) yield rotatedUnread(fromMs, unreadSince(from, file))
    }
    while (!signal.aborted) {
      // First look, then read: once there is a newer log, nobody writes to this one and its end is the end.
      next ??= openSuccessor(path, file, pollMs)
      if (file?.wasCut() === true) {
        yield blindSpot(
          'log-truncated',
          file.readMs,
          `${file.path} was truncated: what it held unread is lost`,
        )
        file.restart()
      }
      const chunk = await file?.read(next !== undefined)
      if (chunk !== undefined) yield chunk
      else if (next !== undefined) {
        if (next.gap !== undefined) yield rotatedUnread(file?.modifiedMs ?? Date.now(), next.gap)
        file?.close()
        file = next.file
        next = undefined
        absence.end()
      } else {
        const missing = absence.look()
        if (missing !== undefined) yield missing
        await pause(file, pollMs, signal)
      }
    }
  } finally {
    file?.close()
    next?.file.close()
  }
}

/** Tells once each time that there is no log, and nothing else to go on with, for longer than a rotation takes. */
class Absence {
  readonly #path: string
  readonly #patienceMs: number
  #sinceMs: number | undefined
  #isTold = false

  constructor(path: string, patienceMs: number) {
    this.#path = path
    this.#patienceMs = patienceMs
  }

  end(): void {
    this.#sinceMs = undefined
    this.#isTold = false
  }

  look(): BlindSpot | undefined {
    if (existsSync(this.#path)) {
      this.end()
      return undefined
    }
    this.#sinceMs ??= Date.now()
    if (this.#isTold || Date.now() - this.#sinceMs < this.#patienceMs) return undefined
    this.#isTold = true
    return blindSpot('log-missing', this.#sinceMs, `${this.#path} does not exist; waiting for it`)
  }
}

const unreadSince = (from: LogPosition, oldest: LogFile | undefined): string =>
  `the log read last (inode ${from.inode}, byte ${from.offset}) is no longer among ${from.path} and its saved logs; ` +
  (oldest === undefined
    ? 'there is none to go on with'
    : `going on at the beginning of ${oldest.path}, the oldest there is; logs before it may be lost unread, and what follows may have been read already`)

const rotatedUnread = (fromMs: number, detail: string): BlindSpot =>
  blindSpot('log-rotated-unread', fromMs, detail)

/** A gap of unknown size until now. */
const blindSpot = (reason: BlindReason, fromMs: number, detail: string): BlindSpot => ({
  kind: 'blind-spot',
  reason,
  fromMs,
  toMs: Date.now(),
  count: 0,
  detail,
})

/** Until the log changes, the poll interval is over (a rename need not show in the file itself), or the end. */
function pause(file: LogFile | undefined, pollMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      file?.onChange(undefined)
      resolve()
    }
    const timer = setTimeout(done, signal.aborted ? 0 : pollMs)
    signal.addEventListener('abort', done)
    file?.onChange(done)
  })
}
