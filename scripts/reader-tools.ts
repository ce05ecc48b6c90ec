import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EventReader } from '../agent/show/reader.ts'
import type { InputClass, Said, SaidName } from './input-classes.ts'

/** The reader has no word for it, or leaves it as it stands in the log. */
export const NOT_SHOWN = Symbol('not shown')

type Shown = { readonly [Name in SaidName]?: Said[Name] | typeof NOT_SHOWN }

/** An event as a reader tells it. */
export interface ReadEvent {
  readonly serial: number
  readonly timeMs: number
  readonly types: readonly string[]
  readonly shown: Shown
}

export interface Reader {
  readonly name: string
  /** As it calls itself; undefined when it is not installed. */
  readonly version: string | undefined
  /** @throws ReaderEnded */
  read(input: InputClass, folder: string): readonly ReadEvent[]
}

/** A reader stopped before the end of its input. */
export class ReaderEnded extends Error {
  override readonly name = 'ReaderEnded'

  constructor(status: number | null) {
    super(status === null ? 'killed by a signal' : `ends with status ${status}`)
  }
}

const ENV = { PATH: `/usr/sbin:/sbin:${process.env['PATH'] ?? ''}`, TZ: 'UTC', LC_ALL: 'C' }
const MOST_OUTPUT = 1 << 28

interface Ended {
  readonly stdout: string
  readonly stderr: string
  readonly status: number | null
}

/** Output is Latin-1: bytes, whatever they are. */
function run(command: readonly string[], input: Buffer | '' = ''): Ended {
  const [program = '', ...args] = command
  const { stdout, stderr, status, error } = spawnSync(program, args, {
    ...{ input, env: ENV, encoding: 'latin1', maxBuffer: MOST_OUTPUT },
  })
  return error === undefined
    ? { stdout, stderr, status }
    : { stdout: '', stderr: error.message, status: null }
}

function outputOf(command: readonly string[], input?: Buffer): string {
  const { stdout, status } = run(command, input)
  if (status !== 0) throw new ReaderEnded(status)
  return stdout
}

function versionOf(command: readonly string[], pattern: RegExp): string | undefined {
  const { stdout, stderr, status } = run(command)
  return status === 0 ? pattern.exec(stdout + stderr)?.[1] : undefined
}

/** Text of JSON as bytes; what is no UTF-8 is a lone surrogate, as Python has it. */
const bytesOf = (text: string): string =>
  text.replace(/\P{ASCII}/gu, (letter) => {
    const code = letter.charCodeAt(0)
    return code >= 0xdc80 && code <= 0xdcff
      ? String.fromCharCode(code - 0xdc00)
      : Buffer.from(letter).toString('latin1')
  })

type Json = string | number | boolean | null | undefined | readonly Json[] | { readonly [key: string]: Json }
type Fields = Readonly<Record<string, Json>>

const isObject = (value: Json): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const objectsOf = (value: Json): Fields[] => [value as Json | Json[]].flat().filter(isObject)
const textOf = (value: Json): string | undefined => (typeof value === 'string' ? value : undefined)
const numberOf = (value: Json): number | undefined =>
  typeof value === 'number'
    ? value
    : typeof value === 'string' && /^-?\d+$/.test(value)
      ? Number(value)
      : undefined

/** Lines of JSON, every text in them as bytes. */
function parseLines(output: string, decode: (text: string) => string): Fields[] {
  const lines = Buffer.from(output, 'latin1').toString().trim().split('\n')
  const bytes = (_: string, value: unknown): unknown => (typeof value === 'string' ? decode(value) : value)
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line, bytes) as Fields)
}

const withoutSlash = (path: string | undefined): string | undefined => path?.replace(/(?<=.)\/$/, '')
const whenDefined = <T>(value: T | undefined): T | typeof NOT_SHOWN => value ?? NOT_SHOWN

// fullmon

/** The version of this tree. */
const PACKAGE = join(import.meta.dirname, '../package.json')

export const fullmon = (): Reader => ({
  name: 'fullmon',
  version: (JSON.parse(readFileSync(PACKAGE, 'utf8')) as { readonly version: string }).version,
  // As the command `fullmon events --json` does it, but without a new process for each input.
  read: ({ logs }) => {
    const events: string[] = []
    const reader = new EventReader((event) => void events.push(JSON.stringify(event)))
    for (const log of logs) reader.push(log)
    reader.end()
    return parseLines(Buffer.from(events.join('\n')).toString('latin1'), bytesOf).map(fullmonEvent)
  },
})

