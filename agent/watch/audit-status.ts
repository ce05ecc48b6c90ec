/** The kernel's audit, as `auditctl -s` prints it. */
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

/**
 * Reads `lost 0` on lines of their own (auditctl 2.3 to 4) and `AUDIT_STATUS: … lost=0 …` (before). Undefined when a
 * value is missing, as in what auditctl prints where the kernel refuses to answer.
 */
export function parseStatus(text: string): AuditStatus | undefined {
  const found = new Map(
    [...text.matchAll(/\b([a-z_]+)[ =](\d+)\b/g)].map(([, name, value]) => [name, Number(value)]),
  )
  const [enabled, pid, lost, backlog, backlogLimit] = [
    'enabled',
    'pid',
    'lost',
    'backlog',
    'backlog_limit',
  ].map((name) => found.get(name))
  if (enabled === undefined || pid === undefined || lost === undefined) return undefined
  if (backlog === undefined || backlogLimit === undefined) return undefined
  return { enabled, pid, lost, backlog, backlogLimit }
}
