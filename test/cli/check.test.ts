import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createNetServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { acquireLock } from '../../agent/baseline/lock.ts'
import { noAlerts } from '../../agent/baseline/vitals.ts'
import type { Severity } from '../../agent/domain/severity.ts'
import type { HealthView } from '../../agent/http/view.ts'
import { startAgent } from '../support/agent.ts'
import { folderForTest } from '../support/folder.ts'

const ROOT = join(import.meta.dirname, '../..')
/** The form of a plugin: nagios-plugins.org/doc/guidelines.html. */
const LINE =
  /^(OK|WARNING|CRITICAL|UNKNOWN) - ([^|\n]*)(?: \| ((?:[a-z_]+=\d+(?:\.\d+)?s?(?:;[^; ]*){0,4} ?)+))?\n$/
const NO_AGENT = 'no agent is running'

interface Said {
  readonly code: number | null
  readonly state: string
  readonly told: string
  readonly perfdata: string
}

/** Not synchronous: who is asked may be this process. */
async function check(...words: readonly string[]): Promise<Said> {
  const child = spawn(process.execPath, ['agent/main.ts', 'check', ...words], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const code = new Promise<number | null>((ended) => child.once('exit', ended))
  const line = await text(child.stdout)
  expect(line).toMatch(LINE)
  const [, state = '', told = '', perfdata = ''] = LINE.exec(line) ?? []
  return { code: await code, state, told, perfdata }
}

/** A baseline with open alerts. */
function baselineWith(...severities: readonly Severity[]): string {
  const db = join(folderForTest(), 'baseline.db')
  const baseline = new Baseline(db)
  baseline.batch(() => {
    baseline.trainings.begin(1, 1)
    baseline.trainings.extend(2, true)
    for (const severity of severities)
      baseline.alerts.raise(
        {
          ...{ source: 'missing', key: severity, severity, title: `a | title\nof ${severity}` },
          ...{ reasons: [], next: [], subject: {} },
        },
        1000,
      )
  })
  baseline.close()
  return db
}

/** The same with an agent that runs. */
function watched(...severities: readonly Severity[]): string {
  const db = baselineWith(...severities)
  const lock = acquireLock(db)
  onTestFinished(() => lock.release())
  return db
}

describe('the baseline', () => {
  test('of a host that is well is OK', async () => {
    const said = await check('--db', watched())
    expect(said).toEqual({
      code: 0,
      state: 'OK',
      told: 'trained, no alert is open',
      perfdata: 'alerts_low=0;;;0 alerts_medium=0;;;0 alerts_high=0;;;0 alerts_critical=0;;;0',
    })
  })

  test.each<[Severity, readonly string[], number]>([
    ['low', [], 0],
    ['medium', [], 1],
    ['high', [], 2],
    ['critical', [], 2],
    ['low', ['-w', 'low'], 1],
    ['medium', ['-w', 'high', '-c', 'critical'], 0],
    ['high', ['-w', 'high', '-c', 'critical'], 1],
    ['low', ['--critical', 'low'], 2],
  ])('with a %s alert and %j is %i', async (severity, words, code) => {
    const said = await check('--db', watched(severity), ...words)
    expect(said.code).toBe(code)
    expect(said.told).toBe(`1 ${severity} alert is open: a \\u{7c} title\\u{a}of ${severity} [alert 1]`)
    expect(said.perfdata).toContain(`alerts_${severity}=1;;;0`)
  })

  test('without an agent is critical', async () => {
    expect(await check('--db', baselineWith())).toMatchObject({ code: 2, state: 'CRITICAL', told: NO_AGENT })
    const none = join(folderForTest(), 'none.db')
    expect(await check('--db', none)).toMatchObject({
      code: 2,
      told: `there is no baseline, and ${NO_AGENT}; fullmon doctor says how to begin`,
      perfdata: '',
    })
  })

  test('that is none is unknown', async () => {
    const db = join(folderForTest(), 'text.db')
    writeFileSync(db, 'no database '.repeat(100))
    expect(await check('--db', db)).toMatchObject({
      ...{ code: 3, state: 'UNKNOWN' },
      told: expect.stringContaining('is no baseline') as string,
    })
  })
})

describe('the agent', () => {
  /** Plays an agent that says this. */
  async function saying(view: object | string): Promise<string> {
    const socket = join(folderForTest(), 's.sock')
    const server = createServer((_, response) =>
      response.end(typeof view === 'string' ? view : JSON.stringify(view)),
    )
    await new Promise<void>((listening) => server.listen(socket, listening))
    onTestFinished(() => void server.close())
    return socket
  }

  const VIEW: HealthView = {
    ...{ healthy: true, phase: 'monitoring', reasons: [], kernel: 'watched', alerts: noAlerts(), pid: 7 },
    ...{ scan: { timeMs: 1, processes: 120, suspicious: 2 }, lag: { bytes: 10, ms: 2500 } },
    ...{ aliveMs: 1_000_000, timeMs: 1_000_000 },
  }

  test('is asked first, and tells what it measured', async () => {
    expect(await check('--socket', await saying(VIEW), '--db', '/nonexistent')).toEqual({
      code: 0,
      state: 'OK',
      told: 'monitoring, no alert is open, 2 of 120 processes suspicious',
      perfdata:
        'alerts_low=0;;;0 alerts_medium=0;;;0 alerts_high=0;;;0 alerts_critical=0;;;0 scanned=120;;;0 suspicious=2;;;0 lag=2.5s;;;0',
    })
  })

  test('that does not see everything is a warning, that does nothing is critical', async () => {
    const blind = { ...VIEW, healthy: false, reasons: [{ code: 'blind', text: 'behind: 5 bytes' }] }
    expect(await check('--socket', await saying(blind))).toMatchObject({ code: 1, told: 'behind: 5 bytes' })
    expect(await check('--socket', await saying({ ...VIEW, kernel: 'unwatched' }))).toMatchObject({
      code: 0,
      told: "monitoring, no alert is open, 2 of 120 processes suspicious; the kernel's audit is not watched",
    })
    const stuck = { ...VIEW, timeMs: 1_061_000 }
    expect(await check('--socket', await saying(stuck))).toMatchObject({ code: 0 })
    expect(await check('--socket', await saying(stuck), '--max-age', '60')).toMatchObject({
      ...{ code: 2, told: 'the agent (pid 7) has done nothing for 61 s' },
    })
  })

  test('that is none is unknown', async () => {
    for (const words of ['hello', '{"reasons": 5}', '[]', 'null'])
      expect(await check('--socket', await saying(words))).toMatchObject({
        ...{ code: 3, told: expect.stringContaining('is no fullmon') as string },
      })
    const socket = join(folderForTest(), 's.sock')
    const closing = createNetServer((connection) => connection.destroy())
    await new Promise<void>((listening) => closing.listen(socket, listening))
    onTestFinished(() => void closing.close())
    expect(await check('--socket', socket)).toMatchObject({ code: 3, state: 'UNKNOWN' })
  })

  test('that says nothing for nine seconds is critical, and nothing is measured', async () => {
    const socket = join(folderForTest(), 's.sock')
    const server = createServer((_, response) => {
      setTimeout(() => response.end(JSON.stringify(VIEW)), 9000).unref()
    })
    await new Promise<void>((listening) => server.listen(socket, listening))
    onTestFinished(() => void server.close())
    expect(await check('--socket', socket)).toEqual({
      ...{ code: 2, state: 'CRITICAL', told: `the agent does not answer at ${socket}`, perfdata: '' },
    })
  })

  test('that has gone is not there: the baseline is read', async () => {
    const socket = join(folderForTest(), 's.sock')
    const script = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 9))`
    spawnSync(process.execPath, ['-e', script, socket])
    expect(await check('--socket', socket, '--db', baselineWith())).toMatchObject({ code: 2, told: NO_AGENT })
    expect(await check('--socket', '', '--db', baselineWith())).toMatchObject({ code: 2, told: NO_AGENT })
  })

  test('as it really is', async () => {
    const folder = folderForTest()
    const [log, db, socket] = ['a.log', 'b.db', 's.sock'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    writeFileSync(log, '')
    const words = [
      'run',
      '--auditd',
      log,
      '--db',
      db,
      '--baseline',
      '0',
      '--socket',
      socket,
      '--set',
      'scan.interval=0',
      '--json',
    ]
    const agent = startAgent(words)
    onTestFinished(() => void agent.end('SIGKILL'))
    await agent.waitFor('monitoring', () => agent.stderr().includes('monitoring'))
    expect(await check('--socket', socket)).toMatchObject({
      code: 0,
      told: "monitoring, no alert is open; the kernel's audit is not watched",
    })
    expect(await agent.end('SIGTERM')).toBe(0)
    expect(await check('--socket', socket, '--db', db)).toMatchObject({
      code: 2,
      told: expect.stringContaining(NO_AGENT) as string,
    })
  })
})

test.each([
  ['--bogus'],
  ['-w', 'fatal'],
  ['--max-age', 'soon'],
  ['--max-age', '0'],
  ['--config', '/nonexistent.yaml'],
])('%s %s is unknown, not an alarm', async (...words) => {
  expect(await check(...words)).toMatchObject({ code: 3, state: 'UNKNOWN', perfdata: '' })
})

const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('check.test.ts: a part is left out: not root\n')
test.skipIf(!isRoot)('whoever may not read the configuration asks at the usual place', () => {
  const home = folderForTest()
  chmodSync(home, 0o755)
  writeFileSync(join(home, '.fullmon.yaml'), 'monitor: 5\n', { mode: 0o600 })
  const asNobody = [
    '--reuid',
    '65534',
    '--regid',
    '65534',
    '--clear-groups',
    process.execPath,
    'agent/main.ts',
  ]
  const said = (...words: readonly string[]): string =>
    spawnSync('setpriv', [...asNobody, 'check', '--socket', '', '--db', join(home, 'none.db'), ...words], {
      ...{ cwd: ROOT, encoding: 'utf8', env: { ...process.env, HOME: home } },
    }).stdout
  expect(said()).toMatch(/^CRITICAL - there is no baseline/)
  expect(said('--config', join(home, '.fullmon.yaml'))).toMatch(/^UNKNOWN - cannot read the configuration/)
})
