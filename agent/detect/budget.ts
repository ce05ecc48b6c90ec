/** What differs by less is alike: what a host does each day is a little more surprising on one than on another. */
const ALIKE_BITS = 0.5

/**
 * The score that an incident must exceed to be reported, so that no more are to be expected on a day than a person wants
 * to read: of scores that were met in the past, the lowest above which there were few enough.
 *
 * How many there will be is not how many there were: after n in a time, n + 1 are to be expected in as much time again
 * (the mean of a Poisson rate of which nothing was known before).
 *
 * @param scores of all incidents that the budget may keep back, in bits
 * @param days that they were met in
 * @returns undefined when the time was too short to expect so few, whatever is kept back
 */
export function thresholdBitsOf(
  scores: readonly number[],
  days: number,
  alertsPerDay: number,
): number | undefined {
  const most = Math.floor(alertsPerDay * days) - 1
  if (most < 0) return undefined
  const first = scores.toSorted((one, other) => other - one)[most]
  return first === undefined ? 0 : first + ALIKE_BITS
}
