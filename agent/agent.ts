import { resolve } from 'node:path'
import { Baseline, type Checkpoint } from './baseline/baseline.ts'
import type { TrainingPlan } from './detect/schedule.ts'
import type { Chunk } from './domain/chunk.ts'
import type { BlindSpot, Report, Tamper } from './domain/report.ts'
import { Engine } from './engine.ts'
import { snapshot, thisHost } from './support/procfs.ts'
import { follow } from './tail/follow.ts'
import { readStdin } from './tail/stdin.ts'

/**
 * When nothing has arrived for this long, and for two looks at the log, open events are given up and the host's clock is
 * the time of the log.
 */
const LEAST_QUIET_MS = 2000
const TICK_MS = 250
const STDIN = '-'

export interface LiveOptions {
  /** Log of auditd; `-` for standard input. */
  readonly auditd: string
  readonly db: string
  /** Log file that the agent itself writes to. */
  readonly log: string | undefined
  readonly trainingMs: number
  readonly monitorMs: number
  readonly rebase: boolean
  readonly pollMs: number
  /** Whether to end when the training does. */
  readonly onlyTrain: boolean
  readonly emit: (report: Report) => void
  /** Told once at the start, and when training ends. */
  readonly onPhase: (phase: Phase) => void
}

export type Phase =
  | { readonly name: 'training'; readonly untilMs: number }
  | { readonly name: 'monitoring'; readonly edges: number }

/** Follows the live log: trains if there is no trained baseline yet, then reports what was never seen. */
export async function runLive(options: LiveOptions, signal: AbortSignal): Promise<void> {
  const baseline = new Baseline(options.db)
  const trained = new AbortController()
  try {
    const engine = engineOf(baseline, options, () => {
      options.onPhase({ name: 'monitoring', edges: baseline.countEdges() })
      if (options.onlyTrain) trained.abort()
    })
    engine.core.processes.seed(snapshot())
    if (!engine.isTraining) options.onPhase({ name: 'monitoring', edges: baseline.countEdges() })
    engine.idle(Date.now())
    const { trainingEndMs } = engine
    if (trainingEndMs !== undefined) options.onPhase({ name: 'training', untilMs: trainingEndMs })
    const checkpoint = baseline.checkpoint(logName(options.auditd))
    const ended = AbortSignal.any([signal, trained.signal])
    const quietMs = Math.max(LEAST_QUIET_MS, 2 * options.pollMs)
    await pump(inputOf(options, checkpoint, ended), engine, quietMs, options.emit)
    if (ended.aborted) engine.stop()
    else engine.end()
  } finally {
    baseline.close()
  }
}

/** The same log is the same log, from whatever directory it was named. */
const logName = (auditd: string): string => resolve(auditd)

/** What is left of the training that was begun, or of a new one. */
export function planOf(
  baseline: Baseline,
  { trainingMs, onlyTrain }: Pick<LiveOptions, 'trainingMs' | 'onlyTrain'>,
): TrainingPlan {
  const trainings = baseline.trainings()
  if (!onlyTrain && trainings.at(-1)?.finished === true) return { kind: 'none' }
  const unfinished = trainings.slice(trainings.findLastIndex(({ finished }) => finished) + 1)
  const trainedMs = unfinished.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0)
  return { kind: 'for', durationMs: Math.max(0, trainingMs - trainedMs) }
}

function engineOf(baseline: Baseline, options: LiveOptions, onTrained: () => void): Engine {
  const { auditd, db, log, monitorMs, rebase, emit } = options
  return new Engine({
    baseline,
    world: thisHost(),
    plan: planOf(baseline, options),
    monitorMs,
    rebase,
    emit,
    onTrained,
    latestMs: Date.now,
    ...(auditd === STDIN ? {} : { log: logName(auditd) }),
    own: {
      pid: process.pid,
      places: [resolve(db), ...(log === undefined ? [] : [resolve(log)])],
    },
  })
}

function inputOf(
  { auditd, pollMs }: LiveOptions,
  checkpoint: Checkpoint | undefined,
  signal: AbortSignal,
): AsyncIterable<Chunk | BlindSpot | Tamper> {
  if (auditd === STDIN) return readStdin(signal)
  const from = checkpoint === undefined ? {} : { from: checkpoint.position, fromMs: checkpoint.clockMs }
  return follow(auditd, { ...from, startAt: 'end', pollMs, signal })
}

/** Until the input ends. Between two chunks only the ticking can run. */
async function pump(
  input: AsyncIterable<Chunk | BlindSpot | Tamper>,
  engine: Engine,
  quietMs: number,
  emit: (report: Report) => void,
): Promise<void> {
  let arrivedMs = Date.now()
  const ticking = setInterval(() => {
    const nowMs = Date.now()
    if (nowMs - arrivedMs >= quietMs) engine.idle(nowMs)
  }, TICK_MS)
  try {
    for await (const news of input) {
      if (!('kind' in news)) engine.ingest(news)
      else if (news.kind === 'blind-spot') engine.wentBlind(news)
      else emit(news)
      arrivedMs = Date.now()
    }
  } finally {
    clearInterval(ticking)
  }
}
