import { describe, expect, test } from 'vitest'
import { type Deed, neverLearned } from '../../agent/detect/never-learn.ts'
import type { ProcessImage } from '../../agent/domain/activity.ts'
import type { EdgeKind } from '../../agent/domain/edge.ts'
import type { AuditEvent } from '../../agent/domain/event.ts'
import { processName } from '../../agent/graph/names.ts'

const image = (exe: string, script?: string, origin?: ProcessImage): ProcessImage => ({
  ...{ container: '', user: 'app', exe, script, origin, depth: origin === undefined ? 0 : origin.depth + 1 },
})

/** An event of which only this is looked at. */
const event = (more: { argv?: readonly string[]; a1?: number; a2?: number } = {}): AuditEvent =>
  ({ argv: more.argv ?? [], syscall: { a1: more.a1 ?? 0, a2: more.a2 ?? 0 } }) as unknown as AuditEvent

function deed(kind: EdgeKind, source: ProcessImage, to: string, more: Partial<Deed> = {}): Deed {
  const prefix = `file:${kind}:`
  return {
    edge: { kind, from: processName(source), to },
    printed: to,
    source,
    filePath: to.startsWith(prefix) ? to.slice(prefix.length) : undefined,
    event: event(),
    call: '',
    ...more,
  }
}

const BASH = image('/usr/bin/bash')
const CURL = image('/usr/bin/curl')
const exec = (source: ProcessImage, target: ProcessImage, argv: readonly string[] = []): Deed =>
  deed('exec', source, processName(target), { event: event({ argv }) })

