import { describe, expect, test } from 'vitest'
import { type Activity, NO_WORLD, type Understood } from '../../agent/domain/activity.ts'
import { Interpreter } from '../../agent/interpret/interpreter.ts'
import { readBody } from '../../agent/parse/body.ts'
import { textOfBytes } from '../../agent/parse/text.ts'
import { edgeTexts, printed, runCore } from '../support/edges.ts'
import { event, execve, line, path, syscall, CALL } from '../support/log.ts'

const ACTOR = 'proc::1000:/bin/x'
const LOADER = '/lib64/ld-linux-x86-64.so.2'
const HTTPS = 'saddr=020001BBCB0071420000000000000000'
const HOST = 'host:203.0.113.66:443'

/** Edges of one event; those of an exec left out where they are not the point. */
const edgesOf = (...records: (readonly [string, string])[]): string[] =>
  edgeTexts(runCore(event(1, records)).edges)

describe('connections', () => {
  const connect = (fields: Record<string, string | number>, saddr = HTTPS): string[] =>
    edgesOf(['SYSCALL', syscall('connect', fields)], ['SOCKADDR', saddr])

  // connect(2): what tells that the caller reached out to this address, though nobody answered.
  test.each([-115, -114, -111, -110, -113, -4])('exit=%i is one', (exit) => {
    expect(connect({ success: 'no', exit })).toEqual([`connect ${ACTOR}->${HOST}`])
  })

  // ENOENT, EBADF, EACCES, EFAULT, EINVAL, ENOTSOCK, EAFNOSUPPORT, EADDRNOTAVAIL, ENETUNREACH, EISCONN, EAGAIN
  test.each([-2, -9, -13, -14, -22, -88, -97, -99, -101, -106, -11])('exit=%i is none', (exit) => {
    expect(connect({ success: 'no', exit })).toEqual([])
  })

  test('success is one, and a call killed in the middle is none', () => {
    expect(connect({})).toEqual([`connect ${ACTOR}->${HOST}`])
    expect(connect({ success: '', exit: '' })).toEqual([])
  })

  test.each([
    ['AF_UNSPEC dissolves one', 'saddr=00000000000000000000000000000000'],
    ['netlink is of this host', 'saddr=100000000000000000000000'],
    ['netlink with groups', 'saddr=100000000000000001000000'],
    ['an unnamed socket has no name', 'saddr=0100'],
    ['nothing was given', 'saddr='],
  ])('%s', (_, saddr) => {
    expect(connect({}, saddr)).toEqual([])
  })

  test.each([
    ['vsock', 'saddr=28000000000400000200000000000000', 'host:vsock:2:1024'],
    // ETH_P_ALL on interface 7.
    ['packet', 'saddr=1100000307000000010000060000000000000000', 'host:packet:0x0003'],
    ['an abstract name', 'saddr=01000061006200', String.raw`host:unix:@a\x00b\x00`],
    ['an abstract name of nothing', 'saddr=010000', 'host:unix:@'],
    ['bluetooth, whatever stands in the address', 'saddr=1F000110AABBCCDDEEFF0000', 'host:family-31'],
  ])('by %s', (_, saddr, host) => {
    expect(connect({}, saddr)).toEqual([`connect ${ACTOR}->${host}`])
    expect(edgesOf(['SYSCALL', syscall('bind')], ['SOCKADDR', saddr])).toEqual([`listen ${ACTOR}->${host}`])
  })

  test('accept by vsock is from a machine, whatever its port', () => {
    const accept = (port: string): string[] =>
      edgesOf(['SYSCALL', syscall('accept')], ['SOCKADDR', `saddr=28000000${port}0300000000000000`])
    expect(accept('00040000')).toEqual([`accept ${ACTOR}->host:vsock:3:*`])
    expect(accept('01040000')).toEqual(accept('00040000'))
  })

  test('without SOCKADDR there is no address', () => {
    expect(edgesOf(['SYSCALL', syscall('connect')])).toEqual([])
  })

  test.each([
    ['connect', 'connect', { success: 'no', exit: -115 }],
    ['sendto', 'connect', {}],
    ['bind', 'listen', {}],
  ] as const)('%s is %s', (call, kind, fields) => {
    expect(edgesOf(['SYSCALL', syscall(call, fields)], ['SOCKADDR', HTTPS])).toEqual([
      `${kind} ${ACTOR}->${HOST}`,
    ])
  })

  test('accept is from a host, whatever its port', () => {
    const accept = (port: string): string[] =>
      edgesOf(['SYSCALL', syscall('accept')], ['SOCKADDR', `saddr=0200${port}CB0071420000000000000000`])
    expect(accept('D903')).toEqual([`accept ${ACTOR}->host:203.0.113.66:*`])
    expect(accept('D904')).toEqual(accept('D903'))
  })

  test.each(['bind', 'accept', 'sendto'] as const)('a %s that failed is none', (call) => {
    const exit = call === 'sendto' ? -101 : -111
    expect(edgesOf(['SYSCALL', syscall(call, { success: 'no', exit })], ['SOCKADDR', HTTPS])).toEqual([])
  })

  test.each([
    [
      'any port of one of its own addresses',
      'listen',
      'bind',
      '02000000CB0071420000000000000000',
      'host:0.0.0.0:0',
    ],
    [
      'port 0 of another host',
      'connect',
      'connect',
      '02000000CB0071420000000000000000',
      'host:203.0.113.66:0',
    ],
  ] as const)('%s: %s', (_, kind, call, saddr, host) => {
    expect(edgesOf(['SYSCALL', syscall(call)], ['SOCKADDR', `saddr=${saddr}`])).toEqual([
      `${kind} ${ACTOR}->${host}`,
    ])
  })

  // <linux/net.h>
  test.each([
    [2, 'listen'],
    [3, 'connect'],
    [5, 'accept'],
    [11, 'connect'],
    [16, 'connect'],
    [18, 'accept'],
    [1, undefined],
    [4, undefined],
    [9, undefined],
  ])('socketcall %i of an i386 is %s', (subcall, kind) => {
    const records = [
      ['SYSCALL', syscall('connect', { arch: '40000003', syscall: 102, a0: subcall.toString(16) })],
      ['SOCKETCALL', 'nargs=3 a0=3 a1=bff0 a2=10'],
      ['SOCKADDR', HTTPS],
    ] as const
    const host = kind === 'accept' ? 'host:203.0.113.66:*' : HOST
    expect(edgesOf(...records)).toEqual(kind === undefined ? [] : [`${kind} ${ACTOR}->${host}`])
  })

  test('call numbers are those of the architecture', () => {
    const saddr = ['SOCKADDR', HTTPS] as const
    // 42 is connect on x86_64, pipe on i386; connect is 362 on i386, 203 on aarch64.
    expect(edgesOf(['SYSCALL', syscall('connect', { arch: '40000003' })], saddr)).toEqual([])
    expect(edgesOf(['SYSCALL', syscall('connect', { arch: '40000003', syscall: 362 })], saddr)).toHaveLength(
      1,
    )
    expect(edgesOf(['SYSCALL', syscall('connect', { arch: 'c00000b7', syscall: 203 })], saddr)).toHaveLength(
      1,
    )
    // x32: the same number with bit 30.
    expect(edgesOf(['SYSCALL', syscall('connect', { syscall: 42 + 2 ** 30 })], saddr)).toHaveLength(1)
    expect(edgesOf(['SYSCALL', syscall('connect', { arch: 'ffffffff' })], saddr)).toEqual([])
  })

  test('the address of a big-endian machine', () => {
    const call = syscall('connect', { arch: '80000016', syscall: 362 })
    expect(edgesOf(['SYSCALL', call], ['SOCKADDR', 'saddr=0002D903C0A800010000000000000000'])).toEqual([
      `connect ${ACTOR}->host:192.168.0.1:55555`,
    ])
  })

  describe('of unix sockets', () => {
    const unix = (name: string): string => `saddr=0100${Buffer.from(name).toString('hex')}00`
    const cwd = ['CWD', 'cwd="/srv"'] as const
    const connectTo = (name: string, fields = {}): string[] =>
      edgesOf(['SYSCALL', syscall('connect', fields)], ['SOCKADDR', unix(name)], cwd)

    test('by path', () => {
      expect(connectTo('/run/x.sock')).toEqual([`connect ${ACTOR}->host:unix:/run/x.sock`])
    })

    test('a relative path is seen from the current directory, where it is the caller who chose it', () => {
      expect(connectTo('run/../x.sock')).toEqual([`connect ${ACTOR}->host:unix:/srv/x.sock`])
      expect(edgesOf(['SYSCALL', syscall('bind')], ['SOCKADDR', unix('x.sock')], cwd)).toEqual([
        `listen ${ACTOR}->host:unix:/srv/x.sock`,
      ])
      expect(edgesOf(['SYSCALL', syscall('accept')], ['SOCKADDR', unix('x.sock')], cwd)).toEqual([
        `accept ${ACTOR}->host:unix:?/x.sock`,
      ])
    })

    test('a path that looks like an abstract name is none', () => {
      expect(connectTo('@x')).toEqual([`connect ${ACTOR}->host:unix:/srv/@x`])
      expect(edgesOf(['SYSCALL', syscall('connect')], ['SOCKADDR', 'saddr=01000078'])).toEqual([
        `connect ${ACTOR}->host:unix:@x`,
      ])
    })

    // unix(7): EAGAIN is a full backlog, so somebody listens there.
    test.each([
      [-11, true],
      [-111, true],
      [-2, false],
    ])('exit=%i', (exit, isOne) => {
      expect(connectTo('/run/x.sock', { success: 'no', exit })).toHaveLength(isOne ? 1 : 0)
    })
  })
})

