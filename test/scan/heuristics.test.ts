import { describe, expect, test } from 'vitest'
import { ScanConfig } from '../../agent/config/scan.ts'
import { marksOf, type Surroundings } from '../../agent/scan/heuristics.ts'
import type { SeenProcess } from '../../agent/scan/processes.ts'
import type { SeenSocket } from '../../agent/scan/sockets.ts'

const { weights } = ScanConfig.parse({})
const STARTED_MS = 1_000_000

const ORDINARY: SeenProcess = {
  ...{ pid: 100, ppid: 1, uid: 33, user: 'www-data', container: '', name: 'proc::www-data:/usr/bin/work' },
  ...{ exe: '/usr/bin/work', script: '', comm: 'work', argv: ['work', '--for', 'me'], cwd: '/' },
  ...{ isZombie: false, startTicks: 1, startMs: STARTED_MS, cpuMs: 0, rssBytes: 1, tty: undefined },
  ...{
    tracerPid: 0,
    forged: undefined,
    temporaryCode: undefined,
    inputPath: '',
    successor: undefined,
    claimed: undefined,
    writableCode: undefined,
    listening: [],
    outgoing: [],
  },
  ...{ standardSocket: undefined, unread: new Set() },
}

function marks(
  told: Partial<SeenProcess>,
  around: Partial<Surroundings> = {},
  cpu: { cpuPercent: number; cpuOverMs: number } = { cpuPercent: 0, cpuOverMs: 60_000 },
): [string, number][] {
  const process = { ...ORDINARY, ...told }
  const surroundings: Surroundings = {
    ...{ byPid: new Map([[process.pid, process]]), kernelThreads: new Set(['kworker/0:0', 'nfsd']) },
    ...{ watchedPorts: new Set([4444, 40_000]), handedOut: { from: 32_768, to: 60_999 }, cpuHigh: 90 },
    ...{ packagedMs: () => undefined, isUsualParent: () => false, ...around },
  }
  return marksOf({ process, ...cpu }, surroundings, weights).map(({ heuristic, points }) => [
    heuristic,
    points,
  ])
}

const socket = (told: Partial<SeenSocket>): SeenSocket => ({
  ...{ protocol: 'tcp', state: 'connected', localAddress: '192.0.2.1', localPort: 50_000 },
  ...{ remoteAddress: '203.0.113.66', remotePort: 443, ...told },
})

test('an ordinary process has no sign', () => {
  expect(marks({})).toEqual([])
})

describe('a program whose file is gone', () => {
  const exe = '/usr/sbin/sshd (deleted)'
  test.each([
    ['was removed', { exe, successor: 'none' }, undefined, 4],
    [
      'has another in its place, of its package, since',
      { exe, successor: 'of this host' },
      STARTED_MS + 1,
      1,
    ],
    ['has another in its place, of its package, from before', { exe, successor: 'of this host' }, 1, 4],
    ['has another in its place, of no package', { exe, successor: 'of this host' }, undefined, 2],
    ['has another in its place, in its container', { exe, successor: 'of another root' }, STARTED_MS + 1, 2],
    [
      'has another in its place, and nobody knows since when it runs',
      { exe, successor: 'of this host', startMs: 0 },
      1,
      1,
    ],
  ] as const)('%s', (_, told, changedMs, points) => {
    const packagedMs = (path: string): number | undefined =>
      path === '/usr/sbin/sshd' ? changedMs : undefined
    expect(marks(told, { packagedMs })).toEqual([['deleted_exe', points]])
  })

  test('is looked for by the name that it had before dpkg put another in its place', () => {
    const packagedMs = (path: string): number | undefined =>
      path === '/usr/sbin/sshd' ? STARTED_MS + 1 : undefined
    const told = { exe: '/usr/sbin/sshd.dpkg-tmp (deleted)', successor: 'of this host' } as const
    expect(marks(told, { packagedMs })).toEqual([['deleted_exe', 1]])
  })
})

describe('a program from memory', () => {
  const exe = '/memfd:runc_cloned:/proc/self/exe (deleted)'
  const parent = (path: string): Partial<Surroundings> => ({
    byPid: new Map([[1, { ...ORDINARY, pid: 1, ppid: 0, exe: path }]]),
  })
  test.each([
    ['of a container runtime is hardly one', { exe, uid: 0 }, '/usr/bin/containerd-shim-runc-v2', 1],
    ['that only calls itself so is one', { exe, uid: 0 }, '/usr/bin/bash', 5],
    ['in a container is one', { exe, uid: 0, container: 'web' }, '/usr/bin/containerd-shim-runc-v2', 5],
    ['of a user is one', { exe }, '/usr/bin/containerd-shim-runc-v2', 5],
    ['with another name is one', { exe: '/memfd:x (deleted)', uid: 0 }, '/usr/bin/containerd-shim', 5],
  ] as const)('%s', (_, told, path, points) => {
    expect(marks(told, parent(path))).toEqual([['memfd_exe', points]])
  })
})

