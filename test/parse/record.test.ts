import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AuditRecord, EventId } from '../../agent/domain/record.ts'
import { RecordReader } from '../../agent/parse/record.ts'

const STAMP = 'msg=audit(1795210797.987:6): '
const GS = '\x1d'
const NUMBERS =
  'a0=1 a1=2 a2=3 a3=4 items=2 ppid=1 pid=4242 auid=1000 uid=1001 gid=1002 euid=1003 suid=1004 fsuid=1005 ' +
  'egid=1006 sgid=1007 fsgid=1008 tty=pts0 ses=3'
const SYSCALL = `arch=c000003e syscall=59 success=yes exit=0 ${NUMBERS} comm="sh" exe="/bin/sh" key=(null)`

/** Reads a line that stands alone, and again between others, where a reader that looks too far would find them. */
function read(line: string | Buffer): (AuditRecord & { id: EventId }) | undefined {
  const bytes = Buffer.isBuffer(line) ? line : Buffer.from(line, 'latin1')
  const reader = new RecordReader()
  const record = reader.read(bytes, 0, bytes.length)
  const before = Buffer.from('type=CWD msg=audit(1.000:1): cwd="/x"\n')
  const after = Buffer.from('\n): "=7 saddr=02 cwd="/y" UID="z" \x1d\n')
  const among = Buffer.concat([before, bytes, after])
  const again = new RecordReader().read(among, before.length, before.length + bytes.length)
  expect(again).toEqual(record)
  expect(reader.read(bytes, 0, bytes.length)).toEqual(record)
  return record && { ...record, id: reader.id }
}

function readAs<T extends AuditRecord['type']>(type: T, body: string): Extract<AuditRecord, { type: T }> {
  const record = read(`type=${type} ${STAMP}${body}`)
  expect(record?.type).toBe(type)
  return record as unknown as Extract<AuditRecord, { type: T }>
}

const hexOf = (text: string): string => Buffer.from(text).toString('hex').toUpperCase()

