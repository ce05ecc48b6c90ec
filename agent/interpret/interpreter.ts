import type {
  Activity,
  Ancestor,
  Address,
  Deed,
  PathAction,
  ProcessImage,
  ResolvedPath,
  Understood,
  World,
} from '../domain/activity.ts'
import { NO_WORLD } from '../domain/activity.ts'
import type { FileAction } from '../domain/edge.ts'
import type { AuditEvent } from '../domain/event.ts'
import type { EventId, SyscallRecord } from '../domain/record.ts'
import type { StateReader, StatesReader, StatesWriter, StateWriter } from '../domain/state.ts'
import { archName, type Call, callName, callOf, SOCKETCALLS, TRACE_REQUESTS } from './calls.ts'
import {
  asksForEffectiveRoot,
  type BodyOf,
  changedUser,
  ended,
  executed,
  notExecuted,
  recorded,
  type Subject,
} from './deeds.ts'
import { FileReader, executableBy } from './files.ts'
import type { InodePaths } from './inode-paths.ts'
import { absolutePath } from './path.ts'
import { ProcessTable } from './processes.ts'
import { Recent } from './recent.ts'
import { SockaddrReader, type TextOf } from './sockaddr.ts'
import { type UringCall, uringCallOf } from './uring.ts'

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
const UNKNOWN_NAME = '?'
const MEMORY_FILE = /^\/memfd:|^\/dev\/shm\/memfd:| \(deleted\)$/

/** __AUDIT_ARCH_LE of <linux/audit.h>: what most machines are. */
const LITTLE_ENDIAN = 0x40000000
const MOST_MACHINES = 1024

type Peer = 'connect' | 'listen' | 'accept'
type Emit = (activity: Activity) => void
type Tell = (deed: Deed) => void

/** How bytes and bodies of records are read. */
export interface Reading {
  readonly textOf: TextOf
  readonly bodyOf: BodyOf
}

const NO_PATHS: readonly ResolvedPath[] = []
const NOTHING: Understood = { actor: undefined, call: '', arch: '', peer: undefined, paths: NO_PATHS }

/** What is known of one machine: several that write into one log have the same pids and inodes. */
class Machine {
  /** AUDIT_ARCH value of its last system call: io_uring does not tell, but has the same byte order. */
  arch = LITTLE_ENDIAN
  readonly processes: ProcessTable
  readonly files: FileReader
  private drained = ''

  constructor(world: World, tracksChanges: boolean) {
    this.processes = new ProcessTable(world, tracksChanges)
    this.files = new FileReader(world, tracksChanges)
  }

  /** @param generation as in `Recent` */
  drain(writer: StateWriter, generation: number): void {
    const { arch, processes, files } = this
    processes.drain(writer)
    files.inodes.drain(writer)
    const state: MachineState = [
      generation,
      arch,
      files.writesNewFirst ?? null,
      processes.memory,
      files.inodes.memory,
    ]
    const text = JSON.stringify(state)
    if (text === this.drained) return
    this.drained = text
    writer.put('machine', '', state)
  }

  /** Goes on where another one stopped: in which generation that was. */
  resume(read: StateReader): number {
    for (const { value } of read('machine')) {
      const [generation, arch, writesNewFirst, processes, inodes] = value as MachineState
      this.arch = arch
      this.files.writesNewFirst = writesNewFirst ?? undefined
      this.processes.resume(processes, read('image'), read('task'))
      this.files.inodes.resume(inodes)
      for (const { value: move } of read('move')) this.files.inodes.placeMove(move)
      for (const entry of read('inode')) this.files.inodes.place(entry.key, entry.value)
      return generation
    }
    return 0
  }
}

/** What the state keeps of a machine besides its tables; of a value that is undefined, null. */
type MachineState = readonly [
  generation: number,
  arch: number,
  writesNewFirst: boolean | null,
  processes: ProcessTable['memory'],
  inodes: InodePaths['memory'],
]
type MachinesState = readonly [homeNode: string | null, generation: number]

/** Name of this host in the state. */
const HOME = ''

