const WORD = 4
const FEWEST_SLOTS = 64
const PRIME = 0x9e3779b1

/**
 * Finds again what was read from the same bytes before: most records of a host repeat others to the last byte.
 *
 * One slot for each hash, with a copy of the bytes in it, so its size is fixed whatever the log says; two texts that
 * share a slot push each other out, which costs no more than reading them again. Texts longer than a slot are not kept.
 */
export class Memo<T> {
  private values: (T | undefined)[] = []
  private lengths = new Uint16Array(0)
  private copies = new Uint8Array(0)
  private words = new DataView(this.copies.buffer)
  /** Texts that were pushed out since there are so many slots. */
  private pushedOut = 0
  private slot = 0
  private readonly mostSlots: number
  private readonly slotBytes: number

  /** @param mostSlots a power of two; there are fewer as long as that is enough */
  constructor(mostSlots: number, slotBytes: number) {
    this.mostSlots = mostSlots
    this.slotBytes = slotBytes
    this.resize(FEWEST_SLOTS)
  }

  /** What was kept for the bytes `[start, end)` of `words`. */
  find(words: DataView, start: number, end: number): T | undefined {
    const length = end - start
    if (length > this.slotBytes || length < WORD) return undefined
    // The last word may overlap the one before it, so that no byte is left over.
    const last = end - WORD
    let hash = length
    for (let at = start; at < last; at += WORD) hash = Math.imul(hash ^ words.getInt32(at), PRIME)
    hash = Math.imul(hash ^ words.getInt32(last), PRIME)
    const slot = ((hash ^ (hash >>> 15)) >>> 0) & (this.values.length - 1)
    this.slot = slot
    return this.lengths[slot] === length && this.isCopy(slot, words, start, last)
      ? this.values[slot]
      : undefined
  }

  /** Keeps what was read from the bytes that `find` has just not found. */
  keep(bytes: Uint8Array, start: number, end: number, value: T): T {
    if (end - start > this.slotBytes || end - start < WORD) return value
    if (this.values[this.slot] !== undefined) this.pushedOut++
    const { length } = this.values
    if (this.pushedOut > length / 2 && length < this.mostSlots) {
      // Everything is forgotten, which happens once or twice in a life.
      this.resize(Math.min(length * 8, this.mostSlots))
      return value
    }
    this.copies.set(bytes.subarray(start, end), this.slot * this.slotBytes)
    this.lengths[this.slot] = end - start
    this.values[this.slot] = value
    return value
  }

  private resize(slots: number): void {
    this.values = new Array<T | undefined>(slots).fill(undefined)
    this.lengths = new Uint16Array(slots)
    this.copies = new Uint8Array(slots * this.slotBytes)
    this.words = new DataView(this.copies.buffer)
    this.pushedOut = 0
  }

  private isCopy(slot: number, words: DataView, start: number, last: number): boolean {
    const kept = this.words
    let copy = slot * this.slotBytes
    for (let at = start; at < last; at += WORD, copy += WORD)
      if (words.getInt32(at) !== kept.getInt32(copy)) return false
    return words.getInt32(last) === kept.getInt32(slot * this.slotBytes + last - start)
  }
}
