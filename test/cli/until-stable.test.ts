/** `train --until-stable`, from a log to the exit code. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CRON, newBaseline, NGINX, NOON_MS, start } from '../support/engine.ts'
import { folderForTest } from '../support/folder.ts'
import { LogBuilder } from '../support/log-builder.ts'

const ROOT = join(import.meta.dirname, '../..')
const MINUTE_MS = 60_000

/** A host that does a hundred things each minute, and nothing else after `changingMinutes` of doing new ones. */
function host(minutes: number, changingMinutes: number): LogBuilder {
  const log = new LogBuilder(NOON_MS)
  for (let minute = 0; minute < minutes; minute++) {
    const before = log.timeMs
    for (let port = 1; port <= 100; port++) log.connect(NGINX, '192.0.2.1', port)
    for (let times = 0; minute < changingMinutes && times < 5; times++)
      log.exec({
        pid: 2000 + 10 * minute + times,
        ppid: CRON.pid,
        exe: `/usr/bin/${'abcdefghij'.charAt(times)}${'x'.repeat(minute + 1)}`,
      })
    log.after(before + MINUTE_MS - log.timeMs)
  }
  return log
}

function train(
  log: LogBuilder,
  ...words: readonly string[]
): { status: number | null; stderr: string; said: unknown } {
  const folder = folderForTest()
  const file = join(folder, 'audit.log')
  writeFileSync(file, log.bytes)
  const db = join(folder, 'baseline.db')
  const fullmon = (...all: readonly string[]) =>
    spawnSync(process.execPath, ['agent/main.ts', ...all], { cwd: ROOT, encoding: 'utf8' })
  const { status, stderr } = fullmon('train', '--no-follow', '--auditd', file, '--db', db, ...words)
  const { stdout } = fullmon('status', '--json', '--db', db)
  return { status, stderr, said: JSON.parse(stdout) }
}

test('a host that settled was learned enough of', () => {
  const { status, stderr, said } = train(host(30, 5), '--until-stable')
  expect({ status, stderr }).toEqual({ status: 0, stderr: 'fullmon: enough was learned\n' })
  expect(said).toMatchObject({ learning: { isEnough: true, enoughInMs: 0 } })
})

test('one that did not was not, and who keeps it from being enough is named', () => {
  const { status, stderr, said } = train(host(30, 30), '--until-stable')
  expect(status).toBe(1)
  expect(stderr).toContain('not yet foreseeable')
  expect(stderr).toContain('75 new in the second half: proc::0:? -> exec /usr/bin/*')
  expect(said).toMatchObject({ learning: { isEnough: false, enoughInMs: null } })
})

test('one whose reader goes away has not ended well', () => {
  const folder = folderForTest()
  const file = join(folder, 'audit.log')
  writeFileSync(file, host(2, 1).bytes)
  const command = '"$0" agent/main.ts train --no-follow --auditd "$1" --db "$2" | :; exit "${PIPESTATUS[0]}"'
  const words = ['-c', command, process.execPath, file, join(folder, 'baseline.db')]
  const { status, stderr } = spawnSync('bash', words, { cwd: ROOT, encoding: 'utf8' })
  expect({ status, stderr }).toEqual({
    status: 3,
    stderr: expect.stringContaining('standard output takes nothing more') as string,
  })
})

test.each([
  [['--until-stable', '--duration', '5'], /duration/],
  [['--at-most', '5'], /until-stable/],
])('%j makes no sense', (words, complaint) => {
  const { status, stderr } = spawnSync(
    process.execPath,
    ['agent/main.ts', 'train', '--auditd', '/nowhere', ...words],
    {
      cwd: ROOT,
      encoding: 'utf8',
      timeout: 20_000,
    },
  )
  expect(status).toBe(2)
  expect(stderr).toMatch(complaint)
})

test('a live training ends when enough was learned, and what comes behind that is reported', () => {
  const baseline = newBaseline()
  const plan = { kind: 'for', durationMs: 3 * 3_600_000 } as const
  let trained = 0
  const onTrained = (): void => {
    trained++
  }
  const { engine } = start(baseline, { plan, monitorMs: MINUTE_MS, untilStable: true, onTrained })
  engine.ingest({ bytes: host(60, 5).bytes, at: undefined })
  expect({ trained, isTraining: engine.isTraining }).toEqual({ trained: 1, isTraining: false })
  const [training] = baseline.trainings.all()
  const minutes = ((training?.toMs ?? 0) - NOON_MS) / MINUTE_MS
  // The last change was in the fifth minute: it must lie before the last quarter, and be a rare thing.
  expect(minutes).toBeGreaterThan(5)
  expect(minutes).toBeLessThan(40)
  const before = baseline.edges.countEdges()
  engine.ingest({
    bytes: new LogBuilder(NOON_MS + 60 * MINUTE_MS).connect(CRON, '203.0.113.1', 80).bytes,
    at: undefined,
  })
  engine.end()
  expect(baseline.edges.countEdges()).toBe(before)
})
