import type { Address, Deed, Escalation, PathAction, ResolvedPath, Understood } from '../domain/activity.ts'
import type { AuditEvent } from '../domain/event.ts'
import type { AuditRecord, EventId, ObjPidRecord, SyscallRecord } from '../domain/record.ts'
import { SockaddrReader } from '../interpret/sockaddr.ts'
import { RECORD_TYPES } from '../interpret/tables/record-types.ts'
import { type Arch, ARCHES, SYSCALLS } from '../interpret/tables/syscalls.ts'
import { URING_OPS } from '../interpret/tables/uring-ops.ts'
import { type Body, readBody } from '../parse/body.ts'
import { textOfBytes } from '../parse/text.ts'

/** What was understood of an event, as `fullmon events` prints it. Undefined is what the log does not say. */
export interface ShownEvent {
  readonly kind: 'event'
  readonly id: EventId
  /** Types of its records in the order of arrival; `BPF` where an older auditd wrote `UNKNOWN[1334]`. */
  readonly records: readonly string[]
  /** Name of the call or of the operation of io_uring; its number where the tables have no name. */
  readonly syscall: string | undefined
  /** Name of the architecture; its AUDIT_ARCH value in hex where the tables have no name. */
  readonly arch: string | undefined
  readonly success: boolean | undefined
  readonly exit: number | undefined
  readonly pid: number | undefined
  readonly ppid: number | undefined
  readonly auid: number | undefined
  readonly uid: number | undefined
  readonly euid: number | undefined
  readonly comm: string | undefined
  readonly exe: string | undefined
  readonly argv: readonly string[] | undefined
  readonly argvTruncated: boolean | undefined
  readonly cwd: string | undefined
  readonly paths: readonly ShownPath[]
  readonly peer: ShownPeer | undefined
  /** Processes that the call took hold of or sent a signal to. */
  readonly targets: readonly ShownTarget[] | undefined
  readonly keys: readonly string[]
  /** Root taken or refused, a bad end, a program that may not be executed. */
  readonly deeds: readonly ShownDeed[] | undefined
  /** False when announced records never came, or when another record stands in the middle of one. */
  readonly complete: boolean
  /** What the sender of a user-space record says and nobody has checked; the words between its fields are `words`. */
  readonly claims: Readonly<Record<string, string>> | undefined
  /** What the kernel or auditd says in records of other types. */
  readonly details: readonly Detail[] | undefined
}

export type ShownDeed =
  | ({ readonly kind: 'escalation' } & Pick<Escalation, 'how' | 'succeeded'>)
  | { readonly kind: 'end'; readonly status: number | undefined; readonly signal: number | undefined }
  | { readonly kind: 'exec-failed' }

/** `path` begins with `?` where its directory is not known; see `ResolvedPath`. */
export interface ShownPath {
  readonly path: string
  readonly action: PathAction
  readonly confidence: ResolvedPath['confidence']
}

export interface ShownPeer {
  /** Its number where it has no name here. */
  readonly family: string | number
  /** An IP address, the cid of vsock, the port id of netlink, the interface of packet; of other families all bytes as hex. */
  readonly address?: string
  readonly port?: number
  /** Of a unix socket: an abstract name begins with `@`. */
  readonly path?: string
}

export type ShownTarget = Pick<ObjPidRecord, 'pid' | 'uid' | 'comm'>

/** Fields and words of one record as they stand in it, but for operations of io_uring, which are named. */
export interface Detail {
  readonly type: string
  readonly words: string | undefined
  readonly fields: Readonly<Record<string, string>>
}

/** Last object of every list of events. */
export interface ShownSummary {
  readonly kind: 'summary'
  readonly records: number
  readonly events: number
  /** Lines that could not be read as records. */
  readonly unreadable: number
  /** Records that came when their event was finished. */
  readonly late: number
  /** Lines that a process had auditd write through an address with newlines in it, if there are any. */
  readonly forged?: number
}

interface Other extends Body {
  readonly type: string
}