describe('privilege', () => {
  const ids = (uid: number, euid: number): Record<string, number> => ({ uid, euid })

  test('is a real uid that is not root with an effective uid that is', () => {
    const became = `privilege ${ACTOR}->proc::0:/bin/x`
    expect(edgesOf(['SYSCALL', syscall('setuid', ids(1000, 0))])).toEqual([became])
    expect(edgesOf(['SYSCALL', syscall('setresuid', ids(1000, 0))])).toEqual([became])
    expect(edgesOf(['SYSCALL', syscall('setuid', ids(1000, 1000))])).toEqual([])
    expect(edgesOf(['SYSCALL', syscall('setuid', ids(0, 0))])).toEqual([])
    expect(edgesOf(['SYSCALL', syscall('setuid', { ...ids(1000, 0), success: 'no', exit: -1 })])).toEqual([])
    expect(edgesOf(['SYSCALL', syscall('connect', ids(1000, 0))])).toEqual([])
  })

  test('is not that init stays root and changes the real uid alone, as it does for each service with a user', () => {
    const alone = { ...ids(102, 0), a0: '66', a1: 'ffffffff' }
    expect(edgesOf(['SYSCALL', syscall('setreuid', alone)])).toEqual([])
    expect(edgesOf(['SYSCALL', syscall('setresuid', { ...alone, a2: 'ffffffff' })])).toEqual([])
    const taken = syscall('setreuid', { ...ids(102, 0), a0: 'ffffffff', a1: '0' })
    expect(edgesOf(['SYSCALL', taken])).toEqual([`privilege ${ACTOR.replace('1000', '102')}->proc::0:/bin/x`])
  })

  test('a program that is setuid root', () => {
    const exec = syscall('execve', { ...ids(1000, 0), exe: '"/usr/bin/su"', items: 2 })
    const paths = [path(0, '/usr/bin/su', 1, 'NORMAL'), path(1, LOADER, 2, 'NORMAL')]
    const records = [
      ['SYSCALL', exec],
      ['EXECVE', execve(['su'])],
      ...paths.map((each) => ['PATH', each] as const),
    ] as const
    expect(edgesOf(...records)).toEqual([
      'exec proc::1000:?->proc::1000:/usr/bin/su',
      'privilege proc::1000:/usr/bin/su->proc::0:/usr/bin/su',
    ])
  })

  test('has the name of root where ids have names', () => {
    const enriched = `${syscall('setuid', ids(33, 0))}\x1dARCH=x86_64 SYSCALL=setuid AUID="unset" UID="www-data" EUID="root"`
    expect(edgesOf(['SYSCALL', enriched])).toEqual(['privilege proc::www-data:/bin/x->proc::root:/bin/x'])
  })
})

