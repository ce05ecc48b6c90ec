import type { Baseline, UnseenNow } from './baseline/baseline.ts'
import type { KnownEdge } from './baseline/edge-book.ts'
import { type Claimant, Core } from './core.ts'
import { Schedule, type TrainingPlan } from './detect/schedule.ts'
import type { ProcessImage, World } from './domain/activity.ts'
import type { Chunk, LogPosition } from './domain/chunk.ts'
import type { Edge, FileAction } from './domain/edge.ts'
import type { AuditEvent } from './domain/event.ts'
import type { BlindReason, BlindSpot, Evidence, Finding, Report, Summary } from './domain/report.ts'
import type { SeenEdge } from './graph/edges.ts'
import { chainOf } from './graph/names.ts'
import { directoryOf, PathPatterns, printedPattern } from './graph/patterns.ts'
import { callName } from './interpret/calls.ts'
import { uringCallOf } from './interpret/uring.ts'

/** On a quiet host, how much of a training may be forgotten by a crash. */
const SAVE_TRAINING_MS = 10_000

/** Edges that need not be looked for again; all are forgotten together when there are more. */
const MOST_FOUND = 8192

/** Processes that may be reported in one window for forging lines: more would not be read. */
const MOST_FORGERS = 100

/** A host's clock that is this far behind the log's time has been set back. */
const SET_BACK_MS = 10_000

export interface EngineOptions {
  readonly baseline: Baseline
  readonly world: World
  readonly plan: TrainingPlan
  /** Length of a window, after which its unseen edges are reported. Milliseconds. */
  readonly monitorMs: number
  /** Whether what was reported becomes normal. */
  readonly rebase: boolean
  readonly emit: (report: Report) => void
  /** No stamp is believed beyond this time: the host's clock in a live agent, no limit in a replay. Milliseconds. */
  readonly latestMs: () => number
  /** Called when training ends. */
  readonly onTrained?: () => void
  /** What the agent itself writes, which would otherwise report itself: files in these places, by this process only. */
  readonly own?: { readonly pid: number; readonly places: readonly string[] }
  /** Log whose position is remembered in the baseline; undefined when the input cannot be read again. */
  readonly log?: string
}

/**
 * The agent without its inputs and outputs: chunks of a log in, reports out, the baseline in between.
 *
 * A live agent and a replay run the same engine; they differ in where chunks come from and in the world behind them.
 */
export class Engine {
  readonly core: Core
  private readonly options: EngineOptions
  private readonly schedule: Schedule
  private readonly patterns: PathPatterns
  private readonly chunks: { readonly offset: number; readonly at: LogPosition }[] = []
  private readonly blind: BlindSpots
  private readonly reportedBefore: number
  /** What the baseline has told of edges, as long as it is of this edition. */
  private readonly found = new Map<SeenEdge, KnownEdge>()
  /** The same of unseen edges, for one chunk: their evidence may hold all the arguments that a program can have. */
  private readonly unseen = new Map<SeenEdge, UnseenNow>()
  private edition = 0
  /** Chains of processes that were reported in this window for forging lines. */
  private readonly forgers = new Set<string>()
  private streamOffset = 0
  private firstMs: number | undefined
  private savedMs = Number.NEGATIVE_INFINITY
  private training: boolean

  constructor(options: EngineOptions) {
    this.options = options
    this.schedule = new Schedule(options.plan, options.monitorMs)
    this.training = options.plan.kind !== 'none'
    this.patterns = patternsOf(options.baseline)
    this.blind = new BlindSpots()
    this.reportedBefore = options.baseline.countReported()
    this.core = new Core(options.world, {
      onEvent: (event) => this.onEvent(event),
      onEdge: (seen, event) => this.onEdge(seen, event),
      onForgery: (event, actor, claimant) => this.onForgery(event, actor, claimant),
    })
    const checkpoint = options.log === undefined ? undefined : options.baseline.checkpoint(options.log)
    if (checkpoint !== undefined) this.core.skip(checkpoint.finished)
  }

