import type { AuditEvent } from '../domain/event.ts'
import type { SyscallRecord } from '../domain/record.ts'
import { type Call, callNamed } from './calls.ts'
import { URING_OPS } from './tables/uring-ops.ts'

/** An operation of io_uring: its name, what it means, and its record in the shape of a system call's. */
export interface UringCall {
  readonly name: string
  readonly call: Call
  /** Without exe and comm, which the record does not have, and with arguments that point nowhere. */
  readonly syscall: SyscallRecord
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

/**
 * The work that io_uring did for a process, which the kernel tells in a URINGOP record (kernel/auditsc.c,
 * audit_log_uring): no system call, but most operations are named after the call that does the same.
 */
export function uringCallOf(event: AuditEvent): UringCall | undefined {
  const body = event.others.find(({ name, body }) => name === 'URINGOP' && body !== undefined)?.body
  if (body === undefined) return undefined
  const fields = fieldsOf(body)
  const number = (key: string): number => Number(fields.get(key) ?? UNKNOWN)
  const op = number('uring_op')
  const name = URING_OPS[op] ?? String(op)
  const success = fields.get('success')
  return {
    name,
    call: callNamed(name),
    syscall: {
      type: 'SYSCALL',
      arch: 0,
      syscall: op,
      success: success === undefined ? undefined : success === 'yes',
      exit: number('exit'),
      a0: UNKNOWN,
      a1: UNKNOWN,
      a2: UNKNOWN,
      a3: UNKNOWN,
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
  return new Map(told.split(' ').map((pair) => splitPair(pair)))
}

function splitPair(pair: string): readonly [key: string, value: string] {
  const equals = pair.indexOf('=')
  return [pair.slice(0, equals), pair.slice(equals + 1)]
}

/** The name that an ENRICHED log has for the real uid. */
function userOf(body: string): string | undefined {
  const separator = body.indexOf(GS)
  const name = separator < 0 ? undefined : /(?:^| )UID="([^"]*)"/.exec(body.slice(separator + 1))?.[1]
  return name === undefined || name === 'unset' || name.startsWith('unknown(') ? undefined : name
}
