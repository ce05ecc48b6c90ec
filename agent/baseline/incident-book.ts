import type Database from 'better-sqlite3'
import type { Finding, Incident } from '../domain/report.ts'
import { type FindingRow, inOrder } from './finding-row.ts'
import { Portion } from './portion.ts'
import type { UnstablePlaces } from './unstable.ts'

/** Incidents as they are made of findings, and those that were only rehearsed in a training. */
export class IncidentBook {
  private readonly unstable: UnstablePlaces
  private readonly statements: ReturnType<typeof prepare>

  constructor(database: Database.Database, unstable: UnstablePlaces) {
    this.statements = prepare(database)
    this.unstable = unstable
  }

  /**
   * An incident takes all that is not reported of a tree.
   * @param isDegraded whether its window was not seen whole
   * @param isWithheld whether the budget keeps it back
   */
  add(
    tree: string,
    incident: Incident,
    { timeMs, isDegraded, isWithheld }: { timeMs: number; isDegraded: boolean; isWithheld: boolean },
  ): void {
    const { addIncident, markReported } = this.statements
    const { id, severity, score } = incident
    addIncident.run(id, tree, timeMs, severity, score, isWithheld ? 1 : 0, JSON.stringify(incident))
    markReported.run(timeMs, isDegraded ? 1 : 0, id, tree)
  }

  /** What is not reported of a tree belongs to an incident that was reported before. */
  addTo(tree: string, incident: number, timeMs: number, isDegraded: boolean): void {
    this.statements.markReported.run(timeMs, isDegraded ? 1 : 0, incident, tree)
    this.statements.uncountRaised.run(incident)
    this.unstable.fold(incident)
  }

  /** An incident that a rule has raised; it takes nothing of its tree. */
  addRaised(tree: string, incident: Incident, timeMs: number): void {
    const { id, severity, score } = incident
    this.statements.addRaised.run(id, tree, timeMs, severity, score, JSON.stringify(incident))
  }

  /** What a rule was about went on. Where findings belong to the incident they count for themselves. */
  countRaised(id: number, count: number, lastMs: number): void {
    this.statements.countRaised.run({ id, count, lastMs })
  }

  /** Whether nobody has decided on an incident, nor reset its alert. */
  isUnsettled(id: number): boolean {
    return this.statements.unsettled.get(id) !== undefined
  }

  /** What rules have raised of a tree, the last first; not all, when they are many. */
  raisedIn(tree: string): readonly Incident[] {
    return this.statements.raisedIn.all(tree).map(({ report }) => JSON.parse(report) as Incident)
  }

  /** The id that the next incident will have; none is used again. */
  get next(): number {
    return (this.statements.lastIncident.get()?.seq ?? 0) + 1
  }

  /** The last incident that was made of a tree. */
  lastOf(tree: string): number | undefined {
    return this.statements.lastIncidentOf.get(tree)?.id ?? undefined
  }

  /** What was reported of a tree before, the last first when it is too much; in the order of time. */
  reportedOf(tree: string): readonly Finding[] {
    const portion = new Portion()
    for (const row of this.statements.reportedOf.iterate(tree)) if (!portion.take(row)) break
    return inOrder(portion.rows)
  }

  /** Of a training: what would have been an incident of this process, and when it would have begun. */
  addRehearsed(
    timeMs: number,
    source: string,
    { severity, score }: Pick<Incident, 'severity' | 'score'>,
  ): void {
    this.statements.addRehearsed.run(timeMs, source, severity, score)
  }

  /** The highest score that a low incident had in a training behind `fromMs`; 0 when there was none. */
  highestRehearsed(fromMs: number): number {
    return this.statements.highestRehearsed.get(fromMs) ?? 0
  }

  /** Scores of all incidents behind `fromMs` that are neither high nor critical, rehearsed or real, withheld or not. */
  ordinaryScores(fromMs: number): readonly { readonly source: string; readonly score: number }[] {
    return this.statements.ordinaryScores.all({ fromMs })
  }
}

const prepare = (database: Database.Database) => ({
  addIncident: database.prepare<[number, string, number, string, number, 0 | 1, string]>(
    'INSERT INTO incidents (id, tree, time_ms, severity, score, withheld, report) VALUES (?, ?, ?, ?, ?, ?, ?)',
  ),
  markReported: database.prepare<[number, 0 | 1, number, string]>(
    'UPDATE findings SET reported_ms = ?, degraded = ?, incident_id = ? WHERE reported_ms IS NULL AND tree = ?',
  ),
  addRaised: database.prepare<[number, string, number, string, number, string]>(
    `INSERT INTO incidents (id, tree, time_ms, severity, score, withheld, moved, report)
     VALUES (?, ?, ?, ?, ?, 0, 1, ?)`,
  ),
  countRaised: database.prepare<{ id: number; count: number; lastMs: number }>(
    `UPDATE incidents SET moved = moved + @count,
       report = json_set(report, '$.lastMs', max(@lastMs, json_extract(report, '$.lastMs')))
      WHERE id = @id AND NOT EXISTS (SELECT 1 FROM findings WHERE incident_id = @id)`,
  ),
  // Its findings count from now on.
  uncountRaised: database.prepare<[number]>(
    "UPDATE incidents SET moved = 0 WHERE id = ? AND json_extract(report, '$.rule') IS NOT NULL",
  ),
  unsettled: database.prepare<[number], { any: 1 }>(
    `SELECT 1 AS "any" FROM incidents WHERE id = ? AND state IN ('open', 'later')
        AND NOT EXISTS (SELECT 1 FROM alerts WHERE incident_id = incidents.id AND alerts.state = 'reset')`,
  ),
  raisedIn: database.prepare<[string], { report: string }>(
    `SELECT report FROM incidents WHERE tree = ? AND json_extract(report, '$.rule') IS NOT NULL
      ORDER BY id DESC LIMIT 20`,
  ),
  lastIncident: database.prepare<[], { seq: number }>(
    "SELECT seq FROM sqlite_sequence WHERE name = 'incidents'",
  ),
  lastIncidentOf: database.prepare<[string], { id: number | null }>(
    'SELECT max(id) AS id FROM incidents WHERE tree = ?',
  ),
  reportedOf: database.prepare<[string], FindingRow>(
    `SELECT findings.*, source.name AS from_name, target.name AS to_name FROM incidents
       JOIN findings ON incident_id = incidents.id
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE incidents.tree = ?
      ORDER BY kind IN ('create', 'delete', 'rename', 'write', 'attribute'), findings.first_ms DESC, findings.id DESC`,
  ),
  addRehearsed: database.prepare<[number, string, string, number]>(
    'INSERT INTO rehearsal (time_ms, source, severity, score) VALUES (?, ?, ?, ?)',
  ),
  highestRehearsed: database
    .prepare<[number], number | null>(
      "SELECT max(score) FROM rehearsal WHERE time_ms > ? AND severity = 'low'",
    )
    .pluck(),
  ordinaryScores: database.prepare<{ fromMs: number }, { source: string; score: number }>(
    `SELECT source, score FROM rehearsal WHERE time_ms > @fromMs AND severity IN ('low', 'medium')
      UNION ALL
     SELECT json_extract(report, '$.edges[0].from') AS source, score FROM incidents
      WHERE time_ms > @fromMs AND severity IN ('low', 'medium') AND json_extract(report, '$.rule') IS NULL`,
  ),
})
