import { hash } from 'node:crypto'
import type Database from 'better-sqlite3'
import type { Edge } from '../domain/edge.ts'
import { type Content, type Item, readContent, writeContent } from './content.ts'

/** What was done to what is normal, or to an alert. */
export type JournalAction =
  /** Training took it. */
  | 'learn'
  /** Training took what processes are like; `digest` in the detail is that of all habits afterwards. */
  | 'habits'
  /** Somebody called it normal, or not; part of maintenance; or wants to see it later. */
  | 'accept'
  | 'deny'
  | 'maintenance'
  | 'later'
  /** It became normal because it had been reported. */
  | 'rebase'
  /** It was not seen for long. */
  | 'expire'
  /** It came from another baseline, or from an older schema. */
  | 'import'
  /** Somebody has taken note of alerts, wants to hear nothing of them for a while, does again, or has seen to them. */
  | 'acknowledge'
  | 'mute'
  | 'unmute'
  | 'reset'
  /** Somebody has had entries written into the configuration that allow what alerts are about. */
  | 'allow'
  /** Somebody has had the configuration written. */
  | 'configure'

/** Who changed what is normal, when, and why. */
export interface JournalEntry {
  readonly timeMs: number
  readonly action: JournalAction
  /** `agent`, or who ran the command. */
  readonly author: string
  /** What else there is to say, such as the source of an import; any JSON. */
  readonly detail: Readonly<Record<string, unknown>>
}

/** What became normal, and what is normal no more. Edges in table `fresh` are not normal yet. */
export interface JournalChange {
  readonly added?: Iterable<Item>
  readonly removed?: Iterable<Item>
  /** What is never normal from now on, and what may be again. */
  readonly denied?: Iterable<Edge>
  readonly lifted?: Iterable<Edge>
}

/** A row as it is stored; `hash` is over everything else. */
export interface JournalRow {
  readonly id: number
  readonly timeMs: number
  readonly action: string
  readonly author: string
  readonly detail: string
  readonly content: string
  readonly hash: string
}

/** What stands in the place of the hash of a row before the first one. */
export const CHAIN_START = 'fullmon journal'

/**
 * Who changed what is normal on this host, in rows that are chained by their hashes: whoever changes, removes or inserts
 * one must change all that follow, and then the heads that reports have carried away do not stand in it any more. Each
 * row vouches for everything that was normal after it.
 *
 * Nothing is kept in memory: what another connection has written counts at once, and a transaction that is rolled back
 * leaves nothing behind.
 */
export class Journal {
  private readonly database: Database.Database
  private readonly readLast: Database.Statement<[], { id: number; hash: string }>
  private readonly insert: Database.Statement<JournalRow>

  constructor(database: Database.Database) {
    this.database = database
    this.readLast = database.prepare('SELECT id, hash FROM journal ORDER BY id DESC LIMIT 1')
    this.insert = database.prepare(
      `INSERT INTO journal (id, time_ms, action, author, detail, content, hash)
       VALUES (@id, @timeMs, @action, @author, @detail, @content, @hash)`,
    )
  }

  /** Hash of the last row, in hex; empty when there is none. */
  get head(): string {
    return this.readLast.get()?.hash ?? ''
  }

  /**
   * Writes a row for a change of what is normal. Belongs into the transaction that changes edges and patterns: each item
   * is named once, and `removed` only when it was normal before; the same for what is denied, and `lifted`.
   * @returns the number of the row
   */
  append(entry: JournalEntry, change: JournalChange = {}): number {
    const { added = [], removed = [], denied = [], lifted = [] } = change
    const content = readContent(this.database)
    for (const item of added) content.add(item)
    for (const item of removed) content.remove(item)
    for (const edge of denied) content.deny(edge)
    for (const edge of lifted) content.liftDenial(edge)
    writeContent(this.database, content)
    return this.write(entry, content)
  }

  private write({ timeMs, action, author, detail }: JournalEntry, content: Content): number {
    const last = this.readLast.get()
    const row = {
      id: (last?.id ?? 0) + 1,
      timeMs,
      action,
      author: author.toWellFormed(),
      detail: JSON.stringify(detail),
      content: content.digest,
    }
    this.insert.run({ ...row, hash: chainHash(row, last?.hash ?? CHAIN_START) })
    return row.id
  }
}

/** SHA-256, in hex, over `[hash before, id, time, action, author, detail, content]` as JSON in UTF-8. */
export const chainHash = (row: Omit<JournalRow, 'hash'>, before: string): string =>
  hash(
    'sha256',
    JSON.stringify([before, row.id, row.timeMs, row.action, row.author, row.detail, row.content]),
  )
