import type { Holder } from '../baseline/lock.ts'
import type { BaselineStatus } from '../baseline/status.ts'
import type { Result } from '../domain/result.ts'
import { START_SERVICE } from '../support/service.ts'
import { type AuditRule, hidesTasks, missingRules } from '../watch/audit-rules.ts'
import type { AuditStatus } from '../watch/audit-status.ts'
import type { AuditdConf } from '../watch/auditd-conf.ts'
import { isAuditd } from '../watch/kernel.ts'

/** One thing that must be right for the agent to see. */
export interface Check {
  readonly kind: 'check'
  readonly name: string
  readonly state: 'ok' | 'bad' | 'unknown'
  readonly detail: string
  /** The command that puts it right. */
  readonly mend?: string
}

/** What was found on the host. The error of a Result says why something could not be looked at. */
export interface Facts {
  /** Program of the audit daemon; undefined when it is not installed. */
  readonly auditd: string | undefined
  readonly kernel: Result<AuditStatus, string>
  /** Executable of the process that receives the records; undefined when it cannot be seen from here. */
  readonly receiver: string | undefined
  /** Rules in the kernel. */
  readonly loaded: Result<readonly AuditRule[], string>
  /** Rules of fullmon that this machine can have, and the file they are in. */
  readonly wanted: readonly AuditRule[]
  readonly rulesFile: string
  /** Settings of auditd, and the file they are in. */
  readonly conf: Result<AuditdConf, string>
  readonly confFile: string
  /** Undefined when no log is read. */
  readonly log: LogFacts | undefined
  /** Undefined when records do not come from the plugin of auditd. */
  readonly plugin: PluginFacts | undefined
  readonly db: string
  /** Whether the service keeps its baseline there. */
  readonly isOfService: boolean
  readonly baseline: BaselineFacts
  /** The agent that uses the baseline; undefined when there is none. */
  readonly agent: Holder | undefined
  /** Free bytes of the file system that the baseline is in. */
  readonly baselineFree: Space
}

export interface LogFacts {
  readonly path: string
  readonly state: 'readable' | 'absent' | 'denied' | 'no-file'
  /** Whether it is the file that auditd.conf names. */
  readonly isAuditds: boolean
  readonly space: Space
}

export interface PluginFacts {
  /** Of the plugin that auditd runs; undefined when it runs none. */
  readonly pid: number | undefined
  /** Where it brings the records. */
  readonly socket: string
}

export type BaselineFacts =
  | { readonly state: 'absent' | 'denied' }
  | { readonly state: 'refused'; readonly reason: string }
  /** `mode`: permission bits. */
  | { readonly state: 'readable'; readonly mode: number; readonly status: BaselineStatus }

/** In bytes; undefined when the file system does not tell. */
export type Space = { readonly free: number; readonly size: number } | undefined

const LONGEST_RULE = 72
const MIB = 1024 * 1024
/** What audit.rules sets; see there. */
const BACKLOG_LIMIT = 16384
const BACKLOG_FULL = 0.75
/** Debian's 8 MiB times 5 is above it. A busy host writes some MB a second: less than that is gone within seconds. */
const LEAST_LOG_MIB = 32
const LEAST_BASELINE_BYTES = 256 * MIB

/** Every check, in the order of the way that a record takes. */
export const diagnose = (facts: Facts): Check[] => [
  installed(facts),
  running(facts),
  enabled(facts),
  rules(facts),
  neverTask(facts),
  lost(facts),
  backlog(facts),
  ...(facts.plugin === undefined ? [] : [plugin(facts, facts.plugin)]),
  ...(facts.log === undefined
    ? facts.plugin === undefined
      ? [ok('log', 'records come on standard input')]
      : []
    : [
        log(facts.log),
        logFile(facts, facts.log),
        logFormat(facts),
        rotation(facts),
        logDisk(facts, facts.log),
      ]),
  baseline(facts),
  ...(facts.baseline.state === 'readable' ? [baselineMode(facts.db, facts.baseline.mode), agent(facts)] : []),
  baselineDisk(facts),
]

