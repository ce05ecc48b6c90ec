/**
 * The inputs that readers of auditd logs get wrong, one small log for each, and what a right reading says of it.
 *
 * What is right comes from the kernel and from auditd (kernel/audit.c, kernel/auditsc.c; auparse and auditd-event.c of
 * audit-userspace), never from a reader. Only what is said in `events` is asked for.
 */

/** What a reader may say of an event. Text is bytes, one character each (Latin-1). */
interface Sayings {
  node: string
  /** Name of the architecture, as auditd spells it. */
  arch: string
  syscall: string
  success: boolean
  exit: number
  pid: number
  auid: number
  uid: number
  comm: string
  exe: string
  argv: readonly string[]
  /** Whether the reader says, or shows by its counts, that arguments are missing. */
  argvIncomplete: boolean
  cwd: string
  /** Names in the order of the records, without a slash at the end. */
  names: readonly (string | undefined)[]
  /** Where the last file of the event really is. */
  file: string
  /** `inet ADDRESS PORT`, `inet6 ADDRESS PORT`, `unix PATH` (`unix @NAME` when abstract), `vsock CID PORT`, `none`. */
  peer: string
  keys: readonly string[]
  /** Name of an operation of io_uring, or its number. */
  operation: string
}

export type SaidName = keyof Sayings

/** Undefined: the event has none, as exit_group has no result. */
export type Said = { readonly [Name in SaidName]?: Sayings[Name] | undefined }

export interface TrueEvent {
  readonly serial: number
  readonly timeMs: number
  /** Types of its records, each once; empty when it does not matter. */
  readonly types: readonly string[]
  readonly said: Said
  /** Another reading that is as right. */
  readonly orElse?: Said
}

export interface InputClass {
  /** What is odd about the input. */
  readonly name: string
  /** The right reading in words. */
  readonly right: string
  /** The log; several when auditd has rotated it, oldest first. */
  readonly logs: readonly Buffer[]
  readonly events: readonly TrueEvent[]
  /** Events that it is right to read and right to leave out. */
  readonly perhaps?: readonly TrueEvent[]
}

export interface Group {
  readonly name: string
  readonly classes: readonly InputClass[]
}

const TIME_MS = 1_795_210_797_987
const GS = '\x1d'

type Stamp = { readonly ms?: number; readonly node?: string }

/** A line as auditd writes it, with its newline. */
function line(type: string, serial: number, body: string, { ms = TIME_MS, node }: Stamp = {}): string {
  const stamp = `${Math.floor(ms / 1000)}.${String(ms % 1000).padStart(3, '0')}:${serial}`
  return `${node === undefined ? '' : `node=${node} `}type=${type} msg=audit(${stamp}): ${body}\n`
}

type Fields = Readonly<Record<string, string | number>>

/** Above every pid_max, so that no reader finds a process of this machine under it. */
export const PID = 5_000_001
/** No account has it. */
const UID = 4001

/** Body of a SYSCALL record in the order of the kernel; '' leaves a field out. */
function call(syscall: number, given: Fields = {}): string {
  const fields: Fields = {
    ...{ arch: 'c000003e', syscall, per: '', success: 'yes', exit: 0, a0: 3, a1: 0, a2: 0, a3: 0, items: 0 },
    ...{ ppid: 1, pid: PID, auid: UID, uid: UID, gid: UID, euid: UID, suid: UID, fsuid: UID, egid: UID },
    ...{
      sgid: UID,
      fsgid: UID,
      tty: 'pts0',
      ses: 3,
      comm: '"sh"',
      exe: '"/bin/sh"',
      subj: '',
      key: '(null)',
    },
    ...given,
  }
  return Object.entries(fields)
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')
}

const EXECVE = 59
const CONNECT = 42
const ACCEPT4 = 288
const RENAME = 82
const UNLINKAT = 263
const FCHOWN = 93
const OPENAT = 257
const EXIT_GROUP = 231

function path(item: number, name: string, inode: number, nametype: string, mode = '0100644'): string {
  const found = inode === 0 ? '' : `inode=${inode} dev=fe:00 mode=${mode} ouid=0 ogid=0 rdev=00:00 `
  return `item=${item} name=${name} ${found}nametype=${nametype} cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0`
}

const hexOf = (text: string): string => Buffer.from(text, 'latin1').toString('hex').toUpperCase()
/** The bytes of a text in UTF-8, one character each. */
const utf8 = (text: string): string => Buffer.from(text).toString('latin1')

type Records = readonly (readonly [type: string, body: string])[]

