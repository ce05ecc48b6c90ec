/** What persons say of alerts while an agent runs, is killed and is started again. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { alertsIn } from '../../agent/baseline/alerts.ts'
import type { Alert } from '../../agent/domain/alert.ts'
import { type RunningAgent, startAgent } from '../support/agent.ts'
import { folderForTest } from '../support/folder.ts'

const MAIN = join(import.meta.dirname, '../../agent/main.ts')
/** No program is called like this. */
const REQUIRED = 'fullmon-test-of-alerts'

test('alerts are as somebody left them, however the agent ended', async () => {
  const folder = folderForTest()
  const [db, log, config] = ['baseline.db', 'audit.log', 'config.yaml'].map((name) => join(folder, name))
  if (db === undefined || log === undefined || config === undefined) throw new Error('three names')
  writeFileSync(log, '')
  writeFileSync(
    config,
    `auditd: ${log}\ndb: ${db}\nbaseline: 1\nmonitor: 1\nwait: 0.1\nscan:\n  interval: 0.3\n` +
      `processes:\n  required: [${REQUIRED}]\nhttp:\n  socket: ''\n`,
  )
  let agent: RunningAgent | undefined
  onTestFinished(async () => {
    await agent?.end('SIGKILL')
  })
  const say = (...words: string[]): void => {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...words, '--config', config], {
      encoding: 'utf8',
    })
    expect([status, stderr]).toEqual([0, ''])
  }
  const ours = (): Alert[] => alertsIn(db).filter(({ source }) => source === 'missing')
  const fates = (): string[] => ours().map(({ id, state }) => `${id} ${state}`)
  const told = (): number[] =>
    (agent?.reports ?? []).flatMap((each) =>
      each.kind === 'alert' && each.source === 'missing' ? [each.id] : [],
    )
  /** Starts it, and waits until it has looked at the host again. */
  const start = async (): Promise<void> => {
    const fromMs = Date.now()
    agent = startAgent(['run', '--json', '--config', config])
    await agent.waitFor('a look', () =>
      ours().some(({ lastMs, state }) => lastMs >= fromMs && state !== 'reset'),
    )
  }
  const killAndStart = async (): Promise<void> => {
    await agent?.end('SIGKILL')
    await start()
  }

  const before = startAgent(['run', '--json', '--config', config])
  agent = before
  await before.waitFor('an alert', () => told().length > 0)
  const [first = 0] = told()
  expect(fates()).toEqual([`${first} open`])

  say('ack', String(first), '--reason', 'somebody starts it')
  await killAndStart()
  expect(fates()).toEqual([`${first} acknowledged`])
  expect(ours()).toMatchObject([{ count: 1, isPresent: true }])

  say('mute', String(first), '--for', '1h')
  await killAndStart()
  const [{ mutedUntilMs = 0 } = {}] = ours()
  expect(mutedUntilMs).toBeGreaterThan(Date.now())
  expect(told()).toEqual([])

  say('reset', String(first))
  // It is still missing.
  const running = agent
  await running.waitFor('another alert', () => told().length > 0)
  const [second = 0] = told()
  await killAndStart()
  expect(fates()).toEqual([`${first} reset`, `${second} open`])

  // What a person says of alerts is no tampering.
  const tampering = alertsIn(db).filter(
    ({ source, key }) => source === 'tamper' && /^(own-files|journal)/.test(key),
  )
  expect(tampering).toEqual([])
  say('verify')
})
