/** Files that decide what root does: only root may have written them. */
import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { UsageError } from '../domain/result.ts'

const MOST_BYTES = 1 << 20
const WRITABLE_BY_OTHERS = 0o022
const STICKY = 0o1000

/**
 * The text of a file. For root it must belong to root, and nobody else may write or replace it.
 *
 * @param what the file is, in complaints: `the configuration`
 * @throws UsageError when it cannot be read, is no file of UTF-8 of a sane size, or others may write it
 */
export const readTrusted = (file: string, what: string): string => readSane(file, what, refuseForeign)

/**
 * The text of a file that decides nothing, whoever wrote it.
 *
 * @param what the file is, in complaints
 * @throws UsageError when it cannot be read, or is no file of UTF-8 of a sane size
 */
export const readBounded = (file: string, what: string): string => readSane(file, what, () => undefined)

/**
 * Opens a file that decides what is normal, to read it. Also for others than root it must belong to root or to them, and nobody
 * else may write or replace it.
 *
 * @param what the file is, in complaints
 * @throws UsageError when it cannot be read, is no file, or others may write it
 */
export function openTrusted(file: string, what: string): number {
  let descriptor: number | undefined
  try {
    descriptor = openFile(file)
    refuseForeign(file, fstatSync(descriptor))
    return descriptor
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor)
    throw new UsageError(`cannot read ${what} ${file}: ${reasonOf(error)}`, { cause: error })
  }
}

/**
 * For root, a folder whose files decide what root does must belong to root, and nobody else may write into it.
 *
 * @param what the folder is, in complaints
 * @throws UsageError when it is another's, or others may write into it
 */
export function requireTrustedFolder(folder: string, what: string): void {
  if (process.geteuid?.() !== 0) return
  const { uid, mode } = statSync(folder)
  if (uid !== 0)
    throw new UsageError(`${what} ${folder} belongs to uid ${uid}, who may change what root does`)
  if ((mode & WRITABLE_BY_OTHERS) !== 0)
    throw new UsageError(`others may write into ${what} ${folder}: chmod go-w ${folder}`)
}

type Check = (file: string, found: { readonly uid: number; readonly mode: number }) => void

function readSane(file: string, what: string, check: Check): string {
  let descriptor: number | undefined
  try {
    descriptor = openFile(file)
    const found = fstatSync(descriptor)
    if (found.size > MOST_BYTES) throw new UsageError(`it has ${found.size} bytes, more than ${MOST_BYTES}`)
    if (process.geteuid?.() === 0) check(file, found)
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(descriptor))
  } catch (error) {
    throw new UsageError(`cannot read ${what} ${file}: ${reasonOf(error)}`, { cause: error })
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

function openFile(file: string): number {
  // A pipe would wait for a writer.
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  if (fstatSync(descriptor).isFile()) return descriptor
  closeSync(descriptor)
  throw new UsageError('it is no file')
}

const isOurs = (uid: number): boolean => uid === 0 || uid === process.geteuid?.()

function refuseForeign(file: string, { uid, mode }: { readonly uid: number; readonly mode: number }): void {
  const who = process.geteuid?.() === 0 ? 'root' : 'the agent'
  if (!isOurs(uid))
    throw new UsageError(`it belongs to uid ${uid}, who may change what ${who} does: chown root ${file}`)
  if ((mode & WRITABLE_BY_OTHERS) !== 0)
    throw new UsageError(`others than ${who} may write it: chmod go-w ${file}`)
  const folder = dirname(realpathSync(file))
  const around = statSync(folder)
  if ((around.mode & WRITABLE_BY_OTHERS) !== 0 && (around.mode & STICKY) === 0)
    throw new UsageError(`others may write into ${folder}, and so replace it: chmod go-w ${folder}`)
  if (!isOurs(around.uid)) throw new UsageError(`${folder} belongs to uid ${around.uid}, who may replace it`)
}

function reasonOf(error: unknown): string {
  if (error instanceof TypeError) return 'it is no UTF-8'
  return error instanceof Error ? error.message : String(error)
}
