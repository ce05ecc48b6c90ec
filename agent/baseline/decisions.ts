import type Database from 'better-sqlite3'
import type { Edge } from '../domain/edge.ts'
import type { EdgeMark, Incident, IncidentState } from '../domain/report.ts'
import { UsageError } from '../domain/result.ts'
import { resetDecided } from './alerts.ts'
import { Journal } from './journal.ts'
import { type SinceEdge, sinceReport } from './incidents.ts'
import { type Doubt, tellAgain } from './life.ts'
import { ON_SAME_EDGE } from './migrations.ts'
import { openDatabase, openForReading } from './open.ts'
import { refuseBrokenJournal } from './verify.ts'

/** Who decided, when, and why. */
export interface Decision {
  readonly author: string
  readonly reason: string | undefined
  /** Unix time in milliseconds. */
  readonly timeMs: number
}

/** An incident, and what became of it. */
export interface KeptIncident {
  readonly incident: Incident
  readonly state: IncidentState
  /** Whether the budget kept it back. */
  readonly isWithheld: boolean
  /** When a person wants to see it again. */
  readonly laterMs: number | undefined
  /** Row of the journal in which its state was set. */
  readonly journal: number | undefined
}

/** Why an edge of an incident was left out. */
export interface Refusal {
  readonly edge: Edge
  readonly why: EdgeMark | 'degraded'
}

/** What a decision has changed. */
export interface Outcome {
  readonly incident: number
  readonly state: IncidentState
  /** What is normal now, or never again. */
  readonly edges: readonly Edge[]
  readonly refused: readonly Refusal[]
  /** Other incidents, in which all is normal now. */
  readonly settled: readonly number[]
  /** How much came to it after its report, is not decided on, and is told of anew. */
  readonly toldAgain: number
  /** Alerts that are reset, because what they are about is normal now. */
  readonly alerts: readonly number[]
}

/** Edges that a row of the journal names. */
const MOST_NAMED = 20

/** What a person says of incidents, each in one transaction with a row of the journal, also while the agent runs. */
export class Decisions {
  private readonly database: Database.Database
  private readonly path: string
  private readonly journal: Journal
  private readonly statements: ReturnType<typeof prepare>

  /**
   * @param database open already, for decisions in a transaction of its own; never closed here
   * @throws UsageError when there is no baseline, it is not ours, or it has another schema
   */
  constructor(path: string, database?: Database.Database) {
    if (database === undefined) openForReading(path).close()
    this.path = path
    this.database = database ?? openDatabase(path)
    this.journal = new Journal(this.database)
    this.statements = prepare(this.database)
  }

  close(): void {
    this.database.close()
  }

  /** @throws UsageError when there is none */
  incident(id: number): KeptIncident {
    const row = this.statements.incident.get(id)
    if (row === undefined)
      throw new UsageError(`there is no incident ${id} in ${this.path}: fullmon incidents --all lists them`)
    return keptIncident(row)
  }

  /** Incidents that nobody has decided on, or that were to be seen again by now; the gravest first. */
  waiting(nowMs: number): readonly KeptIncident[] {
    return this.statements.waiting.all(nowMs).map(keptIncident)
  }

  /**
   * What the incident did is normal. What a person denied before is left out, unless it is named.
   * @param numbers of edges, from 1 as they are listed; all of them without
   * @throws UsageError when there is no such incident or edge, or the journal does not fit
   */
  accept(id: number, decision: Decision, numbers?: readonly number[]): Outcome {
    return this.change(() => {
      const { edges, marks } = this.edgesOf(id, numbers)
      const refused = edges.flatMap((edge): Refusal[] =>
        numbers === undefined && this.isDenied(edge) ? [{ edge, why: 'denied' }] : [],
      )
      const taken = edges.filter((edge) => !refused.some((refusal) => refusal.edge === edge))
      if (taken.length === 0) return this.unchanged(id, refused)
      const lifted = taken.filter((edge) => this.isDenied(edge))
      const added = taken.filter((edge) => this.makeNormal(edge, id, decision.timeMs))
      const detail = {
        marks: [...new Set(taken.flatMap((edge) => marks.get(edge) ?? []))],
        lifted: lifted.length,
      }
      const row = this.write('accept', id, decision, taken, { added, lifted }, detail)
      for (const { kind, from, to } of taken) this.statements.accept.run(row, from, to, kind)
      for (const { kind, from, to } of lifted) this.statements.liftDenial.run(from, to, kind)
      return this.outcome(id, numbers === undefined ? 'accepted' : this.decided(id), row, taken, refused)
    })
  }

