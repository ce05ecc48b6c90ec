import { Alerting } from './alerting.ts'
import type { Baseline } from './baseline/baseline.ts'
import type { KnownEdge } from './baseline/edge-book.ts'
import { LIFE_SPAN, type LifeSpan } from './baseline/life.ts'
import { type Claimant, Core, type CoreSink, type ResumePoint } from './core.ts'
import { CoverageWatch, type CoverageState } from './detect/coverage.ts'
import { learningOf } from './detect/learning.ts'
import { neverLearned, setsUserId } from './detect/never-learn.ts'
import { AgentRuns, type RunsState } from './detect/runs.ts'
import { Schedule, type ScheduleState, type TrainingPlan } from './detect/schedule.ts'
import { type GuardedPlaces, tamperOfFile, TamperSigns } from './detect/tamper.ts'
import { Tampering, type TamperingState } from './detect/tampering.ts'
import type { FoundProcess, ProcessImage, World } from './domain/activity.ts'
import type { HostLook } from './domain/alert.ts'
import type { Chunk, LogPosition } from './domain/chunk.ts'
import { type Edge, prefixOf } from './domain/edge.ts'
import type { AuditEvent } from './domain/event.ts'
import type {
  BlindSpot,
  Coverage,
  EdgeMark,
  Report,
  Severity,
  Summary,
  Tamper,
  TamperReason,
} from './domain/report.ts'
import { evidenceOf, Findings } from './findings.ts'
import type { SeenEdge } from './graph/edges.ts'
import { chainOf } from './graph/names.ts'
import { callName } from './interpret/calls.ts'
import { attackOn } from './interpret/signals.ts'
import { Naming } from './naming.ts'
import type { NetworkNames } from './peers/networks.ts'
import type { NameSource, ResolvedName } from './peers/resolved.ts'
import { Outbox, type Printers } from './outbox.ts'
import type { Boot } from './support/procfs.ts'
import type { KernelNews } from './watch/kernel-judge.ts'

/** On a quiet host, how much of a training may be forgotten by a crash. */
const SAVE_TRAINING_MS = 10_000

/** Edges that need not be looked for again; all are forgotten together when there are more. */
const MOST_FOUND = 8192

/** The stamp of an event may be this much older than an answer of DNS that came before it. */
const COARSE_MS = 10

/** What is loaded in this time behind a boot, by nobody who has logged in, is how the host is set up. */
const BOOTING_MS = 120_000
const NOBODY = 0xffffffff

/** What the agent asks the kernel with, and listens to DNS with, wherever a host has it: see support/command.ts. */
const OWN_TOOLS = /^(?:\/usr)?\/s?bin\/(?:auditctl|tcpdump)$/

const DAY_MS = 86_400_000

/** A host's clock that is this far behind the log's time has been set back. */
const SET_BACK_MS = 10_000

/** Name of this host in the state. */
const HOME = ''
const NO_BYTES = Buffer.alloc(0)
const NONE: ReadonlySet<number> = new Set()
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

/** What is kept besides the state of the core. */
interface EngineState {
  readonly schedule: ScheduleState
  readonly coverage: CoverageState
  readonly windowMs: number
  readonly tampered: TamperingState
  readonly seenBytes: number
  /** The boot that the processes are of; null in a replay. */
  readonly bootId: string | null
}

export interface EngineOptions extends Printers {
  readonly baseline: Baseline
  readonly world: World
  readonly plan: TrainingPlan
  /** Length of a window, after which its unseen edges are reported. Milliseconds. */
  readonly monitorMs: number
  /** Whether what was reported becomes normal. */
  readonly rebase: boolean
  /** Whether to learn also from windows in which something was not seen. */
  readonly learnDegraded?: boolean
  /** Incidents that are to be reported on a day, but for those that are surely bad: see budget.ts. */
  readonly alertsPerDay: number
  /** Gravity from which an incident opens an alert; nothing opens one without it. */
  readonly alertsFrom?: Severity
  /** When an edge that is not seen any more grows old; LIFE_SPAN without it. */
  readonly lifeSpan?: LifeSpan
  /** No stamp is believed beyond this time: the host's clock in a live agent, no limit in a replay. Milliseconds. */
  readonly latestMs: () => number
  /** Whether the training ends as soon as enough was learned. */
  readonly untilStable?: boolean
  /** Called when training ends. `unlearned`: edges of windows that were not seen whole. */
  readonly onTrained?: (unlearned: number) => void
  /** The agent itself, in a live agent. */
  readonly own?: {
    readonly pid: number
    readonly boot: Boot
    /** What would otherwise report itself, when this process changes it; when another one does, that is tampering. */
    readonly places: GuardedPlaces
    /** Told of each exec by its pid: whether the agent itself started that program to ask the kernel. */
    readonly sawExec: (pid: number) => boolean
  }
  /** Name under which everything that is needed to go on is kept in the baseline; undefined when nothing is to be kept. */
  readonly log?: string
  /** Where names of hosts come from. */
  readonly names?: NameSource
  /** Networks that have a name in the configuration. */
  readonly networks?: NetworkNames
  /** Whether bytes without a position go on where those of an engine before this one ended. */
  readonly continuesStream?: boolean
}

