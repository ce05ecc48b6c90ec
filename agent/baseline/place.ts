import { existsSync, lstatSync, mkdirSync, realpathSync, statSync, type Stats } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { UsageError } from '../domain/result.ts'
import { serviceUid } from '../support/service-user.ts'

export const IN_MEMORY = ':memory:'
/** Files that SQLite keeps beside a database and believes, and our own lock. */
const COMPANIONS = ['', '-wal', '-shm', '-journal', '-lock']
const WRITABLE_BY_OTHERS = 0o022
const STICKY = 0o1000
const PRIVATE_DIRECTORY = 0o700

/**
 * Where a baseline is kept, links followed; its directory is made when it is missing.
 * @throws UsageError when the directory cannot be made, or others may write the baseline
 */
export function safePlace(path: string): string {
  const place = makePlace(path)
  if (statSync(place, { throwIfNoEntry: false })?.isFile() === false)
    throw new UsageError(`cannot open the baseline ${path}: it is no file`)
  refuseOpenDirectory(path, dirname(place))
  for (const companion of COMPANIONS) refuseForeignFile(path, place + companion)
  return place
}

function makePlace(path: string): string {
  try {
    // Not recursive: below /proc that never ends (Node 24). A wrong word should not make a tree of directories either.
    if (!existsSync(dirname(path))) mkdirSync(dirname(path), { mode: PRIVATE_DIRECTORY })
    return realPlace(path)
  } catch (error) {
    throw new UsageError(`cannot create the baseline ${path}: ${reasonOf(error)}`, { cause: error })
  }
}

/**
 * Where a file is, or would be made, links followed.
 * @throws the error of the system when its directory is missing, or it is a link that leads nowhere
 */
export function realPlace(path: string): string {
  const isThere = lstatSync(path, { throwIfNoEntry: false }) !== undefined
  return isThere ? realpathSync(path) : join(realpathSync(dirname(path)), basename(path))
}

/** Who may write into a directory can put another file in the place of one; a sticky one, such as /tmp, forbids that. */
function refuseOpenDirectory(path: string, directory: string): void {
  const { mode } = statSync(directory)
  if ((mode & WRITABLE_BY_OTHERS) === 0 || (mode & STICKY) !== 0) return
  throw new UsageError(
    `others may write into ${directory}, and so replace the baseline ${path}: chmod go-w ${directory}`,
  )
}

function refuseForeignFile(path: string, file: string): void {
  const found = lstatSync(file, { throwIfNoEntry: false })
  if (found === undefined) return
  if (found.isSymbolicLink()) throw new UsageError(`${file} is a link: remove it, or name what it leads to`)
  if (!isOurs(found)) {
    throw new UsageError(`${file} belongs to uid ${found.uid}, who may write the baseline ${path}: chown it`)
  }
  if ((found.mode & WRITABLE_BY_OTHERS) !== 0) {
    throw new UsageError(
      `others may write the baseline ${path}: chmod go-w ${file}, and check it with fullmon verify`,
    )
  }
}

/** For root, the service is as good as itself: it reads every file of the host. */
const isOurs = ({ uid }: Stats): boolean =>
  uid === 0 || uid === process.geteuid?.() || (process.geteuid?.() === 0 && uid === serviceUid())

/** Why a baseline cannot be used, in words for who wanted to. */
export function reasonOf(error: unknown): string {
  const isForbidden = error instanceof Error && 'code' in error && error.code === 'EACCES'
  if (isForbidden && process.geteuid?.() !== 0) return 'permission denied: run it as root (sudo)'
  return error instanceof Error ? error.message : String(error)
}
