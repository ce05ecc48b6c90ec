import type Database from 'better-sqlite3'
import type { Alert, AlertSource } from '../domain/alert.ts'
import { UsageError } from '../domain/result.ts'
import { SEVERITIES, type Severity } from '../domain/severity.ts'
import { alertOf, type AlertRow, forgetReset } from './alerts.ts'
import type { Decision } from './decisions.ts'
import { Journal, type JournalAction } from './journal.ts'
import { openDatabase, openForReading } from './open.ts'
import { refuseBrokenJournal } from './verify.ts'

/** What a person says of alerts. */
export type AlertAction = Extract<JournalAction, 'acknowledge' | 'mute' | 'unmute' | 'reset'>

/** Which alerts are meant: these, or all that are not reset and of which all of this is true. */
export interface AlertChoice {
  readonly ids?: readonly number[]
  readonly source?: AlertSource
  /** This or graver. */
  readonly least?: Severity
}

/** What a person's word has changed. */
export interface AlertOutcome {
  readonly action: AlertAction
  /** As they are now. */
  readonly changed: readonly Alert[]
  /** Those that were so before. */
  readonly unchanged: readonly Alert[]
  /** Row of the journal; undefined when nothing was changed. */
  readonly row: number | undefined
}

/** What a person says of alerts, each in one transaction with a row of the journal, also while the agent runs. */
export class AlertDecisions {
  private readonly database: Database.Database
  private readonly path: string
  private readonly journal: Journal
  private readonly statements: ReturnType<typeof prepare>

  /** @throws UsageError when there is no baseline, it is not ours, or it has another schema */
  constructor(path: string) {
    openForReading(path).close()
    this.path = path
    this.database = openDatabase(path)
    this.journal = new Journal(this.database)
    this.statements = prepare(this.database)
  }

  close(): void {
    this.database.close()
  }

  /**
   * Somebody knows of them and sees to them; one that becomes graver is open again.
   * @throws UsageError as all of these: there is no such alert, it is reset, or the journal does not fit
   */
  acknowledge(choice: AlertChoice, decision: Decision): AlertOutcome {
    const { acknowledge } = this.statements
    return this.change('acknowledge', choice, decision, {
      isNew: ({ state }) => state === 'open',
      put: (id, row) => acknowledge.run({ id, row }),
    })
  }

  /** Nobody is to look because of them before `untilMs`, unless they become graver. */
  mute(choice: AlertChoice, decision: Decision, untilMs: number): AlertOutcome {
    const { mute } = this.statements
    return this.change('mute', choice, decision, {
      isNew: ({ mutedUntilMs }) => mutedUntilMs !== untilMs,
      put: (id, row) => mute.run({ id, row, untilMs }),
      detail: { until: untilMs },
    })
  }

  unmute(choice: AlertChoice, decision: Decision): AlertOutcome {
    const { mute } = this.statements
    return this.change('unmute', choice, decision, {
      isNew: ({ mutedUntilMs = 0 }) => mutedUntilMs > decision.timeMs,
      put: (id, row) => mute.run({ id, row, untilMs: null }),
    })
  }

  /** Somebody has seen to them. What is still there at the next look opens another alert. */
  reset(choice: AlertChoice, decision: Decision): AlertOutcome {
    const { reset } = this.statements
    return this.change('reset', choice, decision, {
      isNew: () => true,
      put: (id, row) => reset.run({ id, row }),
    })
  }

  private change(
    action: AlertAction,
    choice: AlertChoice,
    { author, reason, timeMs }: Decision,
    { isNew, put, detail = {} }: Change,
  ): AlertOutcome {
    const work = (): AlertOutcome => {
      refuseBrokenJournal(this.database, this.path, 'nothing is changed in')
      const { changing = [], unchanged = [] } = Object.groupBy(this.chosen(choice), (alert) =>
        isNew(alert) ? 'changing' : 'unchanged',
      )
      if (changing.length === 0) return { action, changed: [], unchanged, row: undefined }
      const alerts = changing.map(({ id }) => id)
      const told = { alerts, ...detail, ...(reason === undefined ? {} : { reason }) }
      const row = this.journal.append({ timeMs, action, author, detail: told })
      for (const id of alerts) put(id, row)
      const changed = alerts.map((id) => this.alert(id))
      if (action === 'reset') forgetReset(this.database)
      return { action, changed, unchanged, row }
    }
    return this.database.transaction(work).immediate()
  }

  private chosen({ ids, source, least = SEVERITIES[0] }: AlertChoice): readonly Alert[] {
    if (ids === undefined) {
      return this.statements.unreset
        .all()
        .map(alertOf)
        .filter((alert) => source === undefined || alert.source === source)
        .filter(({ severity }) => SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(least))
    }
    return [...new Set(ids)].map((id) => {
      const alert = this.alert(id)
      if (alert.state === 'reset') throw new UsageError(`nothing was changed: alert ${id} is reset`)
      return alert
    })
  }

  private alert(id: number): Alert {
    const row = this.statements.byId.get(id)
    if (row === undefined)
      throw new UsageError(
        `nothing was changed: there is no alert ${id} in ${this.path}; fullmon alerts lists them`,
      )
    return alertOf(row)
  }
}

interface Change {
  /** Whether something changes for an alert that is not reset. */
  readonly isNew: (alert: Alert) => boolean
  readonly put: (id: number, row: number) => void
  /** What else the journal is to say. */
  readonly detail?: Readonly<Record<string, unknown>>
}

const prepare = (database: Database.Database) => ({
  byId: database.prepare<[number], AlertRow>('SELECT * FROM alerts WHERE id = ?'),
  unreset: database.prepare<[], AlertRow>("SELECT * FROM alerts WHERE state <> 'reset' ORDER BY id"),
  acknowledge: database.prepare<{ id: number; row: number }>(
    "UPDATE alerts SET state = 'acknowledged', journal = @row WHERE id = @id",
  ),
  mute: database.prepare<{ id: number; row: number; untilMs: number | null }>(
    'UPDATE alerts SET muted_until_ms = @untilMs, journal = @row WHERE id = @id',
  ),
  reset: database.prepare<{ id: number; row: number }>(
    "UPDATE alerts SET state = 'reset', muted_until_ms = NULL, journal = @row WHERE id = @id",
  ),
})
