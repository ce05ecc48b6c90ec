import type { BlindReason, BlindSpot } from '../domain/report.ts'
import type { ProcessScan } from '../domain/scan.ts'
import type { Phase, Pulse } from '../session.ts'

/** What a running agent knows of itself, for whoever asks it. */
export class LiveState {
  /** Unix time in milliseconds. */
  readonly startMs: number
  phase: 'starting' | Exclude<Phase['name'], 'unwatched'> = 'starting'
  /** Whether the kernel's audit is looked at: not when the log is that of another host. */
  isKernelWatched = true
  pulse: Pulse | undefined
  /** The last scan of the processes. */
  scan: ProcessScan | undefined
  readonly #ongoing = new Map<BlindReason, BlindSpot>()

  constructor(startMs: number) {
    this.startMs = startMs
  }

  enter({ name }: Phase): void {
    if (name === 'unwatched') this.isKernelWatched = false
    else this.phase = name
  }

  /** Takes note of what is not seen. Returns whether it has changed. */
  see(spot: BlindSpot): boolean {
    if (spot.isOngoing !== true) return this.#ongoing.delete(spot.reason)
    this.#ongoing.set(spot.reason, spot)
    return true
  }

  get ongoing(): readonly BlindSpot[] {
    return [...this.#ongoing.values()]
  }
}
