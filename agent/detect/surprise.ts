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
 * others reach the same target, and when the source has many edges of this kind in the same place. See docs/detection.md.
 *
 * @param reach how many other sources have an edge of this kind to the target
 * @param habit how many other edges of this kind the source has in the place of the target
 */
export function surpriseOf(kind: EdgeKind, { minutes, days }: Source, reach: number, habit = 0): number {
  const chance = Math.max(chanceOfNew(kind, minutes), days === undefined ? 0 : chanceOfNew(kind, days))
  return -Math.log2(chance) / damping(reach) / damping(habit)
}

const damping = (others: number): number => 1 + Math.log2(1 + others) / 2

/**
 * Good and Turing: what was seen just once tells how much was not seen yet. With half an edge and one observation more
 * (Krichevsky and Trofimov), so that few observations say little: one that was never observed has a chance of a half.
 */
const chanceOfNew = (kind: EdgeKind, { count, once }: Observations): number =>
  ((once.get(kind) ?? 0) + 0.5) / (count + 1)
