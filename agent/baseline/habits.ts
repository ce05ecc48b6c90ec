import { hash } from 'node:crypto'
import type Database from 'better-sqlite3'
import type { ProcessHabits } from '../domain/scan.ts'
import { Journal } from './journal.ts'
import { openDatabase } from './open.ts'

/** Of each kind, over all trainings. */
const MOST_KEPT = 100

interface Row {
  readonly name: string
  readonly habits: string
}

/**
 * Writes what processes were like in a training, with a row of the journal; also while an agent runs.
 *
 * @param path of the baseline, which is made when there is none
 * @param learn what the habits of a name are with those that were learned before, if any
 * @throws UsageError when it is not ours, broken, or others may write it
 */
export function learnHabits(
  path: string,
  learned: ReadonlyMap<string, ProcessHabits>,
  entry: { readonly timeMs: number; readonly author: string },
): void {
  const database = openDatabase(path)
  try {
    const find = database.prepare<[string], { habits: string }>('SELECT habits FROM habits WHERE name = ?')
    const write = database.prepare<Row>('INSERT OR REPLACE INTO habits VALUES (@name, @habits)')
    database
      .transaction(() => {
        for (const [name, now] of learned) {
          const before = find.get(name)
          const habits = before === undefined ? now : joined(JSON.parse(before.habits) as ProcessHabits, now)
          write.run({ name, habits: JSON.stringify(habits) })
        }
        const detail = { processes: learned.size, digest: digestOf(database) }
        new Journal(database).append({ ...entry, action: 'habits', detail })
      })
      .immediate()
  } finally {
    database.close()
  }
}

/** The habits of two trainings as those of one. */
const joined = (one: ProcessHabits, other: ProcessHabits): ProcessHabits => ({
  looks: one.looks + other.looks,
  firstMs: Math.min(one.firstMs, other.firstMs),
  lastMs: Math.max(one.lastMs, other.lastMs),
  parents: [...new Set([...one.parents, ...other.parents])].sort().slice(0, MOST_KEPT),
  listens: [...new Set([...one.listens, ...other.listens])].sort().slice(0, MOST_KEPT),
  hasConnected: one.hasConnected || other.hasConnected,
  hasTty: one.hasTty || other.hasTty,
  mostCpuPercent: Math.max(one.mostCpuPercent, other.mostCpuPercent),
  mostRssBytes: Math.max(one.mostRssBytes, other.mostRssBytes),
})

/** All habits by name. */
export function habitsIn(database: Database.Database): ReadonlyMap<string, ProcessHabits> {
  const rows = database.prepare<[], Row>('SELECT name, habits FROM habits').all()
  return new Map(rows.map(({ name, habits }) => [name, JSON.parse(habits) as ProcessHabits]))
}

/** Whether the habits are what the journal says of them last, as a sentence when they are not. */
export function habitsProblem(
  database: Database.Database,
): { readonly row: number; readonly reason: string } | undefined {
  const last = database
    .prepare<[], { id: number; digest: string | null }>(
      "SELECT id, detail ->> 'digest' AS digest FROM journal WHERE action = 'habits' ORDER BY id DESC LIMIT 1",
    )
    .get()
  const there = digestOf(database)
  if (there === (last?.digest ?? digestOf())) return undefined
  const voucher = last === undefined ? 'the journal' : `journal row ${last.id}`
  return { row: last?.id ?? 0, reason: `${voucher} vouches for other habits of processes than are there` }
}

/** SHA-256, in hex, over all rows in the order of their names; of none without a database. */
function digestOf(database?: Database.Database): string {
  const rows = database?.prepare<[], Row>('SELECT name, habits FROM habits ORDER BY name').all() ?? []
  return hash('sha256', JSON.stringify(rows.map(({ name, habits }) => [name, habits])))
}
