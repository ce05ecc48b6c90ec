import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { AlertDecisions } from '../../agent/baseline/alert-decisions.ts'
import { historyOf } from '../../agent/baseline/alert-history.ts'
import { alertsIn } from '../../agent/baseline/alerts.ts'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { Decisions } from '../../agent/baseline/decisions.ts'
import { verifyBaseline } from '../../agent/baseline/verify.ts'
import { isUnhandled, type Observation } from '../../agent/domain/alert.ts'
import { rebase } from '../../agent/rebase.ts'
import { complaint } from '../support/complaint.ts'
import { CRON, newBaseline, NGINX, NOON_MS, ordinaryLife, replay, WINDOW_MS } from '../support/engine.ts'
import { folderForTest } from '../support/folder.ts'

const NOW_MS = NOON_MS + 86_400_000
const CAROL = { author: 'carol', reason: 'INC-42', timeMs: NOW_MS }

const missing = (key: string, severity: Observation['severity'] = 'high'): Observation => ({
  ...{ source: 'missing', key, severity, title: `${key} does not run`, reasons: [], next: [] },
  subject: { name: key },
})

/** A baseline with three alerts of things that are still missing, and what decides on them. */
function opened() {
  const path = `${folderForTest()}/baseline.db`
  const baseline = new Baseline(path)
  const look = (...keys: string[]) =>
    baseline.batch(() =>
      baseline.alerts.look({ source: 'missing', observations: keys.map((key) => missing(key)) }, NOW_MS),
    )
  look('nginx', 'cron', 'sshd')
  const decisions = new AlertDecisions(path)
  onTestFinished(() => {
    decisions.close()
    baseline.close()
  })
  return { path, baseline, look, decisions }
}

/** What is in the file, past all that is ours. */
function rowsOf(path: string, sql: string): unknown[] {
  const database = new Database(path)
  try {
    return database.prepare(sql).raw().all()
  } finally {
    database.close()
  }
}

function tamperedWith(path: string, sql: string): void {
  const database = new Database(path)
  database.exec(sql)
  database.close()
}

const statesIn = (path: string): string[] => alertsIn(path).map(({ state }) => state)

test('whoever acknowledges alerts stands in the journal, once for all of them', () => {
  const { path, decisions } = opened()
  const { changed, row } = decisions.acknowledge({ ids: [1, 3, 3] }, CAROL)
  expect(changed.map(({ id, state }) => [id, state])).toEqual([
    [1, 'acknowledged'],
    [3, 'acknowledged'],
  ])
  expect(statesIn(path)).toEqual(['acknowledged', 'open', 'acknowledged'])
  expect(rowsOf(path, 'SELECT id, time_ms, action, author, detail FROM journal')).toEqual([
    [row, NOW_MS, 'acknowledge', 'carol', '{"alerts":[1,3],"reason":"INC-42"}'],
  ])
  expect(verifyBaseline(path, []).problem).toBeUndefined()
})

test('saying the same again changes nothing', () => {
  const { path, decisions } = opened()
  decisions.acknowledge({ ids: [1] }, CAROL)
  const again = decisions.acknowledge({ ids: [1, 2] }, CAROL)
  expect(again).toMatchObject({ changed: [{ id: 2 }], unchanged: [{ id: 1 }] })
  expect(decisions.unmute({}, CAROL)).toMatchObject({ changed: [], row: undefined })
  expect(verifyBaseline(path, []).rows).toBe(2)
})

test('a mute ends by itself', () => {
  const { path, decisions } = opened()
  decisions.mute({ ids: [2] }, CAROL, NOW_MS + 1000)
  const unhandledAt = (timeMs: number): number[] =>
    alertsIn(path).flatMap((alert) => (isUnhandled(alert, timeMs) ? [alert.id] : []))
  expect(unhandledAt(NOW_MS + 999)).toEqual([1, 3])
  expect(unhandledAt(NOW_MS + 1000)).toEqual([1, 2, 3])
  decisions.mute({}, CAROL, NOW_MS + 5000)
  expect(unhandledAt(NOW_MS + 1000)).toEqual([])
  decisions.unmute({ ids: [1] }, { ...CAROL, timeMs: NOW_MS + 1000 })
  expect(unhandledAt(NOW_MS + 1000)).toEqual([1])
})

test('what is still there after a reset is another alert at the next look', () => {
  const { path, decisions, look } = opened()
  decisions.reset({ ids: [1, 2] }, CAROL)
  expect(statesIn(path)).toEqual(['reset', 'reset', 'open'])
  expect(look('nginx', 'sshd')).toMatchObject([{ id: 4, key: 'nginx', state: 'open', count: 1 }])
  expect(complaint(() => decisions.reset({ ids: [4, 1] }, CAROL))).toMatch(/alert 1 is reset/)
  expect(complaint(() => decisions.mute({ ids: [4, 9] }, CAROL, NOW_MS))).toMatch(/no alert 9 in/)
  expect(statesIn(path)).toEqual(['reset', 'reset', 'open', 'open'])
})