describe('tracing', () => {
  const target = ['OBJ_PID', 'opid=200 oauid=-1 ouid=33 oses=-1 ocomm="nginx"'] as const
  const trace = (a0: string, fields = {}): string[] =>
    edgesOf(['SYSCALL', syscall('ptrace', { a0, a1: 'c8', ...fields })], target)

  // <sys/ptrace.h>: ATTACH, SEIZE, POKETEXT, POKEDATA
  test.each(['10', '4206', '4', '5'])('request %s takes hold of another process', (request) => {
    expect(trace(request)).toEqual([`trace ${ACTOR}->proc::33:[nginx]`])
  })

  // TRACEME, PEEKTEXT, PEEKDATA, CONT, DETACH, GETREGSET, SETOPTIONS
  test.each(['0', '1', '2', '7', '11', '4204', '4200'])('request %s does not', (request) => {
    expect(trace(request)).toEqual([])
  })

  test('that failed is none', () => {
    expect(trace('10', { success: 'no', exit: -1 })).toEqual([])
  })

  test('writing into it, or taking its descriptors', () => {
    for (const call of ['process_vm_writev', 'pidfd_getfd'] as const)
      expect(edgesOf(['SYSCALL', syscall(call)], target)).toEqual([`trace ${ACTOR}->proc::33:[nginx]`])
  })

  test('a target that is known has its name', () => {
    const nginx = event(1, [
      ['SYSCALL', syscall('execve', { pid: 200, uid: 33, exe: '"/usr/sbin/nginx"' })],
      ['EXECVE', execve(['nginx'])],
    ])
    const attach = event(2, [['SYSCALL', syscall('ptrace', { a0: '10', a1: 'c8' })], target])
    expect(edgeTexts(runCore(nginx + attach).edges)).toContain(`trace ${ACTOR}->proc::33:/usr/sbin/nginx`)
  })
})

