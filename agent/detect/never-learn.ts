import type { ProcessImage } from '../domain/activity.ts'
import type { Edge } from '../domain/edge.ts'
import type { AuditEvent } from '../domain/event.ts'
import type { EdgeMark } from '../domain/report.ts'
import { managerOf } from './package-managers.ts'
import { type GuardedPlaces, tamperOfFile } from './tamper.ts'

/** What a process did, as far as it says whether it may ever be learned. */
export interface Deed {
  /** As it was seen, its host by its address. */
  readonly edge: Edge
  /** What the far side is printed as: its name, when DNS told it. */
  readonly printed: string
  readonly source: ProcessImage
  /** Of a file edge. */
  readonly filePath: string | undefined
  readonly event: AuditEvent
  /** Name of the system call. */
  readonly call: string
}

/** Where whoever has no rights of his own can put a program. */
const TEMPORARY = /^\/(?:tmp|var\/tmp|dev\/shm|run\/shm|run\/user\/\d+)\//
/** What the kernel calls a program that was executed from a file without a name: memfd_create(2). */
const FROM_MEMORY = /^\/memfd:| \(deleted\)$/
/** The runtimes of containers start themselves from a copy in memory, so that a container cannot change them (CVE-2019-5736). */
const RUNTIME = /^\/usr\/(?:local\/)?s?bin\/(?:runc|crun|youki)$/
const RUNTIME_COPY = /^\/memfd:(?:runc_cloned|crun_cloned|youki_cloned)/
/** Programs that give whoever is at the other end of a connection a command line. */
const SHELLS =
  /\/(?:sh|bash|rbash|dash|ash|zsh|ksh\d*|ksh93|mksh|fish|tcsh|csh|nc|ncat|netcat|nc\.(?:openbsd|traditional)|socat\d*|telnet)$/
const APPLETS: ReadonlySet<string> = new Set(['-m sh', '-m ash', '-m nc', '-m netcat', '-m telnet'])
/** An address in the place of a name, or a network. */
const UNNAMED = /^host:(?:\[[0-9a-f:.]+\]|\d+\.\d+\.\d+\.\d+)(?:\/\d+)?:/
/** RFC 6890: this host, private networks, links, benchmarks and groups; documentation's are not among them. */
const INSIDE =
  /^host:(?:(?:0|10|127)\.|169\.254\.|172\.(?:1[6-9]|2\d|3[01])\.|192\.168\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|(?:22[4-9]|2[34]\d|25[0-5])\.|\[(?:::1?\]|::ffff:(?:10|127|192\.168)\.|f[cdf]|fe[89ab]))/
/** Every program asks the resolver of its host itself. */
const RESOLVER = /:53$/
/** Argument that holds the mode. */
const MODE_ARGUMENT: ReadonlyMap<string, 'a1' | 'a2'> = new Map([
  ['chmod', 'a1'],
  ['fchmod', 'a1'],
  ['fchmodat', 'a2'],
  ['fchmodat2', 'a2'],
])
/** S_ISUID of <sys/stat.h>. */
const SETUID = 0o4000
const AUDITCTL = /^(?:\/usr)?\/s?bin\/auditctl$/
/** Options of auditctl(8) that only show something. */
const SHOWS: ReadonlySet<string> = new Set(['-l', '-s', '-v', '-h', '--help', '--version', '-i', '--signal'])
/** Loads the rules of a host each time that auditd starts. */
const LOADER = /\/augenrules$/
/** Where auditd is told what to record and to keep, and what it has kept; and where fullmon is put by its installer. */
const GUARDED: GuardedPlaces = {
  log: '/var/log/audit/audit.log',
  own: [
    '/etc/audit/',
    '/etc/libaudit.conf',
    '/opt/fullmon/',
    '/usr/lib/fullmon/',
    '/var/lib/fullmon/',
    '/var/log/fullmon/',
    '/var/log/fullmon.log',
  ],
  configuration: ['/etc/fullmon/'],
}

/**
 * Why an edge may not be learned, neither in training nor by rebase, whoever does it: only a person may accept it.
 * Undefined for what may be learned.
 *
 * @param own files of the agent itself, besides those where its installer puts them
 */
export function neverLearned(deed: Deed, own?: GuardedPlaces): EdgeMark | undefined {
  const { edge, source, filePath } = deed
  if (isFromMemory(deed)) return 'memory-exec'
  if (isTemporary(source) || (edge.kind === 'exec' && isTemporary(imageOf(edge.to)))) return 'temporary-exec'
  if (isReverseShell(deed)) return 'reverse-shell'
  if (setsUserId(deed)) return 'setuid'
  if (filePath !== undefined) {
    const sign = tamperOfFile(edge, filePath, GUARDED) ?? (own && tamperOfFile(edge, filePath, own))
    return sign === undefined ? undefined : 'tamper'
  }
  return edge.kind === 'exec' && changesAudit(deed) ? 'tamper' : undefined
}

/** Whether a call gives a file the rights of its owner, whoever starts it. Packages bring such files: see maintenance.ts. */
export function setsUserId({
  edge,
  source,
  event,
  call,
}: Pick<Deed, 'edge' | 'source' | 'event' | 'call'>): boolean {
  if (edge.kind !== 'attribute' || managerOf(source)?.unpacks === true) return false
  const argument = MODE_ARGUMENT.get(call)
  const mode = argument === undefined ? 0 : (event.syscall?.[argument] ?? 0)
  return (mode & SETUID) !== 0
}

interface Program {
  readonly exe: string
  readonly script: string | undefined
}

/** Program of a process by its printed name: see graph/names.ts. */
function imageOf(name: string): Program {
  const [, exe = '', script] = /^proc:[^:]*:[^:]*:([^<]*)(?:<(.*))?$/s.exec(name) ?? []
  return { exe, script }
}

const isTemporary = ({ exe, script }: Program): boolean => TEMPORARY.test(exe) || TEMPORARY.test(script ?? '')

/** Whether a program is started from memory, or something is done by one that was. */
function isFromMemory({ edge: { kind, to }, source }: Deed): boolean {
  if (kind === 'exec' || kind === 'memory-exec') {
    const { exe } = imageOf(to)
    if (kind === 'memory-exec' || FROM_MEMORY.test(exe))
      return !(RUNTIME.test(source.exe) && RUNTIME_COPY.test(exe))
  }
  return FROM_MEMORY.test(source.exe) && !isCopyOfRuntime(source)
}

const isCopyOfRuntime = ({ exe, origin }: ProcessImage): boolean =>
  RUNTIME_COPY.test(exe) && RUNTIME.test(origin?.exe ?? '')

/** A shell or one of the tools for it that talks to an address outside of which nobody knows a name. */
function isReverseShell({ edge: { kind, to }, printed, source }: Deed): boolean {
  if (kind !== 'connect' && kind !== 'accept') return false
  if (!SHELLS.test(source.exe) && !APPLETS.has(source.script ?? '')) return false
  return UNNAMED.test(printed) && UNNAMED.test(to) && !INSIDE.test(to) && !RESOLVER.test(to)
}

/** Whether somebody has auditctl do more than show something. */
function changesAudit({ edge, source, event: { argv } }: Deed): boolean {
  if (!AUDITCTL.test(imageOf(edge.to).exe)) return false
  if (LOADER.test(source.exe) || LOADER.test(source.script ?? '')) return false
  return argv.slice(1).some((word) => word.startsWith('-') && !SHOWS.has(word))
}
