/** What the budget was set to, and when: kept in the baseline. Times are Unix time in milliseconds. */
export interface BudgetState {
  readonly alertsPerDay: number
  /** Undefined when it was not long enough to say. */
  readonly thresholdBits: number | undefined
  /** Of users who had more than their part; the higher of both counts. */
  readonly userBits: Readonly<Record<string, number>>
  /**
   * While that is so: low incidents up to this score are kept back, the highest that the second half of the training would
   * have reported; 0 when there was none.
   */
  readonly lowBits: number
  /** Since when incidents are counted. */
  readonly fromMs: number
  readonly calibratedMs: number
}
