/**
 * What somebody does who wants the agent to run out of memory, as auditd logs it: each kind is one way to make it
 * remember more, with new names in every event. The same numbers give the same bytes.
 */
import { event, execve, line, path, type Stamp, syscall, untrusted } from '../support/log.ts'

const START_MS = 1_795_200_000_000
const EVENTS_PER_SECOND = 1000
const FIRST_PID = 300
const PIDS = 4_194_304 - FIRST_PID
const LONGEST_NAME = 4000
/** What one EXECVE record holds of arguments (kernel/auditsc.c, MAX_EXECVE_AUDIT_LEN). */
const EXECVE_BYTES = 7500
const ARGUMENT_BYTES = 2 * 1024 * 1024
/** Every so many events one of the big kind. */
const BIG_EVERY = 100

/** The text of an event, by its number. */
export type Kind = (index: number) => string

const stampOf = (index: number): Stamp => ({
  timeMs: START_MS + Math.floor((index * 1000) / EVENTS_PER_SECOND),
})
const pidOf = (index: number): number => FIRST_PID + (index % PIDS)
/** Twelve letters that look like a word, another one for each number. */
function word(index: number): string {
  let text = ''
  let left = Math.imul(index + 1, 0x9e3779b1) >>> 0
  for (let place = 0; place < 12; place++) {
    text += String.fromCharCode(97 + (left % 26))
    left = place === 6 ? index : Math.floor(left / 26)
  }
  return text
}
/** A path of `length` characters in directories of names as long as they may be. */
function longPath(index: number, length: number, name = word(index)): string {
  const directory = `/${name}${'d'.repeat(200)}`
  return `${directory.repeat(Math.ceil(length / directory.length)).slice(0, length - 13)}/${name}`
}

type Fields = Readonly<Record<string, string | number>>

const doer = (index: number, fields: Fields = {}): Fields => ({ pid: pidOf(index), ...fields })

function create(index: number, file: string, fields: Fields = {}, inode = index + 10): string {
  return event(
    index,
    [
      ['SYSCALL', syscall('creat', doer(1, { exit: 3, items: 2, ...fields }))],
      ['CWD', 'cwd="/"'],
      ['PATH', path(0, file.slice(0, file.lastIndexOf('/') + 1), 2, 'PARENT')],
      ['PATH', path(1, file, inode, 'CREATE')],
    ],
    stampOf(index),
  )
}

function exec(
  index: number,
  exe: string,
  fields: Fields = {},
  argv: readonly string[] = [word(index)],
): string {
  return event(
    index,
    [
      [
        'SYSCALL',
        syscall('execve', {
          ...doer(index, { items: 2, comm: untrusted(word(index)), exe: untrusted(exe) }),
          ...fields,
        }),
      ],
      ['EXECVE', execve(argv)],
      ['CWD', 'cwd="/"'],
      ['PATH', path(0, '/usr/bin/link', 11, 'NORMAL')],
      ['PATH', path(1, '/lib64/ld-linux-x86-64.so.2', 12, 'NORMAL')],
    ],
    stampOf(index),
  )
}

function connect(index: number, saddr: Buffer, fields: Fields = {}): string {
  return event(
    index,
    [
      ['SYSCALL', syscall('connect', doer(1, fields))],
      ['SOCKADDR', `saddr=${saddr.toString('hex').toUpperCase()}`],
    ],
    stampOf(index),
  )
}

function inet(index: number): Buffer {
  const saddr = Buffer.alloc(16)
  saddr.writeUInt16LE(2)
  saddr.writeUInt16BE(1 + (index % 65_535), 2)
  saddr.writeUInt32BE(0x0b000000 + index, 4)
  return saddr
}

function inet6(index: number): Buffer {
  const saddr = Buffer.alloc(28)
  saddr.writeUInt16LE(10)
  saddr.writeUInt16BE(443, 2)
  saddr.writeUInt16BE(0x2001, 8)
  saddr.writeUInt32BE(index, 20)
  return saddr
}

function unix(index: number): Buffer {
  const saddr = Buffer.alloc(110)
  saddr.writeUInt16LE(1)
  saddr.write(`/run/${word(index)}${'s'.repeat(80)}`, 2)
  return saddr
}

/** EXECVE records of 2 MiB of arguments, as the kernel cuts them. */
function* bigArguments(index: number): Iterable<string> {
  const length = ARGUMENT_BYTES / 2
  const text = `${word(index)} ${'x'.repeat(length - 13)}`
  const hex = Buffer.from(text).toString('hex').toUpperCase()
  yield `argc=131 a0="${word(index)}" a1_len=${hex.length} a1[0]=${hex.slice(0, EXECVE_BYTES)}`
  for (let at = EXECVE_BYTES; at < hex.length; at += EXECVE_BYTES)
    yield `a1[${at / EXECVE_BYTES}]=${hex.slice(at, at + EXECVE_BYTES)}`
  for (let argument = 2; argument < 131; argument++)
    yield `a${argument}="${word(index + argument)}${'y'.repeat(EXECVE_BYTES - 20)}"`
}

function execWithBigArguments(index: number): string {
  const exe = `/usr/bin/${word(index % 5000)}`
  return event(
    index,
    [
      ['SYSCALL', syscall('execve', doer(index, { items: 2, exe: untrusted(exe) }))],
      ...[...bigArguments(index)].map((body) => ['EXECVE', body] as const),
      ['CWD', 'cwd="/"'],
      ['PATH', path(0, exe, 11, 'NORMAL')],
      ['PATH', path(1, '/lib64/ld-linux-x86-64.so.2', 12, 'NORMAL')],
    ],
    stampOf(index),
  )
}

