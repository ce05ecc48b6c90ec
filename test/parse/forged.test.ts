import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ForgedLines } from '../../agent/parse/forged.ts'
import { line } from '../support/log.ts'

const GS = '\x1d'
/** MAX_AUDIT_MESSAGE_LENGTH less 1: replace_event_msg of auditd-event.c. */
const LONGEST_RECORD = 8969
const FORGED = 'type=USER_LOGIN msg=audit(1795210798.000:9999): pid=1 uid=0 auid=0 ses=1 res=success'
const BEFORE = line('SYSCALL', 5, 'arch=c000003e syscall=42 success=no exit=-2')
const AFTER = line('CWD', 5, 'cwd="/"') + line('PROCTITLE', 5, 'proctitle="x"')

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')
const hexOf = (text: string): string => latin1(text).toString('hex').toUpperCase()
const upToNul = (text: string): string => text.split('\0', 1)[0] ?? ''

/** A SOCKADDR record as auditd 3 and 4 write it in ENRICHED format; `path` is what stands in sockaddr_un. */
function sockaddr(path: string, spelling = '{ saddr_fam=local path=', close = ' }', limit = 108): string {
  const printed = upToNul(path.startsWith('\0') ? path.slice(1) : path).slice(0, limit)
  return line('SOCKADDR', 5, `saddr=0100${hexOf(path)}${GS}SADDR=${spelling}${printed}${close}`)
}

interface Reading {
  /** The lines that may be read as records. */
  readonly lines: readonly string[]
  /** What `begin` said of each record with an address. */
  readonly attempts: readonly boolean[]
}

/** Reads a log as the core does. */
function readLines(log: string, forged = new ForgedLines()): Reading {
  const bytes = latin1(log)
  const lines: string[] = []
  const attempts: boolean[] = []
  let start = 0
  for (let end = bytes.indexOf('\n'); end >= 0; end = bytes.indexOf('\n', start)) {
    const text = bytes.toString('latin1', start, end)
    if (!forged.isExpecting || !forged.swallow(bytes, start, end)) {
      lines.push(text)
      const saddr = /^(?:node=\S+ )?type=SOCKADDR .*?saddr=([0-9A-F]*)/.exec(text)?.[1]
      if (saddr !== undefined) attempts.push(forged.begin(bytes, start, end, saddr))
      else if (text.includes(" msg='")) attempts.push(forged.beginClaimed(bytes, start, end))
    }
    start = end + 1
  }
  return { lines, attempts }
}

const linesOf = (log: string): string[] => log.split('\n').slice(0, -1)

/** What stands around the record is read, and of the record its first line, which is the true one. */
function expectOnlyTruth(record: string): void {
  const { lines, attempts } = readLines(BEFORE + record + AFTER)
  expect(lines).toEqual([...linesOf(BEFORE), linesOf(record)[0], ...linesOf(AFTER)])
  expect(attempts).toEqual([linesOf(record).length > 1])
}

