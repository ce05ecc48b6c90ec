/** What differs by less is alike: what a host does each day is a little more surprising on one than on another. */
const ALIKE_BITS = 0.5

/** An incident of the past: whose it was, and its score in bits. */
export interface Scored {
  readonly user: string
  readonly score: number
}

/** Scores that an incident must exceed: of all, and of single users besides. */
export interface Thresholds {
  readonly allBits: number
  readonly userBits: Readonly<Record<string, number>>
}

/** Of what may be reported, one user takes no more than this part: who makes noise drowns himself and nobody else. */
const USER_SHARE = 1 / 4

/**
 * The score that an incident must exceed to be reported, so that no more are to be expected on a day than a person wants
 * to read: of scores that were met in the past, the lowest above which there were few enough.
 *
 * How many there will be is not how many there were: after n in a time, n + 1 are to be expected in as much time again
 * (the mean of a Poisson rate of which nothing was known before).
 *
 * @param met all incidents that the budget may keep back
 * @param days that they were met in
 * @returns undefined when the time was too short to expect so few, whatever is kept back
 */
export function thresholdsOf(
  met: readonly Scored[],
  days: number,
  alertsPerDay: number,
): Thresholds | undefined {
  const most = Math.floor(alertsPerDay * days) - 1
  if (most < 0) return undefined
  const mostOfUser = Math.ceil(most * USER_SHARE)
  const counts = new Map<string, number>()
  const userBits = new Map<string, number>()
  let all = 0
  let allBits = 0
  for (const { user, score } of met.toSorted((one, other) => other.score - one.score)) {
    const count = (counts.get(user) ?? 0) + 1
    counts.set(user, count)
    if (count > mostOfUser) {
      if (!userBits.has(user)) userBits.set(user, score + ALIKE_BITS)
      continue
    }
    all++
    if (all <= most) continue
    allBits = score + ALIKE_BITS
    break
  }
  return { allBits, userBits: Object.fromEntries(userBits) }
}
