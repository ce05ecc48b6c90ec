import { fstatSync } from 'node:fs'

const EVERY_MS = 200

/** One line that counts up, on a terminal only, and not beside a pipe: a pager may draw on the same terminal. */
export class Progress {
  private done = 0
  private shownMs = 0
  private isShown = false
  private readonly verb: string
  private readonly total: number
  private readonly stream: NodeJS.WriteStream
  private readonly hasPlace: boolean

  constructor(verb: string, totalBytes: number, stream: NodeJS.WriteStream) {
    this.verb = verb
    this.total = totalBytes
    this.stream = stream
    this.hasPlace = stream.isTTY && !fstatSync(process.stdout.fd).isFIFO()
  }

  advance(bytes: number): void {
    this.done += bytes
    const nowMs = Date.now()
    if (!this.hasPlace || nowMs - this.shownMs < EVERY_MS) return
    this.shownMs = nowMs
    this.isShown = true
    const percent = this.total === 0 ? '' : `, ${Math.floor((100 * this.done) / this.total)} %`
    this.stream.write(`\r\u001b[K${this.verb}: ${(this.done / 1e6).toFixed(0)} MB${percent}`)
  }

  /** Makes place for something else; the line comes back with the next bytes. */
  clear(): void {
    if (this.isShown) this.stream.write('\r\u001b[K')
    this.isShown = false
  }
}
