/** Looks at the host by the agent as a user starts it: real processes, a real overlay, a log in which nothing happens. */
import { spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { Alert } from '../../agent/domain/alert.ts'
import { type RunningAgent, startAgent } from '../support/agent.ts'
import { containerForTest } from '../support/container.ts'
import { folderForTest } from '../support/folder.ts'
import { mountUnavailable } from '../support/mount.ts'

const unavailable = mountUnavailable()
if (unavailable !== undefined)
  process.stderr.write(`host-watch.test.ts: layers are left out: ${unavailable}\n`)

const FOLDER = `/var/tmp/fullmon-test-host-watch`
const [LOG, DB, CONFIG] = ['audit.log', 'state/baseline.db', 'config.yaml'].map((name) =>
  join(FOLDER, name),
) as [string, string, string]
const SOCKET = join(FOLDER, 'state/socket')
/** Not in a folder for temporary files: only its absence is wrong. */
const REQUIRED = 'required-by-e2e'

let agent: RunningAgent | undefined

/** Alerts that were told of what has this in its key or title, oldest first. */
const told = (word: string): Alert[] =>
  (agent?.reports ?? []).filter(
    (report): report is Alert => report.kind === 'alert' && report.title.includes(word),
  )

async function restart(): Promise<void> {
  await agent?.end('SIGTERM')
  agent = startAgent(['run', '--config', CONFIG, '--socket', SOCKET, '--json'])
  await agent.waitFor('monitoring', () => agent?.stderr().includes('monitoring') === true)
}

const waitFor = async (what: string, isThere: () => boolean): Promise<void> => agent?.waitFor(what, isThere)

/** What the agent answers at its socket. */
const api = (path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const question = get({ socketPath: SOCKET, path }, (answer) => void text(answer).then(resolve, reject))
    question.on('error', reject)
  })

/** Resolves when the agent has looked at the host twice more: a process that is suspicious was found, and one more. */
async function lookedAgain(): Promise<void> {
  const name = `mark-by-e2e-${process.hrtime.bigint()}`
  const stop = start(name)
  await waitFor('another look', () => told(name).length === 1)
  await stop()
  await waitFor('the look after it', () => told(name).length === 2)
}

/** Runs something from /tmp under this name. */
function start(name: string): () => Promise<void> {
  const program = join(folderForTest(), name)
  copyFileSync('/bin/sleep', program)
  const child = spawn(program, ['600'], { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  onTestFinished(stop)
  return stop
}

beforeAll(async () => {
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(join(FOLDER, 'state'), { recursive: true, mode: 0o700 })
  writeFileSync(LOG, '', { mode: 0o600 })
  const settings = {
    ...{ auditd: LOG, db: DB, baseline: 0, wait: 0.1 },
    scan: { interval: 0.2 },
    processes: { required: [REQUIRED], expected: ['expected-by-e2e'] },
  }
  writeFileSync(CONFIG, JSON.stringify(settings), { mode: 0o600 })
  await restart()
})

afterAll(async () => {
  await agent?.end('SIGTERM')
  rmSync(FOLDER, { recursive: true, force: true })
})

test('a process from /tmp is told once, stays when it has ended, and is not told again after a restart', async () => {
  const stop = start('miner-by-e2e')
  await waitFor('the alert', () => told('miner-by-e2e').length === 1)
  const [opened] = told('miner-by-e2e')
  expect(opened).toMatchObject({ source: 'process', state: 'open', isPresent: true, count: 1 })
  expect(opened?.subject).toMatchObject({ argv: [expect.stringContaining('miner-by-e2e'), '600'] })
  expect(opened?.subject['heuristics']).toContain('tmp_exe')
  // What it answers is as old as its last pulse.
  while (!(await api('/api/suspicious')).includes('miner-by-e2e')) await sleep(20)
  expect(await api('/metrics')).toMatch(/^fullmon_scan_suspicious [1-9]/m)
  await restart()
  await lookedAgain()
  expect(told('miner-by-e2e')).toEqual([])
  await stop()
  await waitFor('its end', () => told('miner-by-e2e').length === 1)
  expect(told('miner-by-e2e')).toMatchObject([{ id: opened?.id, state: 'open', isPresent: false }])
  await restart()
  await lookedAgain()
  expect(told('miner-by-e2e')).toEqual([])
})

test('a process that is expected is not told', async () => {
  start('expected-by-e2e')
  await lookedAgain()
  expect(told('expected-by-e2e')).toEqual([])
})

test('a process that must run is missed, and found again', async () => {
  // It was missing from the beginning.
  await restart()
  const stop = start(REQUIRED)
  await waitFor('its return', () => told(`${REQUIRED} does not run`).some(({ isPresent }) => !isPresent))
  await stop()
  await lookedAgain()
  expect(told(`${REQUIRED} does not run`)).toHaveLength(1)
})

test.skipIf(unavailable !== undefined)(
  'what appears in the layer of a container is told while it is there',
  async () => {
    const container = await containerForTest(join(folderForTest(), 'diff'))
    await lookedAgain()
    await container.run('cp /bin/true /srv/dropped-by-e2e')
    await waitFor('the alert', () => told('dropped-by-e2e').length === 1)
    expect(told('dropped-by-e2e')).toMatchObject([{ source: 'layer', severity: 'high', isPresent: true }])
    await restart()
    await lookedAgain()
    expect(told('dropped-by-e2e')).toEqual([])
    await container.run('rm /srv/dropped-by-e2e')
    await waitFor('its end', () => told('dropped-by-e2e').some(({ isPresent }) => !isPresent))
  },
)
