import type { AuditEvent } from '../domain/event.ts'
import type {
  AuditRecord,
  EventId,
  ExecveRecord,
  ObjPidRecord,
  OtherRecord,
  PathRecord,
  SyscallRecord,
} from '../domain/record.ts'
import type { StateKind, StateReader, StateWriter } from '../domain/state.ts'
import { type DecodeHex, joinArgv } from './argv.ts'
import { type SerialState, SerialWatch } from './serials.ts'

/**
 * An event that still waits for records is given up after this many newer records, its own among them; arrival decides,
 * never the stamp.
 */
const MOST_NEWER_RECORDS = 4096
/** And after this many newer bytes of the log: 4,096 records may be long ones. An execve brings 4 MiB at most. */
const MOST_NEWER_BYTES = 16 * 1024 * 1024
/** How many newer records an event that has its end mark waits for what its call should have brought. */
const GRACE_RECORDS = 64
/** Ids of finished events that are kept over a restart, so that a record which comes late begins none of them again. */
const MOST_LATEST = 64
const FINISHED_SLOTS = 1 << 13

type LossesState = readonly [lateRecords: number, incompleteEvents: number]

/** Records that a call should bring besides SYSCALL and PATH; bits of one number. */
export const EXPECTS = { cwd: 1, sockaddr: 2, execve: 4, target: 8, openat2: 16 } as const

// What events have that have none of it: one list for all of them.
const NO_ARGV: readonly string[] = []
const NO_PATHS: PathRecord[] = []
const NO_TARGETS: ObjPidRecord[] = []
const NO_OTHERS: OtherRecord[] = []
const NO_RECORDS: AuditRecord[] = []
const NO_EXECVE: ExecveRecord[] = []

/** An event that records are still added to. */
interface GrowingEvent extends AuditEvent {
  syscall: SyscallRecord | undefined
  argv: readonly string[]
  argvTruncated: boolean
  cwd: string | undefined
  paths: PathRecord[]
  saddr: string | undefined
  isForgery: boolean
  targets: ObjPidRecord[]
  openat2Flags: number | undefined
  others: OtherRecord[]
  records: AuditRecord[]
  complete: boolean
}

const newEvent = (id: EventId): GrowingEvent => ({
  id,
  syscall: undefined,
  argv: NO_ARGV,
  argvTruncated: false,
  cwd: undefined,
  paths: NO_PATHS,
  saddr: undefined,
  isForgery: false,
  targets: NO_TARGETS,
  openat2Flags: undefined,
  others: NO_OTHERS,
  records: NO_RECORDS,
  complete: false,
})

/** What is known of an event while its records are coming. Used again for another event when it is finished. */
class OpenEvent {
  event: GrowingEvent
  id: EventId
  /** Number of the record that began it. */
  since: number
  /** Offset in the stream of the line that began it. */
  offset: number
  execve: ExecveRecord[] = NO_EXECVE
  hasEnd = false
  /** PATH records to come; -1 when no record has told. */
  items = -1
  /** Bits of `EXPECTS`: what should come, and what has. */
  expected = 0
  found = 0
  /** Whether it has its end mark, or will have none, and waits a little. */
  isEnding = false
  /** Whether it stands in the map of open events: only those that others have interrupted do. */
  isParked = false

  constructor(id: EventId, since: number, offset: number) {
    this.event = newEvent(id)
    this.id = id
    this.since = since
    this.offset = offset
  }

  startAgain(id: EventId, since: number, offset: number): void {
    this.event = newEvent(id)
    this.id = id
    this.since = since
    this.offset = offset
    this.execve = NO_EXECVE
    this.hasEnd = false
    this.items = -1
    this.expected = 0
    this.found = 0
    this.isParked = false
  }
}

/** What was not seen, as counts since the start. */
export interface AssemblyLosses {
  /** Records of events that were already given up or finished. */
  readonly lateRecords: number
  /** Events whose announced records never came. */
  readonly incompleteEvents: number
  /** Serial numbers that no record bears. Audit events of other listeners and filtered ones count too. */
  readonly missingSerials: number
}

interface Finished {
  readonly id: EventId
  readonly offset: number
}

interface Held {
  readonly event: AuditEvent
  readonly offset: number
}

export interface LowWater {
  readonly offset: number
  readonly finished: readonly EventId[]
}

