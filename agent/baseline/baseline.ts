import { statSync } from 'node:fs'
import type Database from 'better-sqlite3'
import { AlertBook } from './alerts.ts'
import { Decisions } from './decisions.ts'
import { Denials } from './denials.ts'
import { StoredEdges } from './edges.ts'
import { StoredFindings } from './findings.ts'
import { IncidentBook } from './incident-book.ts'
import { Kept } from './kept.ts'
import { Ledger } from './ledger.ts'
import { expire, type LifeSpan, noteDay, quietSince } from './life.ts'
import { Members } from './members.ts'
import { openDatabase } from './open.ts'
import { PatternBook } from './pattern-book.ts'
import { Rebase } from './rebase.ts'
import { Sources } from './sources.ts'
import { Trainings } from './trainings.ts'
import { UnseenBook } from './unseen.ts'
import { UnstablePlaces } from './unstable.ts'
import { type JournalVerdict, verifyJournal } from './verify.ts'
import { VouchedWrites } from './vouched-writes.ts'

/** Edges that are gone through when the agent starts: an agent that is told to stop must hear it. */
const MOST_VERIFIED = 200_000

/**
 * What is normal on this host, and what was not, in one SQLite file.
 *
 * Sightings are gathered in memory and written at the end of a `batch`, in one transaction with the position in the
 * log: after a crash reading goes on right behind the last batch that was written.
 */
export class Baseline {
  readonly edges: StoredEdges
  readonly trainings: Trainings
  readonly patterns: PatternBook
  readonly denials: Denials
  readonly unseen: UnseenBook
  readonly findings: StoredFindings
  readonly members: Members
  readonly incidents: IncidentBook
  /** What stays open until a person has seen to it. */
  readonly alerts: AlertBook
  readonly rebase: Rebase
  readonly unstable: UnstablePlaces
  readonly kept: Kept
  readonly vouchedWrites: VouchedWrites
  private readonly database: Database.Database
  private readonly path: string
  private readonly inode: number | undefined
  private readonly ledger: Ledger
  private readonly sources: Sources
  // Changes when another connection has written (sqlite.org/pragma.html#pragma_data_version).
  private readonly readVersion: Database.Statement<[], { data_version: number }>
  private dataVersion: number

  constructor(path: string) {
    const database = openDatabase(path)
    const flush = (): void => this.flush()
    this.path = path
    this.database = database
    this.inode = inodeOf(path)
    // Before anything that is remembered is read.
    this.readVersion = database.prepare('PRAGMA data_version')
    this.dataVersion = this.readVersion.get()?.data_version ?? 0
    this.ledger = new Ledger(database)
    this.edges = new StoredEdges(database)
    this.trainings = new Trainings(database, this.edges, this.ledger, flush)
    this.patterns = new PatternBook(database, this.edges, this.ledger, flush)
    this.denials = new Denials(database)
    this.unseen = new UnseenBook(database, this.edges)
    this.findings = new StoredFindings(database, flush)
    this.members = new Members(database)
    this.unstable = new UnstablePlaces(database)
    this.incidents = new IncidentBook(database, this.unstable)
    this.alerts = new AlertBook(database)
    this.rebase = new Rebase(database, this.edges, this.ledger, flush)
    this.kept = new Kept(database)
    this.vouchedWrites = new VouchedWrites(database)
    this.sources = new Sources(database)
  }

  /** Another program that keeps the file busy is a fault sooner: whoever waits here hears no signal. */
  waitAtMost(milliseconds: number): void {
    this.database.pragma(`busy_timeout = ${milliseconds}`)
  }

  /** Head of the journal; empty while there is none. Of what is not committed yet, too. */
  get head(): string {
    return this.ledger.head
  }

  /** What a person decides, for a `batch` that decides and changes more. */
  get decisions(): Decisions {
    return new Decisions(this.path, this.database)
  }

  /** Whether the journal fits and, where that takes no second, what it vouches for is what is there. */
  verify(): JournalVerdict {
    return verifyJournal(this.database, MOST_VERIFIED)
  }

  /** Whether the file is still the one that was opened. SQLite goes on writing to one that was removed. */
  get isInPlace(): boolean {
    return this.inode === inodeOf(this.path)
  }

  /** Whether another process has written since the last batch. */
  get wasWritten(): boolean {
    return (this.readVersion.get()?.data_version ?? 0) !== this.dataVersion
  }

  /**
   * The log has come to another day: what was not seen for long is dormant or forgotten.
   * @returns how many edges were forgotten
   */
  turnDay(timeMs: number, { dormantDays, expireDays }: LifeSpan): number {
    const { database } = this
    this.flush()
    noteDay(database, timeMs)
    this.edges.ageBy(quietSince(database, dormantDays))
    const expired = expire(database, quietSince(database, expireDays), timeMs)
    this.ledger.readHead()
    // What is remembered of an edge does not say that it is dormant now.
    this.edges.forget()
    return expired
  }

  /**
   * Does `work` and writes all that it learned and saw, in one transaction: after a crash the file is as it was after
   * some batch, and when `work` throws nothing of it is there. Within `work` transactions may nest.
   *
   * @param work is told whether another process has written since the last batch
   */
  batch<T>(work: (othersWrote: boolean) => T): T {
    try {
      // Immediate: a reader that becomes a writer is refused at once when `baseline import` has written in between.
      return this.database
        .transaction(() => {
          const result = work(this.noticeOthers())
          this.flush()
          return result
        })
        .immediate()
    } catch (error) {
      this.ledger.readHead()
      this.edges.forget()
      this.unseen.forget()
      throw error
    }
  }

  /** What is told of the processes that do something; as of now, until the baseline changes. */
  sourcesNow(): Sources {
    this.flush()
    return this.sources
  }

  close(): void {
    this.database.close()
  }

  /** What `baseline import` has written since the last batch is known from now on, and what it removed is not. */
  private noticeOthers(): boolean {
    const version = this.readVersion.get()?.data_version ?? 0
    if (version === this.dataVersion) return false
    this.dataVersion = version
    this.edges.forget()
    this.ledger.readHead()
    this.denials.forget()
    return true
  }

  private flush(): void {
    this.edges.write()
    this.unseen.write()
  }
}

const inodeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.ino
