import { createLogger, format, transports, type Logger } from 'winston'

const MOST_BYTES = 10 * 1024 * 1024
const MOST_FILES = 5

/** Where the agent writes for people. */
export interface Log {
  readonly line: (text: string) => void
  /** Resolves when everything is on disk. */
  readonly close: () => Promise<void>
}

/** A log file that rotates by size: `fullmon.log`, `fullmon1.log` … Five files of 10 MiB at most, readable for its group. */
export function openLog(file: string): Log {
  const logger: Logger = createLogger({
    format: format.combine(
      format.timestamp(),
      format.printf(({ timestamp, message }) => `${String(timestamp)} ${String(message)}`),
    ),
    transports: [
      // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- winston's own transport
      new transports.File({
        filename: file,
        maxsize: MOST_BYTES,
        maxFiles: MOST_FILES,
        tailable: true,
        options: { flags: 'a', mode: 0o640 },
      }),
    ],
  })
  return {
    line: (text) => logger.info(text),
    close: () =>
      new Promise((resolve) => {
        logger.on('finish', resolve)
        logger.end()
      }),
  }
}