  /**
   * One edge of an incident is normal, and so are all that `general` stands for.
   * @throws UsageError when the edge is denied or never learned: that is accepted by its own name only
   */
  generalise(id: number, decision: Decision, number: number, general: Edge): Outcome {
    return this.change(() => {
      const { edges, marks } = this.edgesOf(id, [number])
      const [edge = general] = edges
      const mark = this.isDenied(edge) || this.isDenied(general) ? 'denied' : marks.get(edge)
      if (mark !== undefined && mark !== 'dormant')
        throw new UsageError(`edge ${number} of incident ${id} is ${mark}: it stands for no others`)
      const added = this.makeNormal(general, id, decision.timeMs) ? [general] : []
      const row = this.write('accept', id, decision, [general], { added }, { of: `${edge.from}->${edge.to}` })
      this.statements.accept.run(row, general.from, general.to, general.kind)
      this.statements.markMerged.run({ ...edge, id, timeMs: decision.timeMs })
      return this.outcome(id, this.decided(id), row, [general], [])
    })
  }

  /** The same without a word about who may be trusted: what it did is normal, in doubt, and was maintenance. */
  maintenance(id: number, decision: Decision): Outcome {
    return this.change(() => {
      const { edges, marks } = this.edgesOf(id)
      const refused = edges.flatMap((edge): Refusal[] => {
        const why = this.isDenied(edge) ? 'denied' : marks.get(edge)
        return why === undefined || why === 'dormant' ? [] : [{ edge, why }]
      })
      const taken = edges.filter((edge) => !refused.some((refusal) => refusal.edge === edge))
      if (taken.length === 0) return this.unchanged(id, refused)
      const added = taken.filter((edge) => this.makeNormal(edge, id, decision.timeMs, 'maintenance'))
      const row = this.write('maintenance', id, decision, taken, { added })
      return this.outcome(id, 'maintenance', row, taken, refused)
    })
  }

  /** What the incident did is never normal: it is forgotten where it was, and reported each time. */
  deny(id: number, decision: Decision, numbers?: readonly number[]): Outcome {
    return this.change(() => {
      const { edges } = this.edgesOf(id, numbers)
      const denied = edges.filter((edge) => !this.isDenied(edge))
      const removed = denied.filter((edge) => this.makeUnseen(edge))
      const row = this.write('deny', id, decision, denied, { removed, denied })
      for (const { kind, from, to } of denied) this.statements.deny.run({ from, to, kind, row })
      return this.outcome(id, numbers === undefined ? 'denied' : this.decided(id), row, denied, [])
    })
  }

  /**
   * A person wants to see it again at `untilMs`.
   * @throws UsageError when there is no such incident, or it was decided on
   */
  later(id: number, decision: Decision, untilMs: number): Outcome {
    return this.change(() => {
      const { state } = this.incident(id)
      if (state !== 'open' && state !== 'later')
        throw new UsageError(`incident ${id} is decided on: it is ${state}`)
      const row = this.write('later', id, decision, [], {}, { until: untilMs })
      const outcome = this.outcome(id, 'later', row, [], [])
      this.statements.putLater.run(untilMs, id)
      return outcome
    })
  }

