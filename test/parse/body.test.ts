import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readBody } from '../../agent/parse/body.ts'

const GS = '\u001d'
const own = (body: string): object => Object.fromEntries(readBody(body).own.fields)
const claims = (body: string): object | undefined => {
  const said = readBody(body).claims
  return said === undefined ? undefined : Object.fromEntries(said.fields)
}

describe('values', () => {
  test('only the quote decides what is hex', () => {
    expect(own('pid=7 comm="6D79" exe=2F746D702F78202864656C6574656429')).toEqual({
      pid: '7',
      comm: '6D79',
      exe: '/tmp/x (deleted)',
    })
  })

  test('there are no escapes', () => {
    expect(own('comm="foo\\" exe="/bin/\\x41"')).toEqual({ comm: 'foo\\', exe: '/bin/\\x41' })
  })

  test('what is no text is not made text', () => {
    expect(own('ses=10 ino=1234 dev=fe:00 sig=11 code=0x50000 a0=5555')).toEqual({
      ses: '10',
      ino: '1234',
      dev: 'fe:00',
      sig: '11',
      code: '0x50000',
      a0: '5555',
    })
  })

  test('bytes that are no UTF-8 stay different from each other', () => {
    expect(own('comm=FF20FE')).toEqual({ comm: '\udcff \udcfe' })
    expect(own('comm=C3A9')).toEqual({ comm: 'é' })
  })

  test('(null) is nothing, an empty value is one', () => {
    expect(own('key=(null) subj= res=success exe=""')).toEqual({ subj: '', res: 'success', exe: '' })
  })

  test('the first of two equal keys counts', () => {
    expect(own('pid=1 uid=5 pid=2')).toEqual({ pid: '1', uid: '5' })
  })

  test('a cut hex value loses its half byte, a cut quoted one keeps what is there', () => {
    expect(own('comm=61622')).toEqual({ comm: 'ab' })
    expect(own('pid=1 comm="ab')).toEqual({ pid: '1', comm: 'ab' })
  })

  test('keys are no properties of anything', () => {
    const { fields } = readBody('__proto__="x" constructor="y" toString="z" pid=1').own
    expect([...fields]).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
      ['toString', 'z'],
      ['pid', '1'],
    ])
  })
})

describe('what auditd translated', () => {
  test('is not read', () => {
    expect(own(`auid=4294967295 uid=0 dev=eth0${GS}AUID="unset" UID="root"`)).toEqual({
      auid: '4294967295',
      uid: '0',
      dev: 'eth0',
    })
  })

  test.each([
    'op=x key=(null)AUID="unset"',
    'op=x key=(null) AUID="unset" op=y',
    `op=x key=(null)${GS}AUID="unset" pid=1`,
  ])('not even without its separator: %s', (body) => {
    expect(own(body)).toEqual({ op: 'x' })
  })

  test('follows a number at once where the separator is lost', () => {
    expect(own('cap_fe=0 cap_frootid=0OUID="root" OGID="root"')).toEqual({ cap_fe: '0', cap_frootid: '0' })
  })
})

