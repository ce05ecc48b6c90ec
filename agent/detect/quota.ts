import type { StateEntry, StateWriter } from '../domain/state.ts'

/** How much may come within one window before the rest is only counted. */
export interface QuotaLimits {
  /** Findings of one key. */
  readonly findings: number
  /** Characters of these findings together. */
  readonly characters: number
  /** Keys that have a share of their own; all others have one together. */
  readonly keys: number
}

const LIMITS: QuotaLimits = { findings: 1000, characters: 4_000_000, keys: 1000 }
/** Stands for all keys beyond `QuotaLimits.keys`. */
const REST = ''
const MOST_EXAMPLES = 3
const LONGEST_EXAMPLE = 1000

/** What one key brought too much of. */
export interface Overflow {
  /** Empty for all that were too many to be told apart. */
  readonly key: string
  /** Sightings that are not among the findings. */
  readonly count: number
  /** The last few of them, cut when they are long. */
  readonly examples: readonly string[]
}

interface Share {
  findings: number
  characters: number
  count: number
  examples: string[]
}

type Stored = readonly [count: number, ...examples: string[]]

/**
 * Keeps a flood in one place from hiding what happens in another, and from filling memory and disk: within a window each
 * key may bring so many distinct findings, and what is more is counted.
 */
export class Quota {
  private readonly shares = new Map<string, Share>()
  /** Hashes of what was admitted. Two that share one are both admitted: that hides nothing. */
  private readonly admitted = new Set<number>()
  private readonly changed = new Set<string>()
  private readonly limits: QuotaLimits

  constructor(limits: Partial<QuotaLimits> = {}) {
    this.limits = { ...LIMITS, ...limits }
  }

  /**
   * Whether a finding is still to be recorded; one that was admitted in this window always is.
   *
   * @param key who is answerable for it
   * @param finding tells it from all others, and is an example when it is too much
   * @param characters that it takes when it is recorded
   */
  admits(key: string, finding: string, characters = finding.length): boolean {
    const hash = hashOf(finding)
    if (this.admitted.has(hash)) return true
    const name = this.shares.has(key) || this.shares.size < this.limits.keys ? key : REST
    const share = this.shareOf(name)
    if (share.findings < this.limits.findings && share.characters < this.limits.characters) {
      share.findings++
      share.characters += characters
      this.admitted.add(hash)
      return true
    }
    share.count++
    if (share.examples.length >= MOST_EXAMPLES) share.examples.shift()
    share.examples.push(shortened(finding))
    this.changed.add(name)
    return false
  }

  /** What was too much in this window, in the order in which the keys came. */
  overflow(): Overflow[] {
    return [...this.shares]
      .filter(([, { count }]) => count > 0)
      .map(([key, { count, examples }]) => ({ key, count, examples: [...examples] }))
  }

  /** The next window begins. */
  clear(): void {
    for (const { key } of this.overflow()) this.changed.add(key)
    this.shares.clear()
    this.admitted.clear()
  }

  /** What was too much is counted on. What was admitted must be asked for again: it is among the findings. */
  restore(entries: Iterable<StateEntry>): void {
    for (const { key, value } of entries) {
      const [count, ...examples] = value as Stored
      Object.assign(this.shareOf(key), { count, examples })
    }
  }

  /** Hands out what was too much, as far as that has changed since the last time. */
  drain(writer: StateWriter): void {
    for (const key of this.changed) {
      const share = this.shares.get(key)
      if (share === undefined || share.count === 0) writer.remove('quota', key)
      else writer.put('quota', key, [share.count, ...share.examples] satisfies Stored)
    }
    this.changed.clear()
  }

  private shareOf(key: string): Share {
    let share = this.shares.get(key)
    if (share === undefined)
      this.shares.set(key, (share = { findings: 0, characters: 0, count: 0, examples: [] }))
    return share
  }
}

const shortened = (text: string): string =>
  text.length <= LONGEST_EXAMPLE
    ? text
    : `${text.slice(0, LONGEST_EXAMPLE / 2)}…${text.slice(-LONGEST_EXAMPLE / 2)}`

/** 52 bits of two sums (FNV-1a with two primes), which chance does not make equal. */
function hashOf(text: string): number {
  let one = 0x811c9dc5
  let other = 0x9e3779b1
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    one = Math.imul(one ^ code, 0x01000193)
    other = Math.imul(other ^ code, 0x85ebca6b)
  }
  return (one >>> 0) * 2 ** 20 + (other >>> 12)
}
