import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Report, Severity } from '../domain/report.ts'
import { gravityOf, isAtLeast } from '../report/gravity.ts'
import type { Sink } from './sink.ts'
import type { Spool, Waiting } from './spool.ts'

const FIRST_RETRY_MS = 1000
const LAST_RETRY_MS = 300_000
/** Most that somebody else may have us wait. */
const MOST_ASKED_MS = 3_600_000
/** A report that is refused for what it is must not keep all others for ever: this many tries are about an hour. */
const MOST_REFUSALS = 20
/** The agent ends within two seconds: what is not sent by then is sent by the next one. */
const FLUSH_MS = 1000

/** What became of a report. */
export type Outcome =
  | { readonly kind: 'taken' }
  /** @param afterMs how long to wait at least, when the other side says so */
  | { readonly kind: 'failed'; readonly reason: string; readonly afterMs?: number }
  /** The other side does not want this one. */
  | { readonly kind: 'refused'; readonly reason: string }

export const TAKEN: Outcome = { kind: 'taken' }

/** Brings one report at a time to where it belongs. */
export interface Carrier {
  /** Rejects only for what is no report. */
  readonly carry: (waiting: Waiting, signal: AbortSignal) => Promise<Outcome>
  readonly close: () => void
}

export interface CourierOptions {
  /** As the configuration calls it. */
  readonly name: string
  readonly least: Severity
  readonly spool: Spool
  readonly carrier: Carrier
  /** Told once when something does not work, and when it does again. */
  readonly say: (text: string) => void
  readonly retryMs?: number
}

/** Sends reports one after the other, for as long as it takes; nobody waits for it. */
export class Courier implements Sink {
  private readonly options: CourierOptions
  private readonly over = new AbortController()
  private readonly done: Promise<void>
  private wake: () => void = () => undefined
  private isClosing = false
  private failures = 0
  /** How often the report in hand was refused. */
  private refusals = 0
  private isFull = false

  constructor(options: CourierOptions) {
    this.options = options
    this.done = this.run()
  }

  offer(report: Report): void {
    const severity = gravityOf(report)
    if (severity === undefined || !isAtLeast(severity, this.options.least)) return
    this.options.spool.add(report)
    this.wake()
  }

  async close(): Promise<void> {
    const { spool, carrier } = this.options
    this.isClosing = true
    this.wake()
    const late = setTimeout(() => this.over.abort(), FLUSH_MS)
    // Whoever has not answered before is not asked now.
    if (this.failures > 0) this.over.abort()
    await this.done
    clearTimeout(late)
    carrier.close()
    spool.close()
  }

  private async run(): Promise<void> {
    const { spool } = this.options
    const { signal } = this.over
    while (!signal.aborted) {
      this.tellOfDropped()
      const waiting = spool.first()
      if (waiting === undefined) {
        if (this.isClosing) return
        await new Promise<void>((resolve) => (this.wake = resolve))
        this.wake = () => undefined
      } else await this.send(waiting, signal)
    }
  }

  private async send(waiting: Waiting, signal: AbortSignal): Promise<void> {
    const { spool, name, say } = this.options
    const outcome = await this.outcomeOf(waiting, signal)
    if (outcome.kind === 'taken') {
      spool.done(waiting.id)
      this.refusals = 0
      if (this.failures > 0) say(`outputs.${name} works again; ${spool.count} more reports wait for it`)
      this.failures = 0
      return
    }
    if (this.failures++ === 0 && !signal.aborted)
      say(`outputs.${name} does not work: ${outcome.reason}; what it is to be told waits in ${spool.file}`)
    if (outcome.kind === 'refused' && ++this.refusals >= MOST_REFUSALS) {
      say(`outputs.${name} refuses a report (${outcome.reason}): it is given up`)
      spool.drop(waiting.id)
      this.refusals = 0
      return
    }
    await this.pause(outcome, signal)
  }

  private async outcomeOf(waiting: Waiting, signal: AbortSignal): Promise<Outcome> {
    try {
      return await this.options.carrier.carry(waiting, signal)
    } catch (error) {
      // Somebody else has written what is no report into the file.
      return { kind: 'refused', reason: error instanceof Error ? error.message : String(error) }
    }
  }

  private async pause(outcome: Outcome, signal: AbortSignal): Promise<void> {
    const { retryMs = FIRST_RETRY_MS } = this.options
    const waitMs = Math.min(retryMs * 2 ** Math.min(this.failures - 1, 20), LAST_RETRY_MS)
    // All hosts that wait for the same server must not come back together.
    const chosenMs = randomInt(Math.ceil(waitMs / 2), Math.ceil(waitMs) + 1)
    const askedMs = outcome.kind === 'failed' ? Math.min(outcome.afterMs ?? 0, MOST_ASKED_MS) : 0
    await sleep(Math.max(chosenMs, askedMs), undefined, { signal }).catch(() => undefined)
  }

  /** What was dropped is told where it is missing. */
  private tellOfDropped(): void {
    const { spool, name, say } = this.options
    if (!this.isFull && spool.isDropping) {
      this.isFull = true
      say(`too many reports wait for outputs.${name}: the least grave ones are dropped`)
    }
    if (this.failures > 0) return
    this.isFull = false
    const dropped = spool.takeDropped()
    if (dropped === 0) return
    const nowMs = Date.now()
    const detail = `${dropped} reports were never sent to outputs.${name}: too many had to wait`
    say(detail)
    spool.add({ kind: 'blind-spot', reason: 'shed', fromMs: nowMs, toMs: nowMs, count: dropped, detail })
  }
}
