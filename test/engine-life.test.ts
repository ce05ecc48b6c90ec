import Database from 'better-sqlite3'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Baseline } from '../agent/baseline/baseline.ts'
import { verifyBaseline } from '../agent/baseline/verify.ts'
import type { Edge } from '../agent/domain/edge.ts'
import type { Incident, Report } from '../agent/domain/report.ts'
import { folderForTest } from './support/folder.ts'
import {
  CRON,
  newBaseline,
  NGINX,
  NOON_MS,
  ordinaryLife,
  replay,
  summary,
  WINDOW_MS,
} from './support/engine.ts'
import { type Doer, LogBuilder } from './support/log-builder.ts'

const DAY_MS = 86_400_000
const SHELL: Doer = { pid: 900, ppid: 800, exe: '/usr/bin/dash', uid: 33 }
const LIFE_SPAN = { dormantDays: 3, expireDays: 6 }
const TRAINED = { plan: { kind: 'none' } } as const

const incidents = (reports: readonly Report[]): Incident[] =>
  reports.filter((report) => report.kind === 'incident')
const marksOf = (reports: readonly Report[]): string[] =>
  incidents(reports).flatMap(({ edges }) => edges.map(({ to, mark = 'none' }) => `${mark} ${to}`))

interface Row {
  readonly to: string
  readonly doubt: string | null
}

/** Edges in the file, as another program reads them. */
function edgesOf(path: string): Row[] {
  const database = new Database(path, { readonly: true })
  const rows = database
    .prepare<[], Row>('SELECT name AS "to", doubt FROM edges JOIN nodes ON nodes.id = to_id ORDER BY name')
    .all()
  database.close()
  return rows
}

const newPath = (): string => join(folderForTest(), 'baseline.db')

describe('what is never learned', () => {
  const poisoned = (): LogBuilder => {
    const log = new LogBuilder(NOON_MS).exec(SHELL).connect(SHELL, '203.0.113.66', 4444).after(1000)
    return ordinaryLife(log)
  }

  test('is reported at the end of its window of the training, once a day', () => {
    const reports = replay(poisoned())
    expect(marksOf(reports)).toEqual(['reverse-shell host:203.0.113.66:4444'])
    expect(incidents(reports)[0]?.lastMs).toBeLessThan(NOON_MS + WINDOW_MS)
  })

  test('is unseen after the training, however often it happened in it', () => {
    const baseline = newBaseline()
    const log = poisoned()
    for (let minute = 0; minute < 5; minute++) log.connect(SHELL, '203.0.113.66', 4444).after(1000)
    replay(log, { plan: { kind: 'everything' } }, baseline)
    expect(
      baseline.edges.find({ kind: 'connect', from: 'proc::33:/usr/bin/dash', to: 'host:203.0.113.66:4444' }),
    ).toBe(undefined)
    const again = { ...SHELL, pid: 1900, ppid: 1 }
    const later = new LogBuilder(NOON_MS + 2 * DAY_MS).exec(again).connect(again, '203.0.113.66', 4444)
    expect(marksOf(replay(later, TRAINED, baseline))).toContain('reverse-shell host:203.0.113.66:4444')
  })

  test('leaves what else its tree of processes did in doubt, and nothing else', () => {
    const path = newPath()
    const log = poisoned()
    replay(log, {}, newBaseline(path))
    expect(edgesOf(path)).toEqual([
      { to: 'file:create:/run/cron.pid', doubt: null },
      { to: 'host:192.0.2.1:443', doubt: null },
      { to: 'proc::33:/usr/bin/dash', doubt: 'incident' },
    ])
    expect(verifyBaseline(path, []).problem).toBeUndefined()
  })

  test('is not merged by --rebase either, and stays in what waits for a person', () => {
    const baseline = newBaseline()
    const log = ordinaryLife()
      .exec(SHELL)
      .connect(SHELL, '203.0.113.66', 4444)
      .after(2 * WINDOW_MS)
    const reports = replay(log.create(CRON, '/run/cron.pid'), { rebase: true }, baseline)
    expect(marksOf(reports)).toEqual(['none proc::33:/usr/bin/dash', 'reverse-shell host:203.0.113.66:4444'])
    const edge = { kind: 'exec', from: 'proc::33:/usr/sbin/nginx', to: 'proc::33:/usr/bin/dash' } as const
    expect(baseline.edges.find(edge)).toBeDefined()
    expect(summary(reports)?.edges).toBe(3)
  })
})