/** @param event with all its records and their bodies */
export function shownEvent(
  event: AuditEvent,
  understood: Understood,
  deeds: readonly Deed[] = [],
): ShownEvent {
  const others = event.others.map(({ name, body = '' }) => ({ type: nameOf(name), ...readBody(body) }))
  const { syscall } = event
  const hasArgv = event.records.some((record) => record.type === 'EXECVE')
  return {
    kind: 'event',
    id: event.id,
    records: event.records.map(typeOf),
    ...(syscall === undefined ? spokenBy(others, understood) : spokenByCall(syscall)),
    argv: hasArgv ? event.argv : undefined,
    argvTruncated: hasArgv ? event.argvTruncated : undefined,
    cwd: event.cwd,
    paths: shownPaths(event, understood),
    peer: shownPeer(event, understood),
    targets: event.targets.length === 0 ? undefined : event.targets.map(shownTarget),
    keys: keysOf(syscall, others),
    deeds: deeds.length === 0 ? undefined : deeds.map(shownDeed),
    complete: event.complete && !others.some((other) => other.isTorn),
    claims: claimsOf(others),
    details: detailsOf(others),
  }
}

const typeOf = (record: AuditRecord): string => (record.type === 'OTHER' ? nameOf(record.name) : record.type)

function nameOf(written: string): string {
  const number = /^UNKNOWN\[(\d+)\]$/.exec(written)?.[1]
  return (number === undefined ? undefined : RECORD_TYPES.get(Number(number))) ?? written
}

type Spoken = Pick<
  ShownEvent,
  'syscall' | 'arch' | 'success' | 'exit' | 'pid' | 'ppid' | 'auid' | 'uid' | 'euid' | 'comm' | 'exe'
>

function spokenByCall(record: SyscallRecord): Spoken {
  const { arch, syscall, success, comm, exe } = record
  return {
    syscall: syscallName(arch, syscall),
    arch: archName(arch),
    success,
    // exit and exit_group have neither.
    exit: success === undefined ? undefined : record.exit,
    pid: known(record.pid),
    ppid: known(record.ppid),
    auid: known(record.auid),
    uid: known(record.uid),
    euid: known(record.euid),
    comm: comm === '' ? undefined : comm,
    exe,
  }
}

/** Records that say who acted, most trusted first; then all others. */
const SPEAKERS = ['URINGOP', 'SECCOMP', 'ANOM_']
const rankOf = ({ type }: Other): number => {
  const rank = SPEAKERS.findIndex((name) => type.startsWith(name))
  return rank < 0 ? SPEAKERS.length : rank
}

/** An event without SYSCALL: the outer fields of its records, never what a sender claims. */
function spokenBy(others: readonly Other[], { actor }: Understood): Spoken {
  const ranked = [...others].sort((one, other) => rankOf(one) - rankOf(other))
  const first = (key: string): string | undefined =>
    ranked.find(({ own }) => own.fields.has(key))?.own.fields.get(key)
  const number = (key: string): number | undefined => numberOf(first(key))
  const operation = first('uring_op')
  const arch = first('arch')
  const success = first('success')
  return {
    syscall: operation === undefined ? nameWritten(arch, first('syscall')) : uringName(operation),
    arch: arch === undefined ? undefined : archName(Number.parseInt(arch, 16)),
    success: success === undefined ? undefined : success === 'yes',
    exit: number('exit'),
    pid: number('pid'),
    ppid: number('ppid'),
    auid: number('auid'),
    uid: number('uid'),
    euid: number('euid'),
    comm: first('comm'),
    // io_uring does not say it: the table of processes does.
    exe: first('exe') ?? (actor?.exe === UNKNOWN_EXE ? undefined : actor?.exe),
  }
}

const UNKNOWN_EXE = '?'

const known = (number: number): number | undefined => (number < 0 ? undefined : number)

const numberOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^-?\d{1,15}$/.test(text) ? Number(text) : undefined

const X32_BIT = 0x40000000
const NAMES: ReadonlyMap<number, Arch> = ARCHES

