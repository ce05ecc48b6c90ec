import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Baseline } from './baseline/baseline.ts'
import { storageFault } from './baseline/fault.ts'
import type { Checkpoint } from './baseline/kept.ts'
import type { LifeSpan } from './baseline/life.ts'
import type { TrainingPlan } from './detect/schedule.ts'
import type { Chunk } from './domain/chunk.ts'
import type { BlindSpot, Report, Severity, Tamper } from './domain/report.ts'
import { UsageError } from './domain/result.ts'
import type { CapturedNames } from './dns/capture.ts'
import { Engine } from './engine.ts'
import type { NetworkNames } from './peers/networks.ts'
import type { Reach } from './outputs/sink.ts'
import type { RuleBook } from './rules/match.ts'
import type { HostWatch } from './scan/host-watch.ts'
import { pluginProgram } from './support/plugin.ts'
import { isOfOwnPackage } from './support/package-files.ts'
import { bootOf, snapshot, thisHost } from './support/procfs.ts'
import { follow } from './tail/follow.ts'
import type { RelaySocket } from './tail/relay.ts'
import { type Source, sourceOf } from './tail/source.ts'
import { ClockWatch } from './watch/clock.ts'
import type { KernelWatch } from './watch/kernel-watch.ts'
import { Lag } from './watch/lag.ts'

/**
 * When nothing has arrived for this long, and for two looks at the log, open events are given up and the host's clock is
 * the time of the log.
 */
const LEAST_QUIET_MS = 2000
const TICK_MS = 250
/** Between two looks at the kernel's audit: a window, within these. */
const LEAST_LOOK_MS = 2000
const MOST_LOOK_MS = 60_000
/** How long another program may keep the baseline busy. */
const BUSY_MS = 1000
/** Stamps are those of the beginning of a call, and in steps. What is read twice is counted twice, and nothing worse. */
const LATE_MS = 1000
/** Name of what the plugin of auditd brings. */
const RELAY = 'relay'

export interface LiveOptions {
  /** See `sourceOf`. */
  readonly auditd: string
  readonly db: string
  /** Whether an agent had a baseline in this place before, and now there is none. */
  readonly isBaselineGone: boolean
  /** Log file that the agent itself writes to. */
  readonly log: string | undefined
  /** Other files of the agent, whose change by somebody else is tampering, by full path: see GuardedPlaces. */
  readonly guarded: readonly string[]
  /** What the configuration is read from, in the same way. */
  readonly configuration: readonly string[]
  /** Where the agent answers who asks how it is. */
  readonly serves: Served
  readonly trainingMs: number
  readonly monitorMs: number
  readonly rebase: boolean
  readonly learnDegraded: boolean
  readonly alertsPerDay: number
  /** When an edge that is not seen any more grows old. */
  readonly lifeSpan: LifeSpan
  /** Interface on which answers of DNS are captured, `any` for all; undefined for none. */
  readonly dnsInterface: string | undefined
  readonly networks: NetworkNames
  /** What is told of at once. */
  readonly rules: RuleBook
  /** Gravity from which an incident opens an alert. */
  readonly alertsFrom: Severity
  /** What looks at the host besides its log; undefined for nothing. */
  readonly host: HostWatch | undefined
  readonly pollMs: number
  /** Whether to end when the training does. */
  readonly onlyTrain: boolean
  /** Whether the training ends as soon as enough was learned, at the latest with its time. */
  readonly untilStable: boolean
  /** How reports leave the process besides standard output and the log file. */
  readonly reach: Reach | undefined
  readonly emit: (report: Report) => void
  /** The same for what an earlier run has perhaps printed, before it was killed. */
  readonly emitAgain: (report: Report) => void
  /** Whether all that was emitted has left the process. */
  readonly isEmitted: () => boolean
  /** Told at the start, when training ends, and when the baseline cannot be written. */
  readonly onPhase: (phase: Phase) => void
  /** Called when the log is being followed. */
  readonly onReady: () => void
  /** Told four times a second while a session lasts. */
  readonly onPulse: (pulse: Pulse) => void
}

/** What a session has done so far. Counts are those of the log, over restarts, as far as the core remembers them. */
export interface Pulse {
  /** Unix time in milliseconds. */
  readonly atMs: number
  readonly records: number
  readonly events: number
  /** See `Summary`. */
  readonly unreadable: number
  readonly lost: number
  readonly forged: number
  /** Stamp of what was read last; undefined before anything was. Unix time in milliseconds. */
  readonly readMs: number | undefined
  /** Of the log, that are not read yet; undefined when that is not known. */
  readonly behindBytes: number | undefined
}

