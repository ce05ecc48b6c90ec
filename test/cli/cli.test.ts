import { execFileSync, spawn, spawnSync } from 'node:child_process'
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import type { Report } from '../../agent/domain/report.ts'
import { findingsOf } from '../support/incidents.ts'

const ROOT = join(import.meta.dirname, '../..')
const MAIN = join(ROOT, 'agent/main.ts')
const RECORDED = join(ROOT, 'test/fixtures/recorded')
const folder = mkdtempSync(join(tmpdir(), 'fullmon-cli-'))
afterAll(() => rmSync(folder, { recursive: true }))

interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

const fullmon = (words: readonly string[], input = ''): Outcome =>
  spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8', input })

const recorded = (name: string): string => join(RECORDED, `${name}.log`)
const reportsOf = ({ stdout }: Outcome): Report[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Report)

let databases = 0
const newDb = (): string => join(folder, `${++databases}.db`)

test('an output that is full is told of', () => {
  const full = openSync('/dev/full', 'w')
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'config', 'show'], {
    stdio: ['ignore', full, 'pipe'],
    encoding: 'utf8',
  })
  closeSync(full)
  expect([status, stderr]).toEqual([3, expect.stringMatching(/^fullmon: standard output .*ENOSPC.*\n$/)])
})

describe('words that make no sense', () => {
  test.each([
    [[], /which command/],
    [['bogus'], /bogus/],
    [['replay'], /0, need at least 1/],
    [['replay', 'x', '--bogus'], /bogus/],
    [['replay', 'x', '--train', '1', '--train-until', '2'], /train and train-until/],
    [['replay', 'x', '--train-until', 'noon'], /--train-until takes .* not 'noon'/],
    [['replay', 'x', '--train'], /train/],
    [['replay', 'x', '--train', 'abc'], /--train takes a number/],
    [['replay', 'x', '--monitor', '0'], /--monitor takes a number of seconds, at least 0.1/],
    [['replay', '/does/not/exist'], /\/does\/not\/exist: no such file/],
    [['replay', '/'], /cannot read \//],
    [['run', '--baseline', '-5'], /--baseline/],
    [['run', '--config', '/does/not/exist.yaml'], /exist\.yaml/],
    [['replay', 'x', '--train', '1', '--train', '2'], /--train was given twice/],
    [['baseline', 'show', '--db', 'a', '--db', 'b'], /--db was given twice/],
    [['train', '--auditd', 'a', '--auditd', 'b'], /several take --no-follow/],
    [['train', '--duration', '-1'], /--duration takes/],
    [['baseline', 'frob'], /show.*stats.*export.*import/s],
    [['baseline', 'import', '--db', '/tmp/x.db'], /import what/],
    [['baseline', 'export', 'host.jsonl', '--db', MAIN], /export takes no file: it prints, so write > FILE/],
    [['baseline', 'show', 'nginx', '--db', MAIN], /show takes no file/],
    [['baseline', 'show', '--db', '/does/not/exist.db'], /there is no baseline at/],
    [['baseline', 'show', '--db', MAIN], /main\.ts is no baseline/],
  ])('%j is one sentence and exit code 2', (words, sentence) => {
    const { status, stdout, stderr } = fullmon(words)
    expect(stderr).toMatch(/^fullmon: [^\n]+\n$/)
    expect(stderr).toMatch(sentence)
    expect(stdout).toBe('')
    expect(status).toBe(2)
  })
})

describe('help', () => {
  const commands = ['run', 'train', 'replay', 'baseline', 'status', 'doctor']

  test('names every command', () => {
    const { status, stdout } = fullmon(['--help'])
    for (const command of commands) expect(stdout).toContain(`fullmon ${command}`)
    expect(status).toBe(0)
  })

  test.each(commands)('of %s has examples', (command) => {
    const { status, stdout } = fullmon([command, '--help'])
    expect(stdout).toMatch(/Examples:\n.*fullmon/s)
    expect(status).toBe(0)
  })

  test('the version is that of the package', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    expect(fullmon(['--version']).stdout).toMatch(
      new RegExp(`^fullmon ${version} \\(commit unknown, schema \\d+, node ${process.versions.node}\\)\n$`),
    )
  })

  test('the shell can complete commands', () => {
    expect(fullmon(['completion']).stdout).toMatch(/^complete .*fullmon$/m)
  })
})

