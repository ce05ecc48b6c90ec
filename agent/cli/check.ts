import { requireReadable } from '../support/readable.ts'
import { get } from 'node:http'
import { holderOf } from '../baseline/lock.ts'
import { type AlertCounts, noAlerts, type Vitals, vitalsOf } from '../baseline/vitals.ts'
import { Config, type ConfigWords, loadConfig } from '../config/config.ts'
import { foundConfig } from '../config/find.ts'
import { DEFAULT_SOCKET } from '../config/places.ts'
import { UsageError } from '../domain/result.ts'
import { SEVERITIES, type Severity } from '../domain/severity.ts'
import { type HealthReason, healthOf, type Signs, silenceOf } from '../health.ts'
import type { HealthView } from '../http/view.ts'
import { isThere } from '../standing.ts'
import { CONFIG_OPTIONS, DB_OPTION, command } from './command.ts'
import { inMs, milliseconds } from './values.ts'

/** Exit codes of a plugin (nagios-plugins.org/doc/guidelines.html); the last one, UNKNOWN, is in main.ts. */
const LEVELS = ['OK', 'WARNING', 'CRITICAL'] as const
const OK = 0
const WARNING = 1
const CRITICAL = 2

/** Whoever runs a plugin waits for ten seconds, and a busy host needs some of them to begin with it. */
const PATIENCE_MS = 4000
/** More than any answer is: another program may listen there. */
const MOST_CHARACTERS = 1_048_576
/** An agent looks at the kernel once a minute at least, and writes at the end of each window. */
const LEAST_SILENCE_S = 180
/** What NRPE carries. */
const LONGEST_TEXT = 900
/** Nobody listens there, or nobody whom this user may ask. */
const NOBODY = new Set(['ENOENT', 'ENOTDIR', 'ECONNREFUSED', 'EACCES', 'EPERM', 'ENOTSOCK'])

/** From which severity on an open alert is worth that. */
interface Thresholds {
  readonly warning: Severity
  readonly critical: Severity
}

/** What was found, wherever it was asked. */
interface Finding {
  readonly reasons: readonly HealthReason[]
  readonly phase: string
  /** Undefined when nobody could say. */
  readonly kernel?: HealthView['kernel'] | undefined
  /** Undefined when nobody could say. */
  readonly alerts: AlertCounts | undefined
  readonly scan: HealthView['scan']
  readonly lag: HealthView['lag']
}

export const checkCommand = command({
  options: (yargs) =>
    yargs
      .options({
        warning: {
          alias: 'w',
          choices: SEVERITIES,
          default: 'medium',
          requiresArg: true,
          describe: 'open alerts of this severity, or graver ones, are a warning',
        },
        critical: {
          alias: 'c',
          choices: SEVERITIES,
          default: 'high',
          requiresArg: true,
          describe: 'open alerts of this severity, or graver ones, are critical',
        },
        'max-age': {
          type: 'number',
          requiresArg: true,
          describe: 'seconds that an agent may do nothing',
          defaultDescription: `${LEAST_SILENCE_S}, or two windows`,
        },
        socket: {
          type: 'string',
          requiresArg: true,
          describe: 'Unix socket at which the agent is asked',
          defaultDescription: DEFAULT_SOCKET,
        },
        db: DB_OPTION,
        ...CONFIG_OPTIONS,
      } as const)
      .example('$0 check', 'asks the agent, as a member of the group fullmon may')
      .example('sudo $0 check --db FILE -w high -c critical', 'reads the baseline'),
  run: async (words) => {
    const config = isForOthers(words) ? Config.parse({ db: words.db }) : loadConfig(words, { db: words.db })
    const mostSilentMs = mostSilent(words['max-age'], config)
    const socket = words.socket ?? (words.db === undefined ? config.http.socket : '')
    const found =
      (socket === '' ? undefined : await asked(socket, mostSilentMs)) ?? read(config.db, mostSilentMs)
    const { warning, critical } = words
    const level = Math.max(OK, ...found.reasons.map((reason) => levelOf(reason, { warning, critical })))
    process.stdout.write(`${LEVELS[level] ?? ''} - ${plain(textOf(found))}${perfdataOf(found)}\n`)
    return level
  },
})

/** Whether the configuration is one that this user may not read, and has not asked for: it may hold what is secret. */
function isForOthers({ config, profile, set }: ConfigWords): boolean {
  if (config !== undefined || profile !== undefined || set !== undefined) return false
  const found = foundConfig()
  try {
    if (found !== undefined) requireReadable(found)
    return false
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EACCES'
  }
}

function mostSilent(maxAge: number | undefined, { monitor }: Config): number {
  return maxAge === undefined
    ? Math.max(inMs(LEAST_SILENCE_S), 2 * inMs(monitor))
    : milliseconds(maxAge, 'max-age', 1)
}

