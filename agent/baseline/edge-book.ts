import type { Edge } from '../domain/edge.ts'

export interface EdgeStats {
  readonly firstMs: number
  readonly lastMs: number
  readonly sightings: number
  /** Distinct days (UTC) among the sightings. */
  readonly days: number
  /** Distinct minutes (UTC) among the sightings. */
  readonly windows: number
}

export type RowId = number | bigint

/** Row ids of the nodes of a stored edge. */
export interface EdgeRow {
  readonly from: RowId
  readonly to: RowId
  readonly firstMs: number
  readonly lastMs: number
  /** Whether it was not seen for long: see life.ts. */
  readonly isDormant?: boolean
  /** Whether a person accepted it. */
  readonly isAccepted?: boolean
}

/** Tells whether an edge is stored, and where. */
export interface EdgeStore {
  readonly find: (edge: Edge) => EdgeRow | undefined
}

/**
 * An edge of the baseline: when it was seen at all, and how often since it was written last. Days and windows are those that
 * came to it since then, as told by all sightings before: so they are the same however often it is written.
 */
export interface KnownEdge extends EdgeStats {
  readonly edge: Edge
  /** Row ids of its nodes, once they are known. */
  from: RowId | undefined
  to: RowId | undefined
  firstMs: number
  lastMs: number
  sightings: number
  days: number
  windows: number
  /** Whether it had not been seen for long when it was looked for. */
  isDormant: boolean
  /** Whether a person accepted it. */
  readonly isAccepted: boolean
  /** Tree of the processes that it was learned from: see trees.ts. */
  readonly tree: string
}

const DAY_MS = 86_400_000
const WINDOW_MS = 60_000
/** Characters of names kept to answer without the database; all are dropped together when there are more. */
const MOST_CHARACTERS = 10_000_000
/** What an entry costs besides its name. */
const CHARACTERS_OF_ENTRY = 200
/** The name of the target is also in the key here, and those who hold the edge have the path besides. */
const COPIES_OF_NAME = 3

/** Edges of the baseline that were seen since the last commit, and the most recent others, so that most need no query. */
export class EdgeBook {
  /** Changes whenever what `find` has handed out must not be counted any more. */
  edition = 0
  private readonly entries = new Map<string, Map<string, KnownEdge>>()
  private readonly changed = new Set<KnownEdge>()
  private size = 0
  private readonly store: EdgeStore
  private readonly mostCharacters: number

  constructor(store: EdgeStore, mostCharacters = MOST_CHARACTERS) {
    this.store = store
    this.mostCharacters = mostCharacters
  }

  /** The edge when the baseline has it, to be counted as long as `edition` is the same. */
  find(edge: Edge): KnownEdge | undefined {
    const known = this.remembered(edge)
    if (known !== undefined) return known
    const row = this.store.find(edge)
    return row === undefined ? undefined : this.add(edge, row)
  }

  /** Whether an edge of the baseline is remembered that begins at this process. */
  hasSource(process: string): boolean {
    return this.entries.has(process)
  }

  /** The edge is normal from now on. True when it was not before. `tree`: of the processes that made it. */
  learn(edge: Edge, timeMs: number, tree = ''): boolean {
    const known = this.find(edge)
    this.count(known ?? this.add(edge, undefined, tree), timeMs)
    return known === undefined
  }

  /** The edge was seen at `timeMs`. */
  count(known: KnownEdge, timeMs: number): void {
    if (known.sightings === 0) this.changed.add(known)
    if (known.firstMs > known.lastMs) {
      known.firstMs = timeMs
      known.lastMs = timeMs
      known.days = 1
      known.windows = 1
    } else if (timeMs > known.lastMs) {
      if (dayOf(timeMs) > dayOf(known.lastMs)) known.days++
      if (windowOf(timeMs) > windowOf(known.lastMs)) known.windows++
      known.lastMs = timeMs
    } else if (timeMs < known.firstMs) {
      if (dayOf(timeMs) < dayOf(known.firstMs)) known.days++
      if (windowOf(timeMs) < windowOf(known.firstMs)) known.windows++
      known.firstMs = timeMs
    }
    known.sightings++
  }

  /** Hands out what changed since the last time. */
  drain(write: (known: KnownEdge) => void): void {
    for (const known of this.changed) {
      write(known)
      known.sightings = 0
      known.days = 0
      known.windows = 0
    }
    this.changed.clear()
    if (this.size > this.mostCharacters) this.forget()
  }

  /** Drops what is remembered, after the stored edges changed behind the book's back; what was not drained is lost. */
  forget(): void {
    this.edition++
    this.entries.clear()
    this.changed.clear()
    this.size = 0
  }

  private remembered(edge: Edge): KnownEdge | undefined {
    return this.entries.get(edge.from)?.get(`${edge.kind} ${edge.to}`)
  }

  private add(edge: Edge, row?: EdgeRow, tree = ''): KnownEdge {
    const known: KnownEdge = {
      ...{ edge, from: row?.from, to: row?.to, tree },
      ...{ isDormant: row?.isDormant ?? false, isAccepted: row?.isAccepted ?? false },
      ...{
        firstMs: row?.firstMs ?? Number.POSITIVE_INFINITY,
        lastMs: row?.lastMs ?? Number.NEGATIVE_INFINITY,
      },
      ...{ sightings: 0, days: 0, windows: 0 },
    }
    let targets = this.entries.get(edge.from)
    if (targets === undefined) {
      this.entries.set(edge.from, (targets = new Map<string, KnownEdge>()))
      this.size += edge.from.length
    }
    targets.set(`${edge.kind} ${edge.to}`, known)
    this.size += CHARACTERS_OF_ENTRY + COPIES_OF_NAME * edge.to.length
    return known
  }
}

const dayOf = (timeMs: number): number => Math.floor(timeMs / DAY_MS)
const windowOf = (timeMs: number): number => Math.floor(timeMs / WINDOW_MS)