describe('memory-exec', () => {
  const exec = (exe: string): string[] =>
    edgesOf(['SYSCALL', syscall('execve', { exe })], ['EXECVE', execve(['x'])]).filter((edge) =>
      edge.startsWith('memory'),
    )
  const hex = (text: string): string => Buffer.from(text).toString('hex').toUpperCase()

  test.each([
    ['a memfd', hex('/memfd:x (deleted)'), 'proc::1000:/memfd:x (deleted)'],
    ['a file that is gone', hex('/tmp/x (deleted)'), 'proc::1000:/tmp/x (deleted)'],
  ])('%s', (_, exe, name) => {
    expect(exec(exe)).toEqual([`memory-exec proc::1000:?->${name}`])
  })

  test.each([
    ['a file', '"/tmp/x"'],
    ['a file called deleted', '"/tmp/(deleted)"'],
    ['a file with a space', hex('/tmp/x y')],
    ['a file in a directory called memfd', '"/tmp/memfd:x"'],
  ])('%s is none', (_, exe) => {
    expect(exec(exe)).toEqual([])
  })
})

test('an exec that failed is no exec, but tells who tried', () => {
  const records = [
    ['SYSCALL', syscall('execve', { success: 'no', exit: -2, items: 1 })],
    ['CWD', 'cwd="/"'],
    ['PATH', path(0, '/nowhere', 0, 'UNKNOWN')],
  ] as const
  expect(edgesOf(...records)).toEqual([])
  expect(edgesOf(['SYSCALL', syscall('exit_group', { success: '', exit: '' })])).toEqual([])
})

