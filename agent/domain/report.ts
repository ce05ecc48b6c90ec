import type { Alert } from './alert.ts'
import type { Edge } from './edge.ts'
import type { Severity } from './severity.ts'

export { SEVERITIES, type Severity } from './severity.ts'

/** Why a finding is more than an unseen edge, or less. All but `dormant` are reported whatever they score. */
export const EDGE_MARKS = [
  /** A person said that this is never normal. */
  'denied',
  /** Never learned: see detect/never-learn.ts. */
  'reverse-shell',
  'memory-exec',
  'temporary-exec',
  'tamper',
  /** The same by a person who edits the configuration. */
  'edited',
  'setuid',
  /** It is normal, and was not seen for long. */
  'dormant',
] as const

export type EdgeMark = (typeof EDGE_MARKS)[number]

/** An edge that the baseline has never seen, in one of the chains it happened in. Times are Unix time in milliseconds. */
export interface Finding {
  readonly edge: Edge
  /** Node names from the oldest known ancestor to the target. */
  readonly chain: readonly string[]
  readonly firstMs: number
  readonly lastMs: number
  /** How surprising it was when it was seen first: -log2 of the chance that its source makes a new edge of its kind. */
  readonly bits: number
  /** Undefined for an edge that is only unseen. */
  readonly mark?: EdgeMark
  readonly evidence: Evidence
}

/** What a person said of an incident, if anything; `rebased` when all that is in it became normal by itself. */
export const INCIDENT_STATES = ['open', 'accepted', 'denied', 'later', 'maintenance', 'rebased'] as const

export type IncidentState = (typeof INCIDENT_STATES)[number]

/** Unseen edges that belong together: what one tree of processes did in one window. */
export interface Incident {
  readonly kind: 'incident'
  /** Counts from 1 in each baseline. */
  readonly id: number
  readonly firstMs: number
  readonly lastMs: number
  readonly severity: Severity
  /** In bits: see docs/detection.md. */
  readonly score: number
  /** What the score is the sum of: surprise first, then dangers by their shape. Absent where nothing is summed up. */
  readonly weights?: readonly Weight[]
  /** One sentence for a person. */
  readonly title: string
  /** Chain of its gravest edge: node names from the oldest known ancestor to the target. */
  readonly chain: readonly string[]
  /** In the order of time. */
  readonly edges: readonly IncidentEdge[]
  /** Edges that are not listed because there are too many; the baseline has them. Undefined when all are listed. */
  readonly unlisted?: number
  /** Sightings of all edges up to the report, listed or not. */
  readonly count: number
  /** Why this is unusual, and what makes it dangerous; the weightiest first. */
  readonly reasons: readonly string[]
  /** What to do, in order. */
  readonly next: readonly string[]
  /** Id of the rule that raised it; undefined for one of unseen edges. */
  readonly rule?: string
  /** See `Tamper`. */
  readonly head?: string
}

/** A part of a score. */
export interface Weight {
  /** `surprise`, or the shape of a danger. */
  readonly what: string
  readonly bits: number
}

export interface IncidentEdge extends Edge {
  readonly count: number
  readonly firstMs: number
  readonly lastMs: number
  readonly chain: readonly string[]
  readonly bits: number
  /** See `Finding`. */
  readonly mark?: EdgeMark
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
  /** Permissions that the call gave to the file: chmod(2). Undefined for a call that gives none. */
  readonly mode?: number
  /** Address of the host, where the edge calls it by a name. */
  readonly address?: string
  /** How often the edge was seen up to the report. */
  readonly count: number
}

/** Somebody worked against the agent itself, or may have. Reported at once, not at the end of a window. */
export interface Tamper {
  readonly kind: 'tamper'
  readonly reason: TamperReason
  /** Undefined is critical: what upgrades and people do who edit the configuration is less. */
  readonly severity?: Severity
  readonly timeMs: number
  /** Printed name of the process that did it; empty when nobody tells. */
  readonly process: string
  readonly chain: readonly string[]
  readonly detail: string
  /** Undefined when no event of the log shows it. */
  readonly evidence?: Evidence
  /** Head of the baseline's journal when this was reported: SHA-256 in hex. */
  readonly head?: string
}

export type TamperReason =
  /** An address of a socket held newlines, which auditd writes into an ENRICHED log as they are. */
  | 'forged-lines'
  /** Rules of the kernel were added, removed or replaced. */
  | 'rules-changed'
  /** The kernel was told to record no more. */
  | 'audit-disabled'
  /** Another setting of the kernel's audit was changed: its receiver, backlog, rate or what it does on failure. */
  | 'audit-changed'
  /** auditd ended, was aborted, or its unit was stopped. */
  | 'auditd-stopped'
  /** The log holds less than was read of it. */
  | 'log-truncated'
  /** Another program than auditd wrote, renamed, removed or made a file of the log. */
  | 'log-touched'
  /** The live log is another file, and the old one is not among the saved ones. */
  | 'log-replaced'
  | 'agent-stopped'
  | 'agent-signalled'
  | 'clock-jump'
  /** Another process changed what the agent keeps: baseline, log file, configuration, program. */
  | 'own-files'
  /** The journal of the baseline, or what it vouches for, does not fit. */
  | 'journal-broken'

