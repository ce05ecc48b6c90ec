import { z } from 'zod'
import type { HostLook, Observation } from '../domain/alert.ts'
import type { BlindSpot } from '../domain/report.ts'
import type { ProcessScan, ScannedProcess } from '../domain/scan.ts'
import { printable } from '../graph/names.ts'
import { type ProcessPattern, RequiredProcesses, withoutExpected } from './expected.ts'
import { type LayersSeen, LayerWatch } from './layer-watch.ts'
import { withModel } from './learned.ts'
import { lookAtRoot } from './root.ts'
import { ProcessScanner, type ScanSettings } from './scanner.ts'
import { suspiciousProcesses } from './suspicious.ts'

/** What the watch needs of the configuration. */
export type WatchSettings = ScanSettings & {
  /** The baseline. */
  readonly db: string
  readonly scan: { readonly interval: number; readonly expect_readonly_root: boolean }
  readonly processes: {
    readonly expected: readonly ProcessPattern[]
    readonly required: readonly ProcessPattern[]
  }
  readonly containers: { readonly layers: boolean; readonly allowlist: readonly string[] }
}

/** What a look is told of whoever asks for it. */
export interface LookOptions {
  /** Whether what is there now is normal. */
  readonly isTraining: boolean
  readonly onBlind: (spot: BlindSpot) => void
  /** Ends a look that goes on. */
  readonly signal: AbortSignal
}

const Memory = z.object({
  layers: z.unknown(),
  absences: z.record(z.string(), z.object({ sinceMs: z.number(), looks: z.int() })),
  /** How many processes were suspicious. */
  usual: z.int().nullable(),
})
type Memory = z.infer<typeof Memory>

const NEW: Memory = { layers: undefined, absences: {}, usual: null }
/** Complaints that are remembered to be told once. */
const MOST_COMPLAINTS = 100
const MOST_TOLD = 3
/** Large layers are looked at more seldom, so that it takes a twentieth of the time at most. */
const LAYERS_SHARE = 20
const NO_LAYERS: LayersSeen = { observations: [], unseen: [] }
const MEMORY = 'host'
const LESSONS = 'host-learned'

/** Looks at the host itself: its processes, the layers of its containers, its root file system. */
export class HostWatch {
  /** Between two looks. */
  readonly intervalMs: number
  private readonly settings: WatchSettings
  private readonly scanner: ProcessScanner
  private readonly required: RequiredProcesses
  private readonly layers: LayerWatch
  private layersSeen = NO_LAYERS
  /** By the clock of `performance.now`. */
  private layersDueMs = 0
  private readonly blindness = new Blindness()
  private kept: Memory = NEW
  /** How much of what was learned is kept. */
  private keptLessons = 0
  private isLooking = false
  /** What the last look found, but for processes that are expected. */
  latest: ProcessScan | undefined

  constructor(settings: WatchSettings) {
    this.settings = settings
    this.intervalMs = settings.scan.interval * 1000
    this.scanner = new ProcessScanner(settings)
    this.required = new RequiredProcesses(settings.processes.required)
    this.layers = new LayerWatch(settings.containers.allowlist)
  }

  /** What must be remembered over a restart and has changed since this was asked last, as JSON by name. */
  takeMemory(): ReadonlyMap<string, unknown> {
    const { book } = this.layers
    const memory = new Map<string, unknown>([[MEMORY, { ...this.kept, layers: book.memory }]])
    if (book.lessons.size !== this.keptLessons) memory.set(LESSONS, [...book.lessons])
    this.keptLessons = book.lessons.size
    return memory
  }

  /** Goes on where memory was taken, or anew when there is none. */
  restore(memory: (name: string) => unknown): void {
    this.kept = Memory.safeParse(memory(MEMORY)).data ?? NEW
    const { book } = this.layers
    book.restore(this.kept.layers, memory(LESSONS))
    this.keptLessons = book.lessons.size
    this.layersDueMs = 0
  }

  /** What is wrong now; undefined while another look goes on, or when it was ended. What cannot be looked at is told. */
  async look(nowMs: number, options: LookOptions): Promise<readonly HostLook[] | undefined> {
    if (this.isLooking) return undefined
    this.isLooking = true
    try {
      return await this.lookAtAll(nowMs, options)
    } finally {
      this.isLooking = false
    }
  }

