import type { UnstablePlaces } from './baseline/unstable.ts'
import {
  MOST_INCIDENTS,
  neverSettled,
  type Place,
  type PlaceHistory,
  placesOf,
  volatilePlaceOf,
} from './detect/unstable.ts'
import type { Finding } from './domain/report.ts'

/** Places whose incidents are counted. */
const MOST_PLACES = 5000

/** What is to be done with findings of places where new edges never end. */
export type Summary =
  /** An incident stands for them already: they are only counted there. */
  | { readonly incident: number }
  /** They are an incident, and for the last time: here is why. */
  | { readonly reason: string; readonly places: readonly Place[] }

/** Sources that never settle, each told of once. */
export class Unstable {
  private readonly known: UnstablePlaces

  constructor(known: UnstablePlaces) {
    this.known = known
  }

  /** A training is over: which places had as much that was new at its end as before. */
  begin(fromMs: number, toMs: number): void {
    const histories = new Map<string, PlaceHistory & { readonly place: Place }>()
    const middleMs = (fromMs + toMs) / 2
    const lastMs = toMs - (toMs - fromMs) / 4
    for (const { windows, firstMs, ...edge } of this.known.edges()) {
      const place = volatilePlaceOf(edge)
      if (place === undefined) continue
      const key = JSON.stringify(place)
      const { observations = 0, onceLately = 0, newLast = 0 } = histories.get(key) ?? {}
      histories.set(key, {
        place,
        observations: observations + windows,
        onceLately: onceLately + (windows === 1 && firstMs >= middleMs ? 1 : 0),
        newLast: newLast + (firstMs >= lastMs ? 1 : 0),
      })
    }
    for (const history of histories.values())
      if (neverSettled(history)) this.known.declare(history.place, toMs)
  }

  /**
   * What becomes of findings that belong together, and are of low severity and without danger; undefined when they are to be
   * reported like any others.
   */
  summaryOf(findings: readonly Finding[], before: (from: string, to: string) => number): Summary | undefined {
    const places = placesOf(findings, before)
    if (places === undefined) return undefined
    const states = places.map((place) => this.known.find(place))
    if (!states.every((state) => state !== undefined && isUnstable(state))) return undefined
    const [first] = states
    if (first !== undefined && first.incident !== null && states.every((state) => state?.incident !== null))
      return { incident: first.incident }
    return { reason: reasonOf(places), places }
  }

  /** Findings of low severity and without danger have become an incident. */
  note(findings: readonly Finding[], before: (from: string, to: string) => number, timeMs: number): void {
    for (const place of placesOf(findings, before) ?? []) {
      this.known.count(place, timeMs)
      if ((this.known.find(place)?.incidents ?? 0) >= MOST_INCIDENTS) this.known.declare(place, timeMs)
    }
    this.known.trim(MOST_PLACES)
  }

  /** An incident tells of these places from now on. */
  summarised(places: readonly Place[], incident: number): void {
    for (const place of places) this.known.summarise(place, incident)
  }
}

const isUnstable = ({ sinceMs }: { readonly sinceMs: number | null }): boolean => sinceMs !== null

function reasonOf([first, ...others]: readonly Place[]): string {
  if (first === undefined) return ''
  const more =
    others.length === 0 ? '' : ` and in ${others.length} more place${others.length === 1 ? '' : 's'}`
  const { process, kind, place } = first
  return `${process} never stops making new ones of kind ${kind} in ${place}${more}: they are told here once, and only counted from now on`
}
