import { describe, expect, test } from 'vitest'
import type { Baseline } from '../agent/baseline/baseline.ts'
import type { Incident, Report } from '../agent/domain/report.ts'
import { CRON, newBaseline, NGINX, NOON_MS, replay, start, summary } from './support/engine.ts'
import { LogBuilder } from './support/log-builder.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const EACH_MS = 10 * 60_000

/** One that does the same all day, and one that runs another program every ten minutes. */
function busyHost(log: LogBuilder, days: number, first = 0): LogBuilder {
  for (let number = 0; number < (days * DAY_MS) / EACH_MS; number++) {
    log.connect(NGINX, '192.0.2.1', 443).create(CRON, '/run/cron.pid')
    log.exec({ pid: 1000 + number, ppid: CRON.pid, exe: `/usr/bin/${wordOf(first + number)}` }).after(EACH_MS)
  }
  return log
}

const wordOf = (number: number): string =>
  String(number).replace(/\d/g, (digit) => 'abcdefghij'.charAt(Number(digit)))

const monitor = { plan: { kind: 'none' }, monitorMs: 60_000 } as const
const train = { plan: { kind: 'everything' }, monitorMs: 60_000, alertsPerDay: 10 } as const

const incidents = (reports: readonly Report[]): Incident[] =>
  reports.filter((report) => report.kind === 'incident')

const budget = (baseline: Baseline) =>
  baseline.kept.memory('budget') as {
    thresholdBits?: number
    userBits: Readonly<Record<string, number>>
    lowBits: number
    fromMs: number
  }

describe('the budget', () => {
  test('is calibrated on the last quarter of the training, and keeps its word on a host that is never quiet', () => {
    const baseline = newBaseline()
    replay(busyHost(new LogBuilder(NOON_MS), 2), train, baseline)
    const { userBits, fromMs } = budget(baseline)
    expect(fromMs).toBeCloseTo(NOON_MS + 1.5 * DAY_MS, -6)
    expect(Math.max(...Object.values(userBits))).toBeGreaterThan(0)
    const log = busyHost(new LogBuilder(NOON_MS + 2 * DAY_MS), 4, 1000)
    const reports = replay(log, { ...monitor, alertsPerDay: 10 }, baseline)
    const printed = incidents(reports)
    // 144 of them each day.
    expect(printed.length).toBeLessThanOrEqual(4 * 10)
    expect(summary(reports)).toMatchObject({ incidents: 4 * 144, withheld: 4 * 144 - printed.length })
  })

  test('is met within a day when the training was too short to say', () => {
    const baseline = newBaseline()
    replay(busyHost(new LogBuilder(NOON_MS), 1 / 24), train, baseline)
    expect(budget(baseline).thresholdBits).toBeUndefined()
    const log = busyHost(new LogBuilder(NOON_MS + HOUR_MS), 8, 1000)
    const printed = incidents(replay(log, { ...monitor, alertsPerDay: 10 }, baseline))
    const byDay = Array.from(
      { length: 8 },
      (_, day) =>
        printed.filter(({ firstMs }) => Math.floor((firstMs - NOON_MS - HOUR_MS) / DAY_MS) === day).length,
    )
    expect(byDay[0]).toBeGreaterThan(0)
    for (const each of byDay.slice(1)) expect(each).toBeLessThanOrEqual(10)
  })

  test('of a training that was too short to say keeps back what is like its end, and nothing else', () => {
    const baseline = newBaseline()
    const training = busyHost(new LogBuilder(NOON_MS), 1 / 24)
    // A little of what is new at its end: by one that has made such things all the time.
    for (let number = 0; number < 50; number++)
      training.create(NGINX, `/srv/${wordOf(number)}/x.txt`).after(60_000)
    replay(training, train, baseline)
    const { thresholdBits, lowBits } = budget(baseline)
    expect(thresholdBits).toBeUndefined()
    expect(lowBits).toBeGreaterThan(0)
    const log = new LogBuilder(training.timeMs).create(NGINX, '/srv/other/x.txt').after(120_000)
    log.exec({ pid: 5000, ppid: NGINX.pid, uid: 33, exe: '/usr/bin/other' }).after(120_000)
    const reports = replay(log, { ...monitor, alertsPerDay: 10 }, baseline)
    expect(incidents(reports).map(({ edges }) => edges.map(({ kind }) => kind))).toEqual([['exec']])
    expect(summary(reports)).toMatchObject({ incidents: 2, withheld: 1 })
  })

  test('is not used up by the noise of one user when another does something dangerous, or only something new', () => {
    const after = (isNoisy: boolean): Incident[] => {
      const baseline = newBaseline()
      replay(busyHost(new LogBuilder(NOON_MS), 2), train, baseline)
      const log = new LogBuilder(NOON_MS + 2 * DAY_MS)
      // One who logs in and runs a program after the other, an hour long.
      for (let number = 0; number < 60; number++) {
        const user = { pid: 9000 + 10 * number, ppid: 1, exe: '/usr/bin/bash', uid: 1000 }
        if (isNoisy)
          log
            .exec(user)
            .exec({ pid: user.pid + 1, ppid: user.pid, uid: 1000, exe: `/home/u/${wordOf(number)}` })
        log.connect(NGINX, '192.0.2.1', 443).after(60_000)
      }
      log.after(HOUR_MS).create(NGINX, '/etc/systemd/system/x.service').after(120_000)
      return incidents(replay(log, { ...monitor, alertsPerDay: 10 }, baseline))
    }
    const isOfNginx = ({ edges }: Incident): boolean => edges.some(({ from }) => from.endsWith('nginx'))
    expect(after(false).filter(isOfNginx)).toHaveLength(1)
    expect(after(true).filter(isOfNginx)).toHaveLength(1)
  })

  test('of nothing keeps back all that is not surely bad; a large one keeps back nothing', () => {
    const count = (alertsPerDay: number): number => {
      const baseline = newBaseline()
      replay(busyHost(new LogBuilder(NOON_MS), 1 / 24), train, baseline)
      const log = busyHost(new LogBuilder(NOON_MS + HOUR_MS), 1, 1000)
      return incidents(replay(log, { ...monitor, alertsPerDay }, baseline)).length
    }
    expect(count(0)).toBe(0)
    expect(count(1000)).toBe(144)
  })

  test('is the same after restarts at any moment of the training', () => {
    const { bytes } = busyHost(new LogBuilder(NOON_MS), 1)
    const log = '/var/log/audit/audit.log'
    const rehearsed = (...ends: readonly number[]): unknown => {
      const baseline = newBaseline()
      const plan = { kind: 'until', timeMs: NOON_MS + DAY_MS - HOUR_MS } as const
      for (const end of ends) {
        const { engine } = start(baseline, { plan, monitorMs: HOUR_MS, log, alertsPerDay: 10 })
        const offset = baseline.kept.checkpoint(log)?.position.offset ?? 0
        engine.ingest({
          bytes: bytes.subarray(offset, end),
          at: { path: log, inode: 1, fingerprint: 'f', offset },
        })
        engine.pause()
      }
      return [baseline.incidents.ordinaryScores(0), budget(baseline)]
    }
    const whole = rehearsed(bytes.length)
    expect((whole as [number[]])[0].length).toBeGreaterThan(20)
    const cuts = [0.1234, 0.5, 0.51, 0.777].map((share) => Math.floor(share * bytes.length))
    expect(rehearsed(...cuts, bytes.length)).toEqual(whole)
  })
})
