import { newestAlertsIn } from '../baseline/alert-list.ts'
import { storageFault } from '../baseline/fault.ts'
import { incidentGraphOf } from '../baseline/graph.ts'
import { neighbourhoodOf } from '../baseline/neighbourhood.ts'
import { contentsOf } from '../baseline/contents.ts'
import { noAlerts, type Vitals, vitalsOf } from '../baseline/vitals.ts'
import { UsageError } from '../domain/result.ts'
import { healthOf, type HealthReason, type Signs } from '../health.ts'
import { learningIn, standingObject, standingOf } from '../standing.ts'
import type { Counter } from './counter.ts'
import type { LiveState } from './live-state.ts'
import { type Build, metricsOf } from './metrics.ts'
import type { Sources } from './routes.ts'
import type { HealthView, Lag } from './view.ts'

/** The agent works on the baseline, too: who asks can ask again. */
const PATIENCE_MS = 100
/** An agent looks at its work four times a second. */
const MOST_SILENT_MS = 60_000

/** Answers from a running agent and its baseline, which is opened for each, to read only. */
export class AgentSources implements Sources {
  readonly live: LiveState
  readonly #db: string
  readonly #build: Build
  readonly #counter: Counter

  constructor(db: string, live: LiveState, counter: Counter, build: Build) {
    this.#db = db
    this.live = live
    this.#counter = counter
    this.#build = build
  }

  health(): HealthView {
    return this.#healthNow().view
  }

  metrics(): ReturnType<Sources['metrics']> {
    const { view, isDegraded } = this.#healthNow()
    const { counts } = this.#counter
    return metricsOf({ build: this.#build, live: this.live, health: view, isDegraded, counts })
  }

  alerts(filter: Parameters<Sources['alerts']>[0]): ReturnType<Sources['alerts']> {
    return readable(() => newestAlertsIn(this.#db, filter, PATIENCE_MS))
  }

  status(): object {
    return readable(() => standingObject(standingOf(this.#db, PATIENCE_MS, this.#counter.counts)))
  }

  baseline(): object {
    return readable(() => ({ db: this.#db, ...contentsOf(this.#db, PATIENCE_MS), ...this.#counted() }))
  }

  incidentGraph(id: number, mostEdges: number): ReturnType<Sources['incidentGraph']> {
    return readable(() => incidentGraphOf(this.#db, id, mostEdges, PATIENCE_MS))
  }

  neighbourhood(node: string, depth: number, mostEdges: number): ReturnType<Sources['neighbourhood']> {
    return readable(() => neighbourhoodOf(this.#db, node, depth, mostEdges, PATIENCE_MS))
  }

  #healthNow(): { readonly view: HealthView; readonly isDegraded: boolean } {
    const { live } = this
    const nowMs = Date.now()
    const { vitals, reasons } = this.#vitals(nowMs)
    const { coverage } = vitals ?? {}
    // What an agent before this one has told is past.
    const isDegraded = coverage?.isDegraded === true && coverage.timeMs >= live.startMs
    const { phase, ongoing, pulse, scan } = live
    const signs: Signs = {
      phase: vitals?.phase ?? 'absent',
      alerts: vitals?.alerts ?? noAlerts(),
      newest: vitals?.newest ?? [],
      ...{ pid: process.pid, aliveMs: pulse?.atMs, ongoing, isDegraded },
    }
    const health = healthOf(signs, nowMs, MOST_SILENT_MS)
    const view: HealthView = {
      ...{ healthy: health.isHealthy && reasons.length === 0, phase },
      reasons: [...reasons, ...health.reasons],
      kernel: live.isKernelWatched ? 'watched' : 'unwatched',
      alerts: vitals?.alerts ?? null,
      scan:
        scan === undefined
          ? null
          : {
              timeMs: scan.timeMs,
              processes: scan.processes.length,
              suspicious: scan.suspicious,
            },
      ...{ lag: lagOf(live, nowMs), pid: process.pid, aliveMs: pulse?.atMs ?? null, timeMs: nowMs },
    }
    return { view, isDegraded }
  }

  #vitals(nowMs: number): { readonly vitals?: Vitals; readonly reasons: readonly HealthReason[] } {
    try {
      return { vitals: readable(() => vitalsOf(this.#db, nowMs, PATIENCE_MS)), reasons: [] }
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      return { reasons: [{ code: 'unreadable', text: error.message }] }
    }
  }

  #counted(): object {
    const { counts } = this.#counter
    if (counts === undefined) return {}
    const { edges, nodes, patterns, findings, incidents } = counts
    const learning = learningIn(counts)
    return { edges, nodes, patterns, findings, incidents, learning: learning ?? null }
  }
}

function lagOf({ pulse }: LiveState, nowMs: number): Lag | null {
  const { readMs, behindBytes } = pulse ?? {}
  if (readMs === undefined || behindBytes === undefined) return null
  return { bytes: behindBytes, ms: behindBytes === 0 ? 0 : Math.max(0, nowMs - readMs) }
}

/** @throws UsageError also when the disk, or another program, keeps the baseline from being read */
function readable<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    const fault = storageFault(error)
    throw fault === undefined
      ? error
      : new UsageError(`the baseline cannot be read: ${fault}`, { cause: error })
  }
}