const ok = (name: string, detail: string): Check => ({ kind: 'check', name, state: 'ok', detail })
const unknown = (name: string, detail: string): Check => ({ kind: 'check', name, state: 'unknown', detail })
const bad = (name: string, detail: string, mend: string): Check => ({
  kind: 'check',
  name,
  state: 'bad',
  detail,
  mend,
})

const installed = ({ auditd }: Facts): Check =>
  auditd === undefined
    ? bad('installed', 'auditd is not installed', 'apt-get install auditd')
    : ok('installed', auditd)

function running({ kernel, receiver }: Facts): Check {
  if (!kernel.ok) return unknown('running', kernel.error)
  const { pid } = kernel.value
  if (pid === 0)
    return bad('running', 'nobody receives the records: auditd does not run', 'service auditd start')
  if (receiver === undefined)
    return unknown('running', `pid ${pid} receives the records; it cannot be seen from here`)
  return isAuditd(receiver)
    ? ok('running', `pid ${pid}`)
    : bad(
        'running',
        `pid ${pid} (${receiver}) receives the records, so auditd writes none`,
        `kill ${pid} && service auditd start`,
      )
}

function enabled({ kernel }: Facts): Check {
  if (!kernel.ok) return unknown('enabled', kernel.error)
  switch (kernel.value.enabled) {
    case 0:
      return bad('enabled', 'the kernel does not record (enabled 0)', 'auditctl -e 1')
    case 1:
      return ok('enabled', 'the kernel records')
    default:
      return ok('enabled', 'the kernel records, and its rules are locked until the next boot')
  }
}

function rules({ kernel, loaded, wanted, rulesFile }: Facts): Check {
  if (!loaded.ok) return unknown('rules', loaded.error)
  const needed = wanted.filter(({ isOptional }) => !isOptional)
  const absent = missingRules(wanted, loaded.value)
  const missing = absent.filter(({ isOptional }) => !isOptional)
  const [first] = missing
  if (first === undefined) return ok('rules', loadedText(wanted, absent))
  const isLocked = kernel.ok && kernel.value.enabled === 2
  // A rule about a directory loads only when it exists.
  const directory = missing.flatMap(({ fields }) => [...fields]).find((field) => field.startsWith('dir='))
  const install = [
    ...(directory === undefined ? [] : [`install -d -m 700 ${directory.slice('dir='.length)}`]),
    `install -m 640 ${quoted(rulesFile)} /etc/audit/rules.d/fullmon.rules`,
    isLocked ? 'reboot' : 'augenrules --load',
  ]
  return bad(
    'rules',
    `${missing.length} of ${needed.length} are not loaded, the first: ${beginning(first.text)}`,
    install.join(' && '),
  )
}

/** `absent`: what is optional and not loaded. */
function loadedText(wanted: readonly AuditRule[], absent: readonly AuditRule[]): string {
  const [first] = absent
  return first === undefined
    ? `all ${wanted.length} are loaded`
    : `all that edges need are loaded; of the ${wanted.filter(({ isOptional }) => isOptional).length} optional ones ` +
        `${absent.length} are not, the first: ${beginning(first.text)}`
}

const beginning = (text: string): string =>
  text.length > LONGEST_RULE ? `${text.slice(0, LONGEST_RULE)} …` : text

function neverTask({ loaded }: Facts): Check {
  if (!loaded.ok) return unknown('never-task', loaded.error)
  const rule = loaded.value.find(hidesTasks)
  return rule === undefined
    ? ok('never-task', 'no rule hides processes')
    : bad(
        'never-task',
        `'${rule.text}' hides every process that it matches from audit; those that run now stay hidden until they are started again`,
        `sed -i -E '/^\\s*-[aA]\\s+(never,task|task,never)/d' /etc/audit/rules.d/*.rules && augenrules --load`,
      )
}

