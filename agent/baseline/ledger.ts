import type Database from 'better-sqlite3'
import type { Item } from './content.ts'
import { Journal, type JournalAction } from './journal.ts'

/** What changes with a row of the journal. */
export interface LedgerEntry {
  readonly action: JournalAction
  readonly timeMs: number
  readonly author?: string
  readonly detail: Readonly<Record<string, unknown>>
}

/** The journal as this process writes it, with its head at hand. */
export class Ledger {
  /** Head of the journal; empty while there is none. Of what is not committed yet, too. */
  head: string
  private readonly journal: Journal

  constructor(database: Database.Database) {
    this.journal = new Journal(database)
    this.head = this.journal.head
  }

  /** Another one has written to the journal, or what was written is undone. */
  readHead(): void {
    this.head = this.journal.head
  }

  /** Writes a row of the journal and returns its number. */
  write(
    { action, timeMs, author = 'agent', detail }: LedgerEntry,
    added: Iterable<Item>,
    removed: Iterable<Item> = [],
  ): number {
    const row = this.journal.append({ timeMs, action, author, detail }, { added, removed })
    this.readHead()
    return row
  }
}