  private async lookAtAll(nowMs: number, options: LookOptions): Promise<readonly HostLook[] | undefined> {
    const isOver = (): boolean => options.signal.aborted
    const complaints: string[] = []
    const attempt = async <T>(what: string, work: () => Promise<T> | T): Promise<T | undefined> => {
      try {
        return await work()
      } catch (error) {
        complaints.push(`${what}: ${printable(error instanceof Error ? error.message : String(error))}`)
        return undefined
      }
    }
    const scan = await attempt('processes', () =>
      withModel(this.settings.db, (model) => this.scanner.look(model)),
    )
    if (isOver()) return undefined
    const looks: HostLook[] = []
    if (scan !== undefined) {
      complaints.push(...unreadIn(scan))
      looks.push(...this.judgeProcesses(scan, nowMs, options.isTraining))
      const layers = await attempt('layers of containers', () => this.lookAtLayers(scan, nowMs, options))
      if (isOver()) return undefined
      if (layers !== undefined) {
        complaints.push(...layers.unseen)
        looks.push({ source: 'layer', observations: layers.observations })
      }
    }
    const root = await attempt('root file system', () =>
      this.settings.scan.expect_readonly_root ? lookAtRoot() : [],
    )
    if (root !== undefined) looks.push({ source: 'root', observations: root })
    const spot = this.blindness.look(complaints, nowMs)
    if (spot !== undefined) options.onBlind(spot)
    return looks
  }

  private judgeProcesses(scan: ProcessScan, nowMs: number, isTraining: boolean): HostLook[] {
    const { absences, observations } = this.required.look(scan.processes, this.kept.absences, nowMs)
    this.latest = withoutExpected(scan, this.settings.processes.expected)
    const suspicious = this.latest.processes.filter(({ isSuspicious }) => isSuspicious)
    const before = isTraining ? suspicious.length : (this.kept.usual ?? suspicious.length)
    // A change is one once.
    this.kept = { ...this.kept, absences, usual: suspicious.length }
    return [
      { source: 'missing', observations },
      { source: 'process', observations: suspiciousProcesses(suspicious) },
      { source: 'count', observations: changedCount(suspicious, before) },
    ]
  }

  private async lookAtLayers(
    { processes }: ProcessScan,
    nowMs: number,
    { isTraining, signal }: LookOptions,
  ): Promise<LayersSeen> {
    if (!this.settings.containers.layers) return NO_LAYERS
    const atMs = performance.now()
    if (atMs < this.layersDueMs) return this.layersSeen
    this.layersSeen = await this.layers.look(processes, nowMs, isTraining, signal)
    this.layersDueMs = atMs + LAYERS_SHARE * (performance.now() - atMs)
    return this.layersSeen
  }
}

/** That there are fewer is told by the alerts of those that are gone. */
function changedCount(suspicious: readonly ScannedProcess[], before: number): Observation[] {
  const count = suspicious.length
  if (count <= before) return []
  const are = (number: number): string => (number === 1 ? '1 process is' : `${number} processes are`)
  return [
    {
      source: 'count',
      key: 'suspicious',
      severity: 'low',
      title: `${are(count)} suspicious, where it was ${before} before`,
      reasons: ['the number of suspicious processes has changed'],
      next: ['fullmon scan'],
      subject: { count, before, pids: suspicious.map(({ pid }) => pid).slice(0, 20) },
    },
  ]
}

/** Without numbers, which change from one look to the next. */
function unreadIn({ unread }: ProcessScan): string[] {
  return [
    ...(unread.isHidden ? ['/proc hides the processes of others (hidepid)'] : []),
    ...(unread.exe > 0 ? ['the programs of some processes could not be read'] : []),
    ...(unread.sockets > 0 ? ['the connections of some processes could not be read'] : []),
    ...(unread.memory > 0 ? ['the memory of some processes could not be read'] : []),
    ...(unread.cut > 0 ? ['some processes could only be looked at in part'] : []),
  ]
}

/** What two looks in a row could not see: what begins or ends between two sights is soon gone. */
class Blindness {
  private before: ReadonlySet<string> = new Set()
  private told = new Set<string>()
  private sinceMs: number | undefined

  look(complaints: readonly string[], nowMs: number): BlindSpot | undefined {
    const lasting = complaints.filter((complaint) => this.before.has(complaint)).sort()
    this.before = new Set(complaints.slice(0, MOST_COMPLAINTS))
    if (lasting.length === 0) return this.end(nowMs)
    this.sinceMs ??= nowMs
    if (lasting.every((complaint) => this.told.has(complaint))) return undefined
    this.told = new Set(lasting.slice(0, MOST_COMPLAINTS))
    const more = lasting.length > MOST_TOLD ? `; and ${lasting.length - MOST_TOLD} more` : ''
    const detail = `the host could not be looked at whole: ${lasting.slice(0, MOST_TOLD).join('; ')}${more}`
    return { ...spotOf(this.sinceMs, nowMs, detail, lasting.length), isOngoing: true }
  }

  private end(nowMs: number): BlindSpot | undefined {
    const { sinceMs } = this
    this.sinceMs = undefined
    this.told.clear()
    return sinceMs === undefined
      ? undefined
      : spotOf(sinceMs, nowMs, 'the host can be looked at whole again', 0)
  }
}

const spotOf = (fromMs: number, toMs: number, detail: string, count: number): BlindSpot => ({
  ...{ kind: 'blind-spot', reason: 'host-unscanned', fromMs, toMs, count, detail },
})
