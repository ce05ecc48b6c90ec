import { spawn, spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Core } from '../../agent/core.ts'
import { NO_WORLD } from '../../agent/domain/activity.ts'
import type { BlindSpot, Report, Summary } from '../../agent/domain/report.ts'
import { FULLMON } from '../support/agent.ts'
import { folderForTest } from '../support/folder.ts'
import { RotatingLog } from '../tail/writer.ts'
import { churn, EVERYTHING, type Kind, KINDS } from './churn.ts'

const MOST_RESIDENT_BYTES = 250_000_000
/** What the core may remember of anything: of a busy host it is 20 MB. */
const MOST_REMEMBERED_BYTES = 60_000_000
const LF = 10
const isLong = process.env['FULLMON_SOAK'] === '1'

/** Peak of the resident set since it was last forgotten; 0 when the program has ended. */
function peakBytes(pid: number): number {
  try {
    return 1024 * Number(/^VmHWM:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0)
  } catch {
    return 0
  }
}

function linesIn(bytes: Buffer): number {
  let lines = 0
  for (const byte of bytes) if (byte === LF) lines++
  return lines
}

/** The peak is counted anew (proc(5), clear_refs). */
const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, '5')

/** Whether the agent on a baseline has read its log to the end. */
function isAtEnd(db: string): boolean {
  const { stdout } = spawnSync(FULLMON, ['status', '--json', '--db', db], { encoding: 'utf8' })
  return stdout.includes('"behindBytes":0,')
}

/** A log that is rotated when it is large, with all its lines counted. */
class ChurnedLog extends RotatingLog {
  lines = 0
  private size = 0

  constructor(path: string) {
    super(path, 8)
  }

  /** @returns how many bytes that were */
  append(text: string): number {
    if (this.size > 48_000_000) {
      this.rotate()
      this.size = 0
    }
    this.write(text)
    this.size += text.length
    this.lines += text.split('\n').length - 1
    return text.length
  }
}

describe('the core remembers no more, whatever comes', { timeout: 120_000 }, () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const usedBytes = (): number => {
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }

  test.each(Object.entries(KINDS))('%s', (_, kind) => {
    const before = usedBytes()
    let edges = 0
    let lines = 0
    const core = new Core(NO_WORLD, { onEvent: () => undefined, onEdge: () => edges++ })
    for (const bytes of churn(kind, 50_000, 80_000_000)) {
      core.push(bytes)
      lines += linesIn(bytes)
    }
    expect(usedBytes() - before).toBeLessThan(MOST_REMEMBERED_BYTES)
    core.end()
    expect(core.records + core.losses.unreadableLines).toBe(lines)
    expect(edges).toBeGreaterThanOrEqual(core.records === 0 ? 0 : core.events / 2)
  })
})

test('the program stays under 250 MB while it learns, and while it reports', async () => {
  const folder = folderForTest()
  const log = join(folder, 'audit.log')
  const file = openSync(log, 'w')
  let lines = 0
  for (const bytes of churn(EVERYTHING, 40_000)) {
    writeSync(file, bytes)
    lines += linesIn(bytes)
  }
  closeSync(file)
  const out = openSync(join(folder, 'reports'), 'w')
  const words = ['replay', log, '--db', join(folder, 'db'), '--train', '20', '--monitor', '5', '--json']
  const child = spawn(FULLMON, words, { stdio: ['ignore', out, 'inherit'] })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  let peak = 0
  while (child.exitCode === null) {
    peak = Math.max(peak, peakBytes(child.pid ?? 0))
    await Promise.race([ended, sleep(20)])
  }
  closeSync(out)
  expect(await ended).toBe(0)
  const reports = reportsIn(join(folder, 'reports'))
  const summary = reports.at(-1)
  if (summary?.kind !== 'summary') throw new Error('no summary')
  expect(summary.records + summary.unreadable).toBe(lines)
  // Said, not hidden.
  expect(shedIn(reports)).toBeGreaterThan(1000)
  expect(peak).toBeGreaterThan(50_000_000)
  expect(peak).toBeLessThan(MOST_RESIDENT_BYTES)
}, 180_000)

/** What was forgotten or only counted, as the reports say. */
const shedIn = (reports: readonly Report[]): number =>
  reports
    .filter((report): report is BlindSpot => report.kind === 'blind-spot' && report.reason === 'shed')
    .reduce((sum, { count }) => sum + count, 0)

