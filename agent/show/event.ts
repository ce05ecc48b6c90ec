import type { Address } from '../domain/activity.ts'
import type { AuditEvent } from '../domain/event.ts'
import type { AuditRecord, EventId, PathRecord, SyscallRecord } from '../domain/record.ts'
import { SockaddrReader } from '../interpret/sockaddr.ts'
import { type Arch, ARCHES, SYSCALLS } from '../interpret/tables/syscalls.ts'
import { type Body, readBody } from '../parse/body.ts'
import { textOfBytes } from '../parse/text.ts'

/** What was understood of an event, as `fullmon events` prints it. Undefined is what the log does not say. */
export interface ShownEvent {
  readonly kind: 'event'
  readonly id: EventId
  /** Types of its records in the order of arrival, as written. */
  readonly records: readonly string[]
  /** Name of the call; its number where the tables have no name. */
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
  readonly keys: readonly string[]
  /** False when announced records never came, or when another record stands in the middle of one. */
  readonly complete: boolean
  /** What the sender of a user-space record says and nobody has checked; the words between its fields are `words`. */
  readonly claims: Readonly<Record<string, string>> | undefined
  /** What the kernel or auditd says in records of other types. */
  readonly details: readonly Detail[] | undefined
}

export interface ShownPath {
  readonly path: string | undefined
  readonly action: string | undefined
}

export interface ShownPeer {
  readonly family: string | number
  readonly address?: string
  readonly port?: number
  /** Of a unix socket: an abstract name begins with `@`. */
  readonly path?: string
}

/** Fields and words of one record as they stand in it. */
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
}

interface Other extends Body {
  readonly type: string
}

/** @param event with all its records and their bodies */
export function shownEvent(event: AuditEvent): ShownEvent {
  const others = event.others.map(({ name, body = '' }) => ({ type: name, ...readBody(body) }))
  const { syscall } = event
  const hasArgv = event.records.some((record) => record.type === 'EXECVE')
  return {
    kind: 'event',
    id: event.id,
    records: event.records.map(typeOf),
    ...(syscall === undefined ? spokenBy(others) : spokenByCall(syscall)),
    argv: hasArgv ? event.argv : undefined,
    argvTruncated: hasArgv ? event.argvTruncated : undefined,
    cwd: event.cwd,
    paths: event.paths.map(shownPath),
    peer: shownPeer(event),
    keys: keysOf(syscall, others),
    complete: event.complete && !others.some((other) => other.isTorn),
    claims: claimsOf(others),
    details: detailsOf(others),
  }
}

const typeOf = (record: AuditRecord): string => (record.type === 'OTHER' ? record.name : record.type)

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
function spokenBy(others: readonly Other[]): Spoken {
  const ranked = [...others].sort((one, other) => rankOf(one) - rankOf(other))
  const first = (key: string): string | undefined =>
    ranked.find(({ own }) => own.fields.has(key))?.own.fields.get(key)
  const number = (key: string): number | undefined => numberOf(first(key))
  const arch = first('arch')
  const success = first('success')
  return {
    syscall: first('uring_op') ?? nameWritten(arch, first('syscall')),
    arch: arch === undefined ? undefined : archName(Number.parseInt(arch, 16)),
    success: success === undefined ? undefined : success === 'yes',
    exit: number('exit'),
    pid: number('pid'),
    ppid: number('ppid'),
    auid: number('auid'),
    uid: number('uid'),
    euid: number('euid'),
    comm: first('comm'),
    exe: first('exe'),
  }
}

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

const shownPath = ({ name, nameType }: PathRecord): ShownPath => ({
  path: name,
  action: nameType?.toLowerCase(),
})

const sockaddrs = new SockaddrReader(textOfBytes)

function shownPeer({ saddr, syscall }: AuditEvent): ShownPeer | undefined {
  if (saddr === undefined || syscall === undefined) return undefined
  const address = sockaddrs.read(saddr, syscall.arch)
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
      fields: Object.fromEntries(fields),
    }))
  return details.length === 0 ? undefined : details
}