export interface AssemblerOptions {
  /** Takes each finished event. */
  readonly emit: (event: AuditEvent, offset: number) => void
  readonly decodeHex: DecodeHex
  /** Bits of `EXPECTS` for a call; 0 when nothing is known. */
  readonly expects: (syscall: SyscallRecord) => number
  /** Whether nothing else with its id comes before or after a record of this type. */
  readonly isAlone: (type: string) => boolean
  /** Whether events carry every record, for those who show events. */
  readonly keepsRecords: boolean
}

/**
 * Joins records into events by (node, time, serial), whatever other events' records stand between them.
 *
 * An event is finished when its end mark (PROCTITLE, or EOE in a plugin's stream) and all that SYSCALL announced are
 * there. What the kind of call should have brought besides is waited for a little longer, 64 records, because some calls
 * bring none; what was announced, 4,096 records, or until `flush` is called because nothing arrives any more. Stamps are
 * never used for that: a blocking call is logged with the time at which it began, hours ago perhaps. Both memory and the
 * delay of an event are bounded by these numbers. Whoever is waited for is not overtaken: finished events with later
 * serials are held as long.
 */
export class Assembler {
  events = 0
  /** Open events that others have interrupted, by `keyOf` their ids, in the order in which they began. */
  private readonly parked = new Map<number, OpenEvent>()
  private current: OpenEvent | undefined
  /** Events that have their end mark and still wait, in the order of arrival. */
  private ending: { readonly open: OpenEvent; readonly until: number }[] = []
  /** Events that are finished, but behind one that still waits, by their serials. */
  private held: Held[] = []
  /** One that has done its work, for the next event. */
  private spare: OpenEvent | undefined
  private records = 0
  /** The record and the byte of the log with which somebody may have waited long enough: not before. */
  private dueRecord = 0
  private dueOffset = 0
  /** What stands before this offset was read, and counted, before a restart. */
  private seenBytes = 0
  private lateRecords = 0
  private incompleteEvents = 0
  /** Finished while an older event was open, with the offset of the line that finished them. */
  private finishedLately: Finished[] = []
  /** Finished before a restart, with the offset of the last of their lines met again since; infinite before that. */
  private readonly skipped = new Map<string, Finished>()
  private offset = 0
  private readonly finished = new FinishedIds()
  /** The ids that were finished last, in turn. */
  private readonly latest: EventId[] = []
  private readonly drained = new Map<string, string>()
  private readonly serials = new Map<string, SerialWatch>()
  private readonly options: AssemblerOptions

  constructor(options: AssemblerOptions) {
    this.options = options
  }

  /** Takes a record of event `id` whose line begins at `offset` of the stream. */
  add(id: EventId, record: AuditRecord, offset: number): void {
    this.records++
    this.offset = offset
    const event = this.current?.id === id ? this.current : (this.find(id) ?? this.begin(id, record, offset))
    if (event !== undefined) {
      this.current = event
      this.take(event, record)
    }
    if (this.records >= this.dueRecord || offset >= this.dueOffset) this.check()
  }

  /** Finishes every open event: for the end of the log, and for a live log on which nothing arrives any more. */
  flush(): void {
    this.giveUpOld(0, 0)
  }

  get hasOpenEvents(): boolean {
    return this.current !== undefined || this.parked.size > 0 || this.held.length > 0
  }

  /**
   * Where a reader must start again to lose nothing: the line that began the oldest open event, or `end` when there is
   * none; with the events that have been finished since, or before the last restart, whose records it will meet again.
   */
  lowWater(end: number): LowWater {
    const [parked] = this.parked.values()
    const open = parked ?? this.current
    const offset = this.held.reduce((least, held) => Math.min(least, held.offset), open?.offset ?? end)
    this.forgetFinishedBefore(offset)
    const skipped = [...this.skipped.values()].filter((finished) => finished.offset >= offset)
    const behind = [...this.finishedLately, ...skipped].map(({ id }) => id)
    return { offset, finished: [...new Set([...this.latest, ...behind])] }
  }

  /**
   * Goes on where another one stopped, at its low water. These events were finished by then: their records are not taken
   * again. What stands before `seenBytes` was read already, so it is not counted again.
   */
  resume({ finished }: LowWater, seenBytes: number): void {
    this.skipped.clear()
    for (const id of finished) this.skipped.set(textOf(id), { id, offset: Number.POSITIVE_INFINITY })
    this.seenBytes = seenBytes
  }

