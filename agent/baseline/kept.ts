import type Database from 'better-sqlite3'
import type { LogPosition } from '../domain/chunk.ts'
import type { EventId } from '../domain/record.ts'
import type { Report } from '../domain/report.ts'
import type { StatesReader, StatesWriter } from '../domain/state.ts'
import { portionOf } from './portion.ts'

/** Where a live agent stands in its log, and how far its clock had come. */
export interface Checkpoint {
  readonly position: LogPosition
  /** Events behind that place that were finished before it. */
  readonly finished: readonly EventId[]
  readonly clockMs: number
}

/** What an agent needs to go on where it stopped, or where it was killed: places in logs, state, and reports on their way. */
export class Kept {
  private readonly statements: ReturnType<typeof prepare>

  constructor(database: Database.Database) {
    this.statements = prepare(database)
  }

  checkpoint(log: string): Checkpoint | undefined {
    const row = this.statements.readCheckpoint.get(log)
    if (row === undefined) return undefined
    const { path, inode, fingerprint, offset, clock_ms: clockMs } = row
    const finished = (JSON.parse(row.finished) as [string, number, number][]).map(
      ([node, timeMs, serial]) => ({
        node,
        timeMs,
        serial,
      }),
    )
    return { position: { path, inode, fingerprint, offset }, finished, clockMs }
  }

  /** Remembers how far the log has been read. Belongs into the batch that read it. */
  writeCheckpoint(log: string, { position, finished, clockMs }: Checkpoint): void {
    const ids = JSON.stringify(finished.map(({ node, timeMs, serial }) => [node, timeMs, serial]))
    this.statements.writeCheckpoint.run({ log, ...position, finished: ids, clockMs })
  }

  /** What was remembered. */
  get states(): StatesReader {
    const { otherNodes, readState } = this.statements
    return {
      of: (node) =>
        function* (kind) {
          // Not one by one: some are read while others are.
          for (const { key, value } of readState.all(node, kind))
            yield { key, value: JSON.parse(value) as unknown }
        },
      others: otherNodes.all().map(({ node }) => node),
    }
  }

  /** Takes what is to be remembered. Belongs into the batch that changed it. */
  readonly writer: StatesWriter = {
    of: (node) => ({
      put: (kind, key, value) => void this.statements.writeState.run(node, kind, key, JSON.stringify(value)),
      remove: (kind, key) => void this.statements.removeState.run(node, kind, key),
    }),
    forget: (node) => void this.statements.forgetStates.run(node),
  }

  /** One thing that is remembered by its name; undefined when there is none. */
  memory(name: string): unknown {
    const row = this.statements.readMemory.get(name)
    return row === undefined ? undefined : (JSON.parse(row.value) as unknown)
  }

  remember(name: string, value: unknown): void {
    this.writer.of('').put('memory', name, value)
  }

  forget(name: string): void {
    this.writer.of('').remove('memory', name)
  }

  /** Nothing that was remembered counts any more. */
  forgetStates(): void {
    this.statements.forgetAllStates.run()
  }

  /** The same, and reports that may not have been printed: somebody else has written them. */
  forgetAll(): void {
    this.statements.forgetMemories.run()
    this.statements.forgetPosted.run()
  }

  /** Remembers a report until it is surely printed. Belongs into the batch that decided on it. */
  post(report: Report): void {
    this.statements.post.run(JSON.stringify(report))
  }

  /** The oldest reports that may not have been printed, a portion of them. */
  posted(): readonly { readonly id: number; readonly report: Report }[] {
    return portionOf(this.statements.posted.iterate(), ({ report }) => report.length).map(
      ({ id, report }) => ({
        id,
        report: JSON.parse(report) as Report,
      }),
    )
  }

  /** The reports up to this one have been printed. */
  delivered(id: number): void {
    this.statements.delivered.run(id)
  }
}

interface CheckpointRow {
  path: string
  inode: number
  fingerprint: string
  offset: number
  finished: string
  clock_ms: number
}

const prepare = (database: Database.Database) => ({
  readCheckpoint: database.prepare<[string], CheckpointRow>('SELECT * FROM checkpoints WHERE log = ?'),
  writeCheckpoint: database.prepare<LogPosition & { log: string; finished: string; clockMs: number }>(
    `INSERT INTO checkpoints (log, path, inode, fingerprint, offset, finished, clock_ms)
     VALUES (@log, @path, @inode, @fingerprint, @offset, @finished, @clockMs)
     ON CONFLICT (log) DO UPDATE SET path = excluded.path, inode = excluded.inode,
       fingerprint = excluded.fingerprint, offset = excluded.offset, finished = excluded.finished, clock_ms = excluded.clock_ms`,
  ),
  readState: database.prepare<[string, string], { key: string; value: string }>(
    'SELECT key, value FROM state WHERE node = ? AND kind = ? ORDER BY key',
  ),
  otherNodes: database.prepare<[], { node: string }>("SELECT DISTINCT node FROM state WHERE node <> ''"),
  writeState: database.prepare<[string, string, string, string]>(
    `INSERT INTO state (node, kind, key, value) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET value = excluded.value`,
  ),
  removeState: database.prepare<[string, string, string]>(
    'DELETE FROM state WHERE node = ? AND kind = ? AND key = ?',
  ),
  forgetStates: database.prepare<[string]>('DELETE FROM state WHERE node = ?'),
  readMemory: database.prepare<[string], { value: string }>(
    "SELECT value FROM state WHERE node = '' AND kind = 'memory' AND key = ?",
  ),
  forgetMemories: database.prepare<[]>('DELETE FROM state'),
  forgetPosted: database.prepare<[]>('DELETE FROM outbox'),
  forgetAllStates: database.prepare<[]>("DELETE FROM state WHERE kind <> 'memory'"),
  post: database.prepare<[string]>('INSERT INTO outbox (report) VALUES (?)'),
  posted: database.prepare<[], { id: number; report: string }>('SELECT id, report FROM outbox ORDER BY id'),
  delivered: database.prepare<[number]>('DELETE FROM outbox WHERE id <= ?'),
})