describe('a watched port', () => {
  test.each([
    ['listens', { listening: [socket({ state: 'listening', localPort: 4444 })] }, true],
    [
      'waits for datagrams',
      { listening: [socket({ protocol: 'udp', state: 'listening', localPort: 4444 })] },
      true,
    ],
    [
      // A question by UDP has a port that nobody chose.
      'asked by a datagram',
      { listening: [socket({ protocol: 'udp', state: 'listening', localPort: 40_000 })] },
      false,
    ],
    ['connects', { outgoing: [socket({ remotePort: 4444 })] }, true],
    ['tries to connect', { outgoing: [socket({ state: 'connecting', remotePort: 4444 })] }, true],
    ['has it as its own end', { outgoing: [socket({ localPort: 40_000 })] }, false],
  ] as const)('%s: %j', (_, told, is) => {
    expect(marks(told)).toEqual(is ? [['watched_port', 3]] : [])
  })
})

describe('work', () => {
  test.each([
    [90, 60_000, true],
    [250, 600, true],
    [89.9, 60_000, false],
    // Who begins needs all of a processor.
    [100, 100, false],
  ])('%j %% over %j ms', (cpuPercent, cpuOverMs, is) => {
    expect(marks({}, {}, { cpuPercent, cpuOverMs })).toEqual(is ? [['high_cpu', 1]] : [])
  })

  test('many connections are those that it began', () => {
    const many = Array.from({ length: 100 }, () => socket({}))
    expect(marks({ outgoing: many })).toEqual([['many_conns', 1]])
    expect(marks({ outgoing: many.slice(1) })).toEqual([])
  })
})

describe('a name of the kernel', () => {
  test.each([
    [{ argv: ['[kworker/0:0]'] }, true],
    [{ argv: ['[nfsd]'] }, true],
    [{ argv: ['[kworker/u8:3-events_unbound]', 'x'] }, true],
    [{ argv: ['[ksoftirqd/12]'] }, true],
    [{ argv: ['[jbd2/sda1-8]'] }, true],
    [{ argv: ['work'], comm: 'kworker/2:1' }, true],
    [{ argv: ['work'], comm: 'kdevtmpfsi' }, true],
    [{ argv: ['[celeryd: worker1]', 'x'] }, false],
    [{ argv: ['[ora_pmon]', 'x'] }, false],
    [{ argv: ['nfsd', 'x'], comm: 'nfsd' }, false],
    [{ argv: ['[]', 'xx'] }, false],
  ])('%j', (told, is) => {
    expect(marks(told)).toEqual(is ? [['disguised', 4]] : [])
  })
})

describe('a command line', () => {
  const SHELL = { exe: '/usr/bin/bash', tty: 'pts/0' }
  test.each([
    [{ ...SHELL, argv: ['bash', '-c', 'echo Y3VybCB4 | base64 -d | sh'] }, true],
    [{ ...SHELL, argv: ['bash', '-c', 'cat${IFS}/etc/passwd'] }, true],
    [{ ...SHELL, argv: ['bash', '-c', "$'\\x63\\x75\\x72\\x6c\\x20\\x78'"] }, true],
    [{ ...SHELL, argv: ['bash', '-c', 'eval "$(curl -s x)"'] }, true],
    [
      { exe: '/usr/bin/python3.11', argv: ['python3', '-c', "exec(__import__('base64').b64decode('aW1w'))"] },
      true,
    ],
    [{ exe: '/usr/bin/perl', argv: ['perl', '-e', 'print pack("H*", "636174")'] }, true],
    [{ exe: '/usr/bin/python3.11', argv: ['python3', '-c', `x = '${'aB3d'.repeat(50)}'`] }, true],
    [{ argv: ['work', 'a\u202eb'] }, true],
    [{ argv: ['work', '\u001b[2J'] }, true],
    [{ ...SHELL, argv: ['bash', '-c', 'for i in 1 2 3; do\n\techo "$i"\ndone'] }, false],
    [{ ...SHELL, argv: ['bash', '-c', 'exec /usr/bin/app --token abcdef'] }, false],
    // Tokens and keys are given to programs.
    [{ argv: ['work', '--jwt', 'aB3d'.repeat(50)] }, false],
    [
      {
        exe: '/usr/bin/python3.11',
        script: '/srv/app.py',
        argv: ['python3', '/srv/app.py', 'aB3d'.repeat(50)],
      },
      false,
    ],
  ])('%j hides something: %j', (told, is) => {
    expect(marks(told)).toEqual(is ? [['obfuscated_cmdline', 1]] : [])
  })

  test.each([
    [{ argv: [] }, 'empty_cmdline'],
    [{ argv: ['', ''] }, 'empty_cmdline'],
    [{ argv: ['./a'] }, 'short_cmdline'],
  ])('%j', (told, mark) => {
    expect(marks(told)).toEqual([[mark, 1]])
  })
})