  private change<T>(work: () => T): T {
    return this.database
      .transaction(() => {
        refuseBrokenJournal(this.database, this.path, 'nothing is changed in')
        return work()
      })
      .immediate()
  }

  /** What came to the incident after its report: no decision on it is about that. */
  since(id: number): readonly SinceEdge[] {
    return sinceReport(this.database, id)
  }

  /** Those that are named, or all that the incident had when it was reported, listed or not. */
  private edgesOf(
    id: number,
    numbers?: readonly number[],
  ): { edges: readonly Edge[]; marks: ReadonlyMap<Edge, EdgeMark> } {
    const { incident } = this.incident(id)
    const listed = incident.edges
    const found = this.statements.edgesOf.all(id)
    // What was seen of it may have been forgotten for newer findings.
    const all =
      numbers === undefined
        ? [...found, ...listed]
        : numbers.map((number) => {
            const edge = listed[number - 1]
            if (edge === undefined)
              throw new UsageError(`incident ${id} lists ${listed.length} edges: there is no edge ${number}`)
            return edge
          })
    const edges = new Map<string, Edge>()
    const marks = new Map<Edge, EdgeMark>()
    for (const { kind, from, to, mark } of all) {
      const key = `${kind} ${from}->${to}`
      const edge = edges.get(key) ?? { kind, from, to }
      edges.set(key, edge)
      if (mark !== undefined && mark !== null) marks.set(edge, mark)
    }
    return { edges: [...edges.values()], marks }
  }

  private isDenied({ kind, from, to }: Edge): boolean {
    return this.statements.isDenied.get(from, to, kind) !== undefined
  }

  /** Edges of the report of an incident that are neither normal nor denied. */
  private countUndecided(id: number): number {
    return this.statements.countUndecided.get(id)?.count ?? 0
  }

  /** What is said of an incident of which only some edges are decided on; undefined while others are not. */
  private decided(id: number): IncidentState | undefined {
    if (this.countUndecided(id) > 0) return undefined
    return this.statements.anyDenied.get(id) === undefined ? 'accepted' : 'denied'
  }

  /** Whether it was not normal before, for whoever counts what is. */
  private makeNormal(edge: Edge, id: number, timeMs: number, doubt: Doubt | null = null): boolean {
    const { kind, from, to } = edge
    const { settleFresh, isNormal, addEdge, markMerged, addNode } = this.statements
    const wasFresh = settleFresh.run(from, to, kind).changes > 0
    const wasNormal = !wasFresh && isNormal.get(from, to, kind) !== undefined
    addNode.run(from)
    addNode.run(to)
    if (isNormal.get(from, to, kind) === undefined) addEdge.run({ kind, from, to, id, timeMs, doubt })
    markMerged.run({ kind, from, to, id, timeMs })
    return !wasNormal
  }

  /** Whether it was normal before. */
  private makeUnseen({ kind, from, to }: Edge): boolean {
    const wasFresh = this.statements.settleFresh.run(from, to, kind).changes > 0
    return this.statements.removeEdge.run(from, to, kind).changes > 0 && !wasFresh
  }

  private write(
    action: 'accept' | 'deny' | 'maintenance' | 'later',
    incident: number,
    { author, reason, timeMs }: Decision,
    edges: readonly Edge[],
    change: Parameters<Journal['append']>[1],
    more: Readonly<Record<string, unknown>> = {},
  ): number {
    const detail = {
      incident,
      edges: edges.length,
      named: edges.slice(0, MOST_NAMED).map(({ kind, from, to }) => `${kind} ${from}->${to}`),
      ...more,
      ...(reason === undefined ? {} : { reason }),
    }
    return this.journal.append({ timeMs, action, author, detail }, change)
  }

  private unchanged(id: number, refused: readonly Refusal[]): Outcome {
    return {
      incident: id,
      state: this.incident(id).state,
      edges: [],
      refused,
      settled: [],
      toldAgain: 0,
      alerts: [],
    }
  }

