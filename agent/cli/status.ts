import { statSync } from 'node:fs'
import { holderOf } from '../baseline/lock.ts'
import { type BaselineStatus, type LogProgress, statusOf } from '../baseline/status.ts'
import { loadConfig } from '../config/config.ts'
import type { BudgetState } from '../domain/budget.ts'
import type { BlindSpot } from '../domain/report.ts'
import { UsageError } from '../domain/result.ts'
import { textOf, timeText } from '../report/text.ts'
import { openAt, savedLogsOf } from '../tail/rotation.ts'
import { isAbsent, unreadable } from '../tail/unreadable.ts'
import { learningIn, learningText } from './learning.ts'
import { CONFIG_OPTIONS, DB_OPTION, JSON_OPTION, command } from './command.ts'

const UNTRAINED_OR_DEGRADED = 1
/** An agent that watches the kernel looks at it once a minute at least. */
const OLD_LOOK_MS = 180_000
/** Of what was not seen lately, what a person reads. */
const MOST_RECENT = 5
/** Nothing is polled here; openAt wants it for whoever reads on. */
const POLL_MS = 1000

export const statusCommand = command({
  options: (yargs) =>
    yargs
      .options({
        db: DB_OPTION,
        ...CONFIG_OPTIONS,
        json: JSON_OPTION,
      } as const)
      .example('sudo $0 status', 'also while the agent runs')
      .example(
        'sudo $0 status --json',
        'exit code 1: no trained baseline, or the agent does not see everything',
      ),
  run: (words) => {
    const { db } = loadConfig(words, { db: words.db })
    const status = isThere(db) ? statusOf(db) : undefined
    const coverage = coverageOf(status, holderOf(db)?.pid)
    const text = words.json ? JSON.stringify(jsonOf(db, status, coverage)) : statusText(db, status, coverage)
    process.stdout.write(`${text}\n`)
    const isGood = status?.phase === 'trained' && coverage.state !== 'degraded'
    return Promise.resolve(isGood ? 0 : UNTRAINED_OR_DEGRADED)
  },
})

/** How well the agent sees. */
interface SeenCoverage {
  /** `unknown` when no agent runs, or it has not told yet. */
  readonly state: 'complete' | 'degraded' | 'unknown'
  /** Since when it is so, as far as that is known; of `unknown`, when an agent told last. Unix time in milliseconds. */
  readonly sinceMs: number | undefined
  /** Of the agent that runs. */
  readonly pid: number | undefined
  readonly kernel: 'watched' | 'unknown'
  readonly ongoing: readonly BlindSpot[]
  readonly recent: readonly BlindSpot[]
}

function coverageOf(status: BaselineStatus | undefined, pid: number | undefined): SeenCoverage {
  const { ongoing = [], recent = [], isDegraded = false, timeMs } = status?.coverage ?? {}
  const isKnown = pid !== undefined && timeMs !== undefined
  const lookAgeMs = Date.now() - (status?.kernelLookMs ?? 0)
  const kernel = isKnown && lookAgeMs < OLD_LOOK_MS ? 'watched' : 'unknown'
  const seen = { pid, kernel, ongoing, recent } as const
  if (!isKnown) return { ...seen, state: 'unknown', sinceMs: timeMs }
  const spots = ongoing.length > 0 ? ongoing : recent.slice(-1)
  return ongoing.length > 0 || isDegraded
    ? { ...seen, state: 'degraded', sinceMs: Math.min(...spots.map(({ fromMs }) => fromMs), timeMs) }
    : { ...seen, state: 'complete', sinceMs: recent.at(-1)?.toMs }
}

function isThere(db: string): boolean {
  try {
    statSync(db)
    return true
  } catch (error) {
    if (isAbsent(error)) return false
    throw unreadable(db, error)
  }
}

/** Undefined becomes null, so that every object has the same keys; without a baseline there are none to have. */
function jsonOf(db: string, status: BaselineStatus | undefined, coverage: SeenCoverage): object {
  if (status === undefined) return { kind: 'status', db, phase: 'absent' }
  const { phase, training, edges, nodes, patterns, findings, incidents, lastReportMs, logs } = status
  const learning = learningIn(status)
  return {
    kind: 'status',
    db,
    phase,
    training: training === undefined ? null : { ...training, plannedMs: training.plannedMs ?? null },
    edges,
    nodes,
    patterns,
    findings,
    incidents,
    budget:
      status.budget === undefined
        ? null
        : { ...status.budget, thresholdBits: status.budget.thresholdBits ?? null },
    learning: learning === undefined ? null : { ...learning, enoughInMs: learning.enoughInMs ?? null },
    lastReportMs: lastReportMs ?? null,
    coverage: { ...coverage, sinceMs: coverage.sinceMs ?? null, pid: coverage.pid ?? null },
    logs: logs.map((progress) => {
      const { log, path, offset, clockMs } = progress
      const behindBytes = bytesBehind(progress)
      const behindMs = behindBytes === undefined ? null : msBehind(progress, behindBytes)
      return { log, path, offset, behindBytes: behindBytes ?? null, behindMs, clockMs }
    }),
  }
}

