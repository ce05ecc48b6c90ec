import type { EventId } from '../domain/record.ts'

/** A serial further ahead than this is of another log, not behind a gap. */
const LARGEST_GAP = 1_000_000
/** A serial at most this far behind may still be a late one, and at most that far it certainly is. */
const LARGEST_DELAY = 4096
const USUAL_DELAY = 64
/** A serial far behind whose stamp is this much newer than any before is of another boot. */
const NEWER_MS = 2000
const SERIALS = 2 ** 32

export type SerialState = readonly [highest: number, newestMs: number, missing: number]

/**
 * Counts the serial numbers of one node that never came, modulo 2^32. Those that come a little late are taken off again;
 * a serial far behind, or behind and yet clearly newer, is the first of another boot.
 */
export class SerialWatch {
  missing = 0
  private highest: number
  private newestMs: number

  constructor(first: Pick<EventId, 'serial' | 'timeMs'>) {
    this.highest = first.serial
    this.newestMs = first.timeMs
  }

  /** What another one needs to go on. */
  get memory(): SerialState {
    return [this.highest, this.newestMs, this.missing]
  }

  static from([serial, timeMs, missing]: SerialState): SerialWatch {
    const watch = new SerialWatch({ serial, timeMs })
    watch.missing = missing
    return watch
  }

  see({ serial, timeMs }: EventId): void {
    const ahead = (serial - this.highest + SERIALS) % SERIALS
    if (ahead === 0) return
    const isNewer = timeMs > this.newestMs + NEWER_MS
    if (timeMs > this.newestMs) this.newestMs = timeMs
    if (ahead < LARGEST_GAP) {
      this.missing += ahead - 1
      this.highest = serial
    } else if (SERIALS - ahead <= (isNewer ? USUAL_DELAY : LARGEST_DELAY)) {
      this.missing = Math.max(0, this.missing - 1)
    } else {
      this.highest = serial
      this.newestMs = timeMs
    }
  }
}