/** All records of one event, and what is true of it. */
interface Written {
  readonly text: string
  readonly event: TrueEvent
}

function event(
  serial: number,
  records: Records,
  said: Said,
  stamp: Stamp & { readonly orElse?: Said } = {},
): Written {
  const { ms = TIME_MS, node, orElse } = stamp
  return {
    text: records.map(([type, body]) => line(type, serial, body, stamp)).join(''),
    event: {
      ...{ serial, timeMs: ms, types: [...new Set(records.map(([type]) => type))] },
      said: node === undefined ? said : { node, ...said },
      ...(orElse === undefined ? {} : { orElse }),
    },
  }
}

/** An event of a system call, with its end mark. */
const called = (
  records: Records,
  said: Said,
  stamp?: Stamp & { readonly orElse?: Said },
  serial = 6,
): Written => event(serial, [...records, ['PROCTITLE', 'proctitle="sh"']], said, stamp)

/** A program that was started, with these bodies of EXECVE records. */
const started = (
  bodies: readonly string[],
  argv: readonly string[],
  said: Said = { argvIncomplete: false },
): Written =>
  called(
    [['SYSCALL', call(EXECVE)], ...bodies.map((body) => ['EXECVE', body] as const), ['CWD', 'cwd="/root"']],
    { argv, ...said },
  )

/** A connect to an address as hex, and how it is shown. */
const connected = (
  saddr: string,
  peer: string,
  given: Fields = {},
  said: Said = {},
  orElse?: Said,
): Written =>
  called(
    [
      ['SYSCALL', call(CONNECT, given)],
      ['SOCKADDR', `saddr=${saddr}`],
    ],
    { peer, ...said },
    orElse === undefined ? {} : { orElse },
  )

/** An ordinary event: what comes after an odd one must be read as ever. */
const ordinary = (serial = 90, ms = TIME_MS + 1000): Written =>
  called(
    [
      ['SYSCALL', call(OPENAT, { exit: 4 })],
      ['CWD', 'cwd="/root"'],
    ],
    { syscall: 'openat', exit: 4 },
    { ms },
    serial,
  )

function input(name: string, right: string, ...written: readonly Written[]): InputClass {
  return {
    ...{ name, right },
    logs: [Buffer.from(written.map(({ text }) => text).join(''), 'latin1')],
    events: written.map((each) => each.event),
  }
}

/** Lines that stand otherwise than event after event. */
function mixed(
  name: string,
  right: string,
  texts: string | readonly string[],
  ...written: readonly Written[]
): InputClass {
  return {
    ...{ name, right },
    logs: [texts].flat().map((text) => Buffer.from(text, 'latin1')),
    events: written.map((each) => each.event),
  }
}

/** Lines of events by their numbers, in the given order. */
function weave(order: readonly (readonly [Written, number])[]): string {
  return order.map(([{ text }, index]) => text.split(/(?<=\n)/)[index] ?? '').join('')
}

