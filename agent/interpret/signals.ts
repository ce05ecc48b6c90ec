import type { AuditEvent } from '../domain/event.ts'
import { callName } from './calls.ts'

/** Calls that send a signal, and the argument that says which. */
const SIGNAL_IN: ReadonlyMap<string, 'a1' | 'a2'> = new Map([
  ['kill', 'a1'],
  ['tkill', 'a1'],
  ['rt_sigqueueinfo', 'a1'],
  ['pidfd_send_signal', 'a1'],
  ['tgkill', 'a2'],
  ['rt_tgsigqueueinfo', 'a2'],
])

/** signal(7), x86 and arm. */
const NAMES = (
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP ' +
  'TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'
).split(' ')

/** What init sends for whoever reloads or stops a service: the agent says itself that it stops. */
const BY_INIT: ReadonlySet<number> = new Set([1, 15])
const INIT = 1
/** A service has it reloaded by a program that init starts (ExecReload). It reads its configuration again, and says so. */
const HANG_UP = 1
const NOBODY = 0xffffffff

/** 0 only asks whether the process is there; the others are ignored by whoever does not ask for them. */
const HARMLESS: ReadonlySet<number> = new Set([0, 17, 18, 23, 28])

/**
 * What an event shows somebody else to have done to one of these processes: sent it a signal, taken hold of it or written
 * into it. Undefined when nothing of this kind.
 *
 * The kernel names the targets in OBJ_PID records by their pids on the host; the arguments may be a group, a descriptor,
 * or a pid in a container.
 */
export function attackOn(event: AuditEvent, pids: ReadonlySet<number>): string | undefined {
  const { syscall, targets } = event
  if (targets.length === 0 || syscall?.success !== true || pids.has(syscall.pid)) return undefined
  const target = targets.find(({ pid }) => pids.has(pid))
  if (target === undefined) return undefined
  const call = callName(syscall.arch, syscall.syscall)
  const argument = SIGNAL_IN.get(call)
  if (argument === undefined) return `${call} took hold of pid ${target.pid}`
  const signal = syscall[argument]
  if (syscall.pid === INIT && BY_INIT.has(signal)) return undefined
  if (syscall.ppid === INIT && syscall.auid === NOBODY && signal === HANG_UP) return undefined
  return HARMLESS.has(signal) ? undefined : `${call} sent ${nameOf(signal)} to pid ${target.pid}`
}

const nameOf = (signal: number): string => {
  const name = NAMES[signal - 1]
  return name === undefined ? `signal ${signal}` : `SIG${name}`
}
