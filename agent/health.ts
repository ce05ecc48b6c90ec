import type { AlertCounts, NewestAlert } from './baseline/vitals.ts'
import type { BlindSpot } from './domain/report.ts'
import { SEVERITIES, type Severity } from './domain/severity.ts'

/** Why somebody should look after a host or its agent. */
export interface HealthReason {
  readonly code: 'alerts' | 'no-agent' | 'no-baseline' | 'unreadable' | 'silent' | 'blind' | 'degraded'
  /** Of the alerts that it tells of. */
  readonly severity?: Severity
  /** One sentence for a person. */
  readonly text: string
}

export interface Health {
  readonly isHealthy: boolean
  /** The gravest first. */
  readonly reasons: readonly HealthReason[]
}

/** What is known of an agent and its baseline. Times are Unix time in milliseconds. */
export interface Signs {
  /** `absent`: there is no baseline. */
  readonly phase: 'absent' | 'untrained' | 'training' | 'trained'
  /** Of the agent that runs; undefined when none does. */
  readonly pid: number | undefined
  /** When the agent did something last, as far as that is known. */
  readonly aliveMs: number | undefined
  readonly alerts: AlertCounts
  readonly newest: readonly NewestAlert[]
  readonly ongoing: readonly BlindSpot[]
  /** Whether something was missed in the window that goes on, or in the one before it. */
  readonly isDegraded: boolean
}

/**
 * Whether all is well: somebody watches, sees everything, and nothing waits for a person. A training is well, too.
 * @param mostSilentMs how long an agent may do nothing
 */
export function healthOf(signs: Signs, nowMs: number, mostSilentMs: number): Health {
  const reasons = [
    ...absence(signs),
    ...unhandled(signs),
    ...silenceOf(signs.pid, signs.aliveMs, nowMs, mostSilentMs),
    ...blindness(signs),
  ]
  return { isHealthy: reasons.length === 0, reasons }
}

function absence({ phase, pid }: Signs): HealthReason[] {
  if (pid !== undefined) return []
  return phase === 'absent'
    ? [
        {
          code: 'no-baseline',
          text: 'there is no baseline, and no agent is running; fullmon doctor says how to begin',
        },
      ]
    : [{ code: 'no-agent', text: 'no agent is running' }]
}

const unhandled = ({ alerts, newest }: Signs): HealthReason[] =>
  SEVERITIES.toReversed().flatMap((severity) => {
    const { open } = alerts[severity]
    if (open === 0) return []
    const count = open === 1 ? `1 ${severity} alert is open` : `${open} ${severity} alerts are open`
    const last = newest.find((alert) => alert.severity === severity)
    const title = last === undefined ? '' : `: ${last.title} [alert ${last.id}]`
    return [{ code: 'alerts', severity, text: count + title }]
  })

/** Whether an agent that runs does nothing any more: at most one reason. */
export function silenceOf(
  pid: number | undefined,
  aliveMs: number | undefined,
  nowMs: number,
  mostSilentMs: number,
): HealthReason[] {
  if (pid === undefined || aliveMs === undefined || nowMs - aliveMs <= mostSilentMs) return []
  const seconds = Math.round((nowMs - aliveMs) / 1000)
  return [{ code: 'silent', text: `the agent (pid ${pid}) has done nothing for ${seconds} s` }]
}

/** What an agent did not see that does not run any more says nothing about now. */
function blindness({ pid, ongoing, isDegraded }: Signs): HealthReason[] {
  if (pid === undefined) return []
  if (ongoing.length > 0)
    return ongoing.map(({ reason, detail }) => ({ code: 'blind', text: `${reason}: ${detail}` }))
  return isDegraded ? [{ code: 'degraded', text: 'something was not seen lately: see fullmon status' }] : []
}