/** What events mean: who acted, and what was done to which program, host or file. */
export class Interpreter {
  /**
   * This host, which the world is asked about: the machine without a name in the log, or with this host's, and where auditd
   * has another name for it (name_format), the machine of the first event.
   */
  private readonly home: Machine
  private readonly world: World
  private homeNode: string | undefined
  private readonly others: Recent<string, Machine>
  private readonly tracksChanges: boolean
  private drained = ''
  private node: string | undefined
  private machine: Machine
  private readonly sockaddrs: SockaddrReader
  private readonly bodyOf: BodyOf
  private readonly tell: Tell
  // What `understand` shows of the last event.
  private actor: ProcessImage | undefined
  private peer: Address | undefined
  private paths: readonly ResolvedPath[] = NO_PATHS

  /**
   * @param tracksChanges for `drain`
   * @param tell takes what makes no edge
   */
  constructor(
    world: World,
    { textOf, bodyOf }: Reading,
    tracksChanges = false,
    tell: Tell = () => undefined,
  ) {
    this.world = world
    this.tracksChanges = tracksChanges
    this.sockaddrs = new SockaddrReader(textOf)
    this.bodyOf = bodyOf
    this.tell = tell
    this.home = new Machine(world, tracksChanges)
    this.others = new Recent(MOST_MACHINES, tracksChanges)
    this.machine = this.home
  }

  /** Writes what has changed since the last time. */
  drain(states: StatesWriter): void {
    const { homeNode, machine, node, others } = this
    const home = states.of(HOME)
    const machines: MachinesState = [homeNode ?? null, others.generation]
    const text = JSON.stringify(machines)
    if (text !== this.drained) home.put('clock', 'machines', machines)
    this.drained = text
    this.home.drain(home, 0)
    if (machine !== this.home && node !== undefined) others.touch(node)
    for (const { key, value, generation } of others.changes()) {
      if (value === undefined) states.forget(key)
      else value.drain(states.of(key), generation)
    }
  }

  /** Goes on where another one stopped. */
  resume(states: StatesReader): void {
    const ofHome = states.of(HOME)
    for (const { key, value } of ofHome('clock')) {
      if (key !== 'machines') continue
      const [homeNode, generation] = value as MachinesState
      this.homeNode = homeNode ?? undefined
      this.others.resume(generation)
    }
    this.home.resume(ofHome)
    for (const node of states.others) {
      const value = new Machine(NO_WORLD, this.tracksChanges)
      const generation = value.resume(states.of(node))
      this.others.place({ key: node, value, generation })
    }
  }

  /** The processes of this host. */
  get processes(): ProcessTable {
    return this.home.processes
  }

  /** Calls `emit` for each activity of the event, in the order in which it must be understood. */
  interpret(event: AuditEvent, emit: Emit): void {
    const { syscall, others } = event
    this.actor = undefined
    if (event.id.node !== this.node) this.turnTo(event.id.node)
    if (syscall !== undefined) this.machine.arch = syscall.arch
    const uring = others.length > 0 ? uringCallOf(event) : undefined
    if (uring !== undefined) this.interpretUring(event, uring, emit)
    else if (syscall !== undefined && syscall.pid >= 0)
      this.interpretCall(event, syscall, callOf(syscall.arch, syscall.syscall), emit)
    for (const record of others)
      this.told(recorded(event, record, this.bodyOf, (who) => this.subject(event, who)))
  }

  /** What was forgotten before its time, because long names took too much room: processes, and files known by inode. */
  get shed(): { readonly processes: number; readonly files: number } {
    const { processes, files } = this.home
    return { processes: processes.shed, files: files.inodes.shed }
  }

  /** Who made the event that was interpreted last, where that was told. */
  get lastActor(): ProcessImage | undefined {
    return this.actor
  }

  /** The process with this pid on the machine of an event, at its time. */
  process({ node, timeMs }: EventId, pid: number, uid: number): ProcessImage {
    if (node !== this.node) this.turnTo(node)
    return this.machine.processes.target(pid, uid, UNKNOWN_NAME, timeMs)
  }