/** Undefined is nowhere. */
export interface Served {
  readonly socket: string | undefined
  readonly port: number | undefined
}

export type Phase =
  | { readonly name: 'training'; readonly untilMs: number }
  /** `unlearned`: edges of the training that were forgotten, because their windows were not seen whole. */
  | { readonly name: 'monitoring'; readonly edges: number; readonly unlearned: number }
  | { readonly name: 'faulty'; readonly fault: string }
  /** The kernel's audit cannot be watched, and why. */
  | { readonly name: 'unwatched'; readonly reason: string }

export type News = Chunk | BlindSpot | Tamper

/** Reason of a signal that only makes way for another session. */
export const RELOAD = 'reload'

/** What comes from the log, one after the other, also to a session that begins when another has failed. */
export class Feed {
  private readonly iterator: AsyncIterator<News, void>
  private pending: Promise<IteratorResult<News, void>> | undefined

  constructor(input: AsyncIterator<News, void>) {
    this.iterator = input
  }

  /** The next one; undefined at the end. Rejects when `onFail` has been given a reason meanwhile, and then nothing is lost. */
  async next(onFail: (fail: (reason: Error) => void) => void): Promise<News | undefined> {
    this.pending ??= this.iterator.next()
    const { pending } = this
    const result = await new Promise<IteratorResult<News, void>>((found, failed) => {
      onFail(failed)
      pending.then(found, failed)
    })
    this.pending = undefined
    return result.done === true ? undefined : result.value
  }

  async close(): Promise<void> {
    // What is pending ends with the signal that the input was given.
    await this.pending?.catch(() => undefined)
    await this.iterator.return?.()
  }
}

/** What lasts over sessions. */
export interface Senses {
  readonly kernel: KernelWatch | undefined
  readonly names: CapturedNames | undefined
  /** Where the plugin of auditd brings records, when it does. */
  readonly relay: RelaySocket | undefined
  /** Standard input, when that is read. */
  readonly stdin: Feed | undefined
}

/** What was before a session. */
interface Past {
  /** Whether this process has had a session. */
  readonly isAgain: boolean
  /** Since when the baseline could not be written; undefined when it could. Unix time in milliseconds. */
  readonly faultyMs: number | undefined
  /** What an earlier session could not take. */
  readonly waiting: readonly News[]
}

/** One stretch of work on an open baseline: from a start, or a fault, to the next. */
export class Session {
  private readonly options: LiveOptions
  private readonly senses: Senses
  private readonly lag = new Lag()
  private readonly clock = new ClockWatch()
  private readonly trained = new AbortController()
  /** Ends the following of the log when the session ends. */
  private readonly over = new AbortController()
  private readonly ended: AbortSignal
  private readonly past: Past
  private baseline: Baseline | undefined
  private engine: Engine | undefined
  private feed: Feed | undefined
  private waiting: readonly News[]
  private inHand: News | undefined
  private fail: (reason: Error) => void = () => undefined
  /** By a clock that nobody can set, as is `lookedMs`. */
  private arrivedMs = performance.now()
  private lookedMs = Number.NEGATIVE_INFINITY
  private behindBytes: number | undefined
  private hostLookedMs = Number.NEGATIVE_INFINITY
  private isLookingAtHost = false
  private hasRecovered = false
  /** When it began that no answers of DNS are heard, as far as that was told. */
  private deafMs: number | undefined

  constructor(options: LiveOptions, senses: Senses, past: Past, signal: AbortSignal) {
    this.ended = AbortSignal.any([signal, this.trained.signal, this.over.signal])
    this.options = options
    this.senses = senses
    this.past = past
    this.waiting = past.waiting
  }

