import { setTimeout as sleep } from 'node:timers/promises'
import { CaptureAnswers } from '../peers/reader.ts'
import type { NameSource, ResolvedName } from '../peers/resolved.ts'
import { outputOf } from '../support/command.ts'

/** Between two attempts; each is twice as long as the one before, up to the last. */
const FIRST_PAUSE_MS = 1000
const LAST_PAUSE_MS = 60_000
/** How long tcpdump may take to begin. */
const PATIENCE_MS = 5000
/** How long an answer takes from the wire to here. */
const ON_ITS_WAY_MS = 50
/** Answers that wait for the log to come to their time. */
const MOST_WAITING = 10_000

/** What tcpdump says when nothing is wrong. */
const CHATTER = /listening on|data link type|packets? (?:captured|received|dropped)/

/** Since when the answers cannot be heard. */
export interface Deafness {
  readonly sinceMs: number
  readonly detail: string
  /** Whether they never could, since the agent began. */
  readonly isStanding: boolean
}

/**
 * DNS answers as they pass an interface of this host, captured by a tcpdump of its own. When that ends it is started
 * again, and what it did not hear is a blind spot.
 *
 * It is not promiscuous: what was answered to others, this host was not told.
 */
export class CapturedNames implements NameSource {
  private readonly interface: string
  private readonly over = new AbortController()
  private waiting: ResolvedName[] = []
  private missed = 0
  private unreadBefore = 0
  private reader = new CaptureAnswers()
  /** Undefined while they can be heard. */
  deafness: Deafness | undefined
  private hasHeard = false
  private running: Promise<void> = Promise.resolve()

  /** @param name of the interface; `any` for all */
  constructor(name: string) {
    this.interface = name
  }

  /** Begins, and resolves when the answers can be heard, or cannot. */
  async start(): Promise<void> {
    const { signal } = this.over
    await new Promise<void>((resolve) => {
      this.running = this.capture(resolve)
      sleep(PATIENCE_MS, undefined, { signal }).then(resolve, resolve)
    })
  }

  async close(): Promise<void> {
    this.over.abort()
    await this.running
  }

  /** Resolves when what was answered before the call has been heard. */
  async settled(): Promise<void> {
    if (this.deafness === undefined) await sleep(ON_ITS_WAY_MS)
  }

  takeUntil(timeMs: number, take: (name: ResolvedName) => void): void {
    let count = 0
    for (const name of this.waiting) {
      if (name.timeMs > timeMs) break
      take(name)
      count++
    }
    if (count > 0) this.waiting = this.waiting.slice(count)
  }

  get unread(): number {
    return this.unreadBefore + this.reader.unread + this.missed
  }

  private async capture(onBegun: () => void): Promise<void> {
    const { signal } = this.over
    const isOver = (): boolean => signal.aborted
    for (let pauseMs = FIRST_PAUSE_MS; !isOver(); pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS)) {
      const beganMs = performance.now()
      const complaint = await this.listen(onBegun)
      if (isOver()) return
      this.deafen(complaint)
      onBegun()
      if (performance.now() - beganMs > LAST_PAUSE_MS) pauseMs = FIRST_PAUSE_MS
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
    }
  }

  /** @returns why it has ended */
  private async listen(onBegun: () => void): Promise<string> {
    this.unreadBefore += this.reader.unread
    this.reader = new CaptureAnswers()
    const words = `-U -n -p --immediate-mode -s 0 -i ${this.interface} -w -`.split(' ')
    try {
      const { signal } = this.over
      for await (const bytes of outputOf('tcpdump', [...words, 'port 53'], 'ignore', { signal })) {
        // The first bytes come before the first packet.
        this.hasHeard = true
        this.deafness = undefined
        onBegun()
        this.reader.push(bytes, (name) => this.keep(name))
        if (this.reader.isBroken) return 'what tcpdump wrote is no capture'
      }
      return 'tcpdump has ended'
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }

  private keep(name: ResolvedName): void {
    if (this.waiting.length >= MOST_WAITING) {
      this.waiting.shift()
      this.missed++
    }
    this.waiting.push(name)
  }

  private deafen(complaint: string): void {
    const why = complaint.split('\n').filter((line) => !CHATTER.test(line))
    const detail = `DNS answers on ${this.interface} are not captured: ${why.join(' ') || 'tcpdump has ended'}`
    this.deafness = {
      sinceMs: this.deafness?.sinceMs ?? Date.now(),
      detail,
      isStanding: !this.hasHeard,
    }
  }
}
