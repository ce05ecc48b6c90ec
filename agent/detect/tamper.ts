import type { Edge } from '../domain/edge.ts'
import type { AuditEvent } from '../domain/event.ts'
import type { TamperReason } from '../domain/report.ts'

/** What an event shows to have been done against the agent or what it lives on. */
export interface TamperSign {
  readonly reason: TamperReason
  readonly detail: string
  /** Whether a file that people edit was changed. */
  readonly isConfiguration?: true
  /** It belongs to a shutdown, if there was one: only the boot that comes after it shows that. */
  readonly isShutdown?: boolean
  /** Who did it, where a record without a system call tells; -1 where it tells no more. */
  readonly by?: { readonly pid: number; readonly uid: number; readonly auid: number }
}

/** Files whose change by anybody else is tampering, by full path. */
export interface GuardedPlaces {
  /** Live log of auditd. Whatever begins with its name is a file of the log; undefined for standard input. */
  readonly log: string | undefined
  /**
   * Files of the agent, each with those that SQLite, rotation and editors name after it (`-wal`, `.1`). What ends with a
   * slash is a directory, with all that is in it.
   */
  readonly own: readonly string[]
  /** The same for what people edit: what the configuration is read from. */
  readonly configuration: readonly string[]
}

const NOTHING: readonly TamperSign[] = []
const GS = '\u001d'
const LONGEST_DETAIL = 200
const INIT = 1
/** Between the record that a shutdown begins and the end of auditd stands what every service takes to stop. */
const SHUTDOWN_MS = 10 * 60_000
/**
 * What systemd stops last among what people use, and only when it shuts down: Debian since 13, and whoever builds systemd
 * without utmp, has no other record of a shutdown.
 */
const LAST_UNIT = 'systemd-user-sessions'
export const AUDITD = /^(?:\/usr)?\/sbin\/auditd(?: \(deleted\))?$/
/** The journal listens to the kernel's audit on most hosts; init opens the socket for it. */
const JOURNAL = /^(?:\/usr)?\/lib\/systemd\/(?:systemd|systemd-journald)(?: \(deleted\))?$/
/** What the kernel and pam_tty_audit do all day: a watched file is another inode, a login is set to be recorded. */
const ROUTINE: ReadonlySet<string> = new Set(['updated_rules', 'tty_set'])
const RULES = /^(?:(add|remove)[ _]rule|trim|make_equiv)$/

/**
 * Finds signs of tampering in events, and remembers no more than that the host shuts down.
 *
 * Only what the kernel and auditd write themselves is believed. Of records of user space, which need but CAP_AUDIT_WRITE,
 * only those that the kernel says were sent by init.
 */
export class TamperSigns {
  /** When a shutdown was last seen to begin. Unix time in milliseconds. */
  shutdownMs = Number.NEGATIVE_INFINITY

  /** One for each record that is a sign; mostly none. */
  of(event: AuditEvent): readonly TamperSign[] {
    if (event.others.length === 0) return NOTHING
    return event.others.flatMap(({ name, body }) => {
      if (body === undefined) return NOTHING
      const end = body.indexOf(GS)
      return this.signOf(name, end < 0 ? body : body.slice(0, end), event) ?? NOTHING
    })
  }

  private signOf(type: string, body: string, event: AuditEvent): TamperSign | undefined {
    switch (type) {
      case 'CONFIG_CHANGE':
        return configChange(body, event)
      case 'FEATURE_CHANGE':
        return field(body, 'new') === field(body, 'old') ? undefined : changed(`a feature of audit: ${body}`)
      case 'EVENT_LISTENER':
        return listener(body)
      case 'SYSTEM_SHUTDOWN':
        if (field(body, 'uid') === '0') this.shutdownMs = event.id.timeMs
        return undefined
      case 'SERVICE_STOP':
        if (unitStopped(body) === LAST_UNIT) this.shutdownMs = event.id.timeMs
        return serviceStop(body)
      default:
        return this.ofDaemon(type, body, event.id.timeMs)
    }
  }

  private ofDaemon(type: string, body: string, timeMs: number): TamperSign | undefined {
    const by = { pid: number(body, 'pid'), uid: number(body, 'uid'), auid: number(body, 'auid') }
    switch (type) {
      case 'DAEMON_END': {
        const sinceMs = timeMs - this.shutdownMs
        const isShutdown = sinceMs >= 0 && sinceMs < SHUTDOWN_MS
        return isShutdown
          ? { ...stopped('auditd ended while the host shut down', by), isShutdown }
          : stopped('auditd was told to end', by)
      }
      case 'DAEMON_ABORT':
        return stopped(`auditd gave up: ${body}`)
      case 'DAEMON_START':
        return field(body, 'res') === 'failed' ? stopped(`auditd could not start: ${body}`) : undefined
      case 'DAEMON_CONFIG':
        return body.includes('no-change') || body.includes('no change')
          ? undefined
          : changed('auditd was told to read its configuration again, and it had changed', by)
      case 'DAEMON_RESUME':
        return changed('auditd was told to go on writing', by)
      case 'DAEMON_ERR':
        return changed(`auditd met an error: ${body}`)
      default:
        return undefined
    }
  }
}

/**
 * `op=add_rule key="x" list=4 res=1`, `op=set audit_enabled=0 old=1 … res=1`; without `op` before Linux 4, with a space
 * in it in between.
 */
