/** A baseline that somebody has brought along from another place, to be taken instead of training. */
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import Database from 'better-sqlite3'
import { UsageError } from '../domain/result.ts'
import { asItsOwner } from '../support/service-user.ts'
import { openTrusted } from '../support/trusted-file.ts'
import { holderOf } from './lock.ts'
import { openDatabase } from './open.ts'
import { type Export, exportBaseline, importExport, isTrained, readExport } from './transfer.ts'
import { refuseBrokenJournal } from './verify.ts'

const WHAT = 'the baseline'
/** First bytes of a database (sqlite.org/fileformat.html). */
const MAGIC = 'SQLite format 3\0'
/** What a database may still have beside it: without them it would be an older one. */
const UNFINISHED = ['-wal', '-journal']
const OWNER_ONLY = 0o600
/** All of it is held in memory. A million edges take less. */
const MOST_BYTES = 256 * 1024 * 1024
/** In these there is a row as soon as an agent, or a person, has done something. */
const BEGUN = ['trainings', 'edges', 'patterns', 'journal', 'checkpoints']

export interface Brought {
  /** Full path. */
  readonly file: string
  /** Of its journal; null for an export, which has none. */
  readonly head: string | null
  readonly exported: Export
  /** Whether its training is over. */
  readonly isTrained: boolean
}

/** Whether there is no baseline in this place, or one in which nothing has been written yet. */
export const isUnbegun = (path: string): boolean =>
  !existsSync(path) || asItsOwner(dirname(path), () => holdsNothing(path))

function holdsNothing(path: string): boolean {
  let database: Database.Database | undefined
  try {
    database = new Database(path, { readonly: true })
    const tables = database
      .prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'")
      .pluck()
      .all()
    return BEGUN.filter((table) => tables.includes(table)).every(
      (table) => database?.prepare(`SELECT 1 FROM ${table}`).get() === undefined,
    )
  } catch {
    // What is wrong with it is told by whoever opens it.
    return false
  } finally {
    database?.close()
  }
}

/**
 * Reads a baseline of any schema, or an export of one, and checks all of it. It is not changed, nor what lies beside it.
 * @throws UsageError when it cannot be read, is damaged, does not fit its journal, is in use, or others may write it
 */
export function readBrought(file: string): Brought {
  const descriptor = openTrusted(file, WHAT)
  try {
    const { size } = fstatSync(descriptor)
    if (size > MOST_BYTES)
      throw new UsageError(`${WHAT} ${file} has ${size} bytes, more than ${MOST_BYTES} are not taken`)
    const { head, exported } = isDatabase(descriptor)
      ? readDatabase(resolve(file))
      : { head: null, exported: readExport(readFileSync(descriptor, 'utf8').split('\n'), file) }
    return { file: resolve(file), head, exported, isTrained: isTrained(exported) }
  } finally {
    closeSync(descriptor)
  }
}

/**
 * Makes a baseline of it, whole or not at all.
 * @returns how many edges it has
 * @throws UsageError when it cannot be written
 */
export const takeBrought = (db: string, { file, head, exported }: Brought): number =>
  importExport(db, exported, { source: file, author: 'agent', head }).edges

function isDatabase(descriptor: number): boolean {
  const first = Buffer.alloc(MAGIC.length)
  return (
    readSync(descriptor, first, 0, first.length, 0) === first.length && first.toString('latin1') === MAGIC
  )
}

/** SQLite writes beside what it reads, and an older schema must be migrated: both in a copy. */
function readDatabase(file: string): Pick<Brought, 'head' | 'exported'> {
  const holder = holderOf(file)
  if (holder !== undefined)
    throw new UsageError(
      `an agent writes ${WHAT} ${file} (pid ${holder.pid}): take what fullmon baseline export --db ${file} prints`,
    )
  const folder = mkdtempSync(join(tmpdir(), 'fullmon-'))
  const copy = join(folder, 'baseline.db')
  try {
    copyTrusted(file, copy)
    for (const suffix of UNFINISHED) if (existsSync(file + suffix)) copyTrusted(file + suffix, copy + suffix)
    const database = openDatabase(copy)
    try {
      const head = refuseBrokenJournal(database, copy, 'nothing is taken from')
      return { head, exported: readExport(exportBaseline(copy), copy) }
    } finally {
      database.close()
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const text = error instanceof UsageError ? reason : `cannot read ${WHAT} ${file}: ${reason}`
    throw new UsageError(text.replaceAll(copy, file), { cause: error })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function copyTrusted(from: string, to: string): void {
  const descriptor = openTrusted(from, WHAT)
  try {
    // The file that was looked at, whatever has its name now.
    copyFileSync(`/proc/self/fd/${descriptor}`, to)
    chmodSync(to, OWNER_ONLY)
  } finally {
    closeSync(descriptor)
  }
}