function lost({ kernel }: Facts): Check {
  if (!kernel.ok) return unknown('lost', kernel.error)
  const { lost, backlogLimit } = kernel.value
  if (lost === 0) return ok('lost', 'the kernel has thrown nothing away')
  const limit = Math.max(BACKLOG_LIMIT, 2 * backlogLimit)
  return bad(
    'lost',
    `the kernel has thrown ${lost} records away, which nobody has seen`,
    `auditctl -b ${limit} && auditctl --reset-lost`,
  )
}

function backlog({ kernel }: Facts): Check {
  if (!kernel.ok) return unknown('backlog', kernel.error)
  const { backlog, backlogLimit } = kernel.value
  const detail = `${backlog} of ${backlogLimit} records wait for auditd`
  return backlog < BACKLOG_FULL * backlogLimit
    ? ok('backlog', detail)
    : bad(
        'backlog',
        `${detail}; further ones are lost`,
        `auditctl -b ${Math.max(BACKLOG_LIMIT, 2 * backlogLimit)}`,
      )
}

function plugin({ kernel }: Facts, { pid, socket }: PluginFacts): Check {
  if (pid !== undefined) return ok('plugin', `pid ${pid} brings the records of auditd to ${socket}`)
  // One that has ended too often is started again when auditd reads its configuration.
  const again = kernel.ok && kernel.value.pid !== 0 ? ` && kill -HUP ${kernel.value.pid}` : ''
  return bad('plugin', 'auditd runs no plugin of fullmon', `fullmon setup plugin${again}`)
}

function log({ path, state }: LogFacts): Check {
  switch (state) {
    case 'readable':
      return ok('log', path)
    case 'absent':
      return bad('log', `there is no ${path}`, 'service auditd start')
    case 'denied':
      return unknown('log', `${path} cannot be read: run fullmon as root`)
    case 'no-file':
      return bad('log', `${path} is not a file`, `ls -l ${quoted(path)}`)
  }
}

function logFile(facts: Facts, { path, isAuditds }: LogFacts): Check {
  const { conf, confFile } = facts
  if (!conf.ok) return unknown('log-file', conf.error)
  const { log_file: file, write_logs: writes, log_format: format } = conf.value
  if (writes === 'no')
    return bad(
      'log-file',
      `auditd writes no log (write_logs of ${confFile})`,
      set('write_logs', 'yes', facts),
    )
  if (format === 'nolog')
    return bad(
      'log-file',
      `auditd writes no log (log_format of ${confFile})`,
      set('log_format', 'RAW', facts),
    )
  return isAuditds
    ? ok('log-file', 'auditd writes to the log that fullmon reads')
    : bad('log-file', `auditd writes to ${file}, not to ${path}`, `fullmon run --auditd ${quoted(file)}`)
}

function logFormat(facts: Facts): Check {
  const { conf } = facts
  if (!conf.ok) return unknown('log-format', conf.error)
  return conf.value.log_format === 'enriched'
    ? bad(
        'log-format',
        'any process can forge a line of an ENRICHED log, with a line break in the name of a unix socket',
        set('log_format', 'RAW', facts),
      )
    : ok('log-format', conf.value.log_format.toUpperCase())
}

function rotation(facts: Facts): Check {
  const { conf } = facts
  if (!conf.ok) return unknown('rotation', conf.error)
  const action = conf.value.max_log_file_action
  const mib = Number(conf.value.max_log_file)
  const logs = Number(conf.value.num_logs)
  if (action === 'suspend') {
    return bad(
      'rotation',
      `auditd stops writing when its log has ${mib} MiB (max_log_file_action SUSPEND)`,
      set('max_log_file_action', 'ROTATE', facts),
    )
  }
  if (action !== 'rotate' || logs < 2) return ok('rotation', 'auditd deletes no log')
  const detail = `${logs} logs of ${mib} MiB are kept`
  return mib * logs >= LEAST_LOG_MIB
    ? ok('rotation', detail)
    : bad(
        'rotation',
        `${detail}: little is left to read after the agent was away`,
        set('max_log_file', String(Math.ceil(LEAST_LOG_MIB / logs)), facts),
      )
}