  /** Opens the baseline and the log, and goes on where the baseline says. */
  open(): void {
    const { options, past } = this
    if (past.isAgain && !existsSync(options.db))
      throw new UsageError(
        `the baseline ${options.db} was removed while the agent ran: put it back, or train anew`,
      )
    this.baseline = new Baseline(options.db)
    const { baseline } = this
    baseline.waitAtMost(BUSY_MS)
    const engine = this.begun(baseline)
    this.engine = engine
    if (options.isBaselineGone && !past.isAgain) engine.wasTampered(baselineGone(options.db))
    if (this.senses.kernel === undefined) baseline.kept.forget('kernel')
    else this.senses.kernel.restore(baseline.kept.memory('kernel'))
    options.host?.restore((name) => baseline.kept.memory(name))
    const { trainingEndMs } = engine
    if (!engine.isTraining)
      options.onPhase({ name: 'monitoring', edges: baseline.edges.countEdges(), unlearned: 0 })
    else if (trainingEndMs !== undefined) options.onPhase({ name: 'training', untilMs: trainingEndMs })
  }

  /** Until the input ends, or the signal says so. */
  async run(signal: AbortSignal): Promise<void> {
    const { ended, engine, options } = this
    const feed = this.senses.stdin ?? this.feed
    if (engine === undefined || feed === undefined) throw new Error('a session must be opened first')
    const ticking = setInterval(() => this.tick(engine), TICK_MS)
    try {
      const { waiting } = this
      for (const [index, news] of waiting.entries()) {
        this.waiting = waiting.slice(index + 1)
        this.take(engine, news)
      }
      options.onReady()
      while (!ended.aborted) {
        const news = await feed.next((fail) => (this.fail = fail))
        if (news === undefined) break
        // A name is answered before its host is connected to, but comes another way.
        await this.senses.names?.settled()
        this.take(engine, news)
      }
      this.finish(engine, signal)
    } finally {
      clearInterval(ticking)
    }
  }

  /** What a session after this one must take first. */
  get unsaved(): readonly News[] {
    const { engine, inHand } = this
    const bytes = (engine?.unsaved ?? []).map((each): News => ({ bytes: each, at: undefined }))
    const report = inHand !== undefined && 'kind' in inHand ? [inHand] : []
    return [...bytes, ...report, ...this.waiting]
  }

  /** Whether the baseline can be written, as far as it has been tried. */
  get isSound(): boolean {
    return this.past.faultyMs === undefined || this.hasRecovered
  }

  async close(): Promise<void> {
    this.over.abort()
    await this.feed?.close()
    this.baseline?.close()
  }

  private finish(engine: Engine, signal: AbortSignal): void {
    if (signal.aborted && signal.reason === RELOAD) engine.pause()
    else if (signal.aborted && !this.options.onlyTrain)
      engine.stop(`the agent was told to stop${nameOf(signal)}`)
    else if (signal.aborted || this.trained.signal.aborted) engine.stop()
    else engine.end()
  }

  private take(engine: Engine, news: News): void {
    this.inHand = news
    if (!('kind' in news)) {
      engine.ingest(news)
      this.noteSound(engine)
      this.noteLag(engine, news)
    } else if (news.kind === 'blind-spot') engine.wentBlind(news)
    else engine.wasTampered(news)
    this.arrivedMs = performance.now()
    this.inHand = undefined
  }

  /** A little could be written all the time: it is over when what failed has been taken, or nothing more comes. */
  private noteSound(engine: Engine): void {
    const { faultyMs } = this.past
    if (faultyMs === undefined || this.hasRecovered) return
    engine.wentBlind(wasFaulty(faultyMs))
    this.hasRecovered = true
  }

  private noteLag(engine: Engine, { behindBytes }: Chunk): void {
    const nowMs = Date.now()
    this.behindBytes = behindBytes
    const spot = this.lag.look(nowMs, behindBytes, engine.nowMs ?? nowMs)
    if (spot !== undefined) engine.wentBlind(spot)
  }

  private tick(engine: Engine): void {
    const nowMs = Date.now()
    const { monitorMs, pollMs } = this.options
    const tickMs = performance.now()
    try {
      engine.deliver()
      this.noteWritten()
      this.options.onPulse(this.pulse(engine, nowMs))
      const jump = this.clock.jump()
      if (jump !== undefined) engine.wasTampered(jump)
      engine.noteClock(nowMs)
      this.noteDeafness(engine, nowMs)
      if (tickMs - this.arrivedMs >= Math.max(LEAST_QUIET_MS, 2 * pollMs)) {
        engine.idle(nowMs)
        this.noteSound(engine)
      }
    } catch (error) {
      this.fail(error as Error)
      return
    }
    this.lookAtHost(engine, tickMs)
    if (tickMs - this.lookedMs < Math.min(Math.max(monitorMs, LEAST_LOOK_MS), MOST_LOOK_MS)) return
    this.lookedMs = tickMs
    this.look(engine, nowMs).catch((error: unknown) => this.fail(error as Error))
  }

