import { readFileSync } from 'node:fs'
import type { Tamper } from '../domain/report.ts'

/** What adjusts clocks steps by less, and the two are not looked at in the very same moment. */
const JUMP_MS = 10_000
const UPTIME = '/proc/uptime'

/** The two clocks that are compared, in milliseconds. */
export interface Clocks {
  /** Unix time, which can be set. */
  readonly wallMs: () => number
  /** Time since the boot, which cannot, and which goes on while the host sleeps. */
  readonly bootMs: () => number
}

const HOST: Clocks = {
  wallMs: () => Date.now(),
  bootMs: () => Number.parseFloat(readFileSync(UPTIME, 'latin1')) * 1000,
}

/** Tells when somebody sets the clock of this host: whoever does can make deeds seem old, or end a training. */
export class ClockWatch {
  private readonly clocks: Clocks
  /** What the wall clock had at boot, by the time that was last believed: many small steps are a big one, too. */
  private bootedMs: number

  constructor(clocks: Clocks = HOST) {
    this.clocks = clocks
    this.bootedMs = this.look().bootedMs
  }

  /** What to report, when the clock has been set by more than ten seconds since it was reported last. */
  jump(): Tamper | undefined {
    const { wallMs, bootedMs } = this.look()
    const byMs = bootedMs - this.bootedMs
    if (Math.abs(byMs) <= JUMP_MS) return undefined
    this.bootedMs = bootedMs
    const way = byMs > 0 ? 'forward' : 'back'
    const from = new Date(wallMs - byMs).toISOString()
    const to = new Date(wallMs).toISOString()
    return {
      kind: 'tamper',
      reason: 'clock-jump',
      timeMs: wallMs,
      process: '',
      chain: [],
      detail: `the clock of the host was set ${way} by ${Math.round(Math.abs(byMs) / 1000)} s, from ${from} to ${to}`,
    }
  }

  private look(): { wallMs: number; bootedMs: number } {
    const wallMs = this.clocks.wallMs()
    return { wallMs, bootedMs: wallMs - this.clocks.bootMs() }
  }
}
