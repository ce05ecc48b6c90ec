import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { incidentsIn } from '../agent/baseline/incidents.ts'
import type { Incident, Report } from '../agent/domain/report.ts'
import { CRON, newBaseline, NGINX, NOON_MS, replay } from './support/engine.ts'
import { folderForTest } from './support/folder.ts'
import { LogBuilder } from './support/log-builder.ts'

const MAIN = join(import.meta.dirname, '../agent/main.ts')
const MINUTE_MS = 60_000
const DAY_MS = 1440 * MINUTE_MS
const train = { plan: { kind: 'everything' }, monitorMs: MINUTE_MS } as const
const monitor = { plan: { kind: 'none' }, monitorMs: MINUTE_MS, alertsPerDay: 1e6 } as const

const incidents = (reports: readonly Report[]): Incident[] =>
  reports.filter((report) => report.kind === 'incident')

/** Words, which no pattern covers. */
const wordOf = (number: number): string =>
  String(number).replace(
    /\d/g,
    (digit) => ['ba', 'ce', 'di', 'fo', 'gu', 'ha', 'je', 'ki', 'lo', 'mu'][Number(digit)] ?? '',
  )

/** A service that makes something with another name each minute, beside what it always does. */
function restless(log: LogBuilder, minutes: number, first: number, extension = ''): LogBuilder {
  for (let minute = 0; minute < minutes; minute++) {
    log.connect(NGINX, '192.0.2.1', 443).create(CRON, '/run/cron.pid')
    log.create(NGINX, `/var/cache/app/${wordOf(first + minute)}${extension}`).after(MINUTE_MS)
  }
  return log
}

/** Sightings of all incidents, as they are now. */
const countIn = (path: string): number =>
  [...incidentsIn(path, { withheld: true })].reduce((sum, { incident }) => sum + incident.count, 0)

describe('a process that never stops making new names in one place', () => {
  test('in the training, is told of once, and counted', () => {
    const db = join(folderForTest(), 'baseline.db')
    const baseline = newBaseline(db)
    replay(restless(new LogBuilder(NOON_MS), 60, 1000), train, baseline)
    const later = new LogBuilder(NOON_MS + 60 * MINUTE_MS)
    const reports = replay(restless(later, 500, 3000), monitor, baseline)
    const [told, ...others] = incidents(reports)
    expect(others).toEqual([])
    expect(told).toMatchObject({ severity: 'low', count: 1 })
    expect(told?.reasons[0]).toContain('create in /var/cache/app/*: they are told once a day')
    expect(countIn(db)).toBe(500)
    const explain = [MAIN, 'explain', 'proc::33:/usr/sbin/nginx->file:create:/var/cache/app/word', '--db', db]
    expect(spawnSync(process.execPath, explain, { encoding: 'utf8' }).stdout).toContain(
      'never ends, and is told of once a day: incident 1 counts it',
    )
    expect(reports.filter(({ kind }) => kind === 'blind-spot')).toEqual([])
  })

  test('only since then, is told of some times, and then once more', () => {
    const db = join(folderForTest(), 'baseline.db')
    const baseline = newBaseline(db)
    replay(
      restless(new LogBuilder(NOON_MS), 60, 1000, '.x').create(NGINX, '/var/cache/app/b.y'),
      train,
      baseline,
    )
    const log = restless(new LogBuilder(NOON_MS + 61 * MINUTE_MS), 100, 3000, '.y')
    const all = incidents(replay(log, monitor, baseline))
    expect(all).toHaveLength(6)
    expect(all.filter(({ reasons }) => reasons.some((reason) => reason.includes('only counted')))).toEqual([
      all[5],
    ])
    expect(countIn(db)).toBe(100)
  })

  test.each<[string, (log: LogBuilder) => LogBuilder]>([
    ['another extension', (log) => log.create(NGINX, '/var/cache/app/shell.php')],
    ['a hidden file', (log) => log.create(NGINX, '/var/cache/app/.y')],
    ['another place', (log) => log.create(NGINX, '/etc/cron.d/x')],
    ['another process', (log) => log.create(CRON, '/var/cache/app/y')],
    ['another deed', (log) => log.delete(NGINX, '/var/cache/app/y')],
    [
      'a program that it starts',
      (log) => log.exec({ pid: 900, ppid: NGINX.pid, exe: '/var/cache/app/y', uid: 33 }),
    ],
    [
      'the same below something that is new itself',
      (log) => {
        const shell = { pid: 900, ppid: NGINX.pid, exe: '/usr/bin/dash', uid: 33 }
        return log.exec(shell).create(shell, '/var/cache/app/y')
      },
    ],
  ])('hides nothing else: %s', (_, deed) => {
    const baseline = newBaseline()
    replay(restless(new LogBuilder(NOON_MS), 60, 1000), train, baseline)
    const log = restless(new LogBuilder(NOON_MS + 60 * MINUTE_MS), 3, 3000)
    const all = incidents(replay(deed(log).after(MINUTE_MS), monitor, baseline))
    expect(all).toHaveLength(2)
  })

  test('is told of once a day', () => {
    const baseline = newBaseline()
    replay(restless(new LogBuilder(NOON_MS), 60, 1000), train, baseline)
    const log = restless(new LogBuilder(NOON_MS + 60 * MINUTE_MS), 2.5 * 1440, 3000)
    const all = incidents(replay(log, monitor, baseline))
    expect(all.map(({ firstMs }) => Math.floor((firstMs - NOON_MS) / DAY_MS))).toEqual([0, 1, 2])
  })

  test('is told of as any other when it had stopped for a day', () => {
    const baseline = newBaseline()
    replay(restless(new LogBuilder(NOON_MS), 60, 1000), train, baseline)
    const log = restless(new LogBuilder(NOON_MS + 60 * MINUTE_MS), 3, 3000).after(2 * DAY_MS)
    log
      .create(NGINX, '/var/cache/app/late')
      .after(MINUTE_MS)
      .create(NGINX, '/var/cache/app/later')
      .after(MINUTE_MS)
    const [, ...late] = incidents(replay(log, monitor, baseline))
    expect(late).toHaveLength(2)
    for (const { reasons } of late) expect(reasons.join()).not.toContain('once a day')
  })

  test('is told of anew when a person has decided on what was told', () => {
    const db = join(folderForTest(), 'baseline.db')
    const baseline = newBaseline(db)
    replay(restless(new LogBuilder(NOON_MS), 60, 1000), train, baseline)
    const log = restless(new LogBuilder(NOON_MS + 60 * MINUTE_MS), 3, 3000)
    expect(incidents(replay(log, monitor, baseline))).toHaveLength(1)
    const person = new Database(db)
    person.exec("UPDATE incidents SET state = 'accepted'")
    person.close()
    const later = restless(new LogBuilder(log.timeMs), 3, 4000)
    expect(incidents(replay(later, monitor, baseline))).toHaveLength(1)
    expect([...incidentsIn(db, { withheld: true })].map(({ incident }) => incident.count)).toEqual([3, 3])
  })
})