  private outcome(
    id: number,
    state: IncidentState | undefined,
    row: number,
    edges: readonly Edge[],
    refused: readonly Refusal[],
  ): Outcome {
    if (state !== undefined) this.statements.putState.run(state, row, id)
    const settled =
      state === 'accepted' || state === 'maintenance' ? this.settleOthers(id, state, row, edges) : []
    const toldAgain = tellAgain(this.database)
    const alerts = resetDecided(this.database, row)
    const now = state ?? this.incident(id).state
    return { incident: id, state: now, edges, refused, settled, toldAgain, alerts }
  }

  /** Incidents nobody has decided on that have nothing in them any more but what this decision has made normal. */
  private settleOthers(id: number, state: IncidentState, row: number, edges: readonly Edge[]): number[] {
    const settled = this.statements.others
      .all(id, id)
      .map(({ other }) => other)
      .filter(
        (other) => this.countUndecided(other) === 0 && this.statements.anyDenied.get(other) === undefined,
      )
    const all = [...new Set([...settled, ...this.raisedOver(edges, id)])]
    for (const other of all) this.statements.putState.run(state, row, other)
    return all
  }

  /** Open incidents of rules that tell of nothing but these edges: what a rule told at once, the window told again. */
  private raisedOver(edges: readonly Edge[], id: number): number[] {
    const names = new Set(edges.map(nameOf))
    return this.statements.raised
      .all(id)
      .filter(({ report }) => (JSON.parse(report) as Incident).edges.every((edge) => names.has(nameOf(edge))))
      .map(({ raised }) => raised)
  }
}

const nameOf = ({ kind, from, to }: Edge): string => `${kind} ${from}->${to}`

interface IncidentRow {
  report: string
  state: IncidentState
  withheld: 0 | 1
  later_ms: number | null
  journal: number | null
}

const keptIncident = ({ report, state, withheld, later_ms, journal }: IncidentRow): KeptIncident => ({
  incident: JSON.parse(report) as Incident,
  state,
  isWithheld: withheld === 1,
  laterMs: later_ms ?? undefined,
  journal: journal ?? undefined,
})

/** One edge by its names, as the parameters from, to and kind. */
const THIS_EDGE = `from_id = (SELECT id FROM nodes WHERE name = ?) AND to_id = (SELECT id FROM nodes WHERE name = ?)
  AND kind = ?`
const NAMED_EDGE = `from_id = (SELECT id FROM nodes WHERE name = @from)
  AND to_id = (SELECT id FROM nodes WHERE name = @to) AND kind = @kind`

