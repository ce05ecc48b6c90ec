import type { BlindSpot, Tamper } from '../domain/report.ts'
import type { Backlog } from './backlog.ts'
import { LogFile } from './log-file.ts'
import { ageOf, nameOf, openIfReadable, openOldestSince } from './rotation.ts'
import { lossOf, tamperOf } from './spots.ts'
import { statOf } from './unreadable.ts'

/** A hole that is older than so many polls was not made by a rotation under our eyes. */
const SETTLED_POLLS = 10

/** The log after another one, and what is to be told of the way between them. */
export interface Successor {
  readonly file: LogFile
  readonly news: readonly (BlindSpot | Tamper)[]
}

/**
 * Opens the log that auditd began after `file`; undefined while `file` is the live one or there is no newer one yet.
 * After none comes the live log.
 * @throws UsageError when there may be one but it cannot be read
 */
export function openSuccessor(
  path: string,
  file: LogFile | undefined,
  backlog: Backlog,
  pollMs: number,
): Successor | undefined {
  if (file === undefined) {
    const first = LogFile.open(path, pollMs)
    return first && { file: first, news: [] }
  }
  // Most of the time it is the live one, and then there is no need to list the folder.
  if (file.isAt(path)) return undefined
  // A log that is renamed more than once during a look may be overlooked; twice in a row it is not.
  const age = ageOf(path, file) ?? (file.isLinked ? ageOf(path, file) : undefined)
  return age === undefined
    ? openAfterGone(path, file, backlog, pollMs)
    : openNewerThan(age, path, file, backlog, pollMs)
}

function openNewerThan(
  age: number,
  path: string,
  file: LogFile,
  backlog: Backlog,
  pollMs: number,
): Successor | undefined {
  const isSettled = Math.abs(Date.now() - file.renamedMs) > SETTLED_POLLS * pollMs
  const refused: string[] = []
  for (let newer = age - 1; newer >= 0; newer--) {
    const name = nameOf(path, newer)
    const next = newer > 0 ? openIfReadable(name, pollMs) : LogFile.open(name, pollMs)
    if (next !== undefined && file.isAt(nameOf(path, age))) {
      const removed = age - 1 - newer - refused.length
      const news = [
        ...(removed > 0 ? [removedBetween(file, next, removed, backlog)] : []),
        ...refused.map((name) => passedOver(name, file, next, backlog)),
      ]
      return { file: next, news }
    }
    next?.close()
    if (next !== undefined || !isSettled) return undefined
    if (statOf(name) !== undefined) refused.push(name)
  }
  return undefined
}

/** When the log that was followed has none of the names any more. */
function openAfterGone(path: string, file: LogFile, backlog: Backlog, pollMs: number): Successor | undefined {
  const oldest = openOldestSince(file.modifiedMs, path, pollMs)
  if (oldest === undefined) return undefined
  const { file: next, age } = oldest
  if (age === 0) {
    // Had auditd rotated, it would have saved a log that was written after this one.
    const what = file.isLinked ? 'renamed to none of its saved logs' : 'deleted'
    const detail = `the log that was followed as ${file.path} was ${what}, and another file is ${path} now`
    return { file: next, news: [tamperOf('log-replaced', detail)] }
  }
  const gap = lossOf({
    reason: 'log-rotated-unread',
    fromMs: file.modifiedMs,
    toMs: next.firstStampMs,
    bytes: backlog.takeLostBytes(),
    detail: `${file.path} has been read to its end and rotated away; logs between it and ${next.path}, the oldest there is, may have been too`,
  })
  return { file: next, news: [gap] }
}

const removedBetween = (file: LogFile, next: LogFile, logs: number, backlog: Backlog): BlindSpot =>
  lossOf({
    reason: 'log-rotated-unread',
    fromMs: file.modifiedMs,
    toMs: next.firstStampMs,
    bytes: backlog.takeLostBytes(),
    detail: `${logs === 1 ? 'a saved log' : `${logs} saved logs`} between ${file.path} and ${next.path} went before it was read`,
  })

function passedOver(name: string, file: LogFile, next: LogFile, backlog: Backlog): BlindSpot {
  const stat = statOf(name)
  if (stat !== undefined) backlog.leave(stat.ino)
  return lossOf({
    reason: 'log-unreadable',
    fromMs: file.modifiedMs,
    toMs: next.firstStampMs,
    bytes: stat?.size ?? 0,
    detail: `${name} cannot be read and is passed over`,
  })
}