test('records without a process say nothing', () => {
  expect(edgesOf(['SOCKADDR', HTTPS])).toEqual([])
  expect(
    edgesOf(['SYSCALL', `arch=c000003e syscall=${CALL.connect} success=yes exit=0`], ['SOCKADDR', HTTPS]),
  ).toEqual([])
  expect(runCore(line('USER_LOGIN', 1, `pid=1 uid=0 msg='op=login exe="/bin/x" ${HTTPS}'`)).edges).toEqual([])
})

describe('machines that share a log', () => {
  const on = (node: string, serial: number, ...records: (readonly [string, string])[]): string =>
    event(serial, records, { node })
  const fchmod = [
    ['SYSCALL', syscall('fchmod', { items: 1 })],
    ['CWD', 'cwd="/"'],
    ['PATH', path(0, undefined, 9, 'NORMAL')],
  ] as const

  test('share neither pids nor inodes', () => {
    const log = [
      on('web-01', 1, ['SYSCALL', syscall('execve', { exe: '"/bin/server"' })], ['EXECVE', execve(['x'])]),
      on(
        'web-01',
        2,
        ['SYSCALL', syscall('creat', { exe: '"/bin/server"', items: 2 })],
        ['CWD', 'cwd="/"'],
        ['PATH', path(0, '/srv/', 8, 'PARENT')],
        ['PATH', path(1, '/srv/x', 9, 'CREATE')],
      ),
      on('web-02', 1, ['SYSCALL', syscall('execve', { pid: 101, ppid: 100 })], ['EXECVE', execve(['x'])]),
      on('web-02', 2, ...fchmod),
      on('web-01', 3, ['SYSCALL', syscall('execve', { pid: 101, ppid: 100 })], ['EXECVE', execve(['x'])]),
      on('web-01', 4, ...fchmod),
    ].join('')
    expect(runCore(log).edges.map((edge) => printed(edge))).toEqual([
      'exec proc::1000:?->proc::1000:/bin/server',
      'create proc::1000:/bin/server->file:create:/srv/x',
      'exec proc::1000:?->proc::1000:/bin/x',
      'attribute proc::1000:/bin/x->file:attribute:?',
      'exec proc::1000:/bin/server->proc::1000:/bin/x',
      'attribute proc::1000:/bin/x->file:attribute:/srv/x',
    ])
  })

  test('are not all this host: the first is, and only of it the world knows', () => {
    const world = { ...NO_WORLD, userName: () => 'app' }
    const exec = [['SYSCALL', syscall('execve')] as const, ['EXECVE', execve(['x'])] as const]
    const { edges } = runCore([on('a', 1, ...exec), on('b', 1, ...exec), on('a', 2, ...exec)].join(''), world)
    expect(edges.map(({ to }) => to)).toEqual(['proc::app:/bin/x', 'proc::1000:/bin/x', 'proc::app:/bin/x'])
  })
})

