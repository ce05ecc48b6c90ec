import type { AuditEvent } from '../domain/event.ts'
import type { SyscallRecord } from '../domain/record.ts'
import { type Call, callNamed, UNTOLD_NAMES } from './calls.ts'
import { URING_OPS } from './tables/uring-ops.ts'

/** What io_uring did for a process, in the shape of a system call. */
export interface UringCall {
  /** Of the operation; of several, all of them. */
  readonly name: string
  readonly call: Call
  /** With the result of the operation, and with arguments that point nowhere. */
  readonly syscall: SyscallRecord
  /** The one operation among several others that has to do with an address, with its own result. */
  readonly peer: { readonly call: Call; readonly syscall: SyscallRecord } | undefined
}

/** <linux/audit.h>: login uid that was never set. */
const UNSET = 4_294_967_295
/**
 * No descriptor, and not AT_FDCWD either: what names are relative to is not told. As flags of an open it has O_TMPFILE,
 * which is neither a write nor a lesson.
 */
const UNKNOWN = -1
const NO_KEYS: readonly string[] = []
const GS = '\u001d'
/** Several operations in one event: whose record a PATH is is not told, but CREATE and DELETE still are. */

/**
 * The operations that an event tells of in URINGOP records (kernel/auditsc.c, audit_log_uring); undefined when it has
 * none. Most are named after the system call that does the same.
 *
 * A thread of the kernel does the work in an event of its own, whose record has neither exe nor login uid, and whose
 * PATH records have no names: those were read when the operation was handed in. What io_uring_enter(2) could do at once
 * is told in the event of that call, with names.
 */
export function uringCallOf(event: AuditEvent): UringCall | undefined {
  const ops: Op[] = []
  for (const { name, body } of event.others)
    if (name === 'URINGOP' && body !== undefined) ops.push(opOf(body))
  // One that had to wait is told twice: as EAGAIN, and with its result.
  const op = ops.find(({ syscall }) => syscall.success === true) ?? ops.at(-1)
  if (op === undefined) return undefined
  const names = [...new Set(ops.map(({ name }) => name))]
  const asCall = ({ syscall }: Op): SyscallRecord => {
    const { success, exit } = syscall
    return event.syscall === undefined ? syscall : { ...event.syscall, ...NO_ARGUMENTS, success, exit }
  }
  const isOne = names.length === 1
  const peer = isOne ? undefined : peerAmong(ops)
  return {
    name: names.join(','),
    call: isOne ? callNamed(op.name) : UNTOLD_NAMES,
    syscall: asCall(op),
    peer: peer && { call: callNamed(peer.name), syscall: asCall(peer) },
  }
}

/** There is one SOCKADDR record at most: of operations that mean different things with it, it is not told whose it is. */
function peerAmong(ops: readonly Op[]): Op | undefined {
  const peers = ops.filter(({ name }) => PEER_DEEDS.has(callNamed(name).does))
  const deeds = new Set(peers.map(({ name }) => callNamed(name).does))
  return deeds.size === 1
    ? (peers.find(({ syscall }) => syscall.success === true) ?? peers.at(-1))
    : undefined
}

const PEER_DEEDS: ReadonlySet<Call['does']> = new Set(['connect', 'listen', 'accept'] as const)

interface Op {
  readonly name: string
  readonly syscall: SyscallRecord
}

const NO_ARGUMENTS = { a0: UNKNOWN, a1: UNKNOWN, a2: UNKNOWN, a3: UNKNOWN }

/** `uring_op=18 success=yes exit=0 items=1 ppid=… pid=… uid=…`. The descriptor of a file that was opened is not told. */
function opOf(body: string): Op {
  const fields = fieldsOf(body)
  const number = (key: string): number => Number(fields.get(key) ?? UNKNOWN)
  const op = number('uring_op')
  const success = fields.get('success')
  return {
    name: URING_OPS[op] ?? String(op),
    syscall: {
      type: 'SYSCALL',
      arch: 0,
      syscall: op,
      success: success === undefined ? undefined : success === 'yes',
      exit: success === 'no' ? number('exit') : UNKNOWN,
      ...NO_ARGUMENTS,
      items: number('items'),
      ppid: number('ppid'),
      pid: number('pid'),
      auid: UNSET,
      uid: number('uid'),
      euid: number('euid'),
      comm: '',
      exe: undefined,
      keys: NO_KEYS,
      user: userOf(body),
    },
  }
}

/** Up to the label, which may hold anything. */
function fieldsOf(body: string): ReadonlyMap<string, string> {
  const [told = ''] = body.split(/ subj=|\u001d/, 1)
  return new Map(
    told.split(' ').map((pair) => {
      const equals = pair.indexOf('=')
      return [pair.slice(0, equals), pair.slice(equals + 1)]
    }),
  )
}

/** The name that an ENRICHED log has for the real uid. */
function userOf(body: string): string | undefined {
  const separator = body.indexOf(GS)
  const name = separator < 0 ? undefined : /(?:^| )UID="([^"]*)"/.exec(body.slice(separator + 1))?.[1]
  return name === undefined || name === 'unset' || name.startsWith('unknown(') ? undefined : name
}
