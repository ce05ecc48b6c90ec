import { describe, expect, test } from 'vitest'
import type { ShownEvent, ShownSummary } from '../../agent/show/event.ts'
import { EventReader } from '../../agent/show/reader.ts'
import { edgeTexts, runCore } from '../support/edges.ts'
import { event, execve, line, path, syscall } from '../support/log.ts'

/**
 * Inputs that at least one reader of audit logs is known to get wrong, each with the right reading. The numbers are those
 * of the list that they come from.
 */
interface Tricky {
  readonly number: number
  readonly what: string
  /** One character a byte; several are read one after the other. */
  readonly log: string | readonly string[]
  /** In the order of their serials. */
  readonly events: readonly object[]
  readonly summary?: Partial<ShownSummary>
  readonly edges?: readonly string[]
  /** Serial numbers that are missing. */
  readonly missing?: number
}

const GS = '\u001d'
const T = 1_795_210_798_000
const EXEC_RECORDS = ['SYSCALL', 'EXECVE', 'PROCTITLE']

/** An execve without its PATH records. */
const exec = (argv: string): string =>
  event(1, [
    ['SYSCALL', syscall('execve')],
    ['EXECVE', argv],
  ])
const argvOf = (argv: readonly string[], argvTruncated = false): object => ({
  records: EXEC_RECORDS,
  argv,
  argvTruncated,
  complete: true,
})
const connect = (saddr: string, given: Readonly<Record<string, string | number>> = {}): string =>
  event(1, [
    ['SYSCALL', syscall('connect', given)],
    ['SOCKADDR', `saddr=${saddr}`],
  ])
const hex = (text: string): string => Buffer.from(text, 'latin1').toString('hex').toUpperCase()

const ARGUMENTS: readonly Tricky[] = [
  {
    number: 1,
    what: 'an empty argument',
    log: exec('argc=3 a0="printf" a1="" a2="x"'),
    events: [argvOf(['printf', '', 'x'])],
  },
  {
    number: 2,
    what: 'a backslash before the quote',
    log: exec('argc=3 a0="grep" a1="foo\\" a2="bar"'),
    events: [argvOf(['grep', 'foo\\', 'bar'])],
  },
  { number: 3, what: 'a question mark', log: exec('argc=2 a0="x" a1="?"'), events: [argvOf(['x', '?'])] },
  {
    number: 4,
    what: 'single quotes',
    log: exec(`argc=3 a0="x" a1="'" a2="'a'"`),
    events: [argvOf(['x', "'", "'a'"])],
  },
  {
    number: 5,
    what: 'an argument in fragments',
    log: event(1, [
      ['SYSCALL', syscall('execve')],
      ['EXECVE', 'argc=3 a0="x" a1_len=20 a1[0]="AAAAAAAAAA"'],
      ['EXECVE', 'a1[1]="BBBBBBBBBB" a2="end"'],
    ]),
    events: [{ argv: ['x', 'AAAAAAAAAABBBBBBBBBB', 'end'], argvTruncated: false }],
  },
  {
    number: 6,
    what: 'fragments in hex, a character in two of them',
    log: event(1, [
      ['SYSCALL', syscall('execve')],
      ['EXECVE', 'argc=2 a0="x" a1_len=8 a1[0]=4120C3'],
      ['EXECVE', 'a1[1]=A9'],
    ]),
    events: [{ argv: ['x', 'A é'], argvTruncated: false }],
  },
  {
    number: 7,
    what: 'an empty argument that an old kernel left out',
    log: exec('argc=3 a0="/bin/ls" a2="/etc"'),
    events: [argvOf(['/bin/ls', '', '/etc'])],
  },
  {
    number: 8,
    what: 'a list that ends before argc',
    log: exec('argc=5 a0="sh" a1="-c"'),
    events: [argvOf(['sh', '-c'], true)],
  },
  {
    number: 9,
    what: 'a list whose first record was lost',
    log: exec('a1[1]="BBB" a2="end"'),
    events: [{ argv: ['', 'BBB', 'end'], argvTruncated: true }],
  },
  {
    number: 10,
    what: 'an odd number of hex digits',
    log: exec('argc=2 a0="x" a1=61622'),
    events: [argvOf(['x', 'ab'], true)],
  },
  {
    number: 11,
    what: 'text that looks like hex, and hex',
    log: exec('argc=3 a0="sh" a1="6D79" a2=6D7920'),
    events: [argvOf(['sh', '6D79', 'my '])],
  },
  {
    number: 61,
    what: 'two hundred thousand arguments',
    log: [
      line('SYSCALL', 1, syscall('execve')),
      line('EXECVE', 1, 'argc=200000 a0="x"'),
      ...Array.from({ length: 200 }, (_, record) =>
        line(
          'EXECVE',
          1,
          Array.from({ length: 1000 }, (_, index) => `a${record * 1000 + index + 1}="y"`).join(' '),
        ),
      ),
      line('PROCTITLE', 1, 'proctitle="x"'),
    ],
    events: [{ argvTruncated: true }],
    summary: { records: 203, unreadable: 0, late: 0 },
  },
]

