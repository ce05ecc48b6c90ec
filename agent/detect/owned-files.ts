import type { StateEntry, StateWriter } from '../domain/state.ts'

/** How long what a package brought is on probation. */
export const PROBATION_MS = 24 * 3_600_000
/** Files and their characters that are remembered; half of them are forgotten, the oldest first, when there are more. */
const MOST_FILES = 20_000
const MOST_CHARACTERS = 2_000_000

/** Which transaction put a file in place, and until when that counts. */
export interface Owned {
  readonly transaction: string
  readonly untilMs: number
  /** Whether there was another file of this name before. */
  readonly isReplaced: boolean
}

type Stored = readonly [transaction: string, untilMs: number, isReplaced: 0 | 1]

/** Files that package managers put in place lately, as the log has shown. Bounded. */
export class OwnedFiles {
  private readonly files = new Map<string, Owned>()
  private readonly changed = new Set<string>()
  private characters = 0

  /** A package manager has put a file in place. */
  add(container: string, path: string, transaction: string, timeMs: number): void {
    const key = keyOf(container, path)
    // Its end is put off by the minute only: a file is written in several steps.
    const known = this.files.get(key)
    const untilMs = timeMs + PROBATION_MS
    if (known?.transaction === transaction && untilMs - known.untilMs < 60_000) return
    const isReplaced = known?.transaction === transaction && known.isReplaced
    this.put(key, { transaction, untilMs, isReplaced })
    this.changed.add(key)
    if (this.files.size > MOST_FILES || this.characters > MOST_CHARACTERS) this.forgetHalf()
  }

  /** It has taken the place of another file. */
  replaced(container: string, path: string): void {
    const key = keyOf(container, path)
    const known = this.files.get(key)
    if (known === undefined || known.isReplaced) return
    this.files.set(key, { ...known, isReplaced: true })
    this.changed.add(key)
  }

  /** Somebody else has changed it, or it is gone. */
  remove(container: string, path: string): void {
    const key = keyOf(container, path)
    if (this.delete(key)) this.changed.add(key)
  }

  /** Whether a package manager put a file in place, as far as that is not forgotten. */
  has(container: string, path: string): boolean {
    return this.files.size > 0 && this.files.has(keyOf(container, path))
  }

  /** Who put a file in place lately. */
  find(container: string, path: string, timeMs: number): Owned | undefined {
    const owned = this.files.get(keyOf(container, path))
    return owned !== undefined && owned.untilMs > timeMs ? owned : undefined
  }

  /** Forgets those whose time is over. */
  expire(timeMs: number): void {
    for (const [key, { untilMs }] of this.files) {
      if (untilMs > timeMs) continue
      this.delete(key)
      this.changed.add(key)
    }
  }

  /** Hands out what has changed since the last time. */
  drain(writer: StateWriter): void {
    for (const key of this.changed) {
      const owned = this.files.get(key)
      if (owned === undefined) writer.remove('owned', key)
      else {
        const { transaction, untilMs, isReplaced } = owned
        writer.put('owned', key, [transaction, untilMs, isReplaced ? 1 : 0] satisfies Stored)
      }
    }
    this.changed.clear()
  }

  /** Goes on where another one stopped. */
  restore(entries: Iterable<StateEntry>): void {
    const stored = [...entries].map(({ key, value }) => ({ key, value: value as Stored }))
    // In the order in which they came, as far as it matters.
    stored.sort((one, other) => one.value[1] - other.value[1])
    for (const { key, value } of stored) {
      const [transaction, untilMs, isReplaced] = value
      this.put(key, { transaction, untilMs, isReplaced: isReplaced === 1 })
    }
  }

  private put(key: string, owned: Owned): void {
    this.delete(key)
    this.files.set(key, owned)
    this.characters += key.length
  }

  private delete(key: string): boolean {
    const isThere = this.files.delete(key)
    if (isThere) this.characters -= key.length
    return isThere
  }

  private forgetHalf(): void {
    let excess = Math.ceil(this.files.size / 2)
    for (const key of this.files.keys()) {
      if (excess-- <= 0) return
      this.delete(key)
      this.changed.add(key)
    }
  }
}

const keyOf = (container: string, path: string): string => `${container}:${path}`
