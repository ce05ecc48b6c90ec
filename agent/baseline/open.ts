import { chmodSync, closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { UsageError } from '../domain/result.ts'
import { MIGRATIONS } from './migrations.ts'

const OWNER_ONLY = 0o600
/** `fulm`: tells our files from other programs' databases (sqlite.org/pragma.html#pragma_application_id). */
const APPLICATION_ID = 0x66756c6d
const IN_MEMORY = ':memory:'
/** How long to wait for another program that writes, such as `baseline import`. */
const PATIENCE_MS = 30_000
const NO_DATABASE: ReadonlySet<string> = new Set(['SQLITE_NOTADB', 'SQLITE_CORRUPT'])

/**
 * Opens the database, creating or migrating it.
 * @throws UsageError in words for the administrator when it is not ours or broken; it is not changed then
 */
export function openDatabase(path: string): Database.Database {
  if (path !== IN_MEMORY && !existsSync(path)) create(path)
  const database = open(path, false)
  try {
    const version = schemaOf(database, path)
    refuseNewer(version, path)
    refuseBroken(database, path)
    useLog(database, path)
    migrate(database, version)
    if (path !== IN_MEMORY) chmodSync(path, OWNER_ONLY)
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

/**
 * Opens a database that must exist, to read from it only.
 * @throws UsageError in words for the administrator when it is missing, not ours or of another version
 */
export function openForReading(path: string): Database.Database {
  if (isMissing(path))
    throw new UsageError(`there is no baseline at ${path}: train one with 'fullmon train --db ${path}'`)
  const database = open(path, true)
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
    throw new UsageError(`cannot open the baseline ${path}: ${reasonOf(error)}`)
  }
}

function create(path: string): void {
  try {
    // Not recursive: below /proc that never ends (Node 24). A wrong word should not make a tree of directories either.
    if (!existsSync(dirname(path))) mkdirSync(dirname(path), { mode: 0o700 })
    closeSync(openSync(path, 'a', OWNER_ONLY))
    chmodSync(path, OWNER_ONLY)
  } catch (error) {
    throw new UsageError(`cannot create the baseline ${path}: ${reasonOf(error)}`)
  }
}

function open(path: string, readonly: boolean): Database.Database {
  try {
    const database = new Database(path, { readonly, timeout: PATIENCE_MS })
    database.pragma('foreign_keys = ON')
    return database
  } catch (error) {
    throw new UsageError(`cannot open the baseline ${path}: ${reasonOf(error)}`)
  }
}

/** With a write-ahead log others can read while the agent writes. */
function useLog(database: Database.Database, path: string): void {
  try {
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = NORMAL')
  } catch (error) {
    throw new UsageError(`cannot write to the baseline ${path}: ${reasonOf(error)}`)
  }
}

function migrate(database: Database.Database, version: number): void {
  for (const [index, step] of MIGRATIONS.entries()) {
    if (index < version) continue
    database.transaction(() => {
      database.exec(step)
      database.pragma(`application_id = ${APPLICATION_ID}`)
      database.pragma(`user_version = ${index + 1}`)
    })()
  }
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
    verdict = reasonOf(error)
  }
  if (verdict !== 'ok') {
    throw new UsageError(
      `the baseline ${path} is damaged (${String(verdict).replaceAll('\n', ' ')}): move it away and train anew`,
    )
  }
}

function schemaOf(database: Database.Database, path: string): number {
  let version: number
  let application: number
  let isEmpty: boolean
  try {
    version = database.pragma('user_version', { simple: true }) as number
    application = database.pragma('application_id', { simple: true }) as number
    isEmpty = database.prepare('SELECT 1 FROM sqlite_schema').get() === undefined
  } catch (error) {
    const isNoDatabase = error instanceof Database.SqliteError && NO_DATABASE.has(error.code)
    throw new UsageError(
      isNoDatabase
        ? `${path} is no baseline: ${reasonOf(error)}`
        : `cannot open the baseline ${path}: ${reasonOf(error)}`,
    )
  }
  const isNew = isEmpty && application === 0 && version === 0
  if (application !== APPLICATION_ID && !isNew)
    throw new UsageError(`${path} is a database of another program`)
  return version
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
