import { type AssemblyLosses, Assembler, EXPECTS, type LowWater } from './assemble/assembler.ts'
import type { Activity, Ancestor, Deed, ProcessImage, Understood, World } from './domain/activity.ts'
import type { AuditEvent } from './domain/event.ts'
import type { AuditRecord, EventId, SyscallRecord } from './domain/record.ts'
import type { StatesReader, StatesWriter } from './domain/state.ts'
import { EdgeNamer, type SeenEdge } from './graph/edges.ts'
import { callOf } from './interpret/calls.ts'
import { Interpreter } from './interpret/interpreter.ts'
import { RECORD_TYPES } from './interpret/tables/record-types.ts'
import type { ProcessTable } from './interpret/processes.ts'
import { uringCallOf } from './interpret/uring.ts'
import { readBody } from './parse/body.ts'
import { ForgedLines } from './parse/forged.ts'
import { LineCutter } from './parse/lines.ts'
import { PROCTITLE, RecordReader, STAMP_BYTES } from './parse/record.ts'
import { textOfBytes, textOfHex } from './parse/text.ts'

const NUL = 0
const MOST_CLAIMANTS = 100

/** Name of this host in the state. */
const HOME = ''
type LossesState = readonly [unreadableLines: number, tornLines: number, overlongLines: number]

/** Where a reader must start again, and how much of what it will read there it has read before. */
export interface ResumePoint extends LowWater {
  readonly seenBytes: number
}

/** Who sent a record of user space, as the kernel says. */
export interface Claimant {
  readonly pid: number
  readonly uid: number
  readonly auid: number
}

/** What was not seen, as counts that only grow, over restarts too. */
export interface Losses extends AssemblyLosses {
  readonly unreadableLines: number
  readonly tornLines: number
  readonly shedProcesses: number
  readonly shedFiles: number
}

export interface CoreOptions {
  readonly keepsRecords?: boolean
  readonly tracksChanges?: boolean
}

/** Takes what the core makes of an event, in the order of the log. */
export interface CoreSink {
  /** Called once for each finished event, before its edges. */
  onEvent(event: AuditEvent): void
  onEdge(seen: SeenEdge, event: AuditEvent): void
  /** Called among the edges of its event, for what makes none. */
  onDeed?(deed: Deed): void
  /** Called after its edges, for those who show events. */
  onUnderstood?(event: AuditEvent, understood: Understood): void
  /** Called after its edges, for an event with records besides those of a call, or with processes as its targets. */
  onDone?(event: AuditEvent, actor: ProcessImage | undefined): void
  /** An address holds newlines, which auditd may have written as they are: lines of the log are forged. */
  onForgery?(event: AuditEvent, actor: ProcessImage | undefined, claimant?: Claimant): void
}

/**
 * parse → assemble → interpret → graph: bytes of a log in, edges out.
 *
 * Pure: no clock, no files, no chance. The same bytes give the same edges, however they were cut into chunks.
 */
export class Core {
  /** Lines that were read as records, and lines that could not be. */
  records = 0
  unreadableLines = 0
  /** Records that began in the middle of a line. */
  private tornLines = 0
  /** Lines that auditd wrote for an address with newlines in it; they are read as nothing else. */
  forgedLines = 0
  private readonly lines = new LineCutter((bytes, start, end, offset) => this.line(bytes, start, end, offset))
  private readonly reader: RecordReader
  private readonly forged = new ForgedLines()
  /** The last record with such an address in it. */
  private forgery: { readonly id: EventId; readonly offset: number } | undefined
  /** What stands before this offset was read, and counted, before a restart. */
  private seenBytes = 0
  private drained = ''
  /** Who sent such records, by the ids of their events, until these are understood. */
  private readonly claimants = new Map<EventId, Claimant>()
  private readonly assembler: Assembler
  private readonly interpreter: Interpreter
  private readonly namer = new EdgeNamer()
  private readonly sink: CoreSink
  private event: AuditEvent | undefined
  // Made once, not for every event.
  private readonly onActivity = (activity: Activity): void => this.namer.edgesOf(activity, this.onSeen)
  private readonly onSeen = (seen: SeenEdge): void => {
    if (this.event !== undefined) this.sink.onEdge(seen, this.event)
  }

