import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { type Report, SEVERITIES, type Severity } from '../domain/report.ts'
import { asItsOwner } from '../support/service-user.ts'
import { gravityOf } from '../report/gravity.ts'
import { bounded } from './bounded.ts'

/** Whatever their size: each costs memory. */
const MOST_ENTRIES = 20_000
/** Of what was sent lately it is known that it was. */
const MOST_SENT = 1000
/** More than this in the file that waits no more, and it is written anew. */
const MOST_WASTE_BYTES = 1024 * 1024
/** No descriptor: another file may have got the number. */
const CLOSED = -1
const OWNER_ONLY = 0o600
const APPEND = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW

/** A report that waits, and an id that is the same however often it is sent. */
export interface Waiting {
  readonly id: string
  readonly report: Report
}

/** A line of the file: what waits, or what was sent or dropped. */
type Line = readonly ['+', id: string, severity: Severity, report: Report] | readonly ['-', id: string]

interface Entry {
  readonly severity: Severity
  readonly bytes: number
  /** Where its line begins; undefined when the disk did not take it. */
  readonly offset: number | undefined
  /** What the disk did not take. */
  readonly text: string | undefined
}

/**
 * Reports that wait to be sent, in a file of lines that only grows until it is written anew: what was added is on the disk and
 * outlives a kill at any moment. When there are too many, the oldest of the least grave ones are dropped, and counted.
 */
export class Spool {
  readonly file: string
  private readonly mostBytes: number
  private readonly entries = new Map<string, Entry>()
  private readonly sent = new Set<string>()
  private readonly counts = new Map<Severity, number>()
  private fd: number
  private waitingBytes = 0
  private fileBytes = 0
  private mayBeCut = false
  /** Reports that were dropped since somebody asked. */
  private dropped = 0

  /** Opens the file, and makes it when it is missing. @throws Error when it cannot be made */
  constructor(file: string, mostBytes: number) {
    this.file = file
    this.mostBytes = mostBytes
    this.fd = this.asOwner(() => {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
      return openSync(file, APPEND, OWNER_ONLY)
    })
    this.load()
    this.rewrite()
  }

  get count(): number {
    return this.entries.size
  }

  /** Whether reports were dropped that nobody has asked for. */
  get isDropping(): boolean {
    return this.dropped > 0
  }

  /** Keeps a report until it is sent. One that waits already, or was sent lately, is not taken again. */
  add(report: Report): void {
    const id = createHash('sha256').update(JSON.stringify(report)).digest('hex').slice(0, 32)
    if (this.entries.has(id) || this.sent.has(id)) return
    const severity = gravityOf(report) ?? 'low'
    const text = `${JSON.stringify(['+', id, severity, bounded(report)] satisfies Line)}\n`
    const bytes = Buffer.byteLength(text)
    while (this.entries.size > 0 && !this.hasRoomFor(bytes)) {
      const least = this.leastGrave()
      if (least === undefined || SEVERITIES.indexOf(least.severity) > SEVERITIES.indexOf(severity)) {
        this.dropped++
        return
      }
      this.drop(least.id)
    }
    const offset = this.append(text)
    this.keep(id, { severity, bytes, offset, text: offset === undefined ? text : undefined })
    this.sync()
  }

  /** The report that has waited longest. */
  first(): Waiting | undefined {
    for (const [id, entry] of this.entries) {
      const line = lineOf(entry.text ?? this.read(entry))
      if (line?.[0] === '+') return { id, report: line[3] }
      // Somebody else has written into the file.
      this.drop(id)
    }
    return undefined
  }

  /** The report with this id was sent. */
  done(id: string): void {
    this.forget(id)
    this.sent.add(id)
    for (const oldest of this.sent) {
      if (this.sent.size <= MOST_SENT) break
      this.sent.delete(oldest)
    }
    this.append(`${JSON.stringify(['-', id] satisfies Line)}\n`)
    if (this.fileBytes > this.waitingBytes + MOST_WASTE_BYTES) this.rewrite()
  }

  /** How many were dropped since this was asked. */
  takeDropped(): number {
    const { dropped } = this
    this.dropped = 0
    return dropped
  }

  drop(id: string): void {
    this.forget(id)
    this.dropped++
    this.append(`${JSON.stringify(['-', id] satisfies Line)}\n`)
  }

  close(): void {
    if (this.fd === CLOSED) return
    this.sync()
    closeSync(this.fd)
    this.fd = CLOSED
  }

  private hasRoomFor(bytes: number): boolean {
    return this.entries.size < MOST_ENTRIES && this.waitingBytes + bytes <= this.mostBytes
  }