describe('header', () => {
  const bodies = fc.constantFrom('', ' ', ' prog-id=5 op=LOAD', ' avc:  denied  { read } for  pid=1')
  const types = fc.oneof(
    fc.constantFrom('PROCTITLE', 'EOE', 'SYSCALL', 'BPRM_FCAPS', 'MAC_UNLBL_ALLOW', 'TIME_INJOFFSET'),
    fc.stringMatching(/^[A-Z][A-Z0-9_]{0,19}$/),
    fc.nat(65_535).map((number) => `UNKNOWN[${number}]`),
  )
  const uint32 = fc.integer({ min: 0, max: 0xffffffff })

  test('is [node=NODE ]type=TYPE msg=audit(SECONDS.MILLIS:SERIAL):', () => {
    fc.assert(
      fc.property(
        fc.option(fc.stringMatching(/^[!-~]{1,40}$/)),
        types,
        fc.integer({ min: 0, max: 2 ** 42 }),
        fc.nat(999),
        uint32,
        bodies,
        (node, type, seconds, millis, serial, body) => {
          const stamp = `${seconds}.${String(millis).padStart(3, '0')}:${serial}`
          const record = read(
            `${node === null ? '' : `node=${node} `}type=${type} msg=audit(${stamp}):${body}`,
          )
          expect(record?.id).toEqual({ node: node ?? '', timeMs: seconds * 1000 + millis, serial })
          expect(record?.type === 'OTHER' ? record.name : record?.type).toBe(type)
        },
      ),
    )
  })

  test.each([
    ['nothing', ''],
    ['a blank', ' '],
    ['a word', 'hello'],
    ['half a type', 'type=SYSC'],
    ['no type', `type= ${STAMP}`],
    ['a node alone', 'node=web-01'],
    ['a node without a record', 'node=web-01 hello'],
    ['a node with a name longer than names of machines are', `node=${'n'.repeat(256)} type=EOE ${STAMP}`],
    ['no msg', 'type=EOE audit(1.000:1): '],
    ['an open parenthesis', 'type=EOE msg=audit(1795210797.987:6'],
    ['something else behind the stamp', 'type=EOE msg=audit(1795210797.987:6)x'],
    ['no serial', 'type=EOE msg=audit(1795210797.987:): '],
    ['no time', 'type=EOE msg=audit(:6): '],
    ['a negative serial', 'type=EOE msg=audit(1795210797.987:-6): '],
    ['letters in the serial', 'type=EOE msg=audit(1795210797.987:6a): '],
    ['a serial of 33 bits', 'type=EOE msg=audit(1795210797.987:4294967296): '],
    ['a serial without end', `type=EOE msg=audit(1795210797.987:${'9'.repeat(400)}): `],
    ['a time without end', `type=EOE msg=audit(${'9'.repeat(400)}.987:6): `],
    ['two digits of milliseconds', 'type=EOE msg=audit(1795210797.98:6): '],
    ['four digits of milliseconds', 'type=EOE msg=audit(1795210797.9870:6): '],
    ['something before it', ` type=EOE ${STAMP}`],
    ['lower case', `type=syscall ${STAMP}${SYSCALL}`],
    ['another record in the middle of its type', `type=SYSCAtype=CWD ${STAMP}cwd="/"`],
    ['an UNKNOWN without its number', `type=UNKNOWN[] ${STAMP}`],
    ['an UNKNOWN that never ends', `type=UNKNOWN[1334 ${STAMP}`],
  ])('%s is no record', (_, line) => {
    expect(read(line)).toBeUndefined()
  })

  test('has the longest name that a machine can have', () => {
    const node = 'n'.repeat(255)
    expect(read(`node=${node} type=EOE ${STAMP}`)?.id.node).toBe(node)
  })

  test('nothing makes it throw', () => {
    const pieces = fc.constantFrom(
      ...[
        'type=',
        'node=',
        'SYSCALL',
        'EXECVE',
        'PATH',
        ' msg=audit(',
        '1.000:1',
        '): ',
        'a1[0]=',
        'a0="',
        '"',
      ],
      ...['=', ' ', GS, '\x00', '\xff', 'comm=', 'saddr=', '0200', '(null)', 'key=', 'argc=9', '\r'],
    )
    fc.assert(
      fc.property(
        fc.array(pieces, { maxLength: 20 }),
        fc.constantFrom('', `type=EXECVE ${STAMP}`),
        (body, head) => {
          read(head + body.join(''))
        },
      ),
      { numRuns: 1000 },
    )
  })
})

