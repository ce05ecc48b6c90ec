import { fstatSync, writeSync } from 'node:fs'

/** What the launcher leaves in the environment: Node cannot make datagram sockets of the file system. */
const SOCKET = 'FULLMON_NOTIFY_FD'

/** What is told to the service manager that started the agent: sd_notify(3), sd_watchdog_enabled(3). */
export interface ServiceManager {
  /**
   * Assignments, as in `READY=1`. It never waits and never fails: a manager that does not read is not worth a moment of
   * not watching.
   */
  readonly tell: (...assignments: readonly string[]) => void
  /** How often it wants to hear `WATCHDOG=1`, at least; undefined when it does not watch. */
  readonly watchdogMs: number | undefined
}

/** The service manager, or one that hears nothing when the program was started by hand. */
export function serviceManager(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): ServiceManager {
  const socket = socketOf(environment[SOCKET])
  if (socket === undefined) return { tell: () => undefined, watchdogMs: undefined }
  return {
    tell: (...assignments) => {
      try {
        writeSync(socket, assignments.map(onOneLine).join('\n'))
      } catch {
        // Its queue is full (the socket does not block), or it is gone.
      }
    },
    watchdogMs: watchdogOf(environment, pid),
  }
}

function socketOf(text: string | undefined): number | undefined {
  const fd = Number(text)
  if (text === undefined || !Number.isInteger(fd) || fd <= 2) return undefined
  try {
    return fstatSync(fd).isSocket() ? fd : undefined
  } catch {
    return undefined
  }
}

function watchdogOf(
  { WATCHDOG_USEC: microseconds, WATCHDOG_PID: watched }: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | undefined {
  if (watched !== undefined && Number(watched) !== pid) return undefined
  const everyMs = Number(microseconds) / 1000
  return everyMs > 0 && Number.isFinite(everyMs) ? everyMs : undefined
}

/** A second line would be another assignment. */
const onOneLine = (text: string): string => text.replace(/\s+/g, ' ')
