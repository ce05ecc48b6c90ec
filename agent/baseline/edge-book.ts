import type { Edge } from '../domain/edge.ts'

export interface EdgeStats {
  readonly firstMs: number
  readonly lastMs: number
  readonly sightings: number
  /** Distinct days (UTC) among the sightings. */
  readonly days: number
}

interface Entry {
  readonly edge: Edge
  firstMs: number
  lastMs: number
  sightings: number
  days: number
}

const DAY_MS = 86_400_000
/** Characters of names kept to answer without the database; all are dropped together when there are more. */
const MOST_CHARACTERS = 16_000_000
/** What an entry costs besides its name. */
const CHARACTERS_OF_ENTRY = 200

/** Edges of the baseline that were seen since the last commit, and the most recent others, so that most need no query. */
export class EdgeBook {
  private readonly entries = new Map<string, Map<string, Entry>>()
  private readonly changed = new Set<Entry>()
  private size = 0
  private readonly store: { readonly find: (edge: Edge) => boolean }

  private readonly mostCharacters: number

  constructor(store: { readonly find: (edge: Edge) => boolean }, mostCharacters = MOST_CHARACTERS) {
    this.store = store
    this.mostCharacters = mostCharacters
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
    if (this.size > this.mostCharacters) this.forget()
  }

  /** Drops what is remembered, after the stored edges changed behind the book's back; what was not drained is lost. */
  forget(): void {
    this.entries.clear()
    this.changed.clear()
    this.size = 0
  }

  private find(edge: Edge): Entry | undefined {
    return this.entries.get(edge.from)?.get(`${edge.kind} ${edge.to}`)
  }

  private add(edge: Edge): Entry {
    const entry = { edge, firstMs: 0, lastMs: 0, sightings: 0, days: 0 }
    let targets = this.entries.get(edge.from)
    if (targets === undefined) this.entries.set(edge.from, (targets = new Map<string, Entry>()))
    targets.set(`${edge.kind} ${edge.to}`, entry)
    this.size += CHARACTERS_OF_ENTRY + edge.to.length
    return entry
  }

  private count(entry: Entry, timeMs: number): void {
    if (entry.sightings === 0) {
      this.changed.add(entry)
      Object.assign(entry, { firstMs: timeMs, lastMs: timeMs, days: 1 })
    } else if (timeMs > entry.lastMs) {
      if (dayOf(timeMs) > dayOf(entry.lastMs)) entry.days++
      entry.lastMs = timeMs
    } else if (timeMs < entry.firstMs) {
      if (dayOf(timeMs) < dayOf(entry.firstMs)) entry.days++
      entry.firstMs = timeMs
    }
    entry.sightings++
  }
}

const dayOf = (timeMs: number): number => Math.floor(timeMs / DAY_MS)
