import type { Edge, EdgeKind } from './edge.ts'

/** Parts of a training that new edges are counted in. */
export const PARTS = 8

/** What a training has seen so far. An observation is a pair of an edge and a minute in which it was seen. */
export interface Learned {
  readonly fromMs: number
  readonly toMs: number
  /** Minutes that were learned from. */
  readonly minutes: number
  readonly observations: number
  /** Edges that were observed just once, in the second half. */
  readonly onceLately: number
  /** Edges by when they were seen first, in equal parts of the training. */
  readonly curve: Readonly<Partial<Record<EdgeKind, readonly number[]>>>
  /** Edges that were seen first in the second half; the last of them when there are very many. */
  readonly lately: readonly Edge[]
}

/** What keeps a training from being enough. */
export interface Contributor {
  readonly from: string
  readonly kind: EdgeKind
  readonly place: string
  /** New edges in the second half of the training. */
  readonly edges: number
}

/** How far a training has come: see docs/detection.md. */
export interface Learning {
  readonly fromMs: number
  readonly toMs: number
  readonly observations: number
  /** That the next observation is of a new edge. */
  readonly chanceOfNew: number
  /** New edges to be expected, and in which time. */
  readonly expected: { readonly edges: number; readonly inMs: number }
  readonly isEnough: boolean
  /** How much longer it takes; undefined when that cannot be foreseen, 0 when it is enough. */
  readonly enoughInMs: number | undefined
  /** New edges in each of equal parts of the training. */
  readonly curve: Learned['curve']
  readonly contributors: readonly Contributor[]
}
