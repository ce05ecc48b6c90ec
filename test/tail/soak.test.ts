import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { follow } from '../../agent/tail/follow.ts'
import { folderForTest, openIn } from '../support/folder.ts'

const ROTATIONS = 200
const IS_LONG = process.env['FULLMON_SOAK'] === '1'
/** The long form rotates every 300 ms: at 50,000 lines/s after 4 MB. */
const SECONDS = IS_LONG ? 60 : 2

/** Counts numbered lines as they come, cut anywhere: what is missing, and what comes more than once or too late. */
class Counter {
  lines = 0
  lost = 0
  twice = 0
  garbled = 0
  #rest = ''
  #last = -1

  add(bytes: Buffer): void {
    const lines = (this.#rest + bytes.toString('latin1')).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      const [, stamp, serial, text] = /^type=PATH msg=audit\((\d+)\.000:(\d+)\): (x{240})$/.exec(line) ?? []
      const number = Number(serial)
      if (text === undefined || stamp !== serial) this.garbled++
      else if (number <= this.#last) this.twice++
      else {
        this.lost += number - this.#last - 1
        this.#last = number
        this.lines++
      }
    }
  }
}

/**
 * Another process that writes at that rate and rotates as auditd does. One line in a hundred comes in two pieces, and
 * the log is rotated wherever it is then, also between these.
 */
function startWriter(path: string, linesPerSecond: number): ReturnType<typeof spawn> {
  const script = `
    import { RotatingLog } from ${JSON.stringify(new URL('writer.ts', import.meta.url).href)}
    const log = new RotatingLog(${JSON.stringify(path)}, ${IS_LONG ? 20 : ROTATIONS + 1})
    const clock = new Int32Array(new SharedArrayBuffer(4))
    const total = ${linesPerSecond * SECONDS}
    const startMs = performance.now()
    let rotations = 0
    const rotateAt = (place) => {
      if (rotations < ${ROTATIONS} && place >= (rotations + 1) * total / ${ROTATIONS + 1}) {
        rotations++
        log.rotate()
      }
    }
    for (let line = 0; line < total; line++) {
      while ((performance.now() - startMs) * ${linesPerSecond / 1000} < line) Atomics.wait(clock, 0, 0, 1)
      const text = 'type=PATH msg=audit(' + line + '.000:' + line + '): ' + 'x'.repeat(240) + '\\n'
      if (line % 100 === 0) {
        log.write(text.slice(0, 9))
        rotateAt(line + 0.5)
        log.write(text.slice(9))
      } else log.write(text)
      rotateAt(line + 1)
    }
    process.stdout.write(String(rotations))`
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

const descriptors = (): number => readdirSync('/proc/self/fd').length

const watchers = (): number =>
  process.getActiveResourcesInfo().filter((resource) => resource === 'StatWatcher').length

test.each([1000, 50_000])(
  `${ROTATIONS} rotations at %i lines/s: nothing lost, nothing twice, nothing left open`,
  { timeout: 600_000 },
  async (linesPerSecond) => {
    const path = join(folderForTest(), 'audit.log')
    writeFileSync(path, '')
    const before = { fds: descriptors(), watchers: watchers() }
    const stop = new AbortController()
    const counter = new Counter()
    const told: string[] = []
    let behind = 0
    const reading = (async () => {
      for await (const item of follow(path, { startAt: 'beginning', pollMs: 50, signal: stop.signal })) {
        if ('kind' in item) told.push(item.detail)
        else {
          counter.add(item.bytes)
          behind = Math.max(behind, item.behindBytes ?? Infinity)
        }
      }
    })()
    const writer = startWriter(path, linesPerSecond)
    let rotations = ''
    writer.stdout?.on('data', (piece: Buffer) => (rotations += piece.toString()))
    expect(await once(writer, 'close')).toEqual([0, null])
    const written = linesPerSecond * SECONDS
    while (counter.lines + counter.lost < written) await sleep(10)
    await sleep(200)
    stop.abort()
    await reading
    await expect.poll(() => openIn(dirname(path)), { timeout: 10_000 }).toEqual([])
    await expect.poll(() => descriptors(), { timeout: 10_000 }).toBeLessThanOrEqual(before.fds)

    const { lines, lost, twice, garbled } = counter
    const figures = { rotations: Number(rotations), lines, lost, twice, garbled }
    const fds = descriptors() - before.fds
    process.stderr.write(
      `soak: rotate: ${linesPerSecond} lines/s, ${rotations} rotations, ${lines} lines, ${lost} lost, ${twice} twice, ` +
        `${fds} more fds, at most ${behind} bytes behind, ${told.length} reports\n`,
    )
    expect(figures).toEqual({ rotations: ROTATIONS, lines: written, lost: 0, twice: 0, garbled: 0 })
    expect(told).toEqual([])
    expect(watchers()).toBeLessThanOrEqual(before.watchers)
  },
)
