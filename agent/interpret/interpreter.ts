import type { Activity, Address, ProcessImage, World } from '../domain/activity.ts'
import type { AuditEvent } from '../domain/event.ts'
import type { SyscallRecord } from '../domain/record.ts'
import { type Call, callOf, SOCKETCALLS, TRACE_REQUESTS } from './calls.ts'
import { FileReader } from './files.ts'
import { absolutePath } from './path.ts'
import { ProcessTable } from './processes.ts'
import { SockaddrReader, type TextOf } from './sockaddr.ts'

/**
 * Failed connects that are connections all the same. One that does not block is logged as failed with EINPROGRESS: most
 * connections of most servers are. And who was refused or never answered has still told us whom it wanted to reach.
 */
const REACHED_OUT: ReadonlySet<number> = new Set(
  Object.values({
    EINTR: -4,
    ETIMEDOUT: -110,
    ECONNREFUSED: -111,
    EHOSTUNREACH: -113,
    EALREADY: -114,
    EINPROGRESS: -115,
  }),
)
/** unix(7): the listener has more callers waiting than it takes. */
const EAGAIN = -11
const ROOT = 0
const UNKNOWN_PID = -1
const MEMORY_FILE = /^\/memfd:|^\/dev\/shm\/memfd:| \(deleted\)$/

type Peer = 'connect' | 'listen' | 'accept'

/** What events mean: who acted, and what was done to which program, host or file. */
export class Interpreter {
  readonly processes: ProcessTable
  private readonly files: FileReader
  private readonly sockaddrs: SockaddrReader

  constructor(world: World, textOf: TextOf) {
    this.sockaddrs = new SockaddrReader(textOf)
    this.processes = new ProcessTable(world)
    this.files = new FileReader(world)
  }

  /** Calls `emit` for each activity of the event, in the order in which it must be understood. */
  interpret(event: AuditEvent, emit: (activity: Activity) => void): void {
    const { syscall } = event
    if (syscall === undefined || syscall.pid < 0) return
    const call = callOf(syscall.arch, syscall.syscall)
    const succeeded = syscall.success === true
    if (call.does === 'exec' && succeeded) {
      this.interpretExec(event, syscall, emit)
      return
    }
    // A failed call changes nothing, but it shows which program runs under its pid.
    const actor = this.processes.actor(syscall)
    if (call.does === 'exit') this.processes.exit(syscall.pid)
    const peer = peerActionOf(call, syscall)
    if (peer !== undefined) this.interpretPeer(event, syscall, actor, peer, emit)
    if (!succeeded) return
    for (const change of this.files.changes(event, syscall, call))
      emit({ kind: 'file', actor, event, ...change })
    if (call.does === 'set-id' && becameRoot(syscall))
      emit({ kind: 'privilege', actor, event, became: this.processes.asRoot(actor, syscall) })
    if (call.does === 'trace' && (!call.isRequest || TRACE_REQUESTS.has(syscall.a0))) {
      emit({ kind: 'trace', actor, event, target: this.traced(event, syscall, call.pidIn) })
    }
  }

  private interpretExec(event: AuditEvent, syscall: SyscallRecord, emit: (activity: Activity) => void): void {
    const { before, after } = this.processes.exec(event, syscall)
    emit({ kind: 'exec', actor: after, event, before, isFromMemory: MEMORY_FILE.test(after.exe) })
    if (becameRoot(syscall))
      emit({ kind: 'privilege', actor: after, event, became: this.processes.asRoot(after, syscall) })
  }

  private interpretPeer(
    event: AuditEvent,
    syscall: SyscallRecord,
    actor: ProcessImage,
    action: Peer,
    emit: (activity: Activity) => void,
  ): void {
    if (event.saddr === undefined) return
    const address = this.sockaddrs.read(event.saddr, syscall.arch)
    if (address === undefined || !isConnection(action, syscall, address)) return
    // The path of a caller is as the caller bound it, in a directory of its own.
    const cwd = action === 'accept' ? undefined : event.cwd
    emit({ kind: 'peer', actor, event, action, address: seenFrom(cwd, address) })
  }

  /** OBJ_PID knows the pid of this host; the argument is a pid of the caller's own name space, mostly the same. */
  private traced(event: AuditEvent, syscall: SyscallRecord, pidIn: 0 | 1 | undefined): ProcessImage {
    const [target] = event.targets
    if (target !== undefined) return this.processes.target(target.pid, target.uid, target.comm)
    const pid = pidIn === undefined ? UNKNOWN_PID : pidIn === 0 ? syscall.a0 : syscall.a1
    return this.processes.target(pid, syscall.uid, '?')
  }
}

function peerActionOf(call: Call, syscall: SyscallRecord): Peer | undefined {
  switch (call.does) {
    case 'connect':
    case 'listen':
    case 'accept':
      return call.does
    case 'socketcall':
      return SOCKETCALLS.get(syscall.a0)
    default:
      return undefined
  }
}

const isConnection = (action: Peer, { success, exit }: SyscallRecord, { family }: Address): boolean =>
  success === true ||
  (action === 'connect' && (REACHED_OUT.has(exit) || (family === 'unix' && exit === EAGAIN)))

const seenFrom = (cwd: string | undefined, address: Address): Address =>
  address.family === 'unix' && !address.isAbstract
    ? { ...address, path: absolutePath(address.path, cwd) }
    : address

/** Real uid not 0, effective uid 0 when the call returned: a setuid program, or a step of setuid(2) and its family. */
const becameRoot = (syscall: SyscallRecord): boolean => syscall.uid > ROOT && syscall.euid === ROOT