describe('what there is to show of an event', () => {
  /** The same events understood and interpreted, by two interpreters. */
  const understood = (...events: (readonly (readonly [string, string])[])[]): Understood[] => {
    const told: Understood[] = []
    const [shown, plain] = [0, 1].map(
      () => new Interpreter(NO_WORLD, { textOf: textOfBytes, bodyOf: readBody }),
    )
    const log = events.map((records, index) => event(index + 1, records)).join('')
    for (const each of runCore(log).events) {
      const seen: Activity[][] = [[], []]
      if (shown !== undefined) told.push(shown.understand(each, (activity) => seen[0]?.push(activity)))
      plain?.interpret(each, (activity) => seen[1]?.push(activity))
      expect(seen[0]).toEqual(seen[1])
    }
    return told
  }
  const files = (...bodies: string[]): (readonly [string, string])[] => [
    ['CWD', 'cwd="/srv"'],
    ...bodies.map((body) => ['PATH', body] as const),
  ]

  test('of a connect', () => {
    expect(
      understood([
        ['SYSCALL', syscall('connect')],
        ['SOCKADDR', HTTPS],
      ]),
    ).toMatchObject([
      {
        actor: { exe: '/bin/x', user: '1000' },
        call: 'connect',
        arch: 'x86_64',
        peer: { family: 'ip', address: '203.0.113.66', port: 443 },
        paths: [],
      },
    ])
  })

  test('of one that is no edge, too', () => {
    const netlink = ['SOCKADDR', 'saddr=100000000700000001000000'] as const
    expect(understood([['SYSCALL', syscall('sendto')], netlink])[0]?.peer).toEqual({
      family: 'netlink',
      pid: 7,
      groups: 1,
    })
    const failed = syscall('connect', { success: 'no', exit: -13 })
    expect(
      understood([
        ['SYSCALL', failed],
        ['SOCKADDR', 'saddr=0100'],
      ])[0]?.peer,
    ).toEqual({
      family: 'unix',
      path: '',
      isAbstract: false,
    })
  })

  test('of files: what was done to each, and how much the kernel said', () => {
    const [openat, renameat, fchmod, connect] = understood(
      [
        ['SYSCALL', syscall('openat', { a0: 'ffffff9c', a2: '241', items: 2 })],
        ...files(path(0, '/srv', 7, 'PARENT'), path(1, 'x', 9, 'CREATE')),
      ],
      [
        ['SYSCALL', syscall('renameat', { a0: 3, a2: 3, items: 4 })],
        ...files(
          path(0, '/srv', 7, 'PARENT'),
          path(1, '/srv', 7, 'PARENT'),
          path(2, 'x', 9, 'DELETE'),
          path(3, 'y', 9, 'CREATE'),
        ),
      ],
      [['SYSCALL', syscall('fchmod', { items: 1 })], ...files(path(0, undefined, 10, 'NORMAL'))],
      [
        ['SYSCALL', syscall('connect', { items: 1 })],
        ['SOCKADDR', 'saddr=01002F72756E2F7800'],
        ...files(path(0, '/run/x', 11, 'NORMAL')),
      ],
    )
    const high = { confidence: 'high' } as const
    expect(openat?.paths).toEqual([
      { path: '/srv', action: 'parent', ...high },
      { path: '/srv/x', action: 'create', ...high },
    ])
    expect(renameat?.paths).toEqual([
      { path: '/srv', action: 'parent', confidence: 'medium' },
      { path: '/srv', action: 'parent', confidence: 'medium' },
      { path: '/srv/x', action: 'rename', confidence: 'medium' },
      { path: '/srv/y', action: 'rename', confidence: 'medium' },
    ])
    expect(fchmod?.paths).toEqual([{ path: '?', action: 'attribute', confidence: 'low' }])
    expect(connect?.paths).toEqual([{ path: '/run/x', action: 'connect', ...high }])
  })

  test('of calls that opened, executed, failed', () => {
    const normal = files(path(0, '/bin/x', 1, 'NORMAL'))
    const actionOf = (call: Parameters<typeof syscall>[0], fields = {}): unknown =>
      understood([['SYSCALL', syscall(call, { items: 1, ...fields })], ...normal])[0]?.paths[0]?.action
    expect(actionOf('open')).toBe('open')
    expect(actionOf('open', { a1: '1' })).toBe('write')
    expect(actionOf('execve')).toBe('exec')
    expect(actionOf('link')).toBe('none')
    expect(actionOf('open', { a1: '1', success: 'no', exit: -13 })).toBe('none')
    expect(actionOf('connect', { arch: '40000003', syscall: 102, a0: 3 })).toBe('connect')
  })

  test('a call that failed, and one that only reads, teach no more than they did before', () => {
    const failed: readonly (readonly [string, string])[] = [
      ['SYSCALL', syscall('open', { items: 1, success: 'no', exit: -13 })],
      ...files(path(0, '/srv/x', 9, 'NORMAL')),
    ]
    const fchmod: typeof failed = [
      ['SYSCALL', syscall('fchmod', { items: 1 })],
      ...files(path(0, undefined, 9, 'NORMAL')),
    ]
    expect(understood(failed, fchmod)[1]?.paths).toEqual([
      { path: '?', action: 'attribute', confidence: 'low' },
    ])
  })

  test('of io_uring', () => {
    const op = 'uring_op=18 success=yes exit=0 items=1 ppid=1 pid=100 uid=0 gid=0 euid=0 key=(null)'
    expect(understood([['URINGOP', op], ...files(path(0, '/srv/x', 9, 'NORMAL'))])).toMatchObject([
      { actor: { exe: '?' }, call: 'openat', arch: '', paths: [{ path: '/srv/x', action: 'open' }] },
    ])
  })

  test('is never of the event before', () => {
    const connect = [['SYSCALL', syscall('connect')] as const, ['SOCKADDR', HTTPS] as const]
    const nobody = [['SYSCALL', syscall('connect', { pid: '', success: 'no', exit: -13 })] as const]
    const [, second] = understood(connect, nobody)
    expect(second).toEqual({ actor: undefined, call: 'connect', arch: 'x86_64', peer: undefined, paths: [] })
    const interpreter = new Interpreter(NO_WORLD, { textOf: textOfBytes, bodyOf: readBody })
    const actors = runCore(event(1, connect) + event(2, [['SOCKADDR', HTTPS]])).events.map((each) => {
      interpreter.interpret(each, () => undefined)
      return interpreter.lastActor?.exe
    })
    expect(actors).toEqual(['/bin/x', undefined])
  })

  test('of an event without a process', () => {
    expect(
      understood([['SECCOMP', 'auid=1 uid=1 gid=1 pid=100 comm="x" sig=31 arch=c000003e syscall=59']]),
    ).toEqual([{ actor: undefined, call: '', arch: '', peer: undefined, paths: [] }])
  })
})

