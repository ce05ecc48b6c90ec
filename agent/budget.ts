import type { Baseline } from './baseline/baseline.ts'
import { thresholdsOf } from './detect/budget.ts'
import type { BudgetState } from './domain/budget.ts'
import type { Incident } from './domain/report.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** What was longer ago tells little of what is to come. */
const MOST_PAST_MS = 7 * DAY_MS
/** Of a training its last part: in the first all is new. */
const REHEARSED_SHARE = 1 / 4
/** Where nothing is counted, but only the highest taken. */
const LIKENED_SHARE = 1 / 2
const NAME = 'budget'

/**
 * Keeps back the least surprising incidents when there would be more than a person wants to read. The threshold comes
 * from what the last quarter of the training would have reported, and later from all that was met in the last week. Where that is
 * too short to say how many there are in a day, only ordinary ones are kept back, that are no more surprising than the most
 * surprising of its second half: of n + 1 alike, the last is the highest with a chance of 1/(n + 1).
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
  keepsBack(incident: Incident, isOrdinary: boolean): boolean {
    const { severity, score } = incident
    if (severity === 'high' || severity === 'critical') return false
    if (this.alertsPerDay === 0) return true
    const { thresholdBits, userBits = {}, lowBits = 0 } = budgetOf(this.baseline) ?? {}
    if (thresholdBits === undefined) return isOrdinary && severity === 'low' && score <= lowBits
    return score <= Math.max(thresholdBits, userBits[userOf(incident.edges[0]?.from ?? '')] ?? 0)
  }

  /** The training has ended at `timeMs`. */
  begin(timeMs: number): void {
    const [last] = this.baseline.trainings.all().slice(-1)
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

  private get likenedFromMs(): number {
    const { fromMs = 0, toMs = 0 } = this.baseline.trainings.all().findLast(({ finished }) => finished) ?? {}
    return toMs - (toMs - fromMs) * LIKENED_SHARE
  }

  private calibrate(startMs: number, timeMs: number): void {
    const { alertsPerDay } = this
    const fromMs = Math.max(startMs, timeMs - MOST_PAST_MS)
    const met = this.baseline.incidents
      .ordinaryScores(fromMs)
      .map(({ source, score }) => ({ user: userOf(source), score }))
    const thresholds = thresholdsOf(met, (timeMs - fromMs) / DAY_MS, alertsPerDay)
    const thresholdBits = thresholds?.allBits
    const userBits = thresholds?.userBits ?? {}
    const lowBits = this.baseline.incidents.highestRehearsed(this.likenedFromMs)
    const state: Partial<BudgetState> = {
      alertsPerDay,
      thresholdBits,
      userBits,
      lowBits,
      fromMs,
      calibratedMs: timeMs,
    }
    this.baseline.kept.remember(NAME, state)
  }
}

/** Undefined when no training has ended. */
const budgetOf = (baseline: Baseline): BudgetState | undefined =>
  baseline.kept.memory(NAME) as BudgetState | undefined

/** Container and user of a process, by its printed name. */
const userOf = (process: string): string => /^proc:([^:]*:[^:]*):/.exec(process)?.[1] ?? ''
