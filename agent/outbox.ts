import type { Baseline } from './baseline/baseline.ts'
import type { Report } from './domain/report.ts'

export interface Printers {
  readonly emit: (report: Report) => void
  /** The same for what an earlier run has perhaps printed, before it was killed. */
  readonly emitAgain?: (report: Report) => void
  /** Whether all that was emitted has left the process: a reader may stall. */
  readonly isEmitted?: () => boolean
}

/**
 * Reports on their way out. They are decided on in a transaction, printed behind it, and kept until they have left the
 * process: a kill in between loses none, who reads slowly costs no memory, and who stalls loses nothing.
 */
export class Outbox {
  private hasPosted = false
  /** The last one that was emitted. */
  private emittedId = 0
  private readonly baseline: Baseline
  private readonly printers: Printers

  constructor(baseline: Baseline, printers: Printers) {
    this.baseline = baseline
    this.printers = printers
  }

  /** Belongs into the transaction that decides on it. */
  post(report: Report): void {
    this.baseline.kept.post(report)
    this.hasPosted = true
  }

  /** Prints what was posted, as far as the reader takes it. */
  deliver(): void {
    if (this.hasPosted) this.print(this.printers.emit)
  }

  /** Prints what an earlier run has posted, and has perhaps printed. */
  deliverAgain(): void {
    this.hasPosted = true
    this.print(this.printers.emitAgain ?? this.printers.emit)
  }

  private print(emit: (report: Report) => void): void {
    const { baseline } = this
    const { isEmitted = () => true } = this.printers
    if (!isEmitted()) return
    for (let posted = baseline.kept.posted(); posted.length > 0; posted = baseline.kept.posted()) {
      for (const { id, report } of posted) {
        if (id <= this.emittedId) continue
        emit(report)
        this.emittedId = id
        if (isEmitted()) continue
        baseline.kept.delivered(id - 1)
        return
      }
      baseline.kept.delivered(this.emittedId)
    }
    this.hasPosted = false
  }
}
