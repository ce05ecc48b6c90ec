import { closeSync, fstatSync, openSync, renameSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { Writable } from 'node:stream'
import { createLogger, format, transports } from 'winston'
import { UsageError } from '../domain/result.ts'
import { holdsText, lastLines } from './last-lines.ts'
import { asItsOwner } from './service-user.ts'

const MOST_BYTES = 10 * 1024 * 1024
const MOST_FILES = 5
const OWNER_AND_GROUP = 0o640

/** Where the agent writes for people. */
export interface Log {
  readonly line: (text: string) => void
  /** Whether it is among the last lines already, whole. */
  readonly holds: (text: string) => boolean
  /** Resolves when everything is on disk. */
  readonly close: () => Promise<void>
}

/**
 * A log file that rotates by size: `fullmon.log`, `fullmon.log.1` … Five files of 10 MiB at most, readable for its group.
 * @throws UsageError when the file cannot be opened
 */
export function openLog(file: string): Log {
  const rotating = new RotatingFile(file)
  const logger = createLogger({
    format: format.combine(
      format.timestamp(),
      format.printf(({ timestamp, message }) => `${String(timestamp)} ${String(message)}`),
    ),
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- winston's own transport
    transports: [new transports.Stream({ stream: rotating, eol: '\n' })],
  })
  return {
    line: (text) => logger.info(text),
    holds: (text) => [file, `${file}.1`].some((path) => holdsText(lastLines(path).lines, text, textOfLine)),
    close: () =>
      new Promise((resolve) => {
        logger.on('finish', () => rotating.end(() => resolve()))
        logger.end()
      }),
  }
}

/** Without the time before it. */
const textOfLine = (line: string): string => line.slice(line.indexOf(' ') + 1)

/**
 * winston's own file ends the program when the disk is full or lines come faster than it rotates (3.19.0: "write after
 * end"), and a watcher that a full disk silences is worth nothing. Lines are few, so each is written at once.
 */
class RotatingFile extends Writable {
  private readonly file: string
  private fd: number
  private unwritten = 0
  /** The last write was cut short by a full disk, or by the end of an earlier run. */
  private mayBeCut = true

  constructor(file: string) {
    super({ decodeStrings: false })
    this.file = file
    try {
      this.fd = open(file)
    } catch (error) {
      throw new UsageError(`cannot write to the log ${file}: ${reasonOf(error)}`)
    }
  }

  override _write(line: string, _encoding: BufferEncoding, done: () => void): void {
    try {
      this.append(line)
      this.unwritten = 0
      this.mayBeCut = false
    } catch {
      this.unwritten++
      this.mayBeCut = true
    }
    done()
  }

  override _final(done: () => void): void {
    closeSync(this.fd)
    done()
  }

  private append(line: string): void {
    const { size, ino } = fstatSync(this.fd)
    const isFull = size > 0 && size + Buffer.byteLength(line) > MOST_BYTES
    if (isFull) this.rotate()
    // Somebody else has moved the file away, or removed it.
    else if (statSync(this.file, { throwIfNoEntry: false })?.ino !== ino) this.reopen()
    if (this.mayBeCut && lastLines(this.file).isCut) writeAll(this.fd, '\n')
    if (this.unwritten > 0)
      writeAll(this.fd, `${this.unwritten} lines could not be written before this one\n`)
    writeAll(this.fd, line)
  }

  private rotate(): void {
    for (let number = MOST_FILES - 1; number > 0; number--) {
      const older = number === 1 ? this.file : `${this.file}.${number - 1}`
      if (statSync(older, { throwIfNoEntry: false }) !== undefined)
        renameSync(older, `${this.file}.${number}`)
    }
    this.reopen()
  }

  private reopen(): void {
    const old = this.fd
    this.fd = open(this.file)
    closeSync(old)
  }
}

const open = (file: string): number => asItsOwner(dirname(file), () => openSync(file, 'a', OWNER_AND_GROUP))

/** A full disk takes only a part of a line: the rest is tried again until that, too, is refused. */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text)
  let written = 0
  while (written < bytes.length) written += writeSync(fd, bytes, written)
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
