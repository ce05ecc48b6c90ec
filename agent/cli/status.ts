import type { BaselineStatus, LogProgress } from '../baseline/status.ts'
import type { AlertCounts } from '../baseline/vitals.ts'
import { loadConfig } from '../config/config.ts'
import type { BudgetState } from '../domain/budget.ts'
import { SEVERITIES } from '../domain/severity.ts'
import { jsonOf } from '../report/printer.ts'
import { onOneLine, textOf, timeText } from '../report/text.ts'
import {
  bytesBehind,
  learningIn,
  msBehind,
  type SeenCoverage,
  type Standing,
  standingObject,
  standingOf,
} from '../standing.ts'
import { isOfService, START_SERVICE } from '../support/service.ts'
import { learningText } from './learning.ts'
import { CONFIG_OPTIONS, DB_OPTION, JSON_OPTION, command } from './command.ts'

const UNTRAINED_OR_DEGRADED = 1
/** Of what was not seen lately, what a person reads. */
const MOST_RECENT = 5

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
    const standing = standingOf(db)
    const text = words.json
      ? jsonOf(standingObject(standing))
      : alertsLine(standing.alerts) + statusText(standing)
    process.stdout.write(`${text}\n`)
    const isGood = standing.status?.phase === 'trained' && standing.coverage.state !== 'degraded'
    return Promise.resolve(isGood ? 0 : UNTRAINED_OR_DEGRADED)
  },
})

/** What waits for somebody comes before all that is only good to know. */
function alertsLine(alerts: AlertCounts | undefined): string {
  if (alerts === undefined) return ''
  const counts = SEVERITIES.map((severity) => ({ severity, ...alerts[severity] })).toReversed()
  const sum = (fate: 'open' | 'acknowledged' | 'muted'): number =>
    counts.reduce((total, each) => total + each[fate], 0)
  const grades = counts.filter(({ open }) => open > 0).map(({ severity, open }) => `${open} ${severity}`)
  const open = `${sum('open')} open${grades.length === 0 ? '' : ` (${grades.join(', ')})`}`
  return `${label('alerts')}${open}, ${sum('acknowledged')} acknowledged, ${sum('muted')} muted\n`
}

function statusText({ db, status, coverage }: Standing): string {
  if (status === undefined) {
    const next = isOfService(db) ? `the service trains one: ${START_SERVICE}` : 'train one with fullmon train'
    return `${label('baseline')}there is none at ${db}: ${next}`
  }
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
  if (fromMs === 0) return `${wanted} nothing is withheld: nothing was learned yet`
  if (thresholdBits === undefined)
    return `${wanted} what was seen since ${timeText(fromMs)} is too short to say; ordinary ones up to ${lowBits.toFixed(1)} bits, as the training had, are withheld`
  const users = Object.entries(userBits)
    .filter(([, bits]) => bits > thresholdBits)
    .map(([user, bits]) => `, of ${user.replace(/^:/, '')} up to ${bits.toFixed(1)}`)
  return `${wanted} those up to ${thresholdBits.toFixed(1)} bits are withheld${users.join('')}: so many were met since ${timeText(fromMs)}`
}

const label = (name: string): string => name.padEnd(13)

function phaseText({ phase, training, from }: BaselineStatus): string {
  if (training === undefined) return 'not trained: fullmon train, or fullmon run, does it'
  const done = seconds(training.doneMs)
  const origin = from === undefined ? '' : `, from ${onOneLine(from)}`
  if (phase === 'trained') return `trained since ${timeText(training.toMs)}, on ${done} s of log${origin}`
  return training.plannedMs === undefined
    ? `training: ${done} s done, to the end of the logs${origin}`
    : `training: ${done} of ${seconds(training.plannedMs)} s done${origin}`
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
