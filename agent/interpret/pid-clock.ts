/** Execs come from pids that the kernel has just handed out; this far around the newest counts as the same stretch. */
const STRETCH = 2000

/**
 * Time as the order of pids tells it. The kernel hands pids out in rising order and begins again at the bottom
 * (kernel/pid.c, alloc_pid: idr_alloc_cyclic), so a pid can only have been reused once the order has passed it again.
 */
export class PidClock {
  private newest = 0
  private round = 0
  private outlier: number | undefined

  /** A point in that order, for `hasPassed`. */
  get now(): number {
    return this.round
  }

  /** A process has just become a new program under `pid`. */
  tick(pid: number): void {
    if (this.newest === 0 || Math.abs(pid - this.newest) < STRETCH) {
      this.newest = Math.max(this.newest, pid)
      this.outlier = undefined
      return
    }
    // One pid far away is an old process that runs another program; two in a row that are near each other are the order.
    const { outlier } = this
    if (outlier !== undefined && outlier !== pid && Math.abs(pid - outlier) < STRETCH) {
      if (pid < this.newest) this.round++
      this.newest = pid
    }
    this.outlier = pid
  }

  /**
   * The point in that order of a process that has just become a new program under `pid`, behind its `tick`. The first of
   * a new round does not show yet that the order has begun again.
   */
  pointOf(pid: number): number {
    return pid === this.outlier && pid < this.newest ? this.round + 1 : this.round
  }

  /** What `resume` takes. */
  get memory(): readonly number[] {
    return this.outlier === undefined ? [this.newest, this.round] : [this.newest, this.round, this.outlier]
  }

  /** Goes on where another one stopped. */
  resume([newest = 0, round = 0, outlier]: readonly number[]): void {
    this.newest = newest
    this.round = round
    this.outlier = outlier
  }

  /** Whether `pid`, known since `born`, may have been handed out again since. */
  hasPassed(pid: number, born: number): boolean {
    return this.round > born + 1 || (this.round === born + 1 && pid <= this.newest + STRETCH)
  }
}