function syscallName(arch: number, number: number): string | undefined {
  const name = NAMES.get(arch)
  return (name === undefined ? undefined : SYSCALLS[name][number & ~X32_BIT]) ?? String(number)
}

const archName = (arch: number): string => NAMES.get(arch) ?? arch.toString(16)

function nameWritten(arch: string | undefined, syscall: string | undefined): string | undefined {
  const number = numberOf(syscall)
  return number === undefined ? syscall : syscallName(Number.parseInt(arch ?? '', 16), number)
}

const uringName = (written: string): string => URING_OPS[numberOf(written) ?? -1] ?? written

/** Without the record of the call nothing is known but the names that stand there. */
const shownPaths = (event: AuditEvent, { paths }: Understood): readonly ShownPath[] =>
  paths.length === event.paths.length
    ? paths
    : event.paths.map(({ name = '?' }) => ({ path: name, action: 'none', confidence: 'low' }))

const sockaddrs = new SockaddrReader(textOfBytes)
/** __AUDIT_ARCH_LE of <linux/audit.h>: what almost every machine is, where the record of the call is missing. */
const LITTLE_ENDIAN = 0x40000000

function shownPeer({ saddr, syscall }: AuditEvent, { peer }: Understood): ShownPeer | undefined {
  const address =
    peer ?? (saddr === undefined || syscall !== undefined ? undefined : sockaddrs.read(saddr, LITTLE_ENDIAN))
  return address === undefined ? undefined : peerOf(address)
}

function peerOf(address: Address): ShownPeer {
  switch (address.family) {
    case 'ip':
      return {
        family: address.address.includes(':') ? 'inet6' : 'inet',
        address: address.address,
        port: address.port,
      }
    case 'unix':
      return { family: 'unix', path: `${address.isAbstract ? '@' : ''}${address.path}` }
    case 'vsock':
      return { family: 'vsock', address: String(address.cid), port: address.port }
    case 'netlink':
      return { family: 'netlink', address: String(address.pid) }
    case 'packet':
      return { family: 'packet', address: String(address.interface) }
    case 'other':
      return { family: address.number, address: address.data }
  }
}

const shownTarget = ({ pid, uid, comm }: ObjPidRecord): ShownTarget => ({ pid, uid, comm })

function shownDeed(deed: Deed): ShownDeed {
  switch (deed.kind) {
    case 'escalation':
      return { kind: deed.kind, how: deed.how, succeeded: deed.succeeded }
    case 'end':
      return { kind: deed.kind, status: deed.status, signal: deed.signal }
    case 'exec-failed':
      return { kind: deed.kind }
  }
}

const KEY_SEPARATOR = '\u0001'

/** Keys of the rule that matched, and of the rule that a CONFIG_CHANGE is about. */
function keysOf(syscall: SyscallRecord | undefined, others: readonly Other[]): readonly string[] {
  const written = others.flatMap(({ own }) => own.fields.get('key')?.split(KEY_SEPARATOR) ?? [])
  return [...new Set([...(syscall?.keys ?? []), ...written.filter((key) => key !== '')])]
}

function claimsOf(others: readonly Other[]): Readonly<Record<string, string>> | undefined {
  const claims = new Map<string, string>()
  const claimed = others.flatMap((other) => other.claims ?? [])
  for (const { fields, words } of claimed) {
    for (const [key, value] of fields) if (!claims.has(key)) claims.set(key, value)
    if (words !== '' && !claims.has('words')) claims.set('words', words)
  }
  return claimed.length === 0 ? undefined : Object.fromEntries(claims)
}

function detailsOf(others: readonly Other[]): readonly Detail[] | undefined {
  const details = others
    .filter(({ own }) => own.fields.size > 0 || own.words !== '')
    .map(({ type, own: { fields, words } }) => ({
      type,
      words: words === '' ? undefined : words,
      fields: Object.fromEntries(
        [...fields].map(([key, value]) => [key, key === 'uring_op' ? uringName(value) : value]),
      ),
    }))
  return details.length === 0 ? undefined : details
}