  /**
   * @param keepsRecords whether events carry every record with its body, for those who show events
   * @param tracksChanges whether it will be asked what has changed: see `drain`
   */
  constructor(
    world: World,
    sink: CoreSink,
    { keepsRecords = false, tracksChanges = false }: CoreOptions = {},
  ) {
    this.reader = new RecordReader(keepsRecords)
    const reading = { textOf: textOfBytes, bodyOf: readBody }
    this.interpreter = new Interpreter(world, reading, tracksChanges, (deed) => sink.onDeed?.(deed))
    this.sink = sink
    this.assembler = new Assembler({
      emit: (event) => this.understand(event),
      decodeHex: textOfHex,
      expects: expectedOf,
      isAlone,
      keepsRecords,
    })
  }

  /** Takes the next bytes of the log. */
  push(bytes: Buffer): void {
    this.lines.push(bytes)
  }

  /** Finishes events that wait for records which will not come: nothing has arrived for a while. */
  flush(): void {
    this.assembler.flush()
  }

  /**
   * The log is at its end. A last line without its newline was torn off in the middle and is not believed, but for what
   * stands before the last record in it. Where there is no newline at all none was torn off: the plugin of audit 4.0.4
   * wrote none.
   */
  end(): void {
    const { rest, offset } = this.lines
    const stamp = rest.lastIndexOf(STAMP_BYTES)
    const last = stamp < 0 ? -1 : rest.lastIndexOf('type=', stamp)
    const isWithoutLines = offset === 0 && last > 0
    if (isWithoutLines) this.line(rest, 0, rest.length, offset)
    else if (rest.length > 0) {
      this.unreadableLines++
      if (last > 0) {
        this.tornLines++
        this.line(rest, 0, last, offset)
      }
    }
    this.assembler.flush()
  }

  get hasOpenEvents(): boolean {
    return this.assembler.hasOpenEvents
  }

  get events(): number {
    return this.assembler.events
  }

  get losses(): Losses {
    const { processes, files } = this.interpreter.shed
    return {
      ...this.assembler.losses,
      unreadableLines: this.unreadableLines + this.lines.overlongLines,
      tornLines: this.tornLines,
      shedProcesses: processes,
      shedFiles: files,
    }
  }

  get processes(): ProcessTable {
    return this.interpreter.processes
  }

  /**
   * Who made an event, and whom that process descends from, nearest first; empty when nobody is told. `pid`: of a deed,
   * whose event may have no system call.
   */
  lineageOf(
    event: AuditEvent,
    pid = (event.syscall ?? uringCallOf(event)?.syscall)?.pid ?? -1,
  ): readonly Ancestor[] {
    return pid < 0 ? [] : this.interpreter.lineage(event.id, pid)
  }

  /** Where reading must begin again after a crash: see `Assembler.lowWater`. The offset counts from the first byte pushed. */
  get resumePoint(): ResumePoint {
    const low = this.assembler.lowWater(this.lines.offset)
    const { forgery } = this
    const isForging = this.forged.isExpecting && forgery !== undefined && forgery.offset <= low.offset
    // What was written for an address is told only by the record before it, whose event may be finished already.
    const from = isForging ? { offset: forgery.offset, finished: [...low.finished, forgery.id] } : low
    return { ...from, seenBytes: Math.max(this.lines.offset, this.seenBytes) - from.offset }
  }

  /** Goes on where another one stopped, before the first bytes. Without that it begins anew, with what was restored. */
  resume(point: ResumePoint): void {
    this.seenBytes = point.seenBytes
    this.assembler.resume(point, point.seenBytes)
  }

  /** Takes what `drain` has written. */
  restore(states: StatesReader): void {
    const read = states.of(HOME)
    for (const { key, value } of read('clock')) {
      if (key === 'lines')
        [this.unreadableLines, this.tornLines, this.lines.overlongLines] = value as LossesState
    }
    this.assembler.restore(read)
    this.interpreter.resume(states)
  }

  /** Writes what has changed since the last time and is not read again from the resume point on. */
  drain(states: StatesWriter): void {
    const writer = states.of(HOME)
    const losses: LossesState = [this.unreadableLines, this.tornLines, this.lines.overlongLines]
    const text = JSON.stringify(losses)
    if (text !== this.drained) writer.put('clock', 'lines', losses)
    this.drained = text
    this.assembler.drain(writer)
    this.interpreter.drain(states)
  }

