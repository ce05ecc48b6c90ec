import { describe, expect, test } from 'vitest'
import { type DangerShape, DANGERS, dangersOf, type Normal } from '../../agent/detect/dangers.ts'
import type { Finding } from '../../agent/domain/report.ts'
import { APP, file, finding, program, SHELL } from '../support/findings.ts'

const NORMAL: Normal = {
  isService: (process) => process === APP || process === program('/usr/sbin/sshd', undefined, 'root'),
  isUnseen: () => false,
  isWritten: (path) => path === '/var/log/nginx/access.log',
  writerOf: (path) => (path === '/srv/up/x' ? { by: APP, timeMs: 1_794_999_880_000 } : undefined),
}
const SSHD = program('/usr/sbin/sshd', undefined, 'root')
const CURL = program('/usr/bin/curl')
const shapes = (...findings: Finding[]): DangerShape[] =>
  dangersOf(findings, NORMAL).map(({ shape }) => shape)

describe('a dangerous shape', () => {
  const CASES: readonly (readonly [what: string, finding: Finding, shape: DangerShape])[] = [
    ['a shell that connects', finding('connect', [SHELL], 'host:198.51.100.7:4444'), 'shell-connects'],
    ['busybox sh', finding('connect', [program('/bin/busybox')], 'host:198.51.100.7:80'), 'shell-connects'],
    [
      'an interpreter without a script',
      finding('connect', [program('/usr/bin/python3.11')], 'host:[2001:db8::1]:4444'),
      'shell-connects',
    ],
    ['socat', finding('connect', [program('/usr/bin/socat')], 'host:c2.test:443'), 'relay-connects'],
    ['nc to this host', finding('connect', [program('/bin/nc')], 'host:127.0.0.1:6379'), 'relay-inside'],
    ['a download from nowhere', finding('connect', [CURL], 'host:203.0.113.66:8080'), 'downloader-connects'],
    ['a service that runs a shell', finding('exec', [APP], SHELL), 'service-shell'],
    ['a command that was put in', finding('exec', [APP, SHELL], program('/usr/bin/id')), 'below-service'],
    ['a program in /tmp', finding('exec', [SHELL], program('/tmp/.s')), 'temporary-exec'],
    ['a script in /dev/shm', finding('exec', [SHELL], program('/bin/dash', '/dev/shm/x')), 'temporary-exec'],
    ['a hidden program', finding('exec', [SHELL], program('/home/app/.cache/x')), 'hidden-exec'],
    ['a memfd', finding('memory-exec', [SHELL], program('/memfd:x (deleted)')), 'memory-exec'],
    ['a program without a file', finding('exec', [SHELL], program('/opt/x (deleted)')), 'deleted-exec'],
    [
      'a setuid bit',
      finding('attribute', [program('/usr/bin/chmod')], file('attribute', '/usr/local/bin/x'), {
        mode: 0o4755,
      }),
      'setuid-file',
    ],
    [
      'root by a program of his own',
      finding('privilege', [program('/tmp/.rb')], program('/tmp/.rb', undefined, 'root')),
      'became-root',
    ],
    ['a debugger', finding('trace', [program('/usr/bin/gdb')], program('/usr/bin/redis-server')), 'traced'],
    [
      'nc that listens',
      finding('listen', [program('/usr/bin/nc.openbsd')], 'host:0.0.0.0:31337'),
      'shell-listens',
    ],
    [
      'a web server of python',
      finding('listen', [program('/usr/bin/python3.11', '-m http.server')], 'host:0.0.0.0:8000'),
      'shell-listens',
    ],
    [
      'a log of others that is cut',
      finding('write', [program('/usr/bin/truncate')], file('write', '/var/log/nginx/access.log')),
      'log-wiped',
    ],
    [
      'a history that goes',
      finding('delete', [program('/bin/rm')], file('delete', '/root/.bash_history')),
      'log-wiped',
    ],
    [
      'a worker of a service',
      finding('exec', [APP, APP.replace(':app:', ':worker:')], program('/usr/bin/dash', undefined, 'worker')),
      'service-shell',
    ],
    [
      'a module of the kernel',
      finding('exec', [SHELL], program('/usr/bin/kmod'), { argv: ['insmod', '/root/x.ko'] }),
      'module-load',
    ],
    [
      'rights for a program',
      finding('exec', [SHELL], program('/usr/sbin/setcap'), { argv: ['setcap', 'x', '/y'] }),
      'rights-tool',
    ],
    [
      'a command below php-fpm',
      finding('exec', [program('/usr/sbin/php-fpm8.2'), SHELL], program('/usr/bin/id')),
      'below-service',
    ],
    ['a job', finding('create', [SHELL], file('create', '/etc/cron.d/x')), 'sensitive-file'],
    ['a key', finding('write', [SHELL], file('write', '/home/admin/.ssh/authorized_keys')), 'sensitive-file'],
    ['a web shell', finding('rename', [APP], file('rename', '/srv/www/x.php')), 'service-page'],
    ['a page', finding('create', [program('/usr/bin/git')], file('create', '/srv/www/x.php')), 'web-page'],
    [
      'a hook of git',
      finding('write', [SHELL], file('write', '/srv/x.git/hooks/post-receive')),
      'sensitive-file',
    ],
    [
      'a look at passwords',
      finding('exec', [SHELL], program('/usr/bin/cat'), { argv: ['cat', '/etc/shadow'] }),
      'secret-named',
    ],
    ['another user', finding('exec', [SHELL], program('/usr/sbin/useradd')), 'account-tool'],
  ]
  test.each(CASES)('is %s', (_what, one, shape) => {
    expect(shapes(one)).toContain(shape)
  })

  test('is a shell that a program runs for a request, as the service itself would', () => {
    const cgi = program('/usr/bin/perl', '/srv/cgi/lookup.pl')
    expect(dangersOf([finding('exec', [APP, cgi], SHELL)], NORMAL)).toMatchObject([
      {
        shape: 'service-shell',
        reason: 'lookup.pl works for app.py, which takes connections, and never ran a shell before',
      },
    ])
    expect(shapes(finding('exec', [APP, cgi], CURL))).toEqual(['below-service'])
    expect(shapes(finding('exec', [APP, cgi], program('/usr/bin/file')))).toEqual([])
    expect(shapes(finding('exec', [SSHD, SHELL, cgi], SHELL))).toEqual([])
    expect(shapes(finding('exec', [APP, SHELL, program('/usr/bin/tar')], SHELL))).toEqual([])
  })

  test('is what a shell runs that was found below a service before, and weighs more', () => {
    const normal: Normal = { ...NORMAL, isUnseen: (from, to) => from === APP && to === SHELL }
    const ran = (...above: string[]): DangerShape[] =>
      dangersOf([finding('exec', above, program('/usr/bin/id'))], normal).map(({ shape }) => shape)
    expect(ran(APP, SHELL)).toEqual(['below-odd-shell'])
    expect(ran(APP, SHELL, program('/usr/bin/bash'))).toEqual(['below-odd-shell'])
    expect(ran(APP, program('/usr/bin/bash'), SHELL)).toEqual(['below-service'])
  })

  test('is a program that the same processes wrote before', () => {
    const write = finding('write', [CURL], file('write', '/tmp/.x'))
    const run = finding('exec', [SHELL], program('/usr/bin/dash', '/tmp/.x'), { atMs: 1250 })
    const [danger] = dangersOf([write, run], NORMAL).filter(({ shape }) => shape === 'wrote-and-ran')
    expect(danger?.reason).toBe('/tmp/.x was written 1.25 s before it was executed, by curl')
    expect(shapes(run, { ...write, firstMs: write.firstMs + 2000 })).not.toContain('wrote-and-ran')
  })

  test('is little when a linker wrote it, and nobody who calls himself one', () => {
    const run = finding('exec', [SHELL], program('/home/app/tool'), { atMs: 1250 })
    const shapesAfter = (writer: string): DangerShape[] =>
      shapes(finding('create', [writer], file('create', '/home/app/tool')), run)
    for (const linker of [
      '/usr/bin/x86_64-linux-gnu-ld.bfd',
      '/usr/bin/ld.lld',
      '/usr/lib/go-1.19/pkg/tool/linux_amd64/link',
    ])
      expect(shapesAfter(program(linker))).toEqual(['built-and-ran'])
    const elsewhere = finding('exec', [SHELL], program('/tmp/x'), { atMs: 1250 })
    const built = (by: string): Finding => finding('create', [by], file('create', '/tmp/x'))
    expect(shapes(built(program('/usr/bin/ld')), elsewhere)).toEqual(['built-and-ran'])
    expect(shapes(built(program('/usr/bin/ld', undefined, 'other')), elsewhere)).toContain('temporary-exec')
    for (const other of ['/home/app/ld', '/usr/bin/link', '/usr/bin/xld'])
      expect(shapesAfter(program(other))).toEqual(['wrote-and-ran'])
  })

  test('is one that somebody wrote earlier', () => {
    const run = finding('exec', [SHELL], program('/srv/up/x'))
    expect(dangersOf([run], NORMAL)).toMatchObject([
      { shape: 'wrote-and-ran', reason: '/srv/up/x was written 120 s before it was executed, by app.py' },
    ])
  })

  test('weighs half when only what was reported before has it, and whole when both have it together', () => {
    const write = finding('write', [CURL], file('write', '/opt/x'))
    const run = finding('exec', [SHELL], program('/opt/x'), { atMs: 1000 })
    const later = finding('connect', [program('/opt/x')], 'host:192.0.2.1:443', { atMs: 2000 })
    expect(dangersOf([run], NORMAL, [write])).toMatchObject([{ bits: DANGERS['wrote-and-ran'] }])
    expect(dangersOf([later], NORMAL, [write, run])).toMatchObject([
      {
        bits: DANGERS['wrote-and-ran'] / 2,
        reason: expect.stringMatching(/^before that, \/opt\/x was/) as string,
      },
    ])
  })

  test('is a scan of ports, and one of addresses', () => {
    const port = (number: number): Finding =>
      finding('connect', [program('/opt/x')], `host:127.0.0.1:${number}`)
    const numbers = Array.from({ length: 10 }, (_, index) => index + 20)
    expect(shapes(...numbers.map(port))).toEqual(['scan'])
    expect(shapes(...numbers.slice(1).map(port))).toEqual([])
    const hosts = numbers.map((number) => finding('connect', [program('/opt/x')], `host:10.0.0.${number}:22`))
    expect(dangersOf(hosts, NORMAL)).toMatchObject([{ reason: 'x went to 10 addresses with port 22' }])
  })

  test('is when many files have others in their place with one ending', () => {
    const number = (index: number): string => String.fromCharCode(97 + index)
    const replaced = (count: number, ending: string, by = '/usr/bin/openssl'): Finding[] =>
      Array.from({ length: count }, (_, index) => `/srv/office/${number(index)}.docx`).flatMap((path) => [
        finding('create', [program(by)], file('create', path + ending)),
        finding('delete', [program('/usr/bin/rm')], file('delete', path)),
      ])
    const [danger] = dangersOf(replaced(12, '.locked'), NORMAL)
    expect(danger?.shape).toBe('files-replaced')
    expect(danger?.reason).toContain('12 files are gone and have others in their place that end in .locked')
    expect(danger?.reason).not.toContain('more like it')
    expect(shapes(...replaced(9, '.locked'))).toEqual([])
    expect(shapes(...replaced(12, '.gz', '/usr/bin/python3.11'))).toEqual([])
    expect(shapes(...replaced(12, '.enc', '/usr/bin/gzip'))).toEqual([])
    // Beside them nothing is gone.
    expect(shapes(...replaced(12, '.locked').filter(({ edge }) => edge.kind === 'create'))).toEqual([])
    const patterns = replaced(12, '.locked').map((one) => ({
      ...one,
      edge: { ...one.edge, to: one.edge.to.replace(/office\/(.)\.docx/, String.raw`office/$1-\d+\.docx`) },
    }))
    expect(shapes(...patterns)).toEqual(['files-replaced'])
  })

  test('is a scan of a few ports of a few addresses', () => {
    const asked = (ports: readonly number[], hosts: readonly number[], network = '10.0.0'): Finding[] =>
      ports.flatMap((port) =>
        hosts.map((host) => finding('connect', [program('/opt/x')], `host:${network}.${host}:${port}`)),
      )
    expect(dangersOf(asked([22, 80, 445], [8, 9, 10, 11]), NORMAL)).toMatchObject([
      { shape: 'scan', reason: 'x went to 12 ports of several addresses' },
    ])
    expect(shapes(...asked([80, 443], [1, 2, 3, 4, 5, 6, 7]))).toEqual([])
    expect(shapes(...asked([22, 80, 445], [8, 9, 10]))).toEqual([])
    expect(shapes(...asked([22, 80, 445], [8, 9, 10, 11], '127.0.0'))).toEqual([])
  })
})

