import type { AlertCounts } from '../baseline/vitals.ts'
import type { HealthReason } from '../health.ts'

/** What `/healthz` says. Times are Unix time in milliseconds; null is what nobody knows. */
export interface HealthView {
  readonly healthy: boolean
  /** What the agent does: `starting`, `training`, `monitoring`, or `faulty` while the baseline cannot be written. */
  readonly phase: string
  readonly reasons: readonly HealthReason[]
  /** Whether that the kernel records, and auditd receives, is looked at; else all may be well only because nobody looks. */
  readonly kernel: 'watched' | 'unwatched'
  readonly alerts: AlertCounts | null
  /** What the last scan of the processes counted. */
  readonly scan: { readonly timeMs: number; readonly processes: number; readonly suspicious: number } | null
  readonly lag: Lag | null
  readonly pid: number
  /** When the agent did something last. */
  readonly aliveMs: number | null
  readonly timeMs: number
}

/** How far the end of the log is away. */
export interface Lag {
  readonly bytes: number
  /** By how much the last event that was read is older than now; 0 at the end of the log. */
  readonly ms: number
}
