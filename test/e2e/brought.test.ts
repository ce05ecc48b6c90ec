/** An agent that takes its baseline from a file instead of training. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { isUnbegun } from '../../agent/baseline/brought.ts'
import { statusOf } from '../../agent/baseline/status.ts'
import { edgesIn, exportBaseline, importBaseline } from '../../agent/baseline/transfer.ts'
import { verifyBaseline } from '../../agent/baseline/verify.ts'
import { type RunningAgent, startAgent } from '../support/agent.ts'
import { folderForTest } from '../support/folder.ts'
import { findingsOf } from '../support/incidents.ts'
import { LogBuilder } from '../support/log-builder.ts'

const MAIN = join(import.meta.dirname, '../../agent/main.ts')
const EXPORT = join(import.meta.dirname, '../fixtures/baselines/schema-1.jsonl')
const KILLS = 12

interface Host {
  readonly log: string
  readonly db: string
  /** A trained baseline of another host. */
  readonly brought: string
  readonly words: readonly string[]
  readonly start: (...words: readonly string[]) => RunningAgent
}

function newHost(): Host {
  const folder = folderForTest()
  const [log, db, brought] = [join(folder, 'audit.log'), join(folder, 'b.db'), join(folder, 'other.db')]
  writeFileSync(log, '')
  importBaseline(brought, readFileSync(EXPORT, 'utf8').trimEnd().split('\n'), {
    ...{ source: 'elsewhere', author: 'alice' },
  })
  const words = ['run', '--json', '--auditd', log, '--db', db, '--monitor', '1', '--socket', '']
  const start: Host['start'] = (...more) => {
    const agent = startAgent([...words, '--set', 'scan.interval=0', ...more])
    onTestFinished(() => void agent.end('SIGKILL'))
    return agent
  }
  return { log, db, brought, words, start }
}

const says = (agent: RunningAgent, what: string): Promise<void> =>
  agent.waitFor(what, () => agent.stderr().includes(what))

async function complaintOf(agent: RunningAgent): Promise<string> {
  await agent.waitFor('its end', () => agent.stderr().includes('\n'))
  expect(await agent.end('SIGCONT')).toBe(2)
  return agent.stderr()
}

test('what is normal elsewhere is not reported, and everything else is, at once', async () => {
  const { log, db, brought, start } = newHost()
  const agent = start('--baseline-from', brought)
  await says(agent, `the baseline is taken from ${brought}: 75 edges\n`)
  await says(agent, 'monitoring: the baseline has 75 edges')
  const written = new LogBuilder(Date.now())
  const shop = { pid: 4_100_000, ppid: 4_099_999, exe: '/srv/shop/shell' }
  for (const [at, exe] of ['/usr/bin/rm', '/usr/bin/never-seen'].entries())
    written
      .exec({ ...shop, pid: shop.pid + at + 1, ppid: shop.pid, exe: '/srv/shop/shell' })
      .exec({ ...shop, pid: shop.pid + at + 1, ppid: shop.pid, exe })
  appendFileSync(log, written.text)
  await agent.waitFor('an incident', () => findingsOf(agent.reports).length > 0)
  const unseen = findingsOf(agent.reports).map(({ edge: { kind, from, to } }) => `${kind} ${from}->${to}`)
  expect(unseen).toContain('exec proc::root:/srv/shop/shell->proc::root:/usr/bin/never-seen')
  expect(unseen).not.toContain('exec proc::root:/srv/shop/shell->proc::root:/usr/bin/rm')
  expect(await agent.end('SIGTERM')).toBe(0)
  expect(statusOf(db)).toMatchObject({ phase: 'trained', from: brought })
})

test('a baseline that is there stays, which is said once', async () => {
  const { db, brought, start } = newHost()
  const first = start('--baseline', '0')
  await says(first, 'monitoring')
  expect(await first.end('SIGTERM')).toBe(0)
  const agent = start('--baseline-from', brought)
  await says(agent, 'monitoring: the baseline has 0 edges')
  expect(agent.stderr().split(`${brought} is not read: there is a baseline at ${db}`)).toHaveLength(2)
  agent.send('SIGHUP')
  await says(agent, 'nothing has changed')
  expect(agent.stderr().split('is not read')).toHaveLength(2)
  expect(await agent.end('SIGTERM')).toBe(0)
})

