import type Database from 'better-sqlite3'
import type { ProcessHabits } from '../domain/scan.ts'
import { habitsIn } from './habits.ts'
import { openForReading } from './open.ts'

/** Names of processes begin with this, and no others do. */
const PROCESS = 'proc:'
const AFTER_PROCESS = 'proc;'

/** What a baseline knows of processes, at one moment; reads only, also while an agent writes. */
export class ProcessMemory {
  /** Of processes that a training has looked at, by name. */
  readonly habits: ReadonlyMap<string, ProcessHabits>
  /** Names of processes that have done something, or that somebody executed; undefined when the log was not learned from. */
  readonly normal: ReadonlySet<string> | undefined
  private readonly database: Database.Database
  private readonly findExec: Database.Statement<[string, string]>
  private readonly findExecOf: Database.Statement<[string]>

  /** @throws UsageError when there is no baseline, it is not ours, or it has another schema */
  constructor(path: string) {
    this.database = openForReading(path)
    try {
      this.habits = habitsIn(this.database)
      this.normal = isTrained(this.database) ? processesIn(this.database) : undefined
      this.findExec = this.database.prepare(
        `SELECT 1 FROM edges WHERE from_id = (SELECT id FROM nodes WHERE name = ?)
            AND to_id = (SELECT id FROM nodes WHERE name = ?) AND kind IN ('exec', 'privilege')`,
      )
      this.findExecOf = this.database.prepare(
        `SELECT 1 FROM edges WHERE to_id = (SELECT id FROM nodes WHERE name = ?) AND kind IN ('exec', 'privilege')`,
      )
    } catch (error) {
      this.database.close()
      throw error
    }
  }

  /** Whether one process executing the other is normal. */
  executes(parent: string, child: string): boolean {
    return this.findExec.get(parent, child) !== undefined
  }

  /** Whether anybody executing it is normal. */
  isExecuted(child: string): boolean {
    return this.findExecOf.get(child) !== undefined
  }

  close(): void {
    this.database.close()
  }
}

/** What is learned in a training that goes on is no measure yet. */
const isTrained = (database: Database.Database): boolean =>
  database.prepare<[], { finished: 0 | 1 }>('SELECT finished FROM trainings ORDER BY id DESC LIMIT 1').get()
    ?.finished === 1

/** A node may also stand there for what was only found. */
const processesIn = (database: Database.Database): ReadonlySet<string> =>
  new Set(
    database
      .prepare<[string, string], { name: string }>(
        `SELECT name FROM nodes WHERE name >= ? AND name < ?
            AND (EXISTS (SELECT 1 FROM edges WHERE from_id = nodes.id)
              OR EXISTS (SELECT 1 FROM edges WHERE to_id = nodes.id AND kind IN ('exec', 'memory-exec', 'privilege')))`,
      )
      .all(PROCESS, AFTER_PROCESS)
      .map(({ name }) => name),
  )
