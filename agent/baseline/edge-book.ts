import type { Edge } from '../domain/edge.ts'

export interface EdgeStats {
  readonly firstMs: number
  readonly lastMs: number
  readonly sightings: number
  /** Distinct days among the sightings. */
  readonly days: number
  readonly firstDay: number
  readonly lastDay: number
}

interface Entry {
  readonly edge: Edge
  firstMs: number
  lastMs: number
  sightings: number
  days: number
  firstDay: number
  lastDay: number
}

const DAY_MS = 86_400_000
/** Entries kept to answer without the database; all of them are dropped together when there are more. */
const MOST_ENTRIES = 100_000

/** Edges of the baseline that were seen since the last commit, and the most recent others, so that most need no query. */
export class EdgeBook {
  private readonly entries = new Map<string, Map<string, Entry>>()
  private readonly changed = new Set<Entry>()
  private size = 0
  private readonly store: { readonly find: (edge: Edge) => boolean }

  constructor(store: { readonly find: (edge: Edge) => boolean }) {
    this.store = store
  }

  sawKnown(edge: Edge, timeMs: number): boolean {
    const entry = this.find(edge) ?? (this.store.find(edge) ? this.add(edge) : undefined)
    if (entry === undefined) return false
    this.count(entry, timeMs)
    return true
  }

  learn(edge: Edge, timeMs: number): boolean {
    const known = this.find(edge)
    if (known !== undefined) {
      this.count(known, timeMs)
      return false
    }
    const isNew = !this.store.find(edge)
    this.count(this.add(edge), timeMs)
    return isNew
  }

  /** Hands out what changed since the last time. */
  drain(write: (edge: Edge, stats: EdgeStats) => void): void {
    for (const entry of this.changed) {
      write(entry.edge, entry)
      entry.sightings = 0
    }
    this.changed.clear()
    if (this.size > MOST_ENTRIES) this.forget()
  }

  /** Drops what is remembered, after the stored edges changed behind the book's back. Only right after `drain`. */
  forget(): void {
    this.entries.clear()
    this.size = 0
  }

  private find(edge: Edge): Entry | undefined {
    return this.entries.get(edge.from)?.get(`${edge.kind} ${edge.to}`)
  }

  private add(edge: Edge): Entry {
    const entry = { edge, firstMs: 0, lastMs: 0, sightings: 0, days: 0, firstDay: 0, lastDay: 0 }
    let targets = this.entries.get(edge.from)
    if (targets === undefined) this.entries.set(edge.from, (targets = new Map<string, Entry>()))
    targets.set(`${edge.kind} ${edge.to}`, entry)
    this.size++
    return entry
  }

  private count(entry: Entry, timeMs: number): void {
    const day = Math.floor(timeMs / DAY_MS)
    if (entry.sightings === 0) {
      this.changed.add(entry)
      Object.assign(entry, { firstMs: timeMs, lastMs: timeMs, days: 1, firstDay: day, lastDay: day })
    } else {
      if (timeMs < entry.firstMs) entry.firstMs = timeMs
      if (timeMs > entry.lastMs) entry.lastMs = timeMs
      if (day > entry.lastDay) {
        entry.days++
        entry.lastDay = day
      }
    }
    entry.sightings++
  }
}
