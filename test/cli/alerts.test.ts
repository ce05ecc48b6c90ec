import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import type { Observation } from '../../agent/domain/alert.ts'
import { folderForTest } from '../support/folder.ts'

const MAIN = join(import.meta.dirname, '../../agent/main.ts')
const ENVIRONMENT = { ...process.env, SUDO_USER: undefined }

/** Runs a command to its end. */
function fullmon(...words: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], {
    encoding: 'utf8',
    env: ENVIRONMENT,
  })
  return { status, stdout, stderr }
}

const objectsIn = (text: string): unknown[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)

const observation = (key: string, severity: Observation['severity']): Observation => ({
  ...{ source: 'missing', key, severity, title: `${key} does not run`, reasons: ['it is required'] },
  ...{ next: [`systemctl status ${key}`], subject: { name: key } },
})

/** A baseline with three alerts, of which the last is over. */
function baseline(): string {
  const path = join(folderForTest(), 'baseline.db')
  const open = new Baseline(path)
  const [nginx, cron, sshd] = [
    observation('nginx', 'medium'),
    observation('cron', 'critical'),
    observation('sshd', 'high'),
  ]
  open.batch(() => open.alerts.look({ source: 'missing', observations: [nginx, cron, sshd] }, 1000))
  open.batch(() => open.alerts.look({ source: 'missing', observations: [nginx, cron] }, 2000))
  open.close()
  return path
}

/** Numbers and states of a list, in its order. */
const listed = (stdout: string): string[] =>
  [...stdout.matchAll(/^(\d+) .* (open|acknowledged|muted|reset) /gm)].map(
    ([, id, state]) => `${id} ${state}`,
  )

test('alerts are listed with what waits first, and the gravest before the others', () => {
  const db = baseline()
  fullmon('ack', '2', '--db', db)
  fullmon('mute', '3', '--for', '2h', '--db', db)
  const { status, stdout } = fullmon('alerts', '--db', db)
  expect(status).toBe(0)
  expect(listed(stdout)).toEqual(['1 open', '2 acknowledged', '3 muted'])
  expect(stdout).toMatch(/high +missing +1 +muted +sshd does not run \(over\)$/m)
  fullmon('unmute', '3', '--db', db)
  expect(listed(fullmon('alerts', '--db', db).stdout)).toEqual(['3 open', '1 open', '2 acknowledged'])
  expect(listed(fullmon('alerts', '--severity', 'high', '--db', db).stdout)).toEqual([
    '3 open',
    '2 acknowledged',
  ])
  fullmon('reset', '--all', '--severity', 'high', '--db', db)
  expect(listed(fullmon('alerts', '--db', db).stdout)).toEqual(['1 open'])
  expect(listed(fullmon('alerts', '--all', '--db', db).stdout)).toEqual(['1 open', '2 reset', '3 reset'])
  expect(listed(fullmon('alerts', '--state', 'reset', '--db', db).stdout)).toEqual(['2 reset', '3 reset'])
  fullmon('reset', '1', '--db', db)
  expect(fullmon('alerts', '--db', db).stdout).toBe('no alerts\n')
})

test('one is shown whole, with what was done with it', () => {
  const db = baseline()
  fullmon('ack', '3', '--reason', 'INC-42', '--author', 'carol', '--db', db)
  const { stdout } = fullmon('alerts', '3', '--db', db)
  expect(stdout).toMatch(/^1970-01-01T00:00:01.000Z high sshd does not run \[alert 3\]$/m)
  expect(stdout).toMatch(/why: +it is required\n +next: +systemctl status sshd$/m)
  expect(stdout).toMatch(/state acknowledged; what it is about is over$/m)
  expect(stdout).toMatch(/acknowledge by carol \(\w+\): INC-42$/m)
  const [object] = objectsIn(fullmon('alerts', '3', '--json', '--db', db).stdout)
  expect(object).toMatchObject({
    ...{ kind: 'alert', id: 3, state: 'acknowledged', isUnhandled: false, subject: { name: 'sshd' } },
    history: [{ action: 'acknowledge', reason: 'INC-42' }],
  })
})

test('what was changed is told, for people and for programs', () => {
  const db = baseline()
  expect(fullmon('ack', '1', '2', '--db', db).stdout).toBe(
    'alert 1 is acknowledged: nginx does not run\nalert 2 is acknowledged: cron does not run\n',
  )
  expect(objectsIn(fullmon('ack', '--all', '--json', '--db', db).stdout)).toEqual([
    { kind: 'alert-decision', action: 'acknowledge', changed: [3], unchanged: [1, 2], journal: 2 },
  ])
  expect(fullmon('reset', '1', '--db', db).stdout).toMatch(
    /^alert 1 is reset; if it is still there, the next/,
  )
  expect(fullmon('verify', '--db', db).status).toBe(0)
})

test.each([
  [['ack'], /which alerts\? Their numbers/],
  [['reset', '--source', 'missing'], /which alerts\? Their numbers/],
  [['reset', '1', '--all'], /Either their numbers, or --all/],
  [['mute', '1', '--for', '0h'], /--for takes a number above 0/],
  [['mute', '1', '--for', 'tomorrow'], /--for takes a number above 0/],
  [['ack', 'one'], /alerts have numbers/],
  [['alerts', '-1'], /./],
  [['unmute', '9'], /there is no alert 9/],
  [['alerts', '9'], /there is no alert 9/],
  [['ack', '1', '--reason', ''], /--reason takes one line/],
  [['alerts', '--source', 'printer'], /Choices/],
])('%j is refused, and nothing is changed', (words, sentence) => {
  const db = baseline()
  const { status, stdout, stderr } = fullmon(...words, '--db', db)
  expect([status, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(sentence)
  expect(listed(fullmon('alerts', '--db', db).stdout)).toEqual(['2 open', '3 open', '1 open'])
})

test('nobody needs a baseline to be told that there is none', () => {
  const db = join(folderForTest(), 'none.db')
  for (const words of [['alerts'], ['ack', '1']])
    expect(fullmon(...words, '--db', db)).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/no baseline/) as string,
    })
})

test('status begins with what waits for somebody', () => {
  const db = baseline()
  expect(fullmon('status', '--db', db).stdout).toMatch(
    /^alerts +3 open \(1 critical, 1 high, 1 medium\), 0 acknowledged, 0 muted\n/,
  )
  fullmon('ack', '2', '--db', db)
  fullmon('mute', '1', '--db', db)
  expect(fullmon('status', '--db', db).stdout).toMatch(
    /^alerts +1 open \(1 high\), 1 acknowledged, 1 muted\n/,
  )
  expect(objectsIn(fullmon('status', '--json', '--db', db).stdout)).toMatchObject([
    { kind: 'status', alerts: { critical: { open: 0, acknowledged: 1, muted: 0 }, medium: { muted: 1 } } },
  ])
})
