import type Database from 'better-sqlite3'
import type { Edge, EdgeKind } from '../domain/edge.ts'

/** Edges that a process has of a kind: how many pairs of an edge and a minute or day, and how many edges with just one. */
export interface KindRow {
  readonly kind: EdgeKind
  readonly minutes: number
  readonly onceAMinute: number
  readonly days: number
  readonly onceADay: number
  readonly firstMs: number
  readonly lastMs: number
}

/** In how many minutes and on how many days a process was run. */
export interface RunRow {
  readonly minutes: number
  readonly days: number
}

/** Others that reach a target say enough when they are so many. */
const MOST_REACH = 64

/** And as many edges in one place. */
const MOST_IN_PLACE = 64
/** After all that a name may begin with. */
const LAST = '\u{10ffff}'

/**
 * What the baseline tells of a process as a source of edges. What was learned in the window that goes on does not count:
 * it is what is looked at.
 */
export class Sources {
  private readonly statements: ReturnType<typeof prepare>

  constructor(database: Database.Database) {
    this.statements = prepare(database)
  }

  /** Its edges by kind. */
  kindsOf(process: string): readonly KindRow[] {
    return this.statements.kinds.all(process)
  }

  runsOf(process: string): RunRow {
    return this.statements.runs.get(process) ?? { minutes: 0, days: 0 }
  }

  /** By kind, in how many windows it made edges that were unseen, and are still not known. */
  unseenOf(process: string): readonly { readonly kind: EdgeKind; readonly windows: number }[] {
    return this.statements.unseen.all(process)
  }

  /** How many sources have an edge of this kind to this target. */
  reach({ kind, to }: Edge): number {
    return this.statements.reach.get(to, kind) ?? 0
  }

  /** How many edges of this kind the same source has to targets whose names begin so. */
  countIn({ kind, from }: Edge, beginnings: readonly string[]): number {
    let count = 0
    for (const beginning of beginnings) {
      count += this.statements.inPlace.get({ kind, from, beginning, end: beginning + LAST }) ?? 0
    }
    return Math.min(count, MOST_IN_PLACE)
  }

  /** Whether the step from one process to another was itself unseen. */
  isIntroduced(process: string, parent: string): boolean {
    return this.statements.introduced.get({ parent, process }) !== undefined
  }
}

/** Condition on `edges`: not learned in the window of the training that goes on. */
export const NOT_FRESH = `NOT EXISTS (SELECT 1 FROM fresh
  WHERE fresh.from_id = edges.from_id AND fresh.to_id = edges.to_id AND fresh.kind = edges.kind)`

const prepare = (database: Database.Database) => ({
  kinds: database.prepare<[string], KindRow>(
    `SELECT kind, sum(windows) AS minutes, sum(windows = 1) AS onceAMinute, sum(days) AS days, sum(days = 1) AS onceADay,
            min(first_ms) AS firstMs, max(last_ms) AS lastMs
       FROM edges WHERE from_id = (SELECT id FROM nodes WHERE name = ?) AND ${NOT_FRESH} GROUP BY kind`,
  ),
  runs: database.prepare<[string], RunRow>(
    `SELECT coalesce(sum(windows), 0) AS minutes, coalesce(sum(days), 0) AS days
       FROM edges WHERE to_id = (SELECT id FROM nodes WHERE name = ?) AND kind = 'exec' AND ${NOT_FRESH}`,
  ),
  unseen: database.prepare<[string], { kind: EdgeKind; windows: number }>(
    `SELECT kind, count(DISTINCT reported_ms) AS windows FROM findings
      WHERE from_id = (SELECT id FROM nodes WHERE name = ?) AND reported_ms IS NOT NULL AND merged_ms IS NULL
      GROUP BY kind`,
  ),
  reach: database
    .prepare<[string, string], number>(
      `SELECT count(*) FROM (SELECT 1 FROM edges
        WHERE to_id = (SELECT id FROM nodes WHERE name = ?) AND kind = ? AND ${NOT_FRESH} LIMIT ${MOST_REACH})`,
    )
    .pluck(),
  // By name first: a process may have many edges elsewhere.
  inPlace: database
    .prepare<{ kind: string; from: string; beginning: string; end: string }, number>(
      `SELECT count(*) FROM (SELECT 1 FROM nodes CROSS JOIN edges
        WHERE nodes.name > @beginning AND nodes.name < @end AND edges.to_id = nodes.id AND edges.kind = @kind
          AND edges.from_id = (SELECT id FROM nodes WHERE name = @from) AND ${NOT_FRESH} LIMIT ${MOST_IN_PLACE})`,
    )
    .pluck(),
  introduced: database.prepare<{ parent: string; process: string }>(
    `WITH step AS (SELECT parent.id AS from_id, process.id AS to_id FROM nodes parent JOIN nodes process
                    WHERE parent.name = @parent AND process.name = @process)
     SELECT 1 FROM findings JOIN step USING (from_id, to_id)
      UNION ALL SELECT 1 FROM fresh JOIN step USING (from_id, to_id) LIMIT 1`,
  ),
})
