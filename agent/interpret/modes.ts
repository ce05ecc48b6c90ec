import type { SyscallRecord } from '../domain/record.ts'
import { callName } from './calls.ts'

/** The argument that holds the permissions a call gives to a file. */
const MODE_IN: ReadonlyMap<string, 'a1' | 'a2'> = new Map([
  ['chmod', 'a1'],
  ['fchmod', 'a1'],
  ['creat', 'a1'],
  ['fchmodat', 'a2'],
  ['fchmodat2', 'a2'],
])
const PERMISSIONS = 0o7777

/** The permissions that a successful call gave to a file, chmod(2); undefined for a call that gives none. */
export function modeGivenBy(call: SyscallRecord): number | undefined {
  const argument = MODE_IN.get(callName(call.arch, call.syscall))
  return argument === undefined ? undefined : call[argument] & PERMISSIONS
}
