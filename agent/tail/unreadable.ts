import { type Stats, statSync } from 'node:fs'
import { getSystemErrorMessage } from 'node:util'
import { UsageError } from '../domain/result.ts'

/** Whether the operating system says that there is no such file. */
export const isAbsent = (error: unknown): boolean => isSystemError(error) && error.code === 'ENOENT'

/** What to throw when a file cannot be read: a sentence for the user, or the error itself when it is none of theirs. */
export function unreadable(path: string, error: unknown): Error {
  if (isSystemError(error)) {
    return new UsageError(`cannot read ${path}: ${getSystemErrorMessage(error.errno)}`, { cause: error })
  }
  return error instanceof Error ? error : new Error(String(error))
}

/**
 * What the operating system says of the file with that name; undefined when there is none.
 * @throws UsageError when it may not say it
 */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw unreadable(path, error)
  }
}

const isSystemError = (error: unknown): error is NodeJS.ErrnoException & { errno: number } =>
  error instanceof Error && 'errno' in error && typeof error.errno === 'number'
