import { describe, expect, test } from 'vitest'
import { type FoundProcess, NO_WORLD } from '../../agent/domain/activity.ts'
import type { Incident, Report } from '../../agent/domain/report.ts'
import {
  incidents,
  newBaseline,
  NGINX,
  NOON_MS,
  ordinaryLife,
  start,
  TRAINING_MS,
  WINDOW_MS,
} from '../support/engine.ts'
import { type Doer, LogBuilder } from '../support/log-builder.ts'

const BOOT_MS = NOON_MS + TRAINING_MS + 60_000
const INIT = '/usr/lib/systemd/systemd'
const OWNED = new Set(
  '/usr/lib/systemd/systemd /usr/sbin/rsyslogd /usr/bin/logger /usr/bin/id /usr/bin/python3.13 /usr/bin/curl /usr/share/x/y.py'.split(
    ' ',
  ),
)
const RSYSLOG: Doer = { pid: 300, exe: '/usr/sbin/rsyslogd' }
/** The same program, of an image of a container. */
const CONTAINED: Doer = { pid: 330, exe: '/usr/bin/id' }
const ID: Doer = { pid: 320, exe: '/usr/bin/id' }

/** What is told of a host that was trained, and booted, when this happens then. */
function told(happens: (log: LogBuilder) => void, { isLive = true } = {}): readonly Incident[] {
  const trained = ordinaryLife().after(WINDOW_MS)
  const log = new LogBuilder(BOOT_MS + 5000)
  happens(log)
  const reports: Report[] = []
  const init: FoundProcess = {
    ...{ pid: 1, ppid: 0, uid: 0, exe: INIT, argv: [INIT], cwd: '/', container: '' },
    ...{ startMs: BOOT_MS, readMs: BOOT_MS + 60_000 },
  }
  const { engine } = start(newBaseline(), {
    world: {
      ...NO_WORLD,
      findProcess: (pid) => (pid === 1 ? init : undefined),
      containerOf: (pid) => (pid === CONTAINED.pid ? '0123456789ab' : ''),
      packagedMs: (path) => (OWNED.has(path) ? 1 : undefined),
    },
    emit: (report) => void reports.push(report),
    ...(isLive
      ? {
          own: {
            pid: 99,
            boot: { id: 'b', startMs: BOOT_MS },
            places: { log: undefined, own: [], configuration: [] },
            isPackaged: () => false,
            sawExec: () => false,
          },
        }
      : {}),
  })
  engine.begin(NOON_MS, [init])
  for (const { bytes } of [trained, log]) engine.ingest({ bytes, at: undefined })
  engine.idle(log.timeMs + 200_000)
  return incidents(reports)
}

const boots = (all: readonly Incident[]): readonly Incident[] =>
  all.filter(({ title }) => title.startsWith('the host was booted'))

/** Started by init, and at work where services are. */
const starts = (log: LogBuilder): LogBuilder =>
  log
    .exec(RSYSLOG)
    .create(RSYSLOG, '/run/rsyslogd.pid')
    .after(WINDOW_MS)
    .create(RSYSLOG, '/var/log/kern.log')
    .exec({ pid: 310, exe: '/usr/bin/logger' })

describe('a boot', () => {
  test('is one incident that opens no alert, whatever services of packages start with it', () => {
    const all = told(starts)
    expect(all.map(({ severity }) => severity)).toEqual(['low'])
    expect(all[0]).toMatchObject({
      title:
        'the host was booted, and what starts with it did something for the first time: logger, rsyslogd',
      count: 4,
      chain: [`proc::0:${INIT}`],
    })
    expect(all[0]?.edges.map(({ to }) => to)).toEqual([
      'proc::0:/usr/sbin/rsyslogd',
      'file:create:/run/rsyslogd.pid',
      'file:create:/var/log/kern.log',
      'proc::0:/usr/bin/logger',
    ])
  })

  test('is no reason for anything in a log that is only read', () => {
    expect(boots(told(starts, { isLive: false }))).toEqual([])
  })

  test.each<readonly [what: string, happens: (log: LogBuilder) => unknown]>([
    ['that no package has brought', (log) => log.exec({ pid: 320, exe: '/usr/local/sbin/updater' })],
    ['of a person', (log) => log.exec({ ...ID, auid: 1000 })],
    ['below a stranger', (log) => log.exec({ ...ID, ppid: 4000 })],
    ['that comes later', (log) => log.after(200_000).exec(ID)],
    ['that came before', (log) => log.after(-30_000).exec(ID).after(30_000)],
    ['that writes where programs read what to do', (log) => log.create(RSYSLOG, '/etc/cron.d/x')],
    ['that writes among programs', (log) => log.create(RSYSLOG, '/usr/bin/x')],
    ['in a container', (log) => log.exec(CONTAINED)],
    ['that reaches out', (log) => log.connect(RSYSLOG, '203.0.113.9', 443)],
    [
      'of a command line',
      (log) => log.exec({ pid: 320, exe: '/usr/bin/python3.13' }, ['python3', '-c', 'import os']),
    ],
    [
      'that is told what to fetch',
      (log) => log.exec({ pid: 320, exe: '/usr/bin/curl' }, ['curl', 'http://x/y']),
    ],
    ['below a service of a package', (log) => log.exec({ pid: 320, ppid: 300, exe: '/tmp/x' })],
  ])('is no reason for something %s', (_, happens) => {
    const all = told((log) => void happens(starts(log)))
    expect(boots(all).map(({ count }) => count)).toEqual([4])
    expect(all.length).toBeGreaterThan(1)
  })

  test('is the reason for the same without that', () => {
    const all = told(
      (log) => void starts(log).exec(ID).create(RSYSLOG, '/run/x').connect(RSYSLOG, '127.0.0.1', 443),
    )
    expect(all.map(({ count }) => count)).toEqual([7])
  })

  test('is the reason for a script of a package, and for what is known', () => {
    const script = (log: LogBuilder): unknown =>
      log
        .exec({ pid: 300, exe: '/usr/bin/python3.13' }, ['python3', '/usr/share/x/y.py'])
        .exec({ ...NGINX, pid: 820 })
    expect(told((log) => void script(log)).map(({ title }) => title)).toEqual([
      'the host was booted, and what starts with it did something for the first time: nginx, y.py',
    ])
  })
})
