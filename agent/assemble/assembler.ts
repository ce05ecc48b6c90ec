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
import { joinArgv, type DecodeHex } from './argv.ts'

/** An event that still waits for records is given up after this many newer records; arrival decides, never the stamp. */
const MOST_NEWER_RECORDS = 4096
/** One event keeps at most this many PATH or EXECVE records. */
const MOST_RECORDS_OF_A_KIND = 4096
const FINISHED_SLOTS = 1 << 13
/** A serial further ahead than this is of another log, not behind a gap. */
const LARGEST_GAP = 1_000_000
const SERIALS = 2 ** 32

class OpenEvent {
  syscall: SyscallRecord | undefined
  execve: ExecveRecord[] | undefined
  paths: PathRecord[] | undefined
  targets: ObjPidRecord[] | undefined
  cwd: string | undefined
  saddr: string | undefined
  openat2Flags: number | undefined
  others: OtherRecord[] | undefined
  /** Every record, when they are kept. */
  records: AuditRecord[] | undefined
  hasEnd = false
  /** Work of io_uring, which has URINGOP in the place of SYSCALL. */
  isUring = false
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

/** Records whose events consist of just this record: nothing else with their id will come. */
const isAlone = (name: string): boolean =>
  !name.startsWith('PROCTITLE') &&
  (name.startsWith('USER_') || name.startsWith('DAEMON_') || name.startsWith('CRED_'))

/**
 * Joins records into events by (node, time, serial), whatever other events' records stand between them.
 *
 * An event is finished when its end mark (PROCTITLE, or EOE in a plugin's stream) and all PATH records that SYSCALL
 * announced are there, or when 4,096 newer records have come, or when `flush` is called because nothing arrives any
 * more. Stamps are never used for that: a blocking call is logged with the time at which it began, hours ago perhaps.
 * Both memory and the delay of an event are bounded by that number.
 */
export class Assembler {
  events = 0
  private readonly open = new Map<number, OpenEvent>()
  private current: OpenEvent | undefined
  private records = 0
  private lateRecords = 0
  private incompleteEvents = 0
  /** Finished while an older event was open, with the offset of the line that finished them. */
  private finishedLately: Finished[] = []
  /** Finished before a restart, with the offset of the last of their lines met again since; infinite before that. */
  private readonly skipped = new Map<string, Finished>()
  private offset = 0
  private readonly finishedIds = new Array<EventId | undefined>(FINISHED_SLOTS)
  private readonly serials = new Map<string, SerialWatch>()

  private readonly emit: (event: AuditEvent, offset: number) => void
  private readonly decodeHex: DecodeHex

  private readonly keepsRecords: boolean

  /** @param keepsRecords whether events carry every record, for those who show events */
  constructor(emit: (event: AuditEvent, offset: number) => void, decodeHex: DecodeHex, keepsRecords = false) {
    this.emit = emit
    this.decodeHex = decodeHex
    this.keepsRecords = keepsRecords
  }

  /** Takes a record whose line begins at `offset` of the stream. */
  add(record: AuditRecord, offset: number): void {
    this.records++
    this.offset = offset
    let event = this.current
    if (event?.id !== record.id) {
      event = this.find(record.id) ?? this.begin(record, offset)
      this.current = event
      if (event === undefined) return
    }
    this.take(event, record)
    if ((this.records & 63) === 0) this.giveUpOld(MOST_NEWER_RECORDS)
  }

  /** Finishes every open event: for the end of the log, and for a live log on which nothing arrives any more. */
  flush(): void {
    this.giveUpOld(0)
  }

  get hasOpenEvents(): boolean {
    return this.open.size > 0
  }

