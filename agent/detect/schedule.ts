/** How long to learn before anything is reported. Times are Unix time in milliseconds. */
export type TrainingPlan =
  | { readonly kind: 'none' }
  | { readonly kind: 'until'; readonly timeMs: number }
  | { readonly kind: 'for'; readonly durationMs: number }
  | { readonly kind: 'everything' }

/** A stamp that lags further behind the log than this is that of a call which blocked: it is dated by its arrival. */
const MOST_LAG_MS = 2000
/** Last moment that a Date can say. */
const LATEST_MS = 8.64e15

/**
 * When to learn and when to report, by the log's own time: the newest stamp so far, which never goes back.
 *
 * Training ends at a moment; after it, windows of equal length follow each other without a gap.
 */
export class Schedule {
  private newestMs: number | undefined
  private endOfTrainingMs: number | undefined
  private endOfWindowMs = Number.POSITIVE_INFINITY
  private readonly plan: TrainingPlan
  private readonly windowMs: number

  constructor(plan: TrainingPlan, windowMs: number) {
    this.plan = plan
    this.windowMs = windowMs
  }

  /** Time has come to `timeMs`. Earlier times change nothing. */
  advance(timeMs: number): void {
    if (this.newestMs === undefined) this.begin(timeMs)
    else if (timeMs > this.newestMs) this.newestMs = timeMs
  }

  /** The clock was set back to `timeMs`: everything that is yet to come moves with it. */
  turnBack(timeMs: number): void {
    if (this.newestMs === undefined || this.endOfTrainingMs === undefined) return
    const byMs = this.newestMs - timeMs
    if (!this.isTrained) this.endOfTrainingMs -= byMs
    this.endOfWindowMs -= byMs
    this.newestMs = timeMs
  }

  /** Whether at `timeMs` something begins or ends: the log, the training, a window. */
  isDue(timeMs: number): boolean {
    if (this.newestMs === undefined || this.endOfTrainingMs === undefined) return true
    return timeMs >= this.endOfWindowMs || (!this.isTrained && timeMs >= this.endOfTrainingMs)
  }

  /** The newest time so far; undefined before the first event. */
  get nowMs(): number | undefined {
    return this.newestMs
  }

  /** When training ends; undefined before the first event. */
  get trainingEndMs(): number | undefined {
    return this.endOfTrainingMs
  }

  /** Whether training has ended. */
  get isTrained(): boolean {
    return (
      this.newestMs !== undefined &&
      this.endOfTrainingMs !== undefined &&
      this.newestMs >= this.endOfTrainingMs
    )
  }

  /** Whether an event with this stamp belongs to the training. */
  isInTraining(stampMs: number): boolean {
    if (this.newestMs === undefined || this.endOfTrainingMs === undefined) return false
    const timeMs = stampMs < this.newestMs - MOST_LAG_MS ? this.newestMs : stampMs
    return timeMs < this.endOfTrainingMs
  }

  /** The end of a window that has passed, handed out once; undefined while the window goes on. */
  passedWindow(): number | undefined {
    if (this.newestMs === undefined || this.newestMs < this.endOfWindowMs) return undefined
    const windows = Math.floor((this.newestMs - this.endOfWindowMs) / this.windowMs)
    // Of several windows without any event between them, the last one speaks for all.
    const endMs = this.endOfWindowMs + windows * this.windowMs
    this.endOfWindowMs = endMs + this.windowMs
    return endMs
  }

  private begin(timeMs: number): void {
    this.newestMs = timeMs
    this.endOfTrainingMs = endOfTraining(this.plan, timeMs)
    const firstWindow = this.plan.kind === 'none' ? timeMs : Math.max(timeMs, this.endOfTrainingMs)
    this.endOfWindowMs = firstWindow + this.windowMs
  }
}

function endOfTraining(plan: TrainingPlan, startMs: number): number {
  switch (plan.kind) {
    case 'none':
      return Number.NEGATIVE_INFINITY
    case 'until':
      return Math.min(Math.round(plan.timeMs), LATEST_MS)
    case 'for':
      return Math.min(Math.round(startMs + plan.durationMs), LATEST_MS)
    case 'everything':
      return Number.POSITIVE_INFINITY
  }
}
