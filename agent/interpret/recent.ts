/** An entry that has changed: `value` is undefined when it is gone. */
export interface Changed<K, V> {
  readonly key: K
  readonly value: V | undefined
  /** For `place`: which half it is in, as the number of halves that had been forgotten when it was the newer one. */
  readonly generation: number
}

/**
 * A map that keeps what was used lately, in two halves: when the newer one is full, the older one is forgotten whole.
 * (Deleting the oldest key of a Map one by one costs more the longer it goes on.)
 */
export class Recent<K, V> {
  private newer = new Map<K, V>()
  private older = new Map<K, V>()
  private forgotten = 0
  private readonly half: number
  private readonly changed: Set<K> | undefined

  /**
   * Keeps at least `most / 2` and at most `most` entries once there are that many.
   * @param tracksChanges for `changes`; costs nothing when nobody asks
   */
  constructor(most: number, tracksChanges = false) {
    this.half = most / 2
    this.changed = tracksChanges ? new Set() : undefined
  }

  /** How many halves have been forgotten. */
  get generation(): number {
    return this.forgotten
  }

  get(key: K): V | undefined {
    const value = this.newer.get(key)
    if (value !== undefined) return value
    const old = this.older.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: K, value: V): void {
    if (this.newer.size >= this.half && !this.newer.has(key)) this.forgetOlder()
    this.newer.set(key, value)
    this.changed?.add(key)
  }

  delete(key: K): void {
    this.newer.delete(key)
    this.older.delete(key)
    this.changed?.add(key)
  }

  /** What `get` gave has changed within. */
  touch(key: K): void {
    this.changed?.add(key)
  }

  /** The newer half becomes the older one, which is forgotten: how many entries that were. */
  forgetOlder(): number {
    let count = 0
    for (const key of this.older.keys()) {
      if (this.newer.has(key)) continue
      count++
      this.changed?.add(key)
    }
    this.older = this.newer
    this.newer = new Map()
    this.forgotten++
    return count
  }

  *values(): Iterable<V> {
    for (const [key, value] of this.older) if (!this.newer.has(key)) yield value
    yield* this.newer.values()
  }

  *keys(): Iterable<K> {
    for (const key of this.older.keys()) if (!this.newer.has(key)) yield key
    yield* this.newer.keys()
  }

  /** What has changed since it was asked last. */
  *changes(): Iterable<Changed<K, V>> {
    if (this.changed === undefined) return
    for (const key of this.changed) {
      const value = this.newer.get(key)
      if (value !== undefined) yield { key, value, generation: this.forgotten }
      else yield { key, value: this.older.get(key), generation: this.forgotten - 1 }
    }
    this.changed.clear()
  }

  /** Goes on where another one stopped: its `generation`, then its entries by `place`. */
  resume(generation: number): void {
    this.forgotten = generation
  }

  /** Puts an entry where it was. */
  place({ key, value, generation }: Changed<K, V>): void {
    if (value !== undefined) (generation === this.forgotten ? this.newer : this.older).set(key, value)
  }
}