  /** The process with this pid on the machine of an event, and those that it descends from: see `ProcessTable.lineage`. */
  lineage({ node, timeMs }: EventId, pid: number): readonly Ancestor[] {
    if (node !== this.node) this.turnTo(node)
    return this.machine.processes.lineage(pid, timeMs)
  }

  /** Does what `interpret` does, and tells what there is to show of the event besides. */
  understand(event: AuditEvent, emit: Emit = () => undefined): Understood {
    this.clearLast()
    this.interpret(event, emit)
    const uring = uringCallOf(event)
    const syscall = uring?.syscall ?? event.syscall
    if (syscall === undefined) return NOTHING
    const call = uring?.call ?? callOf(syscall.arch, syscall.syscall)
    return {
      actor: this.actor,
      call: uring?.name ?? callName(syscall.arch, syscall.syscall),
      arch: event.syscall === undefined ? '' : archName(syscall.arch),
      peer: this.peer ?? this.addressOf(event, peerActionOf(call, syscall)),
      // A call that failed and an exec change nothing, so their paths were not looked at.
      paths: this.paths.length > 0 ? this.paths : this.machine.files.resolve(event, syscall, call),
    }
  }

  private clearLast(): void {
    this.peer = undefined
    this.paths = NO_PATHS
  }

  private turnTo(node: string): void {
    this.node = node
    if (node === '' || this.world.isThisHost(node)) this.homeNode = node
    else this.homeNode ??= node
    if (node === this.homeNode) {
      this.machine = this.home
      return
    }
    let machine = this.others.get(node)
    if (machine === undefined) this.others.set(node, (machine = new Machine(NO_WORLD, this.tracksChanges)))
    this.machine = machine
  }

  private interpretCall(event: AuditEvent, syscall: SyscallRecord, call: Call, emit: Emit): void {
    const { processes } = this.machine
    const succeeded = syscall.success === true
    if (call.does === 'exec' && succeeded) {
      this.interpretExec(event, syscall, emit)
      return
    }
    // A failed call changes nothing, but it shows which program runs under its pid.
    const { timeMs } = event.id
    const before = call.does === 'set-id' ? processes.before(syscall, timeMs) : undefined
    const actor = processes.actor(syscall, timeMs)
    this.actor = actor
    if (call.does === 'exit') {
      processes.exit(syscall.pid)
      this.told(ended(event, syscall, actor))
    } else if (call.does === 'set-id') this.told(changedUser(event, syscall, actor, before))
    else if (call.does === 'exec') this.interpretFailedExec(event, syscall, call, actor)
    this.interpretDeeds(event, syscall, call, actor, emit)
    if (!succeeded) return
    if (call.does === 'set-id' && becameRoot(syscall) && asksForEffectiveRoot(syscall))
      emit({ kind: 'privilege', actor, event, became: processes.asRoot(actor, syscall) })
    if (call.does === 'trace' && (!call.isRequest || TRACE_REQUESTS.has(syscall.a0))) {
      emit({ kind: 'trace', actor, event, target: this.traced(event, syscall, call.pidIn) })
    }
  }

  private interpretUring(event: AuditEvent, { syscall, call, peer }: UringCall, emit: Emit): void {
    if (syscall.pid < 0) return
    const { processes } = this.machine
    const { timeMs } = event.id
    const actor =
      event.syscall === undefined
        ? processes.uringActor(syscall, timeMs)
        : processes.actor(event.syscall, timeMs)
    this.actor = actor
    const action = peer && peerActionOf(peer.call, peer.syscall)
    if (action !== undefined) this.interpretPeer(event, peer?.syscall ?? syscall, actor, action, emit)
    this.interpretDeeds(event, syscall, call, actor, emit)
  }

  /** What was done to hosts and files. */
  private interpretDeeds(
    event: AuditEvent,
    syscall: SyscallRecord,
    call: Call,
    actor: ProcessImage,
    emit: Emit,
  ): void {
    const action = peerActionOf(call, syscall)
    if (action !== undefined) this.interpretPeer(event, syscall, actor, action, emit)
    if (syscall.success !== true || event.paths.length === 0) return
    this.paths = this.machine.files.resolve(event, syscall, call)
    let index = 0
    for (const { path, action } of this.paths) {
      const record = event.paths[index++]
      if (!isChange(action)) continue
      emit({ kind: 'file', actor, event, action, path, executableBy: executableBy(record, syscall, call) })
    }
  }