  /**
   * Where a reader must start again to lose nothing: the line that began the oldest open event, or `end` when there is
   * none; with the events that have been finished since, or before the last restart, whose records it will meet again.
   */
  lowWater(end: number): LowWater {
    const [oldest] = this.open.values()
    const offset = oldest?.offset ?? end
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

  private find(id: EventId): OpenEvent | undefined {
    const event = this.open.get(slotOf(id))
    return event !== undefined && isSameId(event.id, id) ? event : undefined
  }

  /** Undefined when the id is that of an event already finished: the record came too late and is counted. */
  private begin(record: AuditRecord, offset: number): OpenEvent | undefined {
    const { id } = record
    const finished = this.finishedIds[id.serial & (FINISHED_SLOTS - 1)]
    if (finished !== undefined && isSameId(finished, id)) {
      // The stream of a plugin has both end marks, and the first of them has ended the event.
      if (!isNamed(record, 'EOE')) this.lateRecords++
      return undefined
    }
    if (this.skipped.size > 0 && this.isSkipped(record)) return undefined
    const slot = slotOf(id)
    const other = this.open.get(slot)
    if (other !== undefined) this.finish(other, isComplete(other))
    const event = new OpenEvent(id, this.records, offset)
    this.open.set(slot, event)
    this.watchSerial(record)
    return event
  }

  private isSkipped(record: AuditRecord): boolean {
    const text = textOf(record.id)
    const finished = this.skipped.get(text)
    if (finished === undefined) return false
    if (finished.offset === Number.POSITIVE_INFINITY) this.watchSerial(record)
    this.skipped.set(text, { id: finished.id, offset: this.offset })
    return true
  }

  private take(event: OpenEvent, record: AuditRecord): void {
    if (this.keepsRecords) (event.records ??= []).push(record)
    switch (record.type) {
      case 'SYSCALL':
        event.syscall ??= record
        break
      case 'PATH':
        if ((event.paths ??= []).length < MOST_RECORDS_OF_A_KIND) event.paths.push(record)
        break
      case 'EXECVE':
        if ((event.execve ??= []).length < MOST_RECORDS_OF_A_KIND) event.execve.push(record)
        break
      case 'CWD':
        event.cwd ??= record.cwd
        return
      case 'SOCKADDR':
        event.saddr ??= record.saddr
        return
      case 'OBJ_PID':
        ;(event.targets ??= []).push(record)
        return
      case 'OPENAT2':
        event.openat2Flags ??= record.flags
        return
      case 'OTHER':
        if (record.name === 'PROCTITLE' || record.name === 'EOE') event.hasEnd = true
        else {
          if (record.name === 'URINGOP') event.isUring = true
          if (record.body !== undefined && (event.others ??= []).length < MOST_RECORDS_OF_A_KIND)
            event.others.push(record)
          if (event.since === this.records && isAlone(record.name)) this.finish(event, true)
          return
        }
        break
    }
    if (event.hasEnd && isComplete(event)) this.finish(event, true)
  }

  private giveUpOld(newerRecords: number): void {
    const oldest = this.records - newerRecords
    // By now every event has been passed that was finished while one was open at the restart.
    if (this.records > 2 * MOST_NEWER_RECORDS) this.skipped.clear()
    for (const event of this.open.values()) {
      if (event.since > oldest) {
        if (this.finishedLately.length > 2 * MOST_NEWER_RECORDS) this.forgetFinishedBefore(event.offset)
        return
      }
      this.finish(event, isComplete(event))
    }
  }

  private forgetFinishedBefore(offset: number): void {
    this.finishedLately = this.finishedLately.filter((finished) => finished.offset >= offset)
  }

  private finish(event: OpenEvent, complete: boolean): void {
    this.open.delete(slotOf(event.id))
    this.finishedIds[event.id.serial & (FINISHED_SLOTS - 1)] = event.id
    if (this.open.size > 0) this.finishedLately.push({ id: event.id, offset: this.offset })
    else if (this.finishedLately.length > 0) this.finishedLately = []
    this.events++
    if (!complete) this.incompleteEvents++
    if (this.current === event) this.current = undefined
    const argv = event.execve === undefined ? NO_ARGV : joinArgv(event.execve, this.decodeHex)
    const paths = event.paths ?? NO_PATHS
    this.emit(
      {
        id: event.id,
        syscall: event.syscall,
        argv: argv.argv,
        argvTruncated: argv.truncated,
        cwd: event.cwd,
        paths: isInOrder(paths) ? paths : [...paths].sort((one, other) => one.item - other.item),
        saddr: event.saddr,
        targets: event.targets ?? NO_TARGETS,
        openat2Flags: event.openat2Flags,
        others: event.others ?? NO_OTHERS,
        records: event.records ?? NO_RECORDS,
        complete,
      },
      event.offset,
    )
  }

  private watchSerial(record: AuditRecord): void {
    if (hasOwnCounter(record)) return
    const { id } = record
    let watch = this.serials.get(id.node)
    if (watch === undefined) {
      watch = new SerialWatch(id.serial)
      // Names of nodes come from the log: more of them than any site has are not watched.
      if (this.serials.size < 1024) this.serials.set(id.node, watch)
    } else watch.see(id.serial)
  }
}

/**
 * Counts the serial numbers of one node that never came, modulo 2^32. Those that come a little late are taken off again;
 * a serial far behind is the first of another boot.
 */
class SerialWatch {
  missing = 0
  private highest: number

  constructor(first: number) {
    this.highest = first
  }

  see(serial: number): void {
    const ahead = (serial - this.highest + SERIALS) % SERIALS
    if (ahead === 0) return
    if (ahead < LARGEST_GAP) {
      this.missing += ahead - 1
      this.highest = serial
    } else if (SERIALS - ahead <= MOST_NEWER_RECORDS) this.missing = Math.max(0, this.missing - 1)
    else this.highest = serial
  }
}

const NO_ARGV = { argv: [], truncated: false } as const
const NO_PATHS: readonly PathRecord[] = []
const NO_TARGETS: readonly ObjPidRecord[] = []
const NO_OTHERS: readonly OtherRecord[] = []
const NO_RECORDS: readonly AuditRecord[] = []

const isNamed = (record: AuditRecord, name: string): boolean =>
  record.type === 'OTHER' && record.name === name

/** auditd's own records have serials of a counter of their own (auditd.c seeds it with a random number). */
const hasOwnCounter = (record: AuditRecord): boolean =>
  record.type === 'OTHER' && record.name.startsWith('DAEMON_')

/**
 * One number for an id: the serial with 20 bits of time and node above it. Two open events that share it are as good as
 * impossible, and cost no more than that the older one is given up.
 */
function slotOf(id: EventId): number {
  let mixed = id.timeMs
  for (let index = 0; index < id.node.length; index++)
    mixed = (mixed * 31 + id.node.charCodeAt(index)) % 2 ** 40
  return id.serial + (mixed % 2 ** 20) * SERIALS
}

const textOf = (id: EventId): string => `${id.timeMs}:${id.serial}:${id.node}`

const isSameId = (one: EventId, other: EventId): boolean =>
  one === other || (one.serial === other.serial && one.timeMs === other.timeMs && one.node === other.node)

/** All PATH records that SYSCALL announced are there. Of what has no SYSCALL, that it needs none. */
function isComplete(event: OpenEvent): boolean {
  if (event.syscall !== undefined) return (event.paths?.length ?? 0) >= event.syscall.items
  return event.isUring || (event.paths === undefined && !event.hasEnd)
}

function isInOrder(paths: readonly PathRecord[]): boolean {
  for (let index = 1; index < paths.length; index++) {
    if ((paths[index - 1]?.item ?? 0) > (paths[index]?.item ?? 0)) return false
  }
  return true
}
