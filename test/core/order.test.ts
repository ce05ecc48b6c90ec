import { describe, expect, test } from 'vitest'
import { Core } from '../../agent/core.ts'
import { NO_WORLD, type World } from '../../agent/domain/activity.ts'
import { printed, runCore } from '../support/edges.ts'
import { CALL, event, execve, line, path, syscall } from '../support/log.ts'

const PYTHON = { exe: '"/usr/bin/python3"', comm: '"python3"', uid: 0, euid: 0, ppid: 1, pid: 10 }
const SADDR = 'saddr=020001BB0A0000090000000000000000'

const edgesOf = (log: string, world?: World): string[] => runCore(log, world).edges.map(printed)

function exec(serial: number, pid: number, ppid: number, list: string): string {
  return event(serial, [
    ['SYSCALL', syscall('execve', { ...PYTHON, pid, ppid, items: 2 })],
    ['EXECVE', list],
    ['CWD', 'cwd="/"'],
    ['PATH', path(0, '/usr/bin/python3', 11, 'NORMAL')],
    ['PATH', path(1, '/lib64/ld.so', 12, 'NORMAL')],
  ])
}
const connect = (serial: number, pid: number, ppid: number): string =>
  event(serial, [
    ['SYSCALL', syscall('connect', { ...PYTHON, pid, ppid })],
    ['SOCKADDR', SADDR],
  ])

describe('what a process does after an event that still waits does not overtake it', () => {
  test('an exec whose list of arguments never gets whole', () => {
    const log =
      exec(1, 10, 1, execve(['python3', '/srv/good.py'])) +
      exec(2, 11, 10, 'argc=70000 a0="python3" a1="/tmp/evil.py"') +
      connect(3, 11, 10)
    expect(edgesOf(log)).toContain('connect proc::0:/usr/bin/python3</tmp/evil.py->host:10.0.0.9:443')
  })

  test.each([
    ['the next program', exec(3, 10, 1, execve(['python3', '/srv/two.py']))],
    ['the end', event(3, [['SYSCALL', syscall('exit_group', { ...PYTHON, success: '', exit: '' })]])],
  ])('a descriptor without CWD, as before Linux 5.9, then %s', (_, next) => {
    const log =
      exec(1, 10, 1, execve(['python3', '/srv/one.py'])) +
      event(2, [
        ['SYSCALL', syscall('fchmod', { ...PYTHON, items: 1 })],
        ['PATH', path(0, '/srv/f', 5, 'NORMAL')],
      ]) +
      next
    expect(edgesOf(log)).toContain('attribute proc::0:/usr/bin/python3</srv/one.py->file:attribute:/srv/f')
  })

  test('a send without an address does not bring the old program back', () => {
    const sudo = { ...PYTHON, exe: '"/usr/bin/sudo"', comm: '"sudo"' }
    let log = event(1, [
      ['SYSCALL', syscall('execve', sudo)],
      ['EXECVE', execve(['sudo'])],
    ])
    log += event(2, [['SYSCALL', syscall('sendto', sudo)]])
    log += exec(3, 10, 1, execve(['python3', '/srv/two.py']))
    for (let serial = 4; serial < 60; serial++) log += connect(serial, 10, 1)
    expect(new Set(edgesOf(log).filter((edge) => edge.startsWith('connect')))).toEqual(
      new Set(['connect proc::0:/usr/bin/python3</srv/two.py->host:10.0.0.9:443']),
    )
  })
})

test('io_uring_enter may block as long as it likes between the operation and its own records', () => {
  let log = line('URINGOP', 1, 'uring_op=18 success=yes exit=0 items=2 ppid=1 pid=100 uid=0 auid=0 euid=0')
  for (let serial = 100; serial < 300; serial++)
    log += event(serial, [['SYSCALL', syscall('setuid', { pid: 500 })]])
  log += event(1, [
    ['SYSCALL', syscall('creat', { items: 2 }).replace(`syscall=${CALL.creat}`, 'syscall=426')],
    ['CWD', 'cwd="/"'],
    ['PATH', path(0, '/srv/', 3, 'PARENT')],
    ['PATH', path(1, '/srv/f', 4, 'CREATE')],
  ])
  const { edges, core } = runCore(log)
  expect(edges.map(printed)).toEqual(['create proc::1000:/bin/x->file:create:/srv/f'])
  expect(core.losses.lateRecords).toBe(0)
})

