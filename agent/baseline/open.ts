import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { UsageError } from '../domain/result.ts'
import { MIGRATIONS } from './migrations.ts'

const OWNER_ONLY = 0o600
/** `fulm`: tells our files from other programs' databases (sqlite.org/pragma.html#pragma_application_id). */
const APPLICATION_ID = 0x66756c6d
const IN_MEMORY = ':memory:'

/** Opens the database, creating or migrating it. Throws UsageError, in words for the administrator, when it is not ours. */
export function openDatabase(path: string): Database.Database {
  if (path !== IN_MEMORY && !existsSync(path)) create(path)
  const database = open(path, false)
  try {
    migrate(database, path)
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

/** Opens a database that must exist, to read from it only. */
export function openForReading(path: string): Database.Database {
  if (!existsSync(path))
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

function create(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    closeSync(openSync(path, 'a', OWNER_ONLY))
    chmodSync(path, OWNER_ONLY)
  } catch (error) {
    throw new UsageError(`cannot create the baseline ${path}: ${reasonOf(error)}`)
  }
}

function open(path: string, readonly: boolean): Database.Database {
  try {
    const database = new Database(path, { readonly })
    if (!readonly) {
      database.pragma('journal_mode = WAL')
      database.pragma('synchronous = NORMAL')
    }
    database.pragma('foreign_keys = ON')
    return database
  } catch (error) {
    throw new UsageError(`cannot open the baseline ${path}: ${reasonOf(error)}`)
  }
}

function migrate(database: Database.Database, path: string): void {
  const version = schemaOf(database, path)
  refuseNewer(version, path)
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

function schemaOf(database: Database.Database, path: string): number {
  let version: number
  let application: number
  try {
    version = database.pragma('user_version', { simple: true }) as number
    application = database.pragma('application_id', { simple: true }) as number
  } catch (error) {
    throw new UsageError(`${path} is no baseline: ${reasonOf(error)}`)
  }
  const isEmpty = database.prepare('SELECT 1 FROM sqlite_schema').get() === undefined
  if (application !== APPLICATION_ID && !isEmpty)
    throw new UsageError(`${path} is a database of another program`)
  return version
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