function fullmonEvent(event: Fields): ReadEvent {
  const [id] = objectsOf(event['id'])
  const paths = objectsOf(event['paths'])
  const last = paths.at(-1)
  const [peer] = objectsOf(event['peer'])
  const types = (event['records'] ?? []) as readonly string[]
  return {
    serial: numberOf(id?.['serial']) ?? Number.NaN,
    timeMs: numberOf(id?.['timeMs']) ?? Number.NaN,
    types,
    shown: {
      node: textOf(id?.['node']),
      ...plain(event, textOf(event['arch']), textOf(event['syscall'])),
      success: event['success'] as boolean | undefined,
      argv: event['argv'] as readonly string[] | undefined,
      argvIncomplete: event['argvTruncated'] === true,
      names: paths.map(({ path }) => withoutSlash(textOf(path))),
      file:
        last === undefined || last['confidence'] === 'low' ? NOT_SHOWN : whenDefined(textOf(last['path'])),
      peer: types.includes('SOCKADDR') ? fullmonPeer(peer) : NOT_SHOWN,
      keys: event['keys'] as readonly string[],
      operation: textOf(event['syscall']),
    },
  }
}

function fullmonPeer(peer: Fields | undefined): string | typeof NOT_SHOWN {
  if (peer === undefined || peer['family'] === 0) return 'none'
  const { family, address, port, path } = peer as Readonly<Record<string, string | number>>
  if (typeof family !== 'string') return NOT_SHOWN
  return path === undefined ? `${family} ${address ?? ''} ${port ?? ''}` : `${family} ${path}`
}

/** Fields that say the same under the same name everywhere. */
function plain(fields: Fields, arch: string | undefined, syscall: string | undefined): Shown {
  return {
    ...{ arch: whenDefined(arch), syscall: whenDefined(syscall) },
    exit: numberOf(fields['exit']),
    pid: whenDefined(numberOf(fields['pid'])),
    auid: whenDefined(numberOf(fields['auid'])),
    uid: whenDefined(numberOf(fields['uid'])),
    comm: whenDefined(textOf(fields['comm'])),
    exe: whenDefined(textOf(fields['exe'])),
    cwd: whenDefined(textOf(fields['cwd'])),
  }
}

// laurel

/** Everything that it can translate is translated. */
const LAUREL_CONFIG = (folder: string): string => `directory = "${folder}"
[auditlog]
file = "-"
[transform]
execve-argv = [ "array" ]
[translate]
universal = true
user-db = false
[enrich]
pid = true
execve-env = []
container = false
script = false
`

/** Bytes that are no printable ASCII or UTF-8 are `%xx`. */
const laurelBytes = (text: string): string =>
  bytesOf(text).replace(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

export const laurel = (program: string): Reader => ({
  name: 'laurel',
  version: versionOf([program, '--version'], /(\d\S*)/),
  read: (input, folder) => {
    const config = join(folder, 'laurel.toml')
    writeFileSync(config, LAUREL_CONFIG(folder), { mode: 0o600 })
    return parseLines(outputOf([program, '-c', config], withEnds(input)), laurelBytes).map(laurelEvent)
  },
})

const HEADER = /^((?:node=\S+ )?)type=\S+ msg=audit\((\d+)\.(\d{3}):(\d+)\):/

/** auditd tells its plugins where an event ends, but not its log. laurel reads one stream: the logs in their order. */
function withEnds({ logs, events }: InputClass): Buffer {
  const lines = Buffer.concat(logs)
    .toString('latin1')
    .split(/(?<=\n)/)
  const idOf = (text: string): string => /audit\(([^)]*)\)/.exec(HEADER.exec(text)?.[0] ?? '')?.[1] ?? ''
  const ids = lines.map(idOf)
  const isTrue = (id: string): boolean =>
    events.some(({ timeMs, serial, types }) => types.length > 1 && id === stampOf(timeMs, serial))
  const text = lines.map((each, index) => {
    const id = ids[index] ?? ''
    if (!isTrue(id) || ids.lastIndexOf(id) !== index) return each
    const node = HEADER.exec(each)?.[1] ?? ''
    return `${each}${node}type=EOE msg=audit(${id}): ${each.endsWith('\r\n') ? '\r\n' : '\n'}`
  })
  return Buffer.from(text.join(''), 'latin1')
}