const SUFFIX = 'ARCH=x86_64 SYSCALL=execve AUID="unset" UID="root"'
const FORGED = 'type=USER_LOGIN msg=audit(1795210798.000:9999): pid=1 uid=0 auid=0 ses=1 res=success'

const LINES: readonly Tricky[] = [
  {
    number: 12,
    what: 'what auditd translated, with and without its separator',
    log:
      event(1, [['SYSCALL', `${syscall('exit_group')}${GS}${SUFFIX}`]]) +
      event(2, [['SYSCALL', `${syscall('exit_group')}${SUFFIX}`]]),
    events: [
      { keys: [], arch: 'x86_64', uid: 1000 },
      { keys: [], arch: 'x86_64', uid: 1000 },
    ],
  },
  {
    number: 13,
    what: 'an address that auditd translated',
    log: connect(`02000050A9FEA9FE0000000000000000${GS}SADDR={ saddr_fam=inet laddr=1.2.3.4 lport=1 }`),
    events: [{ peer: { family: 'inet', address: '169.254.169.254', port: 80 } }],
  },
  {
    number: 14,
    what: 'two hosts with the same serial',
    log:
      line('SYSCALL', 1, syscall('exit_group'), { node: 'web-01' }) +
      line('SYSCALL', 1, syscall('exit_group', { pid: 7 }), { node: 'web-02' }) +
      line('PROCTITLE', 1, 'proctitle="x"', { node: 'web-01' }) +
      line('PROCTITLE', 1, 'proctitle="x"', { node: 'web-02' }),
    events: [
      { id: { node: 'web-01' }, pid: 100, records: ['SYSCALL', 'PROCTITLE'] },
      { id: { node: 'web-02' }, pid: 7, records: ['SYSCALL', 'PROCTITLE'] },
    ],
  },
  {
    number: 24,
    what: 'newlines in the path of a socket, as auditd translates it',
    log: connect(`0100${hex(`/x\n${FORGED}\n`)}00${GS}SADDR={ saddr_fam=local path=/x\n${FORGED}\n }`),
    events: [
      { records: ['SYSCALL', 'SOCKADDR', 'PROCTITLE'], peer: { family: 'unix', path: `/x\n${FORGED}\n` } },
    ],
    summary: { events: 1, unreadable: 0 },
  },
  {
    number: 25,
    what: 'a payload that says who the sender would like to be',
    log: line(
      'USER_AUTH',
      1,
      "pid=777 uid=1001 auid=1001 ses=4 msg='op=x pid=1 uid=0 auid=0 ses=1 res=success'",
    ),
    events: [
      {
        pid: 777,
        uid: 1001,
        auid: 1001,
        claims: { op: 'x', pid: '1', uid: '0', auid: '0', ses: '1', res: 'success' },
      },
    ],
  },
  {
    number: 26,
    what: 'a payload with quotes, a type and hex',
    log: line(
      'USER_CMD',
      1,
      `pid=7 uid=5 auid=5 ses=1 msg='cwd="/x' type=EOE uid=0" cmd=6C73202D6C res=success'${GS}UID="u"`,
    ),
    events: [
      { records: ['USER_CMD'], uid: 5, claims: { cwd: "/x' type=EOE uid=0", cmd: 'ls -l', res: 'success' } },
    ],
  },
  {
    number: 27,
    what: 'two keys in one',
    log: event(1, [['SYSCALL', syscall('exit_group', { key: '657865630176706E' })]]),
    events: [{ keys: ['exec', 'vpn'] }],
  },
  {
    number: 28,
    what: 'a call without a result',
    log: event(1, [['SYSCALL', syscall('exit_group', { success: '', exit: '' })]]),
    events: [{ syscall: 'exit_group', success: undefined, exit: undefined }],
  },
  {
    number: 29,
    what: 'a personality between the number of the call and its result',
    log: exec('argc=1 a0="sh"').replace('arch=c000003e syscall=59', 'arch=40000003 syscall=11 per=400000'),
    events: [{ arch: 'i386', syscall: 'execve', success: true, pid: 100, argv: ['sh'] }],
  },
  {
    number: 30,
    what: 'a type that auditd did not know',
    log: line('UNKNOWN[1334]', 1, 'prog-id=5 op=LOAD'),
    events: [{ records: ['BPF'], details: [{ type: 'BPF', fields: { 'prog-id': '5', op: 'LOAD' } }] }],
  },
  {
    number: 31,
    what: 'a program that was deleted',
    log: event(1, [['SYSCALL', syscall('exit_group', { exe: hex('/tmp/x (deleted)') })]]),
    events: [{ exe: '/tmp/x (deleted)' }],
  },
  {
    number: 32,
    what: 'a name with a space',
    log: event(1, [['SYSCALL', syscall('exit_group', { comm: '6D792070726F67' })]]),
    events: [{ comm: 'my prog' }],
  },
  {
    number: 33,
    what: 'a name that is no UTF-8',
    log:
      event(1, [['SYSCALL', syscall('exit_group', { comm: 'FF20FE' })]]) +
      event(2, [['SYSCALL', syscall('exit_group', { comm: 'FE20FE' })]]),
    events: [{ comm: '\udcff \udcfe' }, { comm: '\udcfe \udcfe' }],
  },
  {
    number: 50,
    what: 'SECCOMP with its own arch and syscall',
    log: line(
      'SECCOMP',
      1,
      'auid=1000 uid=33 gid=33 ses=2 pid=900 comm="chrome" exe="/opt/chrome" sig=31 arch=40000003 syscall=132 compat=0 ip=0x7f code=0x50000',
    ),
    events: [
      {
        ...{ syscall: 'getpgid', arch: 'i386', success: undefined, pid: 900, uid: 33, auid: 1000 },
        ...{ comm: 'chrome', exe: '/opt/chrome' },
        details: [{ type: 'SECCOMP', fields: { sig: '31', code: '0x50000' } }],
      },
    ],
  },
  {
    number: 51,
    what: 'a label with a space',
    log: event(1, [
      ['SYSCALL', syscall('exit_group', { key: '' }) + ' subj==/usr/sbin/ntpd (enforce) key="k"'],
    ]),
    events: [{ keys: ['k'], exe: '/bin/x' }],
  },
  {
    number: 52,
    what: 'an AVC with spaces between quotes beside its call',
    log: event(1, [
      ['SYSCALL', syscall('exit_group')],
      ['AVC', 'apparmor="STATUS" info="same as current profile, skipping" profile="unconfined" pid=9'],
    ]),
    events: [
      {
        records: ['SYSCALL', 'AVC', 'PROCTITLE'],
        pid: 100,
        details: [{ fields: { info: 'same as current profile, skipping' } }],
      },
    ],
  },
  {
    number: 53,
    what: 'the extra word of old kernels',
    log: line(
      'USER_LOGIN',
      1,
      'user pid=13 uid=0 auid=500 msg=\'acct=root : exe="/bin/login" (hostname=?, addr=?, terminal=tty1 res=success)\'',
    ),
    events: [{ pid: 13, uid: 0, auid: 500, claims: { acct: 'root', terminal: 'tty1', res: 'success' } }],
  },
  {
    number: 54,
    what: 'free text of auditd before its fields',
    log: line('DAEMON_START', 1, 'auditd start, ver=2.2 format=raw kernel=3.10 auid=0 pid=251 res=success'),
    events: [
      { pid: 251, auid: 0, details: [{ words: 'auditd start,', fields: { ver: '2.2', res: 'success' } }] },
    ],
  },
  {
    number: 55,
    what: 'a record torn by another',
    log: line(
      'DAEMON_END',
      1,
      "op=terminate auid=0 pid=12333 subj=24970459.090:670): pid=12323 uid=5 msg='op=x res=success' res=success",
    ),
    events: [{ records: ['DAEMON_END'], pid: 12333, uid: undefined, claims: undefined, complete: false }],
    summary: { unreadable: 0 },
  },
  {
    number: 62,
    what: 'a title cut inside of a character',
    log: line('SYSCALL', 1, syscall('exit_group')) + line('PROCTITLE', 1, 'proctitle=61C3'),
    events: [{ records: ['SYSCALL', 'PROCTITLE'], complete: true }],
  },
]

