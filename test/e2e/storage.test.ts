/** What the live agent does when its baseline cannot be written, on a real file system, and beside another agent. */
import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { BlindSpot } from '../../agent/domain/report.ts'
import { FULLMON, type RunningAgent, startAgent } from '../support/agent.ts'
import { folderForTest } from '../support/folder.ts'
import { LogBuilder } from '../support/log-builder.ts'
import { findingsOf } from '../support/incidents.ts'

const FAR_PID = 5_000_000
const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('storage.test.ts: left out: only root mounts file systems\n')

const mount = (...words: string[]): void => {
  const { status, stderr } = spawnSync('mount', words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
}

/** A file system of its own for the baseline. */
function fileSystem(): string {
  const place = join(folderForTest(), 'state')
  mkdirSync(place, { mode: 0o700 })
  mount('-t', 'tmpfs', '-o', 'size=2m,mode=700', 'tmpfs', place)
  onTestFinished(() => void spawnSync('umount', ['--lazy', place]))
  return place
}

/** `count` programs that nobody has seen, from this number on. */
function strangers(from: number, count: number): string {
  const log = new LogBuilder(Date.now())
  for (let number = from; number < from + count; number++) {
    const exe = `/opt/stranger-${'abcdefghij'.charAt(number % 10)}${number}`
    log.exec({ pid: FAR_PID + number, ppid: 1, exe })
  }
  return log.text.replace(/:(1\d\d\d)\)/g, (_, serial: string) => `:${Number(serial) + from})`)
}

const found = (agent: RunningAgent): string[] => findingsOf(agent.reports).map(({ edge }) => edge.to)
const faults = (agent: RunningAgent): BlindSpot[] =>
  agent.reports.filter(
    (report): report is BlindSpot => report.kind === 'blind-spot' && report.reason === 'baseline-unwritable',
  )

async function monitoring(log: string, db: string): Promise<RunningAgent> {
  const agent = startAgent(
    `run --auditd ${log} --db ${db} --baseline 1 --monitor 1 --wait 0.05 --json`.split(' '),
  )
  await agent.waitFor('monitoring', () => agent.stderr().includes('monitoring'))
  return agent
}

function fill(place: string): void {
  for (let size = 1 << 20; size >= 512; size /= 2) {
    try {
      for (;;) appendFileSync(join(place, 'filler'), Buffer.alloc(size))
    } catch {
      // Full for pieces of this size.
    }
  }
}

describe.skipIf(!isRoot)('a baseline on a full disk', () => {
  test('it says so, waits, and goes on where it was when that is over', async () => {
    const place = fileSystem()
    const log = join(folderForTest(), 'audit.log')
    writeFileSync(log, strangers(0, 1))
    const agent = await monitoring(log, join(place, 'baseline.db'))
    onTestFinished(() => void agent.end('SIGKILL'))
    appendFileSync(log, strangers(1, 20))
    await agent.waitFor('the first findings', () => found(agent).length === 20)
    fill(place)
    appendFileSync(log, strangers(21, 300))
    await agent.waitFor('the fault', () => faults(agent).length > 0)
    expect(agent.stderr()).toContain('the baseline cannot be written: the disk is full')
    expect(faults(agent)).toMatchObject([{ isOngoing: true }])
    appendFileSync(log, strangers(321, 50))
    await sleep(500)
    expect(found(agent)).toHaveLength(20)
    unlinkSync(join(place, 'filler'))
    await agent.waitFor('the rest of the findings', () => found(agent).length >= 370)
    expect(new Set(found(agent)).size).toBe(370)
    expect(found(agent)).toHaveLength(370)
    const [first, last] = faults(agent)
    expect(last).toMatchObject({ fromMs: first?.fromMs, count: 0 })
    expect(last?.isOngoing).toBeUndefined()
    expect(await agent.end('SIGTERM')).toBe(0)
    expect(agent.reports.at(-1)).toMatchObject({ kind: 'summary', unreadable: 0, lost: 0 })
  }, 60_000)

  test('it ends in order while it waits', async () => {
    const place = fileSystem()
    const log = join(folderForTest(), 'audit.log')
    writeFileSync(log, strangers(0, 1))
    const agent = await monitoring(log, join(place, 'baseline.db'))
    fill(place)
    appendFileSync(log, strangers(1, 300))
    await agent.waitFor('the fault', () => faults(agent).length > 0)
    expect(await agent.end('SIGTERM')).toBe(0)
  })
})

async function oneAgent(): Promise<{ log: string; db: string; agent: RunningAgent }> {
  const folder = folderForTest()
  const log = join(folder, 'audit.log')
  writeFileSync(log, strangers(0, 1))
  const db = join(folder, 'baseline.db')
  const agent = await monitoring(log, db)
  onTestFinished(() => void agent.end('SIGKILL'))
  return { log, db, agent }
}

