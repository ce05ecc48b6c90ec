import type { Report } from '../domain/report.ts'

/** Where reports go besides the terminal and the log file. */
export interface Sink {
  /** Takes a report that it may have been offered before. It never waits and never throws. */
  offer(report: Report): void
  /** Resolves within a second, when as much as possible is sent. What is not is offered by the next run itself. */
  close(): Promise<void>
}
