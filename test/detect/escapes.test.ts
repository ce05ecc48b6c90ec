import { describe, expect, test } from 'vitest'
import { escapeOf, type Worker } from '../../agent/detect/escapes.ts'
import { managerAt } from '../../agent/detect/package-managers.ts'
import type { EdgeKind } from '../../agent/domain/edge.ts'
import type { Finding } from '../../agent/domain/report.ts'

const SCRIPT = 'proc::root:/usr/bin/dash</var/lib/dpkg/info/x.postinst'
const SHELL = 'proc::root:/usr/bin/bash'
const CURL = 'proc::root:/usr/bin/curl'
const HTTP = 'proc::_apt:/usr/lib/apt/methods/http'
const DPKG = 'proc::root:/usr/bin/dpkg'
const CHMOD = 'proc::root:/usr/bin/chmod'

const WORKER: Worker = {
  manager: undefined,
  fetches: false,
  isScripted: true,
  isBrought: (path) => path === '/usr/bin/brought',
}
const EVIDENCE = { node: '', serial: 1, syscall: '', pid: 1, ppid: 1, auid: 0, comm: '', count: 1 }

interface Told {
  readonly argv?: readonly string[]
  readonly mode?: number
  readonly worker?: Partial<Worker>
}

const escape = (
  kind: EdgeKind,
  from: string,
  to: string,
  { argv = [], mode, worker }: Told = {},
): boolean => {
  const evidence: Finding['evidence'] = { ...EVIDENCE, argv, ...(mode === undefined ? {} : { mode }) }
  const edge = { kind, from, to }
  const finding: Finding = { edge, chain: [DPKG, from, to], firstMs: 0, lastMs: 0, bits: 0, evidence }
  return escapeOf(finding, { ...WORKER, ...worker }) !== undefined
}

type Case = readonly [what: string, ...deed: Parameters<typeof escape>]
const nameFirst = (each: Case): [string, Case] => [each[0], each]

describe('below a package manager', () => {
  const ESCAPES: readonly Case[] = [
    ['a shell that connects', 'connect', SHELL, 'host:203.0.113.66:4444'],
    ['a shell that connects to the port of DNS', 'connect', SHELL, 'host:203.0.113.66:53'],
    ['a shell that connects within a private network', 'connect', SHELL, 'host:10.1.2.3:4444'],
    ['a program that connects to the outside', 'connect', CURL, 'host:203.0.113.66:443'],
    ['the same over IPv6', 'connect', CURL, 'host:[2001:db8::66]:443'],
    ['a shell at a prompt', 'exec', DPKG, SHELL, { argv: ['sh'] }],
    ['an interactive shell', 'exec', DPKG, SHELL, { argv: ['bash', '-i'] }],
    ['a program in a place for temporary files', 'exec', SCRIPT, 'proc::root:/tmp/x'],
    ['a script in such a place', 'exec', SCRIPT, 'proc::root:/usr/bin/dash</var/tmp/x.sh'],
    ['a program from memory', 'memory-exec', SCRIPT, 'proc::root:/memfd:x (deleted)'],
    [
      'the setuid bit for what nobody brought',
      'attribute',
      CHMOD,
      'file:attribute:/usr/lib/x',
      { mode: 0o4755 },
    ],
    ['a key to log in with', 'create', SCRIPT, 'file:create:/root/.ssh/authorized_keys'],
    ['rights of sudo', 'create', SCRIPT, 'file:create:/etc/sudoers.d/x'],
    ['what is loaded into every program', 'write', SCRIPT, 'file:write:/etc/ld.so.preload'],
    ['a job for cron', 'create', SCRIPT, 'file:create:/var/spool/cron/crontabs/root'],
    ['a program that somebody keeps at home', 'exec', SHELL, 'proc::root:/home/u/implant'],
    ['a script that somebody keeps at home', 'exec', SHELL, 'proc::root:/usr/bin/bash</home/u/e.sh'],
    [
      'a unit that no script of a package makes',
      'create',
      SHELL,
      'file:create:/etc/systemd/system/x.service',
      { worker: { isScripted: false } },
    ],
    [
      'another sshd that no script of a package makes',
      'create',
      SHELL,
      'file:create:/usr/sbin/sshd',
      { worker: { isScripted: false } },
    ],
    [
      'a cache of libraries that ldconfig did not write',
      'create',
      'proc::root:/usr/bin/cp',
      'file:create:/etc/ld.so.cache',
      { worker: { isScripted: false } },
    ],
    ['an account that nobody keeps', 'write', 'proc::root:/usr/bin/sed', 'file:write:/etc/passwd'],
  ]
  test.each(ESCAPES.map(nameFirst))('%s is no work of packages', (_, [, ...deed]) => {
    expect(escape(...deed)).toBe(true)
  })

  const ORDINARY: readonly Case[] = [
    ['fetching packages', 'connect', HTTP, 'host:203.0.113.80:80', { worker: { fetches: true } }],
    ['asking for a name', 'connect', CURL, 'host:203.0.113.53:53'],
    ['talking to this host', 'connect', CURL, 'host:127.0.0.1:8080'],
    ['talking within a private network', 'connect', CURL, 'host:192.168.3.4:443'],
    ['a shell with code', 'exec', DPKG, SHELL, { argv: ['/bin/sh', '-c', 'x'] }],
    ['a shell with code and more options', 'exec', DPKG, SHELL, { argv: ['/bin/sh', '-ec', 'x'] }],
    ['a script of a package', 'exec', DPKG, SCRIPT, { argv: ['/bin/sh', '/x.postinst', 'configure'] }],
    [
      'a script of rpm',
      'exec',
      'proc::root:/usr/bin/rpm',
      'proc::root:/usr/bin/bash</var/tmp/rpm-tmp.1aB2c3',
    ],
    [
      'a script of apk',
      'memory-exec',
      'proc::root:/sbin/apk',
      'proc::root:/memfd:x',
      { worker: { manager: managerAt('/sbin/apk') } },
    ],
    [
      'the setuid bit for what was brought',
      'attribute',
      CHMOD,
      'file:attribute:/usr/bin/brought',
      { mode: 0o4755 },
    ],
    ['other bits', 'attribute', CHMOD, 'file:attribute:/var/lib/x', { mode: 0o755 }],
    [
      'a job that a package brings',
      'create',
      DPKG,
      'file:create:/etc/cron.d/x',
      { worker: { manager: managerAt('/usr/bin/dpkg') } },
    ],
    ['an account of a program', 'write', 'proc::root:/usr/sbin/useradd', 'file:write:/etc/passwd'],
    [
      'the cache of libraries, for which rpm and pacman start ldconfig',
      'rename',
      'proc::root:/usr/sbin/ldconfig',
      'file:rename:/etc/ld.so.cache~',
      { worker: { isScripted: false } },
    ],
    ['what scripts do all the time', 'create', SCRIPT, 'file:create:/var/lib/x/state'],
  ]
  test.each(ORDINARY.map(nameFirst))('%s may be work of packages', (_, [, ...deed]) => {
    expect(escape(...deed)).toBe(false)
  })
})
