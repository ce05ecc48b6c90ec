import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Core } from '../../agent/core.ts'
import { type FoundProcess, NO_WORLD, type World } from '../../agent/domain/activity.ts'
import { chainOf } from '../../agent/graph/names.ts'
import { edgeTexts, printed, runCore } from '../support/edges.ts'
import { event, execve, path, syscall } from '../support/log.ts'

const RECORDED = join(import.meta.dirname, '../fixtures/uring/linux-6.18.log')
const IO_URING_ENTER = 426
/** <linux/io_uring.h>, counted by hand. */
const OP = {
  sendmsg: 9,
  accept: 13,
  connect: 16,
  openat: 18,
  openat2: 28,
  renameat: 35,
  unlinkat: 36,
  bind: 56,
}

type Body = readonly [type: string, body: string]

const op = (name: keyof typeof OP, given: Readonly<Record<string, string | number>> = {}): Body => {
  const fields = {
    ...{ uring_op: OP[name], success: 'yes', exit: 0, items: 0, ppid: 1, pid: 100 },
    ...{ uid: 1000, gid: 1000, euid: 1000, suid: 1000, fsuid: 1000, egid: 1000, sgid: 1000, fsgid: 1000 },
    ...{ subj: 'unconfined', key: '(null)' },
    ...given,
  }
  return [
    'URINGOP',
    Object.entries(fields)
      .map(([key, value]) => `${key}=${value}`)
      .join(' '),
  ]
}

const HTTPS: Body = ['SOCKADDR', 'saddr=020001BBCB0071420000000000000000']
const CWD: Body = ['CWD', 'cwd="/srv/app"']
const exec = event(1, [
  ['SYSCALL', syscall('execve', { exe: '"/srv/server"' })],
  ['EXECVE', execve(['server'])],
])
const SERVER = 'proc::1000:/srv/server'

/** Edges of events after the first, which is the exec of the server as pid 100. */
const after = (...events: readonly (readonly Body[])[]): string[] => {
  const log = exec + events.map((records, index) => event(index + 2, records)).join('')
  return runCore(log)
    .edges.slice(1)
    .map((edge) => printed(edge))
}

