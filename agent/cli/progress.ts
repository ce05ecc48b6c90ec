const EVERY_MS = 200

/** One line that counts up, on a terminal only. */
export class Progress {
  private done = 0
  private shownMs = 0
  private readonly verb: string
  private readonly total: number
  private readonly stream: NodeJS.WriteStream

  constructor(verb: string, totalBytes: number, stream: NodeJS.WriteStream) {
    this.verb = verb
    this.total = totalBytes
    this.stream = stream
  }

  advance(bytes: number): void {
    this.done += bytes
    const nowMs = Date.now()
    if (!this.stream.isTTY || nowMs - this.shownMs < EVERY_MS) return
    this.shownMs = nowMs
    const percent = this.total === 0 ? '' : `, ${Math.floor((100 * this.done) / this.total)} %`
    this.stream.write(`\r\u001b[K${this.verb}: ${(this.done / 1e6).toFixed(0)} MB${percent}`)
  }

  end(): void {
    if (this.shownMs > 0) this.stream.write('\r\u001b[K')
  }
}
