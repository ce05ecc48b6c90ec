import { describe, expect, test } from 'vitest'
import { isDuty } from '../../agent/detect/duties.ts'
import type { EdgeKind } from '../../agent/domain/edge.ts'

const LOGROTATE = 'proc::root:/usr/sbin/logrotate'

describe('what a program is there for', () => {
  test.each([
    ['rename', LOGROTATE, 'file:rename:/var/log/haproxy.log.1.gz'],
    ['create', LOGROTATE, 'file:create:/var/log/app/access.log'],
    ['delete', LOGROTATE, String.raw`file:delete:/var/log/shop/worker\.log-\d{8}-\d+`],
    ['attribute', LOGROTATE, 'file:attribute:/srv/shop/log/production.log.2.gz'],
    ['rename', LOGROTATE, String.raw`file:rename:/srv/shop/production\.log-\d{8}`],
    ['exec', LOGROTATE, 'proc::root:/usr/bin/gzip'],
    ['connect', 'proc::proxy:/usr/sbin/squid', 'host:www.vendor.test:443'],
    ['connect', 'proc::postfix:/usr/lib/postfix/sbin/smtp', 'host:mx.customer.test:25'],
    ['connect', 'proc::unbound:/usr/sbin/unbound', 'host:198.51.100.53:53'],
    ['connect', 'proc::bind:/usr/sbin/named', 'host:[2001:db8::53]:53'],
  ] as const)('is: %s %s %s', (kind, from, to) => {
    expect(isDuty({ kind, from, to })).toBe(true)
  })

  test.each([
    ['rename', 'proc::root:/tmp/logrotate', 'file:rename:/var/log/auth.log'],
    ['rename', 'proc::root:/usr/bin/python3.11</usr/sbin/logrotate', 'file:rename:/var/log/auth.log'],
    ['delete', 'proc::root:/usr/bin/rm', 'file:delete:/var/log/auth.log.1'],
    ['create', LOGROTATE, 'file:create:/etc/cron.d/catalogue.log'],
    ['create', LOGROTATE, 'file:create:/srv/www/shell.php'],
    ['delete', LOGROTATE, 'file:delete:/var/log/audit/audit.log'],
    ['exec', LOGROTATE, 'proc::root:/usr/bin/dash'],
    ['exec', LOGROTATE, 'proc::root:/tmp/gzip'],
    ['connect', LOGROTATE, 'host:203.0.113.66:443'],
    ['connect', 'proc::proxy:/usr/sbin/squid', 'host:203.0.113.66:443'],
    ['connect', 'proc::proxy:/dev/shm/squid', 'host:www.vendor.test:443'],
    ['connect', 'proc::www-data:/usr/sbin/nginx', 'host:www.vendor.test:443'],
    ['connect', 'proc::postfix:/usr/lib/postfix/sbin/smtp', 'host:mx.customer.test:4444'],
    ['connect', 'proc::unbound:/usr/sbin/unbound', 'host:198.51.100.53:443'],
    ['connect', 'proc::unbound:/usr/sbin/unbound', 'host:unix:/dev/log'],
    ['exec', 'proc::proxy:/usr/sbin/squid', 'proc::proxy:/usr/bin/dash'],
    ['create', 'proc::proxy:/usr/sbin/squid', 'file:create:/var/log/app/access.log'],
    ['privilege', LOGROTATE, 'proc::root:/usr/sbin/logrotate'],
  ] as const satisfies readonly (readonly [EdgeKind, string, string])[])(
    'is not: %s %s %s',
    (kind, from, to) => {
      expect(isDuty({ kind, from, to })).toBe(false)
    },
  )
})