describe('what a thread of the kernel did for a process', () => {
  test('is done by the process', () => {
    expect(after([op('connect'), HTTPS])).toEqual([`connect ${SERVER}->host:203.0.113.66:443`])
  })

  test.each([
    ['accept', 'accept', 'host:203.0.113.66:*'],
    ['bind', 'listen', 'host:203.0.113.66:443'],
    ['sendmsg', 'connect', 'host:203.0.113.66:443'],
  ] as const)('%s is %s', (name, kind, host) => {
    expect(after([op(name), HTTPS])).toEqual([`${kind} ${SERVER}->${host}`])
  })

  test('when it failed, is nothing but an attempt to connect', () => {
    const failed = { success: 'no', exit: -115 }
    expect(after([op('connect', failed), HTTPS])).toHaveLength(1)
    expect(after([op('bind', failed), HTTPS])).toEqual([])
    expect(after([op('unlinkat', failed), CWD, ['PATH', path(0, undefined, 5, 'PARENT')]])).toEqual([])
  })

  test('has no names: what is made is not known, what is deleted only when it has been seen', () => {
    const creates = after([
      op('openat', { items: 4 }),
      CWD,
      ['PATH', path(0, undefined, 5, 'PARENT')],
      ['PATH', path(1, undefined, 0, 'CREATE')],
      ['PATH', path(2, undefined, 5, 'PARENT')],
      ['PATH', path(3, undefined, 9, 'CREATE')],
    ])
    expect(creates).toEqual([`create ${SERVER}->file:create:?`])
    const creat: Body[] = [
      ['SYSCALL', syscall('creat', { exe: '"/srv/server"', items: 2 })],
      CWD,
      ['PATH', path(0, '/data/', 5, 'PARENT')],
      ['PATH', path(1, '/data/x', 9, 'CREATE')],
    ]
    const deletes = (directory: number): readonly Body[] => [
      op('unlinkat', { items: 2 }),
      CWD,
      ['PATH', path(0, undefined, directory, 'PARENT')],
      ['PATH', path(1, undefined, 9, 'DELETE')],
    ]
    expect(after(creat, deletes(5)).at(-1)).toBe(`delete ${SERVER}->file:delete:/data/x`)
    // Another name of the same file, in a directory that was never seen.
    expect(after(creat, deletes(6)).at(-1)).toBe(`delete ${SERVER}->file:delete:?`)
  })

  test('has no names, so what lies in a directory that it moved is not known any more', () => {
    const directory = (item: number, type: string): Body => [
      'PATH',
      path(item, undefined, 5, type).replace('mode=0100644', 'mode=040755'),
    ]
    const fchmod: Body[] = [
      ['SYSCALL', syscall('fchmod', { exe: '"/srv/server"', items: 1 })],
      CWD,
      ['PATH', path(0, undefined, 9, 'NORMAL')],
    ]
    const knows: Body[] = [
      ['SYSCALL', syscall('creat', { exe: '"/srv/server"', items: 2 })],
      CWD,
      ['PATH', path(0, '/data/', 5, 'PARENT')],
      ['PATH', path(1, '/data/x', 9, 'CREATE')],
    ]
    const moves: Body[] = [
      op('renameat', { items: 6 }),
      CWD,
      ['PATH', path(0, undefined, 2, 'PARENT')],
      directory(1, 'DELETE'),
      ['PATH', path(2, undefined, 3, 'PARENT')],
      ['PATH', path(3, undefined, 0, 'CREATE')],
      ['PATH', path(4, undefined, 3, 'PARENT')],
      directory(5, 'CREATE'),
    ]
    expect(after(knows, fchmod).at(-1)).toBe(`attribute ${SERVER}->file:attribute:/data/x`)
    expect(after(knows, moves, fchmod).at(-1)).toBe(`attribute ${SERVER}->file:attribute:?`)
  })

  test('has its directories in an order of its own, which says nothing of that of system calls', () => {
    const creat = (directory: string, inode: number): Body[] => [
      ['SYSCALL', syscall('creat', { exe: '"/srv/server"', items: 2 })],
      CWD,
      ['PATH', path(0, directory, inode, 'PARENT')],
      ['PATH', path(1, `${directory}x`, inode + 10, 'CREATE')],
    ]
    const moves: Body[] = [
      op('renameat', { items: 6 }),
      CWD,
      ['PATH', path(0, undefined, 5, 'PARENT')],
      ['PATH', path(1, undefined, 15, 'DELETE')],
      ['PATH', path(2, undefined, 6, 'PARENT')],
      ['PATH', path(3, undefined, 0, 'CREATE')],
      ['PATH', path(4, undefined, 6, 'PARENT')],
      ['PATH', path(5, undefined, 15, 'CREATE')],
    ]
    const renameat: Body[] = [
      ['SYSCALL', syscall('renameat', { exe: '"/srv/server"', a0: 3, a2: 4, items: 4 })],
      CWD,
      ['PATH', path(0, '/srv/app', 6, 'PARENT')],
      ['PATH', path(1, '/srv/app', 5, 'PARENT')],
      ['PATH', path(2, 'c', 99, 'DELETE')],
      ['PATH', path(3, 'd', 99, 'CREATE')],
    ]
    expect(after(creat('/a/', 5), creat('/b/', 6), moves, renameat).slice(-2)).toEqual(
      ['c', 'd'].map((name) => `rename ${SERVER}->file:rename:?/${name}`),
    )
  })

  test('may not be a write: how a file was opened is not told', () => {
    const opens = (name: 'openat' | 'openat2', ...more: readonly Body[]): string[] =>
      after([op(name, { items: 1 }), ...more, CWD, ['PATH', path(0, '/srv/x', 9, 'NORMAL')]])
    expect(opens('openat')).toEqual([])
    expect(opens('openat2')).toEqual([])
    expect(opens('openat2', ['OPENAT2', 'oflag=01 mode=0 resolve=0x0'])).toEqual([
      `write ${SERVER}->file:write:/srv/x`,
    ])
  })

  test('of a number that nobody knows, changes what CREATE and DELETE say', () => {
    const body = op('unlinkat')[1].replace('uring_op=36', 'uring_op=4000')
    expect(
      after([
        ['URINGOP', body],
        ['PATH', path(0, '/srv/', 5, 'PARENT')],
        ['PATH', path(1, '/srv/x', 9, 'DELETE')],
      ]),
    ).toEqual([`delete ${SERVER}->file:delete:/srv/x`])
  })

  test('is in the byte order of the machine', () => {
    const big = event(1, [['SYSCALL', syscall('connect', { arch: '80000016', syscall: 3 })]])
    const peer: Body = ['SOCKADDR', 'saddr=000201BBCB0071420000000000000000']
    expect(edgeTexts(runCore(big + event(2, [op('connect'), peer])).edges)).toEqual([
      'connect proc::1000:/bin/x->host:203.0.113.66:443',
    ])
  })
})