describe('bodies that are no list of fields', () => {
  test.each([
    [
      'avc:  denied  { read write } for  pid=1 comm="x" path="/a b" tclass=file',
      'avc: denied { read write } for',
      { pid: '1', comm: 'x', path: '/a b', tclass: 'file' },
    ],
    [
      'apparmor="STATUS" info="same as current profile, skipping" profile="unconfined" pid=9',
      '',
      { apparmor: 'STATUS', info: 'same as current profile, skipping', profile: 'unconfined', pid: '9' },
    ],
    ['policy loaded auid=0 ses=2', 'policy loaded', { auid: '0', ses: '2' }],
    ['netlabel: auid=0 ses=0 old=0', 'netlabel:', { auid: '0', ses: '0', old: '0' }],
    ['tty pid=5 comm="bash" data=6C730D', 'tty', { pid: '5', comm: 'bash', data: 'ls\r' }],
    ['table=?:0;?:0 family=0 entries=2', '', { table: '?:0;?:0', family: '0', entries: '2' }],
    [
      'auditd start, ver=2.2 format=raw kernel=3.10 auid=4294967295 pid=251 res=success',
      'auditd start,',
      { ver: '2.2', format: 'raw', kernel: '3.10', auid: '4294967295', pid: '251', res: 'success' },
    ],
    [
      'auditd normal halt, sending auid=? pid=? subj=? res=success',
      'auditd normal halt, sending',
      { auid: '?', pid: '?', subj: '?', res: 'success' },
    ],
    [
      'login pid=10 uid=0 old auid=4294967295 new auid=500 old ses=4294967295 new ses=1',
      'login',
      { pid: '10', uid: '0', 'old-auid': '4294967295', auid: '500', 'old-ses': '4294967295', ses: '1' },
    ],
    [
      'pid=10 uid=0 old-auid=4294967295 auid=500 tty=(none) old-ses=4294967295 ses=1 res=1',
      '',
      {
        ...{ pid: '10', uid: '0', 'old-auid': '4294967295', auid: '500', tty: '(none)' },
        ...{ 'old-ses': '4294967295', ses: '1', res: '1' },
      },
    ],
    ['login old auid=(null) uid=0', 'login', { uid: '0' }],
    ['fd0=3 fd1=4', '', { fd0: '3', fd1: '4' }],
    ['Text', 'Text', {}],
    ['', '', {}],
  ])('%s', (body, words, fields) => {
    expect(readBody(body)).toMatchObject({ own: { words }, claims: undefined, isTorn: false })
    expect(own(body)).toEqual(fields)
  })

  test.each([
    ['subj==/usr/sbin/ntpd (enforce) key=(null)', { subj: '=/usr/sbin/ntpd (enforce)' }],
    ['subj=/{,usr/}sbin/dhclient key="x"', { subj: '/{,usr/}sbin/dhclient', key: 'x' }],
    [
      'subj==/usr/bin/man//&man_groff (enforce) pid=109919 sig=31',
      { subj: '=/usr/bin/man//&man_groff (enforce)', pid: '109919', sig: '31' },
    ],
  ])('a label may hold spaces and =: %s', (body, fields) => expect(own(body)).toEqual(fields))
})

describe('a payload', () => {
  test('has names of its own', () => {
    const body =
      'pid=777 uid=1001 auid=1001 ses=4 msg=\'op=x pid=1 uid=0 auid=0 ses=1 acct="root" res=success\''
    expect(own(body)).toEqual({ pid: '777', uid: '1001', auid: '1001', ses: '4' })
    expect(claims(body)).toEqual({
      ...{ op: 'x', pid: '1', uid: '0', auid: '0', ses: '1', acct: 'root', res: 'success' },
    })
  })

  test('ends at the last quote before what auditd translated', () => {
    const body = `pid=7 msg='cwd="/x' type=EOE uid=0" cmd=6C73 res=success'${GS}UID="o'brien"`
    expect(own(body)).toEqual({ pid: '7' })
    expect(claims(body)).toEqual({ cwd: "/x' type=EOE uid=0", cmd: 'ls', res: 'success' })
  })

  test('may hold the separator itself, whose text is not the auditd of the log', () => {
    const body = `pid=7 msg='acct="a${GS}UID=x" res=success'`
    expect(own(body)).toEqual({ pid: '7' })
    expect(claims(body)).toEqual({ acct: `a${GS}UID=x`, res: 'success' })
  })

  test('that was cut goes to the end of the line', () => {
    expect(claims(`pid=7 msg='op=login acct="ro`)).toEqual({ op: 'login', acct: 'ro' })
    expect(claims(`pid=7 msg='op=login${GS}UID="x"`)).toEqual({ op: `login${GS}UID="x"` })
    expect(claims("pid=7 msg='")).toEqual({})
  })

  test('stands where a word may stand, not inside of a value', () => {
    expect(claims(`pid=7 profile="x msg='uid=0'" comm="y"`)).toBeUndefined()
  })

  test.each([
    [
      'user pid=3 uid=0 auid=0 msg=\'PAM: session open acct=root : exe="/usr/sbin/crond" (hostname=?, addr=?, terminal=cron res=success)\'',
      'PAM: session open :',
      { acct: 'root', exe: '/usr/sbin/crond', hostname: '?', addr: '?', terminal: 'cron', res: 'success' },
    ],
    [
      'pid=1 msg=\'op=adding user id=1003 exe="/usr/sbin/useradd" res=success\'',
      '',
      { op: 'adding user', id: '1003', exe: '/usr/sbin/useradd', res: 'success' },
    ],
    [
      "pid=1 msg='op=start mac=<implicit> fp=SHA256:02:11:7b laddr=10.0.0.1 res=success'",
      '',
      { op: 'start', mac: '<implicit>', fp: 'SHA256:02:11:7b', laddr: '10.0.0.1', res: 'success' },
    ],
    [
      "pid=1 msg='op=PAM:authentication acct=\"system-property('xsl:vendor')/>\" res=failed'",
      '',
      { op: 'PAM:authentication', acct: "system-property('xsl:vendor')/>", res: 'failed' },
    ],
    [
      "pid=1 msg='avc:  received policyload notice (seqno=2)  exe=2F782079 sauid=81'",
      'avc: received policyload notice',
      { seqno: '2', exe: '/x y', sauid: '81' },
    ],
    ["pid=1 msg='op=x acct=28696E76616C6964207573657229'", '', { op: 'x', acct: '(invalid user)' }],
    ["pid=1 msg='op=x acct=bad grp=1000'", '', { op: 'x', acct: 'bad', grp: '\u0010\u0000' }],
  ])('as programs write it: %s', (body, words, fields) => {
    expect(readBody(body).claims?.words).toBe(words)
    expect(claims(body)).toEqual(fields)
  })
})

