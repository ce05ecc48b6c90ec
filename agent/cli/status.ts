import { statSync } from 'node:fs'
import { type BaselineStatus, type LogProgress, statusOf } from '../baseline/status.ts'
import { loadConfig } from '../config/config.ts'
import { UsageError } from '../domain/result.ts'
import { timeText } from '../report/text.ts'
import { openAt, savedLogsOf } from '../tail/rotation.ts'
import { isAbsent, unreadable } from '../tail/unreadable.ts'
import { CONFIG_OPTION, DB_OPTION, JSON_OPTION, command } from './command.ts'

const UNTRAINED = 1
/** Nothing is polled here; openAt wants it for whoever reads on. */
const POLL_MS = 1000

export const statusCommand = command({
  options: (yargs) =>
    yargs
      .options({
        db: DB_OPTION,
        config: CONFIG_OPTION,
        json: JSON_OPTION,
      } as const)
      .example('sudo $0 status', 'also while the agent runs')
      .example('sudo $0 status --json', 'exit code 1: there is no trained baseline'),
  run: (words) => {
    const { db } = loadConfig(words.config, words.db === undefined ? {} : { db: words.db })
    const status = isThere(db) ? statusOf(db) : undefined
    const text = words.json ? JSON.stringify(jsonOf(db, status)) : textOf(db, status)
    process.stdout.write(`${text}\n`)
    return Promise.resolve(status?.phase === 'trained' ? 0 : UNTRAINED)
  },
})

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
function jsonOf(db: string, status: BaselineStatus | undefined): object {
  if (status === undefined) return { kind: 'status', db, phase: 'absent' }
  const { phase, training, edges, nodes, patterns, findings, lastReportMs, logs } = status
  return {
    kind: 'status',
    db,
    phase,
    training: training === undefined ? null : { ...training, plannedMs: training.plannedMs ?? null },
    edges,
    nodes,
    patterns,
    findings,
    lastReportMs: lastReportMs ?? null,
    logs: logs.map((progress) => {
      const { log, path, offset, clockMs } = progress
      return { log, path, offset, behindBytes: bytesBehind(progress) ?? null, clockMs }
    }),
  }
}

function textOf(db: string, status: BaselineStatus | undefined): string {
  if (status === undefined) return `${label('baseline')}there is none at ${db}: train one with fullmon train`
  const { edges, nodes, patterns, findings, lastReportMs, logs } = status
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
    label('last report') + (lastReportMs === undefined ? 'never' : timeText(lastReportMs)),
    ...logs.map((progress) => label('log') + progressText(progress)),
  ].join('\n')
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
      : `${behind} bytes behind the end of the log`
  const { log, path, offset, clockMs } = progress
  return `${log}: at byte ${offset} of ${path}, ${distance}; last event ${timeText(clockMs)}`
}

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
