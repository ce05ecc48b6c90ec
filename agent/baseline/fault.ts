/** Causes that somebody may remove, or that pass, by the beginning of their code in SQLite or the name of their errno. */
const PASSING: readonly (readonly [code: RegExp, words: string])[] = [
  [/^SQLITE_FULL$|^ENOSPC$|^EDQUOT$/, 'the disk is full'],
  [/^SQLITE_READONLY|^EROFS$/, 'the file system or the file is read-only'],
  [/^SQLITE_IOERR|^EIO$/, 'the disk fails'],
  [/^SQLITE_BUSY|^SQLITE_LOCKED|^SQLITE_PROTOCOL$/, 'another program keeps the database busy'],
  [/^SQLITE_CANTOPEN|^EACCES$|^EPERM$/, 'the database cannot be opened'],
]

/**
 * Why the database could not be written, when that may go away by itself or be mended without a restart; undefined for
 * any other error. It is found in the cause of an error too.
 */
export function storageFault(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const words = PASSING.find(([pattern]) => pattern.test(code))?.[1]
  return words === undefined ? storageFault(error.cause) : `${words} (${error.message})`
}
