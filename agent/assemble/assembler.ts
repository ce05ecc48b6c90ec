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
import { type Argv, type DecodeHex, joinArgv } from './argv.ts'
import { SerialWatch } from './serials.ts'

/**
 * An event that still waits for records is given up after this many newer records, its own among them; arrival decides,
 * never the stamp.
 */
const MOST_NEWER_RECORDS = 4096
/** How many newer records an event that has its end mark waits for what its call should have brought. */
const GRACE_RECORDS = 64
const FINISHED_SLOTS = 1 << 13

/** Records that a call should bring besides SYSCALL and PATH; bits of one number. */
export const EXPECTS = { cwd: 1, sockaddr: 2, execve: 4, target: 8, openat2: 16 } as const

// What events have that have none of it: one list for all of them.
const NO_ARGV: Argv = { argv: [], truncated: false }
const NO_PATHS: PathRecord[] = []
const NO_TARGETS: ObjPidRecord[] = []
const NO_OTHERS: OtherRecord[] = []
const NO_RECORDS: AuditRecord[] = []
const NO_EXECVE: ExecveRecord[] = []

/** An event whose records are still coming. */
class OpenEvent {
  syscall: SyscallRecord | undefined = undefined
  cwd: string | undefined = undefined
  paths: PathRecord[] = NO_PATHS
  saddr: string | undefined = undefined
  targets: ObjPidRecord[] = NO_TARGETS
  openat2Flags: number | undefined = undefined
  others: OtherRecord[] = NO_OTHERS
  records: AuditRecord[] = NO_RECORDS
  execve: ExecveRecord[] = NO_EXECVE
  hasEnd = false
  /** PATH records to come; -1 when no record has told. */
  items = -1
  /** Bits of `EXPECTS`: what should come, and what has. */
  expected = 0
  found = 0
  /** Whether it has its end mark and waits a little. */
  isEnding = false
  /** Whether it stands in the map of open events: only those that others have interrupted do. */
  isParked = false
  isFinished = false
  readonly id: EventId
  /** Number of the record that began it. */
  readonly since: number
  /** Offset in the stream of the line that began it. */
  readonly offset: number

