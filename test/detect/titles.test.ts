import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { titleOf } from '../../agent/detect/titles.ts'
import type { Finding } from '../../agent/domain/report.ts'
import { printable } from '../../agent/graph/names.ts'
import { APP, file, finding, program, SHELL } from '../support/findings.ts'

const CURL = program('/usr/bin/curl')
const CRON = program('/usr/sbin/cron', undefined, 'root')
const SSHD = program('/usr/sbin/sshd', undefined, 'root')
const ADMIN = program('/usr/bin/bash', undefined, 'admin')
const SYSTEMD = program('/usr/lib/systemd/systemd', undefined, 'root')
const NC = program('/usr/bin/nc.openbsd')
const TIMEOUT = program('/usr/bin/timeout')

/** The findings with higher numbers are graver. */
const title = (findings: readonly Finding[], parent = APP, trees = 1): string =>
  titleOf({ findings, parent, trees, gravityOf: ({ bits }) => bits })

describe('a title', () => {
  const CASES: readonly (readonly [title: string, findings: readonly Finding[], parent?: string])[] = [
    [
      'app.py (app) ran a shell that ran curl, which connected to 203.0.113.66:8080 and wrote /tmp/.x',
      [
        finding('exec', [APP], SHELL),
        finding('exec', [APP, SHELL], CURL),
        finding('connect', [APP, SHELL, CURL], 'host:203.0.113.66:8080', { bits: 20 }),
        finding('write', [APP, SHELL, CURL], file('write', '/tmp/.x'), { bits: 10 }),
      ],
    ],
    ['app.py (app) connected to 203.0.113.7:443', [finding('connect', [APP], 'host:203.0.113.7:443')]],
    [
      'app.py (app) ran a shell that ran id, whoami and cat',
      ['id', 'whoami', 'cat'].map((name) => finding('exec', [APP, SHELL], program(`/usr/bin/${name}`))),
    ],
    [
      'app.py (app) ran a shell that ran a program in memory (x)',
      [
        finding('exec', [APP, SHELL], program('/memfd:x (deleted)')),
        finding('memory-exec', [APP, SHELL], program('/memfd:x (deleted)'), { bits: 20 }),
      ],
    ],
    [
      'app.py (app) ran a shell, which connected to 203.0.113.66:4444',
      [
        finding('exec', [APP, SHELL], TIMEOUT),
        finding('connect', [APP, SHELL, TIMEOUT, program('/bin/bash')], 'host:203.0.113.66:4444', {
          bits: 20,
        }),
      ],
    ],
    [
      'app.py (app) ran a shell that ran /tmp/.x',
      [finding('exec', [APP, SHELL], program('/usr/bin/dash', '/tmp/.x'))],
    ],
    [
      'app.py (app) ran a shell that ran chmod, which set the setuid bit of /tmp/.rb',
      [
        finding('attribute', [APP, SHELL, program('/bin/chmod')], file('attribute', '/tmp/.rb'), {
          mode: 0o4755,
        }),
      ],
    ],
    [
      'app.py (app) ran a shell that ran nc.openbsd, which went to 41 ports of this host (127.0.0.1)',
      Array.from({ length: 41 }, (_, index) =>
        finding('connect', [APP, SHELL, NC], `host:127.0.0.1:${20 + index}`),
      ),
    ],
    [
      'cron (root) ran a shell as app that ran curl, which wrote /srv/x',
      [finding('write', [SYSTEMD, CRON, SHELL, CURL], file('write', '/srv/x'))],
      CRON,
    ],
    [
      'admin (logged in through sshd) ran vim, which wrote /etc/hosts',
      [
        finding(
          'write',
          [SSHD, ADMIN, program('/usr/bin/vim', undefined, 'admin')],
          file('write', '/etc/hosts'),
        ),
      ],
      SSHD,
    ],
    [
      'admin (logged in through sshd) ran sudo as root that ran useradd',
      [
        finding(
          'exec',
          [SSHD, ADMIN, program('/usr/bin/sudo', undefined, 'root')],
          program('/usr/sbin/useradd', undefined, 'root'),
        ),
      ],
      SSHD,
    ],
    [
      'admin (logged in through sshd) ran sudo as root that ran tee, which wrote /etc/hosts',
      [
        finding(
          'write',
          [
            program('/usr/local/bin/supervise', undefined, 'root'),
            SSHD,
            program('/usr/sbin/sshd', undefined, 'admin'),
            ADMIN,
            program('/usr/bin/sudo', undefined, 'admin'),
            program('/usr/bin/sudo', undefined, 'root'),
            program('/usr/bin/tee', undefined, 'root'),
          ],
          file('write', '/etc/hosts'),
        ),
      ],
      program('/usr/local/bin/supervise', undefined, 'root'),
    ],
    [
      'nginx (root) listened at 0.0.0.0:8443',
      [finding('listen', [SYSTEMD, program('/usr/sbin/nginx', undefined, 'root')], 'host:0.0.0.0:8443')],
      '',
    ],
    [
      'x.sh (root) deleted /a, /b, /c, /d and 3 more',
      Array.from('abcdefg', (name) =>
        finding('delete', [SYSTEMD, program('/bin/dash', '/opt/x.sh', 'root')], file('delete', `/${name}`)),
      ),
      '',
    ],
    [
      'gdb (app) took hold of redis-server',
      [finding('trace', [program('/usr/bin/gdb')], program('/usr/bin/redis-server', undefined, 'redis'))],
      '',
    ],
    [
      'app.py (app) ran /opt/odd, which became root',
      [finding('privilege', [APP, program('/opt/odd')], program('/opt/odd', undefined, 'root'))],
    ],
    [
      'app.py (app in container 0123456789ab) created /x',
      [finding('create', ['proc:0123456789ab:app:/usr/bin/python3.11</srv/app.py'], file('create', '/x'))],
      '',
    ],
    ['an unknown program (app) wrote /x', [finding('write', [program('?')], file('write', '/x'))], ''],
  ]
  test.each(CASES.map(([expected, findings, parent = APP]) => ({ expected, findings, parent })))(
    '$expected',
    ({ expected, findings, parent }) => {
      expect(title(findings, parent)).toBe(expected)
    },
  )

  test('counts many trees', () => {
    expect(title([finding('exec', [APP, SHELL], CURL)], APP, 480)).toBe(
      'app.py (app), 480 times, ran a shell that ran curl',
    )
  })

  test('tells the gravest deed, whatever else there is', () => {
    const many = Array.from({ length: 200 }, (_, index) =>
      finding('exec', [APP, SHELL], program(`/usr/bin/program-with-a-long-name-${index}`)),
    )
    const gravest = finding('connect', [APP, SHELL, NC], 'host:198.51.100.77:443', { bits: 9 })
    const told = title([...many, gravest])
    expect(told).toContain('nc.openbsd, which connected to 198.51.100.77:443')
    expect(told).toMatch(/\d+ more/)
  })
})

