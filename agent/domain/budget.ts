/** What the budget was set to, and when: kept in the baseline. Times are Unix time in milliseconds. */
export interface BudgetState {
  readonly alertsPerDay: number
  /** Undefined when it was not long enough to say. */
  readonly thresholdBits: number | undefined
  /** Since when incidents are counted. */
  readonly fromMs: number
  readonly calibratedMs: number
}