describe('SYSCALL', () => {
  test('every field that is read', () => {
    expect(readAs('SYSCALL', SYSCALL)).toEqual({
      type: 'SYSCALL',
      id: { node: '', timeMs: 1795210797987, serial: 6 },
      arch: 0xc000003e,
      syscall: 59,
      success: true,
      exit: 0,
      a0: 1,
      a1: 2,
      a2: 3,
      a3: 4,
      items: 2,
      ppid: 1,
      pid: 4242,
      auid: 1000,
      uid: 1001,
      euid: 1003,
      comm: 'sh',
      exe: '/bin/sh',
      keys: [],
      user: undefined,
    })
  })

  const plain = readAs('SYSCALL', SYSCALL)

  test.each([
    ['double spaces', SYSCALL.replaceAll(' ', '  '), {}],
    ['a carriage return', `${SYSCALL}\r`, {}],
    ['a space at the end', `${SYSCALL} `, {}],
    ['a personality', SYSCALL.replace(' success', ' per=400000 success'), {}],
    [
      'a 32-bit personality',
      `arch=40000003 syscall=11 per=8${SYSCALL.slice(24)}`,
      { arch: 0x40000003, syscall: 11 },
    ],
    ['no result', SYSCALL.replace(' success=yes exit=0', ''), { success: undefined, exit: 0 }],
    [
      'a failure',
      SYSCALL.replace('success=yes exit=0', 'success=no exit=-115'),
      { success: false, exit: -115 },
    ],
    ['a large result', SYSCALL.replace('exit=0', 'exit=140234567890432'), { exit: 140234567890432 }],
    ['AT_FDCWD of an i386', SYSCALL.replace('a0=1', 'a0=ffffff9c'), { a0: -100 }],
    ['AT_FDCWD of 64 bits', SYSCALL.replace('a0=1', 'a0=ffffffffffffff9c'), { a0: -100 }],
    ['an address', SYSCALL.replace('a1=2', 'a1=7ffe00004206'), { a1: 0x4206 }],
    ['all bits', SYSCALL.replace('a3=4', 'a3=ffffffffffffffff'), { a3: -1 }],
    ['an unset login', SYSCALL.replace('auid=1000', 'auid=4294967295'), { auid: 4294967295 }],
    ['no exe', SYSCALL.replace('"/bin/sh"', '(null)'), { exe: undefined }],
    ['an exe named (null)', SYSCALL.replace('/bin/sh', '(null)'), { exe: '(null)' }],
    ['an empty name', SYSCALL.replace('comm="sh"', 'comm=""'), { comm: '' }],
    ['a name in hex', SYSCALL.replace('"sh"', '6D792070726F67'), { comm: 'my prog' }],
    ['a name that looks like hex', SYSCALL.replace('"sh"', '"6D79"'), { comm: '6D79' }],
    ['an odd digit', SYSCALL.replace('"sh"', '61622'), { comm: 'ab' }],
    ['a deleted exe', SYSCALL.replace('"/bin/sh"', hexOf('/tmp/x (deleted)')), { exe: '/tmp/x (deleted)' }],
    ['a key', SYSCALL.replace('(null)', '"exec"'), { keys: ['exec'] }],
    ['two keys', SYSCALL.replace('(null)', '657865630176706E'), { keys: ['exec', 'vpn'] }],
    ['a key that is a number', SYSCALL.replace('(null)', '"4142"'), { keys: ['4142'] }],
    ['a label', SYSCALL.replace(' key', ' subj=unconfined key'), {}],
    [
      'a label with a space',
      SYSCALL.replace('key=(null)', 'subj==/usr/sbin/ntpd (enforce) key="k"'),
      { keys: ['k'] },
    ],
    [
      'a label with braces',
      SYSCALL.replace('key=(null)', 'subj=/{,usr/}sbin/dhclient key="k"'),
      { keys: ['k'] },
    ],
    ['no key at all', SYSCALL.replace(' key=(null)', ''), {}],
    [
      'fields in another order',
      'pid=7 arch=b7 uid=5 syscall=1 comm="x"',
      { pid: 7, arch: 0xb7, uid: 5, syscall: 1 },
    ],
  ])('%s', (_, body, difference) => {
    expect(readAs('SYSCALL', body)).toMatchObject(
      body.startsWith('pid') ? difference : { ...plain, ...difference },
    )
  })

  test('bytes that are no UTF-8 stay apart from each other and from all text', () => {
    const names = ['FF20FE', 'FE20FF', hexOf('ÿ þ'), hexOf('� �')].map(
      (hex) => readAs('SYSCALL', SYSCALL.replace('"sh"', hex)).comm,
    )
    expect(new Set(names).size).toBe(4)
    expect(names[2]).toBe('ÿ þ')
  })

  test('a value is text when quoted and hex when not, whatever it looks like', () => {
    const anyByte = fc.uint8Array({ minLength: 1, maxLength: 15 })
    fc.assert(
      fc.property(anyByte, (bytes) => {
        // kernel/audit.c, audit_string_contains_control
        const mustBeHex = bytes.some((byte) => byte === 0x22 || byte < 0x21 || byte > 0x7e)
        const buffer = Buffer.from(bytes)
        const written = mustBeHex ? buffer.toString('hex').toUpperCase() : `"${buffer.toString('latin1')}"`
        const { comm, exe, pid } = readAs(
          'SYSCALL',
          SYSCALL.replace('"sh"', () => written),
        )
        if (!mustBeHex) expect(comm).toBe(buffer.toString('latin1'))
        else if (Buffer.from(buffer.toString()).equals(buffer)) expect(comm).toBe(buffer.toString())
        else expect(bytesOf(comm)).toEqual(buffer)
        expect({ exe, pid }).toEqual({ exe: '/bin/sh', pid: 4242 })
      }),
    )
  })

  test('no value brings fields in', () => {
    const evil = ' uid=0 euid=0 exe="/usr/sbin/sshd" key="x" '
    for (const name of [evil, `"${evil}`, `${GS}UID="root"`, `x\n${evil}`, '")']) {
      const record = readAs('SYSCALL', SYSCALL.replace('"sh"', hexOf(name)))
      expect(record).toEqual({ ...plain, comm: name })
    }
    // The suffix is auditd's: it names the uid, and repeats nothing that the kernel wrote.
    const suffixed = `${SYSCALL}${GS}ARCH=x86_64 SYSCALL=execve uid=0 pid=1 exe="/x" AUID="a" UID="bob"`
    expect(readAs('SYSCALL', suffixed)).toEqual({ ...plain, user: 'bob' })
  })

  const suffix = 'ARCH=x86_64 SYSCALL=execve AUID="alice" UID="bob" GID="g" EUID="root"'
  test.each([
    ['with its separator', `${SYSCALL}${GS}${suffix}`, { user: 'bob', keys: [] }],
    ['copied without it after (null)', `${SYSCALL}${suffix}`, { user: 'bob', keys: [] }],
    [
      'copied without it after a key',
      `${SYSCALL.replace('(null)', '"k"')}${suffix}`,
      { user: 'bob', keys: ['k'] },
    ],
    [
      'copied without it after a key in hex',
      `${SYSCALL.replace('(null)', '6B20')}${suffix}`,
      { keys: ['k '] },
    ],
    ['of an unset user', `${SYSCALL}${GS}AUID="unset" UID="unset"`, { user: undefined }],
    ['of a user without a name', `${SYSCALL}${GS}AUID="x" UID="unknown(4242)"`, { user: undefined }],
    ['of a user with a space', `${SYSCALL}${GS}AUID="x" UID=${hexOf('DOM\\jo e')}`, { user: 'DOM\\jo e' }],
    ['of a line that ends in CR', `${SYSCALL}${GS}${suffix}\r`, { user: 'bob', keys: [] }],
  ])('an ENRICHED suffix %s', (_, body, difference) => {
    expect(readAs('SYSCALL', body)).toMatchObject(difference)
  })
})

