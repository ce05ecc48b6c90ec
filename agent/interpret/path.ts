/** What stays unknown is marked and never guessed: the directory of such a name is not known. */
export const UNKNOWN_DIRECTORY = '?'

const NEEDS_WORK = /\/\/|\/\.\.?(\/|$)|[^]\/$/

/** An absolute path without `//`, `.` and `..`, by its letters alone: symbolic links are not resolved. */
export function normalisePath(path: string): string {
  if (!NEEDS_WORK.test(path)) return path
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') parts.pop()
    else parts.push(part)
  }
  return `/${parts.join('/')}`
}

/** `name` seen from `directory`; `?/name` when the directory is not known. */
export function absolutePath(name: string, directory: string | undefined): string {
  if (name.startsWith('/')) return normalisePath(name)
  if (directory?.startsWith('/') !== true) return `${UNKNOWN_DIRECTORY}${normalisePath(`/${name}`)}`
  return normalisePath(`${directory}/${name}`)
}
