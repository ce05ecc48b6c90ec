/** Names for a host with as many edges as one likes, and a log in which it meets few of them twice. */
import { X86_64, line, path, syscall } from '../test/support/log.ts'

const WORDS = (
  'account archive asset audit backup batch cache catalog client config count daily detail event export feed ' +
  'image import index invoice ledger letter mail metric order page photo report session stock ticket user'
).split(' ')
const BITS_OF_WORD = 5
const MOST_NAMES = 2 ** (5 * BITS_OF_WORD)
const PROCESSES = 500
const FIRST_PID = 1000
const START_MS = 1_795_000_000_000

export type Stranger =
  | { readonly kind: 'create' | 'write'; readonly process: number; readonly file: number }
  | { readonly kind: 'connect'; readonly process: number; readonly host: number }

/** Edge `number` of the host: each with a file or a host of its own, the processes in turns. */
export function edgeOf(number: number): Stranger {
  const process = number % PROCESSES
  const kind = (['create', 'create', 'write', 'write', 'connect'] as const)[
    Math.floor(number / PROCESSES) % 5
  ]
  return kind === 'connect' || kind === undefined
    ? { kind: 'connect', process, host: number }
    : { kind, process, file: number }
}

/** The same by another process: both nodes are known, the edge is not. */
export const byAnother = (edge: Stranger, distance: number): Stranger => ({
  ...edge,
  process: (edge.process + distance) % PROCESSES,
})

/** An edge to a file that no edge with a number below MOST_NAMES / 2 has. */
export const unheardOf = (number: number): Stranger => ({
  kind: 'create',
  process: number % PROCESSES,
  file: MOST_NAMES / 2 + number,
})

/** A line of `fullmon baseline export`. */
export const exported = (edge: Stranger): string =>
  JSON.stringify({
    kind: 'edge',
    edge: { kind: edge.kind, from: `proc::root:${exeOf(edge.process)}`, to: targetOf(edge) },
    ...{ firstMs: START_MS, lastMs: START_MS, sightings: 1, days: 1 },
  })

/** The records of an event in which it happens. @param serial also its millisecond */
export function eventOf(edge: Stranger, serial: number): string {
  const stamp = { timeMs: START_MS + serial }
  const doer = { pid: FIRST_PID + edge.process, uid: 0, euid: 0, exe: `"${exeOf(edge.process)}"` }
  const user = '\u001dARCH=x86_64 UID="root"'
  const records =
    edge.kind === 'connect'
      ? [
          line('SYSCALL', serial, syscall('connect', { arch: X86_64, ...doer }) + user, stamp),
          line('SOCKADDR', serial, `saddr=${saddrOf(edge.host)}`, stamp),
        ]
      : [
          line('SYSCALL', serial, syscall('openat', { ...doer, a2: '241', items: 2, exit: 3 }) + user, stamp),
          line('CWD', serial, 'cwd="/"', stamp),
          line('PATH', serial, path(0, directoryOf(edge.file), inodeOfDirectory(edge.file), 'PARENT'), stamp),
          line(
            'PATH',
            serial,
            path(1, fileOf(edge.file), 1e6 + edge.file, edge.kind === 'create' ? 'CREATE' : 'NORMAL'),
            stamp,
          ),
        ]
  return [...records, line('PROCTITLE', serial, 'proctitle="x"', stamp)].join('')
}

/** Line of an export: the baseline is trained. */
export const TRAINED = JSON.stringify({
  ...{ kind: 'training', fromMs: START_MS - 1, toMs: START_MS, plannedMs: null, finished: true },
})

function targetOf(edge: Stranger): string {
  if (edge.kind !== 'connect') return `file:${edge.kind}:${fileOf(edge.file)}`
  return `host:${addressOf(edge.host).join('.')}:${portOf(edge.host)}`
}

/** Numbers that follow each other have names that do not: an odd factor turns all of them around. */
const scattered = (number: number): number => Math.imul(number, 0x9e3779b1) & (MOST_NAMES - 1)

const wordAt = (number: number, place: number): string =>
  WORDS[(number >> (place * BITS_OF_WORD)) & (WORDS.length - 1)] ?? ''

const exeOf = (process: number): string => {
  const at = scattered(process)
  return `/usr/lib/${wordAt(at, 0)}/${wordAt(at, 1)}-${wordAt(at, 2)}-${wordAt(at, 3)}`
}

const directoryOf = (file: number): string => {
  const at = scattered(file)
  return `/srv/${wordAt(at, 0)}/${wordAt(at, 1)}/`
}

const inodeOfDirectory = (file: number): number => 1000 + (scattered(file) & (WORDS.length ** 2 - 1))

const fileOf = (file: number): string => {
  const at = scattered(file)
  return `${directoryOf(file)}${wordAt(at, 2)}-${wordAt(at, 3)}-${wordAt(at, 4)}.json`
}

const addressOf = (host: number): number[] => {
  const at = scattered(host)
  return [10, (at >> 16) & 255, (at >> 8) & 255, at & 255]
}

const portOf = (host: number): number => 1024 + (scattered(host) >> 24)

/** struct sockaddr_in, ip(7). */
function saddrOf(host: number): string {
  const saddr = Buffer.alloc(16)
  saddr.writeUInt16LE(2)
  saddr.writeUInt16BE(portOf(host), 2)
  Buffer.from(addressOf(host)).copy(saddr, 4)
  return saddr.toString('hex').toUpperCase()
}
