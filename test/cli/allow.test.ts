import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { loadConfig } from '../../agent/config/config.ts'
import type { Observation, Subject } from '../../agent/domain/alert.ts'
import { processMatcher } from '../../agent/scan/expected.ts'
import { ProcessScanner } from '../../agent/scan/scanner.ts'
import { suspiciousProcesses } from '../../agent/scan/suspicious.ts'
import { folderForTest } from '../support/folder.ts'
import { FOREVER, noPython, running } from '../support/running.ts'

const MAIN = join(import.meta.dirname, '../../agent/main.ts')

const told = (...words: string[]): { status: number | null; stdout: string; stderr: string } => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8' })
  return { status, stdout, stderr }
}

const observation = (source: Observation['source'], key: string, subject: Subject): Observation => ({
  ...{ source, key, severity: 'medium', title: `${key} is wrong`, reasons: [], next: [], subject },
})

const process_ = (exe: string, more: Subject = {}): Observation =>
  observation('process', exe, { exe, user: 'app', pids: [1], score: 3, argv: [exe, '-x'], ...more })

/** A baseline with these alerts, and the words that name it and a configuration. */
function withAlerts(
  observations: readonly Observation[],
  config?: string,
): { file: string; words: string[] } {
  const folder = folderForTest()
  const db = join(folder, 'baseline.db')
  const file = join(folder, 'config.yaml')
  if (config !== undefined) writeFileSync(file, config)
  const baseline = new Baseline(db)
  baseline.batch(() => {
    for (const each of observations) baseline.alerts.raise(each, 1000)
  })
  baseline.close()
  return { file, words: ['--db', db, '--config', file] }
}

const EMPTY = '# ours\n'

