import type { Baseline } from './baseline/baseline.ts'
import type { Reportable } from './baseline/findings.ts'
import type { Finding, Incident } from './domain/report.ts'
import type { StateReader, StateWriter } from './domain/state.ts'
import { Rating } from './rating.ts'

/** Edges of one window that are rehearsed, and what they may hold: where more are new, nothing is ordinary. */
const MOST_SHADOWS = 1000
const MOST_CHARACTERS = 2_000_000
/** Keys are read in the order of their letters. */
const KEY_DIGITS = 16

/** Scores what would be an incident, in the same way as those that are. */
type Judge = (deeds: Omit<Reportable, 'tree' | 'parent'>) => Pick<Incident, 'severity' | 'score'>

/** What a newly learned edge would have been as a finding. */
type Shadow = Omit<Finding, 'lastMs' | 'bits'> & { readonly tree: string }

/**
 * A training as it would have been reported: each edge that is learned makes a shadow of a finding, and of what would
 * have been an incident the score is kept.
 */
export class Rehearsal {
  private readonly baseline: Baseline
  private readonly judge: Judge
  /** By the order of their coming. */
  private readonly shadows = new Map<number, Shadow>()
  private characters = 0
  private next = 0
  /** Of the next one that is to be written. */
  private unwritten = 0
  /** Those that are written and not needed any more. */
  private gone: number[] = []

  constructor(baseline: Baseline, judge: Judge) {
    this.baseline = baseline
    this.judge = judge
  }

  /** An edge is learned. */
  take(shadow: Shadow): void {
    if (this.shadows.size >= MOST_SHADOWS || this.characters > MOST_CHARACTERS) return
    this.shadows.set(this.next++, shadow)
    this.characters += charactersOf(shadow)
  }

  /**
   * The window is over, and what it has learned is not settled yet.
   * @param isKept whether it will be
   */
  end(timeMs: number, isKept: boolean): void {
    if (this.shadows.size === 0) return
    if (isKept) this.play(timeMs)
    for (const key of this.shadows.keys()) if (key < this.unwritten) this.gone.push(key)
    this.shadows.clear()
    this.characters = 0
  }

  drain(writer: StateWriter): void {
    for (const key of this.gone) writer.remove('shadow', keyOf(key))
    this.gone = []
    for (const [key, shadow] of this.shadows)
      if (key >= this.unwritten) writer.put('shadow', keyOf(key), shadow)
    this.unwritten = this.next
  }

  restore(read: StateReader): void {
    for (const { key, value } of read('shadow')) {
      this.next = Number(key)
      this.take(value as Shadow)
    }
    this.unwritten = this.next
  }

  private play(timeMs: number): void {
    const rating = new Rating(this.baseline, timeMs)
    const trees = new Map<string, Finding[]>()
    for (const { tree, ...shadow } of this.shadows.values()) {
      const bits = rating.bitsOf(shadow.edge, shadow.chain)
      const findings = trees.get(tree) ?? []
      trees.set(tree, findings)
      findings.push({ ...shadow, lastMs: shadow.firstMs, bits })
    }
    for (const findings of trees.values()) {
      findings.sort((one, other) => one.firstMs - other.firstMs)
      const { firstMs = timeMs } = findings[0] ?? {}
      const lastMs = findings.at(-1)?.firstMs ?? timeMs
      const count = findings.length
      const judged = this.judge({ findings, edges: count, count, firstMs, lastMs })
      this.baseline.incidents.addRehearsed(firstMs, findings[0]?.edge.from ?? '', judged)
    }
  }
}

const charactersOf = ({ chain, evidence }: Shadow): number =>
  [...chain, ...evidence.argv].reduce((sum, { length }) => sum + length, 0)

const keyOf = (number: number): string => String(number).padStart(KEY_DIGITS, '0')