/**
 * The agent without its inputs and outputs: chunks of a log in, reports out, the baseline in between.
 *
 * A live agent and a replay run the same engine; they differ in where chunks come from and in the world behind them.
 */
export class Engine {
  readonly core: Core
  /** Whether it goes on where another one stopped. */
  readonly isResumed: boolean
  private readonly options: EngineOptions
  private readonly schedule: Schedule
  private readonly naming: Naming
  private readonly findings: Findings
  private readonly chunks: KeptChunk[] = []
  private readonly coverage = new CoverageWatch()
  private readonly reportedBefore: number
  /** What the baseline has told of edges, as long as it is of this edition. */
  private readonly found = new Map<SeenEdge, KnownEdge>()
  private edition = 0
  private readonly tampering = new Tampering()
  private readonly alerting: Alerting | undefined
  private readonly outbox: Outbox
  private streamOffset = 0
  /** Where the oldest event begins that was not finished when the last transaction was written. */
  private savedOffset = 0
  private firstMs: number | undefined
  private savedMs = Number.NEGATIVE_INFINITY
  private training: boolean
  /** Of the log's time, since 1970. */
  private day: number | undefined
  /** When the window began that goes on; undefined before the first event. */
  private windowMs: number | undefined
  /** Edges that were learned in windows of the training that were not seen whole, and forgotten again. */
  private unlearned = 0
  private headBefore: string
  private readonly runs: AgentRuns | undefined
  /** Processes of this boot, until the log comes to it. */
  private booted: readonly FoundProcess[] | undefined
  /** The boot that the processes are of. */
  private bootId: string | undefined
  /** Whether it was said that no answer of DNS is believed. */
  private hasSaidNobody = false
  private isOwnChild = false
  private readonly signs = new TamperSigns()
  private kernelMemory = ''
  /** Where the first bytes should come from. */
  private resumedAt: LogPosition | undefined
  private drained = ''
  /** What was lost before this run. */
  private readonly lossesBefore: Core['losses']

  constructor(options: EngineOptions) {
    const { alertsFrom, alertsPerDay, baseline, log, own, plan, monitorMs, world } = options
    this.options = options
    this.schedule = new Schedule(plan, monitorMs)
    this.training = plan.kind !== 'none'
    this.reportedBefore = baseline.findings.countReported()
    this.headBefore = baseline.head
    this.runs = own && new AgentRuns(own.pid, own.boot.id)
    this.alerting = alertsFrom && new Alerting(baseline.alerts, alertsFrom)
    this.outbox = new Outbox(baseline, options)
    const sink: CoreSink = {
      onEvent: (event) => this.onEvent(event),
      onEdge: (seen, event) => this.onEdge(seen, event),
      onForgery: (event, actor, claimant) => this.onForgery(event, actor, claimant),
      onDone: (event, actor) => this.noteSigns(event, actor),
    }
    this.core = new Core(world, sink, { tracksChanges: log !== undefined })
    this.findings = new Findings(baseline, this.core, alertsPerDay, world)
    const isOwned = (path: string): boolean => this.findings.isOwned(path)
    this.naming = new Naming(baseline, log !== undefined, options.networks, isOwned)
    this.isResumed = log !== undefined && this.resume(log)
    if (!this.isResumed) this.bootId = own?.boot.id
    this.lossesBefore = this.core.losses
  }

  /** Takes the next bytes of the log: one chunk is one transaction. */
  ingest(chunk: Chunk): void {
    const { at, bytes } = chunk
    const isKept = at === undefined && this.options.log !== undefined
    // Before the transaction, which may not even begin: what is kept must be complete.
    this.chunks.push({ offset: this.streamOffset, at, bytes: isKept ? bytes : NO_BYTES })
    if (this.streamOffset === 0) this.noteFirst(chunk)
    this.streamOffset += bytes.length
    this.batch(() => this.core.push(bytes))
  }