test('who packs a log that others write removes it as rotation does, and no log of logins', () => {
  const wiped = (by: string, path: string): boolean =>
    dangersOf([finding('delete', [program(by)], file('delete', path))], {
      ...NORMAL,
      isWritten: () => true,
    }).some(({ shape }) => shape === 'log-wiped')
  expect(wiped('/usr/bin/xz', '/var/log/api/api.log')).toBe(false)
  expect(wiped('/usr/bin/rm', '/var/log/api/api.log')).toBe(true)
  expect(wiped('/tmp/xz', '/var/log/api/api.log')).toBe(true)
  expect(wiped('/usr/bin/xz', '/var/log/auth.log')).toBe(true)
  for (const rotated of ['api-2026-11-22-01.log', String.raw`api-\d{4}-\d{2}-\d{2}-\d{2}\.log`])
    expect(wiped('/usr/bin/rm', `/var/log/api/${rotated}`)).toBe(false)
})

describe('no dangerous shape', () => {
  const CASES: readonly (readonly [what: string, finding: Finding])[] = [
    ['a program of its own that connects', finding('connect', [APP], 'host:203.0.113.9:443')],
    ['a shell that asks the resolver of this host', finding('connect', [SHELL], 'host:127.0.0.53:53')],
    ['a socket of this host', finding('connect', [SHELL], 'host:unix:/run/x')],
    ['curl to a name', finding('connect', [CURL], 'host:deb.debian.org:80')],
    ['a command at a prompt', finding('exec', [SSHD, SHELL], program('/usr/bin/id'))],
    ['a shell that sshd starts', finding('exec', [SSHD], SHELL)],
    ['a program in a home', finding('exec', [SHELL], program('/home/app/bin/x'))],
    ['lsmod', finding('exec', [SHELL], program('/usr/bin/kmod'), { argv: ['lsmod'] })],
    [
      'runc',
      finding(
        'memory-exec',
        [program('/usr/sbin/runc')],
        program('/memfd:runc_cloned:/proc/self/exe (deleted)'),
      ),
    ],
    ['sudo', finding('privilege', [program('/usr/bin/sudo')], program('/usr/bin/sudo', undefined, 'root'))],
    ['strace of its own child', finding('trace', [program('/usr/bin/strace')], 'proc::0:[strace]')],
    ['a mode', finding('attribute', [SHELL], file('attribute', '/srv/x'), { mode: 0o755 })],
    [
      'logrotate',
      finding('delete', [program('/usr/sbin/logrotate')], file('delete', '/var/log/syslog.2.gz')),
    ],
    [
      'what systemd does at each shutdown',
      finding(
        'write',
        [program('/usr/lib/systemd/systemd-binfmt')],
        file('write', '/proc/sys/fs/binfmt_misc/status'),
      ),
    ],
    ['a job that goes', finding('delete', [SHELL], file('delete', '/etc/cron.d/x'))],
    ['a host that ssh knows now', finding('create', [SHELL], file('create', '/root/.ssh/known_hosts'))],
    ['a history of a shell', finding('write', [SHELL], file('write', '/root/.bash_history'))],
    ['a log of its own', finding('write', [SHELL], file('write', '/var/log/backup.log'))],
    ['a resolver', finding('listen', [program('/usr/bin/nc')], 'host:0.0.0.0:0')],
  ]
  test.each(CASES)('has %s', (_what, one) => {
    expect(shapes(one)).toEqual([])
  })
})

test('each shape stands there once, with all that shows it, the weightiest first', () => {
  const dangers = dangersOf(
    [
      finding('exec', [APP, SHELL], program('/usr/bin/id')),
      finding('exec', [APP, SHELL], program('/usr/bin/whoami')),
      finding('connect', [APP, SHELL], 'host:203.0.113.66:4444'),
    ],
    NORMAL,
  )
  expect(dangers.map(({ shape, bits, findings }) => [shape, bits, findings.length])).toEqual([
    ['shell-connects', DANGERS['shell-connects'], 1],
    ['below-service', DANGERS['below-service'], 2],
  ])
})