  /** Takes the next bytes of the log: one chunk is one transaction. */
  ingest(chunk: Chunk): void {
    this.options.baseline.batch(() => {
      if (chunk.at !== undefined) this.chunks.push({ offset: this.streamOffset, at: chunk.at })
      this.streamOffset += chunk.bytes.length
      this.core.push(chunk.bytes)
      this.saveProgress()
    })
  }

  /**
   * Nothing has arrived for a while: waiting events are finished, and the time on the host's clock is the log's time.
   * Cheap to call often: on a quiet host nothing is written between the ends of two windows.
   */
  idle(nowMs: number): void {
    this.noticeClock(nowMs)
    const isLearning = this.training && nowMs - this.savedMs >= SAVE_TRAINING_MS
    if (!this.core.hasOpenEvents && !this.schedule.isDue(nowMs) && !isLearning) return
    this.options.baseline.batch(() => {
      this.core.flush()
      this.advance(nowMs)
      this.saveProgress()
    })
  }

  /** The input could not be read for a while. */
  wentBlind(spot: BlindSpot): void {
    this.options.emit(spot)
  }

  /** The input is at its end: what still waits is finished, reported and summed up. */
  end(): void {
    this.close(() => {
      this.core.end()
      // Training on everything is finished when everything has been read; one by time goes on at the next start.
      if (this.options.plan.kind === 'everything') this.finishTraining()
    })
    this.options.emit(this.summary())
  }

  /** The agent stops, the log goes on: what is half read stays in the log for the next start. */
  stop(): void {
    this.close(() => undefined)
    this.options.emit(this.summary())
  }

  private close(finish: () => void): void {
    this.options.baseline.batch(() => {
      finish()
      const { nowMs } = this.schedule
      this.saveProgress()
      if (nowMs === undefined) return
      if (!this.training) this.report(nowMs)
      this.reportBlindSpots(nowMs)
    })
  }

  summary(): Summary {
    const { losses } = this.core
    return {
      kind: 'summary',
      records: this.core.records,
      events: this.core.events,
      edges: this.options.baseline.countEdges(),
      unseen: this.options.baseline.countReported() - this.reportedBefore,
      unreadable: losses.unreadableLines,
      lost: losses.missingSerials,
      forged: this.core.forgedLines,
      elapsedMs: this.firstMs === undefined ? 0 : (this.schedule.nowMs ?? this.firstMs) - this.firstMs,
    }
  }

  /** Whether a training goes on. */
  get isTraining(): boolean {
    return this.training
  }

  /** When the training that goes on will end; undefined when there is none. */
  get trainingEndMs(): number | undefined {
    return this.training ? this.schedule.trainingEndMs : undefined
  }

  /** When the clock is set back, what was due then is due as much earlier: else the agent would be silent until then. */
  private noticeClock(nowMs: number): void {
    const before = this.schedule.nowMs
    if (before === undefined || nowMs >= before - SET_BACK_MS) return
    this.schedule.turnBack(nowMs)
    const detail = `the clock of the host was set back by ${Math.round((before - nowMs) / 1000)} s`
    this.options.emit({
      kind: 'blind-spot',
      reason: 'clock-set-back',
      fromMs: nowMs,
      toMs: nowMs,
      count: 0,
      detail,
    })
  }

  private onEvent(event: AuditEvent): void {
    this.advance(Math.min(event.id.timeMs, this.options.latestMs()))
  }

  private advance(timeMs: number): void {
    if (this.firstMs === undefined) {
      this.firstMs = timeMs
      this.schedule.advance(timeMs)
      if (this.training) this.options.baseline.beginTraining(timeMs, this.plannedMs(timeMs))
    } else this.schedule.advance(timeMs)
    if (this.training && this.schedule.isTrained) this.finishTraining()
    const windowEndMs = this.schedule.passedWindow()
    if (windowEndMs === undefined) return
    this.report(windowEndMs)
    this.reportBlindSpots(windowEndMs)
    this.forgers.clear()
  }

  private finishTraining(): void {
    this.training = false
    const { trainingEndMs = 0, nowMs = 0 } = this.schedule
    const endMs = Math.max(Math.min(trainingEndMs, nowMs), this.firstMs ?? 0)
    this.options.baseline.extendTraining(endMs, true)
    this.reportBlindSpots(endMs)
    this.options.onTrained?.()
  }

