import type { EdgeKind } from '../domain/edge.ts'

/** Observations of a source: pairs of an edge and a span of time in which it was seen, however often. */
export interface Observations {
  readonly count: number
  /** Its edges of a kind that were observed just once. */
  readonly once: ReadonlyMap<EdgeKind, number>
}

/** What the baseline knows of a process as one that does something. */
export interface Source {
  readonly minutes: Observations
  /** Undefined when it is known for too few days to say something. */
  readonly days: Observations | undefined
}

/**
 * How surprising it is that a source makes a new edge of a kind, in bits: -log2 of the chance of it, damped when many
 * others reach the same target. See docs/detection.md.
 *
 * @param reach how many other sources have an edge of this kind to the target
 */
export function surpriseOf(kind: EdgeKind, { minutes, days }: Source, reach: number): number {
  const chance = Math.max(chanceOfNew(kind, minutes), days === undefined ? 0 : chanceOfNew(kind, days))
  return -Math.log2(chance) / (1 + Math.log2(1 + reach) / 2)
}

/**
 * Good and Turing: what was seen just once tells how much was not seen yet. With half an edge and one observation more
 * (Krichevsky and Trofimov), so that few observations say little: one that was never observed has a chance of a half.
 */
const chanceOfNew = (kind: EdgeKind, { count, once }: Observations): number =>
  ((once.get(kind) ?? 0) + 0.5) / (count + 1)
