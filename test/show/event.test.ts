import { expect, test } from 'vitest'
import { event, line, path, syscall } from '../support/log.ts'
import { show } from '../support/shown.ts'

/** Calls without a number of their own in the fixtures: pipe2, setsockopt, finit_module, mmap of x86_64. */
const pipe2 = syscall('open', { syscall: 293 })
const setsockopt = syscall('open', { syscall: 54 })
const finitModule = syscall('open', { syscall: 313 })
const mmap = syscall('open', { syscall: 9 })

/** Records of the kernel that no edge is made of, as kernel/audit.c and its callers write them. */
test.each<[what: string, log: string, shown: object]>([
  [
    'FD_PAIR, the ends of a pipe',
    event(1, [
      ['SYSCALL', pipe2],
      ['FD_PAIR', 'fd0=3 fd1=4'],
    ]),
    {
      ...{ records: ['SYSCALL', 'FD_PAIR', 'PROCTITLE'], syscall: 'pipe2', pid: 100, complete: true },
      details: [{ type: 'FD_PAIR', fields: { fd0: '3', fd1: '4' } }],
    },
  ],
  [
    'ANOM_ABEND, which comes alone and says who crashed',
    line('ANOM_ABEND', 1, 'auid=1000 uid=33 gid=33 ses=2 pid=77 comm="y" exe="/bin/y" sig=11 res=1'),
    {
      ...{ records: ['ANOM_ABEND'], syscall: undefined, success: undefined, complete: true },
      ...{ pid: 77, uid: 33, auid: 1000, comm: 'y', exe: '/bin/y' },
      details: [{ type: 'ANOM_ABEND', fields: { sig: '11', res: '1' } }],
    },
  ],
  [
    'ANOM_LINK, which has a parent and a path, too',
    line(
      'ANOM_LINK',
      1,
      'op=linkat ppid=5 pid=9 auid=1 uid=7 gid=7 euid=7 comm="ln" exe="/bin/ln" res=0 path=2F746D702F6120 dev="vda" ino=3',
    ),
    {
      pid: 9,
      ppid: 5,
      uid: 7,
      euid: 7,
      exe: '/bin/ln',
      details: [{ fields: { path: '/tmp/a ', ino: '3' } }],
    },
  ],
  [
    'ANOM_PROMISCUOUS, before its call, whose ids count',
    event(1, [
      ['ANOM_PROMISCUOUS', 'dev=eth0 prom=256 old_prom=0 auid=9 uid=0 gid=0 ses=1'],
      ['SYSCALL', setsockopt],
    ]),
    {
      ...{ records: ['ANOM_PROMISCUOUS', 'SYSCALL', 'PROCTITLE'], syscall: 'setsockopt' },
      ...{ auid: 1000, uid: 1000, complete: true },
      details: [{ type: 'ANOM_PROMISCUOUS', fields: { dev: 'eth0', prom: '256' } }],
    },
  ],
  [
    'KERN_MODULE, with a name in hex',
    event(1, [
      ['KERN_MODULE', 'name=612062'],
      ['SYSCALL', finitModule],
    ]),
    { syscall: 'finit_module', details: [{ type: 'KERN_MODULE', fields: { name: 'a b' } }] },
  ],
  [
    'MMAP, with the descriptor that the arguments do not have room for',
    event(1, [
      ['SYSCALL', mmap],
      ['MMAP', 'fd=5 flags=0x2'],
    ]),
    { syscall: 'mmap', details: [{ type: 'MMAP', fields: { fd: '5', flags: '0x2' } }] },
  ],
  [
    'EVENT_LISTENER: somebody else reads the audit',
    line(
      'EVENT_LISTENER',
      1,
      'pid=12 uid=0 auid=0 tty=(none) ses=1 comm="j" exe="/bin/j" nl-mcgrp=1 op=connect res=1',
    ),
    { pid: 12, exe: '/bin/j', details: [{ fields: { 'nl-mcgrp': '1', op: 'connect' } }] },
  ],
  [
    'TTY, with what was typed in hex',
    line('TTY', 1, 'tty pid=5 uid=0 auid=0 ses=1 major=136 minor=0 comm="bash" data=6C730D'),
    { pid: 5, comm: 'bash', details: [{ words: 'tty', fields: { data: 'ls\r' } }] },
  ],
  [
    'BPF by the number that an older auditd writes',
    line('UNKNOWN[1334]', 1, 'prog-id=5 op=LOAD'),
    { records: ['BPF'], details: [{ type: 'BPF', fields: { 'prog-id': '5', op: 'LOAD' } }] },
  ],
  [
    'a type that nobody knows',
    line('UNKNOWN[1999]', 1, 'foo=bar baz'),
    {
      ...{ records: ['UNKNOWN[1999]'], complete: true },
      details: [{ type: 'UNKNOWN[1999]', words: 'baz', fields: { foo: 'bar' } }],
    },
  ],
])('%s', (_, log, shown) => {
  const { events, summary } = show(log)
  expect(events).toHaveLength(1)
  expect(events[0]).toMatchObject(shown)
  expect(summary).toMatchObject({ records: log.split('\n').length - 1, events: 1, unreadable: 0, late: 0 })
})

// <asm-generic/fcntl.h>: O_WRONLY | O_CREAT, and O_RDONLY | O_CLOEXEC.
test.each([
  ['0101', 'write'],
  ['02000000', 'open'],
])('OPENAT2 tells what the call was for: oflag=%s is %s', (oflag, action) => {
  const log = event(1, [
    ['SYSCALL', syscall('openat2', { a0: 'ffffff9c', items: 1 })],
    ['OPENAT2', `oflag=${oflag} mode=0644 resolve=0x8`],
    ['CWD', 'cwd="/"'],
    ['PATH', path(0, '/etc/x', 7, 'NORMAL')],
  ])
  expect(show(log).events[0]).toMatchObject({
    syscall: 'openat2',
    paths: [{ path: '/etc/x', action, confidence: 'high' }],
  })
})

/** netlink(7), packet(7), vsock(7), <linux/socket.h>. */
test.each<[what: string, saddr: string, fields: Record<string, string | number>, peer: object]>([
  ['netlink', '10000000D204000001000000', {}, { family: 'netlink', address: '1234' }],
  ['packet', '1100000302000000010000060000000000000000', {}, { family: 'packet', address: '2' }],
  ['vsock', '28000000000400000200000000000000', {}, { family: 'vsock', address: '2', port: 1024 }],
  ['bluetooth', '1F000110AABBCCDDEEFF0000', {}, { family: 31, address: '0110aabbccddeeff0000' }],
  [
    'netlink of a big-endian machine',
    '00100000000004D200000001',
    { arch: '80000016', syscall: 362 },
    { family: 'netlink', address: '1234' },
  ],
])('a peer by %s', (_, saddr, fields, peer) => {
  const log = event(1, [
    ['SYSCALL', syscall('connect', fields)],
    ['SOCKADDR', `saddr=${saddr}`],
  ])
  expect(show(log).events[0]).toMatchObject({ syscall: 'connect', peer })
})
