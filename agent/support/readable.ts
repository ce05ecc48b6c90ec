import { closeSync, constants, openSync } from 'node:fs'

/**
 * Opens a file to see whether it can be read: access(2) does not count the capabilities of a user who is not root. Not for what
 * SQLite has open, whose locks would go.
 *
 * @throws the error of the system
 */
export const requireReadable = (path: string): void =>
  closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK))