const stampOf = (timeMs: number, serial: number): string =>
  `${Math.floor(timeMs / 1000)}.${String(timeMs % 1000).padStart(3, '0')}:${serial}`

function laurelEvent(event: Fields): ReadEvent {
  const [, seconds = '', millis = '', serial = ''] =
    /^(\d+)\.(\d+):(\d+)$/.exec(textOf(event['ID']) ?? '') ?? []
  const types = Object.keys(event).filter((key) => !['ID', 'NODE'].includes(key))
  const first = (type: string): Fields | undefined => objectsOf(event[type])[0]
  const speaker = first('SYSCALL') ?? first('URINGOP') ?? first('SECCOMP') ?? first(types[0] ?? '') ?? {}
  const execve = first('EXECVE')
  const argv = execve?.['ARGV'] as readonly string[] | undefined
  const paths = objectsOf(event['PATH'])
  const last = textOf(paths.at(-1)?.['name'])
  const [process] = objectsOf(speaker['PID'])
  return {
    serial: Number(serial),
    timeMs: Number(seconds) * 1000 + Number(millis),
    types,
    shown: {
      node: textOf(event['NODE']),
      ...plain(
        { exe: process?.['exe'], ...speaker, cwd: first('CWD')?.['cwd'] },
        textOf(speaker['ARCH']) ?? textOf(speaker['arch'])?.replace(/^0x/, ''),
        textOf(speaker['SYSCALL']) ?? numberOf(speaker['syscall'])?.toString(),
      ),
      success: speaker['success'] === undefined ? undefined : speaker['success'] === 'yes',
      // An argument that has no value is `null`.
      argv: argv?.every((word) => typeof word === 'string') === false ? NOT_SHOWN : argv,
      argvIncomplete: argv !== undefined && execve?.['argc'] !== argv.length,
      names: paths.map(({ name }) => withoutSlash(textOf(name))),
      file: last?.startsWith('/') === true ? last : NOT_SHOWN,
      peer: laurelPeer(first('SOCKADDR')),
      keys: keysOf(speaker['key']),
      operation: textOf(speaker['uring_op']),
    },
  }
}

const keysOf = (key: Json): string[] => [key ?? []].flat().filter((each) => typeof each === 'string')

function laurelPeer(sockaddr: Fields | undefined): string | typeof NOT_SHOWN {
  const [translated] = objectsOf(sockaddr?.['SADDR'])
  if (translated === undefined) return NOT_SHOWN
  const { saddr_fam: family, addr, cid, port, path } = translated as Readonly<Record<string, string | number>>
  if (family === 'local') return path === undefined ? NOT_SHOWN : `unix ${path}`
  return `${family ?? ''} ${addr ?? cid ?? ''} ${port ?? ''}`
}

// ausearch

export const ausearch = (): Reader => ({
  name: 'ausearch',
  version: versionOf(['ausearch', '--version'], /version (\S+)/),
  read: ({ logs }, folder) => {
    const file = join(folder, 'ausearch.log')
    writeFileSync(file, Buffer.concat(logs))
    const { stdout, stderr, status } = run(['ausearch', '-i', '-if', file])
    if (status !== 0 && !stderr.includes('<no matches>')) throw new ReaderEnded(status)
    return stdout.split('----\n').slice(1).map(ausearchEvent)
  },
})

interface Line {
  readonly type: string
  readonly node: string | undefined
  readonly date: string
  readonly serial: number
  readonly body: string
}

const INTERPRETED = /^(?:node=(\S+) )?type=(\S+) msg=audit\(([^)]*):(\d+)\) ?: ?(.*)$/s