describe('a process that does something new now and then', () => {
  /** Busy with what is known, and something new every so often. */
  function busy(days: number, deed: (log: LogBuilder, day: number) => LogBuilder): LogBuilder {
    const log = new LogBuilder(NOON_MS + 60 * MINUTE_MS)
    for (let day = 0; day < days; day++) {
      for (let minute = 0; minute < 60; minute++) log.connect(NGINX, '192.0.2.1', 443).after(MINUTE_MS)
      deed(log, day).after(DAY_MS - 60 * MINUTE_MS)
    }
    return log
  }

  test('is told of each time, however long that goes on', () => {
    const baseline = newBaseline()
    replay(
      busy(1, (log) => log),
      train,
      baseline,
    )
    const log = busy(12, (each, day) => each.create(NGINX, `/srv/app/in/${wordOf(day)}.txt`))
    expect(incidents(replay(log, monitor, baseline))).toHaveLength(12)
  })

  test('is told of each time when it is code', () => {
    const baseline = newBaseline()
    replay(restless(new LogBuilder(NOON_MS), 60, 1000, '.py'), train, baseline)
    const log = restless(new LogBuilder(NOON_MS + 60 * MINUTE_MS), 20, 3000, '.py')
    expect(incidents(replay(log, monitor, baseline))).toHaveLength(20)
  })

  test.each([
    [1, 'knows hosts by their names'],
    [0, 'knows none by its name'],
  ])('is told of each time when it goes to hosts without a name, and (%i) %s', (isNaming) => {
    const baseline = newBaseline()
    replay(restless(new LogBuilder(NOON_MS), 60, 1000), train, baseline)
    if (isNaming === 1)
      baseline.batch(() => {
        baseline.edges.learn(
          { kind: 'connect', from: 'proc::33:/usr/sbin/nginx', to: 'host:api.test:443' },
          NOON_MS,
        )
        baseline.trainings.settle(true, NOON_MS)
      })
    const log = new LogBuilder(NOON_MS + 60 * MINUTE_MS)
    for (let host = 1; host <= 60; host++) log.connect(NGINX, `198.51.${host}.7`, 443).after(MINUTE_MS)
    const all = incidents(replay(log, monitor, baseline))
    if (isNaming === 1) expect(all).toHaveLength(60)
    else expect(all.length).toBeLessThan(60)
  })
})