const argumentsOfPrograms: Group = {
  name: 'Arguments of programs',
  classes: [
    input(
      'an empty argument: `a1=""`',
      'it counts',
      started(['argc=3 a0="printf" a1="" a2="x"'], ['printf', '', 'x']),
    ),
    input(
      'a backslash before the closing quote: `a1="foo\\"`',
      'it is a backslash; nothing is escaped',
      started(['argc=3 a0="grep" a1="foo\\" a2="bar"'], ['grep', 'foo\\', 'bar']),
    ),
    input(
      `arguments of \`?\` and \`'\``,
      'they are text',
      started([`argc=4 a0="x" a1="?" a2="'" a3="'a'"`], ['x', '?', "'", "'a'"]),
    ),
    input(
      'an argument in pieces, in two records',
      'joined, and what follows it',
      started(
        [`argc=3 a0="x" a1_len=20 a1[0]="${'A'.repeat(12)}"`, `a1[1]="${'B'.repeat(8)}" a2="end"`],
        ['x', 'A'.repeat(12) + 'B'.repeat(8), 'end'],
      ),
    ),
    input(
      'pieces in hex, cut inside a letter',
      'joined, then decoded',
      started([`argc=2 a0="x" a1_len=16 a1[0]=41206FC3`, `a1[1]=A9204221`], ['x', utf8('A oé B!')]),
    ),
    input(
      'an empty argument left out by a kernel before 4.20',
      'it is empty',
      started(['argc=3 a0="/bin/ls" a2="/etc"'], ['/bin/ls', '', '/etc']),
    ),
    input(
      '`argc=5`, but two arguments: the rest was lost',
      'the two, and that some are missing',
      started(['argc=5 a0="sh" a1="-c"'], ['sh', '-c'], { argvIncomplete: true }),
    ),
    input(
      'the first EXECVE record was lost',
      'what is there, and that some are missing',
      event(
        6,
        [
          ['SYSCALL', call(EXECVE)],
          ['EXECVE', 'a1[1]="BBB" a2="end"'],
          ['CWD', 'cwd="/root"'],
          ['PROCTITLE', 'proctitle="sh"'],
        ],
        { argvIncomplete: true },
      ),
    ),
    input(
      'hex of odd length: the record was cut',
      'the whole bytes, and that some are missing',
      started(['argc=2 a0="sh" a1=61622'], ['sh', 'ab'], { argvIncomplete: true }),
    ),
    input(
      'text that looks like hex: `a1="6D79" a2=6D7920`',
      'the quote decides',
      started(['argc=3 a0="sh" a1="6D79" a2=6D7920'], ['sh', '6D79', 'my ']),
    ),
    input(
      'an index that no list has: `a4000000000="x"`',
      'that some are missing',
      event(
        6,
        [
          ['SYSCALL', call(EXECVE)],
          ['EXECVE', 'argc=2 a0="x" a4000000000="x"'],
          ['PROCTITLE', 'proctitle="sh"'],
        ],
        { argvIncomplete: true },
      ),
    ),
    input('200,000 arguments', 'all, or that some are missing', manyArguments(200_000)),
    input(
      'BPRM_FCAPS between SYSCALL and EXECVE',
      'one event',
      called(
        [
          ['SYSCALL', call(EXECVE)],
          [
            'BPRM_FCAPS',
            'fver=0 fp=0 fi=0 fe=0 old_pp=0 old_pi=0 old_pe=0 old_pa=0 pp=3 pi=0 pe=3 pa=0 frootid=0',
          ],
          ['EXECVE', 'argc=1 a0="sudo"'],
          ['CWD', 'cwd="/root"'],
        ],
        { argv: ['sudo'] },
      ),
    ),
    input(
      'an execve that failed: no EXECVE record',
      'an attempt: the program is that of PATH',
      called(
        [
          ['SYSCALL', call(EXECVE, { success: 'no', exit: -2, items: 1 })],
          ['CWD', 'cwd="/root"'],
          ['PATH', path(0, '"/usr/local/bin/none"', 0, 'UNKNOWN')],
        ],
        { syscall: 'execve', success: false, exit: -2, names: ['/usr/local/bin/none'] },
      ),
    ),
  ],
}

/** As the kernel writes them: records of at most 7,500 bytes, only the first with `argc`. */
function manyArguments(count: number): Written {
  const bodies: string[] = []
  let body = `argc=${count}`
  for (let index = 0; index < count; index++) {
    const word = `a${index}="x"`
    if (body.length + word.length >= 7500) {
      bodies.push(body)
      body = word
    } else body = body === '' ? word : `${body} ${word}`
  }
  const written = started([...bodies, body], Array<string>(count).fill('x'))
  // Who stops somewhere must say so.
  return { ...written, event: { ...written.event, orElse: { argvIncomplete: true } } }
}