const at = (timeMs: number): { readonly timeMs: number } => ({ timeMs })
const twoRecords = (serial: number): string =>
  line('SYSCALL', serial, syscall('exit_group')) + line('PROCTITLE', serial, 'proctitle="x"')

const EVENTS: readonly Tricky[] = [
  {
    number: 15,
    what: 'three events in turn',
    log:
      [2, 1, 3]
        .map((serial) => line('SYSCALL', serial, syscall('exit_group', { pid: 100 + serial })))
        .join('') + [1, 3, 2].map((serial) => line('PROCTITLE', serial, 'proctitle="x"')).join(''),
    events: [101, 102, 103].map((pid) => ({ pid, records: ['SYSCALL', 'PROCTITLE'], complete: true })),
  },
  {
    number: 16,
    what: 'PATH behind PROCTITLE',
    log:
      line('SYSCALL', 1, syscall('unlink', { items: 1 })) +
      line('CWD', 1, 'cwd="/"') +
      line('PROCTITLE', 1, 'proctitle="x"') +
      line('PATH', 1, path(0, '/a', 7, 'DELETE')),
    events: [{ records: ['SYSCALL', 'CWD', 'PROCTITLE', 'PATH'], complete: true }],
    summary: { events: 1, late: 0 },
  },
  {
    number: 17,
    what: 'LOGIN before its call',
    log: event(1, [
      ['LOGIN', 'pid=5 uid=0 old-auid=4294967295 auid=1000 old-ses=4294967295 ses=1 res=1'],
      ['SYSCALL', syscall('exit_group', { pid: 5 })],
    ]),
    events: [{ records: ['LOGIN', 'SYSCALL', 'PROCTITLE'], pid: 5 }],
  },
  {
    number: 18,
    what: 'CONFIG_CHANGE before its call',
    log: event(1, [
      ['CONFIG_CHANGE', 'auid=0 ses=1 op=add_rule key="k" list=4 res=1'],
      ['SYSCALL', syscall('sendto')],
      ['SOCKADDR', 'saddr=100000000000000000000000'],
    ]),
    events: [
      { records: ['CONFIG_CHANGE', 'SYSCALL', 'SOCKADDR', 'PROCTITLE'], syscall: 'sendto', keys: ['k'] },
    ],
  },
  {
    number: 19,
    what: 'a call that began long ago',
    log:
      line('SYSCALL', 1, syscall('accept'), at(T - 100_000)) +
      line('SYSCALL', 2, syscall('exit_group'), at(T)) +
      line('SOCKADDR', 1, 'saddr=02000050A9FEA9FE0000000000000000', at(T - 100_000)) +
      line('PROCTITLE', 2, 'proctitle="x"', at(T)) +
      line('PROCTITLE', 1, 'proctitle="x"', at(T - 100_000)),
    events: [
      { id: { timeMs: T - 100_000 }, records: ['SYSCALL', 'SOCKADDR', 'PROCTITLE'] },
      { id: { timeMs: T }, records: ['SYSCALL', 'PROCTITLE'] },
    ],
  },
  {
    number: 20,
    what: 'a PATH behind an event that is seconds younger',
    log:
      line('SYSCALL', 60, syscall('execve', { items: 2 }), at(T)) +
      line('EXECVE', 60, execve(['cat']), at(T)) +
      line('CWD', 60, 'cwd="/"', at(T)) +
      line('PATH', 60, path(0, '/usr/bin/cat', 7, 'NORMAL'), at(T)) +
      line('SYSCALL', 61, syscall('connect', { items: 1 }), at(T + 7845)) +
      line('PATH', 60, path(1, '/lib64/ld.so', 8, 'NORMAL'), at(T)) +
      line('SOCKADDR', 61, `saddr=0100${hex('public/pickup')}00`, at(T + 7845)) +
      line('CWD', 61, 'cwd="/var/spool/postfix"', at(T + 7845)) +
      line('SYSCALL', 62, syscall('accept'), at(T + 7845)) +
      line('PATH', 61, path(0, 'public/pickup', 9, 'NORMAL'), at(T + 7845)),
    events: [
      { records: ['SYSCALL', 'EXECVE', 'CWD', 'PATH', 'PATH'], argv: ['cat'], complete: true },
      {
        records: ['SYSCALL', 'SOCKADDR', 'CWD', 'PATH'],
        peer: { family: 'unix', path: '/var/spool/postfix/public/pickup' },
        complete: true,
      },
      { records: ['SYSCALL'] },
    ],
    summary: { events: 3, late: 0 },
  },
  {
    number: 21,
    what: 'the same serial before and behind a reboot',
    log:
      event(35, [['SYSCALL', syscall('exit_group')]]) +
      event(35, [['SYSCALL', syscall('exit_group')]], at(T + 60_000)),
    events: [
      { records: ['SYSCALL', 'PROCTITLE'] },
      { id: { timeMs: T + 60_000 }, records: ['SYSCALL', 'PROCTITLE'] },
    ],
  },
  {
    number: 22,
    what: 'the serial behind the last',
    log: [4294967294, 4294967295, 0, 1].map(twoRecords).join(''),
    events: [0, 1, 4294967294, 4294967295].map((serial) => ({ id: { serial } })),
    missing: 0,
  },
  {
    number: 23,
    what: "auditd's own counter beside the kernel's",
    log: twoRecords(81) + line('DAEMON_START', 4149, 'op=start ver=3.0.9 pid=5 res=success') + twoRecords(82),
    events: [81, 82, 4149].map((serial) => ({ id: { serial } })),
    missing: 0,
  },
  {
    number: 56,
    what: 'a last line whose end is still to come',
    log: [
      line('SYSCALL', 1, syscall('exit_group')),
      'type=PROCTITLE msg=audit(1795210797.987:1): procti',
      'tle="x"\n',
    ],
    events: [{ records: ['SYSCALL', 'PROCTITLE'] }],
    summary: { unreadable: 0 },
  },
  {
    number: 57,
    what: 'an event in two files',
    log: [
      line('SYSCALL', 1, syscall('execve')) + line('EXECVE', 1, execve(['a'])),
      line('PROCTITLE', 1, 'proctitle="x"'),
    ],
    events: [argvOf(['a'])],
  },
  {
    number: 58,
    what: 'a stream without newlines, as the socket of audit 4.0.4 has it',
    log: `${event(1, [['SYSCALL', syscall('exit_group')]]).replaceAll('\n', '')}\n`,
    events: [{ records: ['SYSCALL', 'PROCTITLE'], pid: 100, keys: [] }],
  },
  {
    number: 59,
    what: 'BPRM_FCAPS between the call and its arguments',
    log: event(1, [
      ['SYSCALL', syscall('execve')],
      [
        'BPRM_FCAPS',
        'fver=0 fp=0 fi=0 fe=0 old_pp=0 old_pi=0 old_pe=0 old_pa=0 pp=1ff pi=0 pe=1ff pa=0 frootid=0',
      ],
      ['EXECVE', execve(['sudo'])],
    ]),
    events: [{ records: ['SYSCALL', 'BPRM_FCAPS', 'EXECVE', 'PROCTITLE'], argv: ['sudo'], complete: true }],
  },
]