describe('lines in the path of a socket', () => {
  test.each([
    ['a record', `/x\n${FORGED}\n`],
    ['a record at the end of the path', `/x\n${FORGED}`],
    ['the end of an event', '/x\ntype=EOE msg=audit(1795210798.000:9999): \n'],
    ['a record of the same event', '/x\ntype=PROCTITLE msg=audit(1795210797.987:5): proctitle="y"\n'],
    ['several', '/x\ntype=EOE msg=audit(1.000:1): \ntype=EOE msg=audit(1.000:2): \n'],
    ['empty ones', '/n\n\n\n\n'],
    ['nothing but one', '\n\n'],
    ['a newline first', `\n${FORGED}`],
    ['the end of the suffix itself', `/x }\n }\n${FORGED}\n }\n`],
    ['the suffix itself', `/x\n${GS}SADDR={ saddr_fam=local path=/y\n${FORGED}`],
    ['a GS', `/gs${GS}ARCH=x86_64 SYSCALL=execve\n${FORGED}`],
    ['a carriage return', `/cr\r\n${FORGED}\r\n`],
    ['spaces at the end', '/x  \n  \n  '],
    ['bytes that are no text', '/\xff\xfe\xc3\x28\n\x01\x02\x7f\x1b[2J\n'],
    ['an abstract name', `\0abs\n${FORGED}\0more\n${FORGED}`],
    ['garbage behind the NUL', `/x\n${FORGED}\0\x58\x7f\n\x0a`],
    ['108 bytes without a NUL', `/x\n${FORGED}${'y'.repeat(21)}`],
    ['more bytes than a path has', `/x\n${FORGED}\n${'y'.repeat(20)}\nzz\nzz\nzz`],
  ])('%s', (_, path) => expectOnlyTruth(sockaddr(path)))

  test('with the name of a host before them', () => {
    expectOnlyTruth(`node=web-01.example.com ${sockaddr(`/x\n${FORGED}\n`)}`)
  })

  test('of a host with the other byte order', () => {
    expectOnlyTruth(sockaddr(`/x\n${FORGED}\n`).replace('saddr=0100', 'saddr=0001'))
  })

  test.each([
    ['audit 2.8', '{ fam=local path=', ' }'],
    ['audit 2.6', 'local ', ''],
  ])('as %s wrote them, without a limit', (_, spelling, close) => {
    expectOnlyTruth(sockaddr(`/x\n${FORGED}\n`, spelling, close))
    expectOnlyTruth(sockaddr(`/x\n${FORGED}\n${'y'.repeat(20)}\nzz\nzz\nzz`, spelling, close, 126))
  })

  test.each([
    ['an amateur radio call sign', '0300', 'A\nB\nC\nDEFG', 'ax25 call=A\nB\nC\nD }'],
    ['one that ends with NUL', '0300', 'AB\n\0CDEF\n', 'ax25 call=AB\n'],
    ['an X.25 address', '0900', 'AB\nCDEFGHIJKLMNOPQ', 'x25 laddr=AB\nCDEFGHIJKLMN }'],
  ])('%s', (_, family, address, printed) => {
    expectOnlyTruth(line('SOCKADDR', 5, `saddr=${family}${hexOf(address)}${GS}SADDR={ saddr_fam=${printed}`))
  })

  test('a log that got a CR at the end of each line', () => {
    const log = (BEFORE + sockaddr(`/x\r\n${FORGED}\n\n`) + AFTER).replaceAll('\n', '\r\n')
    expect(readLines(log).lines.filter((text) => text.includes('USER_LOGIN'))).toEqual([])
    expect(readLines(log).lines).toHaveLength(4)
  })

  test('any path, between any records: the law', () => {
    const bytes = fc.constantFrom(...['\n', '\n', '\n', ' ', '}', '/', 'a', '\r', GS, '=', 'type=', '\xff'])
    const path = fc
      .array(fc.oneof(bytes, fc.constant(FORGED)), { minLength: 2, maxLength: 40 })
      .map((parts) => parts.join('').slice(0, 126))
    fc.assert(fc.property(path, (text) => expectOnlyTruth(sockaddr(text))))
  })
})

describe('an attempt that became nothing', () => {
  test('in RAW format, where the address is hex only', () => {
    const record = line('SOCKADDR', 5, `saddr=0100${hexOf(`/x\n${FORGED}\n`)}`)
    const log = BEFORE + record + `${FORGED}\n` + AFTER
    expect(readLines(log)).toEqual({ lines: linesOf(log), attempts: [true] })
  })

  test('in RAW format, with what the next record is going to be', () => {
    const record = line('SOCKADDR', 5, `saddr=0100${hexOf(`\n${linesOf(AFTER).join('\n')}`)}`)
    const log = BEFORE + record + AFTER
    expect(readLines(log)).toEqual({ lines: linesOf(log), attempts: [true] })
  })

  test('through a plugin, for which auditd turns the newlines into spaces', () => {
    const log = `${BEFORE}${linesOf(sockaddr(`/x\n${FORGED}\n`)).join(' ')}\n${AFTER}`
    expect(readLines(log)).toEqual({ lines: linesOf(log), attempts: [true] })
  })
})

describe('no attempt', () => {
  test.each([
    ['an ordinary path', '01002F746D702F7800', '{ saddr_fam=local path=/tmp/x }'],
    ['a newline in the garbage behind a path', '01002F78000A0A', '{ saddr_fam=local path=/x }'],
    ['no name', '0100', '{ saddr_fam=local unnamed socket }'],
    ['no path', '010000', '{ saddr_fam=local sockaddr len too short }'],
    [
      'an IPv4 address',
      '02000A0A0A0A0A0A0A0A0A0A0A0A0A0A',
      '{ saddr_fam=inet laddr=10.10.10.10 lport=2570 }',
    ],
    [
      'an IPv6 address',
      '0A000A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A',
      '{ saddr_fam=inet6 laddr=a0a:: lport=2570 }',
    ],
    ['netlink', '10000A0A0A0A0A0A0A0A0A0A', '{ saddr_fam=netlink nlnk-fam=16 nlnk-pid=168430090 }'],
    ['a family that ends as the unix one', '01010A0A0A', 'unknown-family(257)'],
    ['nothing', '', ''],
  ])('%s', (_, saddr, printed) => {
    const log = BEFORE + line('SOCKADDR', 5, `saddr=${saddr}${GS}SADDR=${printed}`) + AFTER
    expect(readLines(log)).toEqual({ lines: linesOf(log), attempts: [false] })
  })
})

