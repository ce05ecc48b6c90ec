import type Database from 'better-sqlite3'
import type { Alert, AlertState, HostLook, Observation } from '../domain/alert.ts'
import { SEVERITIES, type Severity } from '../domain/report.ts'
import { openForReading } from './open.ts'

/**
 * What is wrong on this host and nobody has seen to: one row for each source and key, until it is reset. Nothing is kept in
 * memory, so what another connection has written counts at once. Everything here belongs into a transaction.
 */
export class AlertBook {
  private readonly sql: ReturnType<typeof statements>

  constructor(database: Database.Database) {
    this.sql = statements(database)
  }

  /**
   * Takes something that happened.
   * @param incident number of the incident that tells of it
   */
  raise(observation: Observation, timeMs: number, incident?: number): void {
    const open = this.sql.unreset.get(observation.source, observation.key)
    if (open === undefined) this.add(observation, timeMs, false, incident)
    else this.renew(open, observation, timeMs, true)
  }

  /**
   * Takes all that a look at the host has found of one source. What was there before and is not in it is gone from the host,
   * and stays open.
   * @returns what is to be told: what is new, what became graver, and what is gone for the first time
   */
  look({ source, observations }: HostLook, timeMs: number): readonly Alert[] {
    const told: Alert[] = []
    const gone = new Map(this.sql.present.all(source).map((row) => [row.key, row]))
    for (const observation of observations) {
      const { key } = observation
      const wasPresent = gone.delete(key)
      const open = this.sql.unreset.get(source, key)
      if (open === undefined) told.push(this.read(this.add(observation, timeMs, true)))
      else if (this.renew(open, observation, timeMs, !wasPresent)) told.push(this.read(open.id))
    }
    for (const { id, count } of gone.values()) {
      this.sql.leave.run(id)
      // What comes and goes is told once, and counted.
      if (count === 1) told.push(this.read(id))
    }
    return told
  }

  private add(observation: Observation, timeMs: number, isPresent: boolean, incident?: number): number {
    const { source, key, severity, title } = observation
    const { lastInsertRowid } = this.sql.add.run({
      ...{ source, key, severity, title, detail: detailOf(observation), timeMs },
      ...{ present: isPresent ? 1 : 0, incident: incident ?? null },
    })
    return Number(lastInsertRowid)
  }

  /** @returns whether it has become graver */
  private renew(open: AlertRow, observation: Observation, timeMs: number, isAnother: boolean): boolean {
    const { severity, title } = observation
    const difference = SEVERITIES.indexOf(severity) - SEVERITIES.indexOf(open.severity)
    const isObserved = observation.source !== 'incident' && observation.source !== 'tamper'
    this.sql.renew.run({
      ...(difference >= 0
        ? { severity, title, detail: detailOf(observation) }
        : { severity: open.severity, title: open.title, detail: open.detail }),
      ...{ id: open.id, timeMs, more: isAnother ? 1 : 0, present: isObserved ? 1 : 0 },
      state: difference > 0 ? 'open' : open.state,
    })
    return difference > 0
  }

  private read(id: number): Alert {
    const row = this.sql.byId.get(id)
    if (row === undefined) throw new Error(`there is no alert ${id}`)
    return alertOf(row)
  }
}

/**
 * The alerts of a baseline in the order of their ids, also while an agent writes to it.
 * @throws UsageError when there is no baseline, it is not ours, or it has another schema
 */
export function alertsIn(path: string): Alert[] {
  const database = openForReading(path)
  try {
    return database.prepare<[], AlertRow>('SELECT * FROM alerts ORDER BY id').all().map(alertOf)
  } finally {
    database.close()
  }
}

const detailOf = ({ reasons, next, subject }: Observation): string =>
  JSON.stringify({ reasons, next, subject })

/** An alert as its row says it. */
export function alertOf(row: AlertRow): Alert {
  const { id, source, key, severity, title, state, count } = row
  const { reasons, next, subject } = JSON.parse(row.detail) as Pick<
    Observation,
    'reasons' | 'next' | 'subject'
  >
  return {
    ...{ kind: 'alert', id, source, key, severity, title, reasons, next, subject },
    ...{ firstMs: row.first_ms, lastMs: row.last_ms, count, isPresent: row.present === 1, state },
    ...(row.muted_until_ms === null ? {} : { mutedUntilMs: row.muted_until_ms }),
    ...(row.incident_id === null ? {} : { incident: row.incident_id }),
  }
}

export interface AlertRow {
  id: number
  source: Alert['source']
  key: string
  severity: Severity
  title: string
  detail: string
  first_ms: number
  last_ms: number
  count: number
  present: 0 | 1
  state: AlertState
  muted_until_ms: number | null
  incident_id: number | null
}

const statements = (database: Database.Database) => ({
  unreset: database.prepare<[string, string], AlertRow>(
    "SELECT * FROM alerts WHERE source = ? AND key = ? AND state <> 'reset'",
  ),
  present: database.prepare<[string], AlertRow>(
    "SELECT * FROM alerts WHERE source = ? AND present = 1 AND state <> 'reset' ORDER BY id",
  ),
  byId: database.prepare<[number], AlertRow>('SELECT * FROM alerts WHERE id = ?'),
  add: database.prepare<{
    source: string
    key: string
    severity: string
    title: string
    detail: string
    timeMs: number
    present: 0 | 1
    incident: number | null
  }>(
    `INSERT INTO alerts (source, key, severity, title, detail, first_ms, last_ms, count, present, incident_id)
     VALUES (@source, @key, @severity, @title, @detail, @timeMs, @timeMs, 1, @present, @incident)`,
  ),
  renew: database.prepare<{
    id: number
    severity: string
    title: string
    detail: string
    timeMs: number
    more: 0 | 1
    present: 0 | 1
    state: string
  }>(
    `UPDATE alerts SET severity = @severity, title = @title, detail = @detail, last_ms = max(last_ms, @timeMs),
       count = count + @more, present = @present, state = @state WHERE id = @id`,
  ),
  leave: database.prepare<[number]>('UPDATE alerts SET present = 0 WHERE id = ?'),
})