const WORD = fc.string({
  unit: fc.constantFrom('a', 'é', '/', '\n', '\u202e', '𝄞', ' ', '->', ':', '<'),
  maxLength: 90,
})
const PROCESS = fc
  .tuple(fc.constantFrom('/usr/bin/', '/tmp/', '/opt/'), WORD, fc.constantFrom('root', 'app'))
  .map(([directory, name, user]) =>
    program(printable(`${directory}${name}`).replaceAll('<', '\\x3c'), undefined, user),
  )
const FINDING = fc
  .tuple(
    fc.array(PROCESS, { minLength: 1, maxLength: 8 }),
    fc.constantFrom('exec', 'write', 'connect', 'trace', 'privilege'),
    WORD,
    PROCESS,
    fc.integer({ min: 0, max: 30 }),
  )
  .map(([chain, kind, name, other, bits]) =>
    finding(
      kind,
      chain,
      kind === 'write'
        ? file('write', `/${printable(name)}`)
        : kind === 'connect'
          ? 'host:192.0.2.1:99'
          : other,
      { bits },
    ),
  )

test('law: whatever happened, a title is one line that a terminal holds', () => {
  fc.assert(
    fc.property(fc.array(FINDING, { minLength: 1, maxLength: 30 }), fc.boolean(), (findings, hasParent) => {
      const told = title(findings, hasParent ? (findings[0]?.chain[0] ?? '') : '')
      expect(Array.from(told).length).toBeLessThanOrEqual(160)
      expect(told.length).toBeGreaterThan(0)
      expect(told).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202a-\u202e]/u)
    }),
  )
})
