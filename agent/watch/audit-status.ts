/** The kernel's audit, as it answers AUDIT_GET. */
export interface AuditStatus {
  /** 0 off, 1 on, 2 on and locked until the next boot. */
  readonly enabled: number
  /** Who receives the records; 0 for nobody. */
  readonly pid: number
  /** Records thrown away since boot, or since somebody reset the count. */
  readonly lost: number
  /** Records that wait for the receiver now, and how many may. */
  readonly backlog: number
  readonly backlogLimit: number
}

/** Words of struct audit_status in <linux/audit.h>; younger kernels have more behind them. */
const WORDS = { enabled: 1, pid: 3, backlogLimit: 5, lost: 6, backlog: 7 } as const
const LEAST_BYTES = 32

/** The status from a struct audit_status; undefined when it is too short to be one. */
export function statusOfBytes(bytes: Buffer): AuditStatus | undefined {
  if (bytes.length < LEAST_BYTES) return undefined
  const word = (name: keyof typeof WORDS): number => bytes.readUInt32LE(4 * WORDS[name])
  return {
    enabled: word('enabled'),
    pid: word('pid'),
    lost: word('lost'),
    backlog: word('backlog'),
    backlogLimit: word('backlogLimit'),
  }
}