  /** Writes what has changed since the last time, but for what is read again from the low water on. */
  drain(writer: StateWriter): void {
    const losses: LossesState = [this.lateRecords, this.incompleteEvents]
    this.write(writer, 'clock', 'assembler', losses)
    for (const [node, watch] of this.serials) this.write(writer, 'serial', node, watch.memory)
  }

  /** Takes what was written. */
  restore(read: StateReader): void {
    for (const { key, value } of read('clock')) {
      if (key === 'assembler') [this.lateRecords, this.incompleteEvents] = value as LossesState
    }
    for (const { key, value } of read('serial')) this.serials.set(key, SerialWatch.from(value as SerialState))
  }

  get losses(): AssemblyLosses {
    let missingSerials = 0
    for (const watch of this.serials.values()) missingSerials += watch.missing
    return { lateRecords: this.lateRecords, incompleteEvents: this.incompleteEvents, missingSerials }
  }

  /** The open event with this id, and the one before it out of the way. */
  private find(id: EventId): OpenEvent | undefined {
    const { current } = this
    if (current !== undefined) {
      if (isSameId(current.id, id)) return current
      if (!current.isParked) this.park(current)
    }
    if (this.parked.size === 0) return undefined
    const open = this.parked.get(keyOf(id))
    return open !== undefined && isSameId(open.id, id) ? open : undefined
  }

  private park(open: OpenEvent): void {
    const key = keyOf(open.id)
    const other = this.parked.get(key)
    if (other !== undefined) this.finish(other)
    this.parked.set(key, open)
    open.isParked = true
  }

  /** Undefined when the id is that of an event already finished: the record came too late and is counted. */
  private begin(id: EventId, record: AuditRecord, offset: number): OpenEvent | undefined {
    this.current = undefined
    if (this.finished.has(id)) {
      this.cameLate(record)
      return undefined
    }
    if (this.skipped.size > 0 && this.isSkipped(id, record)) return undefined
    if (offset >= this.seenBytes) this.watchSerial(id, record)
    const { spare } = this
    if (spare === undefined) return new OpenEvent(id, this.records, offset)
    this.spare = undefined
    spare.startAgain(id, this.records, offset)
    return spare
  }

  private isSkipped(id: EventId, record: AuditRecord): boolean {
    const text = textOf(id)
    const finished = this.skipped.get(text)
    if (finished === undefined) return false
    if (this.offset >= this.seenBytes) this.cameLate(record)
    this.skipped.set(text, { id: finished.id, offset: this.offset })
    return true
  }

  /** The stream of a plugin has both end marks, and the first of them has ended the event. */
  private cameLate(record: AuditRecord): void {
    if (!isNamed(record, 'EOE')) this.lateRecords++
  }

  private take(open: OpenEvent, record: AuditRecord): void {
    const { event } = open
    if (this.options.keepsRecords) event.records = added(event.records, NO_RECORDS, record)
    switch (record.type) {
      case 'SYSCALL':
        event.syscall ??= record
        open.items = event.syscall.items
        open.expected = this.options.expects(event.syscall)
        break
      case 'PATH':
        event.paths = added(event.paths, NO_PATHS, record)
        break
      case 'EXECVE':
        open.execve = added(open.execve, NO_EXECVE, record)
        open.found |= EXPECTS.execve
        break
      case 'CWD':
        event.cwd ??= record.cwd
        open.found |= EXPECTS.cwd
        break
      case 'SOCKADDR':
        event.saddr ??= record.saddr
        if (record.isForgery) event.isForgery = true
        open.found |= EXPECTS.sockaddr
        break
      case 'OBJ_PID':
        event.targets = added(event.targets, NO_TARGETS, record)
        open.found |= EXPECTS.target
        break
      case 'OPENAT2':
        event.openat2Flags ??= record.flags
        open.found |= EXPECTS.openat2
        break
      case 'OTHER':
        if (this.takeOther(open, record)) return
        break
    }
    if (open.hasEnd) this.finishIfComplete(open)
  }

  /** True when that finished the event. */
  private takeOther(open: OpenEvent, record: OtherRecord): boolean {
    const { event } = open
    const { name, body } = record
    if (name === 'PROCTITLE' || name === 'EOE') {
      open.hasEnd = true
      return false
    }
    if (body !== undefined) event.others = added(event.others, NO_OTHERS, record)
    if (name === 'URINGOP') {
      open.items = Math.max(open.items, Number(/ items=(\d+)/.exec(body ?? '')?.[1] ?? 0))
      // Work that io_uring did later is an event of its own, mostly without an end mark.
      this.waitALittle(open)
    }
    // Signals are dealt with behind the end of a call (kernel/signal.c): mostly nothing else comes, and no end mark.
    else if (name === 'ANOM_ABEND' && open.items < 0) this.waitALittle(open)
    if (open.since !== this.records || !this.options.isAlone(name)) return false
    this.finish(open)
    return true
  }