/** Interpreted values stand without quotes: what looks like the next field ends one. */
function ausearchEvent(text: string): ReadEvent {
  const lines = text.split('\n').flatMap((line): Line[] => {
    const [, node, type, date, serial, body] = INTERPRETED.exec(line) ?? []
    if (type === undefined || date === undefined || body === undefined) return []
    return [{ type, node, date, serial: Number(serial), body }]
  })
  const bodiesOf = (type: string): string[] =>
    lines.filter((line) => line.type === type).map(({ body }) => body)
  const outer = (body: string): Fields => Object.fromEntries(fieldsOf(body.split(" msg='", 1)[0] ?? ''))
  const spoken = ['SYSCALL', 'URINGOP', 'SECCOMP'].flatMap(bodiesOf)[0] ?? lines[0]?.body ?? ''
  const speaker = outer(spoken)
  const paths = bodiesOf('PATH')
    .map(outer)
    .sort((one, other) => Number(one['item']) - Number(other['item']))
  const nameOf = ({ name }: Fields): string | undefined => (name === '(null)' ? undefined : textOf(name))
  const last = paths.map(nameOf).at(-1)
  const argv = argvOf(bodiesOf('EXECVE'))
  const [saddr] = bodiesOf('SOCKADDR')
  const ids = Object.fromEntries(['auid', 'uid'].map((name) => [name, idOf(textOf(speaker[name]))]))
  return {
    serial: lines[0]?.serial ?? Number.NaN,
    timeMs: Date.parse(`${lines[0]?.date.replace(/^(\d\d\/\d\d\/)/, '$120') ?? ''}Z`),
    types: [...new Set(lines.map(({ type }) => type))],
    shown: {
      node: lines[0]?.node,
      ...plain(
        {
          ...speaker,
          ...ids,
          exit: exitOf(textOf(speaker['exit'])),
          cwd: bodiesOf('CWD').map(outer)[0]?.['cwd'],
        },
        textOf(speaker['arch']),
        textOf(speaker['syscall']),
      ),
      success: speaker['success'] === undefined ? undefined : speaker['success'] === 'yes',
      ...argv,
      names: paths.map((path) => withoutSlash(nameOf(path))),
      file: last?.startsWith('/') === true ? last : NOT_SHOWN,
      peer: saddr === undefined ? NOT_SHOWN : ausearchPeer(saddr),
      keys: fieldsOf(spoken).flatMap(([key, value]) => (key === 'key' && value !== '(null)' ? [value] : [])),
      operation: textOf(speaker['uring_op']),
    },
  }
}

const fieldsOf = (body: string): [key: string, value: string][] =>
  body
    .trimEnd()
    .split(/ (?=[a-z_0-9-]+=)/)
    .map((field) => {
      const at = field.indexOf('=')
      return [field.slice(0, at), unescaped(field.slice(at + 1))]
    })

/** For terminals it writes other bytes than those of text as `\ooo`. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** Users that no account has. */
function idOf(name: string | undefined): number | undefined {
  if (name === 'root') return 0
  if (name === 'unset') return 4_294_967_295
  return numberOf(/^unknown\((\d+)\)$/.exec(name ?? '')?.[1])
}

const ERRORS: Readonly<Record<string, number>> = { ENOENT: 2, EINPROGRESS: 115 }

function exitOf(text: string | undefined): number | undefined {
  const error = ERRORS[/^(E[A-Z]+)\(/.exec(text ?? '')?.[1] ?? '']
  return error === undefined ? numberOf(text) : -error
}

/** Arguments with their numbers, as they stand in the records; pieces are not joined. */
function argvOf(bodies: readonly string[]): Pick<Shown, 'argv' | 'argvIncomplete'> {
  if (bodies.length === 0) return { argv: undefined, argvIncomplete: false }
  // Records are printed from the last to the first.
  const body = bodies.toReversed().join('')
  const argc = numberOf(/\bargc=(\d+)/.exec(body)?.[1])
  const argv: string[] = []
  let at = body.indexOf('a0=')
  while (at >= 0) {
    const begin = body.indexOf('=', at) + 1
    const next = body.indexOf(` a${argv.length + 1}=`, begin - 1)
    argv.push(unescaped(next < 0 ? body.slice(begin).replace(/ $/, '') : body.slice(begin, next)))
    at = next < 0 ? -1 : next + 1
  }
  const isIncomplete = argc === undefined || argv.length < argc
  const isInPieces = [...body.matchAll(/ a\d+(\[\d+\])?=/g)].length > argv.length
  return isInPieces ? { argv: NOT_SHOWN, argvIncomplete: NOT_SHOWN } : { argv, argvIncomplete: isIncomplete }
}

function ausearchPeer(body: string): string | typeof NOT_SHOWN {
  const saddr = /^saddr=(.*?) ?$/s.exec(body)?.[1] ?? ''
  if (saddr === 'unknown-family(0)') return 'none'
  const unix = /^\{ saddr_fam=local path=(.*) \}$/s.exec(saddr)?.[1]
  if (unix !== undefined) return `unix ${unescaped(unix)}`
  const [, family, address, port] = /^\{ saddr_fam=(\w+) laddr=(\S+) lport=(\d+) \}$/.exec(saddr) ?? []
  return family === undefined ? NOT_SHOWN : `${family} ${address ?? ''} ${port ?? ''}`
}
