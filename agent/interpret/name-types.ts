import type { AuditEvent } from '../domain/event.ts'
import type { NameType, SyscallRecord } from '../domain/record.ts'
import { callName } from './calls.ts'

/** What the last records of a call are, in their order; what stands before them are the directories. */
const LAST: ReadonlyMap<string, readonly NameType[]> = new Map<string, readonly NameType[]>([
  ...['open', 'openat', 'creat'].map((name) => [name, ['NORMAL']] as const),
  ...['mkdir', 'mkdirat', 'mknod', 'mknodat', 'symlink', 'symlinkat'].map(
    (name) => [name, ['CREATE']] as const,
  ),
  ...['link', 'linkat'].map((name) => [name, ['NORMAL', 'CREATE']] as const),
  ...['unlink', 'unlinkat', 'rmdir'].map((name) => [name, ['DELETE']] as const),
  ...['rename', 'renameat'].map((name) => [name, ['DELETE', 'CREATE']] as const),
])
const ONE: readonly NameType[] = ['NORMAL']

/**
 * Kernels before 2013 did not write what a PATH is, but they wrote them in the order of today's. Whether an open made the
 * file is not known then: it was opened, as the flags say.
 */
export function withNameTypes(event: AuditEvent, { arch, syscall }: SyscallRecord): AuditEvent {
  const { paths } = event
  const last = LAST.get(callName(arch, syscall)) ?? (paths.length === 1 ? ONE : [])
  const first = paths.length - last.length
  return {
    ...event,
    paths: paths.map((record, index) => ({
      ...record,
      nameType: index < first ? (last.length === 0 ? undefined : 'PARENT') : last[index - first],
    })),
  }
}
