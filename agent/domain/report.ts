import type { Edge } from './edge.ts'

/** An edge that the baseline has never seen, as it is reported. Times are Unix time in milliseconds. */
export interface Finding {
  readonly kind: 'finding'
  /** Stamp of the event that showed the edge first. */
  readonly timeMs: number
  readonly edge: Edge
  /** Node names from the oldest known ancestor to the target. */
  readonly chain: readonly string[]
  /** The chain as it is printed: joined with `->`. */
  readonly path: string
  readonly evidence: Evidence
}

/** What to look up in the log: `ausearch --event SERIAL`. */
export interface Evidence {
  readonly node: string
  readonly serial: number
  readonly syscall: string
  readonly pid: number
  readonly ppid: number
  readonly auid: number
  readonly comm: string
  readonly argv: readonly string[]
  /** How often the edge was seen up to the report. */
  readonly count: number
}

/** Somebody worked against the agent itself. Reported at once, not at the end of a window. */
export interface Tamper {
  readonly kind: 'tamper'
  /** `forged-lines`: an address of a socket held newlines, which auditd writes into an ENRICHED log as they are. */
  readonly reason: 'forged-lines'
  readonly timeMs: number
  /** Printed name of the process that did it. */
  readonly process: string
  readonly chain: readonly string[]
  readonly detail: string
  readonly evidence: Evidence
}

/** Something the agent could not see, and for how long. */
export interface BlindSpot {
  readonly kind: 'blind-spot'
  readonly reason: BlindReason
  readonly fromMs: number
  readonly toMs: number
  /** How much: lines, records, bytes or files, as `detail` says. */
  readonly count: number
  readonly detail: string
}

export type BlindReason =
  | 'unreadable-line'
  | 'incomplete-event'
  | 'late-record'
  | 'serial-gap'
  | 'clock-set-back'
  | 'log-missing'
  | 'log-truncated'
  | 'log-rotated-unread'

/** A pattern that the baseline has just learned. */
export interface PatternLearned {
  readonly kind: 'pattern'
  /** Regular expression over a printed edge, anchored: `^PROCESS->file:ACTION:PATH$`. */
  readonly pattern: string
  readonly process: string
  readonly action: string
  readonly examples: readonly string[]
}

/** Last object of every run. */
export interface Summary {
  readonly kind: 'summary'
  readonly records: number
  readonly events: number
  /** Distinct edges in the baseline. */
  readonly edges: number
  /** Distinct edges reported in this run that had never been reported before. */
  readonly unseen: number
  /** Lines that could not be read as records. */
  readonly unreadable: number
  /** Events that are missing by their serial numbers. What the kernel itself lost leaves no gap: `fullmon doctor` tells. */
  readonly lost: number
  /** Lines that a process had auditd write through an address with newlines in it: read as nothing else. */
  readonly forged: number
  /** Time that the log covers, last stamp less first, so that a replay prints the same again. */
  readonly elapsedMs: number
}

export type Report = Finding | Tamper | BlindSpot | PatternLearned | Summary
