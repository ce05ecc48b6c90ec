import type Database from 'better-sqlite3'
import { EDGE_KINDS, type EdgeKind } from '../domain/edge.ts'
import type { BudgetState } from '../domain/budget.ts'
import type { Learned, Learning } from '../domain/learning.ts'
import type { Coverage } from '../domain/report.ts'
import type { StateKind } from '../domain/state.ts'
import { learnedOf } from './learned.ts'
import { openForReading } from './open.ts'

/** Where a live agent stands in one of its logs. */
export interface LogProgress {
  /** Log that the agent was told to follow. */
  readonly log: string
  /** File that the place is in: the log, or what it was called before it was rotated. */
  readonly path: string
  readonly inode: number
  readonly fingerprint: string
  /** Start of the oldest event that was not finished yet, in bytes. */
  readonly offset: number
  /** Time of the last event, Unix time in milliseconds. */
  readonly clockMs: number
}

/** The training that goes on, or the last one that ended. Times are Unix time in milliseconds. */
export interface TrainingProgress {
  readonly fromMs: number
  readonly toMs: number
  /** Sum of its spans: an agent that is restarted does not learn in between. */
  readonly doneMs: number
  /** Undefined when it was to last as long as the logs did. */
  readonly plannedMs: number | undefined
}

export interface BaselineStatus {
  readonly phase: 'untrained' | 'training' | 'trained'
  readonly training: TrainingProgress | undefined
  /** File that it was taken from instead of training; undefined when it was not. */
  readonly from: string | undefined
  readonly edges: Readonly<Record<EdgeKind, number>>
  readonly nodes: number
  readonly patterns: number
  /** One for each chain of ancestors that an unseen edge happened in. `merged` are among the reported ones. */
  readonly findings: { readonly reported: number; readonly merged: number; readonly waiting: number }
  /** `withheld` are not among the reported ones. */
  readonly incidents: { readonly reported: number; readonly withheld: number }
  /** Undefined when no training has ended. */
  readonly budget: BudgetState | undefined
  /** How far the training came that ended last; undefined when none did, or another one goes on. */
  readonly learning: Learning | undefined
  /** What the training has seen when nobody has looked how far it came; undefined without one. */
  readonly learned: Learned | undefined
  readonly lastReportMs: number | undefined
  readonly logs: readonly LogProgress[]
  /** How well the last agent saw when it told so last; undefined when none ever did. */
  readonly coverage: Coverage | undefined
  /** When an agent looked at the kernel's audit last; undefined when none ever did. Unix time in milliseconds. */
  readonly kernelLookMs: number | undefined
}

/** What takes the longer to tell, the more there is. */
export type BaselineCounts = Pick<
  BaselineStatus,
  'edges' | 'nodes' | 'patterns' | 'findings' | 'incidents' | 'lastReportMs' | 'learning' | 'learned'
>

/**
 * What a baseline says about itself, at one moment, also while an agent writes to it.
 * @param patienceMs how long to wait for a program that keeps the baseline locked
 * @param counts what was counted shortly before
 * @throws UsageError when there is none, it is not ours, or it has another schema
 */
export function statusOf(path: string, patienceMs?: number, counts?: BaselineCounts): BaselineStatus {
  const database = openForReading(path, patienceMs)
  try {
    return database.transaction(() => readStatus(database, counts))()
  } finally {
    database.close()
  }
}

/**
 * Only what takes long.
 * @throws UsageError as `statusOf`
 */
export function countsOf(path: string, patienceMs?: number): BaselineCounts {
  const database = openForReading(path, patienceMs)
  try {
    return database.transaction(() => readCounts(database))()
  } finally {
    database.close()
  }
}

function readStatus(database: Database.Database, counts?: BaselineCounts): BaselineStatus {
  const trainings = trainingsIn(database)
  return {
    phase: phaseOf(trainings),
    training: progressOf(trainings),
    from: fromIn(database),
    ...(counts ?? readCounts(database)),
    budget: memoryIn(database, 'memory', 'budget') as BudgetState | undefined,
    logs: database
      .prepare<[], LogProgress>(
        'SELECT log, path, inode, fingerprint, offset, clock_ms AS clockMs FROM checkpoints ORDER BY log',
      )
      .all(),
    coverage: memoryIn(database, 'coverage', '') as Coverage | undefined,
    kernelLookMs: (memoryIn(database, 'memory', 'kernel') as { timeMs: number } | undefined)?.timeMs,
  }
}

