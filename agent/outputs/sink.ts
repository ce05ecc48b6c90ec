import type { Report } from '../domain/report.ts'

/** How reports leave the process: what the agent does for that is nobody's deed. */
export interface Reach {
  /** Sockets of this host that are told. */
  readonly sockets: readonly string[]
  /** Arguments of the program that tells them, but for the socket. */
  readonly program: readonly string[]
  /** Port of the server that is told; undefined when none is. */
  readonly port: number | undefined
}

/** Where reports go besides the terminal and the log file. */
export interface Sink {
  /** Takes a report that it may have been offered before. It never waits and never throws. */
  offer(report: Report): void
  /** Resolves within a second, when as much as possible is sent. What is not is offered by the next run itself. */
  close(): Promise<void>
}