const prepare = (database: Database.Database) => ({
  incident: database.prepare<[number], IncidentRow>(
    'SELECT report, state, withheld, later_ms, journal FROM incidents WHERE id = ?',
  ),
  waiting: database.prepare<[number], IncidentRow>(
    `SELECT report, state, withheld, later_ms, journal FROM incidents
      WHERE state = 'open' OR state = 'later' AND later_ms <= ? ORDER BY withheld, score DESC, id`,
  ),
  edgesOf: database.prepare<[number], Edge & { mark: EdgeMark | null }>(
    `SELECT kind, source.name AS "from", target.name AS "to", mark FROM findings
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
       JOIN incidents ON incidents.id = incident_id
      WHERE incident_id = ? AND reported_ms <= time_ms ORDER BY findings.first_ms, findings.id`,
  ),
  countUndecided: database.prepare<[number], { count: number }>(
    `SELECT count(*) AS count FROM findings JOIN incidents ON incidents.id = incident_id
      WHERE incident_id = ? AND merged_ms IS NULL AND reported_ms <= time_ms
        AND (from_id, to_id, kind) NOT IN (SELECT from_id, to_id, kind FROM denied)
        AND NOT EXISTS (SELECT 1 FROM edges WHERE edges.from_id = findings.from_id AND edges.to_id = findings.to_id
                           AND edges.kind = findings.kind)`,
  ),
  anyDenied: database.prepare<[number], { any: 1 }>(
    'SELECT 1 AS "any" FROM findings JOIN denied USING (from_id, to_id, kind) WHERE incident_id = ? LIMIT 1',
  ),
  others: database.prepare<[number, number], { other: number }>(
    `SELECT DISTINCT other.incident_id AS other FROM findings one JOIN findings other USING (from_id, to_id, kind)
       JOIN incidents ON incidents.id = other.incident_id
      WHERE one.incident_id = ? AND other.incident_id <> ? AND incidents.state IN ('open', 'later')
      ORDER BY other.incident_id`,
  ),
  raised: database.prepare<[number], { raised: number; report: string }>(
    `SELECT id AS raised, report FROM incidents
      WHERE id <> ? AND state IN ('open', 'later') AND json_extract(report, '$.rule') IS NOT NULL ORDER BY id`,
  ),
  addNode: database.prepare<[string]>('INSERT INTO nodes (name) VALUES (?) ON CONFLICT DO NOTHING'),
  isNormal: database.prepare<[string, string, string], { known: 1 }>(
    `SELECT 1 AS known FROM edges WHERE ${THIS_EDGE}`,
  ),
  isDenied: database.prepare<[string, string, string], { known: 1 }>(
    `SELECT 1 AS known FROM denied WHERE ${THIS_EDGE}`,
  ),
  // With all that was found of it in any chain, or as the report says when that is forgotten.
  addEdge: database.prepare<Edge & { id: number; timeMs: number; doubt: Doubt | null }>(
    `INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days, windows, doubt)
     SELECT source.id, target.id, @kind, coalesce(min(first_ms), @timeMs), coalesce(max(last_ms), @timeMs),
            max(1, coalesce(sum(sightings), 1)),
            1 + (coalesce(max(last_ms) / 86400000 > min(first_ms) / 86400000, 0)),
            1 + (coalesce(max(last_ms) / 60000 > min(first_ms) / 60000, 0)), @doubt
       FROM nodes source JOIN nodes target
       LEFT JOIN findings ON from_id = source.id AND to_id = target.id AND findings.kind = @kind
      WHERE source.name = @from AND target.name = @to GROUP BY source.id ${ON_SAME_EDGE}`,
  ),
  removeEdge: database.prepare<[string, string, string]>(`DELETE FROM edges WHERE ${THIS_EDGE}`),
  settleFresh: database.prepare<[string, string, string]>(`DELETE FROM fresh WHERE ${THIS_EDGE}`),
  // What was found since the incident and is not reported yet, is of it: it would be reported as unseen.
  markMerged: database.prepare<Edge & { id: number; timeMs: number }>(
    `UPDATE findings SET merged_ms = @timeMs, incident_id = CASE WHEN reported_ms IS NULL THEN @id ELSE incident_id END,
       reported_ms = coalesce(reported_ms, @timeMs) WHERE merged_ms IS NULL AND ${NAMED_EDGE}`,
  ),
  accept: database.prepare<[number, string, string, string]>(
    `UPDATE edges SET accepted = ?, doubt = NULL WHERE ${THIS_EDGE}`,
  ),
  deny: database.prepare<Edge & { row: number }>(
    `INSERT INTO denied (from_id, to_id, kind, journal) SELECT source.id, target.id, @kind, @row
       FROM nodes source JOIN nodes target WHERE source.name = @from AND target.name = @to`,
  ),
  liftDenial: database.prepare<[string, string, string]>(`DELETE FROM denied WHERE ${THIS_EDGE}`),
  putState: database.prepare<[IncidentState, number, number]>(
    'UPDATE incidents SET state = ?, journal = ?, later_ms = NULL WHERE id = ?',
  ),
  putLater: database.prepare<[number, number]>('UPDATE incidents SET later_ms = ? WHERE id = ?'),
})