const values: Group = {
  name: 'Values',
  classes: [
    input(
      'two keys: `key=657865630176706E`',
      'both',
      called([['SYSCALL', call(OPENAT, { key: '657865630176706E' })]], { keys: ['exec', 'vpn'] }),
    ),
    input(
      'a program that was deleted: `exe=2F746D70…`',
      'the path, and `(deleted)`',
      called([['SYSCALL', call(OPENAT, { exe: hexOf('/tmp/x (deleted)') })]], { exe: '/tmp/x (deleted)' }),
    ),
    input(
      'a name with a space: `comm=6D792070726F67`',
      '`my prog`',
      called([['SYSCALL', call(OPENAT, { comm: '6D792070726F67' })]], { comm: 'my prog' }),
    ),
    input(
      'names that are no UTF-8: `comm=FF20FE`',
      'no byte is lost',
      called(
        [
          ['SYSCALL', call(EXECVE, { comm: 'FF20FE' })],
          ['EXECVE', 'argc=2 a0=FF20FE a1=FE20FF'],
        ],
        { comm: '\xff \xfe', argv: ['\xff \xfe', '\xfe \xff'] },
      ),
    ),
    input(
      'a security context with spaces: `subj==/usr/sbin/ntpd (enforce)`',
      'the fields around it',
      called(
        [
          [
            'SYSCALL',
            call(OPENAT, { exe: '"/usr/sbin/ntpd"', subj: '=/usr/sbin/ntpd (enforce)', key: '"time"' }),
          ],
        ],
        { exe: '/usr/sbin/ntpd', keys: ['time'] },
      ),
    ),
    input(
      'a 32-bit call with `per=`: every field behind it moves',
      'execve on i386, success',
      called(
        [
          ['SYSCALL', call(11, { arch: '40000003', per: '400000' })],
          ['EXECVE', 'argc=1 a0="sh"'],
        ],
        { arch: 'i386', syscall: 'execve', success: true, exit: 0, pid: PID, argv: ['sh'] },
      ),
    ),
    input(
      'exit_group: neither `success` nor `exit`',
      'no result, which is not failure',
      called([['SYSCALL', call(EXIT_GROUP, { success: '', exit: '' })]], {
        syscall: 'exit_group',
        success: undefined,
        pid: PID,
      }),
    ),
    input(
      'SECCOMP: `arch` and `syscall` stand elsewhere',
      'who, and which call',
      event(
        6,
        [
          [
            'SECCOMP',
            `auid=${UID} uid=${UID} gid=${UID} ses=1 pid=${PID} comm="x" exe="/bin/x" sig=31 arch=c000003e syscall=41 compat=0 ip=0x7f51 code=0x80000000`,
          ],
        ],
        { syscall: 'socket', pid: PID, exe: '/bin/x' },
        { orElse: { syscall: '41', pid: PID, exe: '/bin/x' } },
      ),
    ),
    input(
      'a type without a name: `UNKNOWN[1399]`',
      'a record like others',
      event(6, [['UNKNOWN[1399]', 'prog-id=5 op=LOAD']], {}),
    ),
    input(
      'PROCTITLE cut inside a letter',
      'a label; the event is whole',
      event(
        6,
        [
          ['SYSCALL', call(OPENAT)],
          ['PROCTITLE', `proctitle=${hexOf(utf8('é'.repeat(63)))}6120C3`],
        ],
        { syscall: 'openat' },
      ),
    ),
  ],
}

const enrichedCall = (given: Fields = {}): string => {
  const ids = ['AUID', 'UID', 'GID', 'EUID', 'SUID', 'FSUID', 'EGID', 'SGID', 'FSGID']
  return `${call(OPENAT, given)}${GS}ARCH=x86_64 SYSCALL=openat ${ids.map((id) => `${id}="unknown(${UID})"`).join(' ')}`
}

const FORGED_TIME_MS = 1_795_210_798_000
const FORGED = `type=USER_LOGIN msg=audit(${FORGED_TIME_MS / 1000}.000:9999): pid=1 uid=0 auid=0 ses=1 res=success`

/** A socket's path as auditd writes it behind the GS: as it is, 108 bytes at most. */
function enrichedAddress(address: string): string {
  const unix = address.slice(2).split('\0', 1)[0] ?? ''
  return `saddr=${hexOf(address)}${GS}SADDR={ saddr_fam=local path=${unix.slice(0, 108)} }`
}

const addressed = (address: string, peer: string): Written =>
  called(
    [
      ['SYSCALL', enrichedCall({ syscall: CONNECT, success: 'no', exit: -2 }).replace('=openat', '=connect')],
      ['SOCKADDR', enrichedAddress(address)],
      ['CWD', 'cwd="/"'],
    ],
    { peer },
  )

const claimed = `\x01\0/x\n${FORGED}\n`

const enriched: Group = {
  name: 'ENRICHED format',
  classes: [
    input(
      'a GS, and no space: `key=(null)␝ARCH=x86_64`',
      'no key',
      called([['SYSCALL', enrichedCall()]], { keys: [], exe: '/bin/sh', pid: PID }),
    ),
    input(
      '`saddr=0200…␝SADDR={ … }`',
      'the address',
      called(
        [
          ['SYSCALL', enrichedCall({ syscall: CONNECT }).replace('=openat', '=connect')],
          [
            'SOCKADDR',
            `saddr=020000500A0000010000000000000000${GS}SADDR={ saddr_fam=inet laddr=10.0.0.1 lport=80 }`,
          ],
        ],
        { peer: 'inet 10.0.0.1 80' },
      ),
    ),
    input(
      'the name of a host before each line',
      'it belongs to the event',
      called([['SYSCALL', call(OPENAT)]], { syscall: 'openat' }, { node: 'web-01.example.com' }),
    ),
    input(
      'a record in the path of a socket, behind a newline',
      'the path of a socket, and no record',
      addressed(`\x01\0/x\n${FORGED}\n`, `unix /x\n${FORGED}\n`),
      ordinary(),
    ),
    input('the end of another event there', 'the other event goes on', ...endForged()),
    input(
      'a record in a `saddr=` that a program sent itself (USER_LOGIN)',
      'what was sent, and no record',
      event(
        6,
        [
          [
            'USER_LOGIN',
            `pid=${PID} uid=${UID} auid=${UID} ses=1 msg='op=login saddr=${hexOf(claimed)} res=success'${GS}UID="unknown(${UID})" AUID="unknown(${UID})" SADDR={ saddr_fam=local path=${claimed.slice(2)} }`,
          ],
        ],
        { pid: PID, uid: UID },
      ),
      ordinary(),
    ),
  ],
}

