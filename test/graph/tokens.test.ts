import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { tokensOf } from '../../agent/graph/tokens.ts'

/** The parts of a path that have a form of their own, as `type:text`; what changes for certain has a `!`. */
const tokens = (path: string): string[] =>
  tokensOf(path).map(({ type, text, isStrong }) => `${isStrong ? '!' : ''}${type}:${text}`)

const MD5 = 'd41d8cd98f00b204e9800998ecf8427e'
const SHA1 = 'da39a3ee5e6b4b0d3255bfef95601890afd80709'

describe('what changes for certain', () => {
  test.each([
    ['/x/6ba7b810-9dad-11d1-80b4-00c04fd430c8/y', ['!uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8']],
    ['/x/6BA7B810-9DAD-11D1-80B4-00C04FD430C8', ['!uuid:6BA7B810-9DAD-11D1-80B4-00C04FD430C8']],
    [`/srv/img/${MD5}.bin`, [`!hash:${MD5}`]],
    [`/s/sess_${MD5.slice(0, 16)}`, [`!hash:${MD5.slice(0, 16)}`]],
    [`/s/${MD5.toUpperCase()}`, [`!hash:${MD5.toUpperCase()}`]],
    // uniqid() of PHP, and a digest that somebody has shortened.
    ['/up/2026/11/6b01b93cae2dd.jpg', ['!number:2026', '!number:11', '!hash:6b01b93cae2dd']],
    ['/up/047aa31bdafe-map.pdf', ['!hash:047aa31bdafe']],
    [`/r/objects/${SHA1.slice(0, 2)}/${SHA1.slice(2)}`, ['!hash:da', `!hash:${SHA1.slice(2)}`]],
    [`/var/cache/nginx/9/ab/${MD5}`, ['!hash:9', '!hash:ab', `!hash:${MD5}`]],
    ['/var/spool/squid/00/0F/000000F1', ['!capitals:00', '!capitals:0F', '!capitals:000000F1']],
    ['/var/spool/squid/00/01/00000010', ['!capitals:00', '!capitals:01', '!capitals:00000010']],
    ['/var/lib/docker/containers/0123456789ab/hostname', ['!hash:0123456789ab']],
    [`/sys/fs/cgroup/system.slice/docker-${MD5}${MD5}.scope/cgroup.procs`, [`!hash:${MD5}${MD5}`]],
    ['/log/a-2026-11-21.log', ['!stamp:2026-11-21']],
    ['/log/a-20261121.log', ['!stamp:20261121']],
    ['/log/2026.11.21', ['!stamp:2026.11.21']],
    ['/log/20261121T101112Z.gz', ['!stamp:20261121T101112Z']],
    ['/log/20261121-101112', ['!stamp:20261121-101112']],
    ['/log/2026-11-21T10:11:12.345+01:00', ['!stamp:2026-11-21T10:11:12.345+01:00']],
    ['/log/2026-11-21_10-11-12.sql', ['!stamp:2026-11-21_10-11-12']],
    ['/log/1795211392.773.gz', ['!stamp:1795211392.773']],
    ['/log/1795211392.gz', ['!number:1795211392']],
    ['/log/2026/11/21/10.gz', ['!number:2026', '!number:11', '!number:21', '!number:10']],
    ['/run/x-4711.pid', ['!number:4711']],
    ['/q/007', ['!number:007']],
    ['/proc/7/oom_score_adj', ['!number:7']],
    ['/proc/7/task/8/comm', ['!number:7', '!number:8']],
    ['/proc/7/fd/8', ['!number:7', '!number:8']],
    ['/dev/pts/3', ['!number:3']],
    ['/run/user/33/bus', ['!number:33']],
    ['/run/systemd/sessions/3', ['!number:3']],
    ['/cg/user-0.slice/session-3.scope/x', ['!number:0', '!number:3']],
    ['/tmp/tmpk3x_9a2b.csv.gz', ['!random:k3x_9a2b']],
    ['/tmp/tmp.aB3xYz0q1W', ['!random:aB3xYz0q1W']],
    ['/tmp/sess.aB3xYz', ['!random:aB3xYz']],
    ['/tmp/venv-GiCfN5/bin', ['!random:GiCfN5']],
    ['/tmp/ccfzhxDT.o', ['!random:fzhxDT']],
    ['/home/a/tmp/cc3JBKcd.cdtor.c', ['!random:3JBKcd']],
    ['/tmp/cc3jbkcd.s', ['!random:3jbkcd']],
    ['/tmp/filecisXbb', ['!random:cisXbb']],
    ['/tmp/pip-ephem-wheel-cache-xwsg_zs7/wheels', ['!random:xwsg_zs7']],
    ['/tmp/f9chaecw', ['!random:f9chaecw']],
    ['/var/spool/postfix/maildrop/5B10AEA4060', ['!hash:5B10AEA4060']],
    ['/incoming/1234567890A', ['!hash:1234567890A']],
    ['/deferred/A/12345678901', ['!hash:12345678901']],
    ['/active/4XyZbC2kLmzQwRt', ['!random:4XyZbC2kLmzQwRt']],
    ['/etc/.ansible_tmpof1h1dc8motd', ['!random:of1h1dc8']],
    ['/etc/default/.ansible_tmpabcdefghssh.conf', ['!random:abcdefgh']],
    ['/tmp/#sql-temptable-1f-19a-ca.MAI', ['!hash:1f', '!hash:19a', '!hash:ca']],
    ['/var/lib/mysql/shop/#sql-1f_2b.frm', ['!hash:1f', '!hash:2b']],
    ['/var/spool/exim/input/hdr.1xUvvD-00007u-1s', ['!random:1xUvvD', '!random:00007u', '!random:1s']],
    [
      '/var/spool/exim/input/1rZoJ7-00000001iEC-0abc-D',
      ['!random:1rZoJ7', '!random:00000001iEC', '!random:0abc'],
    ],
    ['/tmp/ssh-Ab3dE5gH1jKl/agent.123', ['!random:Ab3dE5gH1jKl', 'number:123']],
    ['/s/sess_0a1b2c3d4e5f6g7h8i9j0k1l2m', ['!random:0a1b2c3d4e5f6g7h8i9j0k1l2m']],
    ['/run/systemd/users/.#bus0123456789abcdef', ['!hash:0123456789abcdef']],
    // What stands beside it in the same name goes with it.
    ['/log/a-20261121-3.log', ['!stamp:20261121', '!number:3']],
    ['/log/20261121-3f2a9c1d.log', ['!stamp:20261121', '!hash:3f2a9c1d']],
    [
      '/m/1795211392.M77P4711.host,S=312',
      ['!number:1795211392', '!number:77', '!number:4711', '!number:312'],
    ],
  ])('%s', (path, expected) => {
    expect(tokens(path)).toEqual(expected)
  })
})