test('what stands behind a tear is of another record', () => {
  const body =
    "op=terminate auid=0 pid=12333 subj=24970459.090:670): pid=12323 uid=0 auid=4294967295 msg='op=x res=success' res=success"
  expect(readBody(body)).toMatchObject({ claims: undefined, isTorn: true })
  expect(own(body)).toEqual({ op: 'terminate', auid: '0', pid: '12333' })
})

describe('laws', () => {
  const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code))
  const piece = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(' ', '=', '"', "'", GS, '(', ')', ',', '\u0000') },
    fc.constantFrom("msg='", ' pid=', 'exe=', 'subj=', 'old ', 'new ', 'op=', '(null)', 'UID=', '1.123:4):'),
    fc.constantFrom('__proto__=', 'constructor=', 'hasOwnProperty=1', '41', '4', 'a[1]='),
    byte,
  )
  const body = fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join(''))

  test('any bytes are read, and what is claimed changes nothing of what is not', () => {
    fc.assert(
      fc.property(body, body, (text, payload) => {
        const alone = readBody(`pid=7 uid=8 exe="/bin/x"`)
        const both = readBody(`pid=7 uid=8 exe="/bin/x" msg='${payload}' ${text}`)
        expect(both.own).toMatchObject({ fields: alone.own.fields, words: '' })
        expect(both.claims).toBeDefined()
        readBody(text)
      }),
      { numRuns: 2000 },
    )
  })

  test('a value comes back whole, whatever its bytes: quoted by the kernel or in hex', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40 }),
        fc.constantFrom('comm', 'exe', 'name', 'key'),
        (bytes, key) => {
          const text = Buffer.from(bytes).toString('latin1')
          const isPlain = /^[!#-~]*$/.test(text)
          const written = isPlain ? `"${text}"` : Buffer.from(bytes).toString('hex').toUpperCase()
          const value = readBody(`pid=1 ${key}=${written} res=1`).own.fields.get(key) ?? ''
          const back = Array.from(value, (character) => character.codePointAt(0) ?? 0).map((code) =>
            code >= 0xdc80 && code <= 0xdcff ? [code - 0xdc00] : [...Buffer.from(String.fromCodePoint(code))],
          )
          expect(back.flat()).toEqual([...bytes])
        },
      ),
    )
  })
})
