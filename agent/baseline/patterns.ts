import type Database from 'better-sqlite3'
import { type Edge, prefixOf } from '../domain/edge.ts'
import { UsageError } from '../domain/result.ts'
import type { PatternRow, PatternState, StoredPattern } from './pattern-book.ts'
import type { Decision } from './decisions.ts'
import { Journal } from './journal.ts'
import { openDatabase, openForReading } from './open.ts'
import { refuseBrokenJournal } from './verify.ts'

/** A pattern, and what it stands for in the baseline. */
export interface KeptPattern extends StoredPattern {
  readonly id: number
  readonly state: PatternState
  /** Of its edge; 0 when what it covers is not normal. */
  readonly sightings: number
}

/** What a process has done to files or hosts in one way, whether it is normal or was found. */
export interface Deeds {
  readonly edges: readonly Edge[]
  readonly findings: readonly Edge[]
}

/**
 * All patterns, in the order in which they were learned.
 * @throws UsageError when there is no baseline, it is not ours, or it has another schema
 */
export const patternsIn = (path: string): readonly KeptPattern[] =>
  reading(path, (database) => database.prepare<[], KeptRow>(SELECT).all().map(keptPattern))

/**
 * One pattern, and all that its process has done likewise.
 * @throws UsageError as above, and when there is none with this number
 */
export const patternWithDeeds = (path: string, id: number): KeptPattern & Deeds =>
  reading(path, (database) => {
    const pattern = patternOf(database, path, id)
    const { process, action } = pattern
    const select = (table: 'edges' | 'findings'): Edge[] =>
      database
        .prepare<[string, string], Edge>(
          `SELECT DISTINCT kind, source.name AS "from", target.name AS "to" FROM ${table}
             JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
            WHERE source.name = ? AND kind = ? ORDER BY target.name`,
        )
        .all(process, action)
    return { ...pattern, edges: select('edges'), findings: select('findings') }
  })

/**
 * The pattern stays, whatever wider one is learned.
 * @throws UsageError as above, when somebody has forgotten it, or the journal does not fit
 */
export const pinPattern = (path: string, id: number, decision: Decision): KeptPattern =>
  deciding(path, id, (database, pattern) => {
    if (pattern.state === 'denied') throw new UsageError(`pattern ${id} was forgotten: it covers nothing`)
    return put(database, pattern, 'pinned', decision)
  })

/**
 * The pattern is never learned again. What it covered is unseen from now on, each file under its own name.
 * @throws UsageError as above, when somebody has done so before, or the journal does not fit
 */
export const forgetPattern = (path: string, id: number, decision: Decision): KeptPattern =>
  deciding(path, id, (database, pattern) => {
    if (pattern.state === 'denied') throw new UsageError(`pattern ${id} was forgotten before`)
    return put(database, pattern, 'denied', decision)
  })

function put(
  database: Database.Database,
  pattern: KeptPattern,
  state: 'pinned' | 'denied',
  { author, reason, timeMs }: Decision,
): KeptPattern {
  const { id, process, action, path, printed } = pattern
  database.prepare<[string, number]>('UPDATE patterns SET state = ? WHERE id = ?').run(state, id)
  const edge: Edge = { kind: action, from: process, to: prefixOf(action) + path }
  const isUnseen = state === 'denied' && makeUnseen(database, edge)
  const detail = {
    pattern: printed,
    state,
    ...(isUnseen ? { edges: -1 } : {}),
    ...(reason === undefined ? {} : { reason }),
  }
  const key = { process, action, path }
  const change =
    state === 'pinned' ? {} : { added: [{ ...key, isDenied: true }], removed: isUnseen ? [key, edge] : [key] }
  new Journal(database).append(
    { timeMs, action: state === 'pinned' ? 'accept' : 'deny', author, detail },
    change,
  )
  return { ...pattern, state, sightings: state === 'denied' ? 0 : pattern.sightings }
}

/** Whether it was normal before. */
function makeUnseen(database: Database.Database, { kind, from, to }: Edge): boolean {
  const remove = (table: 'edges' | 'fresh'): boolean =>
    database
      .prepare<[string, string, string]>(
        `DELETE FROM ${table} WHERE from_id = (SELECT id FROM nodes WHERE name = ?)
            AND to_id = (SELECT id FROM nodes WHERE name = ?) AND kind = ?`,
      )
      .run(from, to, kind).changes > 0
  const wasFresh = remove('fresh')
  return remove('edges') && !wasFresh
}

function reading<T>(path: string, work: (database: Database.Database) => T): T {
  const database = openForReading(path)
  try {
    return database.transaction(() => work(database))()
  } finally {
    database.close()
  }
}

/** In one transaction with a row of the journal, also while the agent runs. */
function deciding(
  path: string,
  id: number,
  work: (database: Database.Database, pattern: KeptPattern) => KeptPattern,
): KeptPattern {
  openForReading(path).close()
  const database = openDatabase(path)
  try {
    return database
      .transaction(() => {
        refuseBrokenJournal(database, path, 'nothing is changed in')
        return work(database, patternOf(database, path, id))
      })
      .immediate()
  } finally {
    database.close()
  }
}

function patternOf(database: Database.Database, path: string, id: number): KeptPattern {
  const row = database
    .prepare<[], KeptRow>(SELECT)
    .all()
    .find((each) => each.id === id)
  if (row === undefined)
    throw new UsageError(`there is no pattern ${id} in ${path}: fullmon patterns show lists them`)
  return keptPattern(row)
}

interface KeptRow extends PatternRow {
  id: number
  sightings: number
}

const SELECT = `
  SELECT patterns.*, coalesce(
    (SELECT sightings FROM edges
      WHERE from_id = (SELECT id FROM nodes WHERE name = process) AND kind = action AND to_id =
        (SELECT id FROM nodes WHERE name =
          CASE WHEN action IN ('connect', 'listen', 'accept') THEN 'host:' ELSE 'file:' || action || ':' END
            || path)), 0) AS sightings
    FROM patterns ORDER BY id`

const keptPattern = ({ examples, learned_ms, ...row }: KeptRow): KeptPattern => ({
  ...row,
  examples: JSON.parse(examples) as string[],
  learnedMs: learned_ms,
})