/** Changes a setting that the file has, and has auditd read it again. */
function set(name: string, value: string, { confFile, kernel, receiver }: Facts): string {
  const reload =
    kernel.ok && receiver !== undefined && isAuditd(receiver)
      ? `kill -HUP ${kernel.value.pid}`
      : 'service auditd start'
  return `sed -i -E 's/^ *${name} .*/${name} = ${value}/I' ${quoted(confFile)} && ${reload}`
}

function logDisk({ conf }: Facts, { path, space }: LogFacts): Check {
  if (space === undefined)
    return unknown('log-disk', `the file system of ${path} does not say how full it is`)
  if (!conf.ok) return unknown('log-disk', `${inMib(space.free)} free; ${conf.error}`)
  const { space_left: left, admin_space_left_action: action, disk_full_action: fullAction } = conf.value
  const least = left.endsWith('%') ? (Number.parseInt(left, 10) / 100) * space.size : Number(left) * MIB
  const stops = [action, fullAction].includes('suspend')
    ? '; when it is full, auditd stops writing until it is reloaded'
    : ''
  return space.free > least
    ? ok('log-disk', `${inMib(space.free)} free${stops}`)
    : bad('log-disk', `${inMib(space.free)} free, auditd wants ${inMib(least)}${stops}`, biggestNear(path))
}

function baseline(facts: Facts): Check {
  const { db, baseline: found, isOfService } = facts
  const train = isOfService ? START_SERVICE : `fullmon train --db ${quoted(db)}`
  switch (found.state) {
    case 'absent':
      return bad('baseline', `there is none at ${db}`, train)
    case 'denied':
      return unknown('baseline', `${db} cannot be read: run fullmon as root`)
    case 'refused':
      return bad(
        'baseline',
        found.reason,
        // The agent migrates an older schema when it opens it, and says so when it cannot.
        found.reason.includes(' schema ')
          ? runs(facts)
          : `mv ${quoted(db)} ${quoted(`${db}.old`)} && ${train}`,
      )
    case 'readable':
      return found.status.phase === 'untrained'
        ? bad('baseline', `${db} is not trained`, train)
        : ok('baseline', found.status.phase === 'trained' ? `${db} is trained` : `${db} is being trained`)
  }
}

function baselineMode(db: string, mode: number): Check {
  const text = `mode ${mode.toString(8).padStart(4, '0')}`
  return (mode & 0o077) === 0
    ? ok('baseline-mode', text)
    : bad('baseline-mode', `${text} lets others than its owner at it`, `chmod 600 ${quoted(db)}`)
}

const runs = ({ db, isOfService }: Facts): string =>
  isOfService ? START_SERVICE : `fullmon run --db ${quoted(db)}`

const agent = (facts: Facts): Check =>
  facts.agent === undefined
    ? bad('agent', `no agent is running on ${facts.db}: nobody watches`, runs(facts))
    : ok('agent', `pid ${facts.agent.pid}: ${facts.agent.command}`)

function baselineDisk({ db, baselineFree: space }: Facts): Check {
  if (space === undefined)
    return unknown('baseline-disk', `the file system of ${db} does not say how full it is`)
  return space.free >= LEAST_BASELINE_BYTES
    ? ok('baseline-disk', `${inMib(space.free)} free`)
    : bad(
        'baseline-disk',
        `${inMib(space.free)} free: the baseline may not be written much longer`,
        biggestNear(db),
      )
}

/** What to delete is for a person to say; this shows where the bytes are. */
const biggestNear = (path: string): string =>
  `du -xh $(df --output=target ${quoted(path)} | tail -n 1) | sort -h | tail`

const inMib = (bytes: number): string => `${Math.floor(bytes / MIB)} MiB`

/** One word of a shell. */
const quoted = (path: string): string =>
  /^[\w./+-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