/** Undoes what surrogateescape did, as Python's os.fsencode does. */
const bytesOf = (text: string): Buffer =>
  Buffer.concat(
    Array.from(text, (character) => {
      const code = character.charCodeAt(0)
      return code >= 0xdc80 && code <= 0xdcff ? Buffer.from([code - 0xdc00]) : Buffer.from(character)
    }),
  )

describe('PATH', () => {
  const FOUND =
    'inode=2146311 dev=fe:00 mode=0100644 ouid=0 ogid=0 rdev=00:00 nametype=DELETE cap_fp=0 cap_frootid=0'

  test.each([
    ['a file', `item=1 name="tmp.csv" ${FOUND}`, { item: 1, name: 'tmp.csv', inode: 2146311, dev: 'fe:00' }],
    ['a name in hex', `item=0 name=2F746D702F6120622E637376 ${FOUND}`, { name: '/tmp/a b.csv' }],
    ['no name', `item=0 name=(null) ${FOUND}`, { name: undefined, nameType: 'DELETE' }],
    ['a file called (null)', `item=0 name="(null)" ${FOUND}`, { name: '(null)' }],
    ['an empty name', `item=0 name="" ${FOUND}`, { name: '' }],
    [
      'nothing found',
      'item=0 name="/x" nametype=UNKNOWN cap_fp=0',
      { inode: 0, dev: '', nameType: 'UNKNOWN' },
    ],
    [
      'a label',
      `item=0 name="/x" inode=1 dev=00:2d mode=0 obj=a_u:b_r:c_t:s0 nametype=CREATE`,
      { nameType: 'CREATE' },
    ],
    ['a type that is new', 'item=0 name="/x" inode=1 dev=00:2d nametype=SIDEWAYS', { nameType: undefined }],
    ['a suffix', `item=0 name="/x" ${FOUND}${GS}OUID="root" OGID="root"`, { name: '/x', nameType: 'DELETE' }],
    [
      'a lost separator',
      `item=0 name="/x" ${FOUND}OUID="root" OGID="root"`,
      { name: '/x', nameType: 'DELETE' },
    ],
    ['a lost separator earlier', `item=0 name=(null)OUID="root"`, { name: undefined }],
    ['an inode of 64 bits', 'item=0 name="/x" inode=9007199254740991 dev=00:2d', { inode: 9007199254740991 }],
  ])('%s', (_, body, difference) => {
    expect(readAs('PATH', body)).toMatchObject(difference)
  })

  test('a name that plays at being fields is only a name', () => {
    const name = '/tmp/x" inode=1 nametype=CREATE '
    expect(readAs('PATH', `item=0 name=${hexOf(name)} ${FOUND}`)).toMatchObject({
      name,
      inode: 2146311,
      nameType: 'DELETE',
    })
  })

  test('fields that only the suffix has are not there', () => {
    expect(readAs('PATH', `item=0 name="/x"${GS}inode=1 dev=aa:bb nametype=CREATE`)).toMatchObject({
      inode: 0,
      dev: '',
      nameType: undefined,
    })
  })
})

