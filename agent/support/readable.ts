/** What access(2) and existsSync get wrong: they do not count the capabilities of a user who is not root. */
import { closeSync, constants, openSync, statSync } from 'node:fs'

/**
 * Opens a file to see whether it can be read. Not for what SQLite has open, whose locks would go.
 *
 * @throws the error of the system
 */
export const requireReadable = (path: string): void =>
  closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK))

/** Whether something is at a path, links followed. */
export function isPresent(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined
  } catch {
    return false
  }
}