describe('who it was', () => {
  const connect = (given: Readonly<Record<string, string | number>>, world: World = NO_WORLD): string[] => {
    const chains: string[][] = []
    const core = new Core(world, {
      onEvent: () => undefined,
      onEdge: ({ edge, source }) => {
        if (edge.kind === 'connect') chains.push(chainOf(source))
      },
    })
    core.push(Buffer.from(exec + event(2, [op('connect', given), HTTPS]), 'latin1'))
    core.end()
    return chains.flat()
  }

  test('a process whose exec was seen, with all it came from', () => {
    expect(connect({})).toEqual(['proc::1000:?', SERVER])
  })

  test('a process that nobody has seen is not known, but its user and its parent are', () => {
    expect(connect({ pid: 200, uid: 33 })).toEqual(['proc::33:?'])
    expect(connect({ pid: 200, ppid: 100 })).toEqual(['proc::1000:?', SERVER, 'proc::1000:?'])
  })

  test('and is what it is told to be later', () => {
    const unknown = event(1, [op('connect', { pid: 200 }), HTTPS])
    const known = event(2, [['SYSCALL', syscall('connect', { pid: 200 })], HTTPS])
    expect(runCore(unknown + known).edges.map(({ from }) => from)).toEqual([
      'proc::1000:?',
      'proc::1000:/bin/x',
    ])
  })

  test('but is the child of its parent when it execs', () => {
    const child = event(3, [
      ['SYSCALL', syscall('execve', { pid: 200, ppid: 100, exe: '"/bin/ls"' })],
      ['EXECVE', execve(['ls'])],
    ])
    const unknown = event(2, [op('connect', { pid: 200, ppid: 100 }), HTTPS])
    expect(
      runCore(exec + unknown + child)
        .edges.map((edge) => printed(edge))
        .at(-1),
    ).toBe(`exec ${SERVER}->proc::1000:/bin/ls`)
  })

  test('a live process is found in /proc', () => {
    const found: FoundProcess = {
      ...{ pid: 200, ppid: 1, uid: 1000, exe: '/usr/bin/python3', argv: ['python3', 'app.py'] },
      ...{ cwd: '/srv', container: '', startMs: 0, readMs: 1 },
    }
    const world = { ...NO_WORLD, findProcess: (pid: number) => (pid === 200 ? found : undefined) }
    expect(connect({ pid: 200 }, world)).toEqual(['proc::1000:/usr/bin/python3</srv/app.py'])
  })

  test('who changed the user since', () => {
    expect(connect({ uid: 33 })).toEqual(['proc::1000:?', SERVER, 'proc::33:/srv/server'])
  })

  test('by the name that an ENRICHED log has for the user', () => {
    const [type, body] = op('connect', { pid: 200, uid: 33 })
    const enriched: Body = [type, `${body}\x1dUID="www-data" GID="www-data" EUID="root"`]
    expect(edgeTexts(runCore(event(1, [enriched, HTTPS])).edges)).toEqual([
      'connect proc::www-data:?->host:203.0.113.66:443',
    ])
  })

  test('whatever the label says', () => {
    expect(connect({ subj: 'x pid=7 uid=0 uring_op=18' })).toEqual(['proc::1000:?', SERVER])
    const [type, body] = op('connect', { pid: 200 })
    expect(
      edgeTexts(runCore(event(1, [[type, body.replace('pid=200', 'subj= pid=7 uid=0')], HTTPS])).edges),
    ).toEqual([])
  })
})

