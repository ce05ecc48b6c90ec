import { chmodSync, closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { UsageError } from '../domain/result.ts'
import { readProcess } from '../support/procfs.ts'
import { asItsOwner } from '../support/service-user.ts'
import { IN_MEMORY, realPlace, safePlace } from './place.ts'

const OWNER_ONLY = 0o600
const LONGEST_COMMAND = 200
/** Two that begin at once hinder each other for a moment; and an agent that is replaced may still be at its end. */
const PATIENCE_MS = 1000
/** Where SQLite locks a file: the PENDING byte (sqlite.org/lockingv3.html). */
const LOCKED_BYTE = '1073741824'

/** What nobody refers to is closed some day, and the lock is gone. */
const held = new Set<Database.Database>()

/** Held by the one agent that may write a baseline. */
export interface Lock {
  release(): void
}

/** A process that holds the lock of a baseline. */
export interface Holder {
  readonly pid: number
  /** Its command line, safe to print. */
  readonly command: string
}

/**
 * Makes this process the only agent on a baseline, until it releases the lock or ends, however it ends: the kernel takes
 * the lock back. What lies at `BASELINE-lock` is of no importance, only who has locked it.
 *
 * @throws UsageError when another agent holds it, which is named, or others may write the baseline
 */
export function acquireLock(path: string): Lock {
  if (path === IN_MEMORY) return { release: () => undefined }
  const database = asItsOwner(dirname(path), () => openLock(path, lockOf(safePlace(path))))
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (isBusy(error)) throw new UsageError(`the baseline ${path} is in use by ${namesOf(holderOf(path))}`)
    throw cannotLock(path, error)
  }
  held.add(database)
  return {
    release: () => {
      held.delete(database)
      database.close()
    },
  }
}

/** The agent that uses a baseline; undefined when there is none, or the host does not tell. */
export function holderOf(path: string): Holder | undefined {
  if (path === IN_MEMORY) return undefined
  try {
    // Not opened: a process that closes a file loses all the locks that it has on it (fcntl(2)).
    const { ino } = statSync(lockOf(realPlace(path)))
    const pid = lockerOf(readFileSync('/proc/locks', 'latin1'), ino)
    return pid === undefined ? undefined : { pid, command: commandOf(pid) }
  } catch {
    return undefined
  }
}

const lockOf = (place: string): string => `${place}-lock`

function openLock(path: string, file: string): Database.Database {
  try {
    // Not opened when it is there: see `holderOf`.
    if (!existsSync(file)) closeSync(openSync(file, 'a', OWNER_ONLY))
    chmodSync(file, OWNER_ONLY)
    return new Database(file, { timeout: PATIENCE_MS })
  } catch (error) {
    throw cannotLock(path, error)
  }
}

const cannotLock = (path: string, error: unknown): UsageError =>
  new UsageError(
    `cannot lock the baseline ${path}: ${error instanceof Error ? error.message : String(error)}`,
    {
      cause: error,
    },
  )

const isBusy = (error: unknown): boolean =>
  error instanceof Database.SqliteError && error.code === 'SQLITE_BUSY'

const namesOf = (holder: Holder | undefined): string =>
  holder === undefined ? 'another agent' : `another agent: pid ${holder.pid} (${holder.command})`

/**
 * The process with a lock on the file with this inode number, from the text of /proc/locks (proc_locks(5)):
 * `1: POSIX  ADVISORY  WRITE 4711 08:01:131077 1073741824 1073741825`. Who waits for one has `->` before POSIX, and a
 * process in another pid namespace is 0.
 */
function lockerOf(locks: string, inode: number): number | undefined {
  for (const line of locks.split('\n')) {
    const [, kind, , , pid, place = '', from] = line.split(/\s+/)
    if (kind === 'POSIX' && from === LOCKED_BYTE && place.endsWith(`:${inode}`) && Number(pid) > 0)
      return Number(pid)
  }
  return undefined
}

/** A process may write over its own command line. */
function commandOf(pid: number): string {
  const words = readProcess(pid)?.argv ?? []
  return words.join(' ').replace(/\p{C}/gu, '?').slice(0, LONGEST_COMMAND)
}
