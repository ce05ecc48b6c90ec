import { readdirSync, statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { LogPosition } from '../domain/chunk.ts'
import { LogFile } from './log-file.ts'
import { isAbsent, unreadable } from './unreadable.ts'

/**
 * auditd rotates by renaming `audit.log.4` to `.5`, … `.1` to `.2`, `audit.log` to `.1`, oldest first, and then makes a
 * new `audit.log`. It may be anywhere in that between any two system calls here, with a hole where it is. So whoever
 * looks for a log looks from the newest name to the oldest, where a log that moves meanwhile is met later and not
 * missed; and whoever has opened one looks again whether its neighbours are still where they were.
 */

/** auditd(8) keeps at most 999 logs, and what has a date behind its name is not one of them. */
const SAVED = /^\.(\d{1,3})(\.gz|\.xz)?$/

/** A hole that is older than so many polls was not made by a rotation under our eyes. */
const SETTLED_POLLS = 10

/**
 * `audit.log.N … audit.log`, with `.gz` or `.xz` behind the number or without, as far as they exist, oldest first.
 * @throws UsageError when the folder cannot be read
 */
export function savedLogsOf(path: string): string[] {
  const byAge = new Map<number, string>()
  for (const { age, suffix } of savedBeside(path)) {
    // While a log is being compressed it is there twice.
    if (suffix === '' || !byAge.has(age)) byAge.set(age, nameOf(path, age) + suffix)
  }
  const saved = [...byAge].sort(([a], [b]) => b - a).map(([, name]) => name)
  return exists(path) ? [...saved, path] : saved
}

/** Opens the log that a position is in, there; undefined when it is gone. */
export function openAt(path: string, position: LogPosition, pollMs: number): LogFile | undefined {
  for (const age of ages(path)) {
    const file = LogFile.open(nameOf(path, age), pollMs)
    if (file?.holds(position) === true) {
      file.seek(position.fingerprint === '' ? 0 : position.offset)
      return file
    }
    file?.close()
  }
  return undefined
}

/** Opens the oldest saved log that is not compressed, the live one if there is none, undefined if there is neither. */
export const openOldest = (path: string, pollMs: number): LogFile | undefined =>
  openOldestThat(exists, path, pollMs)?.file

/** The log after another one, and what may be missing between the two. */
export interface Successor {
  readonly file: LogFile
  readonly gap: string | undefined
}

/**
 * Opens the log that auditd began after `file`; undefined while `file` is the live one or there is no newer one yet.
 * After none comes the live log.
 */
export function openSuccessor(
  path: string,
  file: LogFile | undefined,
  pollMs: number,
): Successor | undefined {
  if (file === undefined) {
    const first = LogFile.open(path, pollMs)
    return first && { file: first, gap: undefined }
  }
  // Most of the time it is the live one, and then there is no need to list the folder.
  if (file.isAt(path)) return undefined
  for (const age of ages(path)) {
    if (file.isAt(nameOf(path, age))) return openNewerThan(age, path, file, pollMs)
  }
  const isNewer = (name: string): boolean =>
    (statSync(name, { throwIfNoEntry: false })?.mtimeMs ?? 0) > file.modifiedMs
  const oldest = openOldestThat(isNewer, path, pollMs)
  if (oldest === undefined) return undefined
  const isLive = oldest.age === 0
  return {
    file: oldest.file,
    gap: isLive
      ? undefined
      : `the log followed until now was deleted; logs between it and ${oldest.file.path} may be too`,
  }
}

function openNewerThan(age: number, path: string, file: LogFile, pollMs: number): Successor | undefined {
  const isSettled = Math.abs(Date.now() - file.renamedMs) > SETTLED_POLLS * pollMs
  for (let newer = age - 1; newer >= 0; newer--) {
    const next = LogFile.open(nameOf(path, newer), pollMs)
    if (next !== undefined && file.isAt(nameOf(path, age))) {
      const gap = newer === age - 1 ? undefined : `${nameOf(path, age - 1)} was removed before it was read`
      return { file: next, gap }
    }
    next?.close()
    if (next !== undefined || !isSettled) return undefined
  }
  return undefined
}

function openOldestThat(
  isWanted: (name: string) => boolean,
  path: string,
  pollMs: number,
): { readonly file: LogFile; readonly age: number } | undefined {
  const oldest = (): number => [...ages(path)].findLast((age) => isWanted(nameOf(path, age))) ?? 0
  for (;;) {
    const age = oldest()
    const file = LogFile.open(nameOf(path, age), pollMs)
    if (file === undefined && age === 0) return undefined
    if (file?.isAt(nameOf(path, age)) === true && oldest() === age) return { file, age }
    file?.close()
  }
}

const nameOf = (path: string, age: number): string => (age === 0 ? path : `${path}.${age}`)

const exists = (name: string): boolean => statSync(name, { throwIfNoEntry: false }) !== undefined

/** Ages that a log can have, ascending, also when logs grow older meanwhile: 0 is the live one, 1 the newest saved. */
function* ages(path: string): Generator<number, void, undefined> {
  const oldest = Math.max(0, ...savedBeside(path).map(({ age }) => age))
  for (let age = 0; age <= oldest + 1 || exists(nameOf(path, age)); age++) yield age
}

function savedBeside(path: string): { readonly age: number; readonly suffix: string }[] {
  const live = basename(path)
  return namesIn(dirname(path)).flatMap((name) => {
    const match = name.startsWith(live) ? SAVED.exec(name.slice(live.length)) : null
    const age = Number(match?.[1] ?? 0)
    return age === 0 ? [] : [{ age, suffix: match?.[2] ?? '' }]
  })
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (isAbsent(error)) return []
    throw unreadable(folder, error)
  }
}