/** A PROCTITLE for an event that is still open, and of which more comes. */
function endForged(): Written[] {
  const other = called(
    [
      ['SYSCALL', call(EXECVE, { pid: PID + 1 })],
      ['EXECVE', 'argc=1 a0="sh"'],
    ],
    { argv: ['sh'] },
    {},
    7,
  )
  const [first = '', ...rest] = other.text.split(/(?<=\n)/)
  const ended = line('PROCTITLE', 7, 'proctitle="x"').trimEnd()
  const forger = addressed(`\x01\0/x\n${ended}\n`, `unix /x\n${ended}\n`)
  return [
    { text: first + forger.text + rest.join(''), event: forger.event },
    { text: '', event: other.event },
  ]
}

const open = called(
  [
    ['SYSCALL', call(OPENAT)],
    ['CWD', 'cwd="/a"'],
  ],
  { cwd: '/a' },
  {},
  11,
)
const connecting = called(
  [
    ['SYSCALL', call(CONNECT, { pid: PID + 1 })],
    ['SOCKADDR', 'saddr=020000500A0000010000000000000000'],
  ],
  { peer: 'inet 10.0.0.1 80', pid: PID + 1 },
  {},
  12,
)
const running = called(
  [
    ['SYSCALL', call(EXECVE, { pid: PID + 2 })],
    ['EXECVE', 'argc=1 a0="id"'],
  ],
  { argv: ['id'], pid: PID + 2 },
  {},
  13,
)
/** The stamp of an event is that of the beginning of its call. */
const waited = (serial: number): Written =>
  called(
    [
      ['SYSCALL', call(ACCEPT4, { exit: 5 })],
      ['SOCKADDR', 'saddr=02008AE0CB0071420000000000000000'],
    ],
    { peer: 'inet 203.0.113.66 35552', exit: 5 },
    { ms: TIME_MS - 100_000 },
    serial,
  )
const [waitedBehind, waitedBefore, runningLater] = [waited(14), waited(15), ordinary(16)]
const late = called(
  [
    ['SYSCALL', call(OPENAT, { items: 1 })],
    ['CWD', 'cwd="/"'],
    ['PATH', path(0, '"/etc/passwd"', 77, 'NORMAL')],
  ],
  { names: ['/etc/passwd'] },
  { ms: TIME_MS - 7800 },
  11,
)
const loginRecords: Records = [
  ['LOGIN', `pid=${PID} uid=0 old-auid=4294967295 auid=${UID} tty=(none) old-ses=4294967295 ses=3 res=1`],
  ['SYSCALL', call(1, { exit: 4 })],
]
const rotated = called(
  [
    ['SYSCALL', call(OPENAT, { items: 1 })],
    ['CWD', 'cwd="/"'],
    ['PATH', path(0, '"/etc/passwd"', 77, 'NORMAL')],
  ],
  { names: ['/etc/passwd'] },
)

