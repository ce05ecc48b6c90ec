import { readdirSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { LogPosition } from '../domain/chunk.ts'
import { UsageError } from '../domain/result.ts'
import { LogFile } from './log-file.ts'
import { isAbsent, statOf, unreadable } from './unreadable.ts'

/**
 * auditd rotates by renaming `audit.log.4` to `.5`, … `.1` to `.2`, `audit.log` to `.1`, oldest first, and then makes a
 * new `audit.log`. It may be anywhere in that between any two system calls here, with a hole where it is. So whoever
 * looks for a log looks from the newest name to the oldest, where a log that moves meanwhile is met later and not
 * missed; and whoever has opened one looks again whether its neighbours are still where they were.
 */

/** auditd(8) keeps at most 999 logs, and what has a date behind its name is not one of them. */
const SAVED = /^\.(\d{1,3})(\.gz|\.xz)?$/

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
  return statOf(path) === undefined ? saved : [...saved, path]
}

/**
 * Opens the log that a position is in, there; undefined when it is gone.
 * @throws UsageError when it may be there but cannot be read
 */
export function openAt(path: string, position: LogPosition, pollMs: number): LogFile | undefined {
  for (const age of ages(path)) {
    const name = nameOf(path, age)
    if (statOf(name)?.ino !== position.inode) continue
    const file = LogFile.open(name, pollMs)
    if (file?.holds(position) === true) {
      file.seek(position.fingerprint === '' ? 0 : position.offset)
      return file
    }
    file?.close()
  }
  return undefined
}

/**
 * Opens the newest saved log that is like that, as far as they can be read and are not compressed.
 * @throws UsageError when the folder cannot be read
 */
export function openSavedThat(
  isWanted: (file: LogFile) => boolean,
  path: string,
  pollMs: number,
): LogFile | undefined {
  for (const age of ages(path)) {
    const file = age === 0 ? undefined : openIfReadable(nameOf(path, age), pollMs)
    if (file !== undefined && isWanted(file)) return file
    file?.close()
  }
  return undefined
}

/**
 * Opens the oldest saved log that was written after that time and is not compressed; the live one if there is none;
 * undefined if there is neither.
 * @throws UsageError when it cannot be read
 */
export function openOldestSince(
  sinceMs: number,
  path: string,
  pollMs: number,
): { readonly file: LogFile; readonly age: number } | undefined {
  const isWanted = (age: number): boolean => (statOf(nameOf(path, age))?.mtimeMs ?? -Infinity) > sinceMs
  const oldest = (): number => [...ages(path)].findLast(isWanted) ?? 0
  for (;;) {
    const age = oldest()
    const file = LogFile.open(nameOf(path, age), pollMs)
    if (file === undefined && age === 0) return undefined
    if (file?.isAt(nameOf(path, age)) === true && oldest() === age) return { file, age }
    file?.close()
  }
}

/** How old an open log is among its names: 0 is the live one, 1 the newest saved; undefined when it has none of them. */
export function ageOf(path: string, file: LogFile): number | undefined {
  for (const age of ages(path)) {
    if (file.isAt(nameOf(path, age))) return age
  }
  return undefined
}

export const nameOf = (path: string, age: number): string => (age === 0 ? path : `${path}.${age}`)

/** As LogFile.open, but undefined also when it cannot be read. */
export function openIfReadable(name: string, pollMs: number): LogFile | undefined {
  try {
    return LogFile.open(name, pollMs)
  } catch (error) {
    if (error instanceof UsageError) return undefined
    throw error
  }
}

/** Ages that a log can have, ascending, also when logs grow older meanwhile: 0 is the live one, 1 the newest saved. */
export function* ages(path: string): Generator<number, void, undefined> {
  const oldest = Math.max(0, ...savedBeside(path).map(({ age }) => age))
  for (let age = 0; age <= oldest + 1 || statOf(nameOf(path, age)) !== undefined; age++) yield age
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
