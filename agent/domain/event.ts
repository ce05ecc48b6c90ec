import type { AuditRecord, EventId, ObjPidRecord, OtherRecord, PathRecord, SyscallRecord } from './record.ts'

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
  /** Whether an address holds a newline, which auditd writes into an ENRICHED log as it is. */
  readonly isForgery: boolean
  readonly targets: readonly ObjPidRecord[]
  readonly openat2Flags: number | undefined
  /** Records with a body of their own, in the order of arrival: URINGOP, SECCOMP, ANOM_ABEND and the like. */
  readonly others: readonly OtherRecord[]
  /** Every record in the order of arrival, for those who show events; empty when nobody asked for them. */
  readonly records: readonly AuditRecord[]
  /** False when records that the event announced never came. */
  readonly complete: boolean
}
