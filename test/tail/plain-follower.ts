import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BlindSpot, Tamper } from '../../agent/domain/report.ts'
import type { FollowOptions } from '../../agent/tail/follow.ts'
import { POLL_MS } from './follower.ts'

const FOLLOW = new URL('../../agent/tail/follow.ts', import.meta.url).href

/** Somebody who follows a log in a process of its own, to whom permissions apply, also when the test is root's. */
export class PlainFollower {
  readonly #process: ChildProcess
  #output = ''
  #complaint = ''

  constructor(path: string, options: Partial<FollowOptions> = {}) {
    const all = JSON.stringify({ startAt: 'beginning', pollMs: POLL_MS, ...options })
    const script = `
      import { follow } from ${JSON.stringify(FOLLOW)}
      const stop = new AbortController()
      process.stdin.on('end', () => stop.abort()).resume()
      const say = (item) => process.stdout.write(JSON.stringify(item) + '\\n')
      try {
        for await (const item of follow(${JSON.stringify(path)}, { ...${all}, signal: stop.signal }))
          say('kind' in item ? item : { text: item.bytes.toString('latin1') })
      } catch (error) {
        process.stderr.write(error.name + ': ' + error.message)
        process.exit(1)
      }`
    const node = [process.execPath, '--input-type=module', '-e', script]
    // The rights of root to read everything can be given up without giving up root.
    const plainly = ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--', ...node]
    const [program = '', ...args] = process.getuid?.() === 0 ? plainly : node
    this.#process = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#process.stdout?.setEncoding('utf8').on('data', (piece: string) => (this.#output += piece))
    this.#process.stderr?.setEncoding('utf8').on('data', (piece: string) => (this.#complaint += piece))
  }

  /** Waits until that and no more has been read. */
  async text(text: string): Promise<this> {
    return this.#until(() => this.#items().text === text)
  }

  /** Waits for so many reports in all. */
  async news(count: number): Promise<this> {
    return this.#until(() => this.#items().news.length >= count)
  }

  /** Gives what should not come some time to come, then ends; all reports. */
  async stop(): Promise<(BlindSpot | Tamper)[]> {
    await sleep(5 * POLL_MS)
    this.#process.stdin?.end()
    await once(this.#process, 'close')
    if (this.#complaint !== '') throw new Error(this.#complaint)
    return this.#items().news
  }

  /** Waits for it to fail, and gives what it complained about. */
  async failure(): Promise<string> {
    await once(this.#process, 'close')
    return this.#complaint
  }

  #items(): { readonly text: string; readonly news: (BlindSpot | Tamper)[] } {
    const lines = this.#output.split('\n').slice(0, -1)
    const items = lines.map((line) => JSON.parse(line) as { text: string } | BlindSpot | Tamper)
    return {
      text: items.map((item) => ('text' in item ? item.text : '')).join(''),
      news: items.filter((item) => 'kind' in item),
    }
  }

  async #until(isReached: () => boolean): Promise<this> {
    while (!isReached()) {
      if (this.#complaint !== '') throw new Error(this.#complaint)
      await sleep(2)
    }
    return this
  }
}
