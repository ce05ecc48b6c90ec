import type { Baseline } from './baseline/baseline.ts'
import { learningOf } from './detect/learning.ts'
import type { Schedule } from './detect/schedule.ts'
import type { Findings } from './findings.ts'

/** What a training is made of, and what ends it. */
export interface TrainingParts {
  readonly baseline: Baseline
  readonly schedule: Schedule
  readonly findings: Findings
  /** Whether the training ends as soon as enough was learned. */
  readonly untilStable: boolean
  /** Called when training ends. `unlearned`: edges of windows that were not seen whole. */
  readonly onTrained: ((unlearned: number) => void) | undefined
}

/** The training that goes on, if one does, from its first event to its end. */
export class TrainingCourse {
  private readonly parts: TrainingParts
  private goesOn: boolean
  private startMs = 0
  /** Edges that were learned in windows that were not seen whole, and forgotten again. */
  private unlearned = 0

  constructor(isPlanned: boolean, parts: TrainingParts) {
    this.goesOn = isPlanned
    this.parts = parts
  }

  /** Whether a training goes on. */
  get isOn(): boolean {
    return this.goesOn
  }

  /** When the training that goes on will end; undefined when there is none. */
  get endMs(): number | undefined {
    return this.goesOn ? this.parts.schedule.trainingEndMs : undefined
  }

  /** The log begins. @param isResumed whether a training that was interrupted goes on */
  begin(timeMs: number, isResumed: boolean): void {
    if (!this.goesOn) return
    this.startMs = timeMs
    const { trainings } = this.parts.baseline
    if (isResumed && trainings.all().at(-1)?.finished === false) trainings.resume()
    else trainings.begin(timeMs, this.plannedMs(timeMs))
  }

  /** The log has come to `nowMs`. */
  extend(nowMs: number): void {
    if (this.goesOn) this.parts.baseline.trainings.extend(nowMs, false)
  }

  /** A window is over: what was learned in it is kept, or not. */
  settle(isKept: boolean, endMs: number, isDegraded: boolean): void {
    const { baseline, findings } = this.parts
    findings.endRehearsal(endMs, isKept)
    const count = baseline.trainings.settle(isKept, endMs, isDegraded)
    if (!isKept) this.unlearned += count
  }

  /** Ends the training when it has learned enough, if that is wanted. */
  endWhenStable(timeMs: number): void {
    const { schedule, untilStable } = this.parts
    if (!this.goesOn || !untilStable || !this.hasLearnedEnough(timeMs)) return
    schedule.endTraining()
    this.finish()
  }

  finish(): void {
    this.goesOn = false
    const { baseline, findings, onTrained, schedule } = this.parts
    const { trainingEndMs = 0, nowMs = 0 } = schedule
    const endMs = Math.max(Math.min(trainingEndMs, nowMs), this.startMs)
    baseline.trainings.extend(endMs, true)
    findings.endTraining(endMs)
    const learned = baseline.trainings.learned()
    if (learned !== undefined) baseline.kept.remember('learning', learningOf(learned))
    onTrained?.(this.unlearned)
  }

  private hasLearnedEnough(timeMs: number): boolean {
    const { trainings } = this.parts.baseline
    trainings.extend(timeMs, false)
    const learned = trainings.learned()
    return learned !== undefined && learningOf(learned).isEnough
  }

  private plannedMs(startMs: number): number | undefined {
    const { trainingEndMs } = this.parts.schedule
    return trainingEndMs === undefined || trainingEndMs === Number.POSITIVE_INFINITY
      ? undefined
      : Math.max(0, trainingEndMs - startMs)
  }
}