  private onEdge(seen: SeenEdge, event: AuditEvent): void {
    if (this.isOwn(seen, event)) return
    const { baseline } = this.options
    // What is dated later than the time now has a stamp that was not believed.
    const stampMs = Math.min(event.id.timeMs, this.schedule.nowMs ?? event.id.timeMs)
    if (this.edition !== baseline.edition || this.found.size > MOST_FOUND) {
      this.edition = baseline.edition
      this.found.clear()
      this.unseen.clear()
    }
    const known = this.found.get(seen)
    if (known !== undefined) {
      baseline.count(known, stampMs)
      return
    }
    const unseen = this.unseen.get(seen)
    if (unseen === undefined || this.schedule.isInTraining(stampMs)) this.meet(seen, event, stampMs)
    else baseline.countUnseen(unseen, stampMs)
  }

  /** Takes an edge that has not been met since the baseline changed. */
  private meet(seen: SeenEdge, event: AuditEvent, stampMs: number): void {
    const { baseline } = this.options
    const edge = this.covered(seen)
    if (this.schedule.isInTraining(stampMs)) {
      const isNew = baseline.learn(edge, stampMs)
      if (isNew && edge === seen.edge) this.learnPattern(edge, seen.filePath, stampMs)
      const known = baseline.edition === this.edition ? baseline.find(edge) : undefined
      if (known !== undefined) this.found.set(seen, known)
      return
    }
    const known = baseline.find(edge)
    if (known !== undefined) {
      baseline.count(known, stampMs)
      this.found.set(seen, known)
      return
    }
    const chain = [...chainOf(seen.source), edge.to]
    this.unseen.set(seen, baseline.sawUnseen({ edge, chain, firstMs: stampMs, evidence: evidenceOf(event) }))
  }

  /** Reported at once, and again in each window in which it goes on. */
  private onForgery(event: AuditEvent, actor: ProcessImage | undefined, claimant?: Claimant): void {
    const evidence = evidenceOf(event)
    const chain = actor === undefined ? [] : chainOf(actor)
    const key = chain.join('->')
    if (this.forgers.has(key) || this.forgers.size >= MOST_FORGERS) return
    this.forgers.add(key)
    this.options.emit({
      kind: 'tamper',
      reason: 'forged-lines',
      timeMs: event.id.timeMs,
      process: chain.at(-1) ?? '',
      chain,
      detail: 'an address of a socket holds newlines, to put lines into the audit log',
      evidence: claimant === undefined ? evidence : { ...evidence, pid: claimant.pid, auid: claimant.auid },
    })
  }

  private isOwn({ filePath }: SeenEdge, event: AuditEvent): boolean {
    const { own } = this.options
    if (own === undefined || filePath === undefined || event.syscall?.pid !== own.pid) return false
    return own.places.some((place) => filePath.startsWith(place))
  }

  /** The edge under the name that a learned pattern gives its file. */
  private covered({ edge, filePath }: SeenEdge): Edge {
    if (filePath === undefined) return edge
    const to = this.patterns.nameOf(edge.from, edge.kind as FileAction, filePath)
    return to === edge.to ? edge : { kind: edge.kind, from: edge.from, to }
  }

  private learnPattern(edge: Edge, filePath: string | undefined, timeMs: number): void {
    if (filePath === undefined) return
    const pattern = this.patterns.learn(edge.from, edge.kind as FileAction, filePath)
    if (pattern === undefined) return
    const printed = printedPattern(pattern)
    const regex = new RegExp(`^${pattern.path}$`)
    const stored = { ...pattern, printed, learnedMs: timeMs }
    this.options.baseline.addPattern(stored, (path) => regex.test(path), directoryOf(pattern.path))
    const { process, action, examples } = pattern
    this.options.emit({ kind: 'pattern', pattern: printed, process, action, examples })
  }

  private report(timeMs: number): void {
    const { baseline, rebase, emit } = this.options
    let found
    do {
      found = baseline.reportable()
      for (const { edge, chain, firstMs, evidence } of found) {
        const path = chain.join('->')
        emit({ kind: 'finding', timeMs: firstMs, edge, chain, path, evidence } satisfies Finding)
      }
      const ids = found.map(({ id }) => id)
      for (const edge of baseline.markReported(ids, timeMs, rebase))
        this.learnPattern(edge, filePathOf(edge), timeMs)
    } while (found.length > 0)
  }