/** Something the agent could not see, and for how long. */
export interface BlindSpot {
  readonly kind: 'blind-spot'
  readonly reason: BlindReason
  readonly fromMs: number
  readonly toMs: number
  /** How much: lines, records, bytes, rules or files, as `detail` says; 0 when that is not known. */
  readonly count: number
  readonly detail: string
  /**
   * True while it lasts: `toMs` is when it was noticed. The next one with the same reason and without this ends it, and
   * has the whole interval.
   */
  readonly isOngoing?: true
  /** See `Tamper`. */
  readonly head?: string
}

export type BlindReason =
  // The log itself tells.
  | 'unreadable-line'
  | 'incomplete-event'
  | 'late-record'
  | 'serial-gap'
  // Where the log comes from.
  | 'log-missing'
  | 'log-unreadable'
  | 'log-truncated'
  | 'log-rotated-unread'
  /** The log grows faster than it is read. Nothing is lost yet. */
  | 'behind'
  /** The plugin of auditd does not bring records. */
  | 'plugin-absent'
  /** It ended before it had brought all. */
  | 'plugin-ended'
  /** It could not keep all until the agent read it. */
  | 'plugin-overflow'
  // The kernel's audit and auditd.
  | 'kernel-lost'
  | 'kernel-backlog'
  | 'rules-missing'
  | 'never-task'
  | 'audit-disabled'
  | 'auditd-stopped'
  | 'auditd-replaced'
  | 'nothing-arrives'
  /** The kernel does not say any more how it is. */
  | 'kernel-unknown'
  /** The answers of DNS are not captured, so hosts have no names. */
  | 'dns-unheard'
  /** Processes, layers of containers or the root file system could not be looked at. */
  | 'host-unscanned'
  // The agent itself.
  | 'clock-set-back'
  | 'baseline-unwritable'
  /** What was too much to be remembered, and was forgotten or only counted. */
  | 'shed'

/** How well the agent sees: kept in the baseline for `status`. */
export interface Coverage {
  /** What keeps it from seeing now, each with `isOngoing`. */
  readonly ongoing: readonly BlindSpot[]
  /** What it has not seen lately, newest last. */
  readonly recent: readonly BlindSpot[]
  /** Whether something was missed in the window that goes on, or in the one before it. */
  readonly isDegraded: boolean
  /** When this was written. Unix time in milliseconds. */
  readonly timeMs: number
}

/** A pattern that the baseline has just learned. */
export interface PatternLearned {
  readonly kind: 'pattern'
  /** Regular expression over a printed edge, anchored: `^PROCESS->file:ACTION:PATH$`. */
  readonly pattern: string
  readonly process: string
  readonly action: string
  readonly examples: readonly string[]
  /** See `Tamper`. */
  readonly head?: string
}

export interface DnsCounts {
  /** Answers that named a host. */
  readonly answers: number
  /** Packets, messages or lines that could not be read. */
  readonly unread: number
  /** Answers of servers that nobody asked during the training: they name nothing. */
  readonly distrusted: number
}

/** Last object of every run. */
export interface Summary {
  readonly kind: 'summary'
  readonly records: number
  readonly events: number
  /** Distinct edges in the baseline. */
  readonly edges: number
  /** Distinct edges that became part of an incident in this run, and of none before. */
  readonly unseen: number
  /** Incidents of this run, those that were withheld among them. */
  readonly incidents: number
  /** Incidents that the budget (`alerts-per-day`) kept back: `fullmon incidents --all` shows them. */
  readonly withheld: number
  /** Lines that could not be read as records. */
  readonly unreadable: number
  /** Events that are missing by their serial numbers. What the kernel itself lost leaves no gap: `fullmon doctor` tells. */
  readonly lost: number
  /** Lines that a process had auditd write through an address with newlines in it: read as nothing else. */
  readonly forged: number
  /** What was heard of DNS, where it was listened to. */
  readonly dns?: DnsCounts
  /** Time that the log covers, last stamp less first, so that a replay prints the same again. */
  readonly elapsedMs: number
  /** Whether everything was seen: `degraded` when there was any blind spot in this run. */
  readonly coverage: 'complete' | 'degraded'
  /** See `Tamper`. */
  readonly head?: string
}

export type Report = Incident | Alert | Tamper | BlindSpot | PatternLearned | Summary