function configChange(body: string, { syscall }: AuditEvent): TamperSign | undefined {
  const op = field(body, 'op') ?? 'set'
  if (ROUTINE.has(op)) return undefined
  const vain = field(body, 'res') === '0' ? ', in vain' : ''
  const rule = RULES.exec(op)
  if (rule !== null) {
    const [, verb] = rule
    const key = field(body, 'key')
    const named =
      key === undefined || key === '(null)' ? 'a rule without a key' : `a rule with the key ${key}`
    const deed =
      verb === undefined
        ? `the rules of directories were changed (${op})`
        : `${named} was ${verb === 'add' ? 'added' : 'removed'}`
    return { reason: 'rules-changed', detail: plain(deed + vain) }
  }
  const [, name = '', value = '', old] = /\b(audit_\w+|lost)=(\S+) old=(\S+)/.exec(body) ?? []
  if (name === '') return changed(`the configuration of audit: ${body}`)
  // Rules files set everything each time that they are loaded.
  if (value === old && vain === '') return undefined
  const isByAuditd = AUDITD.test(syscall?.exe ?? '')
  const detail = plain(`${name} was set from ${old} to ${value}${vain}`)
  if (name === 'audit_enabled' && value === '0') return { reason: 'audit-disabled', detail }
  // auditd turns audit on and says who it is when it starts, and takes leave when it ends, of which it tells.
  if (isByAuditd && (name === 'audit_enabled' || name === 'audit_pid')) return undefined
  return name === 'audit_pid' && value === '0' ? stopped(detail) : changed(detail)
}

function listener(body: string): TamperSign | undefined {
  const exe = field(body, 'exe') ?? '?'
  if (field(body, 'op') !== 'connect' || JOURNAL.test(exe) || AUDITD.test(exe)) return undefined
  return changed(`another program reads what the kernel records: ${exe}`)
}

/** `pid=1 uid=0 auid=… msg='unit=auditd comm="systemd" …'`; what the kernel wrote stands before `msg`. */
function unitStopped(body: string): string | undefined {
  const [kernels = '', claimed = ''] = body.split(" msg='", 2)
  return number(kernels, 'pid') === INIT ? field(claimed, 'unit') : undefined
}

/** The agent and auditd are told of. */
function serviceStop(body: string): TamperSign | undefined {
  switch (unitStopped(body)) {
    case 'auditd':
      return stopped('the service auditd was stopped')
    case 'fullmon':
      return { reason: 'agent-stopped', detail: 'the service fullmon was stopped' }
    default:
      return undefined
  }
}

/** Whether an edge that somebody else than the agent made is one to a guarded file. auditd's own work is never audited. */
export function tamperOfFile(edge: Edge, path: string, places: GuardedPlaces): TamperSign | undefined {
  const { log, own, configuration } = places
  if (log !== undefined && (path.startsWith(log) || isAround(path, directoryOf(log))))
    return { reason: 'log-touched', detail: `${edge.to} is of the log of auditd` }
  if (configuration.some((place) => isOf(path, place))) return { ...ofItself(edge), isConfiguration: true }
  if (own.some((place) => isOf(path, place)) || isWayTo(edge, path, places)) return ofItself(edge)
  return undefined
}

const ofItself = ({ to }: Edge): TamperSign => ({
  reason: 'own-files',
  detail: `${to} is of fullmon itself`,
})

/** Whether a file lies where the configuration does: editors make others beside the one that they write. */
export const isBesideConfiguration = (path: string, { configuration }: GuardedPlaces): boolean =>
  configuration.some((place) => directoryOf(path) === directoryOf(place))

/** Whether a directory above a guarded file gets another name: what takes its place names no file. */
const isWayTo = ({ kind }: Edge, path: string, { log = '', own, configuration }: GuardedPlaces): boolean =>
  (kind === 'rename' || kind === 'delete') &&
  [log, ...own, ...configuration].some((place) => place.startsWith(`${path}/`))

const isOf = (path: string, place: string): boolean =>
  place.endsWith('/')
    ? path.startsWith(place) || isAround(path, place)
    : path.startsWith(place) && /^(?:$|[-.~])/.test(path.slice(place.length))

/** Whether a directory is moved, removed or closed with what is in it. */
const isAround = (path: string, directory: string): boolean => directory !== '/' && directory === `${path}/`

const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1)

const stopped = (detail: string, by?: TamperSign['by']): TamperSign => signed('auditd-stopped', detail, by)
const changed = (detail: string, by?: TamperSign['by']): TamperSign => signed('audit-changed', detail, by)

const signed = (reason: TamperReason, detail: string, by: TamperSign['by']): TamperSign => ({
  reason,
  detail: plain(detail),
  ...(by === undefined ? {} : { by }),
})

/** A value of a record's body, without its quotes. */
function field(body: string, key: string): string | undefined {
  const [, quoted, bare] = new RegExp(`(?:^|[ '])${key}=(?:"([^"]*)"|(\\S+))`).exec(body) ?? []
  return quoted?.replaceAll(' ', '_') ?? bare
}

const number = (body: string, key: string): number => {
  const text = field(body, key)
  return text === undefined || !/^\d+$/.test(text) ? -1 : Number(text)
}

/** Safe to print, on one line. */
const plain = (text: string): string => text.replace(/[^ -~]/g, '?').slice(0, LONGEST_DETAIL)