  private interpretExec(event: AuditEvent, syscall: SyscallRecord, emit: Emit): void {
    const { processes } = this.machine
    const change = processes.exec(event, syscall)
    const { before, after } = change
    this.actor = after
    emit({ kind: 'exec', actor: after, event, before, isFromMemory: MEMORY_FILE.test(after.exe) })
    if (becameRoot(syscall))
      emit({ kind: 'privilege', actor: after, event, became: processes.asRoot(after, syscall) })
    this.told(executed(event, syscall, change))
  }

  private interpretFailedExec(
    event: AuditEvent,
    syscall: SyscallRecord,
    call: Call,
    actor: ProcessImage,
  ): void {
    const [first] = this.machine.files.resolve(event, syscall, call)
    this.told(notExecuted(event, syscall, actor, first?.path))
  }

  private subject(event: AuditEvent, { pid, uid, comm, exe }: Subject): ProcessImage {
    return this.machine.processes.target(pid, uid, comm, event.id.timeMs, exe)
  }

  private told(deed: Deed | undefined): void {
    if (deed !== undefined) this.tell(deed)
  }

  private interpretPeer(
    event: AuditEvent,
    syscall: SyscallRecord,
    actor: ProcessImage,
    action: Peer,
    emit: Emit,
  ): void {
    const address = this.addressOf(event, action)
    this.peer = address
    if (address === undefined || !isSomebody(address) || !isConnection(action, syscall, address)) return
    const isOwn = action === 'listen' && address.family === 'ip' && address.port === 0
    emit({ kind: 'peer', actor, event, action, address: isOwn ? anyOf(address) : address })
  }

  private addressOf(event: AuditEvent, action: Peer | undefined): Address | undefined {
    if (event.saddr === undefined) return undefined
    const address = this.sockaddrs.read(event.saddr, this.machine.arch)
    // The path of a caller is as the caller bound it, in a directory of its own.
    return address === undefined ? undefined : seenFrom(action === 'accept' ? undefined : event.cwd, address)
  }

  /** OBJ_PID knows the pid of this host; the argument is a pid of the caller's own name space, mostly the same. */
  private traced(event: AuditEvent, syscall: SyscallRecord, pidIn: 0 | 1 | undefined): ProcessImage {
    const [target] = event.targets
    const { processes } = this.machine
    const { timeMs } = event.id
    if (target !== undefined) return processes.target(target.pid, target.uid, target.comm, timeMs)
    const pid = pidIn === undefined ? UNKNOWN_PID : pidIn === 0 ? syscall.a0 : syscall.a1
    return processes.target(pid, syscall.uid, UNKNOWN_NAME, timeMs)
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

/**
 * Who binds to port 0 takes any, mostly to speak from one of the host's own addresses (bind(2)): which one is chosen says
 * nothing of whom it speaks to.
 */
const anyOf = (address: Extract<Address, { family: 'ip' }>): Address => ({
  ...address,
  address: address.address.includes(':') ? '::' : '0.0.0.0',
})

/** Netlink is how programs ask their own kernel, and a socket without a name is nobody in particular: both are noise. */
const isSomebody = (address: Address): boolean =>
  address.family !== 'netlink' && (address.family !== 'unix' || address.path !== '' || address.isAbstract)

function seenFrom(cwd: string | undefined, address: Address): Address {
  if (address.family !== 'unix' || address.isAbstract || address.path === '') return address
  const path = absolutePath(address.path, cwd)
  return path === address.path ? address : { ...address, path }
}

const isChange = (action: PathAction): action is FileAction => CHANGES.has(action)
const CHANGES: ReadonlySet<PathAction> = new Set<FileAction>([
  'create',
  'delete',
  'rename',
  'write',
  'attribute',
])

/** Real uid not 0, effective uid 0 when the call returned: a setuid program, or a step of setuid(2) and its family. */
const becameRoot = (syscall: SyscallRecord): boolean => syscall.uid > ROOT && syscall.euid === ROOT