const ADDRESSES: readonly Tricky[] = [
  [34, 'a path without NUL', '01002F746D702F736F636B', { family: 'unix', path: '/tmp/sock' }],
  [35, 'an abstract name', `010000${hex('@/tmp/dbus-AbC')}`, { family: 'unix', path: '@@/tmp/dbus-AbC' }],
  [36, 'no name', '0100', { family: 'unix', path: '' }],
  [
    37,
    'what was on the stack',
    `0100${hex('/run/nscd/socket')}0000005F3F1AF1987F`,
    { family: 'unix', path: '/run/nscd/socket' },
  ],
  [
    38,
    'any flow label',
    '0A0001BBFFFFFFFF20010DB800000000000000000000000100000000',
    { family: 'inet6', address: '2001:db8::1', port: 443 },
  ],
  [
    39,
    'IPv6 without a scope',
    '0A0001BB0000000020010DB8000000000000000000000001',
    { family: 'inet6', address: '2001:db8::1', port: 443 },
  ],
  [
    40,
    'IPv4 in IPv6',
    '0A001F900000000000000000000000000000FFFF0A00000100000000',
    { family: 'inet', address: '10.0.0.1', port: 8080 },
  ],
  [41, 'the end of an association', '00000000000000000000000000000000', undefined],
  [42, 'vsock', '28000000000400000200000000000000', { family: 'vsock', address: '2', port: 1024 }],
].map(([number, what, saddr, peer]) => ({
  number: number as number,
  what: `an address with ${what as string}`,
  log: connect(saddr as string),
  events: [{ syscall: 'connect', peer }],
  ...(peer === undefined ? { edges: [] } : {}),
}))