test('a shell that takes commands without a terminal is one unless somebody who logged in has it', () => {
  const shell = { exe: '/usr/bin/bash', argv: ['bash', '-s'], ppid: 7 }
  const below = (exe: string): Partial<Surroundings> => ({
    byPid: new Map([[7, { ...ORDINARY, pid: 7, exe }]]),
  })
  expect(marks(shell, below('/usr/bin/work'))).toEqual([['no_tty', 1]])
  expect(marks({ ...shell, tty: 'pts/0' }, below('/usr/bin/work'))).toEqual([])
  expect(marks(shell, below('/usr/sbin/sshd'))).toEqual([])
})

test('a parent that was usual in the training counts half', () => {
  const shell = { exe: '/usr/bin/dash', argv: ['sh', '-c', 'convert a b'], ppid: 7, name: 'shell' }
  const server = { ...ORDINARY, pid: 7, exe: '/usr/sbin/php-fpm8.2', name: 'server' }
  const byPid = new Map([[7, server]])
  expect(marks(shell, { byPid })).toEqual([['unusual_parent', 3]])
  const isUsualParent = (parent: string, child: string): boolean => parent === 'server' && child === 'shell'
  expect(marks(shell, { byPid, isUsualParent })).toEqual([['unusual_parent', 1.5]])
})

test('reasons cannot write a second line', () => {
  const told = { ...ORDINARY, exe: '/tmp/a\nb\u001b[2J' }
  const [mark] = marksOf(
    { process: told, cpuPercent: 0, cpuOverMs: 0 },
    {
      ...{ byPid: new Map(), kernelThreads: new Set(), watchedPorts: new Set(), cpuHigh: 90 },
      ...{ handedOut: { from: 1, to: 2 }, packagedMs: () => undefined, isUsualParent: () => false },
    },
    weights,
  )
  expect(mark?.reason).toBe('its program /tmp/a\\x0ab\\x1b[2J is in a place for temporary files')
})

describe('a program in the words of its command line that is connected to another host', () => {
  const code = {
    exe: '/usr/bin/perl',
    argv: ['perl', '-MIO::Socket', '-e', 'while(<$s>){print $s `$_`}'],
    ppid: 7,
  }
  const outgoing = [socket({})]
  const below = (told: Partial<SeenProcess>): Partial<Surroundings> => ({
    byPid: new Map([[7, { ...ORDINARY, pid: 7, ...told }]]),
  })
  test.each([
    ['is commanded from there', { ...code, outgoing }, {}, true],
    [
      'in Python, too',
      { exe: '/usr/bin/python3.13', argv: ['python3', '-Ic', 'x'], ppid: 7, outgoing },
      {},
      true,
    ],
    ['talks to itself', { ...code, outgoing: [socket({ remoteAddress: '127.0.0.1' })] }, {}, false],
    ['asks for a name', { ...code, outgoing: [socket({ protocol: 'udp' })] }, {}, false],
    ['is that of a person', { ...code, outgoing }, { exe: '/usr/sbin/sshd' }, false],
    ['is a worker of a script', { ...code, outgoing }, { exe: '/usr/bin/perl', script: '/srv/app' }, false],
    ['has a title instead', { ...code, argv: ['worker -e 1'], outgoing }, {}, false],
    ['is a script', { ...code, script: '/srv/x.pl', outgoing }, {}, false],
  ] as const)('%s', (_, told, parent, isSign) => {
    expect(marks(told, below(parent))).toEqual(isSign ? [['shell_socket', 3]] : [])
  })
})

test.each(['/var/lib/php/sessions/.x', '/var/crash/x', '/run/lock/x'])(
  '%s is where anybody may put programs',
  (exe) => {
    expect(marks({ exe })).toEqual([['tmp_exe', 4]])
  },
)

describe('what runs from a temporary place although its program is elsewhere', () => {
  const loaded = { temporaryCode: '/tmp/x/evil' }
  test.each([
    ['is loaded by the loader', { ...loaded, exe: '/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2' }, 4],
    ['is a library', loaded, 2],
    [
      'is the input of an interpreter',
      { exe: '/usr/bin/python3', argv: ['python3'], inputPath: '/dev/shm/x' },
      2,
    ],
    [
      'is the input of a program in words',
      { exe: '/usr/bin/python3', argv: ['python3', '-c', 'x'], inputPath: '/tmp/x' },
      0,
    ],
    ['is the input of a script', { exe: '/usr/bin/python3', script: '/srv/x', inputPath: '/tmp/x' }, 0],
    ['is the input of another program', { exe: '/usr/bin/sort', inputPath: '/tmp/x' }, 0],
    [
      'is a here-document',
      { exe: '/usr/bin/bash', tty: 'pts/0', argv: ['bash', '-e'], inputPath: '/tmp/sh-thd.Ab1 (deleted)' },
      0,
    ],
    [
      'is the input of a shell',
      { exe: '/usr/bin/bash', tty: 'pts/0', argv: ['bash', '-e'], inputPath: '/tmp/x' },
      2,
    ],
  ] as const)('%s', (_, told, points) => {
    expect(marks(told)).toEqual(points === 0 ? [] : [['tmp_exe', points]])
  })
})
