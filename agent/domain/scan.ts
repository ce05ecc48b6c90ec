/** Signs that a running process is not what it should be. */
export const HEURISTICS = [
  'deleted_exe',
  'memfd_exe',
  'tmp_exe',
  'disguised',
  'shell_socket',
  'wx_mem',
  'ptraced',
  'unusual_parent',
  'watched_port',
  'high_cpu',
  'empty_cmdline',
  'many_conns',
  'no_tty',
  'short_cmdline',
  'obfuscated_cmdline',
] as const

export type Heuristic = (typeof HEURISTICS)[number]

/** A sign that was found. */
export interface ScanMark {
  readonly heuristic: Heuristic
  readonly points: number
  /** One sentence for a person, without a full stop. */
  readonly reason: string
}

/** A process as a scan found it. Names in it are as the kernel tells them: who prints them escapes them. */
export interface ScannedProcess {
  readonly pid: number
  readonly ppid: number
  /** As the graph calls it, printed: `proc:[container]:user:exe[<script]`. */
  readonly name: string
  readonly uid: number
  readonly user: string
  /** Empty on the host itself. */
  readonly container: string
  /** As /proc shows it, ` (deleted)` and `/memfd:` included; `?` when it could not be read. */
  readonly exe: string
  /** What an interpreter runs: a path, or `-m MODULE`; null when it runs none. */
  readonly script: string | null
  /** One of the two, when it leads there only in a name space of mounts that its user made; null else. */
  readonly forged: string | null
  /** What it calls itself: 15 bytes at most. */
  readonly comm: string
  readonly argv: readonly string[]
  /** Unix time in milliseconds; 0 when that cannot be known. */
  readonly startMs: number
  readonly rssBytes: number
  /** Of one processor, between two looks; since its start when there was only one. */
  readonly cpuPercent: number
  /** `pts/0`; null without a terminal. */
  readonly tty: string | null
  /** `tcp 0.0.0.0:22`, sorted. */
  readonly listens: readonly string[]
  /** Connections to other hosts, and attempts at such, that it began itself. */
  readonly connections: number
  /** Of the executable, when the allowlist asks for it; null else. */
  readonly sha256: string | null
  /** The heaviest first. */
  readonly marks: readonly ScanMark[]
  /** How strange it is, from 0 to 1; null when nothing was learned that it could be compared with. */
  readonly surprise: number | null
  /** Why it is strange. */
  readonly surpriseReasons: readonly string[]
  readonly score: number
  /** The entry of the allowlist, as `names: sshd`; null when there is none. */
  readonly allowlistedBy: string | null
  readonly isSuspicious: boolean
}

/** Processes of which something could not be read. */
export interface UnreadCounts {
  readonly exe: number
  readonly memory: number
  /** Descriptors, or the sockets of its network. */
  readonly sockets: number
  /** Processes of which the scan had time to look only at a part. */
  readonly cut: number
  /** Whether /proc hides the processes of others: proc(5), hidepid. */
  readonly isHidden: boolean
}

/** What surprise was learned from. */
export type SurpriseSource = 'baseline' | 'processes'

/** All processes of this host but kernel threads, at one time. */
export interface ProcessScan {
  readonly kind: 'scan'
  /** Unix time in milliseconds. */
  readonly timeMs: number
  /** In no order. */
  readonly processes: readonly ScannedProcess[]
  readonly suspicious: number
  readonly unread: UnreadCounts
  readonly surpriseFrom: readonly SurpriseSource[]
  /** Why surprise was not known; null when it was. */
  readonly unlearned: string | null
  /** Time in which nothing else could be done. */
  readonly busyMs: number
}

/** What processes of one name were like whenever a training looked at them. */
export interface ProcessHabits {
  /** How often one was seen. */
  readonly looks: number
  readonly firstMs: number
  readonly lastMs: number
  /** Names of the processes that they were children of. */
  readonly parents: readonly string[]
  /** As in `ScannedProcess`; ports that are handed out to whoever asks for none are 0. */
  readonly listens: readonly string[]
  readonly hasConnected: boolean
  readonly hasTty: boolean
  readonly mostCpuPercent: number
  readonly mostRssBytes: number
}
