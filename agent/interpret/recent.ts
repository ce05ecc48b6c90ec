/**
 * A map that keeps what was used lately, in two halves: when the newer one is full, the older one is forgotten whole.
 * (Deleting the oldest key of a Map one by one costs more the longer it goes on.)
 */
export class Recent<K, V> {
  private newer = new Map<K, V>()
  private older = new Map<K, V>()
  private readonly half: number

  /** Keeps at least `most / 2` and at most `most` entries once there are that many. */
  constructor(most: number) {
    this.half = most / 2
  }

  get(key: K): V | undefined {
    const value = this.newer.get(key)
    if (value !== undefined) return value
    const old = this.older.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: K, value: V): void {
    if (this.newer.size >= this.half && !this.newer.has(key)) {
      this.older = this.newer
      this.newer = new Map()
    }
    this.newer.set(key, value)
  }

  delete(key: K): void {
    this.newer.delete(key)
    this.older.delete(key)
  }
}