describe('CWD', () => {
  test.each([
    ['as today', 'cwd="/root"', '/root'],
    ['with the two spaces of old kernels', '  cwd="/root"', '/root'],
    ['in hex', `cwd=${hexOf('/srv/a b')}`, '/srv/a b'],
    ['cut in the middle', 'cwd="/srv/a', '/srv/a'],
  ])('%s', (_, body, cwd) => {
    expect(readAs('CWD', body).cwd).toBe(cwd)
  })

  test('that nobody knows is no directory', () => {
    expect(read(`type=CWD ${STAMP}cwd=(null)`)?.type).toBe('OTHER')
    expect(read(`type=CWD ${STAMP}${GS}cwd="/x"`)?.type).toBe('OTHER')
  })
})

describe('SOCKADDR', () => {
  const SADDR = '020001BBCB007142'

  test('ends where auditd begins', () => {
    expect(readAs('SOCKADDR', `saddr=${SADDR}`).saddr).toBe(SADDR)
    expect(readAs('SOCKADDR', `saddr=${SADDR}${GS}SADDR={ saddr_fam=inet laddr=1.2.3.4 }`).saddr).toBe(SADDR)
    expect(readAs('SOCKADDR', `saddr=${SADDR}\r`).saddr).toBe(SADDR)
  })

  test('a suffix is never read, whatever the path in it says', () => {
    const suffix = `${GS}SADDR={ saddr_fam=local path=/x saddr=${SADDR} }${GS}saddr=${SADDR}`
    expect(readAs('SOCKADDR', `saddr=01002F7800${suffix}`).saddr).toBe('01002F7800')
    expect(readAs('SOCKADDR', `saddr=${suffix}`).saddr).toBe('')
    expect(readAs('SOCKADDR', suffix).saddr).toBe('')
  })
})

describe('OBJ_PID', () => {
  test.each([
    ['plain', 'opid=4131 oauid=4294967295 ouid=33 oses=4294967295 ocomm="nginx"', 'nginx'],
    ['with a label', 'opid=4131 oauid=-1 ouid=33 oses=-1 obj=a:b:c:s0 ocomm="nginx"', 'nginx'],
    ['with a name in hex', `opid=4131 oauid=-1 ouid=33 oses=-1 ocomm=${hexOf('a ouid=0')}`, 'a ouid=0'],
    ['with a suffix', `opid=4131 oauid=1 ouid=33 oses=-1 ocomm="nginx"${GS}OUID="www-data"`, 'nginx'],
  ])('%s', (_, body, comm) => {
    expect(readAs('OBJ_PID', body)).toMatchObject({ pid: 4131, uid: 33, comm })
  })
})

describe('OPENAT2', () => {
  test.each([
    ['oflag=0100101 mode=0600 resolve=0x0', 0o100101],
    ['oflag=02 mode=0 resolve=0xa', 2],
    ['oflag=00 mode=00 resolve=0x0', 0],
    ['mode=0600 resolve=0x0', 0],
  ])('%s', (body, flags) => {
    expect(readAs('OPENAT2', body).flags).toBe(flags)
  })
})

