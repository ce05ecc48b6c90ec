import type { StateEntry, StateWriter } from '../domain/state.ts'

/** Characters of the names in one half. */
const MOST_CHARACTERS = 1_000_000

/** `executed`: a program that has run, or its script. `program`: a file that others than its owner may execute. */
export type Kept = 'executed' | 'program'

type Stored = readonly [generation: number, kept: Kept]

/**
 * Files with volatile names that may not be covered as others are, for what they were once.
 *
 * In two halves, bounded by their characters: when the newer one is full, the older one is forgotten.
 */
export class KeptNames {
  private newer = new Map<string, Kept>()
  private older = new Map<string, Kept>()
  private generation = 0
  private characters = 0
  /** Names that are not as they were drained; undefined when nobody drains. */
  private readonly changed: Set<string> | undefined

  /** @param tracksChanges whether `drain` will be called */
  constructor(tracksChanges: boolean) {
    this.changed = tracksChanges ? new Set() : undefined
  }

  get(path: string): Kept | undefined {
    return this.newer.get(path) ?? this.older.get(path)
  }

  /** The file is that from now on. */
  set(path: string, kept: Kept): void {
    if (this.characters + path.length > MOST_CHARACTERS) this.beginGeneration()
    if (!this.newer.has(path)) this.characters += path.length
    this.newer.set(path, kept)
    this.changed?.add(path)
  }

  /** Everything is again as it was when it was drained. Belongs before the first `set`. */
  restore(entries: Iterable<StateEntry>): void {
    const stored = [...entries].map(({ key, value }) => ({ key, value: value as Stored }))
    this.generation = stored.reduce((newest, { value: [generation] }) => Math.max(newest, generation), 0)
    for (const { key, value } of stored) {
      const [generation, kept] = value
      if (generation !== this.generation) this.older.set(key, kept)
      else {
        this.newer.set(key, kept)
        this.characters += key.length
      }
    }
  }

  /** Hands out what changed since the last time. */
  drain(writer: StateWriter): void {
    for (const path of this.changed ?? []) {
      const newer = this.newer.get(path)
      const kept = newer ?? this.older.get(path)
      if (kept === undefined) writer.remove('executed', path)
      else {
        const generation = newer === undefined ? this.generation - 1 : this.generation
        writer.put('executed', path, [generation, kept] satisfies Stored)
      }
    }
    this.changed?.clear()
  }

  private beginGeneration(): void {
    if (this.changed !== undefined) for (const path of this.older.keys()) this.changed.add(path)
    this.older = this.newer
    this.newer = new Map()
    this.characters = 0
    this.generation++
  }
}
