import type { FindingRow } from './finding-row.ts'

/** Rows that are held in memory at once, and what they may hold. */
const PORTION = 1000
const MOST_CHARACTERS = 2_000_000

/** Findings that are held in memory, as far as they are not too much; at least one. */
export class Portion {
  readonly rows: FindingRow[] = []
  private characters = 0

  get isFull(): boolean {
    return this.rows.length >= PORTION || this.characters > MOST_CHARACTERS
  }

  /** Whether there was room for it. */
  take(row: FindingRow): boolean {
    if (this.isFull) return false
    this.rows.push(row)
    this.characters += row.chain.length + row.evidence.length
    return true
  }
}

/** The first of the rows, at least one if there is one. */
export function portionOf<T>(rows: Iterable<T>, charactersOf: (row: T) => number): T[] {
  const portion: T[] = []
  let characters = 0
  for (const row of rows) {
    portion.push(row)
    characters += charactersOf(row)
    if (portion.length >= PORTION || characters > MOST_CHARACTERS) break
  }
  return portion
}