/** A writer of a named pipe, once somebody reads from it: fifo(7), ENXIO before. */
function openedByReader(pipe: string): number | undefined {
  try {
    return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    return undefined
  }
}

describe('replay', () => {
  test('reports everything as unseen without training, one object a line, the summary last', () => {
    const reports = reportsOf(fullmon(['replay', recorded('connect'), '--train', '0', '--json']))
    const findings = findingsOf(reports)
    expect(findings.map(({ edge }) => edge)).toContainEqual(
      expect.objectContaining({ kind: 'connect', to: 'host:203.0.113.66:4444' }),
    )
    for (const { path, chain, edge, evidence, timeMs } of findings) {
      expect(path).toBe(chain.join('->'))
      expect(chain.at(-1)).toBe(edge.to)
      expect(chain).toContain(edge.from)
      expect(evidence.serial).toBeGreaterThan(0)
      expect(timeMs).toBeGreaterThan(1.7e12)
    }
    const lines = readFileSync(recorded('connect'), 'latin1').split('\n').length - 1
    expect(reports.at(-1)).toMatchObject({
      kind: 'summary',
      records: lines,
      unseen: new Set(findings.map(({ edge }) => JSON.stringify(edge))).size,
      unreadable: 0,
    })
  })

  test('reports nothing that it was trained on', () => {
    const reports = reportsOf(fullmon(['replay', recorded('files'), '--json']))
    expect(findingsOf(reports)).toEqual([])
    expect(reports.at(-1)).toMatchObject({ unseen: 0 })
  })

  test.each(['epoch seconds', 'ISO 8601'])('--train-until takes %s', (form) => {
    const [first] = findingsOf(reportsOf(fullmon(['replay', recorded('files'), '--train', '0', '--json'])))
    const timeMs = first?.timeMs ?? 0
    const until = form === 'ISO 8601' ? new Date(timeMs + 1).toISOString() : String((timeMs + 1) / 1000)
    const words = ['replay', recorded('files'), '--train-until', until, '--json']
    const findings = findingsOf(reportsOf(fullmon(words)))
    expect(findings.length).toBeGreaterThan(0)
    for (const finding of findings) expect(finding.timeMs).toBeGreaterThan(timeMs)
  })

  test('a time without a zone is UTC, wherever that is', () => {
    const [first] = findingsOf(reportsOf(fullmon(['replay', recorded('files'), '--train', '0', '--json'])))
    const until = new Date((first?.timeMs ?? 0) + 1).toISOString().replace('Z', '')
    const words = [MAIN, 'replay', recorded('files'), '--train-until', until, '--json']
    const outputs = ['UTC', 'America/New_York'].map(
      (zone) =>
        spawnSync(process.execPath, words, { encoding: 'utf8', env: { ...process.env, TZ: zone } }).stdout,
    )
    expect(outputs[0]).toContain('"incident"')
    expect(outputs[1]).toBe(outputs[0])
  })

  test('one signal ends it although nobody writes to its input', async () => {
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    const child = spawn(process.execPath, [MAIN, 'replay', pipe], { stdio: 'ignore' })
    const ended = new Promise((resolve) => child.once('close', resolve))
    let writer: number | undefined
    while (writer === undefined) {
      await sleep(20)
      writer = openedByReader(pipe)
    }
    child.kill('SIGTERM')
    await ended
    closeSync(writer)
    expect(child.signalCode).toBe('SIGTERM')
  })

  test('the log may come packed, in pieces, or on standard input', () => {
    const plain = fullmon(['replay', recorded('exec'), '--train', '0', '--json'])
    const bytes = readFileSync(recorded('exec'))
    const gz = join(folder, 'exec.log.gz')
    writeFileSync(gz, gzipSync(bytes))
    writeFileSync(join(folder, 'one'), bytes.subarray(0, 1000))
    writeFileSync(join(folder, 'two'), bytes.subarray(1000))
    const words = ['--train', '0', '--json']
    expect(fullmon(['replay', gz, ...words]).stdout).toBe(plain.stdout)
    expect(fullmon(['replay', join(folder, 'one'), join(folder, 'two'), ...words]).stdout).toBe(plain.stdout)
    expect(fullmon(['replay', '-', ...words], bytes.toString('latin1')).stdout).toBe(plain.stdout)
  })

  test('what is no record is counted and said', () => {
    const log = join(folder, 'rubbish.log')
    writeFileSync(
      log,
      `${readFileSync(recorded('exec'), 'latin1')}rubbish\n\u0000\u0000type=\ntype=SYSCALL msg=torn`,
    )
    const reports = reportsOf(fullmon(['replay', log, '--json']))
    expect(reports.find((report) => report.kind === 'blind-spot')).toMatchObject({
      reason: 'unreadable-line',
      count: 3,
    })
    expect(reports.at(-1)).toMatchObject({ unreadable: 3 })
  })

  test('a reader that goes away is no error', async () => {
    const child = spawn(process.execPath, [MAIN, 'replay', recorded('files'), '--train', '0', '--json'])
    child.stdout.destroy()
    let stderr = ''
    child.stderr.on('data', (text) => (stderr += String(text)))
    const status = await new Promise((resolve) => child.once('close', resolve))
    expect(stderr).toBe('')
    expect(status).toBe(0)
  })

  test.skipIf(process.platform !== 'linux' || spawnSync('script', ['--version']).status !== 0)(
    'on a terminal no line stands behind that of the progress, and beside a pager there is none',
    () => {
      const log = join(folder, 'windows.log')
      const bytes = readFileSync(recorded('exec'), 'latin1')
      // An hour later: the findings of the first window are reported while it reads.
      const later = bytes.replace(/audit\((\d+)/g, (_, seconds: string) => `audit(${Number(seconds) + 3600}`)
      writeFileSync(log, bytes + later, 'latin1')
      const onTerminal = (words: string): string =>
        spawnSync('script', ['-qec', `${process.execPath} ${MAIN} ${words}`, '/dev/null'], {
          encoding: 'utf8',
        }).stdout
      for (const words of [`replay ${log} --train 0`, `events ${log}`]) {
        const shown = onTerminal(words)
        expect(shown).toContain('\r\u001b[Kreading: 0 MB, 100 %\r\u001b[K')
        expect(shown).not.toMatch(/reading: [^%]*%[^\r]/)
        expect(onTerminal(`${words} | cat`)).not.toContain('reading')
      }
    },
  )

  test('a database is trained once and used afterwards', () => {
    const db = newDb()
    expect(
      reportsOf(fullmon(['replay', recorded('exec'), '--db', db, '--train-until', '9999999999', '--json'])),
    ).toEqual([expect.objectContaining({ kind: 'summary', unseen: 0 })])
    fullmon(['train', '--no-follow', '--auditd', recorded('exec'), '--db', db])
    const again = reportsOf(fullmon(['replay', recorded('exec'), '--db', db, '--json']))
    expect(findingsOf(again)).toEqual([])
    const other = reportsOf(fullmon(['replay', recorded('memory'), '--db', db, '--json']))
    expect(findingsOf(other).some(({ edge }) => edge.kind === 'memory-exec')).toBe(true)
  })
})

describe('train --no-follow', () => {
  test('reads the rotated logs beside the live one, oldest first', () => {
    const live = join(folder, 'audit.log')
    copyFileSync(recorded('exec'), `${live}.2`)
    execFileSync('gzip', ['-c', recorded('files')], { stdio: ['ignore', 'pipe', 'inherit'] })
    writeFileSync(`${live}.1.gz`, gzipSync(readFileSync(recorded('files'))))
    copyFileSync(recorded('connect'), live)
    const db = newDb()
    // The default without --auditd is the live log and its rotated ones; here they are named by the configuration.
    // They are from different days, so that serial numbers are missing between them.
    const logs = [`${live}.2`, `${live}.1.gz`, live].flatMap((log) => ['--auditd', log])
    logs.push('--learn-degraded')
    const trained = reportsOf(fullmon(['train', '--no-follow', ...logs, '--db', db, '--json'])).at(-1)
    const lines = ['exec', 'files', 'connect'].map(
      (name) => readFileSync(recorded(name), 'latin1').split('\n').length - 1,
    )
    expect(trained).toMatchObject({
      kind: 'summary',
      records: lines.reduce((sum, count) => sum + count),
      unseen: 0,
    })
    for (const name of ['exec', 'files', 'connect']) {
      const reports = reportsOf(fullmon(['replay', recorded(name), '--db', db, '--json']))
      expect(findingsOf(reports)).toEqual([])
    }
  })
})

describe('baseline', () => {
  const db = newDb()
  fullmon(['train', '--no-follow', '--auditd', recorded('files'), '--db', db])
  const truth = JSON.parse(readFileSync(join(RECORDED, 'files.json'), 'utf8')) as {
    edges: { kind: string; from?: string; to: string }[]
  }

  test('show has every edge that was done, and --match chooses', () => {
    const { stdout } = fullmon(['baseline', 'show', '--db', db])
    for (const { kind, to } of truth.edges)
      expect(stdout).toMatch(new RegExp(`^${kind} .*->${to.replace(/\W/g, '\\$&')} `, 'm'))
    const [first] = truth.edges.filter(({ kind }) => kind === 'rename')
    const matched = fullmon(['baseline', 'show', '--db', db, '--match', first?.to ?? '']).stdout
    expect(
      matched
        .trim()
        .split('\n')
        .every((line) => line.includes(first?.to ?? '')),
    ).toBe(true)
  })

  test('stats count them by kind', () => {
    const { stdout } = fullmon(['baseline', 'stats', '--db', db, '--json'])
    const deletes = new Set(
      truth.edges.filter(({ kind }) => kind === 'delete').map((edge) => JSON.stringify(edge)),
    )
    expect(stdout).toContain(`"edgeKind":"delete","edges":${deletes.size},`)
  })

  test('export and import carry it to another file', () => {
    const exported = fullmon(['baseline', 'export', '--db', db]).stdout
    const file = join(folder, 'export.jsonl')
    writeFileSync(file, exported)
    const copy = newDb()
    expect(fullmon(['baseline', 'import', file, '--db', copy]).status).toBe(0)
    expect(fullmon(['baseline', 'export', '--db', copy]).stdout).toBe(exported)
    const stdinCopy = newDb()
    expect(fullmon(['baseline', 'import', '-', '--db', stdinCopy], exported).status).toBe(0)
    const again = reportsOf(fullmon(['replay', recorded('files'), '--db', copy, '--json']))
    expect(findingsOf(again)).toEqual([])
  })

  test('a file that is no export changes nothing', () => {
    const file = join(folder, 'bad.jsonl')
    writeFileSync(file, `${JSON.stringify({ kind: 'baseline', format: 1 })}\nrubbish\n`)
    const target = newDb()
    const { status, stderr } = fullmon(['baseline', 'import', file, '--db', target])
    expect(stderr).toMatch(/bad\.jsonl:2/)
    expect(status).toBe(2)
    expect(existsSync(target)).toBe(false)
  })
})