const reportsIn = (file: string): Report[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Report)

/** What a running agent prints, read on where it was read before: it may be much. */
class PrintedReports {
  summary: Summary | undefined
  private readonly file: number
  private rest = ''

  constructor(path: string) {
    this.file = openSync(path, 'r')
  }

  /** What was forgotten or only counted since the last time. */
  shed(): number {
    let shed = 0
    const bytes = Buffer.alloc(1024 * 1024)
    for (let count = readSync(this.file, bytes); count > 0; count = readSync(this.file, bytes)) {
      const lines = (this.rest + bytes.toString('latin1', 0, count)).split('\n')
      this.rest = lines.pop() ?? ''
      const reports = lines.map((line) => JSON.parse(line) as Report)
      shed += shedIn(reports)
      this.summary = reports.find((report) => report.kind === 'summary') ?? this.summary
    }
    return shed
  }
}

const say = (text: string): void => void process.stderr.write(`soak: churn: ${text}\n`)
const megabytes = (bytes: number): number => Math.round(bytes / 1e6)

describe.runIf(isLong)('ten minutes of churn, live', () => {
  const MINUTES = 10
  /** Each kind twice: once while the agent learns, once while it reports. */
  const TURN_MS = (MINUTES * 60_000) / 2 / Object.keys(KINDS).length
  const BYTES_PER_SECOND = 4_000_000

  test(
    'stays under 250 MB and reads every line',
    async () => {
      const folder = folderForTest()
      const stateFolder = join(folder, 'state')
      const reports = join(folder, 'reports')
      mkdirSync(stateFolder, { mode: 0o700 })
      const log = new ChurnedLog(join(folder, 'audit.log'))
      const out = openSync(reports, 'w')
      const words = [
        'run',
        '--auditd',
        log.path,
        '--db',
        join(stateFolder, 'baseline.db'),
        '--socket',
        '',
        '--json',
      ]
      const times = ['--baseline', String(MINUTES * 30), '--monitor', '10', '--wait', '0.1']
      const child = spawn(FULLMON, [...words, ...times], { stdio: ['ignore', out, 'inherit'] })
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
      onTestFinished(() => void child.kill('SIGKILL'))
      const printed = new PrintedReports(reports)
      const pid = child.pid ?? 0
      const db = join(stateFolder, 'baseline.db')
      while (!isAtEnd(db) && child.exitCode === null) await sleep(200)

      say('phase | kind | events | lines | peak MB | shed')
      let index = 1
      let worst = 0
      for (const phase of ['learning', 'reporting']) {
        for (const [name, kind] of Object.entries(KINDS)) {
          const from = { index, lines: log.lines }
          forgetPeak(pid)
          index = await pour(log, kind, index, TURN_MS)
          const peak = peakBytes(pid)
          worst = Math.max(worst, peak)
          const row = [
            phase,
            name,
            index - from.index,
            log.lines - from.lines,
            megabytes(peak),
            printed.shed(),
          ]
          say(row.join(' | '))
          expect(child.exitCode, `ended while ${phase} under ${name}`).toBeNull()
        }
      }
      while (!isAtEnd(db) && child.exitCode === null) await sleep(500)
      await sleep(3000)
      worst = Math.max(worst, peakBytes(pid))
      child.kill('SIGTERM')
      const code = await ended
      closeSync(out)
      printed.shed()
      const { summary } = printed
      say(`peak ${megabytes(worst)} MB, ${JSON.stringify(summary)}`)
      if (summary === undefined) throw new Error('no summary')
      expect(code).toBe(0)
      expect(summary.records + summary.unreadable).toBe(log.lines)
      expect(worst).toBeLessThan(MOST_RESIDENT_BYTES)
    },
    2 * MINUTES * 60_000,
  )

  /** Writes one kind for a while, as of now. @returns the number of the next event */
  async function pour(log: ChurnedLog, kind: Kind, from: number, milliseconds: number): Promise<number> {
    const start = performance.now()
    let written = 0
    let index = from
    while (performance.now() - start < milliseconds) {
      if (written / BYTES_PER_SECOND > (performance.now() - start) / 1000) {
        await sleep(10)
        continue
      }
      const stamp = (Date.now() / 1000).toFixed(3)
      const text = Array.from({ length: 20 }, () => kind(index++)).join('')
      written += log.append(text.replace(/(?<= msg=audit\()\d+\.\d{3}/g, stamp))
    }
    return index
  }
})
