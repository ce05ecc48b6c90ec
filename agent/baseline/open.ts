import { chmodSync, closeSync, existsSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { UsageError } from '../domain/result.ts'
import { isOfService, START_SERVICE } from '../support/service.ts'
import { asItsOwner } from '../support/service-user.ts'
import { sumUp, writeContent } from './content.ts'
import { storageFault } from './fault.ts'
import { Journal } from './journal.ts'
import { MIGRATIONS } from './migrations.ts'
import { IN_MEMORY, reasonOf, safePlace } from './place.ts'

const OWNER_ONLY = 0o600
/** `fulm`: tells our files from other programs' databases (sqlite.org/pragma.html#pragma_application_id). */
const APPLICATION_ID = 0x66756c6d
/** The first schema with a journal. */
const JOURNALED = 2
/** Of the pages of the file; SQLite itself would take eight times as much. */
const CACHE_KIB = 2048
/** How long a command waits for another program that writes. */
const PATIENCE_MS = 30_000
const NO_DATABASE: ReadonlySet<string> = new Set(['SQLITE_NOTADB', 'SQLITE_CORRUPT'])

/**
 * Opens the database, creating or migrating it.
 * @throws UsageError in words for the administrator when it is not ours, broken, or others may write it; it is not
 *   changed then. `storageFault` tells from it, and from an SqliteError, whether the disk is to blame.
 */
export const openDatabase = (path: string): Database.Database =>
  asItsOwner(dirname(path), () => openForWriting(path))

function openForWriting(path: string): Database.Database {
  if (path !== IN_MEMORY) {
    safePlace(path)
    if (!existsSync(path)) create(path)
  }
  const database = open(path, false)
  try {
    refuseNewer(schemaOf(database, path), path)
    refuseBroken(database, path)
    useLog(database, path)
    migrate(database, path)
    if (path !== IN_MEMORY && modeOf(path) !== OWNER_ONLY) chmodSync(path, OWNER_ONLY)
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

/**
 * Opens a database that must exist, to read from it only.
 * @param patienceMs how long to wait for a program that keeps it locked
 * @throws UsageError in words for the administrator when it is missing, not ours or of another version
 */
export function openForReading(path: string, patienceMs?: number): Database.Database {
  if (isMissing(path)) {
    const next = isOfService(path)
      ? `the service trains one: ${START_SERVICE}`
      : `train one with 'fullmon train --db ${path}'`
    throw new UsageError(`there is no baseline at ${path}: ${next}`)
  }
  // SQLite makes files beside it.
  return asItsOwner(dirname(path), () => openToRead(path, patienceMs))
}

function openToRead(path: string, patienceMs: number | undefined): Database.Database {
  const database = open(path, true, patienceMs)
  try {
    const version = schemaOf(database, path)
    refuseNewer(version, path)
    if (version < MIGRATIONS.length) {
      throw new UsageError(
        `${path} has schema ${version}, this program reads ${MIGRATIONS.length}: run the agent once to migrate it`,
      )
    }
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

/** Only what is surely not there is missing: a directory that may not be entered says nothing. */
function isMissing(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) === undefined
  } catch (error) {
    throw failedTo('open', path, error)
  }
}

function create(path: string): void {
  try {
    closeSync(openSync(path, 'a', OWNER_ONLY))
    // The umask is not ours to set.
    chmodSync(path, OWNER_ONLY)
  } catch (error) {
    throw failedTo('create', path, error)
  }
}

function open(path: string, readonly: boolean, timeout = PATIENCE_MS): Database.Database {
  try {
    // SQLite's own temporary file: in memory until there is too much of it (sqlite.org/inmemorydb.html).
    const file = path === IN_MEMORY ? '' : path
    const database = new Database(file, { readonly, timeout })
    database.pragma('foreign_keys = ON')
    return database
  } catch (error) {
    throw failedTo('open', path, error)
  }
}

/** With a write-ahead log others can read while the agent writes. */
function useLog(database: Database.Database, path: string): void {
  try {
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = NORMAL')
    database.pragma(`cache_size = -${CACHE_KIB}`)
  } catch (error) {
    throw failedTo('write to', path, error)
  }
}

/** One step is one transaction: the file has either schema, whatever happens. */
function migrate(database: Database.Database, path: string): void {
  const before = versionOf(database)
  const step = database.transaction(() => {
    // Another program may have taken the step while we waited for it.
    const version = versionOf(database)
    const sql = MIGRATIONS[version]
    if (sql === undefined) return false
    database.exec(sql)
    if (before > 0 && version + 1 === JOURNALED) beginJournal(database, version)
    database.pragma(`application_id = ${APPLICATION_ID}`)
    database.pragma(`user_version = ${version + 1}`)
    return true
  })
  try {
    while (step.immediate());
  } catch (error) {
    throw failedTo('migrate', path, error)
  }
}

/** What was learned before there was a journal is what its first row vouches for. */
function beginJournal(database: Database.Database, version: number): void {
  writeContent(database, sumUp(database))
  const detail = { source: `schema ${version}` }
  new Journal(database).append({ timeMs: Date.now(), action: 'import', author: 'agent', detail })
}

function refuseNewer(version: number, path: string): void {
  if (version > MIGRATIONS.length) {
    throw new UsageError(
      `${path} has schema ${version}, this program knows ${MIGRATIONS.length}: it was written by a newer fullmon`,
    )
  }
}

/** A file that is damaged in the middle would fail some day in the night. Takes 80 ms for 300,000 edges. */
function refuseBroken(database: Database.Database, path: string): void {
  let verdict: unknown
  try {
    verdict = database.pragma('quick_check(1)', { simple: true })
  } catch (error) {
    if (storageFault(error) !== undefined) throw failedTo('read', path, error)
    verdict = reasonOf(error)
  }
  if (verdict !== 'ok') {
    throw new UsageError(
      `the baseline ${path} is damaged (${String(verdict).replaceAll('\n', ' ')}): move it away and import an export of it, or train anew`,
    )
  }
}

function schemaOf(database: Database.Database, path: string): number {
  let version: number
  let application: number
  let isEmpty: boolean
  try {
    version = versionOf(database)
    application = database.pragma('application_id', { simple: true }) as number
    isEmpty = database.prepare('SELECT 1 FROM sqlite_schema').get() === undefined
  } catch (error) {
    if (error instanceof Database.SqliteError && NO_DATABASE.has(error.code))
      throw new UsageError(`${path} is no baseline: ${error.message}`)
    throw failedTo('open', path, error)
  }
  const isNew = isEmpty && application === 0 && version === 0
  if (application !== APPLICATION_ID && !isNew)
    throw new UsageError(`${path} is a database of another program`)
  return version
}

const versionOf = (database: Database.Database): number =>
  database.pragma('user_version', { simple: true }) as number

const modeOf = (path: string): number => statSync(path).mode & 0o7777

const failedTo = (what: string, path: string, error: unknown): UsageError =>
  new UsageError(`cannot ${what} the baseline ${path}: ${reasonOf(error)}`, { cause: error })
