import type { Edge, EdgeKind } from '../domain/edge.ts'
import type { Finding } from '../domain/report.ts'
import { placeOf } from './places.ts'

/** Where a process makes edges of one kind: see places.ts. */
export interface Place {
  readonly process: string
  readonly kind: EdgeKind
  readonly place: string
}

/** What a training has seen of a place. An observation is an edge in a minute. */
export interface PlaceHistory {
  readonly observations: number
  /** Edges that were observed just once, in the second half. */
  readonly onceLately: number
  /** Edges that were new in the last quarter. */
  readonly newLast: number
}

/** More incidents of a place tell nobody anything. */
export const MOST_INCIDENTS = 5
/** One of five observations is of a new edge. */
const LEAST_CHANCE = 1 / 5
const LEAST_OBSERVATIONS = 20
const LEAST_NEW = 3

/** Programs, listeners and privileges are few on any host: what is new of them is told each time. */
const VOLATILE: ReadonlySet<EdgeKind> = new Set([
  'create',
  'delete',
  'rename',
  'write',
  'attribute',
  'connect',
  'accept',
])
const EXECUTABLE = 0o111
/** Their bits let somebody in, and run nothing. */
const MAKES_DIRECTORY: ReadonlySet<string> = new Set(['mkdir', 'mkdirat'])

/** Whether a training ended with as much that is new as it began with, seen often enough to say so. */
export const neverSettled = ({ observations, onceLately, newLast }: PlaceHistory): boolean =>
  observations >= LEAST_OBSERVATIONS &&
  newLast >= LEAST_NEW &&
  (2 * onceLately + 0.5) / (observations + 1) >= LEAST_CHANCE

/** Where an edge belongs; undefined when what is new of its kind is told each time. */
export const volatilePlaceOf = (edge: Edge): Place | undefined =>
  VOLATILE.has(edge.kind) ? { process: edge.from, kind: edge.kind, place: placeOf(edge) } : undefined

/**
 * The places of findings that are nothing but ordinary changes of files and hosts.
 * @param before bits of a step that is unseen itself
 * @returns undefined when any of them is more than that
 */
export function placesOf(
  findings: readonly Finding[],
  before: (from: string, to: string) => number,
): readonly Place[] | undefined {
  const places = new Map<string, Place>()
  for (const { edge, chain, evidence, mark } of findings) {
    const place = volatilePlaceOf(edge)
    const { mode = 0, syscall } = evidence
    const mayRun = (mode & EXECUTABLE) !== 0 && !MAKES_DIRECTORY.has(syscall)
    const isBelowUnseen = chain.slice(1, -1).some((to, index) => before(chain[index] ?? '', to) > 0)
    if (place === undefined || mark !== undefined || mayRun || isBelowUnseen) return undefined
    places.set(JSON.stringify(place), place)
  }
  return [...places.values()]
}