test('all of a kind are meant by their source and gravity', () => {
  const { path, decisions, baseline } = opened()
  baseline.batch(() => {
    baseline.alerts.raise({ ...missing('x', 'low'), source: 'tamper' }, NOW_MS)
    baseline.alerts.raise({ ...missing('y', 'critical'), source: 'tamper' }, NOW_MS)
  })
  expect(decisions.reset({ source: 'tamper', least: 'high' }, CAROL).changed).toMatchObject([{ key: 'y' }])
  expect(statesIn(path)).toEqual(['open', 'open', 'open', 'open', 'reset'])
})

test('the history of an alert is what was done with it, and with no other', () => {
  const { path, decisions } = opened()
  decisions.acknowledge({ ids: [1, 2] }, CAROL)
  decisions.mute({ ids: [2] }, { ...CAROL, reason: undefined }, NOW_MS + 1000)
  decisions.reset({ ids: [1] }, { ...CAROL, author: 'dave' })
  expect(historyOf(path, 1)).toEqual([
    { timeMs: NOW_MS, action: 'acknowledge', author: 'carol', reason: 'INC-42' },
    { timeMs: NOW_MS, action: 'reset', author: 'dave', reason: 'INC-42' },
  ])
  expect(historyOf(path, 2)).toMatchObject([{ action: 'acknowledge' }, { untilMs: NOW_MS + 1000 }])
  expect(historyOf(path, 3)).toEqual([])
})

test('nothing is decided on behind a journal that somebody has changed', () => {
  const { path, decisions } = opened()
  decisions.acknowledge({ ids: [1] }, CAROL)
  tamperedWith(path, "UPDATE journal SET author = 'mallory'")
  expect(complaint(() => decisions.reset({ ids: [2] }, CAROL))).toMatch(/which fullmon verify refuses/)
  expect(statesIn(path)).toEqual(['acknowledged', 'open', 'open'])
})

/** A baseline with three incidents, each with an alert. */
function reported(): string {
  const path = `${folderForTest()}/baseline.db`
  const log = ordinaryLife()
  for (const port of [4444, 4445]) log.connect(NGINX, '203.0.113.66', port).after(2 * WINDOW_MS)
  log.create(CRON, '/etc/cron.d/new').after(2 * WINDOW_MS)
  replay(log.create(CRON, '/run/cron.pid'), { alertsFrom: 'low' }, newBaseline(path))
  expect(alertsIn(path).map(({ incident, state }) => [incident, state])).toEqual([
    [1, 'open'],
    [2, 'open'],
    [3, 'open'],
  ])
  return path
}

function decided<T>(path: string, work: (decisions: Decisions) => T): T {
  const decisions = new Decisions(path)
  try {
    return work(decisions)
  } finally {
    decisions.close()
  }
}

test('whoever accepts an incident has seen to its alert', () => {
  const path = reported()
  expect(decided(path, (decisions) => decisions.accept(2, CAROL)).alerts).toEqual([2])
  expect(decided(path, (decisions) => decisions.maintenance(1, CAROL)).alerts).toEqual([1])
  expect(statesIn(path)).toEqual(['reset', 'reset', 'open'])
  expect(historyOf(path, 2)).toEqual([
    { timeMs: NOW_MS, action: 'accept', author: 'carol', reason: 'INC-42', incident: 2 },
  ])
})

test('whoever denies one, or leaves it for later, has not', () => {
  const path = reported()
  decided(path, (decisions) => {
    expect(decisions.deny(1, CAROL).alerts).toEqual([])
    expect(decisions.later(2, CAROL, NOW_MS).alerts).toEqual([])
  })
  expect(statesIn(path)).toEqual(['open', 'open', 'open'])
})

test('a rebase by a person resets alerts, a dry run of it does not', () => {
  const path = reported()
  expect(rebase(path, [3], CAROL, true).alerts).toEqual([3])
  expect(statesIn(path)).toEqual(['open', 'open', 'open'])
  expect(rebase(path, [3], CAROL, false).alerts).toEqual([3])
  expect(statesIn(path)).toEqual(['open', 'open', 'reset'])
  expect(historyOf(path, 3)).toMatchObject([{ action: 'rebase', author: 'carol', reason: 'INC-42' }])
})

test('a rebase by the agent itself resets none', () => {
  const path = `${folderForTest()}/baseline.db`
  const log = ordinaryLife()
  log.create(CRON, '/etc/cron.d/new').after(2 * WINDOW_MS)
  replay(log.create(CRON, '/run/cron.pid'), { alertsFrom: 'low', rebase: true }, newBaseline(path))
  expect(rowsOf(path, 'SELECT state FROM incidents')).toEqual([['rebased']])
  expect(statesIn(path)).toEqual(['open'])
})
