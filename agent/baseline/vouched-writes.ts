import type Database from 'better-sqlite3'
import type { Decision } from './decisions.ts'
import { Journal } from './journal.ts'
import { openDatabase, openForReading } from './open.ts'
import { refuseBrokenJournal } from './verify.ts'

/** Between the row and what the agent reads of the write in the log stands but the check of a configuration. */
const SOON_MS = 60_000

/** What fullmon itself writes into the configuration at the command of a person. */
export interface VouchedWrite {
  /** Path without links. */
  readonly file: string
  /** Of the process that writes. */
  readonly pid: number
  /** Entries that are added, as they are written. */
  readonly added: readonly string[]
  /** Alerts that are allowed by it. */
  readonly alerts: readonly number[]
}

/**
 * Writes the row of the journal for such a write, before it is done: the agent hears of both, and whoever wrote without one has
 * tampered.
 * @throws UsageError when there is no baseline, it is not ours, it has another schema, or the journal does not fit
 */
export function vouchForWrite(
  path: string,
  write: VouchedWrite,
  { author, reason, timeMs }: Decision,
  action: 'allow' | 'configure' = 'allow',
): void {
  openForReading(path).close()
  const database = openDatabase(path)
  try {
    database
      .transaction(() => {
        refuseBrokenJournal(database, path, 'nothing is written, and nothing is changed in')
        const detail = { ...write, ...(reason === undefined ? {} : { reason }) }
        new Journal(database).append({ timeMs, action, author, detail })
      })
      .immediate()
  } finally {
    database.close()
  }
}

/** Which writes the journal vouches for. */
export class VouchedWrites {
  private readonly rows: Database.Statement<[number, number, number], { detail: string }>

  constructor(database: Database.Database) {
    this.rows = database.prepare(
      `SELECT detail FROM journal WHERE action IN ('allow', 'configure') AND time_ms BETWEEN ? AND ? AND detail ->> '$.pid' = ?`,
    )
  }

  /** Whether a process has said that it writes this file; it makes another one beside it, which takes its place. */
  has(pid: number, path: string, timeMs: number): boolean {
    return this.of(pid, timeMs).some(({ file }) => path === file || path === `${file}.${pid}.new`)
  }

  /** Whether a process has said that it writes anything. */
  isOf(pid: number, timeMs: number): boolean {
    return this.of(pid, timeMs).length > 0
  }

  private of(pid: number, timeMs: number): readonly VouchedWrite[] {
    return this.rows
      .all(timeMs - SOON_MS, timeMs + SOON_MS, pid)
      .map(({ detail }) => JSON.parse(detail) as VouchedWrite)
  }
}