describe('EXECVE', () => {
  const quoted = (index: number, text: string, fragment = 0): object => ({
    index,
    fragment,
    text,
    isHex: false,
  })
  const hex = (index: number, text: string, fragment = 0): object => ({ index, fragment, text, isHex: true })

  test.each([
    [
      'arguments',
      'argc=3 a0="sh" a1="-c" a2=6D7920',
      3,
      [quoted(0, 'sh'), quoted(1, '-c'), hex(2, '6D7920')],
    ],
    [
      'an empty argument',
      'argc=3 a0="printf" a1="" a2="x"',
      3,
      [quoted(0, 'printf'), quoted(1, ''), quoted(2, 'x')],
    ],
    [
      'a backslash',
      String.raw`argc=3 a0="grep" a1="foo\" a2="bar"`,
      3,
      [0, 1, 2].map((index) => quoted(index, ['grep', 'foo\\', 'bar'][index] ?? '')),
    ],
    ['a question mark', 'argc=2 a0="x" a1="?"', 2, [quoted(0, 'x'), quoted(1, '?')]],
    [
      'apostrophes and double spaces',
      `argc=3 a0="x" a1="'"  a2="'a'"`,
      3,
      [quoted(0, 'x'), quoted(1, "'"), quoted(2, "'a'")],
    ],
    [
      'words that look like fields',
      'argc=3 a0="x" a1="a2=" a2="argc=9"',
      3,
      [quoted(0, 'x'), quoted(1, 'a2='), quoted(2, 'argc=9')],
    ],
    [
      'fragments',
      'argc=3 a0="x" a1_len=20 a1[0]="AAAA" a1[1]="BBBB"',
      3,
      [quoted(0, 'x'), quoted(1, 'AAAA'), quoted(1, 'BBBB', 1)],
    ],
    ['a continuation', '  a1[1]="BBBB" a2="end"', undefined, [quoted(1, 'BBBB', 1), quoted(2, 'end')]],
    ['fragments in hex', 'a1[2]=4120 a1[3]=20', undefined, [hex(1, '4120', 2), hex(1, '20', 3)]],
    ['a cut quote', 'argc=2 a0="sh" a1="par', 2, [quoted(0, 'sh'), quoted(1, 'par')]],
    ['a cut number', 'argc=2 a0="sh" a1=61622', 2, [quoted(0, 'sh'), hex(1, '61622')]],
    ['a cut key', 'argc=2 a0="sh" a1', 2, [quoted(0, 'sh')]],
    ['a suffix', `argc=1 a0="sh"${GS}a1="x" A2="y"`, 1, [quoted(0, 'sh')]],
    ['a huge index', 'argc=2 a0="x" a4000000000="y" a65536="z"', 2, [quoted(0, 'x')]],
    ['a huge fragment', 'argc=2 a0="x" a1[4000000000]="y"', 2, [quoted(0, 'x')]],
    ['a huge argc', 'argc=4000000000 a0="x"', 4000000000, [quoted(0, 'x')]],
    ['nothing', '', undefined, []],
  ])('%s', (_, body, argc, pieces) => {
    const record = readAs('EXECVE', body)
    expect({ argc: record.argc, pieces: record.pieces }).toEqual({ argc, pieces })
  })

  test('whatever the arguments are, they come back', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[!#-~]{0,8}$/), { maxLength: 6 }), (argv) => {
        const body = `argc=${argv.length}${argv.map((word, index) => ` a${index}="${word}"`).join('')}`
        expect(readAs('EXECVE', body).pieces).toEqual(argv.map((word, index) => quoted(index, word)))
      }),
    )
  })
})

describe('records that no edge needs', () => {
  test.each([
    `PROCTITLE ${STAMP}proctitle=2F62696E2F7368002D63`,
    `EOE ${STAMP}`,
    `UNKNOWN[1334] ${STAMP}prog-id=5 op=LOAD`,
    `AVC ${STAMP}avc:  denied  { read write } for  pid=1 comm="x" path="/a b" tclass=file permissive=0`,
    `SECCOMP ${STAMP}auid=1000 uid=1000 pid=900 comm="chrome" sig=0 arch=c000003e syscall=273 code=0x50000`,
    `USER_AUTH ${STAMP}pid=777 uid=1001 msg='op=PAM pid=1 uid=0 cwd="/x' type=EOE uid=0" res=success'`,
    `DAEMON_END ${STAMP}op=terminate subj=24970459.090:670): pid=12323 uid=0`,
    `DAEMON_START ${STAMP}auditd start, ver=2.2 format=raw kernel=2.6.32`,
    `URINGOP ${STAMP}uring_op=18 success=yes exit=0 items=1 ppid=1 pid=2 uid=0`,
  ])('%s', (line) => {
    expect(read(`type=${line}`)).toMatchObject({
      type: 'OTHER',
      id: { node: '', timeMs: 1795210797987, serial: 6 },
      name: line.slice(0, line.indexOf(' ')),
    })
  })
})