const unlinkat = event(2, [
  ['SYSCALL', syscall('unlinkat', { a0: 3, items: 2 })],
  ['CWD', 'cwd="/srv/app"'],
  ['PATH', path(0, '/srv/app', 260072, 'PARENT')],
  ['PATH', path(1, 'tmpglzacm18.csv', 2146311, 'DELETE')],
])
const creat = (serial: number, parent: string, parentInode: number, file: string, inode: number): string =>
  event(serial, [
    ['SYSCALL', syscall('creat', { exit: 3, items: 2 })],
    ['CWD', 'cwd="/"'],
    ['PATH', path(0, parent, parentInode, 'PARENT')],
    ['PATH', path(1, file, inode, 'CREATE')],
  ])
const rename5 = event(2, [
  ['SYSCALL', syscall('rename', { items: 5 })],
  ['CWD', 'cwd="/"'],
  ['PATH', path(0, '/old/', 10, 'PARENT')],
  ['PATH', path(1, '/new/', 11, 'PARENT')],
  ['PATH', path(2, '/old/a', 70, 'DELETE')],
  ['PATH', path(3, '/new/b', 80, 'DELETE')],
  ['PATH', path(4, '/new/b', 70, 'CREATE')],
])

const CALLS: readonly Tricky[] = [
  {
    number: 43,
    what: 'a machine with the other byte order',
    log: connect('0002D903C0A800010000000000000000', { arch: '80000016', syscall: 362 }),
    events: [
      { arch: 's390x', syscall: 'connect', peer: { family: 'inet', address: '192.168.0.1', port: 55555 } },
    ],
  },
  {
    number: 44,
    what: 'a connect that does not block',
    log: connect('02000050A9FEA9FE0000000000000000', { success: 'no', exit: -115 }),
    events: [{ success: false, exit: -115 }],
    edges: ['connect proc::1000:/bin/x->host:169.254.169.254:80'],
  },
  {
    number: 45,
    what: 'a name in a directory of which only the descriptor is known',
    log: unlinkat,
    events: [
      {
        paths: [
          { action: 'parent', confidence: 'low' },
          { path: '?/tmpglzacm18.csv', action: 'delete', confidence: 'low' },
        ],
      },
    ],
  },
  {
    number: 45,
    what: 'a name in a directory that is known by its inode',
    log: creat(1, '/tmp/', 260072, '/tmp/x', 5) + unlinkat,
    events: [
      { paths: [{}, { path: '/tmp/x', action: 'create', confidence: 'high' }] },
      { paths: [{ path: '/tmp' }, { path: '/tmp/tmpglzacm18.csv', action: 'delete', confidence: 'medium' }] },
    ],
  },
  {
    number: 46,
    what: 'no name at all',
    log:
      creat(1, '/srv/', 4, '/srv/x', 820) +
      event(2, [
        ['SYSCALL', syscall('fchown', { a0: 3, items: 1 })],
        ['CWD', 'cwd="/"'],
        ['PATH', path(0, undefined, 820, 'NORMAL')],
      ]),
    events: [{}, { paths: [{ path: '/srv/x', action: 'attribute', confidence: 'medium' }] }],
  },
  {
    number: 47,
    what: 'a rename over another file',
    log: rename5,
    events: [
      {
        paths: [
          { path: '/old', action: 'parent' },
          { path: '/new', action: 'parent' },
          { path: '/old/a', action: 'rename' },
          { path: '/new/b' },
          { path: '/new/b', action: 'rename' },
        ],
      },
    ],
    // The file that was there has the name that the other took.
    edges: ['/new/b', '/old/a'].map((file) => `rename proc::1000:/bin/x->file:rename:${file}`),
  },
  {
    number: 48,
    what: 'an execve of a program that is not there',
    log: event(1, [
      ['SYSCALL', syscall('execve', { success: 'no', exit: -2, items: 1 })],
      ['CWD', 'cwd="/"'],
      ['PATH', path(0, '/usr/local/bin/gone', 0, 'UNKNOWN')],
    ]),
    events: [
      {
        ...{ syscall: 'execve', success: false, exit: -2, exe: '/bin/x', argv: undefined, complete: true },
        paths: [{ path: '/usr/local/bin/gone', action: 'none' }],
      },
    ],
    edges: [],
  },
  {
    number: 49,
    what: 'work of io_uring, which does not say who does it',
    log:
      event(1, [
        ['SYSCALL', syscall('execve', { pid: 77, exe: '"/usr/bin/ring"' })],
        ['EXECVE', execve(['ring'])],
      ]) +
      line(
        'URINGOP',
        2,
        'uring_op=18 success=yes exit=0 items=2 ppid=1 pid=77 uid=33 gid=33 euid=33 suid=33 fsuid=33 egid=33 sgid=33 fsgid=33 key=(null)',
      ) +
      line('CWD', 2, 'cwd="/srv"') +
      line('PATH', 2, path(0, '/srv/', 4, 'PARENT')) +
      line('PATH', 2, path(1, '/srv/new', 9, 'CREATE')) +
      line('PROCTITLE', 2, 'proctitle="x"'),
    events: [
      { syscall: 'execve' },
      {
        ...{ records: ['URINGOP', 'CWD', 'PATH', 'PATH', 'PROCTITLE'], syscall: 'openat', arch: undefined },
        ...{
          success: true,
          exit: 0,
          pid: 77,
          ppid: 1,
          uid: 33,
          exe: '/usr/bin/ring',
          keys: [],
          complete: true,
        },
        paths: [{ action: 'parent' }, { path: '/srv/new', action: 'create' }],
      },
    ],
  },
  {
    number: 60,
    what: 'connect by the socketcall of i386',
    log: event(1, [
      ['SYSCALL', syscall('connect', { arch: '40000003', syscall: 102, a0: 3 })],
      ['SOCKETCALL', 'nargs=3 a0=4 a1=bf8 a2=10'],
      ['SOCKADDR', 'saddr=02000050A9FEA9FE0000000000000000'],
    ]),
    events: [
      { arch: 'i386', syscall: 'socketcall', peer: { family: 'inet', address: '169.254.169.254', port: 80 } },
    ],
    edges: ['connect proc::1000:/bin/x->host:169.254.169.254:80'],
  },
]