/** What would be written for one alert. */
function linesFor(each: Observation, ...words: string[]): unknown {
  const { words: where } = withAlerts([each], EMPTY)
  const { status, stdout, stderr } = told('allow', '1', ...words, ...where)
  expect([status, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(/^# alert 1: /)
  return parse(stdout)
}

function refusalFor(each: Observation, ...words: string[]): string {
  const { file, words: where } = withAlerts([each], EMPTY)
  const { status, stdout, stderr } = told('allow', '1', '--write', ...words, ...where)
  expect([status, stdout]).toEqual([2, ''])
  expect(readFileSync(file, 'utf8')).toBe(EMPTY)
  return stderr
}

test('a process is allowed by what says most of it, or by what somebody chooses', () => {
  const worker = process_('/opt/app/w[1]')
  expect(linesFor(worker)).toEqual({ allowlist: { paths: ['/opt/app/w[1]'] } })
  expect(linesFor(worker, '--by', 'name')).toEqual({ allowlist: { names: ['w[1]'] } })
  expect(linesFor(worker, '--by', 'user')).toEqual({ allowlist: { users: ['app'] } })
  expect(linesFor(worker, '--by', 'pattern')).toEqual({ allowlist: { patterns: ['/opt/app/*'] } })
  expect(linesFor(worker, '--by', 'expected')).toEqual({
    processes: { expected: [{ exe: '/opt/app/w\\[1\\]', user: 'app' }] },
  })
  expect(linesFor(process_('/usr/bin/python3.13', { script: '/srv/job.py' }))).toEqual({
    allowlist: { paths: ['/srv/job.py'] },
  })
})

test('a program that runs whatever it is told is expected with its arguments', () => {
  const argv = ['python3', '-c', 'import x; x.y(*z)\\x0a']
  const expected = linesFor(process_('/usr/bin/python3.13', { argv })) as {
    processes: { expected: [{ exe: string; user: string; argv: string }] }
  }
  const [pattern] = expected.processes.expected
  const seen = { exe: '/usr/bin/python3.13', script: null, forged: null, uid: 999, user: 'app' }
  expect(processMatcher(pattern)({ ...seen, argv: ['python3', '-c', 'import x; x.y(*z)\n'] })).toBe(true)
  expect(processMatcher(pattern)({ ...seen, argv: ['python3', '-c', 'import os'] })).toBe(false)
  expect(
    processMatcher(pattern)({ ...seen, argv: [...argv.slice(0, 2), 'import x; x.y(*z)\n'], user: 'root' }),
  ).toBe(false)
})

test('the digest is that of the program that runs', () => {
  const sha256 = createHash('sha256').update(readFileSync(process.execPath)).digest('hex')
  const node = process_(process.execPath, { pids: [process.pid] })
  expect(linesFor(node, '--by', 'sha256', '--force')).toEqual({ allowlist: { sha256: [sha256] } })
})

test('files in layers are allowed in their container', () => {
  const layer = observation('layer', 'x', {
    ...{ container: 'f00', names: ['web', 'app:1.2'], folder: '/var/lib/x', count: 2 },
    paths: ['/etc/a*b', '/etc/c'],
  })
  expect(linesFor(layer)).toEqual({ containers: { allowlist: ['web:/etc/a\\*b', 'web:/etc/c'] } })
  expect(linesFor(layer, '--by', 'pattern')).toEqual({ containers: { allowlist: ['web:/etc/**'] } })
})

test('what a rule is about is skipped by its program', () => {
  const chain = ['proc::root:/usr/sbin/cron', 'proc::root:/bin/dash', 'proc::root:/opt/tool']
  const rule = observation('incident', 'r', { rule: 'some-tool', chain })
  expect(linesFor(rule)).toEqual({ rules: { skip: { paths: ['/opt/tool'] } } })
  expect(linesFor(rule, '--by', 'name')).toEqual({ rules: { skip: { commands: ['tool'] } } })
  const shell = observation('incident', 'r', { rule: 'r', chain: chain.slice(0, 2) })
  expect(refusalFor(shell)).toMatch(/no rule would be about \/bin\/dash any more/)
})

test('nobody allows blindly what he cannot look at, or what nothing allows', () => {
  expect(refusalFor(process_('/memfd:x (deleted)'))).toMatch(/only in memory/)
  expect(refusalFor(process_('/opt/x (deleted)'))).toMatch(/removed or replaced/)
  expect(refusalFor(process_('/tmp/x'))).toMatch(/anybody may put another program at \/tmp\/x/)
  expect(refusalFor(process_('/opt/x', { score: 7 }), '--by', 'path')).toMatch(/too grave for the allowlist/)
  expect(refusalFor(process_('/opt/\\x0ax'))).toMatch(/cannot be written into the configuration as it is/)
  expect(refusalFor(observation('incident', '1', { chain: [] }))).toMatch(/fullmon accept/)
  expect(refusalFor(observation('tamper', '1', { chain: [] }))).toMatch(/which nothing allows/)
  expect(refusalFor(observation('missing', '1', {}))).toMatch(/processes\.required/)
  expect(linesFor(process_('/tmp/x'), '--force')).toEqual({ allowlist: { paths: ['/tmp/x'] } })
})

test('nobody allows blindly what is more than he was told of', () => {
  const ofRoot = { user: 'root' }
  expect(refusalFor(process_('/opt/x', ofRoot), '--by', 'user')).toMatch(/would excuse all that root runs/)
  expect(refusalFor(process_('/usr/sbin/x'), '--by', 'pattern')).toMatch(/every program in \/usr\/sbin\//)
  const folder = { folder: '/usr/local/bin/', programs: 9, score: 30 }
  expect(refusalFor(process_('/usr/local/bin/a', folder))).toMatch(/every program in \/usr\/local\/bin\//)
  for (const by of ['path', 'name', 'sha256'])
    expect(refusalFor(process_('/usr/bin/dash'), '--by', by)).toMatch(
      /whatever \/usr\/bin\/dash is told to run/,
    )
  const script = { script: '/srv/job.py' }
  expect(refusalFor(process_('/usr/bin/python3.13', script), '--by', 'sha256')).toMatch(/python3\.13 is told/)
  expect(linesFor(process_('/usr/bin/python3.13', script), '--by', 'path')).toBeDefined()
  const chain = ['proc::root:/bin/dash', 'proc::root:/usr/bin/curl']
  const rule = observation('incident', 'r', { rule: 'r', chain })
  expect(refusalFor(rule, '--by', 'user')).toMatch(/all that root runs/)
  expect(refusalFor(rule, '--by', 'pattern')).toMatch(/every program in \/usr\/bin\//)
  const wrote = observation('incident', 'r', {
    rule: 'r',
    chain: ['proc::app:/bin/dash', 'file:write:/etc/x'],
  })
  expect(refusalFor(wrote, '--by', 'name')).toMatch(/no rule would be about \/bin\/dash any more/)
  expect(linesFor(wrote)).toEqual({ rules: { skip: { paths: ['/etc/x'] } } })
  const layer = observation('layer', 'x', { container: 'f00', names: ['web'], paths: ['/x'] })
  expect(refusalFor(layer, '--by', 'pattern')).toMatch(/all files of the container/)
})

test('lines are written once, beside all that stands there, with the mode of the file', () => {
  const config = '# ours\r\nallowlist:\r\n  paths: # by hand\r\n    - /a   # one\r\n'
  const { file, words } = withAlerts([process_('/opt/b'), process_('/opt/c')], config)
  chmodSync(file, 0o640)
  const link = `${file}.link`
  symlinkSync(file, link)
  const { status, stdout } = told('allow', '1', '2', '--write', ...words.slice(0, 3), link)
  expect(status).toBe(0)
  expect(stdout).toBe(`${link}: added to allowlist.paths\nwhat is open stays so: fullmon reset 1 2\n`)
  expect(readFileSync(file, 'utf8')).toBe(`${config}    - /opt/b\r\n    - /opt/c\r\n`)
  expect(statSync(file).mode & 0o777).toBe(0o640)
  expect(told('allow', '1', '--write', ...words).stdout).toMatch(/says so already: allowlist\.paths/)
  expect(readFileSync(file, 'utf8')).toBe(`${config}    - /opt/b\r\n    - /opt/c\r\n`)
})

test('what a profile allows stays allowed', () => {
  const { file, words } = withAlerts([process_('/opt/b')], 'profile: ./base.yaml\n')
  writeFileSync(join(file, '../base.yaml'), 'allowlist:\n  paths: [/opt/a]\nprocesses:\n  expected: [cron]\n')
  expect(told('allow', '1', '--write', ...words).status).toBe(0)
  const { allowlist, processes } = loadConfig({ config: file })
  expect([allowlist.paths, processes.expected]).toEqual([['/opt/a', '/opt/b'], ['cron']])
})

test('a configuration that is wrong, or cannot be written, is left as it is', () => {
  const { file, words } = withAlerts([process_('/opt/b')], 'monitor: soon\n')
  expect(told('allow', '1', '--write', ...words)).toMatchObject({ status: 2, stdout: '' })
  expect(readFileSync(file, 'utf8')).toBe('monitor: soon\n')
  mkdirSync(`${file}.d`)
  const { status, stderr } = told('allow', '1', '--write', ...words.slice(0, 3), `${file}.d`)
  expect([status, stderr.split(':')[0]]).toEqual([2, 'fullmon'])
})

test.skipIf(noPython !== undefined)('a process that is allowed raises no alert any more', async () => {
  const { pid } = await running('/usr/bin/python3', ['-c', FOREVER, 'unlikely-word'])
  const { words, file } = withAlerts([], EMPTY)
  const suspicious = async (): Promise<readonly Observation[]> => {
    const { scan, allowlist, ports, processes } = loadConfig({ config: file })
    // Everything is suspicious here.
    const scanner = new ProcessScanner({ scan: { ...scan, min_score: 0 }, allowlist, ports })
    const matchers = processes.expected.map(processMatcher)
    const found = (await scanner.look(undefined)).processes.filter((each) => each.pid === pid)
    return suspiciousProcesses(found.filter((each) => !matchers.some((matches) => matches(each))))
  }
  const [before] = await suspicious()
  if (before === undefined) throw new Error('the process was not found')
  const baseline = new Baseline(words[1] ?? '')
  baseline.batch(() => baseline.alerts.raise(before, 1000))
  baseline.close()
  expect(told('allow', '1', '--by', 'expected', '--write', ...words).status).toBe(0)
  expect(await suspicious()).toEqual([])
})

test('what is written is a row of the journal, and what is not is none', () => {
  const { file, words } = withAlerts([process_('/opt/a')], EMPTY)
  const rows = (): unknown[] => {
    const database = new Database(words[1] ?? '', { readonly: true })
    try {
      return database
        .prepare<[], { author: string; detail: string }>(
          "SELECT author, detail FROM journal WHERE action = 'allow'",
        )
        .all()
        .map(({ author, detail }) => [author.split(' ')[0], JSON.parse(detail) as unknown])
    } finally {
      database.close()
    }
  }
  const why = ['--author', 'carol', '--reason', 'ours'] as const
  expect(told('allow', '1', ...why, ...words).status).toBe(0)
  expect(rows()).toEqual([])
  for (let round = 0; round < 2; round++)
    expect(told('allow', '1', '--write', ...why, ...words).status).toBe(0)
  expect(rows()).toEqual([
    [
      'carol',
      {
        ...{ file, pid: expect.any(Number) as number, alerts: [1], reason: 'ours' },
        added: ['allowlist.paths: "/opt/a"'],
      },
    ],
  ])
  expect(told('verify', '--db', words[1] ?? '').status).toBe(0)
})

test('many programs of one folder are allowed by their folder', () => {
  const many = process_('/srv/jobs/a', { folder: '/srv/jobs/', programs: 9 })
  expect(linesFor(many)).toEqual({ allowlist: { patterns: ['/srv/jobs/*'] } })
  const grave = process_('/srv/jobs/a', { folder: '/srv/jobs/', programs: 9, score: 30 })
  expect(linesFor(grave)).toEqual({ processes: { expected: [{ exe: '/srv/jobs/*', user: 'app' }] } })
})