test('the same reader gives the same records, whatever it read before', () => {
  const lines = fc.constantFrom(
    `type=SYSCALL ${STAMP}${SYSCALL}`,
    `node=b type=SYSCALL ${STAMP}arch=1 pid=3 comm="other"`,
    `type=PATH ${STAMP}item=1 name=6162 inode=5 dev=00:01 nametype=CREATE`,
    `type=CWD msg=audit(1795210797.987:7): cwd="/"`,
    `type=CWD msg=audit(1795210797.988:6): cwd="/a"`,
    `type=PROCTITLE ${STAMP}proctitle="x"`,
    'nonsense',
  )
  fc.assert(
    fc.property(fc.array(lines, { maxLength: 10 }), (sequence) => {
      const reader = new RecordReader()
      for (const line of sequence) {
        const bytes = Buffer.from(line)
        expect(reader.read(bytes, 0, bytes.length)).toEqual(new RecordReader().read(bytes, 0, bytes.length))
      }
    }),
  )
})

describe('lines one after the other', () => {
  /** Each line at the very end of a buffer, as the last bytes of a chunk are. */
  const readOn = (reader: RecordReader, text: string): { record: AuditRecord | undefined; id: EventId } => {
    const bytes = Buffer.from(text, 'latin1')
    return { record: reader.read(bytes, 0, bytes.length), id: reader.id }
  }

  test('one that is cut in its stamp is no record', () => {
    const whole = `type=EOE ${STAMP}`
    for (let length = 0; length < whole.length - 2; length++) {
      const reader = new RecordReader()
      readOn(reader, `type=CWD ${STAMP}cwd="/"`)
      expect(readOn(reader, whole.slice(0, length)).record).toBeUndefined()
    }
  })

  test('each has its own stamp, however it is written', () => {
    const reader = new RecordReader()
    const ids = ['6', `${'0'.repeat(80)}7`, '6'].map(
      (serial) => readOn(reader, `type=EOE msg=audit(1795210797.987:${serial}): `).id.serial,
    )
    expect(ids).toEqual([6, 7, 6])
  })

  test.each([
    ['SYSCALL', `${SYSCALL.slice(0, -12)}type=PATH ${STAMP}item=0 name="/x"`],
    ['PATH', `item=0 name="/srv type=PATH ${STAMP}item=1 name="/x"`],
    ['CWD', `cwd="/srvtype=PATH ${STAMP}item=1 name="/x"`],
    ['EXECVE', `argc=2 a0="sh" a1="xtype=PATH ${STAMP}item=1 name="/x"`],
    ['SOCKADDR', `saddr=0200type=PATH ${STAMP}item=1 name="/x"`],
    ['AVC', `avc:  denied  { read } for pid=1type=PATH ${STAMP}item=1 name="/x"`],
  ])('a second record in the line of a %s is found each time', (type, body) => {
    const text = `type=${type} ${STAMP}${body}`
    const reader = new RecordReader()
    for (let time = 0; time < 4; time++) {
      const { record } = readOn(reader, text)
      expect(record?.type === 'OTHER' ? record.name : record?.type).toBe(type)
      expect(text.slice(reader.tear)).toMatch(/^type=PATH msg=/)
    }
    readOn(reader, `type=CWD ${STAMP}cwd="/"`)
    expect(reader.tear).toBe(-1)
  })

  test.each([
    ['what a program says', `USER_CMD ${STAMP}pid=1 uid=0 msg='cwd="/" type=PATH ${STAMP}x'`],
    [
      'what auditd adds',
      `SOCKADDR ${STAMP}saddr=0100${GS}SADDR={ saddr_fam=local path=/ type=PATH ${STAMP}x }`,
    ],
  ])('but not in %s', (_, text) => {
    const reader = new RecordReader()
    readOn(reader, `type=${text}`)
    expect(reader.tear).toBe(-1)
  })
})