describe('a log that was torn or edited', () => {
  const [first = '', ...forged] = linesOf(sockaddr(`/x\n${FORGED}\n`))

  test('begins again with the first line that auditd did not write for the address', () => {
    const log = `${BEFORE}${first}\n${AFTER}`
    expect(readLines(log).lines).toEqual(linesOf(log))
    const later = `${BEFORE}${first}\n${FORGED}\n${AFTER}`
    expect(readLines(later).lines).toEqual(linesOf(`${BEFORE}${first}\n${AFTER}`))
  })

  test('expects nothing more after it', () => {
    const log = [first, 'type=CWD msg=audit(1.000:1): ', ...forged].join('\n') + '\n'
    expect(readLines(log).lines).toEqual(linesOf(log))
  })

  test('in the middle of a line', () => {
    const log = `${first}\n${FORGED.slice(0, -10)}\n${AFTER}`
    expect(readLines(log).lines).toEqual([first, ...linesOf(AFTER)])
  })

  test('where an empty line is due', () => {
    const log = `${linesOf(sockaddr('/x\n\n\ny'))[0] ?? ''}\n${AFTER}`
    expect(readLines(log).lines).toEqual(linesOf(log))
  })

  test('a suffix that is not the one of the address is not waited for', () => {
    const log = `${BEFORE}${first}y\n${FORGED}\n`
    expect(readLines(log).lines).toEqual(linesOf(log))
  })
})

/** A record of user space whose text has fields as auditd translates them: in their order, ids and addresses. */
const claim = (text: string, suffix: string): string =>
  line(
    'USER_LOGIN',
    5,
    `pid=9 uid=0 auid=0 ses=1 msg='op=login ${text}'${GS}UID="root" AUID="root" ${suffix}`,
  )

const saddrOf = (path: string): string => `saddr=0100${hexOf(path)}`
const printed = (path: string): string => `SADDR={ saddr_fam=local path=${path.slice(0, 108)} }`

describe('lines in the text of a record of user space', () => {
  const path = `/x\n${FORGED}\n`

  test.each([
    ['at the end', claim(saddrOf(path), printed(path))],
    ['first', claim(saddrOf(path).toLowerCase(), printed(path))],
    ['before other fields', claim(`${saddrOf(path)} id=0`, `${printed(path)} ID="root"`)],
    ['twice', claim(`${saddrOf(path)} ${saddrOf('/y\nz\n')}`, `${printed(path)} ${printed('/y\nz\n')}`)],
    [
      'with an id between',
      claim(`${saddrOf(path)} id=0 ${saddrOf('/y\nz')}`, `${printed(path)} ID="root" ${printed('/y\nz')}`),
    ],
    [
      'beside one that auditd does not translate',
      claim(`"${saddrOf('/x\nno\n')}" ${saddrOf(path)}`, printed(path)),
    ],
    [
      'much longer than a path',
      claim(saddrOf(`/x\n${FORGED}\n`.repeat(50)), printed(`/x\n${FORGED}\n`.repeat(50))),
    ],
  ])('%s', (_, record) => expectOnlyTruth(record))

  test('where auditd ends a record that is too long', () => {
    const tooMuch = 40
    const padding = LONGEST_RECORD + tooMuch - claim(` ${saddrOf(path)}`, printed(path)).trimEnd().length
    const record = claim(`${'a'.repeat(padding)} ${saddrOf(path)}`, printed(path)).slice(0, LONGEST_RECORD)
    // In the middle of what is forged.
    expect(linesOf(`${record}\n`)[1]).toBe(FORGED.slice(0, -(tooMuch - '\n }'.length)))
    expectOnlyTruth(`${record}\n`)
  })

  test('that hold no newline', () => {
    const log = BEFORE + claim(saddrOf('/x'), printed('/x')) + AFTER
    expect(readLines(log)).toEqual({ lines: linesOf(log), attempts: [false] })
  })

  test('without a suffix', () => {
    const log = `${BEFORE}${line('USER_LOGIN', 5, `pid=9 uid=0 msg='${saddrOf(path)}'`)}${FORGED}\n`
    expect(readLines(log)).toEqual({ lines: linesOf(log), attempts: [true] })
  })
})

test('expects nothing before the first address, and nothing after the last line of one', () => {
  const forged = new ForgedLines()
  expect(forged.isExpecting).toBe(false)
  const [first = '', second = '', last = ''] = linesOf(sockaddr(`/x\n${FORGED}\n`))
  readLines(`${first}\n`, forged)
  expect(forged.isExpecting).toBe(true)
  readLines(`${second}\n`, forged)
  expect(forged.isExpecting).toBe(true)
  readLines(`${last}\n`, forged)
  expect(forged.isExpecting).toBe(false)
})