  /** What was read before is read again only when the first bytes are those that should come. */
  private noteFirst({ at }: Chunk): void {
    const { resumedAt } = this
    if (resumedAt === undefined) return
    const isNext =
      at === undefined
        ? this.options.continuesStream === true
        : at.offset === resumedAt.offset && at.fingerprint === resumedAt.fingerprint
    if (!isNext) this.core.resume(ANEW)
  }

  /**
   * Nothing has arrived for a while: waiting events are finished, and the time on the host's clock is the log's time.
   * Cheap to call often: on a quiet host nothing is written between the ends of two windows.
   */
  idle(nowMs: number): void {
    this.guardBaseline(nowMs)
    this.noteClock(nowMs)
    const isLearning = this.training && nowMs - this.savedMs >= SAVE_TRAINING_MS
    if (!this.core.hasOpenEvents && !this.schedule.isDue(nowMs) && !isLearning) return
    this.batch(() => {
      this.core.flush()
      this.advance(nowMs)
    })
  }

  /** Something could not be seen. `isStanding`: it has been so since before the training, which goes on with it. */
  wentBlind(spot: BlindSpot, isStanding = false): void {
    this.batch(() => {
      this.coverage.note(spot, isStanding)
      this.post(spot)
    })
  }

  /** The kernel was looked at. `memory` is kept under `kernel`. */
  heardOfKernel(news: readonly KernelNews[], memory: unknown): void {
    const text = JSON.stringify(memory)
    if (news.length === 0 && text === this.kernelMemory) return
    this.kernelMemory = text
    this.batch(() => {
      for (const { report, isStanding } of news) {
        this.coverage.note(report, isStanding)
        this.post(report)
      }
      this.options.baseline.kept.remember('kernel', memory)
    })
  }

  /** The host was looked at. */
  heardOfHost(looks: readonly HostLook[], nowMs: number): void {
    const { alerting } = this
    if (alerting === undefined) return
    this.batch(() => {
      for (const alert of alerting.look(looks, nowMs)) this.post(alert)
    })
  }

  /**
   * The agent begins its work: what became of the one before it, and of the baseline.
   * @param found the processes of this host now
   */
  begin(nowMs: number, found: readonly FoundProcess[]): void {
    this.batch(() => {
      this.noteRun(nowMs)
      this.noteJournal(nowMs)
      if (!this.isResumed) this.core.processes.seed(found)
      else if (this.bootId !== this.options.own?.boot.id) this.booted = found
    })
    // One that goes on is at the time of the log, and that of the host comes when the log is read.
    if (!this.isResumed) this.idle(nowMs)
  }

  /** Somebody worked against the agent, as the log does not tell. */
  wasTampered(tamper: Tamper): void {
    if (!this.tampering.isAsBefore(tamper)) this.batch(() => this.noteTamper(tamper))
  }

  private noteTamper(tamper: Tamper): void {
    if (this.tampering.isFirst(tamper)) this.post(tamper)
  }

  /** Bytes since the beginning of the oldest event that is not finished, which nobody can read again. */
  get unsaved(): readonly Buffer[] {
    return this.chunks
      .map(({ offset, bytes }) => bytes.subarray(Math.max(0, this.savedOffset - offset)))
      .filter(({ length }) => length > 0)
  }

  /** The input is at its end: what still waits is finished, reported and summed up. */
  end(): void {
    this.batch(() => {
      this.endRun(this.options.latestMs())
      this.core.end()
      this.closeWindow(this.schedule.nowMs, true)
      // Training on everything is finished when everything has been read; one by time goes on at the next start.
      if (this.training && this.options.plan.kind === 'everything') this.finishTraining()
    })
    this.options.emit(this.summary())
  }

  /**
   * The agent stops, the log goes on: what is half read stays in the log for the next start.
   * @param why is reported, when it is somebody's will
   */
  stop(why?: string): void {
    this.batch(() => {
      const nowMs = this.options.latestMs()
      if (why !== undefined) this.post(tamperOf('agent-stopped', nowMs, why))
      this.endRun(nowMs)
      if (!this.training || this.options.log === undefined) this.closeWindow(this.schedule.nowMs)
      // The window goes on at the next start, but what was learned in it is not kept waiting.
      else this.settle(this.isWhole, this.schedule.nowMs ?? nowMs)
    })
    this.options.emit(this.summary())
  }

