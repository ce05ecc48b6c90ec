/**
 * Two agents follow one log that grows and rotates. One is killed with SIGKILL again and again, wherever it is; in the end
 * both must have learned and reported the same.
 *
 * FULLMON_SOAK=1 kills it 200 times instead of 12.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, cpSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Report } from '../../agent/domain/report.ts'
import { Chance } from '../fuzz/chance.ts'
import { folderForTest } from '../support/folder.ts'
import { event, execve, path, syscall } from '../support/log.ts'
import { findingsOf } from '../support/incidents.ts'
import { RotatingLog } from '../tail/writer.ts'

const ROOT = join(import.meta.dirname, '../..')
const FULLMON = join(ROOT, 'scripts/fullmon')
const RECORDED = join(ROOT, 'test/fixtures/recorded')
const KILLS = process.env['FULLMON_SOAK'] === '1' ? 200 : 12
const TRAINING_S = 8
const LINES_BETWEEN_ROTATIONS = 1500
/** No process of this host has such a pid: what /proc says would be another thing at another time. */
const FAR_PID = 5_000_000

interface Line {
  readonly type: string
  readonly id: string
  readonly body: string
}

const lines = readdirSync(RECORDED)
  .filter((name) => /^[a-z0-9]+\.log$/.test(name))
  .flatMap((name) => readFileSync(join(RECORDED, name), 'latin1').split('\n'))
  .flatMap((text): Line[] => {
    const [, type = '', id = '', body = ''] = /^type=(\S+) msg=audit\(([\d.:]+)\):(.*)$/.exec(text) ?? []
    return type === '' ? [] : [{ type, id, body }]
  })

/** A log that never ends: recorded lines with stamps of now, and between them what makes patterns and findings. */
class Source {
  written = 0
  private serial = 100
  private round = 0
  private at = 0
  private readonly ids = new Map<string, string>()
  private readonly chance = new Chance(4)

  next(): string {
    const line = lines[this.at++ % lines.length] as Line
    if (this.at % lines.length === 0) {
      this.round++
      this.ids.clear()
    }
    let id = this.ids.get(line.id)
    let made = ''
    if (id === undefined) {
      if (this.chance.next() < 0.1) made = this.made()
      this.ids.set(line.id, (id = `${(Date.now() / 1000).toFixed(3)}:${this.serial++}`))
    }
    const pid = (before: string, digits: string): string =>
      digits === '0' || digits === '1'
        ? before + digits
        : before + String(Number(digits) + FAR_PID + 1000 * this.round)
    const body = line.body.replace(/\b((?:o|p)?pid=)(\d+)/g, (_, name: string, digits: string) =>
      pid(name, digits),
    )
    const text = `${made}type=${line.type} msg=audit(${id}):${body}\n`
    this.written += text.split('\n').length - 1
    return text
  }

  /** Files whose names are patterns, programs and hosts that come once. */
  private made(): string {
    const serial = this.serial++
    const stamp = { timeMs: Date.now() }
    const who = { pid: FAR_PID + 900_000 + (serial % 7), ppid: 1, exe: '"/usr/sbin/worker"' }
    const words = ['alpha', 'beta', 'gamma', 'delta', 'omega', 'kappa']
    const word = (words[serial % 6] ?? '') + (words[Math.floor(serial / 6) % 6] ?? '')
    const kind = this.chance.next()
    if (kind < 0.3) {
      const tool = `/opt/${word}`
      return event(
        serial,
        [
          ['SYSCALL', syscall('execve', { ...who, exe: `"${tool}"`, items: 2 })],
          ['EXECVE', execve([tool, '-x'])],
          ['CWD', 'cwd="/"'],
          ['PATH', path(0, tool, 11, 'NORMAL')],
          ['PATH', path(1, '/lib64/ld-linux-x86-64.so.2', 12, 'NORMAL')],
        ],
        stamp,
      )
    }
    const folder = kind < 0.6 ? '/var/spool' : `/srv/${word}`
    const name = `${folder}/job-${serial}.csv`
    return event(
      serial,
      [
        ['SYSCALL', syscall('creat', { ...who, exit: 3, items: 2 })],
        ['CWD', 'cwd="/"'],
        ['PATH', path(0, folder, 77, 'PARENT')],
        ['PATH', path(1, name, 10_000 + serial, 'CREATE')],
      ],
      stamp,
    )
  }
}

interface Agent {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
}

