import { readdirSync, statSync } from 'node:fs'
import { setImmediate, setTimeout } from 'node:timers/promises'
import type { Heuristic, ProcessScan, ScannedProcess, UnreadCounts } from '../domain/scan.ts'
import { thisHost } from '../support/procfs.ts'
import { Allowlist, type AllowlistSettings } from './allowlist.ts'
import { ChosenPaths } from './chosen-paths.ts'
import { Digests } from './digests.ts'
import { marksOf, type Subject, type Surroundings } from './heuristics.ts'
import { likenessOf, portsHandedOut } from './habits.ts'
import { Model } from './model.ts'
import { NetworkSockets } from './network-sockets.ts'
import { kernelThreadAt, seeProcess, type SeenProcess } from './processes.ts'
import { placeOf } from './sockets.ts'
import { scoreOf, type ScoreSettings } from './score.ts'

/** How long the agent may do nothing else. */
const SLICE_MS = 10
const MANY_PLACES = 64
/** No exec and no end of a process takes so long. */
const SETTLING_MS = 100

/** What a scan needs of the configuration. */
export interface ScanSettings {
  readonly scan: ScoreSettings & {
    readonly cpu_high: number
    readonly weights: Readonly<Record<Heuristic, number>>
  }
  readonly allowlist: AllowlistSettings
  readonly ports: { readonly watched: readonly number[] }
}

/** Looks at all processes of this host, again and again. What they work is measured from one look to the next. */
export class ProcessScanner {
  private readonly settings: ScanSettings
  private readonly allowlist: Allowlist
  private readonly digests = new Digests()
  private readonly host = thisHost()
  /** Of the last look: what a process had worked then, by its pid and start. */
  private worked: { readonly atMs: number; readonly cpuMs: ReadonlyMap<string, number> } | undefined

  private readonly settle: () => Promise<unknown>

  /** @param settle waits before a process is looked at again that was in the midst of something */
  constructor(settings: ScanSettings, settle: () => Promise<unknown> = () => setTimeout(SETTLING_MS)) {
    this.settings = settings
    this.settle = settle
    this.allowlist = new Allowlist(settings.allowlist)
  }

  /**
   * Work is done in short slices, so that others have their turn.
   * @throws when /proc cannot be read, whatever the processes do
   * @param model what was learned of processes: see `withModel`
   */
  async look(model = new Model()): Promise<ProcessScan> {
    const timeMs = Date.now()
    const slices = new Slices()
    const paths = new ChosenPaths()
    const { seen, kernelThreads } = await this.seeAll(slices, paths)
    const atMs = performance.now()
    const subjects = seen.map((process) => this.measured(process, timeMs, atMs))
    this.worked = { atMs, cpuMs: new Map(seen.map((process) => [keyOf(process), process.cpuMs])) }
    const around = this.around(seen, kernelThreads, model)
    const processes: ScannedProcess[] = []
    for (const subject of subjects) {
      const { pid } = subject.process
      const sha256 = this.allowlist.hasDigests ? await this.digests.of(pid, paths) : undefined
      processes.push(this.judged(subject, around, model, sha256))
      await slices.next()
    }
    return {
      kind: 'scan',
      timeMs,
      processes,
      suspicious: processes.filter(({ isSuspicious }) => isSuspicious).length,
      unread: unreadIn(seen),
      surpriseFrom: model.sources,
      unlearned: model.missing ?? null,
      busyMs: slices.done(),
    }
  }