/** An event whose end never comes, with records as large as auditd writes them. */
function torso(index: number): string {
  const stamp = stampOf(index)
  const begins = line(
    'SYSCALL',
    index,
    syscall('execve', doer(index, { items: 4, exe: untrusted(longPath(index, LONGEST_NAME)) })),
    stamp,
  )
  switch (index % 3) {
    case 0:
      return begins
    case 1:
      return begins + line('PATH', index, path(0, longPath(index, LONGEST_NAME), index, 'CREATE'), stamp)
    default:
      return begins + line('EXECVE', index, `argc=9 a0="${longPath(index, EXECVE_BYTES)}"`, stamp)
  }
}

/** A program that starts the next one, forty deep and then from the beginning. */
function deepExec(index: number, lengthOfName: number): string {
  const depth = index % 40
  return exec(index, longPath(index, lengthOfName), {
    ppid: depth === 0 ? 1 : pidOf(index - 1),
    pid: pidOf(index),
  })
}

const ofNode = (node: string, text: string): string => text.replace(/^(?=type=)/gm, `node=${node} `)

/** By what each of them does. */
export const KINDS: Readonly<Record<string, Kind>> = {
  'new programs': (index) => exec(index, `/usr/bin/${word(index)}`, { ppid: pidOf(index - (index % 1000)) }),
  'new programs, 4,000 characters': (index) => exec(index, longPath(index, LONGEST_NAME)),
  'chains, 40 deep': (index) => deepExec(index, 20),
  'chains, 40 deep, 4,000 characters': (index) => deepExec(index, LONGEST_NAME),
  'forks that only act': (index) =>
    create(index, '/var/lib/state', doer(index, { ppid: pidOf(index - 1), exe: '"/usr/sbin/daemon"' })),
  'new files': (index) => create(index, `/srv/${word(index)}/${word(index + 7)}`),
  'new files, 1,000 characters': (index) => create(index, longPath(index, 1000)),
  'new files, 4,000 characters': (index) => create(index, longPath(index, LONGEST_NAME)),
  'new files, 2,000 Cyrillic letters': (index) =>
    create(index, longPath(index, LONGEST_NAME / 2).replaceAll('d', 'д')),
  'names that wait for siblings': (index) =>
    create(index, `/srv/${word(index)}/2026-11-21/${index}/x${index}y/${word(index + 7)}.${index}`),
  'names that wait for siblings, 900 characters': (index) => create(index, `${longPath(index, 900)}${index}`),
  'patterns in one directory': (index) => create(index, `/srv/${word(Math.floor(index / 3))}${index % 3}`),
  'patterns in many directories': (index) =>
    create(index, `/srv/${word(Math.floor(index / 3))}/${index % 3}.msg`),
  'new addresses': (index) => connect(index, index % 2 === 0 ? inet(index) : inet6(index)),
  'new sockets': (index) => connect(index, unix(index)),
  'new users': (index) => create(index, '/tmp/x', { uid: index, euid: index, pid: pidOf(index) }),
  'new users by name': (index) =>
    create(index, '/tmp/x', {
      pid: pidOf(index),
      uid: index,
      key: `(null)\u001dARCH=x86_64 SYSCALL=creat AUID="root" UID="${word(index)}"`,
    }),
  'moved directories': (index) =>
    event(
      index,
      [
        ['SYSCALL', syscall('rename', doer(1, { items: 4 }))],
        ['CWD', 'cwd="/"'],
        ['PATH', path(0, '/srv/', 2, 'PARENT')],
        ['PATH', path(1, '/srv/', 2, 'PARENT')],
        ['PATH', path(2, longPath(index, LONGEST_NAME), index, 'DELETE').replace('0100644', '040755')],
        ['PATH', path(3, longPath(index + 1, LONGEST_NAME), index, 'CREATE').replace('0100644', '040755')],
      ],
      stampOf(index),
    ),
  machines: (index) => ofNode(`host-${index % 1000}`, exec(index, `/usr/bin/${word(index)}`)),
  'new machines': (index) => ofNode(`${word(index)}${'n'.repeat(240)}`, exec(index, '/usr/bin/x')),
  'arguments of 2 MiB': (index) =>
    index % BIG_EVERY === 0 ? execWithBigArguments(index) : exec(index, '/usr/bin/x'),
  'arguments of 8 KB': (index) =>
    exec(index, `/usr/bin/${word(index)}`, {}, [word(index), longPath(index, EXECVE_BYTES)]),
  'events that never end': torso,
  'lines that are no records': (index) => `${longPath(index, LONGEST_NAME)}\n`,
}

/** All of them in turns of fifty. */
export const EVERYTHING: Kind = (index) => {
  const kinds = Object.values(KINDS)
  return kinds[Math.floor(index / 50) % kinds.length]?.(index) ?? ''
}

/** The log of so many events, or as many bytes if that is less, in pieces of about a mebibyte. */
export function* churn(kind: Kind, events: number, mostBytes = Number.POSITIVE_INFINITY): Iterable<Buffer> {
  let text = ''
  let bytes = 0
  for (let index = 1; index <= events && bytes < mostBytes; index++) {
    text += kind(index)
    if (text.length < 1024 * 1024) continue
    bytes += text.length
    yield Buffer.from(text, 'latin1')
    text = ''
  }
  yield Buffer.from(text, 'latin1')
}