  private pulse({ core, nowMs: readMs }: Engine, atMs: number): Pulse {
    const { events, forgedLines: forged, losses, records } = core
    const { unreadableLines: unreadable, missingSerials: lost } = losses
    return { atMs, records, events, unreadable, lost, forged, readMs, behindBytes: this.behindBytes }
  }

  /** What is written down need not be kept by the plugin any more. */
  private noteWritten(): void {
    const position = this.checkpoint?.position
    if (position !== undefined) this.senses.relay?.keep(position)
  }

  private noteDeafness(engine: Engine, nowMs: number): void {
    const deafness = this.senses.names?.deafness
    if (deafness?.sinceMs === this.deafMs) return
    if (deafness !== undefined) {
      const { sinceMs, detail, isStanding } = deafness
      engine.wentBlind({ ...deafSpot(sinceMs, nowMs, detail), isOngoing: true }, isStanding)
    } else engine.wentBlind(deafSpot(this.deafMs ?? nowMs, nowMs, 'DNS answers are captured again'))
    this.deafMs = deafness?.sinceMs
  }

  /** By the clock that nobody can set. One look at a time, however long it takes. */
  private lookAtHost(engine: Engine, tickMs: number): void {
    const { host } = this.options
    if (host === undefined || this.isLookingAtHost || tickMs - this.hostLookedMs < host.intervalMs) return
    this.hostLookedMs = tickMs
    this.isLookingAtHost = true
    const look = async (): Promise<void> => {
      const nowMs = Date.now()
      const { signal } = this.over
      const looks = await host.look(nowMs, {
        ...{ isTraining: engine.isTraining, signal },
        onBlind: (spot) => {
          if (!signal.aborted) engine.wentBlind(spot)
        },
      })
      if (!signal.aborted && looks !== undefined) engine.heardOfHost(looks, nowMs, host.takeMemory())
    }
    look()
      .catch((error: unknown) => this.fail(error as Error))
      .finally(() => (this.isLookingAtHost = false))
  }

  private async look(engine: Engine, nowMs: number): Promise<void> {
    const { kernel } = this.senses
    if (kernel === undefined) return
    const news = await kernel.look(nowMs, this.lag.isBehind)
    if (this.over.signal.aborted) return
    engine.heardOfKernel(news, kernel.memory)
  }

  private get checkpoint(): Checkpoint | undefined {
    return this.baseline?.kept.checkpoint(logName(this.options.auditd))
  }

  /** Undefined for standard input, which lasts over sessions. */
  private followed(): AsyncIterator<News, void> | undefined {
    const { auditd, pollMs } = this.options
    const { relay } = this.senses
    const source = sourceOf(auditd)
    const { position: from, clockMs: fromMs = Date.now() } = this.checkpoint ?? {}
    if (relay !== undefined) return relay.follow({ from, fromMs, signal: this.ended })
    if (source.kind !== 'log') return undefined
    const brought = this.baseline?.kept.checkpoint(RELAY)
    const isBehind = brought !== undefined && (from === undefined || brought.clockMs > fromMs)
    const begin = isBehind
      ? { sinceMs: brought.clockMs - LATE_MS }
      : from === undefined
        ? {}
        : { from, fromMs }
    const { isAgain: isPatient } = this.past
    return follow(source.path, { ...begin, startAt: 'end', isPatient, pollMs, signal: this.ended })
  }

  /** The log of auditd and what its plugin brings are the same records. */
  private twinOf({ kind }: Source): string | undefined {
    const { kernel } = this.senses
    if (kernel === undefined || kind === 'stdin') return undefined
    return kind === 'log' ? RELAY : kernel.auditdLog && resolve(kernel.auditdLog)
  }

  /**
   * An engine that goes on where the baseline says, or anew where what it says was not written by an engine.
   * @throws UsageError when the baseline cannot be believed at all, or the log cannot be read
   */
  private begun(baseline: Baseline): Engine {
    try {
      return this.beginWith(baseline)
    } catch (error) {
      if (storageFault(error) !== undefined || error instanceof UsageError || !(error instanceof Error))
        throw error
      return this.begunAnew(baseline, error.message)
    }
  }

