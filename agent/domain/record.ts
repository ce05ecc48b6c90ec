/** What makes an event one event: the triple, never the serial alone (serials start again at every boot). */
export interface EventId {
  /** Value of `node=`; empty when auditd writes none. */
  readonly node: string
  /** Unix time in milliseconds, taken by the kernel at system call entry with its coarse clock. */
  readonly timeMs: number
  readonly serial: number
}

/**
 * The body of one line of the log. Text is what the kernel meant: quotes and hex are undone. Which event it belongs to is
 * told apart from it, so that lines that say the same are the same record.
 */
export type AuditRecord =
  | SyscallRecord
  | ExecveRecord
  | PathRecord
  | CwdRecord
  | SockaddrRecord
  | ObjPidRecord
  | Openat2Record
  | OtherRecord

export interface SyscallRecord {
  readonly type: 'SYSCALL'
  /** AUDIT_ARCH value, for example 0xc000003e. */
  readonly arch: number
  readonly syscall: number
  /** Undefined when the call has no result: exit, exit_group, a task killed in the call. */
  readonly success: boolean | undefined
  /** Return value, or the negated errno. */
  readonly exit: number
  /** Arguments: the low 32 bits, signed. Enough for descriptors, flags and requests; never for pointers. */
  readonly a0: number
  readonly a1: number
  readonly a2: number
  readonly a3: number
  /** Number of PATH records that belong to the event. */
  readonly items: number
  readonly ppid: number
  readonly pid: number
  /** Login uid; 4294967295 when unset. */
  readonly auid: number
  readonly uid: number
  readonly euid: number
  /** Chosen by the process itself: a label, never an identity. */
  readonly comm: string
  /** Undefined for kernel threads. */
  readonly exe: string | undefined
  /** Keys of the rule that matched. */
  readonly keys: readonly string[]
  /** Name of `uid` at the time of the event, from an ENRICHED log. */
  readonly user: string | undefined
}

export interface ExecveRecord {
  readonly type: 'EXECVE'
  /** Undefined in continuation records. */
  readonly argc: number | undefined
  readonly pieces: readonly ArgumentPiece[]
  /** `a3_len=…`: how many characters the fragments of a long argument are together, as written. */
  readonly lengths: readonly ArgumentLength[]
  /** Whether the line ends in the middle of an argument. */
  readonly isCut: boolean
}

/** `a3="x"`, or one fragment of a long argument: `a3[1]=6162`. Encoding is undone when the fragments are joined. */
export interface ArgumentPiece {
  readonly index: number
  readonly fragment: number
  /** As written, without quotes. */
  readonly text: string
  readonly isHex: boolean
}

export interface ArgumentLength {
  readonly index: number
  readonly length: number
}

export type NameType = 'NORMAL' | 'PARENT' | 'CREATE' | 'DELETE' | 'UNKNOWN'

export interface PathRecord {
  readonly type: 'PATH'
  readonly item: number
  /** As the process passed it; undefined for `(null)`. */
  readonly name: string | undefined
  /** 0 when nothing was found. */
  readonly inode: number
  /** `major:minor` in hex as written; empty when nothing was found. */
  readonly dev: string
  /** Type and permissions (<linux/stat.h>); 0 when nothing was found. */
  readonly mode: number
  readonly nameType: NameType | undefined
}

export interface CwdRecord {
  readonly type: 'CWD'
  readonly cwd: string
}

export interface SockaddrRecord {
  readonly type: 'SOCKADDR'
  /** The sockaddr as hex digits. Its family is in the byte order of the machine that logged. */
  readonly saddr: string
  /** Whether it holds a newline, which auditd writes into an ENRICHED log as it is. */
  readonly isForgery: boolean
}

export interface ObjPidRecord {
  readonly type: 'OBJ_PID'
  readonly pid: number
  readonly uid: number
  readonly comm: string
}

export interface Openat2Record {
  readonly type: 'OPENAT2'
  readonly flags: number
}

/** A record whose body no edge needs; it still tells that the event exists, and PROCTITLE and EOE that it ended. */
export interface OtherRecord {
  readonly type: 'OTHER'
  /** Type as written, for example `PROCTITLE` or `UNKNOWN[1334]`. */
  readonly name: string
  /** What stands behind the header, one character a byte, without the line's end. Undefined when nobody asked for it. */
  readonly body: string | undefined
}
