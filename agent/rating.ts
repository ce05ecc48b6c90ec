import type { Baseline } from './baseline/baseline.ts'
import type { Sources } from './baseline/sources.ts'
import { domainOf } from './detect/places.ts'
import { DUTY_BITS, isDuty } from './detect/duties.ts'
import { type Observations, type Source, surpriseOf } from './detect/surprise.ts'
import type { Edge, EdgeKind } from './domain/edge.ts'

const DAY_MS = 86_400_000
/** A minute is what the baseline counts as one observation. */
const WINDOW_MS = 60_000
/** Days say something of a source that was seen over so many of them. */
const LEAST_DAYS = 3
/** Places whose count is remembered: their names may be long. */
const MOST_HABITS = 100

/**
 * How surprising unseen edges are, by what the baseline tells of their sources. For one moment: the end of a window, so
 * that it depends neither on how a log is cut into chunks nor on restarts.
 */
export class Rating {
  private readonly known: Sources
  private readonly learnedWindows: number
  private readonly sources = new Map<string, Source>()
  private readonly habits = new Map<string, number>()

  constructor(baseline: Baseline, timeMs: number) {
    this.known = baseline.sourcesNow()
    this.learnedWindows = learnedMs(baseline, timeMs) / WINDOW_MS
  }

  /** In bits. `chain` is one that the edge was seen in. */
  bitsOf(edge: Edge, chain: readonly string[]): number {
    const source = this.sourceOf(edge.from, chain.at(-3))
    const bits = surpriseOf(edge.kind, source, this.known.reach(edge), this.habitOf(edge))
    return isDuty(edge) ? Math.min(bits, DUTY_BITS) : bits
  }

  /** How many alike its source has where it is, when that is a place of files. */
  private habitOf(edge: Edge): number {
    const beginnings = domainOf(edge)
    const [first] = beginnings
    if (first === undefined) return 0
    const key = `${edge.kind} ${edge.from} ${first}`
    const known = this.habits.get(key)
    if (known !== undefined) return known
    const count = this.known.countIn(edge, beginnings)
    if (this.habits.size >= MOST_HABITS) this.habits.clear()
    this.habits.set(key, count)
    return count
  }

  private sourceOf(process: string, parent: string | undefined): Source {
    const known = this.sources.get(process)
    if (known !== undefined) return known
    const source = this.read(process, parent)
    this.sources.set(process, source)
    return source
  }

  private read(process: string, parent: string | undefined): Source {
    const rows = this.known.kindsOf(process)
    const runs = this.known.runsOf(process)
    const minutes = observations(runs.minutes, [
      ...rows.map(({ kind, minutes: count, onceAMinute: once }) => ({ kind, count, once })),
      // What it went on to do since the training was also seen just once, as far as it was new.
      ...this.known.unseenOf(process).map(({ kind, windows }) => ({ kind, count: windows, once: windows })),
    ])
    if (minutes.count === 0) return this.stranger(process, parent)
    const days = observations(
      runs.days,
      rows.map(({ kind, days: count, onceADay: once }) => ({ kind, count, once })),
    )
    const firstMs = Math.min(...rows.map((row) => row.firstMs))
    const lastMs = Math.max(...rows.map((row) => row.lastMs))
    const spanDays = Math.floor(lastMs / DAY_MS) - Math.floor(firstMs / DAY_MS) + 1
    return { minutes, days: spanDays >= LEAST_DAYS ? days : undefined }
  }

  /**
   * One that was never seen makes new edges, whatever it does: what is surprising is the step that led to it. Without
   * such a step it was there all the time and did nothing.
   */
  private stranger(process: string, parent: string | undefined): Source {
    const isIntroduced = parent !== undefined && this.known.isIntroduced(process, parent)
    const count = isIntroduced ? 0 : this.learnedWindows
    return { minutes: { count, once: new Map() }, days: undefined }
  }
}

/** How long was learned from, up to `timeMs`. */
const learnedMs = (baseline: Baseline, timeMs: number): number =>
  baseline.trainings
    .all()
    .reduce((sum, { fromMs, toMs, finished }) => sum + Math.max(0, (finished ? toMs : timeMs) - fromMs), 0)

const observations = (
  runs: number,
  rows: readonly { readonly kind: EdgeKind; readonly count: number; readonly once: number }[],
): Observations => {
  const onceByKind = new Map<EdgeKind, number>()
  for (const { kind, once } of rows) onceByKind.set(kind, (onceByKind.get(kind) ?? 0) + once)
  return { count: rows.reduce((sum, { count }) => sum + count, runs), once: onceByKind }
}
