import type { FileAction } from './edge.ts'
import type { AuditEvent } from './event.ts'

/**
 * What a process is, and how it came to be it. Two processes are the same node of the graph when container, user,
 * exe and script are the same; a pid is not an identity.
 */
export interface ProcessImage {
  /** First 12 hex digits of the container id; empty on the host itself. */
  readonly container: string
  /** Name of the real uid, or its number. */
  readonly user: string
  /** Path of the executable as the kernel tells it; `?` when it was never seen. */
  readonly exe: string
  /** What an interpreter runs: an absolute path, or `-m MODULE`; `-m APPLET` for busybox and the like. */
  readonly script: string | undefined
  /** What this process was before its last exec or change of user: its own image, or the one it inherited at a fork. */
  readonly origin: ProcessImage | undefined
  /** Number of origins behind this one. */
  readonly depth: number
}

/** A process at the time when it, or a descendant, acted. */
export interface Ancestor {
  readonly pid: number
  readonly ppid: number
  readonly image: ProcessImage
  /** When it was seen first as what it is; it is at least that old. Unix time in milliseconds. */
  readonly sinceMs: number
  /** When it was seen first, whatever programs it has become since: with the pid it tells a process from all others. */
  readonly bornMs: number
}

/** The far or near end of a socket. */
export type Address =
  | { readonly family: 'ip'; readonly address: string; readonly port: number }
  /** `path` is empty for a socket without a name. */
  | { readonly family: 'unix'; readonly path: string; readonly isAbstract: boolean }
  /** vsock(7): between a virtual machine and its host. */
  | { readonly family: 'vsock'; readonly cid: number; readonly port: number }
  | { readonly family: 'netlink'; readonly pid: number; readonly groups: number }
  /** packet(7): whoever has one reads what passes through the interface. */
  | { readonly family: 'packet'; readonly protocol: number; readonly interface: number }
  /** Any other family by its number, and the rest of the sockaddr as hex. */
  | { readonly family: 'other'; readonly number: number; readonly data: string }

interface Acted {
  /** The process that acted, as it was when the call returned. */
  readonly actor: ProcessImage
  readonly event: AuditEvent
}

/** What an event means. One event may mean several things. */
export type Activity = Acted &
  (
    | { readonly kind: 'exec'; readonly isFromMemory: boolean; readonly before: ProcessImage }
    | { readonly kind: 'peer'; readonly action: 'connect' | 'listen' | 'accept'; readonly address: Address }
    /** `executableBy`: who may execute the file, when it is a regular one, as the call left it. */
    | {
        readonly kind: 'file'
        readonly action: FileAction
        readonly path: string
        readonly executableBy: ExecutableBy
      }
    /** `became`: the same program as the user that effective uid 0 is. */
    | { readonly kind: 'privilege'; readonly became: ProcessImage }
    | { readonly kind: 'trace'; readonly target: ProcessImage }
  )

/**
 * What an event shows somebody to have done that makes no edge, but that rules may ask for. `auid` is undefined for a
 * process that no login has led to.
 */
export type Deed = Acted & { readonly pid: number; readonly auid: number | undefined } & (
    | Escalation
    /** The process ended badly: by itself with a `status` other than 0, or by a `signal` that the kernel dumps core for. */
    | { readonly kind: 'end'; readonly status: number | undefined; readonly signal: number | undefined }
    /** The program could not be executed; `error` is the errno. */
    | { readonly kind: 'exec-failed'; readonly path: string; readonly error: number }
  )

/**
 * A process of a user other than root became root, or tried to.
 *
 * `call`: by setuid(2) or its family. `setuid-file`: by executing a file that makes root of everybody. `switcher`: by
 * executing one of the programs that are there for it (sudo, su): whether they then ask for a password is not told.
 * `authentication`: such a program has refused.
 */
export interface Escalation {
  readonly kind: 'escalation'
  readonly how: 'call' | 'setuid-file' | 'switcher' | 'authentication'
  readonly succeeded: boolean
  /** What it was before; the same as `actor` when it failed, or when that was never seen. */
  readonly before: ProcessImage
  /** Of `setuid-file`, `switcher` and `authentication`: the program that makes root. */
  readonly program: string | undefined
  /** Of `authentication`: what the program says of it, which nobody has checked. Chosen by whoever is refused. */
  readonly claims: Claims | undefined
}

export interface Claims {
  /** The type of the record: `USER_AUTH`. */
  readonly record: string
  readonly account: string | undefined
  readonly command: string | undefined
}

/** What a call did to a path; `none` when it only looked, or failed. `parent`: the directory that a name lies in. */
export type PathAction = FileAction | 'exec' | 'connect' | 'open' | 'parent' | 'none'

export interface ResolvedPath {
  /** Begins with `?` where the directory is not known. */
  readonly path: string
  readonly action: PathAction
  /**
   * `high`: the kernel says it, a full name or one in the current directory. `medium`: found by device and inode, or in
   * /proc. `low`: not known.
   */
  readonly confidence: 'high' | 'medium' | 'low'
}

/** What an event shows besides its activities. */
export interface Understood {
  /** Undefined for an event without a process. */
  readonly actor: ProcessImage | undefined
  /** Name of the system call, or of the operation of io_uring; empty when there is neither. */
  readonly call: string
  /** Name of the architecture; empty for io_uring, which does not tell. */
  readonly arch: string
  readonly peer: Address | undefined
  /** In the order of the PATH records. */
  readonly paths: readonly ResolvedPath[]
}

/** A process as /proc shows it. */
export interface FoundProcess {
  readonly pid: number
  readonly ppid: number
  readonly uid: number
  readonly exe: string
  readonly argv: readonly string[]
  readonly cwd: string
  readonly container: string
  /** When it was forked, Unix time in milliseconds: a pid is used again, a pid with its start is not. */
  readonly startMs: number
  /** When /proc showed it: before, it may have been another program. Unix time in milliseconds. */
  readonly readMs: number
}

/** The boot that the host runs since. */
export interface Boot {
  readonly id: string
  /** Unix time in milliseconds. */
  readonly startMs: number
}

/**
 * The outside as the core may ask it. A replay answers `undefined` to everything, so that the same log always gives the
 * same graph.
 */
export interface World {
  /** Whether a name that stands in the log (`node=`) is that of this host. */
  readonly isThisHost: (node: string) => boolean
  readonly userName: (uid: number) => string | undefined
  readonly findProcess: (pid: number) => FoundProcess | undefined
  /** Container that a live process is in, empty on the host itself; undefined when the process is gone. */
  readonly containerOf: (pid: number) => string | undefined
  /** Where descriptor `fd` of process `pid` points to; undefined when it no longer is the file with this inode number. */
  readonly descriptorPath: (pid: number, fd: number, inode: number) => string | undefined
  /** When the package that owns a file was installed or changed last, Unix time in milliseconds; undefined when none owns it. */
  readonly packagedMs: (path: string) => number | undefined
}

export const NO_WORLD: World = {
  isThisHost: () => false,
  userName: () => undefined,
  findProcess: () => undefined,
  containerOf: () => undefined,
  descriptorPath: () => undefined,
  packagedMs: () => undefined,
}

/** Whom the mode of a file lets execute it: nobody, its owner alone, or others as well. */
export type ExecutableBy = 'nobody' | 'owner' | 'others'