test('a title, which a process may write itself, is no evidence', () => {
  const python = { exe: '"/usr/bin/python3"' }
  const log = [
    event(1, [
      ['SYSCALL', syscall('execve', python)],
      ['EXECVE', execve(['python3', '/srv/app.py'])],
    ]),
    event(2, [
      ['SYSCALL', syscall('connect', { ...python, pid: 101, ppid: 100 })],
      ['SOCKADDR', HTTPS],
    ]),
    event(3, [['SYSCALL', syscall('execve', { pid: 102, ppid: 101, exe: '"/bin/sh"' })]]),
  ].join('')
  for (const title of ['python3\0/srv/other.py', '/usr/sbin/nginx', 'sh\0/srv/x.sh']) {
    const hex = Buffer.from(title).toString('hex').toUpperCase()
    expect(runCore(log.replaceAll('proctitle="x"', `proctitle=${hex}`)).edges.map(printed)).toEqual([
      'exec proc::1000:?->proc::1000:/usr/bin/python3</srv/app.py',
      `connect proc::1000:/usr/bin/python3</srv/app.py->${HOST}`,
      'exec proc::1000:/usr/bin/python3</srv/app.py->proc::1000:/bin/sh',
    ])
  }
})

test('records of what the kernel noticed besides change nothing', () => {
  const connect = [['SYSCALL', syscall('connect')] as const, ['SOCKADDR', HTTPS] as const]
  const beside: (readonly [string, string])[] = [
    [
      'SECCOMP',
      'auid=1 uid=0 gid=0 pid=100 comm="y" exe="/bin/y" sig=0 arch=c000003e syscall=59 code=0x7ffc0000',
    ],
    ['ANOM_ABEND', 'auid=1 uid=0 gid=0 pid=100 comm="y" exe="/bin/y" sig=11 res=1'],
    ['ANOM_PROMISCUOUS', 'dev=eth0 prom=256 old_prom=0 auid=1 uid=0 gid=0 ses=1'],
  ]
  for (const record of beside) {
    expect(edgesOf(record, ...connect)).toEqual([`connect ${ACTOR}->${HOST}`])
    expect(edgesOf(record)).toEqual([])
  }
})
