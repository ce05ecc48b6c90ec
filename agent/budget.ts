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
 * from what the last quarter of the training would have reported, and later from all that was met in the last week.
 */
export class Budget {
  private readonly baseline: Baseline
  private readonly alertsPerDay: number

  constructor(baseline: Baseline, alertsPerDay: number) {
    this.baseline = baseline
    this.alertsPerDay = alertsPerDay
  }

  /** Whether an incident is kept back. Those that are surely bad never are. */
  keepsBack({ severity, score }: Pick<Incident, 'severity' | 'score'>): boolean {
    if (severity === 'high' || severity === 'critical') return false
    if (this.alertsPerDay === 0) return true
    return score <= (budgetOf(this.baseline)?.thresholdBits ?? 0)
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
    this.baseline.remember(NAME, { alertsPerDay, thresholdBits, fromMs, calibratedMs: timeMs })
  }
}

/** Undefined when no training has ended. */
const budgetOf = (baseline: Baseline): BudgetState | undefined =>
  baseline.memory(NAME) as BudgetState | undefined