test('one that was not trained to its end is trained on', async () => {
  const { log, db, brought, start } = newHost()
  const half = join(log, '../half.jsonl')
  const training = '{"kind":"training","fromMs":1000,"toMs":2000,"plannedMs":3600000,"finished":false}'
  writeFileSync(half, `{"kind":"baseline","format":1}\n${training}\n`)
  const agent = start('--baseline-from', half)
  await says(agent, 'its training was not over, and goes on')
  await says(agent, 'training until')
  expect(agent.stderr()).toContain('nothing in it tells whether it is whole')
  expect(await agent.end('SIGTERM')).toBe(0)
  expect(statusOf(db)).toMatchObject({ phase: 'training', from: half, training: { plannedMs: 3_600_000 } })
  expect(existsSync(brought)).toBe(true)
})

test('a wrong one ends the agent with one sentence, and leaves nothing that says that a baseline was there', async () => {
  const { db, brought, start } = newHost()
  expect(await complaintOf(start('--baseline-from', `${brought}.x`))).toMatch(/^fullmon: cannot read .*\n$/)
  const broken = `${brought}.broken`
  writeFileSync(broken, `${[...exportBaseline(brought)].slice(0, -1).join('\n')}\n`)
  expect(await complaintOf(start('--baseline-from', broken))).toMatch(/^fullmon: .* was cut off: .*\n$/)
  expect(readdirSync(join(db, '..')).filter((name) => name.startsWith('b.db'))).toEqual([])
  const agent = start('--baseline-from', brought)
  await says(agent, 'monitoring')
  expect(agent.reports.filter(({ kind }) => kind === 'tamper')).toEqual([])
  expect(await agent.end('SIGTERM')).toBe(0)
})

test('who takes a baseline away is told of, although another one is taken', async () => {
  const { db, brought, start } = newHost()
  const first = start('--baseline-from', brought)
  await says(first, 'monitoring')
  expect(await first.end('SIGKILL')).not.toBe(0)
  for (const end of ['', '-wal', '-shm']) rmSync(db + end, { force: true })
  const agent = start('--baseline-from', brought)
  await says(agent, `the baseline is taken from ${brought}`)
  await agent.waitFor('a sign of tampering', () => agent.reports.some(({ kind }) => kind === 'tamper'))
  expect(JSON.stringify(agent.reports)).toContain(`an agent had a baseline at ${db} before, and it is gone`)
  expect(await agent.end('SIGTERM')).toBe(0)
})

test(`killed ${KILLS} times while it takes one, it has taken nothing or all`, async () => {
  const { log, db, words } = newHost()
  const many = join(log, '../many.jsonl')
  const edge = (number: number): string =>
    JSON.stringify({
      ...{ kind: 'edge', edge: { kind: 'exec', from: 'proc::a:/a', to: `proc::a:/bin/${number}` } },
      ...{ firstMs: 1, lastMs: 2, sightings: 2, days: 1 },
    })
  const training = '{"kind":"training","fromMs":1000,"toMs":2000,"plannedMs":1000,"finished":true}'
  const lines = [
    '{"kind":"baseline","format":1}',
    training,
    ...Array.from({ length: 20_000 }, (_, at) => edge(at)),
  ]
  writeFileSync(many, lines.join('\n'))
  const found: number[] = []
  const waits = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1]
  let importMs = 0
  for (const part of waits.slice(0, KILLS)) {
    for (const end of ['', '-wal', '-shm', '-lock']) rmSync(db + end, { force: true })
    const child = spawn(process.execPath, [MAIN, ...words, '--baseline-from', many], { stdio: 'ignore' })
    const ended = once(child, 'exit')
    const startMs = performance.now()
    while (!existsSync(`${db}-lock`)) await sleep(5)
    // Of the first one it is seen how long it takes; the others are killed in between.
    if (importMs === 0) while (isUnbegun(db)) await sleep(5)
    else await sleep(part * importMs)
    if (importMs === 0) importMs = performance.now() - startMs
    child.kill('SIGKILL')
    await ended
    if (isUnbegun(db)) found.push(0)
    else {
      expect(verifyBaseline(db, [])).toMatchObject({ rows: 1 })
      expect(verifyBaseline(db, [])).not.toHaveProperty('problem')
      found.push([...edgesIn(db)].length)
    }
  }
  expect(new Set(found)).toEqual(new Set([0, 20_000]))
}, 120_000)
