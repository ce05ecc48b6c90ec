import {
  chmodSync,
  closeSync,
  fchownSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'

const NEW_FILE = 0o644

/**
 * Puts another text in the place of a file, with its mode and owner, also when it is a link to one: whoever reads it meanwhile reads
 * the one or the other. A file that is missing is made, with the folder around it.
 *
 * @param check is given the new file before it takes that place; nothing changes when it throws
 * @param modeOf the mode that it gets, from the one that it had; of its own when it is left out
 * @throws the error of the system
 */
export function replaceFile(
  path: string,
  text: string,
  check: (newFile: string) => void,
  modeOf: (mode: number | undefined) => number = (mode = NEW_FILE) => mode,
): void {
  const isThere = lstatSync(path, { throwIfNoEntry: false }) !== undefined
  if (!isThere) mkdirSync(dirname(path), { recursive: true })
  const place = isThere ? realpathSync(path) : path
  const found = isThere ? statSync(place) : undefined
  const other = `${place}.${process.pid}.new`
  // What another one has put there is not written to.
  const descriptor = openSync(other, 'wx', 0o600)
  try {
    try {
      writeFileSync(descriptor, text)
      if (found !== undefined) fchownSync(descriptor, found.uid, found.gid)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    chmodSync(other, modeOf(found && found.mode & 0o7777))
    check(other)
    renameSync(other, place)
  } catch (error) {
    rmSync(other, { force: true })
    throw error
  }
}