  /** The same, to go on at once: windows stay open. */
  pause(): void {
    this.batch(() => undefined)
  }

  /** Prints what an earlier run has decided to report, and perhaps has not. */
  deliverAgain(): void {
    this.outbox.deliverAgain()
  }

  /** Prints what a reader who stalled could not take before. */
  deliver(): void {
    this.outbox.deliver()
  }

  /** Does `work` in one transaction, with all that is needed to go on behind it, and then prints what it reported. */
  private batch(work: () => void): void {
    const { baseline } = this.options
    this.savedOffset = baseline.batch((othersWrote) => {
      if (othersWrote) this.noteWriting()
      work()
      // What is stamped before the end of the training but came behind it waits for no window any more.
      if (!this.training) this.settle(this.isWhole, this.schedule.nowMs ?? 0)
      return this.saveProgress()
    })
    // Chunks before the one that holds this place will never be needed again.
    while ((this.chunks[1]?.offset ?? Number.POSITIVE_INFINITY) <= this.savedOffset) this.chunks.shift()
    this.headBefore = baseline.head
    this.outbox.deliver()
  }

  private post(report: Exclude<Report, Summary>): void {
    const { baseline, emit, log } = this.options
    if (report.kind === 'incident' || report.kind === 'tamper') this.alerting?.take(report)
    const { head } = baseline
    const stamped = head === '' ? report : { ...report, head }
    if (log === undefined) emit(stamped)
    else this.outbox.post(stamped)
  }

  /** The time that the log has come to; undefined before the first event. Unix time in milliseconds. */
  get nowMs(): number | undefined {
    return this.schedule.nowMs
  }