function statusText(db: string, status: BaselineStatus | undefined, coverage: SeenCoverage): string {
  if (status === undefined) return `${label('baseline')}there is none at ${db}: train one with fullmon train`
  const { edges, nodes, patterns, findings, incidents, budget, lastReportMs, logs } = status
  const learning = learningIn(status)
  const kinds = Object.entries(edges).filter(([, count]) => count > 0)
  const all = kinds.reduce((sum, [, count]) => sum + count, 0)
  return [
    label('baseline') + db,
    label('phase') + phaseText(status),
    label('edges') + [String(all), ...kinds.map(([kind, count]) => `${kind} ${count}`)].join(', '),
    label('nodes') + String(nodes),
    label('patterns') + String(patterns),
    label('findings') +
      `${findings.reported} reported, ${findings.merged} of them merged; ${findings.waiting} waiting`,
    label('incidents') +
      `${incidents.reported} reported, ${incidents.withheld} withheld${budget === undefined ? '' : `; ${budgetText(budget)}`}`,
    ...(learning === undefined ? [] : learningText(learning)).map(
      (line, index) => label(index === 0 ? 'learning' : '') + line,
    ),
    label('last report') + (lastReportMs === undefined ? 'never' : timeText(lastReportMs)),
    label('coverage') + coverageText(coverage),
    ...[...coverage.ongoing, ...coverage.recent.slice(-MOST_RECENT)].map((spot) => label('') + textOf(spot)),
    ...logs.map((progress) => label('log') + progressText(progress)),
  ].join('\n')
}

function coverageText({ state, sinceMs, pid, kernel }: SeenCoverage): string {
  if (pid === undefined) {
    const last = sinceMs === undefined ? '' : `; what was known at ${timeText(sinceMs)} follows`
    return `unknown: no agent is running${last}`
  }
  if (state === 'unknown') return `unknown: the agent (pid ${pid}) has not told yet`
  const since = sinceMs === undefined ? '' : ` since ${timeText(sinceMs)}`
  return `${state}${since}${kernel === 'watched' ? '' : "; the kernel's audit is not watched"}`
}

function budgetText({ alertsPerDay, thresholdBits, userBits, lowBits, fromMs }: BudgetState): string {
  if (alertsPerDay === 0) return 'only high and critical ones are reported'
  const wanted = `for ${alertsPerDay} a day`
  if (thresholdBits === undefined)
    return `${wanted} what was seen since ${timeText(fromMs)} is too short to say; ordinary ones up to ${lowBits.toFixed(1)} bits, as the training had, are withheld`
  const users = Object.entries(userBits)
    .filter(([, bits]) => bits > thresholdBits)
    .map(([user, bits]) => `, of ${user.replace(/^:/, '')} up to ${bits.toFixed(1)}`)
  return `${wanted} those up to ${thresholdBits.toFixed(1)} bits are withheld${users.join('')}: so many were met since ${timeText(fromMs)}`
}

const label = (name: string): string => name.padEnd(13)

function phaseText({ phase, training }: BaselineStatus): string {
  if (training === undefined) return 'not trained: fullmon train, or fullmon run, does it'
  const done = seconds(training.doneMs)
  if (phase === 'trained') return `trained since ${timeText(training.toMs)}, on ${done} s of log`
  return training.plannedMs === undefined
    ? `training: ${done} s done, to the end of the logs`
    : `training: ${done} of ${seconds(training.plannedMs)} s done`
}

const seconds = (ms: number): string => (ms / 1000).toFixed(0)

function progressText(progress: LogProgress): string {
  const behind = bytesBehind(progress)
  const distance =
    behind === undefined
      ? 'which is rotated away or cannot be read'
      : `${behind} bytes behind the end of the log${behind === 0 ? '' : ` (${seconds(msBehind(progress, behind))} s)`}`
  const { log, path, offset, clockMs } = progress
  return `${log}: at byte ${offset} of ${path}, ${distance}; last event ${timeText(clockMs)}`
}

/** By how much the last event that was read is older than now. Nothing, when there is nothing to read. */
const msBehind = ({ clockMs }: LogProgress, behindBytes: number): number =>
  behindBytes === 0 ? 0 : Math.max(0, Date.now() - clockMs)

/** From a place to the end of the live log, over all logs between them; undefined when the place is gone. */
function bytesBehind({ log, ...position }: LogProgress): number | undefined {
  try {
    const file = openAt(log, position, POLL_MS)
    if (file === undefined) return undefined
    file.close()
    const logs = savedLogsOf(log)
    const unread = logs.slice(logs.indexOf(file.path))
    return unread.reduce((sum, path) => sum + statSync(path).size, 0) - position.offset
  } catch (error) {
    if (error instanceof UsageError || isAbsent(error)) return undefined
    throw error
  }
}
