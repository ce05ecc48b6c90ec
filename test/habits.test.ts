import { expect, test } from 'vitest'
import type { Report } from '../agent/domain/report.ts'
import { newBaseline, NGINX, NOON_MS, replay } from './support/engine.ts'
import { type Doer, LogBuilder } from './support/log-builder.ts'

const MINUTE_MS = 60_000
const train = { plan: { kind: 'everything' }, monitorMs: MINUTE_MS } as const
const monitor = { plan: { kind: 'none' }, monitorMs: MINUTE_MS, alertsPerDay: 1e6 } as const
const LOGROTATE: Doer = { pid: 810, exe: '/usr/sbin/logrotate' }
const SQUID: Doer = { pid: 820, exe: '/usr/sbin/squid', uid: 13 }

/** Words, which no pattern covers. */
const WORDS = 'alder birch cedar elm fir hazel juniper larch maple oak pine rowan'.split(' ')

/** The bits of each edge that was found, by the end of its name. */
function bitsIn(reports: readonly Report[], end: string): number {
  const edges = reports.flatMap((report) => (report.kind === 'incident' ? report.edges : []))
  return edges.find(({ to }) => to.endsWith(end))?.bits ?? Number.NaN
}

/** Each of them does much, time and again. */
function ordinary(log: LogBuilder): LogBuilder {
  for (let minute = 0; minute < 40; minute++) {
    const word = WORDS[minute % WORDS.length] ?? ''
    log.create(NGINX, `/var/lib/shop/cache/${word}.dat`).create(NGINX, '/srv/shop/log/now.dat')
    log.create(LOGROTATE, '/var/lib/logrotate/status.tmp').connect(SQUID, '192.0.2.1', 443).after(MINUTE_MS)
  }
  return log
}

test('one more file where a process makes many says less than one where it makes few', () => {
  const baseline = newBaseline()
  replay(ordinary(new LogBuilder(NOON_MS)), train, baseline)
  const later = new LogBuilder(NOON_MS + 60 * MINUTE_MS)
  for (const path of ['/var/lib/shop/cache/yew.dat', '/srv/shop/log/yew.dat', '/var/lib/other/cache/yew.dat'])
    later.create(NGINX, path)
  later
    .create(NGINX, '/var/lib/shop/cache/yew.php')
    .create(NGINX, '/var/lib/shop/cache/yew.sh')
    .after(MINUTE_MS)
  const reports = replay(later, monitor, baseline)
  const elsewhere = bitsIn(reports, '/var/lib/other/cache/yew.dat')
  expect(bitsIn(reports, '/var/lib/shop/cache/yew.dat')).toBeLessThan(elsewhere / 2)
  expect(bitsIn(reports, '/srv/shop/log/yew.dat')).toBeLessThan(elsewhere)
  expect(bitsIn(reports, '/srv/shop/log/yew.dat')).toBeGreaterThan(elsewhere / 2)
  // Code is told as ever.
  expect(bitsIn(reports, 'yew.php')).toBe(elsewhere)
  expect(bitsIn(reports, 'yew.sh')).toBe(elsewhere)
})

test('what logrotate is there for weighs little, and nothing else that it does', () => {
  const baseline = newBaseline()
  replay(ordinary(new LogBuilder(NOON_MS)), train, baseline)
  const later = new LogBuilder(NOON_MS + 60 * MINUTE_MS)
  later.create(LOGROTATE, '/var/log/shop.log.1.gz').create(LOGROTATE, '/srv/shop/page.dat').after(MINUTE_MS)
  const reports = replay(later, monitor, baseline)
  expect(bitsIn(reports, '/var/log/shop.log.1.gz')).toBeLessThanOrEqual(1)
  expect(bitsIn(reports, '/srv/shop/page.dat')).toBeGreaterThan(3)
})
