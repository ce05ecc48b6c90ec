import type Database from 'better-sqlite3'
import {
  type Alert,
  type AlertSource,
  type AlertState,
  type HostLook,
  isLasting,
  type Observation,
  type Subject,
} from '../domain/alert.ts'
import { SEVERITIES, type Severity } from '../domain/report.ts'
import { AlertRoom, ownerOf, type UnresetCount } from './alert-room.ts'
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
    const { source, key } = observation
    const open = this.sql.unreset.get(source, key)
    const room = this.roomIn(source)
    if (open !== undefined || room.take(observation)) {
      this.put(open, observation, { timeMs, isAnother: true, incident })
      return
    }
    const rest = this.restFor(observation, room)
    const more = restOf([observation], rest, (rest.open?.count ?? 0) + 1)
    this.put(rest.open, more, { timeMs, isAnother: true, incident })
  }

  /** What an incident told of went on. */
  again(incident: number, count: number, timeMs: number): void {
    this.sql.again.run({ incident, count, timeMs })
  }

  /**
   * Takes all that a look at the host has found of one source. What was there before and is not in it is gone from the host,
   * and stays open.
   * @returns what is to be told: what is new, what became graver or tenfold, and what is gone for the first time
   */
  look({ source, observations }: HostLook, timeMs: number): readonly Alert[] {
    const told: Alert[] = []
    const gone = new Map(this.sql.present.all(source).map((row) => [row.key, row]))
    const put = (open: AlertRow | undefined, observation: Observation): void => {
      const isAnother = !gone.delete(observation.key)
      const id = this.put(open, observation, { timeMs, isAnother })
      if (id !== undefined) told.push(this.read(id))
    }
    const room = this.roomIn(source)
    const rests = new Map<string, { readonly rest: Rest; readonly observed: Observation[] }>()
    for (const observation of observations) {
      const open = this.sql.unreset.get(source, observation.key)
      if (open !== undefined || room.take(observation)) {
        put(open, observation)
        continue
      }
      const rest = this.restFor(observation, room)
      const others = rests.get(rest.key)
      if (others === undefined) rests.set(rest.key, { rest, observed: [observation] })
      else others.observed.push(observation)
    }
    for (const { rest, observed } of rests.values()) put(rest.open, restOf(observed, rest, observed.length))
    for (const { id, count, muted_until_ms: mutedUntilMs } of gone.values()) {
      this.sql.leave.run(id)
      // What comes and goes is told once, and counted.
      if (count === 1 && (mutedUntilMs ?? 0) <= timeMs) told.push(this.read(id))
    }
    return told
  }

  private roomIn(source: AlertSource): AlertRoom {
    return new AlertRoom(this.sql.countUnreset.all(source))
  }

  /** The alert that tells of what has no room: one for each owner while that has room, else one for all. */
  private restFor(observation: Observation, room: AlertRoom): Rest {
    const { source, severity, subject } = observation
    const owner = ownerOf(observation)
    const key = `${MORE} ${severity} ${owner}`
    const open = this.sql.unreset.get(source, key)
    const { user, container } = subject
    if (open !== undefined || room.hasRoomFor(owner)) {
      const whose = {
        ...(user === undefined ? {} : { user }),
        ...(container === undefined ? {} : { container }),
      }
      return { source, severity, key, whose, open }
    }
    const keyOfAll = `${MORE} ${severity}`
    return { source, severity, key: keyOfAll, whose: {}, open: this.sql.unreset.get(source, keyOfAll) }
  }

  /** @returns its id, when it is new, has become graver or stands for many more */
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
    const present = isLasting(source) ? 1 : 0
    if (open === undefined) {
      const row = { source, key, severity, title, detail, timeMs, present, incident } as const
      return Number(this.sql.add.run(row).lastInsertRowid)
    }
    const difference = SEVERITIES.indexOf(severity) - SEVERITIES.indexOf(open.severity)
    const isWorse = difference > 0 || isTenfold(alertOf(open), observation)
    this.sql.renew.run({
      ...(difference >= 0
        ? { severity, title, detail }
        : { severity: open.severity, title: open.title, detail: open.detail }),
      ...{ id: open.id, timeMs, more: isAnother ? 1 : 0, present, incident },
      // Nobody has acknowledged or muted this.
      state: isWorse ? 'open' : open.state,
      mutedUntilMs: isWorse ? null : open.muted_until_ms,
    })
    return isWorse ? open.id : undefined
  }

  private read(id: number): Alert {
    const row = this.sql.byId.get(id)
    if (row === undefined) throw new Error(`there is no alert ${id}`)
    return alertOf(row)
  }
}

/** Alerts that were reset and are kept, the last ones. */
const MOST_RESET = 1000
/** Titles that are named where one alert stands for many. */
const MOST_NAMED = 10

/** What the key of an alert that stands for many begins with. */
const MORE = '…'

/** Where alerts are counted that have no room. */
interface Rest extends Pick<Observation, 'source' | 'severity' | 'key'> {
  /** Empty when they are of all. */
  readonly whose: Subject
  /** What is not reset of it. */
  readonly open: AlertRow | undefined
}

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
  { source, severity, key, whose, open }: Rest,
  count: number,
): Observation {
  const titles = observations.slice(-MOST_NAMED).map(({ title }) => title)
  const [user = '', container = ''] = [whose['user'], whose['container']].map((name = '') => String(name))
  const of = (user === '' ? '' : ` of ${user}`) + (container === '' ? '' : ` in container ${container}`)
  return {
    ...{ source, key, severity },
    title: `${count} more ${WORDS[source]}${of}, as too many alerts of ${severity} gravity are not reset`,
    reasons: titles.map((title) => `among them: ${title}`),
    next: [
      `fullmon alerts --source ${source}`,
      `fullmon reset --all --source ${source}, once they are seen to`,
    ],
    subject: { ...whose, count, most: Math.max(count, open === undefined ? 0 : mostIn(alertOf(open))) },
  }
}

/** Whether it stands for so many more than ever that this has another power of ten. */
const isTenfold = (before: Observation, after: Observation): boolean =>
  after.key.startsWith(MORE) && String(mostIn(after)).length > String(mostIn(before)).length

/** For how many it has stood at once. */
const mostIn = ({ subject: { most } }: Observation): number => (typeof most === 'number' ? most : 0)

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
  // As `ownerOf` says it.
  countUnreset: database.prepare<[string], UnresetCount>(
    `SELECT coalesce(detail ->> '$.subject.container', '') || ' ' || coalesce(detail ->> '$.subject.user', '') AS owner,
            severity, count(*) AS count
       FROM alerts WHERE source = ? AND state <> 'reset' GROUP BY owner, severity`,
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
