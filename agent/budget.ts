import type { Baseline } from './baseline/baseline.ts'
import { thresholdBitsOf } from './detect/budget.ts'
import type { BudgetState } from './domain/budget.ts'
import type { Incident } from './domain/report.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** What was longer ago tells little of what is to come. */
const MOST_PAST_MS = 7 * DAY_MS
/** Of a training its last part: in the first all is new. */
const REHEARSED_SHARE = 1 / 4
const NAME = 'budget'

/**
 * Keeps back the least surprising incidents when there would be more than a person wants to read. The threshold comes
 * from what the last quarter of the training would have reported, and later from all that was met in the last week. Where that is
 * too short to say how many there are in a day, only ordinary ones are kept back, that are no more surprising than the most
 * surprising of that quarter: of n + 1 alike, the last is the highest with a chance of 1/(n + 1).
 */
export class Budget {
  private readonly baseline: Baseline
  private readonly alertsPerDay: number

  constructor(baseline: Baseline, alertsPerDay: number) {
    this.baseline = baseline
    this.alertsPerDay = alertsPerDay
  }

  /**
   * Whether an incident is kept back. Those that are surely bad never are.
   * @param isOrdinary whether it is nothing but files and hosts, new to processes that do such things
   */
  keepsBack({ severity, score }: Pick<Incident, 'severity' | 'score'>, isOrdinary: boolean): boolean {
    if (severity === 'high' || severity === 'critical') return false
    if (this.alertsPerDay === 0) return true
    const { thresholdBits, lowBits = 0 } = budgetOf(this.baseline) ?? {}
    return thresholdBits === undefined
      ? isOrdinary && severity === 'low' && score <= lowBits
      : score <= thresholdBits
  }

  /** The training has ended at `timeMs`. */
  begin(timeMs: number): void {
    const [last] = this.baseline.trainings().slice(-1)
    const lengthMs = timeMs - (last?.fromMs ?? timeMs)
    this.calibrate(timeMs - lengthMs * REHEARSED_SHARE, timeMs)
  }

  /** Looks once an hour whether the threshold still fits. Time has come to `timeMs`. */
  adjust(timeMs: number): void {
    const state = budgetOf(this.baseline)
    const isCurrent =
      state?.alertsPerDay === this.alertsPerDay && Math.abs(timeMs - state.calibratedMs) < HOUR_MS
    if (!isCurrent) this.calibrate(Math.min(state?.fromMs ?? timeMs, timeMs), timeMs)
  }

  private calibrate(startMs: number, timeMs: number): void {
    const { alertsPerDay } = this
    const fromMs = Math.max(startMs, timeMs - MOST_PAST_MS)
    const scores = this.baseline.ordinaryScores(fromMs)
    const thresholdBits = thresholdBitsOf(scores, (timeMs - fromMs) / DAY_MS, alertsPerDay)
    const lowBits = this.baseline.highestRehearsed(fromMs)
    const state: Partial<BudgetState> = { alertsPerDay, thresholdBits, lowBits, fromMs, calibratedMs: timeMs }
    this.baseline.remember(NAME, state)
  }
}

/** Undefined when no training has ended. */
const budgetOf = (baseline: Baseline): BudgetState | undefined =>
  baseline.memory(NAME) as BudgetState | undefined
