import type Database from 'better-sqlite3'
import {
  type Alert,
  type AlertSource,
  type AlertState,
  type HostLook,
  isObserved,
  type Observation,
} from '../domain/alert.ts'
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
    const { source, key, severity } = observation
    const open = this.sql.unreset.get(source, key)
    if (open !== undefined || this.hasRoom(observation)) {
      this.put(open, observation, { timeMs, isAnother: true, incident })
      return
    }
    const rest = this.sql.unreset.get(source, restKey(severity))
    const more = restOf([observation], observation, (rest?.count ?? 0) + 1)
    this.put(rest, more, { timeMs, isAnother: true, incident })
  }

  /** What an incident told of went on. */
  again(incident: number, count: number, timeMs: number): void {
    this.sql.again.run({ incident, count, timeMs })
  }

  /**
   * Takes all that a look at the host has found of one source. What was there before and is not in it is gone from the host,
   * and stays open.
   * @returns what is to be told: what is new, what became graver, and what is gone for the first time
   */
  look({ source, observations }: HostLook, timeMs: number): readonly Alert[] {
    const told: Alert[] = []
    const gone = new Map(this.sql.present.all(source).map((row) => [row.key, row]))
    const put = (open: AlertRow | undefined, observation: Observation): void => {
      const isAnother = !gone.delete(observation.key)
      const id = this.put(open, observation, { timeMs, isAnother })
      if (id !== undefined) told.push(this.read(id))
    }
    const rest = new Map<Severity, Observation[]>()
    for (const observation of observations) {
      const open = this.sql.unreset.get(source, observation.key)
      if (open !== undefined || this.hasRoom(observation)) put(open, observation)
      else rest.set(observation.severity, [...(rest.get(observation.severity) ?? []), observation])
    }
    for (const [severity, observed] of rest)
      put(
        this.sql.unreset.get(source, restKey(severity)),
        restOf(observed, { source, severity }, observed.length),
      )
    for (const { id, count, muted_until_ms: mutedUntilMs } of gone.values()) {
      this.sql.leave.run(id)
      // What comes and goes is told once, and counted.
      if (count === 1 && (mutedUntilMs ?? 0) <= timeMs) told.push(this.read(id))
    }
    return told
  }

  /** Whether one more alert can have a row of its own: whoever makes many hides none that is graver. */
  private hasRoom({ source, severity }: Observation): boolean {
    const { alike = 0, all = 0 } = this.sql.countUnreset.get({ source, severity }) ?? {}
    return alike < MOST_ALIKE && all < MOST_OF_SOURCE
  }

  /** @returns its id, when it is new or has become graver */
  private put(
    open: AlertRow | undefined,
    observation: Observation,
    {
      timeMs,
      isAnother,
      incident = null,
    }: { timeMs: number; isAnother: boolean; incident?: number | undefined | null },
  ): number | undefined {
    const { source, key, severity, title } = observation
    const detail = detailOf(observation)
    const present = isObserved(source) ? 1 : 0
    if (open === undefined) {
      const row = { source, key, severity, title, detail, timeMs, present, incident } as const
      return Number(this.sql.add.run(row).lastInsertRowid)
    }
    const difference = SEVERITIES.indexOf(severity) - SEVERITIES.indexOf(open.severity)
    const isGraver = difference > 0
    this.sql.renew.run({
      ...(difference >= 0
        ? { severity, title, detail }
        : { severity: open.severity, title: open.title, detail: open.detail }),
      ...{ id: open.id, timeMs, more: isAnother ? 1 : 0, present, incident },
      // Nobody has acknowledged or muted this.
      state: isGraver ? 'open' : open.state,
      mutedUntilMs: isGraver ? null : open.muted_until_ms,
    })
    return isGraver ? open.id : undefined
  }

  private read(id: number): Alert {
    const row = this.sql.byId.get(id)
    if (row === undefined) throw new Error(`there is no alert ${id}`)
    return alertOf(row)
  }
}

/** Alerts of one source and gravity that are not reset and have a row each; what is more is one alert. */
const MOST_ALIKE = 100
/** The same for all gravities: what grows graver makes room for others. */
const MOST_OF_SOURCE = 400
/** Alerts that were reset and are kept, the last ones. */
const MOST_RESET = 1000
/** Titles that are named where one alert stands for many. */
const MOST_NAMED = 10

const restKey = (severity: Severity): string => `… ${severity}`

/** What there are too many of. */
const WORDS: Readonly<Record<AlertSource, string>> = {
  incident: 'incidents',
  tamper: 'signs of tampering',
  process: 'suspicious processes',
  count: 'changes in the number of suspicious processes',
  missing: 'required processes that do not run',
  layer: 'changes in the layers of containers',
  root: 'faults of the root file system',
}

/** One alert for those that have no room. */
function restOf(
  observations: readonly Observation[],
  { source, severity }: Pick<Observation, 'source' | 'severity'>,
  count: number,
): Observation {
  const titles = observations.slice(-MOST_NAMED).map(({ title }) => title)
  return {
    ...{ source, key: restKey(severity), severity },
    title: `${count} more ${WORDS[source]}, as ${MOST_ALIKE} alerts of ${severity} gravity are not reset`,
    reasons: titles.map((title) => `among them: ${title}`),
    next: [
      `fullmon alerts --source ${source}`,
      `fullmon reset --all --source ${source}, once they are seen to`,
    ],
    subject: { count },
  }
}

/**
 * Only the last alerts that were reset are kept. Belongs into the transaction that resets.
 */
export function forgetReset(database: Database.Database): void {
  database
    .prepare<[number]>(
      `DELETE FROM alerts WHERE state = 'reset'
          AND id NOT IN (SELECT id FROM alerts WHERE state = 'reset' ORDER BY journal DESC, id DESC LIMIT ?)`,
    )
    .run(MOST_RESET)
}

/**
 * Resets the alerts of the incidents that became normal with a row of the journal. Belongs into the transaction that writes it.
 * @returns their ids
 */
export function resetDecided(database: Database.Database, row: number): readonly number[] {
  const reset = database
    .prepare<{ row: number }, { id: number }>(
      `UPDATE alerts SET state = 'reset', journal = @row WHERE state <> 'reset' AND incident_id IN
         (SELECT id FROM incidents WHERE journal = @row AND state IN ('accepted', 'maintenance', 'rebased'))
       RETURNING id`,
    )
    .all({ row })
  forgetReset(database)
  return reset.map(({ id }) => id)
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
  countUnreset: database.prepare<{ source: string; severity: string }, { alike: number; all: number }>(
    `SELECT count(*) AS "all", count(*) FILTER (WHERE severity = @severity) AS alike FROM alerts
      WHERE source = @source AND state <> 'reset'`,
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
    mutedUntilMs: number | null
    incident: number | null
  }>(
    `UPDATE alerts SET severity = @severity, title = @title, detail = @detail, last_ms = max(last_ms, @timeMs),
       count = count + @more, present = @present, state = @state, muted_until_ms = @mutedUntilMs,
       incident_id = coalesce(@incident, incident_id) WHERE id = @id`,
  ),
  again: database.prepare<{ incident: number; count: number; timeMs: number }>(
    `UPDATE alerts SET count = count + @count, last_ms = max(last_ms, @timeMs)
      WHERE incident_id = @incident AND state <> 'reset'`,
  ),
  leave: database.prepare<[number]>('UPDATE alerts SET present = 0 WHERE id = ?'),
})
