import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { incidentsIn } from '../agent/baseline/incidents.ts'
import type { Incident, Report } from '../agent/domain/report.ts'
import { CRON, newBaseline, NGINX, NOON_MS, replay } from './support/engine.ts'
import { folderForTest } from './support/folder.ts'
import { LogBuilder } from './support/log-builder.ts'

const MINUTE_MS = 60_000
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
    expect(told?.reasons[0]).toContain('create in /var/cache/app/*: they are told here once')
    expect(countIn(db)).toBe(500)
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
})
