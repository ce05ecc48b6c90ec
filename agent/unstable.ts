import type { UnstablePlaces } from './baseline/unstable.ts'
import {
  MOST_INCIDENTS,
  neverSettled,
  type Place,
  PARTS,
  placesOf,
  volatilePlacesOf,
} from './detect/unstable.ts'
import type { Finding } from './domain/report.ts'

/** Places whose incidents are counted. */
const MOST_PLACES = 5000

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

/** Sources that never settle, each told of once. */
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
  summaryOf(findings: readonly Finding[], before: (from: string, to: string) => number): Summary | undefined {
    const places: Place[] = []
    const incidents: (number | null)[] = []
    for (const candidates of this.placesOf(findings, before) ?? [[]]) {
      const place = candidates.find((each) => this.isUnstable(each))
      if (place === undefined) return undefined
      places.push(place)
      incidents.push(this.known.find(place)?.incident ?? null)
    }
    const [incident] = incidents
    if (incident !== undefined && incident !== null && !incidents.includes(null)) return { incident }
    return { reason: reasonOf(places), places }
  }

  /** Findings of low severity and without danger have become an incident. */
  note(findings: readonly Finding[], before: (from: string, to: string) => number, timeMs: number): void {
    const places = (this.placesOf(findings, before) ?? []).flat()
    for (const place of new Map(places.map((each) => [JSON.stringify(each), each])).values()) {
      this.known.count(place, timeMs)
      if ((this.known.find(place)?.incidents ?? 0) >= MOST_INCIDENTS) this.known.declare(place, timeMs)
    }
    this.known.trim(MOST_PLACES)
  }

  /** Whether findings are nothing but ordinary changes of files and hosts. */
  isOrdinary(findings: readonly Finding[], before: (from: string, to: string) => number): boolean {
    return this.placesOf(findings, before) !== undefined
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
  summarised(places: readonly Place[], incident: number): void {
    for (const place of places) this.known.summarise(place, incident)
  }
}

function reasonOf([first, ...others]: readonly Place[]): string {
  if (first === undefined) return ''
  const more =
    others.length === 0 ? '' : ` and in ${others.length} more place${others.length === 1 ? '' : 's'}`
  const { process, kind, place } = first
  return `${process} never stops making new ones of kind ${kind} in ${place}${more}: they are told here once, and only counted from now on`
}
