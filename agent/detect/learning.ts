import { type Contributor, type Learned, type Learning, PARTS } from '../domain/learning.ts'
import { placeOf } from './places.ts'

/** A training is enough when the chance that the next observation is of a new edge is no larger. */
const ENOUGH = 1 / 1000
/** No shorter one is, whatever it has seen. */
const LEAST_MINUTES = 5
const MINUTE_MS = 60_000
const MINUTES_A_DAY = 1440
/** Nobody can see further ahead than some times what was seen. */
const FURTHEST = 10
/** So many new edges tell how fast they become fewer. */
const LEAST_EDGES = 5
const MOST_CONTRIBUTORS = 5

/** Looks ahead from what a training has seen. */
export function learningOf(learned: Learned): Learning {
  const { fromMs, toMs, minutes, observations, curve } = learned
  const chanceOfNew = chanceOfNewIn(learned)
  const aheadMinutes = Math.min(minutes, MINUTES_A_DAY)
  const edges = minutes === 0 ? 0 : (chanceOfNew * observations * aheadMinutes) / minutes
  const isEnough = isEnoughOf(learned, chanceOfNew)
  return {
    ...{ fromMs, toMs, observations, chanceOfNew, isEnough, curve },
    expected: { edges, inMs: aheadMinutes * MINUTE_MS },
    enoughInMs: isEnough ? 0 : enoughInMs(learned, chanceOfNew),
    contributors: contributorsOf(learned),
  }
}

/**
 * Good and Turing: as many observations are of new edges as were of those that were observed just once. What was seen
 * once when the training began (a service that starts) says little of what is to come, so the second half speaks for
 * all: on a host that does not change, half of those that were seen once are in it.
 */
const chanceOfNewIn = ({ observations, onceLately }: Learned): number =>
  Math.min(1, (2 * onceLately + 0.5) / (observations + 1))

/** Little is to be expected, and as little was new in the last quarter. */
function isEnoughOf({ minutes, observations, curve }: Learned, chanceOfNew: number): boolean {
  const newLately = newIn(curve, (PARTS * 3) / 4, PARTS)
  return minutes >= LEAST_MINUTES && chanceOfNew <= ENOUGH && newLately <= (ENOUGH * observations) / 4
}

/**
 * New edges become fewer as a power of time (Heaps' law for words of a text). The exponent comes from the second half and
 * the quarter before it.
 */
function enoughInMs({ minutes, curve }: Learned, chanceOfNew: number): number | undefined {
  const before = newIn(curve, PARTS / 4, PARTS / 2)
  const lately = newIn(curve, PARTS / 2, PARTS)
  const isTelling = before >= LEAST_EDGES || lately === 0
  if (!isTelling || minutes === 0) return undefined
  const exponent = lately === 0 ? 1 : 1 - Math.log2(lately / before)
  if (exponent <= 0) return undefined
  const times = Math.max((chanceOfNew / ENOUGH) ** (1 / exponent), LEAST_MINUTES / minutes)
  // What was new in the last quarter must have passed, too.
  const needed = Math.max(times, 4 / 3)
  return needed > FURTHEST ? undefined : (needed - 1) * minutes * MINUTE_MS
}

const newIn = (curve: Learned['curve'], first: number, end: number): number =>
  Object.values(curve).reduce(
    (sum, counts) => sum + counts.slice(first, end).reduce((all, count) => all + count, 0),
    0,
  )

function contributorsOf({ lately }: Learned): Contributor[] {
  const found = new Map<string, Contributor>()
  for (const edge of lately) {
    const place = placeOf(edge)
    const key = JSON.stringify([edge.from, edge.kind, place])
    const edges = (found.get(key)?.edges ?? 0) + 1
    found.set(key, { from: edge.from, kind: edge.kind, place, edges })
  }
  return [...found.values()].sort((one, other) => other.edges - one.edges).slice(0, MOST_CONTRIBUTORS)
}
