import { expect, test } from 'vitest'
import { strangeParentOf } from '../../agent/scan/parents.ts'
import type { SeenProcess } from '../../agent/scan/processes.ts'

type Told = Partial<Pick<SeenProcess, 'script' | 'tty' | 'argv' | 'exe'>>

/** Processes, the oldest first, each the child of the one before. */
function reasonFor(...line: readonly (readonly [exe: string, told?: Told])[]): string | undefined {
  const processes = line.map(
    ([exe, told = {}], index) =>
      ({
        ...{ pid: index + 1, ppid: index, exe, script: '', container: '', user: 'www-data', argv: [exe] },
        ...told,
      }) as unknown as SeenProcess,
  )
  const last = processes.at(-1)
  return last === undefined
    ? undefined
    : strangeParentOf(last, new Map(processes.map((process) => [process.pid, process])))
}

const INIT = ['/usr/lib/systemd/systemd'] as const
const SSHD = ['/usr/sbin/sshd'] as const
const NGINX = ['/usr/sbin/nginx'] as const
const APP = ['/usr/bin/python3.11', { script: '/srv/app/app.py' }] as const
const PTY = ['/usr/bin/python3.11', { argv: ['python3', '-c', 'import pty; pty.spawn("/bin/sh")'] }] as const
const CODE = ['/usr/bin/dash', { argv: ['sh', '-c', 'convert a.png b.png; echo'] }] as const
const PROMPT = ['/usr/bin/dash', { argv: ['sh'] }] as const
const INTERACTIVE = ['/usr/bin/bash', { argv: ['bash', '-i'] }] as const
const ON_TERMINAL = ['/usr/bin/bash', { argv: ['/bin/bash'], tty: 'pts/3' }] as const
const SCRIPT = ['/usr/bin/dash', { script: '/usr/lib/x/rotate', argv: ['sh', '/usr/lib/x/rotate'] }] as const

test.each([
  ['a server', [INIT, NGINX, PROMPT]],
  ['a server, by code', [INIT, ['/usr/sbin/php-fpm8.2'], CODE]],
  ['a database', [INIT, ['/usr/lib/postgresql/15/bin/postgres'], CODE, INTERACTIVE]],
  ['a server, over a wrapper', [INIT, NGINX, ['/usr/bin/timeout'], PROMPT]],
  ['a server, over a terminal that it made', [INIT, ['/usr/sbin/apache2'], CODE, PTY, ON_TERMINAL]],
  ['a service in a script, interactive', [INIT, APP, CODE, INTERACTIVE]],
  ['a service in a script, over a terminal that it made', [INIT, APP, PTY, ON_TERMINAL]],
  [
    'what hands on connections',
    [INIT, SSHD, ['/usr/bin/bash', { script: '/x' }], ['/usr/bin/socat'], PROMPT],
  ],
] as const)('a shell below %s is unusual', (_, line) => {
  expect(reasonFor(...line)).toMatch(/^a shell .*below/)
})

test.each([
  ['a person who logged in', [INIT, SSHD, ON_TERMINAL]],
  ['an editor in a terminal', [INIT, SSHD, ON_TERMINAL, ['/usr/bin/vim.basic'], PROMPT]],
  ['cron', [INIT, ['/usr/sbin/cron'], CODE]],
  ['a service in a script, by code', [INIT, APP, CODE]],
  ['a terminal on a page, of a service for it', [INIT, APP, ON_TERMINAL]],
  [
    'the script of a person',
    [INIT, SSHD, ON_TERMINAL, ['/usr/bin/python3', { script: '/home/a/x.py' }], PROMPT],
  ],
  ['init', [INIT, PROMPT]],
  ['nobody', [PROMPT]],
] as const)('a shell below %s is not', (_, line) => {
  expect(reasonFor(...line)).toBeUndefined()
})

test.each([
  ['a script', [INIT, NGINX, SCRIPT]],
  ['no shell', [INIT, NGINX, NGINX]],
  [
    'a log that is rotated',
    [
      INIT,
      ['/usr/sbin/apache2'],
      ['/bin/dash', { argv: ['sh', '-c', '/usr/bin/rotatelogs /var/log/x 86400'] }],
    ],
  ],
] as const)('%s below a server is not', (_, line) => {
  expect(reasonFor(...line)).toBeUndefined()
})

test('a shell that is its own ancestor comes to an end', () => {
  const one = { pid: 2, ppid: 2, exe: '/bin/sh', script: '', container: '', user: 'root', argv: ['sh'] }
  expect(strangeParentOf(one as unknown as SeenProcess, new Map([[2, one as unknown as SeenProcess]]))).toBe(
    undefined,
  )
})