describe('what only siblings can tell', () => {
  test.each([
    ['/q/12.msg', ['number:12']],
    ['/q/x-01', ['number:01']],
    ['/srv/app-1.2.3.tgz', ['number:1', 'number:2', 'number:3']],
    ['/srv/3f2a9c1d', ['hash:3f2a9c1d']],
    ['/srv/0123456789ab', ['hash:0123456789ab']],
    ['/srv/deadbeef2024', ['hash:deadbeef2024']],
    // Words, and a number: nothing that a program of these has made.
    ['/srv/venv-Linux6', ['number:6']],
    ['/src/ccabcDef.py', []],
    ['/tmp/fileserver', []],
    ['/tmp/report-august24', ['number:24']],
    ['/tmp/report-0b23abcd', ['hash:0b23abcd']],
    ['/srv/cache-xwsg_zs7', ['number:7']],
    [
      '/srv/6ba7b810-9dad-11d1-80b4-00c04fd430c8/part-7',
      ['!uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'number:7'],
    ],
    ['/srv/20261121.mp3', ['!stamp:20261121', 'number:3']],
    ['/lib/x86_64', ['number:86', 'number:64']],
    [
      '/l/linux-5.10.0-1deb12u1_amd64',
      ['number:5', 'number:10', 'number:0', 'number:1', 'number:12', 'number:1', 'number:64'],
    ],
    ['/proc/sys/net/7', ['number:7']],
  ])('%s', (path, expected) => {
    expect(tokens(path)).toEqual(expected)
  })

  test.each([
    ['/etc/passwd'],
    ['/srv/deadbeef/facade/defaced'],
    ['/srv/DEADBEEF'],
    ['/srv/beefcafe/cafebabe.txt'],
    ['/srv/ab/cd/names.txt'],
    [''],
    ['/'],
  ])('%s has nothing', (path) => {
    expect(tokens(path)).toEqual([])
  })

  test.each([['/srv/d41d8cd98f00b204xyz'], ['/srv/d41D8cd98f00B204']])('%s is no hash', (path) => {
    expect(tokens(path)).not.toContainEqual(expect.stringMatching(/hash:/))
  })
})

const PATH = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc
    .array(
      fc.constantFrom(
        ...['/', '.', '-', '_', '+(', 'x', 'tmp', 'Ab3', '7', '0042', '2026', '2026-11-20', '.#', '/proc/'],
        ...[
          'd41d8cd98f00b204',
          MD5,
          '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
          'k3x_9a2b',
          'aB3xYz',
          '1795211392.5',
        ],
      ),
      { maxLength: 12 },
    )
    .map((parts) => parts.join('')),
)

describe('law', () => {
  test('tokens stand in their order, side by side, where they say, and hold neither nothing nor a slash', () => {
    let found = 0
    fc.assert(
      fc.property(PATH, (path) => {
        let at = 0
        for (const { text, start, end } of tokensOf(path)) {
          expect(start).toBeGreaterThanOrEqual(at)
          expect(path.slice(start, end)).toBe(text)
          expect(text).toMatch(/^[^/]+$/)
          at = end
          found++
        }
      }),
      { numRuns: 1000 },
    )
    expect(found).toBeGreaterThan(500)
  })

  test('a number of four digits and more, a date and a digest is never left out, wherever it stands', () => {
    const certain = fc.oneof(
      fc.integer({ min: 1000 }).map(String),
      fc.uuid(),
      fc.stringMatching(/^[0-9a-f]{32}$/).filter((text) => /\d/.test(text) && /[a-f]/.test(text)),
      fc
        .date({ min: new Date('1900-01-01'), max: new Date('2099-12-31'), noInvalidDate: true })
        .map((date) => date.toISOString().slice(0, 10)),
    )
    const word = fc.constantFrom('', 'job', 'job-', 'a.', '.x_')
    fc.assert(
      fc.property(word, certain, fc.constantFrom('', '.log', '-x', '/y'), (before, text, after) => {
        const path = `/srv/${before === 'job' && /[a-f-]/.test(text) ? 'job-' : before}${text}${after}`
        const found = tokensOf(path).filter(({ isStrong }) => isStrong)
        expect(found.map((token) => token.text)).toEqual([text])
      }),
    )
  })
})
