import type { StateEntry, StateKind, StateWriter } from '../domain/state.ts'

const MOST_SAMPLES = 8
/** Characters of keys and samples in one half: what 16,000 shapes of usual length take. */
const MOST_CHARACTERS = 4_000_000
/** What an entry costs besides its texts. */
const CHARACTERS_OF_ENTRY = 200
/** V8 keeps a shorter part of a text as a text of its own, a longer one as a view that keeps the whole alive. */
const SHORTEST_VIEW = 13

/** The generation in which a shape was met last, and its samples. */
type Stored = readonly [generation: number, ...samples: string[]]

/**
 * Shapes that wait for siblings, with the changing parts of those that came: the last few, in the order of their coming.
 *
 * In two halves, bounded by their characters, because who may choose names may not choose our memory: when the newer half
 * is full, the older one is forgotten whole, and a new generation begins.
 */
export class WaitingShapes {
  /** Shapes that were forgotten because there were too many. Only grows. */
  forgotten = 0
  private newer = new Map<string, string[]>()
  private older = new Map<string, string[]>()
  private generation = 0
  /** Of the newer half. */
  private characters = 0
  /** Keys that are not as they were drained; undefined when nobody drains. */
  private readonly changed: Set<string> | undefined
  private readonly mostCharacters: number
  private readonly kind: StateKind

  /**
   * @param tracksChanges whether `drain` will be called
   * @param kind under which it is drained
   */
  constructor(tracksChanges: boolean, mostCharacters = MOST_CHARACTERS, kind: StateKind = 'sample') {
    this.changed = tracksChanges ? new Set() : undefined
    this.mostCharacters = mostCharacters
    this.kind = kind
  }

  /**
   * A file of this shape has come.
   *
   * @param sample its changing parts: ASCII
   * @returns the samples of the shape, this one among them
   */
  add(key: string, sample: string): readonly string[] {
    if (this.characters >= this.mostCharacters) this.beginGeneration()
    const samples = this.newer.get(key) ?? this.renew(key)
    if (samples.includes(sample)) return samples
    if (samples.length >= MOST_SAMPLES) this.characters -= samples.shift()?.length ?? 0
    samples.push(sample.length < SHORTEST_VIEW ? sample : copyOf(sample))
    this.characters += sample.length
    this.changed?.add(key)
    return samples
  }

  /** Everything is again as it was when it was drained. Belongs before the first `add`. */
  restore(entries: Iterable<StateEntry>): void {
    const stored = [...entries].map(({ key, value }) => ({ key, value: value as Stored }))
    this.generation = stored.reduce((newest, { value: [generation] }) => Math.max(newest, generation), 0)
    for (const { key, value } of stored) {
      const [generation, ...samples] = value
      if (generation === this.generation) this.put(key, samples)
      else this.older.set(key, samples)
    }
  }

  /** Hands out what changed since the last time. */
  drain(writer: StateWriter): void {
    for (const key of this.changed ?? []) {
      const newer = this.newer.get(key)
      const samples = newer ?? this.older.get(key)
      if (samples === undefined) writer.remove(this.kind, key)
      else {
        const generation = newer === undefined ? this.generation - 1 : this.generation
        writer.put(this.kind, key, [generation, ...samples] satisfies Stored)
      }
    }
    this.changed?.clear()
  }

  /** Takes a shape into the newer half, with the samples that it has in the older one. */
  private renew(key: string): string[] {
    const samples = this.older.get(key) ?? []
    this.older.delete(key)
    this.put(key, samples)
    this.changed?.add(key)
    return samples
  }

  private put(key: string, samples: string[]): void {
    this.newer.set(key, samples)
    this.characters += samples.reduce((sum, { length }) => sum + length, CHARACTERS_OF_ENTRY + key.length)
  }

  private beginGeneration(): void {
    this.forgotten += this.older.size
    if (this.changed !== undefined) for (const key of this.older.keys()) this.changed.add(key)
    this.older = this.newer
    this.newer = new Map()
    this.characters = 0
    this.generation++
  }
}

/** The same text, apart from the longer one that it may be a view of. */
const copyOf = (ascii: string): string => Buffer.from(ascii, 'latin1').toString('latin1')