describe('a stop in the middle of forged lines', () => {
  const hex = (text: string): string => Buffer.from(text, 'latin1').toString('hex').toUpperCase()
  const address = (text: string): string => `0100${hex(text)}00`
  const USER =
    line(
      'USER_LOGIN',
      1,
      `pid=5 uid=0 msg='op=x saddr=${address('/a\none\ntwo')} res=success'\x1dUID="root" SADDR={ saddr_fam=local path=/a`,
    ) + 'one\ntwo }\n'
  const sockaddr = line(
    'SOCKADDR',
    9,
    `saddr=${address('/b\nthree\nfour')}\x1dSADDR={ saddr_fam=local path=/b`,
  )
  const forged = 'three\nfour }\n'

  function stopped(before: string, behind: string): { serials: number[]; unreadable: number } {
    const serials: number[] = []
    const sink = {
      onEvent: ({ id }: { id: { serial: number } }) => void serials.push(id.serial),
      onEdge: () => undefined,
    }
    const first = new Core(NO_WORLD, sink)
    first.push(Buffer.from(before, 'latin1'))
    const point = first.resumePoint
    const second = new Core(NO_WORLD, sink)
    second.resume(point)
    second.push(Buffer.from(before + behind, 'latin1').subarray(point.offset))
    second.end()
    return { serials, unreadable: second.losses.unreadableLines }
  }

  test('nothing between an earlier forgery and this one is there twice', () => {
    const between = [2, 3, 4].map((serial) => event(serial, [['SYSCALL', syscall('setuid')]])).join('')
    const before = `${USER}${between}${line('SYSCALL', 9, syscall('connect'))}${sockaddr}`
    const { serials } = stopped(before, forged + line('PROCTITLE', 9, 'proctitle="x"'))
    expect(serials).toEqual([1, 2, 3, 4, 9])
  })

  test('behind an address that was the last record of its event', () => {
    const before = line('SYSCALL', 9, syscall('connect')) + line('PROCTITLE', 9, 'proctitle="x"') + sockaddr
    expect(stopped(before, forged)).toEqual({ serials: [9], unreadable: 0 })
  })
})

describe('a newline was lost', () => {
  const other = line('SYSCALL', 2, syscall('connect', { pid: 77, exe: '"/bin/good"' }))

  test('in a call: what stands behind is not its own', () => {
    const start =
      'type=SYSCALL msg=audit(1795210797.987:1): arch=c000003e syscall=59 success=yes exit=0 a0=5 '
    const { edges, core } = runCore(start + other + line('PROCTITLE', 1, 'proctitle="x"'))
    expect(edges.filter(({ to }) => to.includes('/bin/good'))).toEqual([])
    expect(core.losses.tornLines).toBe(1)
  })

  test.each([
    ['CWD', 'cwd="/srv'],
    ['SOCKADDR', 'saddr=020001BB0A00'],
    ['PROCTITLE', 'proctitle=2F62'],
    ['OBJ_PID', 'opid=1 oauid=1 ouid=0 oses=1 ocomm="a'],
    ['EOE', ''],
  ])('in %s: it is counted', (type, body) => {
    const { edges, core } = runCore(
      line('SYSCALL', 1, syscall('creat', { items: 1 })) +
        line('PATH', 1, path(0, 'f', 5, 'CREATE')) +
        line(type, 1, body).trimEnd() +
        other +
        line('PROCTITLE', 1, 'proctitle="x"'),
    )
    expect(core.losses.tornLines).toBe(1)
    expect(edges.filter(({ to }) => to.includes('msg=audit('))).toEqual([])
  })
})

test('this host is not who happens to speak first after a restart', () => {
  const world: World = { ...NO_WORLD, userName: (uid) => (uid === 1000 ? 'bob' : undefined) }
  const create = (serial: number, node?: string): string =>
    event(
      serial,
      [
        ['SYSCALL', syscall('creat', { items: 1 })],
        ['CWD', 'cwd="/"'],
        ['PATH', path(0, '/f', 5, 'CREATE')],
      ],
      node === undefined ? {} : { node },
    )
  expect(edgesOf(create(1, 'web-02') + create(1), world).at(-1)).toBe(
    'create proc::bob:/bin/x->file:create:/f',
  )
})

test('the directories that somebody removes are not those that are forgotten', () => {
  const record = (
    item: number,
    name: string | undefined,
    inode: number,
    type: string,
    mode: string,
  ): string => path(item, name, inode, type).replace('mode=0100644', `mode=${mode}`)
  let log = event(1, [
    ['SYSCALL', syscall('creat', { items: 2 })],
    ['CWD', 'cwd="/"'],
    ['PATH', record(0, '/srv/app/', 50, 'PARENT', '040755')],
    ['PATH', record(1, '/srv/app/f', 51, 'CREATE', '0100644')],
  ])
  for (let index = 0; index < 5000; index++)
    log += event(2 + index, [
      ['SYSCALL', syscall('unlinkat', { items: 2, a0: 'ffffff9c' })],
      ['CWD', 'cwd="/"'],
      ['PATH', record(0, '/tmp/', 60, 'PARENT', '040755')],
      ['PATH', record(1, `/tmp/d${index}`, 1000 + index, 'DELETE', '040755')],
    ])
  log += event(9999, [
    ['SYSCALL', syscall('fchmod', { items: 1 })],
    ['CWD', 'cwd="/"'],
    ['PATH', record(0, undefined, 51, 'NORMAL', '0100644')],
  ])
  expect(edgesOf(log).at(-1)).toBe('attribute proc::1000:/bin/x->file:attribute:/srv/app/f')
})
