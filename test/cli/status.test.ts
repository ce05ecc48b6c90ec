import { spawnSync } from 'node:child_process'
import { appendFileSync, chmodSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { acquireLock } from '../../agent/baseline/lock.ts'
import type { Edge } from '../../agent/domain/edge.ts'
import type { BlindSpot, Coverage } from '../../agent/domain/report.ts'
import { fingerprintOf } from '../../agent/tail/first-line.ts'
import { folderForTest } from '../support/folder.ts'
import { reportNext } from '../support/incidents.ts'

const ROOT = join(import.meta.dirname, '../..')
const DAY_MS = 86_400_000
const NOON_MS = Date.parse('2026-11-20T12:00:00Z')

interface Said {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

const fullmon = (...words: readonly string[]): Said =>
  spawnSync(process.execPath, ['agent/main.ts', ...words], { cwd: ROOT, encoding: 'utf8' })

const statusOf = (db: string): unknown => JSON.parse(fullmon('status', '--json', '--db', db).stdout)

const edge = (kind: Edge['kind'], to: string): Edge => ({ kind, from: 'proc::root:/usr/bin/dash', to })

/** A database made as the agent makes it. */
function baselineWith(fill: (baseline: Baseline) => void): string {
  const db = join(folderForTest(), 'baseline.db')
  const baseline = new Baseline(db)
  baseline.batch(() => fill(baseline))
  baseline.close()
  return db
}

test('without a baseline it says so, and makes none', () => {
  const db = join(folderForTest(), 'baseline.db')
  const said = fullmon('status', '--json', '--db', db)
  expect(said).toMatchObject({ status: 1, stderr: '' })
  expect(JSON.parse(said.stdout)).toEqual({ kind: 'status', db, phase: 'absent' })
  expect(fullmon('status', '--db', db).stdout).toContain(`there is none at ${db}`)
  expect(statSync(db, { throwIfNoEntry: false })).toBeUndefined()
})

test('an empty baseline is not trained', () => {
  const db = baselineWith(() => undefined)
  expect(fullmon('status', '--db', db)).toMatchObject({
    status: 1,
    stdout: expect.stringContaining('not trained') as string,
  })
  expect(statusOf(db)).toMatchObject({
    phase: 'untrained',
    training: null,
    nodes: 0,
    lastReportMs: null,
    logs: [],
  })
})

test('training adds up over restarts of the agent, and what was learned before counts no more', () => {
  const db = baselineWith((baseline) => {
    baseline.trainings.begin(NOON_MS - DAY_MS, 5000)
    baseline.trainings.extend(NOON_MS - DAY_MS + 5000, true)
    baseline.trainings.begin(NOON_MS, 3_600_000)
    baseline.trainings.extend(NOON_MS + 1_000_000, false)
    // Started again an hour later, for what was left.
    baseline.trainings.begin(NOON_MS + 4_600_000, 2_600_000)
    baseline.trainings.extend(NOON_MS + 4_800_000, false)
  })
  expect(statusOf(db)).toMatchObject({
    phase: 'training',
    training: { fromMs: NOON_MS, toMs: NOON_MS + 4_800_000, doneMs: 1_200_000, plannedMs: 3_600_000 },
  })
  const said = fullmon('status', '--db', db)
  expect(said.status).toBe(1)
  expect(said.stdout).toContain('training: 1200 of 3600 s done')
})

test('edges, nodes, patterns and findings are counted', () => {
  const pattern = { process: 'proc::root:/usr/bin/dash', action: 'write', path: '/tmp/\\d+' } as const
  const evidence = { node: '', serial: 1, syscall: 'openat', pid: 1, ppid: 0, auid: 0, comm: 'sh', argv: [] }
  const db = baselineWith((baseline) => {
    baseline.trainings.begin(NOON_MS, 60_000)
    baseline.trainings.extend(NOON_MS + 60_000, true)
    baseline.edges.learn(edge('exec', 'proc::root:/usr/bin/ls'), NOON_MS)
    baseline.edges.learn(edge('exec', 'proc::root:/usr/bin/cat'), NOON_MS)
    baseline.edges.learn(edge('connect', 'host:192.0.2.1:53'), NOON_MS)
    baseline.patterns.add({ ...pattern, printed: 'p', examples: [], learnedMs: NOON_MS }, () => false)
    const see = (to: string): unknown =>
      baseline.unseen.saw({
        edge: edge('connect', to),
        chain: [to],
        firstMs: NOON_MS,
        evidence: { ...evidence, count: 1 },
        tree: to,
        parent: '',
        bits: 1,
      })
    see('host:203.0.113.1:1')
    see('host:203.0.113.2:2')
    reportNext(baseline, NOON_MS + 120_000)
    baseline.rebase.mergeReported(NOON_MS + 120_000, NOON_MS)
    reportNext(baseline, NOON_MS + 180_000)
    see('host:203.0.113.3:3')
  })
  expect(statusOf(db)).toMatchObject({
    phase: 'trained',
    edges: { exec: 2, connect: 2, write: 0 },
    // dash, ls, cat, and the four hosts
    nodes: 7,
    patterns: 1,
    findings: { reported: 2, merged: 1, waiting: 1 },
    lastReportMs: NOON_MS + 180_000,
  })
  const { status, stdout } = fullmon('status', '--db', db)
  expect(status).toBe(0)
  expect(stdout).toMatch(/^edges +4, exec 2, connect 2$/m)
  expect(stdout).toMatch(/^findings +2 reported, 1 of them merged; 1 waiting$/m)
  expect(stdout).toMatch(/^last report +2026-11-20T12:03:00.000Z$/m)
  expect(stdout).toMatch(/^phase +trained since 2026-11-20T12:01:00.000Z, on 60 s of log$/m)
})

test('what the agent learns from a log is what status counts', () => {
  const db = join(folderForTest(), 'baseline.db')
  const log = join(ROOT, 'test/fixtures/recorded/accept.log')
  const trained = fullmon('train', '--no-follow', '--auditd', log, '--db', db, '--json')
  expect(trained).toMatchObject({ status: 0 })
  const summary = JSON.parse(trained.stdout.trim().split('\n').at(-1) ?? '') as { edges: number }
  const { edges, phase } = statusOf(db) as { edges: Record<string, number>; phase: string }
  expect(phase).toBe('trained')
  expect(edges['accept']).toBeGreaterThan(0)
  expect(Object.values(edges).reduce((sum, count) => sum + count)).toBe(summary.edges)
})

test('how far the log goes on behind the checkpoint, also after rotations, until its place is gone', () => {
  const startMs = Date.now()
  const folder = folderForTest()
  const log = join(folder, 'audit.log')
  writeFileSync(log, 'first line\nsecond line\n')
  const position = {
    path: log,
    inode: statSync(log).ino,
    fingerprint: fingerprintOf(Buffer.from('first line')),
    offset: 11,
  }
  const db = baselineWith((baseline) =>
    baseline.kept.writeCheckpoint(log, { position, finished: [], clockMs: NOON_MS }),
  )
  const progress = (): unknown => (statusOf(db) as { logs: unknown[] }).logs[0]
  const found = { log, path: log, offset: 11, behindMs: expect.any(Number) as number, clockMs: NOON_MS }
  expect(progress()).toEqual({ ...found, behindBytes: 12 })
  expect((progress() as { behindMs: number }).behindMs).toBeGreaterThanOrEqual(startMs - NOON_MS)
  appendFileSync(log, 'third\n')
  expect(progress()).toEqual({ ...found, behindBytes: 18 })
  renameSync(log, `${log}.1`)
  writeFileSync(log, 'new log\n')
  expect(progress()).toEqual({ ...found, behindBytes: 26 })
  expect(fullmon('status', '--db', db).stdout).toContain(
    `${log}: at byte 11 of ${log}, 26 bytes behind the end of the log (`,
  )
  rmSync(`${log}.1`)
  expect(progress()).toEqual({ ...found, behindBytes: null, behindMs: null })
  expect(fullmon('status', '--db', db).stdout).toContain('which is rotated away or cannot be read')
})

test('a log that was read to its end is not behind, however old its last event is', () => {
  const log = join(folderForTest(), 'audit.log')
  writeFileSync(log, 'line\n')
  const position = {
    path: log,
    inode: statSync(log).ino,
    fingerprint: fingerprintOf(Buffer.from('line')),
    offset: 5,
  }
  const db = baselineWith((baseline) =>
    baseline.kept.writeCheckpoint(log, { position, finished: [], clockMs: NOON_MS }),
  )
  expect(statusOf(db)).toMatchObject({ logs: [{ behindBytes: 0, behindMs: 0 }] })
})

describe('coverage', () => {
  const spot = (reason: BlindSpot['reason'], change: Partial<BlindSpot> = {}): BlindSpot => ({
    ...{ kind: 'blind-spot', reason, fromMs: NOON_MS, toMs: NOON_MS + 1000, count: 3, detail: 'x' },
    ...change,
  })
  const trained = (coverage?: Omit<Coverage, 'isDegraded'> & Partial<Coverage>, kernel?: object): string => {
    const db = baselineWith((baseline) => {
      baseline.trainings.begin(NOON_MS, 60_000)
      baseline.trainings.extend(NOON_MS + 60_000, true)
    })
    const database = new Database(db)
    const put = database.prepare(`INSERT INTO state (node, kind, key, value) VALUES ('', ?, ?, ?)`)
    if (coverage !== undefined) put.run('coverage', '', JSON.stringify({ isDegraded: false, ...coverage }))
    if (kernel !== undefined) put.run('memory', 'kernel', JSON.stringify(kernel))
    database.close()
    return db
  }
  const whileRunning = (db: string): Said & { coverage: unknown } => {
    const lock = acquireLock(db)
    try {
      return { ...fullmon('status', '--db', db), coverage: (statusOf(db) as { coverage: unknown }).coverage }
    } finally {
      lock.release()
    }
  }
  const ongoing = [spot('rules-missing', { isOngoing: true, fromMs: NOON_MS - 5000 }), spot('behind')]
  const recent = [spot('serial-gap')]

  test('is complete while nothing goes on', () => {
    const said = whileRunning(
      trained({ ongoing: [], recent, timeMs: NOON_MS + 2000 }, { timeMs: Date.now() }),
    )
    expect(said.status).toBe(0)
    expect(said.stdout).toMatch(/^coverage +complete since 2026-11-20T12:00:01.000Z$/m)
    expect(said.stdout).toMatch(/^ +2026-11-20T12:00:01.000Z blind {2}serial-gap: 3 x /m)
    expect(said.coverage).toEqual({
      ...{ state: 'complete', sinceMs: NOON_MS + 1000, pid: process.pid, kernel: 'watched' },
      ...{ ongoing: [], recent },
    })
  })

  test('is degraded while anything does, and that is no success', () => {
    const said = whileRunning(trained({ ongoing, recent: [], timeMs: NOON_MS }, { timeMs: Date.now() }))
    expect(said.status).toBe(1)
    expect(said.stdout).toMatch(/^coverage +degraded since 2026-11-20T11:59:55.000Z$/m)
    expect(said.stdout).toMatch(/^ +2026-11-20T12:00:01.000Z blind {2}rules-missing: 3 x .* and it lasts\]$/m)
    expect(said.coverage).toMatchObject({ state: 'degraded', sinceMs: NOON_MS - 5000, ongoing })
  })

  test('is degraded as long as something was missed in this window or the one before', () => {
    const said = whileRunning(
      trained({ ongoing: [], recent, isDegraded: true, timeMs: NOON_MS + 9000 }, { timeMs: Date.now() }),
    )
    expect(said.status).toBe(1)
    expect(said.stdout).toMatch(/^coverage +degraded since 2026-11-20T12:00:00.000Z$/m)
  })

  test('says when the kernel is not watched', () => {
    const said = whileRunning(trained({ ongoing: [], recent: [], timeMs: NOON_MS }))
    expect(said.stdout).toMatch(/^coverage +complete; the kernel's audit is not watched$/m)
    expect(said.coverage).toMatchObject({ state: 'complete', sinceMs: null, kernel: 'unknown' })
    // An earlier agent did.
    const later = whileRunning(trained({ ongoing: [], recent: [], timeMs: NOON_MS }, { timeMs: NOON_MS }))
    expect(later.coverage).toMatchObject({ kernel: 'unknown' })
  })

  test('is unknown when no agent runs, whatever the last one said', () => {
    const db = trained({ ongoing, recent, timeMs: NOON_MS }, { timeMs: Date.now() })
    const said = fullmon('status', '--db', db)
    expect(said.stdout).toMatch(
      /^coverage +unknown: no agent is running; what was known at 2026-11-20T12:00:00.000Z follows$/m,
    )
    expect(statusOf(db)).toMatchObject({
      coverage: { state: 'unknown', sinceMs: NOON_MS, pid: null, kernel: 'unknown', ongoing, recent },
    })
  })

  test('is unknown until the agent has told', () => {
    const said = whileRunning(trained())
    expect(said.stdout).toContain(`unknown: the agent (pid ${process.pid}) has not told yet`)
    expect(said.coverage).toMatchObject({ state: 'unknown', sinceMs: null })
  })
})

test('an agent that writes is no obstacle', () => {
  const db = join(folderForTest(), 'baseline.db')
  const baseline = new Baseline(db)
  try {
    baseline.batch(() => baseline.edges.learn(edge('exec', 'proc::root:/usr/bin/ls'), NOON_MS))
    baseline.batch(() => {
      baseline.edges.learn(edge('exec', 'proc::root:/usr/bin/cat'), NOON_MS)
      expect(statusOf(db)).toMatchObject({ edges: { exec: 1 } })
    })
    expect(statusOf(db)).toMatchObject({ edges: { exec: 2 } })
  } finally {
    baseline.close()
  }
})

test('a file of somebody else is refused', () => {
  const folder = folderForTest()
  const text = join(folder, 'text')
  writeFileSync(text, 'this is no database, and long enough to be sure of that\n'.repeat(20))
  const foreign = join(folder, 'foreign.db')
  const database = new Database(foreign)
  database.exec('CREATE TABLE trainings (id INTEGER)')
  database.close()
  for (const db of [text, foreign, folder]) {
    const said = fullmon('status', '--json', '--db', db)
    expect(said).toMatchObject({ status: 2, stdout: '' })
    expect(said.stderr).toContain(db)
    expect(said.stderr.trim().split('\n')).toHaveLength(1)
  }
})

test.skipIf(process.getuid?.() !== 0)('who may not look is told so, not that there is nothing', () => {
  const folder = folderForTest()
  const db = join(folder, 'baseline.db')
  new Baseline(db).close()
  chmodSync(folder, 0o700)
  const words = ['--reuid', '65534', '--regid', '65534', '--clear-groups', process.execPath, 'agent/main.ts']
  const said = spawnSync('setpriv', [...words, 'status', '--db', db], { cwd: ROOT, encoding: 'utf8' })
  expect(said).toMatchObject({ status: 2, stdout: '' })
  expect(said.stderr).toContain(`cannot read ${db}: permission denied`)
})

test('a wrong option or configuration is a usage error', () => {
  expect(fullmon('status', '--nonsense')).toMatchObject({ status: 2, stdout: '' })
  expect(fullmon('status', '--config', '/nonexistent.yaml')).toMatchObject({ status: 2, stdout: '' })
})

test('the configuration names the baseline, the command line wins', () => {
  const folder = folderForTest()
  const config = join(folder, 'config.yaml')
  writeFileSync(config, `db: ${folder}/configured.db\n`)
  const dbOf = (...words: readonly string[]): string =>
    (JSON.parse(fullmon('status', '--json', '--config', config, ...words).stdout) as { db: string }).db
  expect(dbOf()).toBe(`${folder}/configured.db`)
  expect(dbOf('--db', `${folder}/given.db`)).toBe(`${folder}/given.db`)
})

test('the budget says what is kept back, of whom, and since when that is counted', () => {
  const state = {
    alertsPerDay: 10,
    userBits: { ':app': 13.5, ':root': 1 },
    lowBits: 4,
    fromMs: NOON_MS,
    calibratedMs: NOON_MS,
  }
  const textOf = (budget: object): string =>
    fullmon(
      'status',
      '--db',
      baselineWith((baseline) => baseline.kept.remember('budget', budget)),
    ).stdout
  expect(textOf({ ...state, thresholdBits: 2 })).toContain(
    'for 10 a day those up to 2.0 bits are withheld, of app up to 13.5: so many were met since 2026-11-20T12:00:00.000Z',
  )
  expect(textOf(state)).toContain('too short to say; ordinary ones up to 4.0 bits')
  expect(textOf({ ...state, fromMs: 0 })).toContain('10 a day nothing is withheld: nothing was learned yet')
  expect(textOf({ ...state, alertsPerDay: 0 })).toContain('only high and critical ones')
})
