import type { Severity } from './severity.ts'

/** What opens an alert. */
export const ALERT_SOURCES = [
  'incident',
  'tamper',
  /** A process that a scan found suspicious. */
  'process',
  /** The number of suspicious processes changed. */
  'count',
  /** A process that must run does not. */
  'missing',
  /** A file in the writable layer of a container. */
  'layer',
  /** The root file system may be written. */
  'root',
] as const

export type AlertSource = (typeof ALERT_SOURCES)[number]

/** What a look at the host tells; an alert of these is gone from the host when the next look does not find it. */
export type ObservedSource = Exclude<AlertSource, 'incident' | 'tamper'>

/** Whether it is about what is there, or not there, from one look at the host to the next; others are over when they are told. */
export const isLasting = (source: AlertSource): boolean =>
  source !== 'incident' && source !== 'tamper' && source !== 'count'

/** `acknowledged`: a person knows of it. `reset`: a person has seen to it. */
export const ALERT_STATES = ['open', 'acknowledged', 'reset'] as const

export type AlertState = (typeof ALERT_STATES)[number]

/** What an alert is about, by names of the field: `pids`, `exe`, `argv`, `user`, `container`, `path` … */
export type Subject = Readonly<Record<string, string | number | readonly string[] | readonly number[]>>

/** Something that is wrong. Names from the host stand in it as they are printed: see graph/names.ts. */
export interface Observation {
  readonly source: AlertSource
  /** The same from one look to the next while it is the same thing: no pid, no time. */
  readonly key: string
  readonly severity: Severity
  /** One sentence for a person. */
  readonly title: string
  /** Why it is wrong; the weightiest first. */
  readonly reasons: readonly string[]
  /** What to do, in order. */
  readonly next: readonly string[]
  readonly subject: Subject
}

/** All that one look has found of a source: what is not in it is gone. */
export interface HostLook {
  readonly source: ObservedSource
  readonly observations: readonly Observation[]
}

/** Something wrong that stays open until a person resets it. Times are Unix time in milliseconds. */
export interface Alert extends Observation {
  readonly kind: 'alert'
  /** Counts from 1 in each baseline. */
  readonly id: number
  readonly firstMs: number
  readonly lastMs: number
  /** How often it was found, or reported. */
  readonly count: number
  /** Whether the last look found it; of what is over when it is told always false. */
  readonly isPresent: boolean
  readonly state: AlertState
  /** It makes nobody look before. */
  readonly mutedUntilMs?: number
  /** Incident that opened it. */
  readonly incident?: number
  /** See `Tamper`. */
  readonly head?: string
}

/** Whether what it was about is gone from the host. */
export const isOver = ({ source, isPresent }: Pick<Alert, 'source' | 'isPresent'>): boolean =>
  isLasting(source) && !isPresent

/** Whether nobody has taken care of an alert yet. */
export const isUnhandled = (
  { state, mutedUntilMs = 0 }: Pick<Alert, 'state' | 'mutedUntilMs'>,
  nowMs: number,
): boolean => state === 'open' && mutedUntilMs <= nowMs