  summary(): Summary {
    const { losses } = this.core
    const { baseline, names } = this.options
    const { head } = baseline
    return {
      kind: 'summary',
      records: this.core.records,
      events: this.core.events,
      edges: this.options.baseline.edges.countEdges(),
      unseen: this.options.baseline.findings.countReported() - this.reportedBefore,
      incidents: this.findings.incidents,
      withheld: this.findings.withheld,
      unreadable: losses.unreadableLines - this.lossesBefore.unreadableLines,
      lost: losses.missingSerials - this.lossesBefore.missingSerials,
      forged: this.core.forgedLines,
      ...(names === undefined ? {} : { dns: { ...this.naming.heardOfDns, unread: names.unread } }),
      elapsedMs: this.firstMs === undefined ? 0 : (this.schedule.nowMs ?? this.firstMs) - this.firstMs,
      coverage: this.coverage.hasMissed ? 'degraded' : 'complete',
      ...(head === '' ? {} : { head }),
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

  /** Cheap enough for every idle moment. */
  private guardBaseline(nowMs: number): void {
    const { baseline, log } = this.options
    if (log === undefined) return
    if (baseline.wasWritten) this.batch(() => undefined)
    if (!baseline.isInPlace)
      this.wasTampered(
        tamperOf('own-files', nowMs, 'the baseline was removed, or another file is in its place'),
      )
  }

  /** The host's clock is at `nowMs`. To be told also when much arrives: one that was set back silences the agent. */
  noteClock(nowMs: number): void {
    const before = this.schedule.nowMs
    if (before !== undefined && nowMs < before - SET_BACK_MS) this.batch(() => this.turnBack(nowMs))
  }

  /** What was due when the clock was set back is due as much earlier. */
  private turnBack(nowMs: number): void {
    const seconds = Math.round(((this.schedule.nowMs ?? nowMs) - nowMs) / 1000)
    this.schedule.turnBack(nowMs)
    const spot: BlindSpot = {
      kind: 'blind-spot',
      reason: 'clock-set-back',
      fromMs: nowMs,
      toMs: nowMs,
      count: 0,
      detail: `the clock of the host was set back by ${seconds} s`,
    }
    this.coverage.note(spot)
    this.post(spot)
  }

  private noteRun(nowMs: number): void {
    const { baseline } = this.options
    if (this.runs === undefined) return
    const news = this.runs.begin((baseline.kept.memory('agents') ?? []) as RunsState, nowMs)
    baseline.kept.remember('agents', this.runs.memory)
    if (news !== undefined) this.post(tamperOf('agent-stopped', nowMs, news))
  }

  private endRun(nowMs: number): void {
    if (this.runs !== undefined) this.options.baseline.kept.remember('agents', this.runs.endedAt(nowMs))
  }

  /** Another process has written to the baseline. `baseline import` says so in the journal. */
  private noteWriting(): void {
    this.naming.reload()
    const { baseline, latestMs, log } = this.options
    if (log === undefined) return
    const timeMs = latestMs()
    if (baseline.head === this.headBefore)
      this.post(
        tamperOf(
          'own-files',
          timeMs,
          'another process wrote to the baseline, and the journal does not say what',
        ),
      )
    this.noteJournal(timeMs)
  }

  private noteJournal(timeMs: number): void {
    if (this.options.log === undefined) return
    const { problem } = this.options.baseline.verify()
    if (problem !== undefined) this.post(tamperOf('journal-broken', timeMs, problem.reason))
  }

  private readonly heardName = (name: ResolvedName): void => {
    this.naming.heard(name, this.training)
    if (this.hasSaidNobody || !this.naming.believesNobody) return
    this.hasSaidNobody = true
    this.post(unbelieved(name))
  }

  private onEvent(event: AuditEvent): void {
    const { own, latestMs } = this.options
    if (this.booted !== undefined && event.id.timeMs >= (own?.boot.startMs ?? 0)) {
      this.core.processes.forgetAll()
      this.core.processes.seed(this.booted)
      this.booted = undefined
      this.bootId = own?.boot.id
    }
    this.advance(Math.min(event.id.timeMs, latestMs()))
    this.isOwnChild = this.isByOwnChild(event)
    if (this.isOwnChild && event.argv.length > 0) own?.sawExec(event.syscall?.pid ?? -1)
  }

  private noteSigns(event: AuditEvent, actor: ProcessImage | undefined): void {
    if (this.isOwnChild) return
    const attack = event.targets.length === 0 ? undefined : attackOn(event, this.pidsAt(event.id.timeMs))
    if (attack !== undefined) this.onTamper('agent-signalled', attack, event, actor)
    for (const { reason, detail, by } of this.signs.of(event)) {
      const evidence = evidenceOf(event)
      if (this.isRoutine(reason, event.id.timeMs, evidence.auid)) continue
      this.onTamper(reason, detail, event, actor, by === undefined ? evidence : { ...evidence, ...by })
    }
  }

  /** What happens at each boot: rules and settings are loaded, of which the watch over the kernel tells whether they are right. */
  private isRoutine(reason: TamperReason, timeMs: number, auid: number): boolean {
    const { own } = this.options
    if (own === undefined) return false
    // Reported by the agent itself when it stopped.
    if (reason === 'agent-stopped') return this.runs?.hasStoppedAt(timeMs) === true
    if (reason !== 'rules-changed' && reason !== 'audit-changed') return false
    const sinceMs = timeMs - own.boot.startMs
    return auid === NOBODY && sinceMs >= 0 && sinceMs < BOOTING_MS
  }

  private advance(timeMs: number): void {
    this.schedule.advance(timeMs)
    if (this.firstMs === undefined) this.beginAt(timeMs)
    for (
      let endMs = this.schedule.passedWindow();
      endMs !== undefined;
      endMs = this.schedule.passedWindow()
    ) {
      this.closeWindow(endMs)
      if (this.training && endMs >= (this.schedule.trainingEndMs ?? endMs)) this.finishTraining()
    }
    if (this.training && this.schedule.isTrained) this.finishTraining()
    this.options.names?.takeUntil(timeMs + COARSE_MS, this.heardName)
  }

  private beginAt(timeMs: number): void {
    const { baseline } = this.options
    this.firstMs = timeMs
    this.windowMs ??= timeMs
    this.turnDay(timeMs)
    if (!this.training) return
    if (this.isResumed && baseline.trainings.all().at(-1)?.finished === false) baseline.trainings.resume()
    else baseline.trainings.begin(timeMs, this.plannedMs(timeMs))
  }

  /** What the window showed is reported, or learned for good, if all of it was seen. */
  private closeWindow(endMs: number | undefined, isLast = false): void {
    if (endMs === undefined) return
    const missed = this.coverage.missed(
      { ...this.core.losses, shedAddresses: this.naming.shedAddresses },
      this.windowMs ?? endMs,
      endMs,
    )
    if (this.training) this.settle(this.isWhole, endMs)
    this.report(endMs, this.isWhole, isLast)
    this.turnDay(endMs)
    for (const spot of missed) this.post(spot)
    for (const tamper of this.tampering.end(endMs)) this.post(tamper)
    this.coverage.beginWindow()
    this.windowMs = endMs
    if (this.training && this.options.untilStable === true && this.hasLearnedEnough(endMs)) {
      this.schedule.endTraining()
      this.finishTraining()
    }
  }

  private hasLearnedEnough(timeMs: number): boolean {
    const { baseline } = this.options
    baseline.trainings.extend(timeMs, false)
    const learned = baseline.trainings.learned()
    return learned !== undefined && learningOf(learned).isEnough
  }

  /** Whether what this window has shown may be learned. */
  private get isWhole(): boolean {
    return !this.coverage.isDegraded || this.options.learnDegraded === true
  }

  private settle(isKept: boolean, endMs: number): void {
    this.findings.endRehearsal(endMs, isKept)
    const count = this.options.baseline.trainings.settle(isKept, endMs, this.coverage.isDegraded)
    if (!isKept) this.unlearned += count
  }

  /** Once a day of the log's time, what was not seen for long grows old. */
  private turnDay(timeMs: number): void {
    const day = Math.floor(timeMs / DAY_MS)
    if (day === this.day) return
    this.day = day
    this.options.baseline.turnDay(timeMs, this.options.lifeSpan ?? LIFE_SPAN)
  }

  private finishTraining(): void {
    this.training = false
    const { trainingEndMs = 0, nowMs = 0 } = this.schedule
    const endMs = Math.max(Math.min(trainingEndMs, nowMs), this.firstMs ?? 0)
    this.options.baseline.trainings.extend(endMs, true)
    this.findings.endTraining(endMs)
    const learned = this.options.baseline.trainings.learned()
    if (learned !== undefined) this.options.baseline.kept.remember('learning', learningOf(learned))
    this.options.onTrained?.(this.unlearned)
  }

  private onEdge(seen: SeenEdge, event: AuditEvent): void {
    if (this.isOwnChild || this.isOwn(seen, event)) return
    const { baseline } = this.options
    // What is dated later than the time now has a stamp that was not believed.
    const stampMs = Math.min(event.id.timeMs, this.schedule.nowMs ?? event.id.timeMs)
    if (this.edition !== this.newestEdition || this.found.size > MOST_FOUND) {
      this.edition = this.newestEdition
      this.found.clear()
      this.findings.forget()
    }
    this.findings.watch(seen, event, stampMs)
    const known = this.found.get(seen)
    if (known !== undefined && !this.isMarked(known, seen, event)) {
      baseline.edges.count(known, stampMs)
      return
    }
    const isLasting = this.naming.isLasting(seen)
    if (isLasting && !this.schedule.isInTraining(stampMs) && this.findings.countAgain(seen, stampMs)) {
      this.noteFile(seen, event)
    } else this.meet(seen, event, stampMs)
  }

  /** Of what is known and how it is named. Both only grow. */
  private get newestEdition(): number {
    return this.options.baseline.edges.edition + this.naming.edition
  }

  /** Takes an edge that has not been met since the baseline changed. */
  private meet(seen: SeenEdge, event: AuditEvent, stampMs: number): void {
    const { baseline } = this.options
    const isTraining = this.schedule.isInTraining(stampMs)
    const edge = this.naming.nameOf(seen, stampMs, isTraining)
    const isLasting = this.naming.isLasting(seen)
    const denied = this.naming.deniedNameOf(seen, stampMs)
    const known = denied !== undefined ? undefined : this.find(seen, edge, isTraining)
    if (known !== undefined && !this.isMarked(known, seen, event)) {
      if (known.isDormant && !isTraining) this.findings.take(seen, edge, event, stampMs, 'dormant')
      known.isDormant = false
      baseline.edges.count(known, stampMs)
      if (isLasting) this.found.set(seen, known)
      return
    }
    const mark = denied === undefined ? this.neverLearned(seen, edge, event) : 'denied'
    if (isTraining && mark === undefined) this.learn(seen, edge, event, stampMs)
    else if (!isTraining || !this.findings.countAgain(seen, stampMs)) {
      this.noteFile(seen, event)
      this.findings.take(seen, denied ?? edge, event, stampMs, mark)
    }
  }

  /** What is known of an edge. A file may have become normal before its name was known to change. */
  private find(seen: SeenEdge, edge: Edge, isTraining: boolean): KnownEdge | undefined {
    const { baseline } = this.options
    const isRenamed = edge !== seen.edge && seen.filePath !== undefined && !isTraining
    return (
      baseline.edges.find(edge) ??
      (isRenamed ? (baseline.edges.find(seen.edge) ?? this.findMade(edge)) : undefined)
    )
  }

  /** Who keeps making files under names that change removes them some day, often after the training. */
  private findMade({ kind, from, to }: Edge): KnownEdge | undefined {
    if (kind !== 'delete') return undefined
    const { baseline } = this.options
    const path = to.slice(prefixOf(kind).length)
    return (
      baseline.edges.find({ kind: 'create', from, to: prefixOf('create') + path }) ??
      baseline.edges.find({ kind: 'rename', from, to: prefixOf('rename') + path })
    )
  }

  /** Whether a known edge is told of for what was done this time: its name does not say which rights a file got. */
  private isMarked({ isAccepted }: KnownEdge, { edge, source }: SeenEdge, event: AuditEvent): boolean {
    return (
      edge.kind === 'attribute' && !isAccepted && setsUserId({ edge, source, event, call: callOf(event) })
    )
  }

  /** Takes an edge into the baseline that is not in it. */
  private learn(seen: SeenEdge, edge: Edge, event: AuditEvent, stampMs: number): void {
    const { baseline } = this.options
    this.noteFile(seen, event)
    baseline.edges.learn(edge, stampMs, this.findings.rehearse(seen, edge, event, stampMs))
    const learned = this.naming.learn(seen, edge, stampMs)
    if (learned !== undefined) this.post(learned)
    const isKept = this.naming.isLasting(seen) && this.edition === this.newestEdition
    const known = isKept ? baseline.edges.find(edge) : undefined
    if (known !== undefined) this.found.set(seen, known)
  }

  private neverLearned(
    { edge, source, filePath }: SeenEdge,
    named: Edge,
    event: AuditEvent,
  ): EdgeMark | undefined {
    const deed = { edge, printed: named.to, source, filePath, event, call: callOf(event) }
    return neverLearned(deed, this.options.own?.places)
  }

  private onForgery(event: AuditEvent, actor: ProcessImage | undefined, claimant?: Claimant): void {
    const evidence = evidenceOf(event)
    this.onTamper(
      'forged-lines',
      'an address of a socket holds newlines, to put lines into the audit log',
      event,
      actor,
      claimant === undefined ? evidence : { ...evidence, pid: claimant.pid, auid: claimant.auid },
    )
  }

  /** Reported at once, and again in each window in which it goes on. */
  private onTamper(
    reason: TamperReason,
    detail: string,
    event: AuditEvent,
    actor: ProcessImage | undefined,
    evidence = evidenceOf(event),
  ): void {
    const chain = actor === undefined ? [] : chainOf(actor)
    const { timeMs } = event.id
    const process = chain.at(-1) ?? ''
    this.noteTamper({ kind: 'tamper', reason, timeMs, process, chain, detail, evidence })
  }

  private isOwn({ edge, filePath }: SeenEdge, event: AuditEvent): boolean {
    const { own } = this.options
    const pid = event.syscall?.pid
    if (own === undefined || filePath === undefined || pid === undefined) return false
    const isAgents = this.pidsAt(event.id.timeMs).has(pid)
    return isAgents && tamperOfFile(edge, filePath, { ...own.places, log: undefined }) !== undefined
  }

  /** Of the agent, now or before a restart. */
  private pidsAt(timeMs: number): ReadonlySet<number> {
    return this.runs?.pidsAt(timeMs) ?? NONE
  }

  /** Whether this is the doing of a program that the agent started to ask the kernel, to load its rules, or to capture DNS. */
  private isByOwnChild({ id, syscall }: AuditEvent): boolean {
    if (syscall === undefined || !OWN_TOOLS.test(syscall.exe ?? '')) return false
    return this.pidsAt(id.timeMs).has(syscall.ppid)
  }

  /** Somebody else has changed a file of the log or of the agent, and has not always done so. */
  private noteFile({ edge, filePath, source }: SeenEdge, event: AuditEvent): void {
    const { own } = this.options
    if (own === undefined || filePath === undefined) return
    const sign = tamperOfFile(edge, filePath, own.places)
    if (sign !== undefined) this.onTamper(sign.reason, sign.detail, event, source)
  }

  private report(timeMs: number, isWhole: boolean, isLast: boolean): void {
    const { baseline, rebase } = this.options
    const fromMs = this.windowMs ?? timeMs
    const { incidents, spots } = this.findings.report({
      ...{ fromMs, toMs: timeMs, lengthMs: this.options.monitorMs },
      ...{ isWhole, isTraining: this.training, isLast },
    })
    for (const incident of incidents) this.post(incident)
    for (const spot of spots) {
      this.coverage.note(spot)
      this.post(spot)
    }
    if (!rebase || !isWhole || this.training) return
    for (const edge of baseline.rebase.mergeReported(timeMs, fromMs)) {
      const learned = this.naming.learnNamed(edge, timeMs)
      if (learned !== undefined) this.post(learned)
    }
  }

  private plannedMs(startMs: number): number | undefined {
    const { trainingEndMs } = this.schedule
    return trainingEndMs === undefined || trainingEndMs === Number.POSITIVE_INFINITY
      ? undefined
      : Math.max(0, trainingEndMs - startMs)
  }

  /** Everything that is needed to go on behind this batch. Returns where reading must begin again. */
  private saveProgress(): number {
    const { baseline, log } = this.options
    const { nowMs } = this.schedule
    this.savedMs = nowMs ?? this.savedMs
    this.findings.forget()
    if (nowMs !== undefined && this.training) baseline.trainings.extend(nowMs, false)
    const point = this.core.resumePoint
    if (log === undefined) return point.offset
    const holding = this.chunks.findLast(({ offset }) => offset <= point.offset)
    if (holding !== undefined) {
      const at = holding.at ?? NOWHERE
      const position = { ...at, offset: at.offset + point.offset - holding.offset }
      baseline.kept.writeCheckpoint(log, { position, finished: point.finished, clockMs: nowMs ?? 0 })
    }
    this.saveState(log, point)
    return point.offset
  }

  private saveState(log: string, { seenBytes }: ResumePoint): void {
    const { writer } = this.options.baseline.kept
    this.core.drain(writer)
    const home = writer.of(HOME)
    this.naming.drain(home)
    this.findings.drain(home)
    const schedule = this.schedule.memory
    if (schedule === undefined) return
    const { coverage } = this
    const state: EngineState = {
      schedule,
      coverage: coverage.memory,
      windowMs: this.windowMs ?? schedule[0],
      tampered: this.tampering.memory,
      seenBytes,
      bootId: this.bootId ?? null,
    }
    const seen = coverage.at(schedule[0])
    const text = JSON.stringify([state, seen])
    if (text === this.drained) return
    this.drained = text
    home.put('schedule', log, state)
    home.put('coverage', '', seen)
  }

  /** Goes on where another run on this log stopped, if there was one. */
  private resume(log: string): boolean {
    const { baseline } = this.options
    const { states } = baseline.kept
    const read = states.of(HOME)
    const [last] = read('schedule')
    const checkpoint = baseline.kept.checkpoint(log)
    this.resumedAt = checkpoint?.position
    if (last?.key !== log) {
      baseline.kept.forgetStates()
      // An agent of an earlier release knew only where it was.
      if (checkpoint !== undefined) this.core.resume({ ...ANEW, finished: checkpoint.finished })
      return false
    }
    const { schedule, coverage, windowMs, tampered, seenBytes, bootId } = last.value as EngineState
    this.core.restore(states)
    if (checkpoint !== undefined) this.core.resume({ offset: 0, finished: checkpoint.finished, seenBytes })
    this.schedule.resume(schedule)
    const [known] = read('coverage')
    this.coverage.resume(coverage, known?.value as Coverage)
    this.windowMs = windowMs
    this.tampering.resume(tampered)
    this.bootId = bootId ?? undefined
    this.findings.restore(read)
    return true
  }
}

const callOf = ({ syscall }: AuditEvent): string =>
  syscall === undefined ? '' : callName(syscall.arch, syscall.syscall)

const tamperOf = (reason: TamperReason, timeMs: number, detail: string): Tamper => ({
  kind: 'tamper',
  reason,
  timeMs,
  process: '',
  chain: [],
  detail,
})

/** Not a part of coverage: hosts are compared by their addresses, as they were learned. */
const unbelieved = ({ timeMs, server = '?' }: ResolvedName): BlindSpot => ({
  kind: 'blind-spot',
  reason: 'dns-unheard',
  fromMs: timeMs,
  toMs: timeMs,
  count: 0,
  detail: `what ${server} answers is not believed, so hosts have no names: nobody answered during the training, and no process is known to ask there`,
})