test('the second agent on a baseline is refused, and told who the first one is', async () => {
  const { log, db } = await oneAgent()
  const second = spawnSync(FULLMON, ['run', '--auditd', log, '--db', db, '--socket', ''], {
    encoding: 'utf8',
  })
  expect(second.status).toBe(2)
  expect(second.stderr).toMatch(
    /^fullmon: the baseline \S+ is in use by another agent: pid \d+ \(.*run --auditd/,
  )
})

test('a baseline that is removed under the agent, or written by somebody else, is told at once', async () => {
  const { log, db, agent } = await oneAgent()
  const tampered = (): string[] =>
    agent.reports.flatMap((report) =>
      report.kind === 'tamper' ? [`${report.reason}: ${report.detail}`] : [],
    )
  const sql = `import sqlite3; c = sqlite3.connect(${JSON.stringify(db)}); c.execute("insert into nodes (name) values ('proc::evil:/x')"); c.execute("insert into edges (from_id, to_id, kind, first_ms, last_ms, sightings, days) select id, id, 'exec', 1, 1, 1, 1 from nodes where name = 'proc::evil:/x'"); c.commit()`
  expect(spawnSync('python3', ['-c', sql], { encoding: 'utf8' }).stderr).toBe('')
  await agent.waitFor('the foreign writing', () =>
    tampered().some((text) => text.startsWith('journal-broken')),
  )
  expect(tampered()).toEqual([
    'own-files: another process wrote to the baseline, and the journal does not say what',
    expect.stringMatching(/^journal-broken: 1 edge more than /),
  ])
  rmSync(db)
  await agent.waitFor('the removal', () => tampered().some((text) => text.includes('was removed')))
  await agent.end('SIGKILL')
  for (const part of ['-wal', '-shm']) rmSync(db + part, { force: true })
  const next = await monitoring(log, db)
  onTestFinished(() => void next.end('SIGKILL'))
  expect(next.reports).toContainEqual(
    expect.objectContaining({
      reason: 'own-files',
      detail: `an agent had a baseline at ${db} before, and it is gone: another one is made`,
    }),
  )
})

describe('what somebody else has written into the baseline while no agent ran', () => {
  const PATTERN = `insert into patterns (process, action, path, printed, examples, learned_ms) values ('proc::root:/x', 'create', '(', '^x$', '[]', 1)`
  const change = (db: string, sql: string): void => {
    const script = `import sqlite3; c = sqlite3.connect(${JSON.stringify(db)}); c.execute(${JSON.stringify(sql)}); c.commit()`
    expect(spawnSync('python3', ['-c', script], { encoding: 'utf8' }).stderr).toBe('')
  }
  async function changed(sql: string): Promise<{ log: string; db: string }> {
    const folder = folderForTest()
    const log = join(folder, 'audit.log')
    writeFileSync(log, strangers(0, 1))
    const db = join(folder, 'baseline.db')
    const agent = await monitoring(log, db)
    appendFileSync(log, strangers(1, 3))
    await agent.waitFor('findings', () => found(agent).length === 3)
    await agent.end('SIGTERM')
    change(db, sql)
    return { log, db }
  }

  test.each([
    `update state set value = '[]' where kind = 'schedule'`,
    `update state set value = '{' where kind = 'coverage'`,
    `update state set value = '7' where kind = 'machine'`,
    `update state set value = '[9999,1,1,1,1,1,1,1]' where kind = 'task'`,
    `insert into outbox (report) values ('{')`,
  ])('%s: it is told, and the agent begins anew', async (sql) => {
    const { log, db } = await changed(sql)
    const agent = await monitoring(log, db)
    onTestFinished(() => void agent.end('SIGKILL'))
    expect(agent.reports).toContainEqual(
      expect.objectContaining({
        kind: 'tamper',
        reason: 'own-files',
        detail: expect.stringMatching(/^what the agent had remembered was not written by it/) as string,
      }),
    )
    appendFileSync(log, strangers(4, 3))
    await agent.waitFor('findings', () => found(agent).length === 3)
    expect(await agent.end('SIGTERM')).toBe(0)
  })

  test('a window that never ends ends', async () => {
    const { log, db } = await changed(
      `update state set value = json_set(value, '$.schedule[1]', 8000000000000000) where kind = 'schedule'`,
    )
    const agent = await monitoring(log, db)
    onTestFinished(() => void agent.end('SIGKILL'))
    appendFileSync(log, strangers(4, 3))
    await agent.waitFor('findings', () => found(agent).length === 3)
  })

  test('a pattern that is none is refused in one sentence', async () => {
    const { log, db } = await changed(PATTERN)
    const { status, stderr } = spawnSync(FULLMON, ['run', '--auditd', log, '--db', db, '--socket', ''], {
      encoding: 'utf8',
    })
    expect(status).toBe(2)
    expect(stderr).toMatch(/holds what fullmon did not write \(.*\): see fullmon verify/)
  })
})