test(
  `an agent that is killed ${KILLS} times has learned and reported what one has that was not`,
  async () => {
    const folder = folderForTest()
    const chance = new Chance(17)
    mkdirSync(join(folder, 'log'))
    const log = new RotatingLog(join(folder, 'log/audit.log'), 500)
    const source = new Source()
    log.write(source.next())

    const start = (name: string): Agent => {
      const words = `run --auditd ${log.path} --db ${folder}/${name}.db --baseline ${TRAINING_S} --monitor 1 --wait 0.05 --rebase --json`
      const out = openSync(join(folder, `${name}.jsonl`), 'a')
      const child = spawn(FULLMON, words.split(' '), { stdio: ['ignore', out, 'ignore'] })
      closeSync(out)
      return { child, ended: new Promise((resolve) => child.once('close', resolve)) }
    }
    const end = async ({ child, ended }: Agent, signal: NodeJS.Signals): Promise<number | null> => {
      child.kill(signal)
      return ended
    }
    const fullmon = (...words: string[]): string =>
      spawnSync(FULLMON, words, { encoding: 'utf8', maxBuffer: 1e9 }).stdout
    const isAtEnd = (name: string): boolean => {
      const { logs, phase } = JSON.parse(fullmon('status', '--json', '--db', `${folder}/${name}.db`)) as {
        readonly logs: readonly { readonly behindBytes: number | null }[]
        readonly phase: string
      }
      return phase === 'trained' && logs[0]?.behindBytes === 0
    }
    const reportsOf = (name: string): Report[] =>
      readFileSync(join(folder, `${name}.jsonl`), 'utf8')
        .split('\n')
        .filter((text) => text !== '')
        .map((text) => JSON.parse(text) as Report)
    const findingsIn = (name: string): string[] =>
      findingsOf(reportsOf(name))
        .map((finding) => JSON.stringify(finding))
        .sort()

    // Both begin at the same place and time: where one agent stopped that had begun.
    const first = start('killed')
    const hasBegun = (): boolean => {
      const status = fullmon('status', '--json', '--db', `${folder}/killed.db`)
      return status.includes('"behindBytes"')
    }
    while (!hasBegun()) await sleep(100)
    expect(await end(first, 'SIGTERM')).toBe(0)
    cpSync(`${folder}/killed.db`, `${folder}/whole.db`)
    const whole = start('whole')

    let unwritten = ''
    let rotatedAt = 0
    const writing = setInterval(() => {
      while (unwritten.length < 4096) unwritten += source.next()
      const length = Math.floor(chance.next() * unwritten.length)
      log.write(unwritten.slice(0, length))
      unwritten = unwritten.slice(length)
      if (source.written - rotatedAt < LINES_BETWEEN_ROTATIONS) return
      rotatedAt = source.written
      log.rotate()
    }, 10)

    for (let kill = 0; kill < KILLS; kill++) {
      const agent = start('killed')
      // Now and then before it has read anything, mostly in the middle of its work.
      await sleep(100 + chance.next() * (kill % 10 === 0 ? 4000 : 900))
      await end(agent, 'SIGKILL')
    }
    const last = start('killed')
    const until = Date.now() + 1000 * TRAINING_S
    while (Date.now() < until) await sleep(100)
    clearInterval(writing)
    log.write(unwritten)
    while (!isAtEnd('killed') || !isAtEnd('whole')) await sleep(500)
    // What is unseen in the last window is reported when they stop.
    expect(await end(last, 'SIGTERM')).toBe(0)
    expect(await end(whole, 'SIGTERM')).toBe(0)
    log.close()

    const exported = ['whole', 'killed'].map((name) =>
      fullmon('baseline', 'export', '--db', `${folder}/${name}.db`),
    )
    const [expected = '', actual = ''] = exported
    expect(expected.split('\n').length).toBeGreaterThan(50)
    expect(expected).toContain('"kind":"pattern"')
    expect(actual).toBe(expected)
    const findings = findingsIn('whole')
    expect(findings.length).toBeGreaterThan(20)
    expect(new Set(findings).size).toBe(findings.length)
    expect(findingsIn('killed')).toEqual(findings)
    for (const name of ['whole', 'killed'])
      expect(spawnSync(FULLMON, ['verify', '--db', `${folder}/${name}.db`]).status).toBe(0)
    process.stderr.write(
      `soak: kill: ${KILLS} kills, ${source.written} lines, ${readdirSync(join(folder, 'log')).length - 1} rotations, ` +
        `${expected.split('\n').length - 1} lines of baseline the same, ${findings.length} findings, 0 lost, 0 twice\n`,
    )
  },
  KILLS * 10_000 + 180_000,
)
