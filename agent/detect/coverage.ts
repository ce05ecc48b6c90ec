import type { BlindReason, BlindSpot, Coverage } from '../domain/report.ts'

/** Blind spots that `status` still shows when they are over. */
const MOST_RECENT = 20

/** Nothing is missing from the log for these, so what is learned is right. */
const HARMLESS: ReadonlySet<BlindReason> = new Set([
  'behind',
  'host-unscanned',
  'kernel-backlog',
  'clock-set-back',
  'baseline-unwritable',
  'shed',
])

/** Counts that only grow, by name. */
type Counts = Readonly<Record<string, number>>

/** What a growing count means. */
interface Count {
  readonly counter: string
  readonly reason: BlindReason
  readonly detail: string
}

const COUNTS: readonly Count[] = [
  { counter: 'unreadableLines', reason: 'unreadable-line', detail: 'lines that are no audit records' },
  { counter: 'tornLines', reason: 'unreadable-line', detail: 'records that began in the middle of a line' },
  {
    counter: 'incompleteEvents',
    reason: 'incomplete-event',
    detail: 'events whose announced records never came',
  },
  {
    counter: 'lateRecords',
    reason: 'late-record',
    detail: 'records that came after their event was finished',
  },
  { counter: 'missingSerials', reason: 'serial-gap', detail: 'serial numbers that no record bears' },
  {
    counter: 'shedProcesses',
    reason: 'shed',
    detail: 'processes that were forgotten: programs with long names took too much room',
  },
  {
    counter: 'shedFiles',
    reason: 'shed',
    detail: 'files whose inode numbers were forgotten: long paths took too much room',
  },
  {
    counter: 'shedAddresses',
    reason: 'shed',
    detail: 'addresses whose names were forgotten: too many were resolved',
  },
]

export type CoverageState = readonly [
  reported: Counts,
  fromMs: number | null,
  isDegraded: boolean,
  wasDegraded: boolean,
]

/** What the agent has not seen: in this window, now, and lately. */
export class CoverageWatch {
  private reported: Counts = {}
  private fromMs: number | undefined
  /** Whether there was any blind spot in this run. */
  hasMissed = false
  private isWindowDegraded = false
  private wasWindowDegraded = false
  private readonly standing = new Set<BlindReason>()
  private readonly ongoing = new Map<BlindReason, BlindSpot>()
  private recent: readonly BlindSpot[] = []

  /** What has been missed by these counts since the last time, or since `firstMs`. Takes note of it. */
  missed(counts: Counts, firstMs: number, toMs: number): BlindSpot[] {
    const fromMs = this.fromMs ?? firstMs
    const spots = COUNTS.map(({ counter, reason, detail }) => ({
      kind: 'blind-spot' as const,
      reason,
      fromMs,
      toMs,
      count: (counts[counter] ?? 0) - (this.reported[counter] ?? 0),
      detail,
    })).filter(({ count }) => count > 0)
    this.reported = counts
    this.fromMs = toMs
    for (const spot of spots) this.note(spot)
    return spots
  }

  /**
   * Takes note of a blind spot.
   * @param isStanding whether it has been there since before the training, and so misses evenly what it misses
   */
  note(spot: BlindSpot, isStanding = false): void {
    const { reason, isOngoing } = spot
    this.hasMissed = true
    if (isOngoing === true) {
      this.ongoing.set(reason, spot)
      if (isStanding) this.standing.add(reason)
      else this.standing.delete(reason)
    } else {
      this.ongoing.delete(reason)
      this.standing.delete(reason)
      this.recent = [...this.recent, spot].slice(-MOST_RECENT)
    }
    if (!HARMLESS.has(reason) && !isStanding) this.isWindowDegraded = true
  }

  /** Whether something was missed in this window. */
  get isDegraded(): boolean {
    return this.isWindowDegraded
  }

  /** Another window begins. */
  beginWindow(): void {
    this.wasWindowDegraded = this.isWindowDegraded
    this.isWindowDegraded = [...this.ongoing.keys()].some(
      (reason) => !HARMLESS.has(reason) && !this.standing.has(reason),
    )
  }

  /** For `status`. */
  at(timeMs: number): Coverage {
    const isDegraded = this.isWindowDegraded || this.wasWindowDegraded
    return { ongoing: [...this.ongoing.values()], recent: this.recent, isDegraded, timeMs }
  }

  /** What `resume` takes, besides the coverage. */
  get memory(): CoverageState {
    return [this.reported, this.fromMs ?? null, this.isWindowDegraded, this.wasWindowDegraded]
  }

  /** Goes on where another one stopped. What was ongoing then is told anew by those who watch, if it still is. */
  resume([reported, fromMs, isDegraded, wasDegraded]: CoverageState, { ongoing, recent }: Coverage): void {
    this.reported = reported
    this.fromMs = fromMs ?? undefined
    this.isWindowDegraded = isDegraded
    this.wasWindowDegraded = wasDegraded
    this.recent = [...recent, ...ongoing].slice(-MOST_RECENT)
  }
}