  private understand(event: AuditEvent): void {
    this.sink.onEvent(event)
    this.event = event
    if (this.sink.onUnderstood === undefined) this.interpreter.interpret(event, this.onActivity)
    else this.sink.onUnderstood(event, this.interpreter.understand(event, this.onActivity))
    if (event.isForgery) this.sink.onForgery?.(event, this.interpreter.lastActor)
    if (event.others.length > 0 || event.targets.length > 0)
      this.sink.onDone?.(event, this.interpreter.lastActor)
    const claimant = this.claimants.get(event.id)
    if (claimant === undefined) return
    this.claimants.delete(event.id)
    const { pid, uid } = claimant
    this.sink.onForgery?.(event, this.interpreter.process(event.id, pid, uid), claimant)
  }

  private line(bytes: Buffer, start: number, end: number, offset: number): void {
    const isNew = offset >= this.seenBytes
    if (this.forged.isExpecting && this.forged.swallow(bytes, start, end)) {
      if (isNew) this.forgedLines++
      return
    }
    if (start === end) return
    // After a power loss a file may hold a run of NUL where the last lines should be.
    let from = start
    while (from < end && bytes[from] === NUL) from++
    const hasNuls = from > start
    if (hasNuls && isNew) this.unreadableLines++
    let record = this.reader.read(bytes, from, end)
    if (record === undefined && !hasNuls && isNew) this.unreadableLines++
    while (record !== undefined) {
      this.take(record, bytes, from, end, offset)
      from = this.reader.tear
      if (from < 0) return
      record = this.reader.read(bytes, from, end)
      if (!isNew) continue
      this.tornLines++
      if (record === undefined) this.unreadableLines++
    }
  }

  private take(record: AuditRecord, bytes: Buffer, start: number, end: number, offset: number): void {
    const { id } = this.reader
    if (offset >= this.seenBytes) this.records++
    if (record.type === 'SOCKADDR') {
      if (record.isForgery) {
        this.forged.begin(bytes, start, end, record.saddr)
        this.forgery = { id, offset }
      }
    } else if (
      record.type === 'OTHER' &&
      record !== PROCTITLE &&
      this.forged.beginClaimed(bytes, start, end)
    ) {
      const claimant = claimantOf(bytes.toString('latin1', start, end))
      if (this.claimants.size < MOST_CLAIMANTS) this.claimants.set(id, claimant)
      this.forgery = { id, offset }
    }
    this.assembler.add(id, record, offset)
  }
}

/** The ids that the kernel wrote before the words of the sender. */
function claimantOf(line: string): Claimant {
  const [, pid, uid, auid] = /: (?:user )?pid=(\d+) uid=(\d+) (?:old )?auid=(\d+)/.exec(line) ?? []
  return { pid: Number(pid ?? -1), uid: Number(uid ?? -1), auid: Number(auid ?? -1) }
}

/** Records besides SYSCALL and PATH that a call brings with it, as bits of `EXPECTS`. */
function expectedOf({ arch, syscall, success, items }: SyscallRecord): number {
  const call = callOf(arch, syscall)
  const cwd = items > 0 ? EXPECTS.cwd : 0
  switch (call.does) {
    case 'exec':
      return success === true ? cwd | EXPECTS.execve : cwd
    case 'connect':
    case 'listen':
    case 'accept':
    case 'socketcall':
      return success === true || call.does === 'connect' ? cwd | EXPECTS.sockaddr : cwd
    case 'trace':
      return success === true ? cwd | EXPECTS.target : cwd
    case 'open':
      return call.flagsIn === 'record' ? cwd | EXPECTS.openat2 : cwd
    default:
      return cwd
  }
}

/** Types of records that come alone: what user space and auditd write, and some of the kernel (auparse does the same). */
const isAloneNumber = (number: number): boolean =>
  number === 1005 ||
  (number >= 1100 && number < 1300) ||
  (number >= 1406 && number <= 1419) ||
  number === 2000 ||
  number >= 2100

const ALONE: ReadonlySet<string> = new Set(
  [...RECORD_TYPES].filter(([number]) => isAloneNumber(number)).map(([, name]) => name),
)

/** Whether the events of records of this type consist of just one: nothing else with its id will come. */
const isAlone = (type: string): boolean =>
  ALONE.has(type) || (type.startsWith('UNKNOWN[') && isAloneNumber(Number.parseInt(type.slice(8), 10)))