describe('what io_uring_enter could do at once', () => {
  const enter = (...records: readonly Body[]): readonly Body[] => [
    ...records.filter(([type]) => type === 'URINGOP'),
    [
      'SYSCALL',
      syscall('connect', { syscall: IO_URING_ENTER, exit: 1, a0: 3, a1: 1, a2: 1, exe: '"/srv/server"' }),
    ],
    CWD,
    ...records.filter(([type]) => type !== 'URINGOP'),
  ]

  test('has names, but what they are relative to is not told', () => {
    const creates = (name: string): string[] =>
      after(
        enter(op('openat'), ['PATH', path(0, '/srv/app', 5, 'PARENT')], ['PATH', path(1, name, 9, 'CREATE')]),
      )
    expect(creates('/srv/app/x')).toEqual([`create ${SERVER}->file:create:/srv/app/x`])
    expect(creates('x')).toEqual([`create ${SERVER}->file:create:?/x`])
  })

  test('had the result of the operation, not of the call', () => {
    expect(after(enter(op('connect', { success: 'no', exit: -13 }), HTTPS))).toEqual([])
    expect(after(enter(op('connect', { success: 'no', exit: -111 }), HTTPS))).toHaveLength(1)
  })

  test('after waiting is told twice, and happened once', () => {
    expect(after(enter(op('connect', { success: 'no', exit: -11 }), op('connect'), HTTPS))).toEqual([
      `connect ${SERVER}->host:203.0.113.66:443`,
    ])
  })

  test('of several operations is what CREATE and DELETE say', () => {
    expect(
      after(
        enter(
          op('renameat'),
          op('openat'),
          op('unlinkat'),
          ['PATH', path(0, '/a/', 5, 'PARENT')],
          ['PATH', path(1, '/a/x', 9, 'CREATE')],
          ['PATH', path(2, '/b/', 6, 'PARENT')],
          ['PATH', path(3, '/b/y', 10, 'DELETE')],
          ['PATH', path(4, '/c/', 7, 'PARENT')],
          ['PATH', path(5, 'z', 11, 'CREATE')],
        ),
      ),
    ).toEqual([
      `create ${SERVER}->file:create:/a/x`,
      `delete ${SERVER}->file:delete:/b/y`,
      `create ${SERVER}->file:create:?/z`,
    ])
  })
})