const events: Group = {
  name: 'Which records are one event',
  classes: [
    mixed(
      'three events at once, line by line',
      'three events',
      weave([
        ...[0, 1, 2].flatMap((index) => [open, connecting, running].map((each) => [each, index] as const)),
      ]),
      ...[open, connecting, running],
    ),
    mixed(
      'PATH behind PROCTITLE',
      'one event',
      weave([
        [late, 0],
        [late, 1],
        [late, 3],
        [late, 2],
      ]),
      late,
    ),
    input('LOGIN, then the SYSCALL of the same serial', 'one event', called(loginRecords, { exit: 4 })),
    input(
      'CONFIG_CHANGE before its SYSCALL',
      'one event',
      called(
        [
          ['CONFIG_CHANGE', `auid=${UID} ses=3 op=add_rule key="k" list=4 res=1`],
          ['SYSCALL', call(44, { exit: 1060 })],
          ['SOCKADDR', 'saddr=100000000000000000000000'],
        ],
        { syscall: 'sendto', exit: 1060 },
      ),
    ),
    mixed(
      'accept4 that waited 100 s, between the records of other events',
      'four events; the stamp is that of the beginning',
      weave(
        [0, 1, 2].flatMap((index) => [
          [running, index],
          [waitedBehind, index],
        ]),
      ) +
        weave(
          [0, 1, 2].flatMap((index) => [
            [waitedBefore, index],
            [runningLater, index],
          ]),
        ),
      ...[running, waitedBehind, waitedBefore, runningLater],
    ),
    mixed(
      'a PATH that comes when events 7.8 s younger have ended',
      'one event',
      weave([
        [late, 0],
        [late, 1],
        ...[0, 1, 2].map((index) => [running, index] as const),
        [late, 2],
        [late, 3],
      ]),
      ...[late, running],
    ),
    input(
      'one serial before and after a boot',
      'two events',
      called([['SYSCALL', call(OPENAT)]], { syscall: 'openat' }, {}, 35),
      called([['SYSCALL', call(CONNECT)]], { syscall: 'connect' }, { ms: TIME_MS + 60_000 }, 35),
    ),
    input(
      'serials 4294967295 and 0, and a DAEMON record with a counter of its own',
      'three events',
      called([['SYSCALL', call(OPENAT)]], { syscall: 'openat' }, {}, 4_294_967_295),
      event(4149, [['DAEMON_ROTATE', `op=rotate-logs auid=${UID} pid=1 uid=0 ses=1 res=success`]], {}),
      called([['SYSCALL', call(CONNECT)]], { syscall: 'connect' }, { ms: TIME_MS + 10 }, 0),
    ),
    mixed(
      'an event that begins in `audit.log.1` and ends in `audit.log`',
      'one event',
      [weave([0, 1].map((index) => [rotated, index])), weave([2, 3].map((index) => [rotated, index]))],
      rotated,
    ),
  ],
}

const SUN_PATH = 108
const garbage = 'A053A1AF7F00000080039FB07F0A0000'

const addresses: Group = {
  name: 'Addresses',
  classes: [
    input(
      'a unix socket without a NUL: `01002F746D70…`',
      '`/tmp/sock`',
      connected(`0100${hexOf('/tmp/sock')}`, 'unix /tmp/sock'),
    ),
    input(
      'an abstract one: `0100002F746D70…`',
      'a name, marked as no file',
      connected(`010000${hexOf('/tmp/dbus-AbC')}`, 'unix @/tmp/dbus-AbC'),
    ),
    input('one without a name: `0100`', 'no name', connected('0100', 'unix ')),
    input(
      'the garbage of a stack behind the NUL',
      'the path ends at the NUL',
      connected(
        `0100${hexOf('/var/run/nscd/socket\0')}${garbage.repeat(6)}`.slice(0, 2 * (2 + SUN_PATH)),
        'unix /var/run/nscd/socket',
      ),
    ),
    input(
      'IPv6 with a flow label of FFFFFFFF',
      'the address',
      connected('0A0001BBFFFFFFFF20010DB800000000000000000000000100000000', 'inet6 2001:db8::1 443'),
    ),
    input(
      'IPv6 in 24 bytes, as RFC 2133 had it',
      'the address',
      connected('0A0001BB0000000020010DB8000000000000000000000001', 'inet6 2001:db8::1 443'),
    ),
    input(
      'IPv4 in IPv6: `::ffff:10.0.0.1`',
      '10.0.0.1, in either spelling',
      connected(
        '0A001F900000000000000000000000000000FFFF0A00000100000000',
        'inet 10.0.0.1 8080',
        {},
        {},
        {
          peer: 'inet6 ::ffff:10.0.0.1 8080',
        },
      ),
    ),
    input(
      'AF_UNSPEC, which ends a connection',
      'no host',
      connected('00000000000000000000000000000000', 'none', {}, { syscall: 'connect' }),
    ),
    input('vsock', 'cid 4, port 1024', connected('28000000000400000400000000000000', 'vsock 4 1024')),
    input(
      'a log of s390x: the family is big-endian',
      '192.168.0.1:55555',
      connected('0002D903C0A800010000000000000000', 'inet 192.168.0.1 55555', {
        arch: '80000016',
        syscall: 362,
      }),
    ),
    input(
      'a connect that does not wait: `success=no exit=-115`',
      'the address; it is in progress',
      connected(
        '020000500A0000010000000000000000',
        'inet 10.0.0.1 80',
        { success: 'no', exit: -115 },
        { exit: -115 },
      ),
    ),
    input(
      'socketcall of i386: the call is in its argument',
      'the address',
      called(
        [
          ['SYSCALL', call(102, { arch: '40000003', a0: 3 })],
          ['SOCKETCALL', 'nargs=3 a0=3 a1=ffa0 a2=10'],
          ['SOCKADDR', 'saddr=020000500A0000010000000000000000'],
        ],
        { arch: 'i386', peer: 'inet 10.0.0.1 80' },
      ),
    ),
  ],
}