const ALL = [...ARGUMENTS, ...LINES, ...EVENTS, ...ADDRESSES, ...CALLS].sort(
  (one, other) => one.number - other.number,
)

function read(pieces: readonly string[]): {
  readonly events: readonly ShownEvent[]
  readonly summary: ShownSummary
} {
  const events: ShownEvent[] = []
  const reader = new EventReader((shown) => events.push(shown))
  for (const piece of pieces) reader.push(Buffer.from(piece, 'latin1'))
  const summary = reader.end()
  return { events: events.sort((one, other) => one.id.serial - other.id.serial), summary }
}

describe('tricky inputs', () => {
  test('all of the list are here', () => {
    expect([...new Set(ALL.map(({ number }) => number))]).toEqual(
      Array.from({ length: 62 }, (_, index) => index + 1),
    )
  })

  for (const { number, what, log, events, summary = { unreadable: 0, late: 0 }, edges, missing } of ALL) {
    test(`${number}: ${what}`, () => {
      const pieces = typeof log === 'string' ? [log] : log
      const shown = read(pieces)
      expect(shown.events).toHaveLength(events.length)
      expect(shown.events).toMatchObject(events)
      expect(shown.summary).toMatchObject(summary)
      const core = runCore(pieces.map((piece) => Buffer.from(piece, 'latin1')))
      if (edges !== undefined) expect(edgeTexts(core.edges)).toEqual(edges)
      if (missing !== undefined) expect(core.core.losses.missingSerials).toBe(missing)
    })
  }
})
