import type { Kept } from './baseline/kept.ts'
import type { Core, ResumePoint } from './core.ts'
import type { CoverageState, CoverageWatch } from './detect/coverage.ts'
import type { Schedule, ScheduleState } from './detect/schedule.ts'
import type { Chunk, LogPosition } from './domain/chunk.ts'
import type { Coverage } from './domain/report.ts'
import type { Findings } from './findings.ts'
import type { Naming } from './naming.ts'
import type { RaisedIncidents } from './raised.ts'
import type { TamperWatch, TamperWatchState } from './tamper-watch.ts'

/** Name of this host in the state. */
const HOME = ''
const NO_BYTES = Buffer.alloc(0)
/** Where bytes are from that cannot be read again. */
const NOWHERE: LogPosition = { path: '-', inode: 0, fingerprint: '', offset: 0 }
/** Where a reader begins that has read nothing. */
const ANEW: ResumePoint = { offset: 0, finished: [], seenBytes: 0 }

interface KeptChunk {
  /** Of its first byte among all that were ingested. */
  readonly offset: number
  readonly at: LogPosition | undefined
  /** Empty when they can be read again. */
  readonly bytes: Buffer
}

/** What is kept of an engine besides its parts. */
export interface EngineMoment {
  /** When the window began that goes on; undefined before the first event. */
  readonly windowMs: number | undefined
  /** The boot that the processes are of; undefined in a replay. */
  readonly bootId: string | undefined
}

/** What is kept besides the state of the core. */
interface EngineState extends TamperWatchState {
  readonly schedule: ScheduleState
  readonly coverage: CoverageState
  readonly windowMs: number
  readonly seenBytes: number
  /** The boot that the processes are of; null in a replay. */
  readonly bootId: string | null
}

/** What has a state that is kept. */
export interface ProgressParts {
  readonly core: Core
  readonly schedule: Schedule
  readonly coverage: CoverageWatch
  readonly tamper: TamperWatch
  readonly naming: Naming
  readonly findings: Findings
  readonly raised: RaisedIncidents
}

/** How far an engine has come in its log, and everything that another one needs to go on there. */
export class Progress {
  private readonly parts: ProgressParts
  private readonly kept: Kept
  /** Name under which all is kept; undefined when nothing is. */
  private readonly log: string | undefined
  /** Another log with the same records, whose state is as good. */
  private readonly twin: string | undefined
  private readonly chunks: KeptChunk[] = []
  private streamOffset = 0
  /** Where the oldest event begins that was not finished when the last transaction was written. */
  private savedOffset = 0
  /** Where the first bytes should come from. */
  private resumedAt: LogPosition | undefined
  private drained = ''

  constructor(kept: Kept, log: string | undefined, twin: string | undefined, parts: ProgressParts) {
    this.kept = kept
    this.log = log
    this.twin = twin
    this.parts = parts
  }

  /**
   * Bytes come. Belongs before the transaction, which may not even begin: what is kept must be complete.
   * @param continuesStream whether bytes without a position go on where those of an engine before this one ended
   */
  take({ at, bytes }: Chunk, continuesStream: boolean): void {
    const isKept = at === undefined && this.log !== undefined
    this.chunks.push({ offset: this.streamOffset, at, bytes: isKept ? bytes : NO_BYTES })
    if (this.streamOffset === 0) this.noteFirst(at, continuesStream)
    this.streamOffset += bytes.length
  }

  /** The transaction is written: all before this place, which `save` has told, will never be needed again. */
  wasSaved(offset: number): void {
    this.savedOffset = offset
    while ((this.chunks[1]?.offset ?? Number.POSITIVE_INFINITY) <= offset) this.chunks.shift()
  }

  /** Bytes since the beginning of the oldest event that is not finished, which nobody can read again. */
  get unsaved(): readonly Buffer[] {
    return this.chunks
      .map(({ offset, bytes }) => bytes.subarray(Math.max(0, this.savedOffset - offset)))
      .filter(({ length }) => length > 0)
  }

  /**
   * Everything that is needed to go on behind this batch. Belongs into its transaction.
   * @returns where reading must begin again
   */
  save(moment: EngineMoment): number {
    const { core, schedule } = this.parts
    const point = core.resumePoint
    if (this.log === undefined) return point.offset
    const holding = this.chunks.findLast(({ offset }) => offset <= point.offset)
    if (holding !== undefined) {
      const at = holding.at ?? NOWHERE
      const position = { ...at, offset: at.offset + point.offset - holding.offset }
      const clockMs = schedule.nowMs ?? 0
      this.kept.writeCheckpoint(this.log, { position, finished: point.finished, clockMs })
    }
    this.saveState(this.log, point, moment)
    return point.offset
  }

  /** Goes on where another run on this log stopped; undefined if there was none. */
  resume(): EngineMoment | undefined {
    const { kept, log } = this
    if (log === undefined) return undefined
    const { core, coverage, findings, raised, schedule, tamper } = this.parts
    const { states } = kept
    const read = states.of(HOME)
    const [last] = read('schedule')
    const checkpoint = kept.checkpoint(log)
    this.resumedAt = checkpoint?.position
    if (last === undefined || (last.key !== log && last.key !== this.twin)) {
      kept.forgetStates()
      // An agent of an earlier release knew only where it was.
      if (checkpoint !== undefined) core.resume({ ...ANEW, finished: checkpoint.finished })
      return undefined
    }
    const state = last.value as EngineState
    core.restore(states)
    if (checkpoint !== undefined)
      core.resume({ offset: 0, finished: checkpoint.finished, seenBytes: state.seenBytes })
    schedule.resume(state.schedule)
    const [known] = read('coverage')
    coverage.resume(state.coverage, known?.value as Coverage)
    tamper.resume(state)
    findings.restore(read)
    raised.restore(read)
    return { windowMs: state.windowMs, bootId: state.bootId ?? undefined }
  }

  /** What was read before is read again only when the first bytes are those that should come. */
  private noteFirst(at: LogPosition | undefined, continuesStream: boolean): void {
    const { resumedAt } = this
    if (resumedAt === undefined) return
    const isNext =
      at === undefined
        ? continuesStream
        : at.offset === resumedAt.offset && at.fingerprint === resumedAt.fingerprint
    if (!isNext) this.parts.core.resume(ANEW)
  }

  private saveState(log: string, { seenBytes }: ResumePoint, { windowMs, bootId }: EngineMoment): void {
    const { core, coverage, findings, naming, raised, tamper } = this.parts
    const { writer } = this.kept
    core.drain(writer)
    const home = writer.of(HOME)
    naming.drain(home)
    findings.drain(home)
    raised.drain(home)
    const schedule = this.parts.schedule.memory
    if (schedule === undefined) return
    const state: EngineState = {
      schedule,
      coverage: coverage.memory,
      windowMs: windowMs ?? schedule[0],
      ...tamper.memory,
      seenBytes,
      bootId: bootId ?? null,
    }
    const seen = coverage.at(schedule[0])
    const text = JSON.stringify([state, seen])
    if (text === this.drained) return
    this.drained = text
    home.put('schedule', log, state)
    home.put('coverage', '', seen)
  }
}
