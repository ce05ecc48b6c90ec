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
  private words = new DataView(new ArrayBuffer(0))
  /** Texts that were pushed out since there are so many slots. */
  private pushedOut = 0
  private slot = 0
  private hash = 0
  /** Hash of the text that was met last at a slot. */
  private met = new Int32Array(0)
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
    // Two sums side by side: one alone would wait for each of its multiplications.
    let one = length
    let other = 0
    let at = start
    for (; at < last - WORD; at += 2 * WORD) {
      one = Math.imul(one ^ words.getInt32(at), PRIME)
      other = Math.imul(other ^ words.getInt32(at + WORD), PRIME)
    }
    if (at < last) one = Math.imul(one ^ words.getInt32(at), PRIME)
    one = Math.imul(one ^ words.getInt32(last), PRIME)
    const hash = one ^ Math.imul(other, PRIME)
    const slot = ((hash ^ (hash >>> 15)) >>> 0) & (this.values.length - 1)
    this.slot = slot
    this.hash = hash
    return this.lengths[slot] === length && this.isCopy(slot, words, start, last)
      ? this.values[slot]
      : undefined
  }

  /** Keeps what was read from the bytes that `find` has just not found. */
  keep(words: DataView, start: number, end: number, value: T): T {
    const length = end - start
    if (length > this.slotBytes || length < WORD) return value
    // Much is met once and never again: the second time it is kept.
    if (this.met[this.slot] !== this.hash) {
      this.met[this.slot] = this.hash
      return value
    }
    if (this.values[this.slot] !== undefined) this.pushedOut++
    const slots = this.values.length
    if (this.pushedOut > slots / 2 && slots < this.mostSlots) {
      // Everything is forgotten, which happens once or twice in a life.
      this.resize(Math.min(slots * 8, this.mostSlots))
      return value
    }
    const kept = this.words
    const last = end - WORD
    let copy = this.slot * this.slotBytes
    kept.setInt32(copy + length - WORD, words.getInt32(last))
    for (let at = start; at < last; at += WORD, copy += WORD) kept.setInt32(copy, words.getInt32(at))
    this.lengths[this.slot] = length
    this.values[this.slot] = value
    return value
  }

  private resize(slots: number): void {
    this.values = new Array<T | undefined>(slots).fill(undefined)
    this.lengths = new Uint16Array(slots)
    this.met = new Int32Array(slots)
    this.words = new DataView(new ArrayBuffer(slots * this.slotBytes))
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