  private plannedMs(startMs: number): number | undefined {
    const { trainingEndMs } = this.schedule
    return trainingEndMs === undefined || trainingEndMs === Number.POSITIVE_INFINITY
      ? undefined
      : Math.max(0, trainingEndMs - startMs)
  }

  private reportBlindSpots(timeMs: number): void {
    for (const spot of this.blind.since(this.core.losses, this.firstMs ?? timeMs, timeMs))
      this.options.emit(spot)
  }

  private saveProgress(): void {
    const { baseline, log } = this.options
    const { nowMs } = this.schedule
    this.savedMs = nowMs ?? this.savedMs
    this.unseen.clear()
    if (nowMs !== undefined && this.training) baseline.extendTraining(nowMs, false)
    const { offset, finished } = this.core.resumePoint
    // Chunks before the one that holds the resume point will never be needed again.
    while ((this.chunks[1]?.offset ?? Number.POSITIVE_INFINITY) <= offset) this.chunks.shift()
    const [first] = this.chunks
    if (log === undefined || first === undefined) return
    const position = { ...first.at, offset: first.at.offset + offset - first.offset }
    baseline.writeCheckpoint(log, { position, finished, clockMs: nowMs ?? 0 })
  }
}

/** Known patterns, and the files that may yet teach one. */
function patternsOf(baseline: Baseline): PathPatterns {
  const known = baseline.patterns()
  const patterns = new PathPatterns(known)
  const covered = new Set(known.map(({ process, action, path }) => `${process} ${action} ${path}`))
  for (const { process, action, path } of baseline.recentFileEdges()) {
    if (!covered.has(`${process} ${action} ${path}`)) patterns.remember(process, action, path)
  }
  return patterns
}

function filePathOf(edge: Edge): string | undefined {
  const prefix = `file:${edge.kind}:`
  return edge.to.startsWith(prefix) ? edge.to.slice(prefix.length) : undefined
}

function evidenceOf(event: AuditEvent): Evidence {
  const { id, argv } = event
  const uring = event.syscall === undefined ? uringCallOf(event) : undefined
  const syscall = event.syscall ?? uring?.syscall
  return {
    node: id.node,
    serial: id.serial,
    syscall: uring?.name ?? (syscall === undefined ? '' : callName(syscall.arch, syscall.syscall)),
    pid: syscall?.pid ?? -1,
    ppid: syscall?.ppid ?? -1,
    auid: syscall?.auid ?? -1,
    comm: syscall?.comm ?? '',
    argv,
    count: 1,
  }
}

type Losses = Core['losses']

const BLIND_SPOTS: readonly { counter: keyof Losses; reason: BlindReason; detail: string }[] = [
  { counter: 'unreadableLines', reason: 'unreadable-line', detail: 'lines that are no audit records' },
  { counter: 'tornLines', reason: 'unreadable-line', detail: 'records that began in the middle of a line' },
  {
    counter: 'incompleteEvents',
    reason: 'incomplete-event',
    detail: 'events whose announced records never came',
  },
  {
    counter: 'lateRecords',
    reason: 'late-record',
    detail: 'records that came after their event was finished',
  },
  { counter: 'missingSerials', reason: 'serial-gap', detail: 'serial numbers that no record bears' },
]

/** Turns counters that only grow into what was not seen since the last time. */
class BlindSpots {
  private reported: Partial<Record<keyof Losses, number>> = {}
  private fromMs: number | undefined

  since(losses: Losses, firstMs: number, toMs: number): BlindSpot[] {
    const fromMs = this.fromMs ?? firstMs
    const spots = BLIND_SPOTS.map(({ counter, reason, detail }) => ({
      kind: 'blind-spot' as const,
      reason,
      fromMs,
      toMs,
      count: losses[counter] - (this.reported[counter] ?? 0),
      detail,
    }))
    this.reported = losses
    this.fromMs = toMs
    return spots.filter(({ count }) => count > 0)
  }
}