  private async seeAll(
    slices: Slices,
    paths: ChosenPaths,
  ): Promise<{ readonly seen: readonly SeenProcess[]; readonly kernelThreads: ReadonlySet<string> }> {
    const networks = new NetworkSockets()
    const see = (pid: number): SeenProcess | undefined => seeProcess(pid, this.host.userName, networks, paths)
    const seen: SeenProcess[] = []
    const kernelThreads = new Set<string>()
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue
      const pid = Number(name)
      const process = see(pid)
      const kernelThread = process === undefined ? kernelThreadAt(pid) : undefined
      if (process !== undefined) seen.push(process)
      else if (kernelThread !== undefined) kernelThreads.add(kernelThread)
      await slices.next()
    }
    if (!seen.some(isBlank)) return { seen, kernelThreads }
    // In the midst of an exec, and of its end, a process has no command line for a moment.
    await slices.pause(this.settle)
    return {
      seen: seen.flatMap((process) => (isBlank(process) ? (see(process.pid) ?? []) : process)),
      kernelThreads,
    }
  }

  private measured(process: SeenProcess, timeMs: number, atMs: number): Subject {
    const before = this.worked?.cpuMs.get(keyOf(process))
    const cpuOverMs =
      this.worked === undefined || before === undefined
        ? Math.max(0, timeMs - process.startMs)
        : atMs - this.worked.atMs
    const cpuPercent = cpuOverMs > 0 ? ((process.cpuMs - (before ?? 0)) / cpuOverMs) * 100 : 0
    return { process, cpuPercent: Math.round(cpuPercent * 10) / 10, cpuOverMs }
  }

  private around(
    seen: readonly SeenProcess[],
    kernelThreads: ReadonlySet<string>,
    model: Model,
  ): Surroundings {
    return {
      byPid: new Map(seen.map((process) => [process.pid, process])),
      kernelThreads,
      watchedPorts: new Set(this.settings.ports.watched),
      handedOut: portsHandedOut(),
      cpuHigh: this.settings.scan.cpu_high,
      packagedMs: this.host.packagedMs,
      isUsualParent: (parent, child) => model.isUsualParent(parent, child),
    }
  }

  private judged(
    subject: Subject,
    around: Surroundings,
    model: Model,
    sha256: string | undefined,
  ): ScannedProcess {
    const { process: seen } = subject
    const { scan } = this.settings
    const facts = factsOf(subject, sha256)
    // What looks for others would find itself at work.
    if (seen.pid === process.pid) return { ...facts, ...UNJUDGED }
    const parent = around.byPid.get(seen.ppid)
    const marks = marksOf(subject, around, scan.weights)
    const isPackaged = (path: string): boolean => around.packagedMs(path) !== undefined
    const likeness = likenessOf(facts, parent, around.handedOut)
    const surprise = seen.isZombie ? undefined : model.surpriseOf(seen, parent, likeness, isPackaged)
    const allowlistedBy = this.allowlist.entryFor(seen, sha256) ?? null
    return {
      ...facts,
      marks,
      surprise: surprise?.surprise ?? null,
      surpriseReasons: surprise?.reasons ?? [],
      ...scoreOf(marks, surprise?.surprise ?? 0, allowlistedBy !== null, scan),
      allowlistedBy,
    }
  }
}

const isBlank = ({ argv, isZombie }: SeenProcess): boolean => !isZombie && argv.every((word) => word === '')

type Judgement = Pick<
  ScannedProcess,
  'marks' | 'surprise' | 'surpriseReasons' | 'score' | 'isSuspicious' | 'allowlistedBy'
>

const UNJUDGED: Judgement = {
  ...{ marks: [], surprise: null, surpriseReasons: [] },
  ...{ score: 0, isSuspicious: false, allowlistedBy: null },
}

function factsOf(
  { process: seen, cpuPercent }: Subject,
  sha256: string | undefined,
): Omit<ScannedProcess, keyof Judgement> {
  const { pid, ppid, name, uid, user, container, exe, script, comm, argv, startMs, rssBytes, tty } = seen
  return {
    ...{ pid, ppid, name, uid, user, container, exe, comm, argv, startMs, rssBytes, cpuPercent },
    script: script === '' ? null : script,
    forged: seen.forged ?? null,
    tty: tty ?? null,
    listens: [...new Set(seen.listening.map(placeOf))].sort().slice(0, MANY_PLACES),
    connections: seen.outgoing.length,
    sha256: sha256 ?? null,
  }
}

/** Work that is interrupted now and then for whatever else is to be done. */
class Slices {
  private busyMs = 0
  private sinceMs = performance.now()

  async next(): Promise<void> {
    const forMs = performance.now() - this.sinceMs
    if (forMs < SLICE_MS) return
    this.busyMs += forMs
    await setImmediate()
    this.sinceMs = performance.now()
  }

  async pause(wait: () => Promise<unknown>): Promise<void> {
    this.busyMs += performance.now() - this.sinceMs
    await wait()
    this.sinceMs = performance.now()
  }

  /** How long was worked altogether. */
  done(): number {
    return Math.round(this.busyMs + performance.now() - this.sinceMs)
  }
}

/** A pid is used again, a pid with its start is not. */
const keyOf = ({ pid, startTicks }: SeenProcess): string => `${pid} ${startTicks}`

function unreadIn(seen: readonly SeenProcess[]): UnreadCounts {
  const count = (what: 'exe' | 'memory' | 'sockets' | 'cut'): number =>
    seen.filter(({ unread }) => unread.has(what)).length
  return {
    exe: count('exe'),
    memory: count('memory'),
    sockets: count('sockets'),
    cut: count('cut'),
    isHidden: statSync('/proc/1', { throwIfNoEntry: false }) === undefined,
  }
}
