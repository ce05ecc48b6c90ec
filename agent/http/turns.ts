import { setTimeout as sleep } from 'node:timers/promises'

/** Of the time of the loop that also detects, so much at most goes to whoever asks. */
const SHARE = 0.1

/** Time that nobody can set. */
export interface Clock {
  nowMs(): number
  /** Ends with the signal at the latest. */
  pause(ms: number, signal: AbortSignal): Promise<void>
}

const CLOCK: Clock = {
  nowMs: () => performance.now(),
  pause: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined),
}

/** Lets work be done one after the other, with pauses that are longer the longer it took. */
export class Turns {
  readonly #ended = new AbortController()
  #last: Promise<unknown> = Promise.resolve()
  #freeMs = Number.NEGATIVE_INFINITY
  readonly #clock: Clock

  constructor(clock: Clock = CLOCK) {
    this.#clock = clock
  }

  /**
   * Does the work when it is its turn.
   * @param isWanted asked then; without it nothing is done
   * @returns undefined when nobody wants it any more, or at the end
   */
  async take<T>(work: () => T, isWanted: () => boolean): Promise<T | undefined> {
    const turn = this.#last.then(async () => {
      const waitMs = this.#freeMs - this.#clock.nowMs()
      if (waitMs > 0 && isWanted()) await this.#clock.pause(waitMs, this.#ended.signal)
      if (this.#ended.signal.aborted || !isWanted()) return undefined
      const beginMs = this.#clock.nowMs()
      try {
        return work()
      } finally {
        const endMs = this.#clock.nowMs()
        this.#freeMs = endMs + (endMs - beginMs) * (1 / SHARE - 1)
      }
    })
    this.#last = turn.catch(() => undefined)
    return turn
  }

  end(): void {
    this.#ended.abort()
  }
}
