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
const FOREVER = Number.POSITIVE_INFINITY

/** What a schedule needs to go on. */
export type ScheduleState = readonly [newestMs: number, endOfWindowMs: number]

/**
 * When to learn and when to report, by the log's own time: the newest stamp so far, which never goes back.
 *
 * Windows of equal length follow each other without a gap, but for the last one of the training, which ends with it.
 */
export class Schedule {
  private newestMs: number | undefined
  private endOfTrainingMs: number | undefined
  private endOfWindowMs = FOREVER
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

  /** The training is over now. */
  endTraining(): void {
    this.endOfTrainingMs = this.newestMs
  }

  /** The clock was set back to `timeMs`: everything that is yet to come moves with it. */
  turnBack(timeMs: number): void {
    if (this.newestMs === undefined || this.endOfTrainingMs === undefined) return
    const byMs = this.newestMs - timeMs
    // A training that is over does not begin again because its end lies ahead again.
    this.endOfTrainingMs = this.isTrained ? -FOREVER : this.endOfTrainingMs - byMs
    this.endOfWindowMs -= byMs
    this.newestMs = timeMs
  }

  /** Whether at `timeMs` something begins or ends: the log, the training, a window. */
  isDue(timeMs: number): boolean {
    return this.newestMs === undefined || timeMs >= this.endOfWindowMs
  }

  /** Goes on where another one stopped; the plan says how long the training goes on from there. */
  resume([newestMs, endOfWindowMs]: ScheduleState): void {
    this.newestMs = newestMs
    this.endOfTrainingMs = endOfTraining(this.plan, newestMs)
    // Windows may be shorter now, and whoever has written here may not make one that never ends.
    this.endOfWindowMs = Math.min(endOfWindowMs, this.windowEndAfter(newestMs))
  }

  /** What `resume` takes; undefined before the first event. */
  get memory(): ScheduleState | undefined {
    return this.newestMs === undefined ? undefined : [this.newestMs, this.endOfWindowMs]
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

  /**
   * The end of a window that has passed, handed out once; undefined while the window goes on. To be asked again until
   * then: after the last window of the training come those behind it.
   */
  passedWindow(): number | undefined {
    if (this.newestMs === undefined || this.newestMs < this.endOfWindowMs) return undefined
    const lastMs =
      this.endOfWindowMs <= this.trainedMs ? Math.min(this.newestMs, this.trainedMs) : this.newestMs
    const windows = Math.floor((lastMs - this.endOfWindowMs) / this.windowMs)
    // Of several windows without any event between them, the last one speaks for all.
    const endMs = this.endOfWindowMs + windows * this.windowMs
    this.endOfWindowMs = this.windowEndAfter(endMs)
    return endMs
  }

  private begin(timeMs: number): void {
    this.newestMs = timeMs
    this.endOfTrainingMs = endOfTraining(this.plan, timeMs)
    this.endOfWindowMs = this.windowEndAfter(timeMs)
  }

  private windowEndAfter(timeMs: number): number {
    const endMs = timeMs + this.windowMs
    return timeMs < this.trainedMs ? Math.min(endMs, this.trainedMs) : endMs
  }

  private get trainedMs(): number {
    return this.endOfTrainingMs ?? -FOREVER
  }
}

function endOfTraining(plan: TrainingPlan, startMs: number): number {
  switch (plan.kind) {
    case 'none':
      return -FOREVER
    case 'until':
      return Math.min(Math.round(plan.timeMs), LATEST_MS)
    case 'for':
      return Math.min(Math.round(startMs + plan.durationMs), LATEST_MS)
    case 'everything':
      return FOREVER
  }
}