  private finishIfComplete(open: OpenEvent): void {
    if (open.items < 0 || open.event.paths.length < open.items) return
    const isThere = (open.expected & ~open.found) === 0
    // A list of arguments that lacks some is joined once more only when its time is over.
    const isWhole = open.execve === NO_EXECVE || (!open.isEnding && this.hasWholeArgv(open))
    if (isThere && isWhole) this.finish(open)
    else this.waitALittle(open)
  }

  private waitALittle(open: OpenEvent): void {
    if (open.isEnding) return
    open.isEnding = true
    const until = this.records + GRACE_RECORDS
    this.ending.push({ open, until })
    this.dueRecord = Math.min(this.dueRecord, until)
  }

  private hasWholeArgv({ execve }: OpenEvent): boolean {
    return !joinArgv(execve, this.options.decodeHex).truncated
  }

  /** Counts from the beginning of each event only, so that it makes no difference where reading began. */
  private check(): void {
    for (const { open, until } of [...this.ending]) if (until <= this.records) this.stopWaiting(open)
    this.giveUpOld(MOST_NEWER_RECORDS, MOST_NEWER_BYTES)
    const [oldest = this.current] = this.parked.values()
    const until = this.ending[0]?.until ?? Number.POSITIVE_INFINITY
    this.dueRecord = Math.min(until, (oldest?.since ?? this.records) + MOST_NEWER_RECORDS)
    this.dueOffset = (oldest?.offset ?? this.offset) + MOST_NEWER_BYTES
  }

  /**
   * What has its end mark, or all PATH records that io_uring announced, or is no call, is finished. The rest has longer, but
   * holds nobody up.
   */
  private stopWaiting(open: OpenEvent): void {
    if (open.hasEnd || open.items < 0 || (open.items > 0 && open.event.paths.length >= open.items)) {
      this.finish(open)
      return
    }
    open.isEnding = false
    this.ending = this.ending.filter((each) => each.open !== open)
    this.release()
  }

  private giveUpOld(newerRecords: number, newerBytes: number): void {
    const isOld = ({ since, offset }: OpenEvent): boolean =>
      since <= this.records - newerRecords || offset <= this.offset - newerBytes
    // By now every event has been passed that was finished while one was open at the restart.
    if (this.records > 2 * MOST_NEWER_RECORDS) this.skipped.clear()
    for (const open of this.parked.values()) {
      if (!isOld(open)) {
        if (this.finishedLately.length > 2 * MOST_NEWER_RECORDS) this.forgetFinishedBefore(open.offset)
        return
      }
      this.finish(open)
    }
    if (this.current !== undefined && isOld(this.current)) this.finish(this.current)
  }

  private forgetFinishedBefore(offset: number): void {
    this.finishedLately = this.finishedLately.filter((finished) => finished.offset >= offset)
  }

  private finish(open: OpenEvent): void {
    const { id } = open
    if (open.isParked) this.parked.delete(keyOf(id))
    if (this.current === open) this.current = undefined
    this.finished.add(id)
    const { event } = open
    event.complete = isComplete(open)
    if (!isInOrder(event.paths)) event.paths.sort((one, other) => one.item - other.item)
    if (open.execve !== NO_EXECVE) {
      const { argv, truncated } = joinArgv(open.execve, this.options.decodeHex)
      event.argv = argv
      event.argvTruncated = truncated
    }
    const { offset } = open
    if (open.isEnding) {
      this.ending = this.ending.filter((each) => each.open !== open)
      this.hold({ event, offset })
      this.release()
      return
    }
    this.spare = open
    if (this.ending.length > 0 && this.isBehindWaiting(event)) this.hold({ event, offset })
    else this.emit(event, offset)
  }

  /** Whether an event with an earlier serial still waits. Those of other machines count too: that costs little. */
  private isBehindWaiting({ id }: AuditEvent): boolean {
    return this.ending.some(({ open }) => isBefore(open.id, id))
  }