function readCounts(database: Database.Database): BaselineCounts {
  const findings = database
    .prepare<[], FindingCounts>(
      `SELECT count(reported_ms) AS reported, count(merged_ms) AS merged, count(*) - count(reported_ms) AS waiting,
              max(reported_ms) AS last_ms FROM findings`,
    )
    .get() ?? { reported: 0, merged: 0, waiting: 0, last_ms: null }
  const { reported, merged, waiting } = findings
  return {
    edges: countEdges(database),
    nodes: count(database, 'nodes'),
    patterns: count(database, 'patterns'),
    findings: { reported, merged, waiting },
    incidents: countIncidents(database),
    lastReportMs: findings.last_ms ?? undefined,
    ...learningIn(database, trainingsIn(database)),
  }
}

/** What the agent remembers under this key: see domain/state.ts. */
export function memoryIn(database: Database.Database, kind: StateKind, key: string): unknown {
  const row = database
    .prepare<[string, string], { value: string }>(
      `SELECT value FROM state WHERE node = '' AND kind = ? AND key = ?`,
    )
    .get(kind, key)
  return row === undefined ? undefined : JSON.parse(row.value)
}

/** Rows of other imports have no head. */
const fromIn = (database: Database.Database): string | undefined =>
  database
    .prepare<[], string>(
      `SELECT detail ->> '$.source' FROM journal WHERE action = 'import' AND json_type(detail, '$.head') IS NOT NULL`,
    )
    .pluck()
    .get()

const trainingsIn = (database: Database.Database): TrainingRow[] =>
  database.prepare<[], TrainingRow>('SELECT * FROM trainings ORDER BY id').all()

/** How far it has come. */
export const phaseIn = (database: Database.Database): BaselineStatus['phase'] =>
  phaseOf(trainingsIn(database))

function learningIn(
  database: Database.Database,
  trainings: readonly TrainingRow[],
): Pick<BaselineStatus, 'learning' | 'learned'> {
  const last = trainings.at(-1)
  const kept = memoryIn(database, 'memory', 'learning') as Learning | undefined
  return last?.finished === 1 && kept?.toMs === last.to_ms
    ? { learning: kept, learned: undefined }
    : { learning: undefined, learned: learnedOf(database) }
}

const countIncidents = (database: Database.Database): BaselineStatus['incidents'] =>
  database
    .prepare<[], BaselineStatus['incidents']>(
      'SELECT count(*) FILTER (WHERE withheld = 0) AS reported, count(*) FILTER (WHERE withheld = 1) AS withheld FROM incidents',
    )
    .get() ?? { reported: 0, withheld: 0 }

function phaseOf(trainings: readonly TrainingRow[]): BaselineStatus['phase'] {
  const last = trainings.at(-1)
  if (last === undefined) return 'untrained'
  return last.finished === 1 ? 'trained' : 'training'
}

/** A training has a span for each start of the agent, and each was planned to last as long as was left then. */
function progressOf(trainings: readonly TrainingRow[]): TrainingProgress | undefined {
  const last = trainings.at(-1)
  if (last === undefined) return undefined
  const earlier = trainings.slice(0, -1)
  const spans = earlier.slice(earlier.findLastIndex(({ finished }) => finished === 1) + 1)
  const beforeMs = spans.reduce((sum, { from_ms, to_ms }) => sum + to_ms - from_ms, 0)
  return {
    fromMs: (spans[0] ?? last).from_ms,
    toMs: last.to_ms,
    doneMs: beforeMs + last.to_ms - last.from_ms,
    plannedMs: last.planned_ms === null ? undefined : beforeMs + last.planned_ms,
  }
}

function countEdges(database: Database.Database): Record<EdgeKind, number> {
  const counts = Object.fromEntries(EDGE_KINDS.map((kind) => [kind, 0])) as Record<EdgeKind, number>
  const rows = database.prepare<[], { kind: EdgeKind; count: number }>(
    'SELECT kind, count(*) AS count FROM edges GROUP BY kind',
  )
  for (const row of rows.all()) counts[row.kind] = row.count
  return counts
}

const count = (database: Database.Database, table: 'nodes' | 'patterns'): number =>
  database.prepare<[], { count: number }>(`SELECT count(*) AS count FROM ${table}`).get()?.count ?? 0

interface TrainingRow {
  from_ms: number
  to_ms: number
  planned_ms: number | null
  finished: 0 | 1
}

interface FindingCounts {
  reported: number
  merged: number
  waiting: number
  last_ms: number | null
}