const TMP = 260_072
const OF_URING: Said = { pid: PID, exe: '/bin/sh', names: ['/etc/passwd'] }

const files: Group = {
  name: 'Files',
  classes: [
    input(
      'a name relative to an open directory: the kernel says the wrong PARENT',
      '`/tmp/x.csv`: the inode of PARENT was `/tmp/` before',
      called(
        [
          ['SYSCALL', call(OPENAT, { a0: 'ffffff9c', items: 2 })],
          ['CWD', 'cwd="/srv/app"'],
          ['PATH', path(0, '"/tmp/"', TMP, 'PARENT', '041777')],
          ['PATH', path(1, '"/tmp/y"', 78, 'CREATE')],
        ],
        {},
        {},
        5,
      ),
      called(
        [
          ['SYSCALL', call(UNLINKAT, { a0: 3, items: 2 })],
          ['CWD', 'cwd="/srv/app"'],
          ['PATH', path(0, '"/srv/app"', TMP, 'PARENT', '041777')],
          ['PATH', path(1, '"x.csv"', 77, 'DELETE')],
        ],
        { file: '/tmp/x.csv' },
        { ms: TIME_MS + 4 },
      ),
    ),
    input(
      'a descriptor: `name=(null) inode=77`',
      '`/etc/app.conf`: the inode had that name before',
      called(
        [
          ['SYSCALL', call(OPENAT, { a0: 'ffffff9c', exit: 3, items: 1 })],
          ['CWD', 'cwd="/"'],
          ['PATH', path(0, '"/etc/app.conf"', 77, 'NORMAL')],
        ],
        {},
        {},
        5,
      ),
      called(
        [
          ['SYSCALL', call(FCHOWN, { items: 1 })],
          ['PATH', path(0, '(null)', 77, 'NORMAL')],
        ],
        { file: '/etc/app.conf' },
        { ms: TIME_MS + 4 },
      ),
    ),
    input(
      'a rename over a file: two DELETE',
      'all five names, in their order',
      called(
        [
          ['SYSCALL', call(RENAME, { items: 5 })],
          ['CWD', 'cwd="/"'],
          ['PATH', path(0, '"/a/"', 70, 'PARENT', '040755')],
          ['PATH', path(1, '"/b/"', 71, 'PARENT', '040755')],
          ['PATH', path(2, '"/a/new"', 77, 'DELETE')],
          ['PATH', path(3, '"/b/victim"', 78, 'DELETE')],
          ['PATH', path(4, '"/b/victim"', 77, 'CREATE')],
        ],
        { names: ['/a', '/b', '/a/new', '/b/victim', '/b/victim'] },
      ),
    ),
    input(
      'io_uring: no program, no login, and numbers of its own',
      'openat; the program is that of its process',
      started(['argc=1 a0="sh"'], ['sh'], {}),
      event(
        7,
        [
          [
            'URINGOP',
            `uring_op=18 success=yes exit=0 items=1 ppid=1 pid=${PID} uid=${UID} gid=${UID} euid=${UID} suid=${UID} fsuid=${UID} egid=${UID} sgid=${UID} fsgid=${UID} subj=? key="k"`,
          ],
          ['CWD', 'cwd="/"'],
          ['PATH', path(0, '"/etc/passwd"', 77, 'NORMAL')],
          ['PROCTITLE', 'proctitle="sh"'],
        ],
        { operation: 'openat', ...OF_URING },
        { ms: TIME_MS + 4, orElse: { operation: '18', ...OF_URING } },
      ),
    ),
  ],
}

const USER = `pid=${PID} uid=4001 auid=4001 ses=3`