  /** Puts an event among those that are held, in the order of their serials. */
  private hold(held: Held): void {
    let at = this.held.length
    for (; at > 0; at--) {
      const before = this.held[at - 1]
      if (before !== undefined && isBefore(before.event.id, held.event.id)) break
    }
    this.held.splice(at, 0, held)
  }

  /** Emits what is behind nothing that waits any more. */
  private release(): void {
    for (let first = this.held[0]; first !== undefined; first = this.held[0]) {
      if (this.isBehindWaiting(first.event)) return
      this.held.shift()
      this.emit(first.event, first.offset)
    }
  }

  private emit(event: AuditEvent, offset: number): void {
    if (this.hasOpenEvents) this.finishedLately.push({ id: event.id, offset: this.offset })
    else if (this.finishedLately.length > 0) this.finishedLately = []
    this.latest[this.events % MOST_LATEST] = event.id
    this.events++
    if (!event.complete) this.incompleteEvents++
    this.options.emit(event, offset)
  }

  private write(writer: StateWriter, kind: StateKind, key: string, value: unknown): void {
    const text = JSON.stringify(value)
    const place = `${kind} ${key}`
    if (this.drained.get(place) === text) return
    this.drained.set(place, text)
    writer.put(kind, key, value)
  }

  private watchSerial(id: EventId, record: AuditRecord): void {
    if (hasOwnCounter(record)) return
    const watch = this.serials.get(id.node)
    if (watch !== undefined) watch.see(id)
    // Names of nodes come from the log: more of them than any site has are not watched.
    else if (this.serials.size < 1024) this.serials.set(id.node, new SerialWatch(id))
  }
}

/** The ids that were finished last, one for each end of a serial. Numbers apart from objects: nothing is kept alive. */
class FinishedIds {
  private readonly serials = new Float64Array(FINISHED_SLOTS).fill(-1)
  private readonly times = new Float64Array(FINISHED_SLOTS)
  private readonly nodes = new Array<string>(FINISHED_SLOTS).fill('')

  add({ node, timeMs, serial }: EventId): void {
    const slot = serial & (FINISHED_SLOTS - 1)
    this.serials[slot] = serial
    this.times[slot] = timeMs
    if (this.nodes[slot] !== node) this.nodes[slot] = node
  }

  has({ node, timeMs, serial }: EventId): boolean {
    const slot = serial & (FINISHED_SLOTS - 1)
    return this.serials[slot] === serial && this.times[slot] === timeMs && this.nodes[slot] === node
  }
}

const isNamed = (record: AuditRecord, name: string): boolean =>
  record.type === 'OTHER' && record.name === name

/** auditd's own records have serials of a counter of their own (auditd.c seeds it with a random number). */
const hasOwnCounter = (record: AuditRecord): boolean =>
  record.type === 'OTHER' && record.name.startsWith('DAEMON_')

/**
 * One number for an id: the serial with 20 bits of time and node below it. Two open events that share it are as good as
 * impossible, and cost no more than that the older one is given up.
 */
function keyOf({ node, timeMs, serial }: EventId): number {
  let mixed = timeMs
  for (let index = 0; index < node.length; index++) mixed = (mixed * 31 + node.charCodeAt(index)) % 2 ** 40
  return serial * 2 ** 20 + (mixed - Math.floor(mixed / 2 ** 20) * 2 ** 20)
}

/** Whether `one` was numbered before `other`; serials begin again behind 2^32. */
const isBefore = (one: EventId, other: EventId): boolean =>
  one.serial !== other.serial && (other.serial - one.serial) >>> 0 < 2 ** 31

const textOf = (id: EventId): string => `${id.timeMs}:${id.serial}:${id.node}`

const isSameId = (one: EventId, other: EventId): boolean =>
  one === other || (one.serial === other.serial && one.timeMs === other.timeMs && one.node === other.node)

/** All PATH records that were announced are there. Of what announces none, that it needs none. */
const isComplete = ({ items, event, hasEnd }: OpenEvent): boolean =>
  items >= 0 ? event.paths.length >= items : event.paths === NO_PATHS && !hasEnd

/** `list` with one more record; the empty one that all events share is replaced. */
function added<T>(list: T[], empty: T[], record: T): T[] {
  if (list === empty) return [record]
  list.push(record)
  return list
}

function isInOrder(paths: readonly PathRecord[]): boolean {
  for (let index = 1; index < paths.length; index++) {
    if ((paths[index - 1]?.item ?? 0) > (paths[index]?.item ?? 0)) return false
  }
  return true
}
