import type { LogPosition } from '../domain/chunk.ts'
import type { BlindSpot, Tamper } from '../domain/report.ts'
import type { LogFile } from './log-file.ts'
import { openAt, openOldestSince, openSavedThat } from './rotation.ts'
import { lossOf, tamperOf } from './spots.ts'
import { statOf } from './unreadable.ts'

/** Where to go on, and what is to be told of what happened meanwhile. */
export interface Resumption {
  /** Undefined when there is no log at all. */
  readonly file: LogFile | undefined
  readonly news: readonly (BlindSpot | Tamper)[]
}

/**
 * Goes on where an earlier run stopped. When that log is gone, goes on with the oldest that was written since then.
 *
 * @param fromMs when the earlier run stopped
 * @throws UsageError when a log cannot be read
 */
export function resume(path: string, from: LogPosition, fromMs: number, pollMs: number): Resumption {
  const file = openAt(path, from, pollMs)
  if (file !== undefined) return { file, news: [] }
  const isLiveInode = statOf(path)?.ino === from.inode
  const copy = isLiveInode ? openSavedThat((saved) => saved.isCopyWith(from), path, pollMs) : undefined
  if (copy !== undefined) {
    copy.seek(from.offset)
    return { file: copy, news: truncated(path, fromMs, `what it held was copied to ${copy.path} before`) }
  }
  // Stamps are whole milliseconds, times of files are not.
  const oldest = openOldestSince(fromMs - 1, path, pollMs)
  const isRotated = oldest === undefined || oldest.age > 0
  if (isLiveInode && !isRotated) {
    return { file: oldest.file, news: truncated(path, fromMs, 'it is read from its beginning') }
  }
  const where = `the log read last (inode ${from.inode}, byte ${from.offset})`
  const gap = lossOf({
    reason: 'log-rotated-unread',
    fromMs,
    toMs: oldest?.file.firstStampMs,
    bytes: 0,
    detail:
      `${where} is no longer among ${path} and its saved logs; ` +
      (oldest === undefined
        ? 'there is none to go on with'
        : `going on at the beginning of ${oldest.file.path}, the oldest that was written since`),
  })
  // Had auditd rotated, it would have saved a log that was written since then.
  const replaced = `${where} is gone, and another file is ${path} now`
  return {
    file: oldest?.file,
    news: isRotated ? [gap] : [gap, tamperOf('log-replaced', replaced)],
  }
}

const truncated = (path: string, fromMs: number, what: string): (BlindSpot | Tamper)[] => {
  const detail = `${path} was truncated while nobody read it; ${what}`
  return [lossOf({ reason: 'log-truncated', fromMs, bytes: 0, detail }), tamperOf('log-truncated', detail)]
}
