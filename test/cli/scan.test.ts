import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ProcessScan, ScannedProcess } from '../../agent/domain/scan.ts'
import { sortedBy, summaryOf, tableOf } from '../../agent/scan/table.ts'
import { folderForTest } from '../support/folder.ts'
import { AS_NOBODY, FOREVER, noPython, noStranger, running } from '../support/running.ts'

const ROOT = join(import.meta.dirname, '../..')
const isAlone = noStranger()

const fullmon = (...words: readonly string[]): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(process.execPath, ['agent/main.ts', ...words], { cwd: ROOT, encoding: 'utf8' })

/** A configuration without a baseline, and with what else it is given. */
function configuration(text = ''): readonly string[] {
  const folder = folderForTest()
  const config = join(folder, 'config.yaml')
  writeFileSync(config, `db: ${join(folder, 'none.db')}\n${text}`)
  chmodSync(config, 0o600)
  return ['--config', config]
}

/** Python below /tmp, which is suspicious. */
async function suspicious(...args: string[]): Promise<{ pid: number; exe: string }> {
  const folder = realpathSync(mkdtempSync('/tmp/fullmon-scan-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const exe = join(folder, 'worker')
  copyFileSync(realpathSync('/usr/bin/python3'), exe)
  chmodSync(exe, 0o755)
  const { pid } = await running(exe, ['-c', FOREVER, ...args])
  return { pid, exe }
}

describe.skipIf(noPython !== undefined)('fullmon scan', () => {
  test('shows a suspicious process however little it takes, with the reasons, and ends with 1', async () => {
    const { pid, exe } = await suspicious('two\nlines', '\u001b[2J')
    const { status, stdout, stderr } = fullmon('scan', '--top', '0', ...configuration())
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' })
    const line = stdout.split('\n').find((each) => each.includes(` ${pid} `))
    expect(line).toMatch(/^ *\d+ +\d+ +\d+\.\dM +\d+\.\d +5\.0 .*two\\x0alines \\x1b\[2J$/)
    expect(stdout).toContain(`tmp_exe 4.0: its program ${exe} is in a place for temporary files`)
    expect(stdout).toMatch(/\d+ processes, \d+ suspicious/)
    expect(stdout).toContain('not compared with what is normal: there is no baseline that can be read')
  })

  test('shows all of it as JSON, and only the number', async () => {
    const { pid, exe } = await suspicious()
    const { status, stdout } = fullmon('scan', '--json', ...configuration())
    const scan = JSON.parse(stdout) as ProcessScan
    expect(scan).toMatchObject({ kind: 'scan', surpriseFrom: [] })
    expect(scan.processes.find((each) => each.pid === pid)).toMatchObject({
      exe,
      isSuspicious: true,
      score: 4,
    })
    expect(status).toBe(1)
    expect(fullmon('scan', '--count', ...configuration()).stdout).toMatch(/^[1-9]\d*\n$/)
  })

  test('ends with 0 when nothing is suspicious: nothing has so high a score', async () => {
    const { pid } = await suspicious()
    const { status, stdout } = fullmon('scan', '--min-score', '1000', ...configuration())
    expect(status).toBe(0)
    expect(stdout).not.toContain(` ${pid} `)
    expect(stdout).toContain('nothing suspicious')
    expect(fullmon('scan', '--count', '--min-score', '1000', ...configuration())).toMatchObject({
      ...{ status: 0, stdout: '0\n' },
    })
  })

  test('leaves out what is on the allowlist, and shows it as such with all', async () => {
    const { pid, exe } = await suspicious()
    const words = configuration(`allowlist: { patterns: ['/tmp/fullmon-scan-*/worker'] }\n`)
    expect(fullmon('scan', '--top', '1000', ...words).stdout).not.toContain(` ${pid} `)
    const { stdout } = fullmon('scan', '--all', ...words)
    expect(stdout.split('\n').find((each) => each.includes(` ${pid} `))).toMatch(/ 1\.0 .* \(allowlisted\)$/)
    expect(stdout).toContain(`runs ${exe}`)
  })

  test('shows on its allowlist what nothing excuses', async () => {
    const { pid } = await suspicious()
    const words = configuration('allowlist: { names: [worker] }\nscan: { weights: { tmp_exe: 5 } }\n')
    const { status, stdout } = fullmon('scan', '--top', '0', ...words)
    expect(stdout.split('\n').find((each) => each.includes(` ${pid} `))).toMatch(/ 3\.0 .* \(allowlisted\)$/)
    expect(status).toBe(1)
  })

  test.skipIf(isAlone !== undefined)('says without root that it could not see all', () => {
    const [program, ...words] = [...AS_NOBODY, process.execPath, 'agent/main.ts', 'scan', '--top', '0']
    const { stdout } = spawnSync(program, [...words, '--db', '/nonexistent/none.db'], {
      ...{ cwd: ROOT, encoding: 'utf8', env: { ...process.env, HOME: '/nonexistent' } },
    })
    expect(stdout).toMatch(/processes, (?:nothing|\d+) suspicious in what could be read/)
    expect(stdout).toMatch(/^not read: the program of \d+ processes, the memory of \d+ processes/m)
  })

  test('that nobody waits for ends at once, and says nothing', async () => {
    const words = ['agent/main.ts', 'scan', '--sample', '1000', ...configuration()]
    const scan = spawn(process.execPath, words, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void scan.kill('SIGKILL'))
    const printed = text(scan.stdout)
    // Whatever it is doing: before it takes care of signals, they end it.
    const ended = once(scan, 'exit')
    const impatient = setInterval(() => scan.kill('SIGINT'), 3000)
    const [code, signal] = (await ended) as [number | null, NodeJS.Signals | null]
    clearInterval(impatient)
    expect(signal === 'SIGINT' || code === 130).toBe(true)
    expect(await printed).toBe('')
  })

  test.each([
    [['--top', '1.5'], '--top takes a number of processes, at least 0'],
    [['--top', '3', '--all'], '--all shows all: --top is none of it'],
    [['--min-score', '-1'], '--min-score takes a score, at least 0'],
    [['--sample', '0'], '--sample takes a number of seconds, at least 0.1'],
    [['--sort', 'name'], 'Invalid values'],
  ])('does not take %j', (words, complaint) => {
    const { status, stderr } = fullmon('scan', ...words)
    expect(stderr).toContain(complaint)
    expect(status).toBe(2)
  })
})

describe('fullmon train --processes', () => {
  test('learns what processes are like, without a log', () => {
    const db = join(folderForTest(), 'baseline.db')
    const trained = fullmon('train', '--processes', '--duration', '0.2', '--db', db, '--json')
    expect(trained).toMatchObject({ status: 0, stderr: '' })
    expect(JSON.parse(trained.stdout)).toMatchObject({
      kind: 'habits',
      learned: expect.any(Number) as number,
    })
    const { stdout } = fullmon('scan', '--db', db)
    expect(stdout).toContain('compared with what was learned from processes')
  })

  test('takes nothing that is about a log', () => {
    const said = fullmon('train', '--processes', '--until-stable')
    expect(said).toMatchObject({ status: 2 })
    expect(said.stderr).toContain('--processes reads no log: --until-stable is none of it')
  })
})

describe('the table', () => {
  const process = (words: Partial<ScannedProcess>): ScannedProcess => ({
    ...{
      pid: 1,
      ppid: 0,
      name: '',
      uid: 0,
      user: 'root',
      container: '',
      exe: '/x',
      script: null,
      forged: null,
      comm: 'x',
    },
    ...{ argv: ['x'], startMs: 0, rssBytes: 0, cpuPercent: 0, tty: null, listens: [], connections: 0 },
    ...{ sha256: null, marks: [], surprise: null, surpriseReasons: [], score: 0, allowlistedBy: null },
    ...{ isSuspicious: false, ...words },
  })
  const PLAIN = { bad: '', dim: '', off: '', width: undefined }

  test.each([
    ['memory', [3, 1, 2]],
    ['cpu', [1, 3, 2]],
    ['score', [2, 3, 1]],
  ] as const)('is sorted by %s, and then by the others', (sort, pids) => {
    const processes = [
      process({ pid: 1, rssBytes: 10, cpuPercent: 9 }),
      process({ pid: 2, rssBytes: 10, cpuPercent: 1, score: 4 }),
      process({ pid: 3, rssBytes: 20, cpuPercent: 1 }),
    ]
    expect(sortedBy(processes, sort).map(({ pid }) => pid)).toEqual(pids)
  })

  test('is no wider than the terminal, whatever somebody calls himself', () => {
    const long = process({ argv: ['ä'.repeat(300)], allowlistedBy: 'names: x' })
    const [, line = ''] = tableOf([long], { ...PLAIN, width: 60 }).split('\n')
    expect(Array.from(line)).toHaveLength(60)
    expect(line).toMatch(/ä\.\.\. \(allowlisted\)$/)
  })

  test('calls a process without a command line by its name, and never as a thread of the kernel', () => {
    expect(tableOf([process({ argv: [], comm: 'kworker/0:0\n' })], PLAIN)).toContain('(kworker/0:0\\x0a)')
  })

  test('says what could not be read, and never that there is nothing', () => {
    const unread = { exe: 3, memory: 1, sockets: 0, cut: 0, isHidden: true }
    const scan: ProcessScan = {
      ...{
        kind: 'scan',
        timeMs: 0,
        processes: [process({})],
        suspicious: 0,
        unread,
        surpriseFrom: ['baseline'],
      },
      ...{ unlearned: null, busyMs: 4 },
    }
    expect(summaryOf(scan).split('\n')).toEqual([
      '1 processes, nothing suspicious in what could be read (4 ms)',
      'not read: the program of 3 processes, the memory of 1 process, processes of others, which /proc hides',
      'compared with what was learned from the log',
      '',
    ])
  })
})
if (noPython !== undefined) globalThis.process.stderr.write(`scan.test.ts: most left out: ${noPython}\n`)
if (isAlone !== undefined) globalThis.process.stderr.write(`scan.test.ts: 1 left out: ${isAlone}\n`)