  private leastGrave(): { readonly id: string; readonly severity: Severity } | undefined {
    const severity = SEVERITIES.find((each) => (this.counts.get(each) ?? 0) > 0)
    for (const [id, entry] of this.entries) if (entry.severity === severity) return { id, severity }
    return undefined
  }

  private keep(id: string, entry: Entry): void {
    this.entries.set(id, entry)
    this.counts.set(entry.severity, (this.counts.get(entry.severity) ?? 0) + 1)
    this.waitingBytes += entry.bytes
  }

  private forget(id: string): void {
    const entry = this.entries.get(id)
    if (entry === undefined) return
    this.entries.delete(id)
    this.counts.set(entry.severity, (this.counts.get(entry.severity) ?? 1) - 1)
    this.waitingBytes -= entry.bytes
  }

  /** @returns where the text begins; undefined when the disk did not take it whole */
  private append(text: string): number | undefined {
    try {
      const bytes = Buffer.from(this.mayBeCut ? `\n${text}` : text)
      const offset = this.fileBytes + (this.mayBeCut ? 1 : 0)
      const written = writeSync(this.fd, bytes)
      this.fileBytes += written
      this.mayBeCut = written < bytes.length
      return this.mayBeCut ? undefined : offset
    } catch {
      return undefined
    }
  }

  private sync(): void {
    try {
      fdatasyncSync(this.fd)
    } catch {
      // What a broken disk does not keep is still sent.
    }
  }

  private read({ offset = 0, bytes }: Entry): string {
    const buffer = Buffer.alloc(bytes)
    try {
      return buffer.toString('utf8', 0, readSync(this.fd, buffer, 0, bytes, offset))
    } catch {
      return ''
    }
  }

  private load(): void {
    for (const text of readFileSync(this.file, 'utf8').split('\n')) {
      const line = lineOf(text)
      if (line?.[0] === '+') {
        const whole = `${text}\n`
        this.keep(line[1], {
          severity: line[2],
          bytes: Buffer.byteLength(whole),
          offset: undefined,
          text: whole,
        })
      } else if (line !== undefined) {
        this.forget(line[1])
        this.sent.add(line[1])
      }
    }
    this.fileBytes = fstatSync(this.fd).size
    // A kill, or a full disk, ended within the last line.
    this.mayBeCut = !this.endsWithNewline()
  }

  private endsWithNewline(): boolean {
    const last = Buffer.alloc(1)
    return this.fileBytes === 0 || (readSync(this.fd, last, 0, 1, this.fileBytes - 1), last[0] === 0x0a)
  }

  /** Leaves only what waits, and the ids of what was sent lately. The old file stays when the disk does not take a new one. */
  private rewrite(): void {
    this.asOwner(() => this.writeAnew())
  }

  /** The folder lies beside the baseline, and belongs to whom that belongs to. */
  private asOwner<T>(work: () => T): T {
    return asItsOwner(dirname(dirname(this.file)), work)
  }

  private writeAnew(): void {
    const part = `${this.file}.new`
    let fd: number | undefined
    try {
      const kept: [string, Entry][] = []
      const lines: string[] = []
      let offset = 0
      for (const [id, entry] of this.entries) {
        const text = entry.text ?? this.read(entry)
        lines.push(text)
        kept.push([id, { ...entry, offset, text: undefined }])
        offset += entry.bytes
      }
      lines.push(...[...this.sent].map((id) => `${JSON.stringify(['-', id] satisfies Line)}\n`))
      fd = openSync(part, APPEND | constants.O_TRUNC, OWNER_ONLY)
      const bytes = Buffer.from(lines.join(''))
      if (writeSync(fd, bytes) < bytes.length) throw new Error('the disk is full')
      fsyncSync(fd)
      renameSync(part, this.file)
      closeSync(this.fd)
      this.fd = fd
      fd = undefined
      this.fileBytes = bytes.length
      this.mayBeCut = false
      for (const [id, entry] of kept) this.entries.set(id, entry)
      syncFolder(dirname(this.file))
    } catch {
      if (fd !== undefined) closeSync(fd)
    }
  }
}

function lineOf(text: string): Line | undefined {
  if (!text.startsWith('[')) return undefined
  try {
    const line = JSON.parse(text) as unknown
    if (!Array.isArray(line) || typeof line[1] !== 'string') return undefined
    if (line[0] === '-') return ['-', line[1]]
    const isWhole = line[0] === '+' && SEVERITIES.some((each) => each === line[2]) && isReport(line[3])
    return isWhole ? (line as unknown as Line) : undefined
  } catch {
    return undefined
  }
}

const isReport = (value: unknown): value is Report =>
  typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string'

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
