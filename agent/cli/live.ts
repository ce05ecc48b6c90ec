import { existsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { runLive } from '../agent.ts'
import { type Brought, isUnbegun, readBrought, takeBrought } from '../baseline/brought.ts'
import { acquireLock, type Lock } from '../baseline/lock.ts'
import type { Config } from '../config/config.ts'
import { changesOf } from '../config/changes.ts'
import { decisiveFiles, foundConfig } from '../config/find.ts'
import { BROUGHT_BASELINE, DEFAULT_LOG } from '../config/places.ts'
import { OWN_PACKAGE } from '../detect/tamper-gravity.ts'
import type { BlindSpot } from '../domain/report.ts'
import { UsageError } from '../domain/result.ts'
import { Counter } from '../http/counter.ts'
import { LiveState } from '../http/live-state.ts'
import { HttpServer } from '../http/server.ts'
import { AgentSources } from '../http/sources.ts'
import { openOutputs } from '../outputs/outputs.ts'
import type { Reach, Sink } from '../outputs/sink.ts'
import { type Format, printer } from '../report/printer.ts'
import { bookOf, readRules, SHIPPED_RULES } from '../rules/read.ts'
import { timeText } from '../report/text.ts'
import { HostWatch } from '../scan/host-watch.ts'
import { requireLooks } from '../scan/looks.ts'
import { type LiveOptions, type Phase, RELOAD } from '../session.ts'
import { findCommand } from '../support/command.ts'
import { rulesFile } from '../support/kernel-rules.ts'
import { type Log, openLog } from '../support/log.ts'
import { type ServiceManager, serviceManager } from '../support/notify.ts'
import { isPresent, requireReadable } from '../support/readable.ts'
import { standardOutput } from '../support/standard-output.ts'
import { sourceOf } from '../tail/source.ts'
import { loadRulesWhereNone } from '../watch/no-rules.ts'
import { thisBuild, thisOrigin } from './origin.ts'
import { inMs } from './values.ts'

/** The agent's own code, with all that is in it. */
const PROGRAM = new URL('..', import.meta.url).pathname
/** What it is started and loaded with, from where its rules are. */
const STARTED_WITH = ['scripts/', 'node_modules/', 'launch', 'auditd-relay']
/** What auditd starts our plugin by. */
const PLUGIN_CONF = '/etc/audit/plugins.d/fullmon.conf'
const UNITS = ['/etc/systemd/system/fullmon.service', '/usr/lib/systemd/system/fullmon.service']

interface LiveWords {
  readonly format: Format
  readonly onlyTrain: boolean
  /** Whether to train only as long as it takes to learn enough. */
  readonly untilStable?: boolean
  /** What --config says. */
  readonly configFile: string | undefined
  /** Reads the configuration again; undefined for a command that SIGHUP ends. @throws UsageError when it is wrong */
  readonly reread?: () => Config
}

/**
 * Runs the live agent with its outputs until the signal: a session for each configuration. The event `reload` of the
 * signal asks for the next one; a configuration that is wrong changes nothing.
 *
 * @throws UsageError when the first configuration cannot be run
 */
export async function live(config: Config, words: LiveWords, signal: AbortSignal): Promise<void> {
  letTerminalsStall()
  const service = serviceManager(process.env, process.pid)
  const watchdog = keepAlive(service)
  let session: Session | undefined = new Session(config, words, service)
  const stop = (): void => service.tell('STOPPING=1')
  const reload = (event: Event): void => {
    event.preventDefault()
    session?.reload()
  }
  signal.addEventListener('abort', stop)
  if (words.reread !== undefined) signal.addEventListener('reload', reload)
  try {
    while (session !== undefined) session = await session.run(signal)
  } finally {
    clearInterval(watchdog)
    signal.removeEventListener('reload', reload)
    signal.removeEventListener('abort', stop)
  }
}

/** Twice as often as it is expected, as systemd advises. A loop that is stuck says nothing, and is started again. */
function keepAlive({ watchdogMs, tell }: ServiceManager): NodeJS.Timeout | undefined {
  return watchdogMs === undefined ? undefined : setInterval(() => tell('WATCHDOG=1'), watchdogMs / 2)
}

/** Node waits for a terminal that was stopped (Ctrl-S), and nothing else would be done meanwhile. */
function letTerminalsStall(): void {
  for (const stream of [process.stdout, process.stderr]) {
    const { _handle: terminal } = stream as { readonly _handle?: { setBlocking?: (is: boolean) => unknown } }
    if (stream.isTTY) terminal?.setBlocking?.(false)
  }
}

/** The agent with one configuration. */
class Session {
  readonly #config: Config
  readonly #words: LiveWords
  readonly #service: ServiceManager
  /** What ran before, to go back to when this configuration turns out to be wrong. */
  readonly #former: Config | undefined
  /** What is to be said of its beginning. */
  readonly #news: string | undefined
  readonly #state = new LiveState(performance.timeOrigin)
  readonly #status: Status
  readonly #ended = new AbortController()
  #isBaselineGone = false
  #next: Config | undefined
  /** As they were read last: they may change without the configuration. */
  #rules = ''
  #log: Log | undefined
  #outputs: (Sink & { readonly reach: Reach }) | undefined

  constructor(config: Config, words: LiveWords, service: ServiceManager, former?: Config, news?: string) {
    this.#config = config
    this.#words = words
    this.#service = service
    this.#former = former
    this.#news = news
    this.#status = new Status(service, this.#state)
  }

  /**
   * Until the signal or a new configuration.
   * @returns the session that takes over
   * @throws UsageError when this configuration cannot be run, and there is none to go back to
   */
  async run(signal: AbortSignal): Promise<Session | undefined> {
    let lock: Lock | undefined
    let http: HttpServer | undefined
    try {
      const { auditd, db, log } = this.#config
      if (this.#former?.auditd !== auditd) checkAuditd(auditd)
      // Before anything is made: what is wrong with it must leave no trace.
      const brought = this.#words.onlyTrain ? undefined : this.#brought()
      // Before the lock: one that lies there without a baseline is a sign that somebody took it away.
      if (!this.#words.onlyTrain) http = await this.#serve()
      this.#isBaselineGone = existsSync(`${db}-lock`) && !existsSync(db)
      lock = acquireLock(db)
      this.#log = log === undefined ? undefined : openLog(log)
      this.#outputs = this.#opened()
      if (this.#news !== undefined) this.#say(this.#news)
      if (this.#former?.auditd !== auditd && (auditd === DEFAULT_LOG || sourceOf(auditd).kind === 'relay')) {
        const rules = await loadRulesWhereNone()
        if (rules !== undefined) this.#say(rules)
      }
      if (brought !== undefined && isUnbegun(db)) this.#take(brought)
      await runLive(this.#options(http), AbortSignal.any([signal, this.#ended.signal]))
    } catch (error) {
      const canGoBack = error instanceof UsageError && this.#former !== undefined && !this.#status.isReady
      if (!canGoBack) throw error
      return this.#successor(this.#former, undefined, kept(error))
    } finally {
      await http?.close()
      await this.#outputs?.close()
      await this.#log?.close()
      lock?.release()
    }
    return this.#next === undefined || signal.aborted
      ? undefined
      : this.#successor(this.#next, this.#config, undefined)
  }

  /** Reads the configuration again and makes room for it, unless it is wrong or says the same. */
  reload(): void {
    this.#service.tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`)
    try {
      const next = this.#words.reread?.() ?? this.#config
      requireLooks(next)
      const rules = JSON.stringify(readRules(next.rules))
      const changes =
        changesOf(this.#next ?? this.#config, next) || (rules === this.#rules ? '' : 'other rules')
      if (changes === '') this.#say('the configuration was read again: nothing has changed')
      else if (sourceOf(this.#config.auditd).kind === 'stdin')
        // What was read of it and is not finished could not be read again.
        this.#say(`standard input goes on as it was; a new start will have ${changes}`)
      else {
        this.#say(`the configuration was read again: ${changes}`)
        this.#next = next
        this.#rules = rules
        this.#ended.abort(RELOAD)
        return
      }
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      this.#say(kept(error))
    }
    this.#status.ready()
  }

  /** What is to be taken instead of training. @throws UsageError when it is wrong, or a file that was named is missing */
  #brought(): Brought | undefined {
    const { db, 'baseline-from': named } = this.#config
    const file = named ?? BROUGHT_BASELINE
    if (named === undefined && foundConfig([file]) === undefined) return undefined
    if (isUnbegun(db)) return readBrought(file)
    if (this.#former === undefined && this.#news === undefined && isPresent(file))
      this.#say(
        `${file} is not read: there is a baseline at ${db} (fullmon baseline import merges another into it)`,
      )
    return undefined
  }

  #take(brought: Brought): void {
    const edges = takeBrought(this.#config.db, brought)
    const { file, exported, isTrained } = brought
    this.#say(
      `the baseline is taken from ${file}: ${edges} edges${isTrained ? '' : '; its training was not over, and goes on'}`,
    )
    if (!exported.isSealed)
      this.#say(`${file} was exported by an older fullmon: nothing in it tells whether it is whole`)
  }

  async #serve(): Promise<HttpServer> {
    const { db, http } = this.#config
    const counter = new Counter(db)
    const sources = new AgentSources(db, this.#state, counter, thisBuild())
    const server = new HttpServer({ sources, counter, say: (text) => this.#say(text) })
    await server.open(http)
    return server
  }

  #successor(config: Config, former: Config | undefined, news: string | undefined): Session {
    return new Session(config, this.#words, this.#service, former, news)
  }

  #options(http: HttpServer | undefined): LiveOptions {
    const { auditd, db, log, baseline, monitor, networks, ports, rebase, rules, wait } = this.#config
    const written = readRules(rules)
    this.#rules = JSON.stringify(written)
    const { terminal, log: logged } = this.#config.outputs
    requireLooks(this.#config)
    const host = this.#config.scan.interval === 0 ? undefined : new HostWatch(this.#config)
    const { print, again } = printer({
      format: this.#words.format,
      origin: thisOrigin(),
      least: { output: terminal.min_severity, log: logged.min_severity },
      output: standardOutput(),
      ...(this.#log === undefined ? {} : { log: this.#log }),
    })
    return {
      ...{ auditd, db, log, networks, rebase },
      rules: bookOf(written, rules.skip, ports.watched),
      dnsInterface: this.#config['dns-interface'],
      isBaselineGone: this.#isBaselineGone,
      guarded: guarded(),
      configuration: [
        // Whether they are there or not: who makes one changes what the agent will do.
        ...decisiveFiles(this.#words.configFile, this.#config.profile),
        ...rules.folders.map((folder) => `${resolve(folder)}/`),
      ],
      serves: { socket: http?.socket, port: http?.port },
      reach: this.#outputs?.reach,
      learnDegraded: this.#config['learn-degraded'],
      alertsPerDay: this.#config['alerts-per-day'],
      alertsFrom: this.#config.alerts.min_severity,
      host,
      lifeSpan: { dormantDays: this.#config['dormant-days'], expireDays: this.#config['expire-days'] },
      trainingMs: inMs(baseline),
      monitorMs: inMs(monitor),
      pollMs: inMs(wait),
      onlyTrain: this.#words.onlyTrain,
      untilStable: this.#words.untilStable === true,
      emit: (report) => {
        print(report)
        this.#outputs?.offer(report)
        if (report.kind === 'blind-spot') this.#status.see(report)
      },
      emitAgain: (report) => {
        again(report)
        this.#outputs?.offer(report)
      },
      isEmitted: () => process.stdout.writableLength === 0,
      onPhase: (phase) => {
        this.#say(phaseText(phase))
        this.#state.enter(phase)
        if (phase.name === 'training' || phase.name === 'monitoring') this.#status.enter(phaseText(phase))
      },
      onReady: () => {
        if (!this.#status.isReady) this.#status.ready()
      },
      onPulse: (pulse) => {
        this.#state.pulse = pulse
        this.#state.scan = host?.latest
      },
    }
  }

  /** @throws UsageError when an output cannot begin */
  #opened(): Sink & { readonly reach: Reach } {
    const { db, outputs } = this.#config
    return openOutputs({
      config: outputs,
      folder: outputsFolder(db),
      configFile: this.#words.configFile ?? foundConfig(),
      origin: thisOrigin(),
      pid: process.pid,
      say: (text) => this.#say(text),
    })
  }

  #say(text: string): void {
    process.stderr.write(`fullmon: ${text}\n`)
    this.#log?.line(text)
  }
}

/** What the service manager shows of the agent. */
class Status {
  readonly #service: ServiceManager
  readonly #state: LiveState
  #phase = ''
  isReady = false

  constructor(service: ServiceManager, state: LiveState) {
    this.#service = service
    this.#state = state
  }

  ready(): void {
    this.isReady = true
    this.#service.tell('READY=1', this.#text())
  }

  enter(phase: string): void {
    this.#phase = phase
    if (this.isReady) this.#service.tell(this.#text())
  }

  see(spot: BlindSpot): void {
    if (this.#state.see(spot)) this.#service.tell(this.#text())
  }

  #text(): string {
    const reasons = this.#state.ongoing.map(({ reason }) => reason)
    const blind = reasons.length === 0 ? '' : `; degraded: ${reasons.join(', ')}`
    return `STATUS=${this.#phase}${blind}`
  }
}

function guarded(): readonly string[] {
  const rules = rulesFile()
  const shipped = `${SHIPPED_RULES}/`
  const around = STARTED_WITH.map((name) => `${dirname(rules)}/${name}`)
  return [OWN_PACKAGE, PROGRAM, rules, shipped, process.execPath, ...around, ...UNITS, PLUGIN_CONF]
}

const kept = ({ message }: Error): string =>
  `${message.replaceAll('\n', '; ')}; the configuration stays as it was`

/** What waits for the outputs, beside the baseline, whose name guards it. */
const outputsFolder = (db: string): string => resolve(`${db}-outputs`)

function phaseText(phase: Phase): string {
  switch (phase.name) {
    case 'training':
      return `training until ${timeText(phase.untilMs)}; nothing is reported before`
    case 'monitoring': {
      const { edges, unlearned } = phase
      const lost =
        unlearned === 0
          ? ''
          : `; ${unlearned} more were seen in windows with blind spots and not learned (--learn-degraded does)`
      return `monitoring: the baseline has ${edges} edges${lost}`
    }
    case 'faulty':
      return `the baseline cannot be written: ${phase.fault}; waiting, and the log waits too`
    case 'unwatched':
      return phase.reason
  }
}

/** One sentence for each thing that a live agent cannot do without. */
function checkAuditd(path: string): void {
  if (sourceOf(path).kind !== 'log') return
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === false)
      throw new UsageError(`${path} is not a file`)
    requireReadable(path)
  } catch (error) {
    if (error instanceof UsageError) throw error
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (!isMissing && process.getuid?.() !== 0) {
      throw new UsageError(`cannot read ${path}: run fullmon as root (sudo)`)
    }
    if (findCommand('auditd') === undefined) {
      throw new UsageError('auditd is not installed: apt-get install auditd')
    }
    throw new UsageError(`there is no log at ${path}: is auditd running? See fullmon doctor`)
  }
}