  private begunAnew(baseline: Baseline, complaint: string): Engine {
    baseline.kept.forgetAll()
    void this.feed?.close()
    try {
      const engine = this.beginWith(baseline)
      const detail = `what the agent had remembered was not written by it (${complaint}); it begins anew`
      engine.wasTampered({
        kind: 'tamper',
        reason: 'own-files',
        timeMs: Date.now(),
        process: '',
        chain: [],
        detail,
      })
      return engine
    } catch (error) {
      if (storageFault(error) !== undefined || error instanceof UsageError || !(error instanceof Error))
        throw error
      const { db } = this.options
      throw new UsageError(
        `${db} holds what fullmon did not write (${error.message}): see fullmon verify --db ${db}`,
      )
    }
  }

  private beginWith(baseline: Baseline): Engine {
    const engine = this.engineOf(baseline)
    // Before anybody hears that the agent trains or monitors: what is written from then on is read.
    const followed = this.followed()
    this.feed = followed && new Feed(followed)
    engine.deliverAgain()
    engine.begin(Date.now(), snapshot())
    return engine
  }

  private engineOf(baseline: Baseline): Engine {
    const { auditd, db, log, guarded, configuration, serves } = this.options
    const source = sourceOf(auditd)
    return new Engine({
      ...this.options,
      baseline,
      world: thisHost(),
      plan: planOf(baseline, this.options),
      onTrained: (unlearned) => {
        this.options.onPhase({ name: 'monitoring', edges: baseline.edges.countEdges(), unlearned })
        if (this.options.onlyTrain) this.trained.abort()
      },
      latestMs: Date.now,
      log: logName(auditd),
      twin: this.twinOf(source),
      ...(this.senses.names === undefined ? {} : { names: this.senses.names }),
      continuesStream: this.past.isAgain,
      own: {
        pid: process.pid,
        boot: bootOf(),
        startMs: Date.now() - process.uptime() * 1000,
        places: {
          log: source.kind === 'log' ? resolve(source.path) : undefined,
          own: [db, log, serves.socket, source.kind === 'relay' ? source.socket : undefined]
            .filter((path) => path !== undefined)
            .map((path) => resolve(path))
            .concat(guarded),
          configuration,
        },
        isPackaged: isOfOwnPackage,
        database: { path: resolve(db), uid: process.geteuid?.() ?? 0 },
        directory: serves.socket === undefined ? undefined : dirname(serves.socket),
        port: serves.port,
        reach: this.options.reach,
        plugin: pluginProgram(),
        sawExec: (pid) => this.senses.kernel?.sawExec(pid) === true,
      },
    })
  }
}

/** The same log is the same log, from whatever directory it was named, and the plugin, at whatever socket. */
function logName(auditd: string): string {
  const { kind } = sourceOf(auditd)
  return kind === 'log' ? resolve(auditd) : kind === 'relay' ? RELAY : auditd
}

const nameOf = ({ reason }: AbortSignal): string => (typeof reason === 'string' ? ` (${reason})` : '')

const baselineGone = (db: string): Tamper => ({
  kind: 'tamper',
  reason: 'own-files',
  timeMs: Date.now(),
  process: '',
  chain: [],
  detail: `an agent had a baseline at ${db} before, and it is gone: another one is made`,
})

const wasFaulty = (fromMs: number): BlindSpot => ({
  kind: 'blind-spot',
  reason: 'baseline-unwritable',
  fromMs,
  toMs: Date.now(),
  count: 0,
  detail: 'the baseline can be written again; what the log held meanwhile is read now',
})

const deafSpot = (fromMs: number, toMs: number, detail: string): BlindSpot => ({
  kind: 'blind-spot',
  reason: 'dns-unheard',
  fromMs,
  toMs,
  count: 0,
  detail,
})

/** What is left of the training that was begun, or of a new one. */
export function planOf(
  baseline: Baseline,
  { trainingMs, onlyTrain }: Pick<LiveOptions, 'trainingMs' | 'onlyTrain'>,
): TrainingPlan {
  const trainings = baseline.trainings.all()
  if (!onlyTrain && trainings.at(-1)?.finished === true) return { kind: 'none' }
  const unfinished = trainings.slice(trainings.findLastIndex(({ finished }) => finished) + 1)
  const trainedMs = unfinished.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0)
  return { kind: 'for', durationMs: Math.max(0, trainingMs - trainedMs) }
}