describe('a connection', () => {
  const connect = (source: ProcessImage, to: string, printed = to): Deed =>
    deed('connect', source, to, { printed })

  test.each([
    ['a shell', BASH],
    ['a shell that runs a script', image('/usr/bin/dash', '/opt/x.sh')],
    ['netcat of Debian', image('/usr/bin/nc.openbsd')],
    ['socat', image('/usr/bin/socat1')],
    ['an applet of busybox', image('/bin/busybox', '-m nc')],
  ])('of %s to an address outside is that of a reverse shell', (_, source) => {
    expect(neverLearned(connect(source, 'host:203.0.113.66:4444'))).toBe('reverse-shell')
    expect(neverLearned(connect(source, 'host:[2001:db8::1]:443'))).toBe('reverse-shell')
  })

  test('of another program is none', () => {
    expect(neverLearned(connect(CURL, 'host:203.0.113.66:4444'))).toBeUndefined()
    expect(neverLearned(connect(image('/usr/bin/python3.11'), 'host:203.0.113.66:4444'))).toBeUndefined()
  })

  test('to an address that has a name is none, whatever that name looks like', () => {
    expect(neverLearned(connect(BASH, 'host:203.0.113.66:80', 'host:api.partner.test:80'))).toBeUndefined()
    expect(
      neverLearned(connect(BASH, 'host:203.0.113.66:80', 'host:203.0.113.66.partner.test:80')),
    ).toBeUndefined()
  })

  test('to an address that only its network is known of has no name', () => {
    expect(neverLearned(connect(BASH, 'host:203.0.113.66:80', 'host:203.0.113.0/24:80'))).toBe(
      'reverse-shell',
    )
  })

  // RFC 1918, 3927, 4193, 4291, 5771, 6598.
  test.each([
    ...['127.0.0.1', '10.200.0.2', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254'],
    ...['100.64.0.1', '100.127.255.254', '224.0.0.1', '255.255.255.255', '0.0.0.0'],
    ...['[::1]', '[::]', '[fe80::1]', '[fd00::5]', '[ff02::fb]', '[::ffff:10.0.0.1]'],
  ])('within the networks of a site, %s, is none', (address) => {
    expect(neverLearned(connect(BASH, `host:${address}:4444`))).toBeUndefined()
  })

  test.each([
    '172.15.0.1',
    '172.32.0.1',
    '100.128.0.1',
    '11.0.0.1',
    '198.51.100.7',
    '[2a00:1450::5]',
    '[::ffff:8.8.8.8]',
  ])('next to these, %s, is one', (address) => {
    expect(neverLearned(connect(BASH, `host:${address}:4444`))).toBe('reverse-shell')
  })

  test('to a resolver, or to a socket of this host, is none', () => {
    expect(neverLearned(connect(BASH, 'host:8.8.8.8:53'))).toBeUndefined()
    expect(neverLearned(connect(BASH, 'host:unix:/run/docker.sock'))).toBeUndefined()
  })
})

describe('execution', () => {
  test.each(['/tmp/x', '/var/tmp/.y/z', '/dev/shm/kworkerd', '/run/user/1000/a'])(
    'of %s is from a temporary directory, and so is whatever it does',
    (exe) => {
      expect(neverLearned(exec(BASH, image(exe)))).toBe('temporary-exec')
      expect(neverLearned(exec(BASH, image('/usr/bin/dash', exe)))).toBe('temporary-exec')
      expect(neverLearned(deed('connect', image(exe), 'host:10.0.0.1:80'))).toBe('temporary-exec')
    },
  )

  test.each(['/tmpx/a', '/usr/tmp/a', '/run/user/a', '/run/usr/1/a', '/srv/tmp/a'])('of %s is not', (exe) => {
    expect(neverLearned(exec(BASH, image(exe)))).toBeUndefined()
  })

  test('of a file whose name only holds that of a directory is not', () => {
    expect(neverLearned(exec(BASH, image('/srv/a</tmp/b')))).toBeUndefined()
  })

  test('from memory is never learned, nor what such a program does', () => {
    const anonymous = image('/memfd:x (deleted)', undefined, image('/usr/bin/python3.11'))
    expect(neverLearned(exec(image('/usr/bin/python3.11'), anonymous))).toBe('memory-exec')
    expect(neverLearned(deed('memory-exec', image('/usr/bin/python3.11'), processName(anonymous)))).toBe(
      'memory-exec',
    )
    expect(neverLearned(deed('connect', anonymous, 'host:10.0.0.1:80'))).toBe('memory-exec')
  })

  test("of a container runtime's copy of itself is learned, and nobody else may borrow its name", () => {
    const runc = image('/usr/sbin/runc')
    const copy = image('/memfd:runc_cloned:/proc/self/exe (deleted)', undefined, runc)
    expect(neverLearned(deed('memory-exec', runc, processName(copy)))).toBeUndefined()
    expect(neverLearned(exec(runc, copy))).toBeUndefined()
    expect(neverLearned(exec(copy, image('/usr/bin/nginx')))).toBeUndefined()
    const forged = image(copy.exe, undefined, BASH)
    expect(neverLearned(deed('memory-exec', BASH, processName(forged)))).toBe('memory-exec')
    expect(neverLearned(exec(forged, image('/usr/bin/nginx')))).toBe('memory-exec')
    expect(neverLearned(exec(runc, image('/memfd:x (deleted)')))).toBe('memory-exec')
  })
})

describe('a change of rights', () => {
  const chmod = (call: string, a1: number, a2: number): Deed =>
    deed('attribute', image('/usr/bin/chmod'), 'file:attribute:/srv/x', { call, event: event({ a1, a2 }) })

  test('that sets the user of a program is never learned, by whichever call', () => {
    expect(neverLearned(chmod('chmod', 0o4755, 0))).toBe('setuid')
    expect(neverLearned(chmod('fchmod', 0o4755, 0))).toBe('setuid')
    expect(neverLearned(chmod('fchmodat', 0, 0o6755))).toBe('setuid')
    expect(neverLearned(chmod('fchmodat2', 0, 0o4111))).toBe('setuid')
  })

  test('of another kind is, and so is what has no mode', () => {
    expect(neverLearned(chmod('chmod', 0o2755, 0))).toBeUndefined()
    expect(neverLearned(chmod('fchmodat', 0o4755, 0o755))).toBeUndefined()
    // chown(path, owner, group)
    expect(neverLearned(chmod('chown', 0o4000, 0o4000))).toBeUndefined()
  })
})

describe('tampering', () => {
  test.each([
    '/etc/audit/auditd.conf',
    '/etc/audit/rules.d/x.rules',
    '/var/log/audit/audit.log.1',
    '/var/lib/fullmon/baseline.db-wal',
    '/etc/fullmon/config.yaml',
  ])('with %s is never learned', (path) => {
    expect(neverLearned(deed('write', BASH, `file:write:${path}`))).toBe('tamper')
  })

  test('with the files of an agent that was put elsewhere is not either', () => {
    const write = deed('write', BASH, 'file:write:/srv/guard/b.db')
    expect(neverLearned(write)).toBeUndefined()
    expect(neverLearned(write, { log: undefined, own: ['/srv/guard/b.db'], configuration: [] })).toBe(
      'tamper',
    )
  })

  test('by auditctl is told from looking, and from the rules that are loaded at a start', () => {
    const auditctl = image('/usr/sbin/auditctl')
    expect(neverLearned(exec(BASH, auditctl, ['auditctl', '-D']))).toBe('tamper')
    expect(neverLearned(exec(BASH, auditctl, ['auditctl', '-e', '0']))).toBe('tamper')
    expect(neverLearned(exec(BASH, auditctl, ['auditctl', '-l']))).toBeUndefined()
    expect(neverLearned(exec(BASH, auditctl, ['auditctl', '-s', '-i']))).toBeUndefined()
    const loader = image('/usr/bin/dash', '/usr/sbin/augenrules')
    expect(neverLearned(exec(loader, auditctl, ['auditctl', '-R', '/etc/audit/audit.rules']))).toBeUndefined()
  })
})
