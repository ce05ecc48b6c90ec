import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Chunk, LogPosition } from '../../agent/domain/chunk.ts'
import type { BlindReason, BlindSpot, Tamper, TamperReason } from '../../agent/domain/report.ts'
import { follow, type FollowOptions } from '../../agent/tail/follow.ts'

export const POLL_MS = 10

/** Somebody who follows a log and writes down what comes. */
export class Follower {
  readonly chunks: Chunk[] = []
  readonly blindSpots: BlindSpot[] = []
  readonly tampers: Tamper[] = []
  text = ''
  readonly #stop = new AbortController()
  readonly #done: Promise<void>
  #failure: unknown

  constructor(path: string, options: Partial<FollowOptions> = {}) {
    this.#done = this.#read(
      follow(path, { startAt: 'beginning', pollMs: POLL_MS, signal: this.#stop.signal, ...options }),
    ).catch((error: unknown) => {
      this.#failure = error
    })
  }

  /** Waits for so many bytes in all; who loses one waits until the test times out. */
  async length(length: number): Promise<this> {
    return this.#until(() => this.text.length >= length)
  }

  /** Waits for so many blind spots in all. */
  async blind(count: number): Promise<this> {
    return this.#until(() => this.blindSpots.length >= count)
  }

  get reasons(): BlindReason[] {
    return this.blindSpots.map(({ reason }) => reason)
  }

  get tamperReasons(): TamperReason[] {
    return this.tampers.map(({ reason }) => reason)
  }

  /** Gives what should not come some time to come, then ends. */
  async end(): Promise<this> {
    await sleep(5 * POLL_MS)
    return this.stop()
  }

  async stop(): Promise<this> {
    this.#stop.abort()
    await this.#done
    return this
  }

  async #until(isReached: () => boolean): Promise<this> {
    while (!isReached()) {
      if (this.#failure !== undefined) throw this.#failure as Error
      await sleep(1)
    }
    return this
  }

  async #read(items: AsyncIterable<Chunk | BlindSpot | Tamper>): Promise<void> {
    for await (const item of items) {
      if (!('kind' in item)) {
        this.chunks.push(item)
        this.text += item.bytes.toString('latin1')
      } else if (item.kind === 'tamper') this.tampers.push(item)
      else this.blindSpots.push(item)
    }
  }
}

export const sha256 = (text: string): string => createHash('sha256').update(text, 'latin1').digest('hex')

export const numbered = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, index) => `line ${from + index}\n`).join('')

/** Position and text up to the last complete line: what an agent that reads lines would have saved. */
export function checkpoint(chunks: readonly Chunk[]): { readonly from: LogPosition; readonly text: string } {
  const text = chunks.map(({ bytes }) => bytes.toString('latin1')).join('')
  const chunk = chunks.findLast(({ bytes }) => bytes.includes('\n')) ?? chunks[0]
  if (chunk?.at === undefined) throw new Error('nothing was read')
  const from = { ...chunk.at, offset: chunk.at.offset + chunk.bytes.lastIndexOf('\n') + 1 }
  return { from, text: text.slice(0, text.lastIndexOf('\n') + 1) }
}