  constructor(id: EventId, since: number, offset: number) {
    this.id = id
    this.since = since
    this.offset = offset
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
 * delay of an event are bounded by these numbers.
 */
export class Assembler {
  events = 0
  /** Open events that others have interrupted, by `keyOf` their ids, in the order in which they began. */
  private readonly parked = new Map<number, OpenEvent>()
  private current: OpenEvent | undefined
  /** Events that have their end mark and still wait, in the order of arrival. */
  private ending: { readonly event: OpenEvent; readonly until: number }[] = []
  private records = 0
  private nextCheck = GRACE_RECORDS
  private lateRecords = 0
  private incompleteEvents = 0
  /** Finished while an older event was open, with the offset of the line that finished them. */
  private finishedLately: Finished[] = []
  /** Finished before a restart, with the offset of the last of their lines met again since; infinite before that. */
  private readonly skipped = new Map<string, Finished>()
  private offset = 0
  private readonly finished = new FinishedIds()
  private readonly serials = new Map<string, SerialWatch>()
  private readonly options: AssemblerOptions

  constructor(options: AssemblerOptions) {
    this.options = options
  }

  /** Takes a record of event `id` whose line begins at `offset` of the stream. */
  add(id: EventId, record: AuditRecord, offset: number): void {
    this.records++
    this.offset = offset
    let event = this.current
    if (event?.id !== id) {
      event = this.find(id) ?? this.begin(id, record, offset)
      if (event === undefined) return
      this.current = event
    }
    this.take(event, record)
    if (this.records >= this.nextCheck) this.check()
  }

  /** Finishes every open event: for the end of the log, and for a live log on which nothing arrives any more. */
  flush(): void {
    this.giveUpOld(0)
  }

  get hasOpenEvents(): boolean {
    return this.current !== undefined || this.parked.size > 0
  }

  /**
   * Where a reader must start again to lose nothing: the line that began the oldest open event, or `end` when there is
   * none; with the events that have been finished since, or before the last restart, whose records it will meet again.
   */
  lowWater(end: number): LowWater {
    const [oldest] = this.parked.values()
    const offset = oldest?.offset ?? this.current?.offset ?? end
    this.forgetFinishedBefore(offset)
    const skipped = [...this.skipped.values()].filter((finished) => finished.offset >= offset)
    return { offset, finished: [...this.finishedLately, ...skipped].map(({ id }) => id) }
  }

  /** These events were finished before the restart: their records are not taken again. */
  skip(finished: readonly EventId[]): void {
    for (const id of finished) this.skipped.set(textOf(id), { id, offset: Number.POSITIVE_INFINITY })
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
    const event = this.parked.get(keyOf(id))
    return event !== undefined && isSameId(event.id, id) ? event : undefined
  }

  private park(event: OpenEvent): void {
    const key = keyOf(event.id)
    const other = this.parked.get(key)
    if (other !== undefined) this.finish(other)
    this.parked.set(key, event)
    event.isParked = true
  }

  /** Undefined when the id is that of an event already finished: the record came too late and is counted. */
  private begin(id: EventId, record: AuditRecord, offset: number): OpenEvent | undefined {
    this.current = undefined
    if (this.finished.has(id)) {
      // The stream of a plugin has both end marks, and the first of them has ended the event.
      if (!isNamed(record, 'EOE')) this.lateRecords++
      return undefined
    }
    if (this.skipped.size > 0 && this.isSkipped(id, record)) return undefined
    this.watchSerial(id, record)
    return new OpenEvent(id, this.records, offset)
  }

  private isSkipped(id: EventId, record: AuditRecord): boolean {
    const text = textOf(id)
    const finished = this.skipped.get(text)
    if (finished === undefined) return false
    if (finished.offset === Number.POSITIVE_INFINITY) this.watchSerial(id, record)
    this.skipped.set(text, { id: finished.id, offset: this.offset })
    return true
  }

  private take(event: OpenEvent, record: AuditRecord): void {
    if (this.options.keepsRecords) event.records = added(event.records, NO_RECORDS, record)
    switch (record.type) {
      case 'SYSCALL':
        event.syscall ??= record
        event.items = event.syscall.items
        event.expected = this.options.expects(event.syscall)
        break
      case 'PATH':
        event.paths = added(event.paths, NO_PATHS, record)
        break
      case 'EXECVE':
        event.execve = added(event.execve, NO_EXECVE, record)
        event.found |= EXPECTS.execve
        break
      case 'CWD':
        event.cwd ??= record.cwd
        event.found |= EXPECTS.cwd
        break
      case 'SOCKADDR':
        event.saddr ??= record.saddr
        event.found |= EXPECTS.sockaddr
        break
      case 'OBJ_PID':
        event.targets = added(event.targets, NO_TARGETS, record)
        event.found |= EXPECTS.target
        break
      case 'OPENAT2':
        event.openat2Flags ??= record.flags
        event.found |= EXPECTS.openat2
        break
      case 'OTHER':
        if (this.takeOther(event, record)) return
        break
    }
    if (event.hasEnd) this.finishIfComplete(event)
  }

  /** True when that finished the event. */
  private takeOther(event: OpenEvent, record: OtherRecord): boolean {
    const { name, body } = record
    if (name === 'PROCTITLE' || name === 'EOE') {
      event.hasEnd = true
      return false
    }
    if (body !== undefined) event.others = added(event.others, NO_OTHERS, record)
    if (name === 'URINGOP')
      event.items = Math.max(event.items, Number(/ items=(\d+)/.exec(body ?? '')?.[1] ?? 0))
    if (event.since !== this.records || !this.options.isAlone(name)) return false
    this.finish(event)
    return true
  }

  private finishIfComplete(event: OpenEvent): void {
    if (event.items < 0 || event.paths.length < event.items) return
    const isThere = (event.expected & ~event.found) === 0
    // A list of arguments that lacks some is joined once more only when its time is over.
    const isWhole = event.execve === NO_EXECVE || (!event.isEnding && this.hasWholeArgv(event))
    if (isThere && isWhole) this.finish(event)
    else if (!event.isEnding) {
      event.isEnding = true
      this.ending.push({ event, until: this.records + GRACE_RECORDS })
    }
  }

  private hasWholeArgv({ execve }: OpenEvent): boolean {
    return !joinArgv(execve, this.options.decodeHex).truncated
  }

  private check(): void {
    this.nextCheck = this.records + GRACE_RECORDS
    if (this.ending.length > 0) {
      for (const { event, until } of this.ending)
        if (until <= this.records && !event.isFinished) this.finish(event)
      this.ending = this.ending.filter(({ event }) => !event.isFinished)
    }
    this.giveUpOld(MOST_NEWER_RECORDS)
  }

  private giveUpOld(newerRecords: number): void {
    const oldest = this.records - newerRecords
    // By now every event has been passed that was finished while one was open at the restart.
    if (this.records > 2 * MOST_NEWER_RECORDS) this.skipped.clear()
    for (const event of this.parked.values()) {
      if (event.since > oldest) {
        if (this.finishedLately.length > 2 * MOST_NEWER_RECORDS) this.forgetFinishedBefore(event.offset)
        return
      }
      this.finish(event)
    }
    if (this.current !== undefined && this.current.since <= oldest) this.finish(this.current)
  }

  private forgetFinishedBefore(offset: number): void {
    this.finishedLately = this.finishedLately.filter((finished) => finished.offset >= offset)
  }

  private finish(event: OpenEvent): void {
    if (event.isParked) this.parked.delete(keyOf(event.id))
    if (this.current === event) this.current = undefined
    event.isFinished = true
    this.finished.add(event.id)
    if (this.hasOpenEvents) this.finishedLately.push({ id: event.id, offset: this.offset })
    else if (this.finishedLately.length > 0) this.finishedLately = []
    this.events++
    const { id, syscall, cwd, paths, saddr, targets, openat2Flags, others, records, execve } = event
    const complete = isComplete(event)
    if (!complete) this.incompleteEvents++
    if (!isInOrder(paths)) paths.sort((one, other) => one.item - other.item)
    const { argv, truncated } = execve === NO_EXECVE ? NO_ARGV : joinArgv(execve, this.options.decodeHex)
    this.options.emit(
      {
        id,
        syscall,
        argv,
        argvTruncated: truncated,
        cwd,
        paths,
        saddr,
        targets,
        openat2Flags,
        others,
        records,
        complete,
      },
      event.offset,
    )
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

const textOf = (id: EventId): string => `${id.timeMs}:${id.serial}:${id.node}`

const isSameId = (one: EventId, other: EventId): boolean =>
  one === other || (one.serial === other.serial && one.timeMs === other.timeMs && one.node === other.node)

/** All PATH records that were announced are there. Of what announces none, that it needs none. */
const isComplete = ({ items, paths, hasEnd }: OpenEvent): boolean =>
  items >= 0 ? paths.length >= items : paths === NO_PATHS && !hasEnd

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
