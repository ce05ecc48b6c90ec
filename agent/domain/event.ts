import type { EventId, ObjPidRecord, PathRecord, SyscallRecord } from './record.ts'

/** All records of one event, joined. */
export interface AuditEvent {
  readonly id: EventId
  readonly syscall: SyscallRecord | undefined
  readonly argv: readonly string[]
  /** True when arguments are missing or were cut: `argv` is then only what was there. */
  readonly argvTruncated: boolean
  readonly cwd: string | undefined
  /** In the order of their `item` numbers. */
  readonly paths: readonly PathRecord[]
  readonly saddr: string | undefined
  readonly targets: readonly ObjPidRecord[]
  readonly openat2Flags: number | undefined
  /** False when records that the event announced never came. */
  readonly complete: boolean
}