describe('an edge of a training', () => {
  test('in a window with a blind spot is in doubt, until it is seen in a later one', () => {
    const path = newPath()
    const log = new LogBuilder(NOON_MS).connect(NGINX, '10.0.0.1', 80).junk().create(CRON, '/run/once')
    log.after(61_000).connect(NGINX, '10.0.0.1', 80)
    replay(log, { plan: { kind: 'everything' }, learnDegraded: true }, newBaseline(path))
    expect(edgesOf(path)).toEqual([
      { to: 'file:create:/run/once', doubt: 'degraded' },
      { to: 'host:10.0.0.1:80', doubt: null },
    ])
  })
})

/** Each day something happens, and on the given ones an edge besides. */
function days(firstMs: number, count: number, rare: readonly number[]): LogBuilder {
  const log = new LogBuilder(firstMs)
  for (let day = 0; day < count; day++) {
    log.create(CRON, '/run/cron.pid').after(1000)
    if (rare.includes(day)) log.connect(NGINX, '10.0.0.9', 80)
    log.after(DAY_MS - 1000)
  }
  return log
}

describe('an edge that is not seen any more', () => {
  const options = { ...TRAINED, lifeSpan: LIFE_SPAN }
  const RARE: Edge = { kind: 'connect', from: 'proc::33:/usr/sbin/nginx', to: 'host:10.0.0.9:80' }
  const trained = (path = newPath()): Baseline => {
    const baseline = newBaseline(path)
    replay(days(NOON_MS, 1, [0]), { plan: { kind: 'everything' } }, baseline)
    return baseline
  }

  test('is told of once when it returns after the days that it may be away, and is normal again', () => {
    const reports = replay(days(NOON_MS + DAY_MS, 6, [3, 4]), options, trained())
    expect(marksOf(reports)).toEqual(['dormant host:10.0.0.9:80'])
  })

  test('is not told of a day earlier', () => {
    expect(incidents(replay(days(NOON_MS + DAY_MS, 4, [1, 3]), options, trained()))).toEqual([])
  })

  test('does not age while the host is off', () => {
    const off = new LogBuilder(NOON_MS + 400 * DAY_MS).connect(NGINX, '10.0.0.9', 80).after(WINDOW_MS)
    expect(incidents(replay(off.create(CRON, '/run/cron.pid'), options, trained()))).toEqual([])
  })

  test('is forgotten in time, the journal says so, and then it is unseen', () => {
    const path = newPath()
    const baseline = trained(path)
    expect(baseline.edges.find(RARE)).toBeDefined()
    replay(days(NOON_MS + DAY_MS, 7, []), options, baseline)
    expect(baseline.edges.find(RARE)).toBeUndefined()
    const database = new Database(path, { readonly: true })
    onTestFinished(() => void database.close())
    expect(database.prepare("SELECT author, detail FROM journal WHERE action = 'expire'").all()).toEqual([
      {
        author: 'agent',
        detail: JSON.stringify({
          edges: 1,
          unseenSince: Date.parse('2026-11-21T00:00:00Z'),
          examples: [`${RARE.from}->${RARE.to}`],
        }),
      },
    ])
    expect(verifyBaseline(path, []).problem).toBeUndefined()
    expect(marksOf(replay(days(NOON_MS + 9 * DAY_MS, 2, [0]), options, baseline))).toEqual([
      'none host:10.0.0.9:80',
    ])
  })

  test('is neither told of nor forgotten when both are switched off', () => {
    const never = { ...TRAINED, lifeSpan: { dormantDays: 0, expireDays: 0 } }
    expect(incidents(replay(days(NOON_MS + DAY_MS, 300, [299]), never, trained()))).toEqual([])
  })

  test('is told of again when it goes and returns again', () => {
    const reports = replay(days(NOON_MS + DAY_MS, 12, [3, 8]), options, trained())
    expect(marksOf(reports)).toEqual(['dormant host:10.0.0.9:80', 'dormant host:10.0.0.9:80'])
  })
})