const userSpace: Group = {
  name: 'What programs send',
  classes: [
    input(
      `\`pid=… uid=4001 msg='… pid=1 uid=0 auid=0 …'\``,
      'the kernel says who sent it, the text says nothing of it',
      event(
        6,
        [
          [
            'USER_AUTH',
            `${USER} msg='op=PAM:authentication pid=1 uid=0 auid=0 acct="bob" exe="/usr/bin/su" res=success'`,
          ],
        ],
        { pid: PID, uid: 4001, auid: 4001 },
      ),
    ),
    input(
      `a quote in the text, and another record: \`msg='cwd="/x' type=EOE uid=0" …'\``,
      'the text ends at the last quote',
      event(6, [['USER_CMD', `${USER} msg='cwd="/x' type=EOE uid=0" cmd=6C73 terminal=pts/0 res=success'`]], {
        pid: PID,
        uid: 4001,
      }),
      ordinary(),
    ),
    input(
      'EL 5 and 6: a word before the fields',
      'the same',
      event(6, [['USER_LOGIN', `user ${USER} msg='op=login id=0 exe="/usr/sbin/sshd" res=success'`]], {
        pid: PID,
        uid: 4001,
      }),
    ),
    input(
      '`auditd start, ver=2.2 format=raw …`',
      'free text, then fields',
      event(
        6,
        [['DAEMON_START', `auditd start, ver=2.2 format=raw kernel=2.6.32 auid=4001 pid=${PID} res=success`]],
        {
          auid: 4001,
          pid: PID,
        },
      ),
    ),
    input(
      'SELinux: `avc:  denied  { read write } for  pid=…`',
      'free text, then fields',
      called(
        [
          [
            'AVC',
            `avc:  denied  { read write } for  pid=${PID} comm="x" name="y" dev=dm-0 ino=77 scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:tmp_t:s0 tclass=file`,
          ],
          ['SYSCALL', call(OPENAT, { success: 'no', exit: -2 })],
        ],
        { exit: -2 },
      ),
    ),
    input(
      'AppArmor: `info="same as current profile, skipping"`',
      'quotes may hold spaces',
      called(
        [
          [
            'AVC',
            `apparmor="STATUS" operation="profile_replace" info="same as current profile, skipping" profile="unconfined" name="/usr/bin/x" pid=${PID} comm="apparmor_parser"`,
          ],
          ['SYSCALL', call(1, { exit: 20 })],
        ],
        { exit: 20 },
      ),
    ),
  ],
}

const half = called(
  [
    ['SYSCALL', call(EXECVE)],
    ['EXECVE', 'argc=2 a0="sh" a1="partial"'],
  ],
  { argv: undefined },
  { orElse: { argvIncomplete: true } },
)
const after = ordinary()
const before = ordinary(4, TIME_MS - 1000)
const long = event(6, [['USER_CMD', `${USER} msg='cmd=${'41'.repeat(50_000)}'`]], {})
const torn = `type=DAEMON_END msg=audit(1795210797.987:6): op=terminate auid=0 pid=1 subj=24970459.090:670): pid=12323 uid=0 auid=4294967295\n`

const broken: Group = {
  name: 'Broken logs',
  classes: [
    input(
      'old kernels: two spaces behind the header',
      'the same',
      called(
        [
          ['SYSCALL', call(OPENAT)],
          ['CWD', ' cwd="/root"'],
        ],
        { cwd: '/root' },
      ),
    ),
    mixed(
      'a line torn in the middle by another: `subj=24970459.090:670): pid=12323`',
      'the record is there, and those around it',
      before.text + torn + after.text,
      ...[before, event(6, [['DAEMON_END', '']], {}), after],
    ),
    mixed(
      'the last line has no end: `a1="par`',
      'it is not taken for the whole',
      before.text + half.text.slice(0, half.text.indexOf('tial"')),
      before,
      { ...half, event: { ...half.event, types: [] } },
    ),
    mixed(
      'no newlines, as a plugin of audit 4.0.4 got it',
      'three events',
      [before, open, after].map(({ text }) => text.replaceAll('\n', '')).join(''),
      ...[before, open, after],
    ),
    mixed(
      'CR LF',
      'the same',
      (running.text + after.text).replaceAll('\n', '\r\n'),
      ...[{ ...running, event: { ...running.event, said: { argv: ['id'], keys: [] } } }, after],
    ),
    mixed(
      'a run of NUL, after a loss of power',
      'what is before and after it',
      `${before.text}${'\0'.repeat(4096)}\n${after.text}`,
      before,
      after,
    ),
    {
      ...input(
        'a record of 100,000 bytes; auditd writes 8,969',
        'what is before and after it',
        before,
        long,
        after,
      ),
      ...{ events: [before.event, after.event], perhaps: [long.event] },
    },
  ],
}

export const GROUPS: readonly Group[] = [
  argumentsOfPrograms,
  values,
  enriched,
  events,
  addresses,
  files,
  userSpace,
  broken,
]
