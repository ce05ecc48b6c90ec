/** What stays unknown is marked and never guessed: the directory of such a name is not known. */
export const UNKNOWN_DIRECTORY = '?'

/** An absolute path without `//`, `.` and `..`, by its letters alone: symbolic links are not resolved. */
export function normalisePath(path: string): string {
  if (!path.includes('//') && !path.includes('/.')) {
    return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
  }
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
