import type { BlindReason, BlindSpot } from '../domain/report.ts'

/** So many looks in a row must fail: a slow reader may meet two rotations, each for a moment, with nothing between. */
const PATIENCE_LOOKS = 10

/** Something that keeps the log from being read: told once when it has lasted for longer than a rotation takes, and once more when it is over. */
export class Lasting {
  readonly #reason: BlindReason
  readonly #patienceMs: number
  #wellMs = Date.now()
  #looks = 0
  #firstLook = 0
  #told: string | undefined

  constructor(reason: BlindReason, patienceMs: number) {
    this.#reason = reason
    this.#patienceMs = patienceMs
  }

  /** @param detail what is wrong now; undefined when nothing is */
  look(detail: string | undefined): BlindSpot | undefined {
    if (detail === undefined) return this.#isWell()
    // The host's clock may be set meanwhile.
    const now = performance.now()
    if (this.#looks === 0) this.#firstLook = now
    this.#looks++
    const isLasting = this.#looks >= PATIENCE_LOOKS && now - this.#firstLook >= this.#patienceMs
    if (!isLasting || this.#told !== undefined) return undefined
    this.#told = detail
    return { ...this.#spot(detail), isOngoing: true }
  }

  #isWell(): BlindSpot | undefined {
    const spot = this.#told === undefined ? undefined : this.#spot(`${this.#told}: until now`)
    this.#wellMs = Date.now()
    this.#looks = 0
    this.#told = undefined
    return spot
  }

  #spot(detail: string): BlindSpot {
    const toMs = Math.max(this.#wellMs, Date.now())
    return { kind: 'blind-spot', reason: this.#reason, fromMs: this.#wellMs, toMs, count: 0, detail }
  }
}