describe('io_uring_enter', () => {
  const enter = (records: readonly Body[], ops: readonly Body[] = []): readonly Body[] => [
    ...ops,
    ['SYSCALL', syscall('connect', { syscall: IO_URING_ENTER, exit: 1, a0: 3, exe: '"/srv/server"' })],
    CWD,
    ...records,
  ]

  test('without its operations does not tell what names are relative to, either', () => {
    const paths: Body[] = [
      ['PATH', path(0, '/srv/app', 5, 'PARENT')],
      ['PATH', path(1, 'x', 9, 'CREATE')],
    ]
    expect(after(enter(paths))).toEqual([`create ${SERVER}->file:create:?/x`])
  })

  test.each([
    ['done', op('connect')],
    ['begun', op('connect', { success: 'no', exit: -115 })],
  ])('with a connect that is %s, among other operations', (_, connect) => {
    const created: Body[] = [
      ['PATH', path(0, '/srv/app/', 5, 'PARENT')],
      ['PATH', path(1, '/srv/app/x', 9, 'CREATE')],
    ]
    const address: Body = ['SOCKADDR', 'saddr=020001BB0A0000090000000000000000']
    expect(after(enter([address, ...created], [connect, op('openat')])).sort()).toEqual([
      `connect ${SERVER}->host:10.0.0.9:443`,
      `create ${SERVER}->file:create:/srv/app/x`,
    ])
  })

  test('with two renames does not tell which directories are whose', () => {
    const creat = (directory: string, inode: number): readonly Body[] => [
      ['SYSCALL', syscall('creat', { exe: '"/srv/server"', items: 2 })],
      CWD,
      ['PATH', path(0, `${directory}/`, inode, 'PARENT')],
      ['PATH', path(1, `${directory}/x`, inode + 10, 'CREATE')],
    ]
    const renames: Body[] = [
      ['PATH', path(0, '/srv/app', 5, 'PARENT')],
      ['PATH', path(1, '/srv/app', 6, 'PARENT')],
      ['PATH', path(2, 'x', 15, 'DELETE')],
      ['PATH', path(3, 'y', 15, 'CREATE')],
      ['PATH', path(4, '/srv/app', 7, 'PARENT')],
      ['PATH', path(5, '/srv/app', 8, 'PARENT')],
      ['PATH', path(6, 'c', 99, 'DELETE')],
      ['PATH', path(7, 'd', 99, 'CREATE')],
    ]
    const seen = after(creat('/a', 5), creat('/b', 6), enter(renames, [op('renameat'), op('renameat')]))
    expect(seen.slice(2)).toEqual(
      ['/a/x', '?/y', '?/c', '?/d'].map((name) => `rename ${SERVER}->file:rename:${name}`),
    )
  })
})

/**
 * Linux 6.18, a rule of the io_uring filter for all operations beside those of audit.rules, RAW. /srv/ring/ring does
 * each of these twice, at once and with IOSQE_ASYNC: it makes abs0 and rel0, opens abs0 to write by openat and openat2,
 * makes dir, moves abs0 to dir/x, makes the symbolic link `link` and the link `hard`, sets an attribute of rel0 and of
 * hard, truncates and allocates rel0, binds to 127.0.0.1:4440, connects to it, accepts, and deletes hard, dir/x and dir;
 * `link` is deleted by unlink(2). Then, by system calls: a file without a name by O_TMPFILE and fchmod; mkdir a, a/s;
 * a/s/f is made, fchmod; a is renamed to b; fchmod; unlinkat f by a descriptor of b/s; rmdir b/s, b.
 */
describe('a recording', () => {
  const { edges } = runCore(readFileSync(RECORDED))
  const RING = 'proc::0:/srv/ring/ring'
  const file = (kind: string, name: string): string => `${kind} ${RING}->file:${kind}:${name}`

  test('claims no more than the kernel told', () => {
    expect(edgeTexts(edges)).toEqual(
      [
        `exec proc::0:?->${RING}`,
        `listen ${RING}->host:127.0.0.1:4440`,
        `connect ${RING}->host:127.0.0.1:4440`,
        `accept ${RING}->host:127.0.0.1:*`,
        ...['create', 'rename', 'attribute', 'delete'].map((kind) => file(kind, '?')),
        ...['/srv/ring/a', '/srv/ring/a/s', '/srv/ring/a/s/f'].map((name) => file('create', name)),
        ...['/srv/ring/a', '/srv/ring/b'].map((name) => file('rename', name)),
        // A directory takes what is in it along.
        ...['/srv/ring/a/s/f', '/srv/ring/b/s/f'].map((name) => file('attribute', name)),
        ...['/srv/ring/link', '/srv/ring/b/s/f', '/srv/ring/b/s', '/srv/ring/b'].map((name) =>
          file('delete', name),
        ),
      ].sort(),
    )
  })
})
