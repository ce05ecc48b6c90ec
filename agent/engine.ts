import { Alerting } from './alerting.ts'
import type { Baseline } from './baseline/baseline.ts'
import { LIFE_SPAN, type LifeSpan } from './baseline/life.ts'
import { Core, type CoreSink } from './core.ts'
import { CoverageWatch } from './detect/coverage.ts'
import { Schedule, type TrainingPlan } from './detect/schedule.ts'
import type { FoundProcess, World } from './domain/activity.ts'
import type { HostLook } from './domain/alert.ts'
import type { Chunk } from './domain/chunk.ts'
import type { AuditEvent } from './domain/event.ts'
import type {
  BlindSpot,
  Incident,
  PatternLearned,
  Report,
  Severity,
  Summary,
  Tamper,
} from './domain/report.ts'
import { Findings } from './findings.ts'
import { Naming } from './naming.ts'
import { Outbox, type Printers } from './outbox.ts'
import type { NetworkNames } from './peers/networks.ts'
import type { NameSource, ResolvedName } from './peers/resolved.ts'
import { Progress } from './progress.ts'
import { RaisedIncidents } from './raised.ts'
import { RuleWatch } from './rule-watch.ts'
import type { RuleBook } from './rules/match.ts'
import { Sightings } from './sightings.ts'
import { type OwnProcess, tamperOf, TamperWatch } from './tamper-watch.ts'
import { TrainingCourse } from './training-course.ts'
import type { KernelNews } from './watch/kernel-judge.ts'

/** On a quiet host, how much of a training may be forgotten by a crash. */
const SAVE_TRAINING_MS = 10_000

/** The stamp of an event may be this much older than an answer of DNS that came before it. */
const COARSE_MS = 10

const DAY_MS = 86_400_000