/** What a running agent says; undefined when there is none to be asked. */
async function asked(socket: string, mostSilentMs: number): Promise<Finding | undefined> {
  const answer = await textAt(socket)
  if (answer === 'nobody') return undefined
  if (answer === 'silence') {
    const text = `the agent does not answer at ${socket}`
    return {
      reasons: [{ code: 'silent', text }],
      phase: 'unknown',
      alerts: undefined,
      scan: null,
      lag: null,
    }
  }
  const { alerts, aliveMs, kernel, lag, phase, pid, reasons, scan, timeMs } = viewIn(answer.text, socket)
  return {
    ...{ alerts: alerts ?? undefined, kernel, lag, phase, scan },
    reasons: [
      ...reasons.filter(({ code }) => code !== 'silent'),
      ...silenceOf(pid, aliveMs ?? undefined, timeMs, mostSilentMs),
    ],
  }
}

function viewIn(text: string, socket: string): HealthView {
  try {
    const view = JSON.parse(text) as Partial<HealthView>
    if (Array.isArray(view.reasons) && typeof view.phase === 'string') return view as HealthView
  } catch {
    // Told below.
  }
  throw new UsageError(`what answers at ${socket} is no fullmon`)
}

function textAt(socketPath: string): Promise<{ readonly text: string } | 'nobody' | 'silence'> {
  return new Promise((answered, failed) => {
    const request = get({ socketPath, path: '/healthz', headers: { Host: 'localhost', Connection: 'close' } })
    const clock = setTimeout(() => {
      answered('silence')
      request.destroy()
    }, PATIENCE_MS)
    request.once('close', () => clearTimeout(clock))
    request.once('error', (error: NodeJS.ErrnoException) => {
      if (NOBODY.has(error.code ?? '')) answered('nobody')
      else failed(new UsageError(`cannot ask the agent at ${socketPath}: ${error.message}`))
    })
    request.once('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (more: string) => {
        text += more
        if (text.length > MOST_CHARACTERS) response.destroy()
      })
      response.once('close', () => answered({ text }))
    })
  })
}

/** @throws UsageError when this user may not read the baseline */
function read(db: string, mostSilentMs: number): Finding {
  const nowMs = Date.now()
  const vitals: Partial<Vitals> = isThere(db) ? vitalsOf(db, nowMs, PATIENCE_MS) : {}
  const { alerts, coverage, kernelLookMs = 0, newest = [], phase = 'absent' } = vitals
  const { ongoing = [], isDegraded = false, timeMs = 0 } = coverage ?? {}
  const aliveMs = Math.max(timeMs, kernelLookMs)
  const signs: Signs = {
    ...{ phase, alerts: alerts ?? noAlerts(), newest, ongoing, isDegraded, pid: holderOf(db)?.pid },
    aliveMs: aliveMs === 0 ? undefined : aliveMs,
  }
  const { reasons } = healthOf(signs, nowMs, mostSilentMs)
  return { reasons, phase, alerts, scan: null, lag: null }
}

function levelOf({ code, severity }: HealthReason, { warning, critical }: Thresholds): number {
  switch (code) {
    case 'alerts':
      if (isAtLeast(severity, critical)) return CRITICAL
      return isAtLeast(severity, warning) ? WARNING : OK
    case 'blind':
    case 'degraded':
    case 'unreadable':
      return WARNING
    case 'no-agent':
    case 'no-baseline':
    case 'silent':
      return CRITICAL
  }
}

const isAtLeast = (severity: Severity = 'critical', least: Severity): boolean =>
  SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(least)

function textOf({ kernel, phase, reasons, scan }: Finding): string {
  const told = reasons.map(({ text }) => text).join('; ')
  const scanned = scan === null ? '' : `, ${scan.suspicious} of ${scan.processes} processes suspicious`
  const blind = kernel === 'unwatched' ? "; the kernel's audit is not watched" : ''
  return `${told === '' ? `${phase}, no alert is open${scanned}` : told}${blind}`
}

/** A `|` would begin the measurements, and only the first line counts. */
const plain = (text: string): string =>
  text
    .replace(
      /[|\\\p{C}\p{Zl}\p{Zp}]/gu,
      (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`,
    )
    .slice(0, LONGEST_TEXT)

/** ` | NAME=VALUE[UNIT];WARNING;CRITICAL;LEAST`, as far as they are known: what is not is no zero. */
function perfdataOf({ alerts, lag, scan }: Finding): string {
  const counts =
    alerts === undefined
      ? []
      : SEVERITIES.map((severity) => `alerts_${severity}=${alerts[severity].open};;;0`)
  const scanned = scan === null ? [] : [`scanned=${scan.processes};;;0`, `suspicious=${scan.suspicious};;;0`]
  const measured = [...counts, ...scanned, ...(lag === null ? [] : [`lag=${lag.ms / 1000}s;;;0`])]
  return measured.length === 0 ? '' : ` | ${measured.join(' ')}`
}
