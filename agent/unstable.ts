import type { UnstablePlaces } from './baseline/unstable.ts'
import { isNamed, isUnnamed, placeAround, placeOf } from './detect/places.ts'
import {
  APART_MS,
  isRestless,
  MOST_INCIDENTS,
  neverSettled,
  type Place,
  PARTS,
  placesOf,
  volatilePlacesOf,
} from './detect/unstable.ts'
import type { Edge } from './domain/edge.ts'
import type { Finding } from './domain/report.ts'

/** Places whose incidents are counted. */
const MOST_PLACES = 5000
const DAY_MS = 86_400_000

/** What is to be done with findings of places where new edges never end. */
type Summary =
  /** An incident stands for them already: they are only counted there. */
  | { readonly incident: number }
  /** They are an incident, and for the last time: here is why. */
  | { readonly reason: string; readonly places: readonly Place[] }

interface History {
  readonly place: Place
  edges: number
  readonly parts: Set<number>
  lateEdges: number
  lateObservations: number
}

/** Places where new edges never end, each told of once a day. */
export class Unstable {
  private readonly known: UnstablePlaces

  constructor(known: UnstablePlaces) {
    this.known = known
  }

  /** A training is over: which places had as much that was new at its end as before. */
  begin(fromMs: number, toMs: number): void {
    const histories = new Map<string, History>()
    for (const { windows, firstMs, ...edge } of this.known.edges()) {
      const part = Math.min(PARTS - 1, Math.floor(((firstMs - fromMs) * PARTS) / (toMs - fromMs)))
      for (const place of volatilePlacesOf(edge)) {
        const key = JSON.stringify(place)
        const history = histories.get(key) ?? {
          place,
          edges: 0,
          parts: new Set(),
          lateEdges: 0,
          lateObservations: 0,
        }
        histories.set(key, history)
        history.edges++
        history.parts.add(part)
        if (part < PARTS / 2) continue
        history.lateEdges++
        history.lateObservations += windows
      }
    }
    for (const { place, parts, ...history } of histories.values())
      if (neverSettled({ ...history, parts: parts.size })) this.known.declare(place, toMs)
  }

  /**
   * What becomes of findings that belong together, and are of low severity and without danger; undefined when they are to be
   * reported like any others.
   */
  summaryOf(
    findings: readonly Finding[],
    before: (from: string, to: string) => number,
    timeMs: number,
  ): Summary | undefined {
    this.settle(findings, before, timeMs)
    const places: Place[] = []
    const incidents: (number | null)[] = []
    for (const candidates of this.placesOf(findings, before) ?? [[]]) {
      const place = candidates.find((each) => this.isUnstable(each))
      if (place === undefined) return undefined
      places.push(place)
      const { incident = null, toldMs = null } = this.known.find(place) ?? {}
      // Once a day what came since is shown.
      incidents.push(toldMs !== null && timeMs - toldMs < DAY_MS ? incident : null)
    }
    for (const place of places) this.known.touch(place, timeMs)
    const [incident] = incidents
    if (incident !== undefined && incident !== null && !incidents.includes(null)) return { incident }
    return { reason: reasonOf(places), places }
  }

  /** Findings of low severity and without danger have become an incident. */
  note(findings: readonly Finding[], before: (from: string, to: string) => number, timeMs: number): void {
    const places = (this.placesOf(findings, before) ?? []).flat()
    for (const place of new Map(places.map((each) => [JSON.stringify(each), each])).values()) {
      this.known.count(place, timeMs, APART_MS)
      if ((this.known.find(place)?.incidents ?? 0) >= MOST_INCIDENTS && this.isRestless(place))
        this.known.declare(place, timeMs)
    }
    this.known.trim(MOST_PLACES)
  }

  /** Whether findings are nothing but ordinary changes of files and hosts. */
  isOrdinary(findings: readonly Finding[], before: (from: string, to: string) => number): boolean {
    return (
      this.placesOf(findings, before) !== undefined && !findings.some(({ edge }) => this.isStranger(edge))
    )
  }

  /** Whether a process that knows hosts by their names goes to one without. */
  private isStranger(edge: Edge): boolean {
    if (edge.kind !== 'connect' || !isUnnamed(edge)) return false
    for (const { to, windows } of this.known.targetsOf(edge.from, edge.kind))
      if (windows > 0 && isNamed({ to })) return true
    return false
  }

  /** Whether of all that a process does in a place much is still new. */
  private isRestless({ process, kind, place }: Place): boolean {
    let edges = 0
    let observations = 0
    for (const { to, windows } of this.known.targetsOf(process, kind)) {
      if (placeOf({ to }) !== place && placeAround({ to }) !== place) continue
      if (windows === 0) edges++
      observations += Math.max(1, windows)
    }
    return isRestless(edges, observations)
  }

  /** Where nothing was new for a day, new edges have ended. */
  private settle(
    findings: readonly Finding[],
    before: (from: string, to: string) => number,
    timeMs: number,
  ): void {
    for (const place of (this.placesOf(findings, before) ?? []).flat()) {
      const state = this.known.find(place)
      if (state !== undefined && state.sinceMs !== null && timeMs - state.lastMs >= DAY_MS)
        this.known.settle(place)
    }
  }

  private placesOf(
    findings: readonly Finding[],
    before: (from: string, to: string) => number,
  ): readonly (readonly Place[])[] | undefined {
    return placesOf(findings, before, this.isUnstable)
  }

  private readonly isUnstable = (place: Place): boolean => {
    const sinceMs = this.known.find(place)?.sinceMs
    return sinceMs !== undefined && sinceMs !== null
  }

  /** An incident tells of these places from now on. */
  summarised(places: readonly Place[], incident: number, timeMs: number): void {
    for (const place of places) this.known.summarise(place, incident, timeMs)
  }
}

function reasonOf([first, ...others]: readonly Place[]): string {
  if (first === undefined) return ''
  const more =
    others.length === 0 ? '' : ` and in ${others.length} more place${others.length === 1 ? '' : 's'}`
  const { process, kind, place } = first
  return `${process} never stops making new ones of kind ${kind} in ${place}${more}: they are told once a day, and only counted in between`
}
