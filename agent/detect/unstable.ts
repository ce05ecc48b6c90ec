import type { Edge, EdgeKind } from '../domain/edge.ts'
import type { Finding } from '../domain/report.ts'
import { mayBeCode, placeAround, placeOf } from './places.ts'

/** Where a process makes edges of one kind: see places.ts. */
export interface Place {
  readonly process: string
  readonly kind: EdgeKind
  readonly place: string
}

/** What a training has seen of a place. An observation is an edge in a minute. */
interface PlaceHistory {
  /** Observations of edges that were new in the second half, and how many edges these were. */
  readonly lateObservations: number
  readonly lateEdges: number
  /** Edges of all the training, and in how many of its parts some were new. */
  readonly edges: number
  readonly parts: number
}

/** More incidents of a place, with less than `APART_MS` between them, tell nobody anything. */
export const MOST_INCIDENTS = 5
export const APART_MS = 6 * 3_600_000
/** One of five observations is of a new edge. */
const LEAST_CHANCE = 1 / 5
const LEAST_EDGES = 4
/** Parts of the training in which some were new, and how many parts it has. */
const LEAST_PARTS = 3
export const PARTS = 8

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
/** Postfix marks a message that is complete by the first of these bits: nobody else may run what only its owner may. */
const OTHERS_EXECUTE = 0o011
/** Their bits let somebody in, and run nothing. */
const MAKES_DIRECTORY: ReadonlySet<string> = new Set(['mkdir', 'mkdirat'])

/** Whether as much of a place was new as a place has where new edges never end. */
export const isRestless = (edges: number, observations: number): boolean =>
  edges / (observations + 1) >= LEAST_CHANCE

/** Whether a training ended with as much that is new as it began with, seen often enough to say so. */
export const neverSettled = ({ edges, parts, lateEdges, lateObservations }: PlaceHistory): boolean =>
  edges >= LEAST_EDGES && parts >= LEAST_PARTS && isRestless(lateEdges, lateObservations)

/** Where an edge belongs, the narrowest first; nowhere when what is new of its kind is told each time. */
export function volatilePlacesOf(edge: Edge): readonly Place[] {
  if (!VOLATILE.has(edge.kind)) return []
  return [placeOf(edge), placeAround(edge)]
    .filter((place) => place !== undefined)
    .map((place) => ({ process: edge.from, kind: edge.kind, place }))
}

/**
 * The places of findings that are nothing but ordinary changes of files and hosts: for each all that it may belong to.
 * @param before bits of a step that is unseen itself
 * @param isUnstable whether new edges never end in a place
 * @returns undefined when any of them is more than that
 */
export function placesOf(
  findings: readonly Finding[],
  before: (from: string, to: string) => number,
  isUnstable: (place: Place) => boolean,
): readonly (readonly Place[])[] | undefined {
  const found = new Map<string, readonly Place[]>()
  for (const { edge, chain, evidence, mark } of findings) {
    const places = volatilePlacesOf(edge)
    const { mode = 0, syscall } = evidence
    const isMark = (mode & OTHERS_EXECUTE) === 0 && places.some(isUnstable)
    const mayRun = (mode & EXECUTABLE) !== 0 && !isMark && !MAKES_DIRECTORY.has(syscall)
    const isBelowUnseen = chain.slice(1, -1).some((to, index) => before(chain[index] ?? '', to) > 0)
    const isCode = edge.kind !== 'delete' && mayBeCode(edge)
    if (places.length === 0 || isCode || mark !== undefined || mayRun || isBelowUnseen) return undefined
    found.set(JSON.stringify(places), places)
  }
  return [...found.values()]
}