/** A host's clock that is this far behind the log's time has been set back. */
const SET_BACK_MS = 10_000

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
  readonly own?: OwnProcess
  /** Name under which everything that is needed to go on is kept in the baseline; undefined when nothing is to be kept. */
  readonly log?: string
  /** Name of what has brought the same records of the same host until now, in another way. */
  readonly twin?: string | undefined
  /** Where names of hosts come from. */
  readonly names?: NameSource
  /** Networks that have a name in the configuration. */
  readonly networks?: NetworkNames
  /** What is told of at once; nothing without it. */
  readonly rules?: RuleBook
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
  private readonly coverage = new CoverageWatch()
  private readonly reportedBefore: number
  private readonly alerting: Alerting | undefined
  private readonly outbox: Outbox
  private firstMs: number | undefined
  private savedMs = Number.NEGATIVE_INFINITY
  private readonly training: TrainingCourse
  private readonly tamper: TamperWatch
  private readonly sightings: Sightings
  private readonly progress: Progress
  private readonly raised: RaisedIncidents
  /** Of the log's time, since 1970. */
  private day: number | undefined
  /** When the window began that goes on; undefined before the first event. */
  private windowMs: number | undefined
  private headBefore: string
  /** Processes of this boot, until the log comes to it. */
  private booted: readonly FoundProcess[] | undefined
  /** The boot that the processes are of. */
  private bootId: string | undefined
  /** Whether it was said that no answer of DNS is believed. */
  private hasSaidNobody = false
  private kernelMemory = ''
  /** What was lost before this run. */
  private readonly lossesBefore: Core['losses']

  constructor(options: EngineOptions) {
    const {
      alertsFrom,
      alertsPerDay,
      baseline,
      log,
      own,
      plan,
      monitorMs,
      untilStable = false,
      world,
    } = options
    this.options = options
    this.schedule = new Schedule(plan, monitorMs)
    this.reportedBefore = baseline.findings.countReported()
    this.headBefore = baseline.head
    this.alerting = alertsFrom && new Alerting(baseline.alerts, alertsFrom)
    this.outbox = new Outbox(baseline, options)
    const post = (report: Incident | Tamper | PatternLearned): void => this.post(report)
    this.tamper = new TamperWatch(own, baseline, post, (event) => this.core.lineageOf(event))
    const sink: CoreSink = {
      onEvent: (event) => this.onEvent(event),
      onEdge: (seen, event) => {
        this.tamper.watch(seen, event)
        if (!this.tamper.isOwn(seen, event)) this.sightings.take(seen, event)
      },
      onDeed: (deed) => {
        if (!this.tamper.isOwnDeed(deed)) rules?.takeDeed(deed, this.sightings.stampOf(deed.event))
      },
      onForgery: (event, actor, claimant) => this.tamper.noteForgery(event, actor, claimant),
      onDone: (event, actor) => this.tamper.noteSigns(event, actor),
    }
    this.core = new Core(world, sink, { tracksChanges: log !== undefined })
    this.findings = new Findings(baseline, this.core, alertsPerDay, world, own?.boot)
    const isOwned = (path: string): boolean => this.findings.isOwned(path)
    this.naming = new Naming(baseline, log !== undefined, options.networks, isOwned)
    const { core, coverage, findings, naming, schedule, tamper } = this
    const raised = new RaisedIncidents(baseline, post)
    this.raised = raised
    const rules =
      options.rules &&
      new RuleWatch({
        ...{ book: options.rules, findings, raised, userName: (uid) => world.userName(uid) },
        standingOf: (edge, timeMs) => this.sightings.standingOf(edge, timeMs),
      })
    const places = own?.places
    this.sightings = new Sightings({ baseline, schedule, naming, findings, tamper, rules, places, post })
    const course = { baseline, schedule, findings, untilStable, onTrained: options.onTrained }
    this.training = new TrainingCourse(plan.kind !== 'none', course)
    this.progress = new Progress(baseline.kept, log, options.twin, {
      ...{ core, schedule, coverage, tamper, naming, findings, raised },
    })
    const resumed = this.progress.resume()
    this.isResumed = resumed !== undefined
    this.windowMs = resumed?.windowMs
    this.bootId = resumed === undefined ? own?.boot.id : resumed.bootId
    this.lossesBefore = this.core.losses
  }

  /** Takes the next bytes of the log: one chunk is one transaction. */
  ingest(chunk: Chunk): void {
    this.progress.take(chunk, this.options.continuesStream === true)
    this.batch(() => this.core.push(chunk.bytes))
  }

  /**
   * Nothing has arrived for a while: waiting events are finished, and the time on the host's clock is the log's time.
   * Cheap to call often: on a quiet host nothing is written between the ends of two windows.
   */
  idle(nowMs: number): void {
    this.guardBaseline(nowMs)
    this.noteClock(nowMs)
    const isLearning = this.training.isOn && nowMs - this.savedMs >= SAVE_TRAINING_MS
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

  /** The kernel was looked at. `memory` is kept under `kernel`; undefined when the first look still goes on. */
  heardOfKernel(news: readonly KernelNews[], memory: unknown): void {
    if (memory === undefined) return
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

  /** The host was looked at. `memory` is kept by its names. */
  heardOfHost(looks: readonly HostLook[], nowMs: number, memory: ReadonlyMap<string, unknown>): void {
    const { alerting } = this
    if (alerting === undefined) return
    this.batch(() => {
      for (const alert of alerting.look(looks, nowMs)) this.post(alert)
      for (const [name, value] of memory) this.options.baseline.kept.remember(name, value)
    })
  }

  /**
   * The agent begins its work: what became of the one before it, and of the baseline.
   * @param found the processes of this host now
   */
  begin(nowMs: number, found: readonly FoundProcess[]): void {
    this.batch(() => {
      this.tamper.beginRun(nowMs)
      this.noteJournal(nowMs)
      if (!this.isResumed) this.core.processes.seed(found)
      else if (this.bootId !== this.options.own?.boot.id) this.booted = found
    })
    // One that goes on is at the time of the log, and that of the host comes when the log is read.
    if (!this.isResumed) this.idle(nowMs)
  }

  /** Somebody worked against the agent, as the log does not tell. */
  wasTampered(tamper: Tamper): void {
    if (!this.tamper.isAsBefore(tamper)) this.batch(() => this.tamper.note(tamper))
  }

  /** Bytes since the beginning of the oldest event that is not finished, which nobody can read again. */
  get unsaved(): readonly Buffer[] {
    return this.progress.unsaved
  }

  /** The input is at its end: what still waits is finished, reported and summed up. */
  end(): void {
    this.batch(() => {
      this.tamper.endRun(this.options.latestMs())
      this.core.end()
      this.closeWindow(this.schedule.nowMs, true)
      // Training on everything is finished when everything has been read; one by time goes on at the next start.
      if (this.training.isOn && this.options.plan.kind === 'everything') this.training.finish()
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
      // While it does not run everybody who asks is told, and once it does again nobody need see to it.
      if (why !== undefined) this.post(this.tamper.stopped(why, nowMs), false)
      this.tamper.endRun(nowMs)
      if (!this.training.isOn || this.options.log === undefined) this.closeWindow(this.schedule.nowMs)
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
    const savedOffset = baseline.batch((othersWrote) => {
      if (othersWrote) this.noteWriting()
      work()
      // What is stamped before the end of the training but came behind it waits for no window any more.
      if (!this.training.isOn) this.settle(this.isWhole, this.schedule.nowMs ?? 0)
      return this.saveProgress()
    })
    this.progress.wasSaved(savedOffset)
    this.headBefore = baseline.head
    this.outbox.deliver()
  }

  private post(report: Exclude<Report, Summary>, opensAlert = true): void {
    const { baseline, emit, log } = this.options
    if (opensAlert && (report.kind === 'incident' || report.kind === 'tamper')) this.alerting?.take(report)
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
      incidents: this.findings.incidents + this.raised.count,
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
    return this.training.isOn
  }

  /** When the training that goes on will end; undefined when there is none. */
  get trainingEndMs(): number | undefined {
    return this.training.endMs
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
    this.naming.heard(name, this.training.isOn)
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
    this.tamper.beginEvent(event)
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
      if (this.training.isOn && endMs >= (this.schedule.trainingEndMs ?? endMs)) this.training.finish()
    }
    if (this.training.isOn && this.schedule.isTrained) this.training.finish()
    this.options.names?.takeUntil(timeMs + COARSE_MS, this.heardName)
  }

  private beginAt(timeMs: number): void {
    this.firstMs = timeMs
    this.windowMs ??= timeMs
    this.turnDay(timeMs)
    this.training.begin(timeMs, this.isResumed)
  }

  /** What the window showed is reported, or learned for good, if all of it was seen. */
  private closeWindow(endMs: number | undefined, isLast = false): void {
    if (endMs === undefined) return
    const missed = this.coverage.missed(
      { ...this.core.losses, shedAddresses: this.naming.shedAddresses },
      this.windowMs ?? endMs,
      endMs,
    )
    if (this.training.isOn) this.settle(this.isWhole, endMs)
    this.report(endMs, this.isWhole, isLast)
    this.turnDay(endMs)
    for (const spot of missed) this.post(spot)
    for (const tamper of this.tamper.endWindow(endMs)) this.post(tamper)
    this.coverage.beginWindow()
    this.windowMs = endMs
    this.training.endWhenStable(endMs)
  }

  /** Whether what this window has shown may be learned. */
  private get isWhole(): boolean {
    return !this.coverage.isDegraded || this.options.learnDegraded === true
  }

  private settle(isKept: boolean, endMs: number): void {
    this.training.settle(isKept, endMs, this.coverage.isDegraded)
  }

  /** Once a day of the log's time, what was not seen for long grows old. */
  private turnDay(timeMs: number): void {
    const day = Math.floor(timeMs / DAY_MS)
    if (day === this.day) return
    this.day = day
    this.options.baseline.turnDay(timeMs, this.options.lifeSpan ?? LIFE_SPAN)
  }

  private report(timeMs: number, isWhole: boolean, isLast: boolean): void {
    const { baseline, rebase } = this.options
    const fromMs = this.windowMs ?? timeMs
    const { incidents, spots } = this.findings.report({
      ...{ fromMs, toMs: timeMs, lengthMs: this.options.monitorMs },
      ...{ isWhole, isTraining: this.training.isOn, isLast },
      rulesIn: (tree) => this.raised.silentIn(tree),
    })
    this.raised.forgetSilent()
    for (const incident of incidents) this.post(incident)
    for (const spot of spots) {
      this.coverage.note(spot)
      this.post(spot)
    }
    if (!rebase || !isWhole || this.training.isOn) return
    for (const edge of baseline.rebase.mergeReported(timeMs, fromMs)) {
      const learned = this.naming.learnNamed(edge, timeMs)
      if (learned !== undefined) this.post(learned)
    }
  }

  /** Everything that is needed to go on behind this batch. Returns where reading must begin again. */
  private saveProgress(): number {
    const { nowMs } = this.schedule
    this.savedMs = nowMs ?? this.savedMs
    this.findings.forget()
    this.raised.settle()
    if (nowMs !== undefined) this.training.extend(nowMs)
    return this.progress.save({ windowMs: this.windowMs, bootId: this.bootId })
  }
}

/** Not a part of coverage: hosts are compared by their addresses, as they were learned. */
const unbelieved = ({ timeMs, server = '?' }: ResolvedName): BlindSpot => ({
  kind: 'blind-spot',
  reason: 'dns-unheard',
  fromMs: timeMs,
  toMs: timeMs,
  count: 0,
  detail: `what ${server} answers is not believed, so hosts have no names: nobody answered during the training, and no process is known to ask there`,
})
