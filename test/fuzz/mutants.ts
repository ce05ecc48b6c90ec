/** Logs as no auditd writes them: real lines, damaged. */
import type { Chance } from './chance.ts'
import type { Group } from './seeds.ts'

const NUMBERS = [
  ...[
    '0',
    '-1',
    '1',
    '00',
    '-0',
    '+1',
    '1e9',
    '0x10',
    '',
    '?',
    '(null)',
    '4294967295',
    '4294967296',
    '2147483648',
  ],
  ...[
    '9007199254740993',
    '18446744073709551615',
    '-9223372036854775809',
    '9'.repeat(40),
    '1'.repeat(400),
    'NaN',
  ],
]
const TYPES = [
  ...[
    'SYSCALL',
    'PATH',
    'CWD',
    'EXECVE',
    'SOCKADDR',
    'OBJ_PID',
    'OPENAT2',
    'PROCTITLE',
    'EOE',
    'URINGOP',
    'SECCOMP',
  ],
  ...[
    'USER_AUTH',
    'DAEMON_END',
    'CONFIG_CHANGE',
    'LOGIN',
    'AVC',
    'KERN_MODULE',
    'UNKNOWN[1334]',
    'UNKNOWN[]',
  ],
  ...['UNKNOWN[99999999999999999999]', 'syscall', '', 'X'.repeat(300)],
]
const STAMPS = [
  ...[
    '0.000:0',
    '0.000:1',
    '1.00:1',
    '1.0000:1',
    '-1.000:5',
    '1795210797.987:4294967295',
    '1795210797.987:4294967296',
  ],
  ...['9007199254740.991:7', '9007199254740992.000:7', '99999999999999999999.000:7', '8640000000001.000:7'],
  ...[
    '1795210797,987:42',
    '1795210797.987',
    '1795210797.987:',
    '.987:42',
    '1795210797.987:-3',
    '253402300799.999:42',
  ],
]
const ADDRESSES = [
  ...[
    '',
    '0',
    '00',
    '01',
    '0100',
    '010000',
    '01002F',
    '0200',
    '020001BB',
    '02000050C0000201',
    '0A00',
    '0A0001BB',
    '1000',
  ],
  ...[
    '0A0001BB00000000200104DB00000000000000000000000100000000',
    '0A0001BB0000000000000000000000000000FFFF7F000001',
  ],
  ...[
    '100000000300000001000000',
    '11000003020000000000000000000000',
    '2800000000000400FFFFFFFF',
    'FFFF00',
    '0002005011223344',
  ],
  ...[
    '01002F610A747970653D5359534341',
    `0100${'41'.repeat(108)}`,
    `0100${'41'.repeat(5000)}`,
    '01000A0A0A',
    'G0',
    '"0200"',
  ],
]
const KEYS = [
  ...[
    'a4000000000',
    'a0[99999999]',
    'a1[0]',
    'a1_len',
    'a99999',
    'a0',
    'argc',
    'item',
    'items',
    'a-1',
    'a',
    'a65535',
  ],
  ...[
    'pid',
    'ppid',
    'uid',
    'exe',
    'key',
    'subj',
    'constructor',
    '__proto__',
    'toString',
    'SADDR',
    'UID',
    'msg',
    'type',
  ],
]
const PIECES = [
  ...[
    '\0',
    '\0\0\0\0\0\0\0\0',
    '\x1d',
    '\x1d\x1d',
    '"',
    "'",
    '=',
    '==',
    ' ',
    '   ',
    '\t',
    '\r',
    '\n',
    '\r\n',
    '(null)',
    '\xff\xfe',
  ],
  ...[
    '\xc3\x28',
    '\xe2\x80\xa8',
    '\x1b[2J',
    '\x01',
    '}',
    '{',
    '):',
    ' msg=audit(1.000:1):',
    ' key=',
    "msg='",
    'node=h ',
    '%s',
    '\\',
  ],
]

/** A run of decimal digits, a value, a header: what a mutation looks for. */
const DIGITS = /\d+/g
const FIELDS = /[^ =]+=(?:"[^"]*"|[^ ]*)/g
const HEX = /=((?:[0-9A-F]{2}){2,})(?= |$)/g
const HEADER = /msg=audit\([^)]*\)/

type Mutation = (line: string, chance: Chance, others: readonly Group[]) => string

const replaced = (line: string, from: number, count: number, by: string): string =>
  line.slice(0, from) + by + line.slice(from + count)

/** Replaces one of the places that the pattern finds; the line as it is when there is none. */
function atOne(pattern: RegExp, line: string, chance: Chance, change: (found: string) => string): string {
  const found = [...line.matchAll(pattern)]
  if (found.length === 0) return line
  const { index, 0: text } = chance.pick(found)
  return replaced(line, index, text.length, change(text))
}

const span = (line: string, chance: Chance): { at: number; length: number } => ({
  at: chance.below(line.length + 1),
  length: 1 + chance.below(chance.oneIn(3) ? 40 : 3),
})

/** What happens to a line, with how often it does relative to the others. */
const MUTATIONS: readonly (readonly [weight: number, mutation: Mutation])[] = [
  [
    8,
    (line, chance) => {
      const at = chance.below(line.length + 1)
      return replaced(line, at, 1, String.fromCharCode((line.charCodeAt(at) || 0) ^ (1 << chance.below(8))))
    },
  ],
  [
    4,
    (line, chance) =>
      replaced(line, chance.below(line.length + 1), 1, String.fromCharCode(chance.below(256))),
  ],
  [4, (line, chance) => replaced(line, chance.below(line.length + 1), 0, chance.pick(PIECES))],
  [
    4,
    (line, chance) => {
      const { at, length } = span(line, chance)
      return replaced(line, at, length, '')
    },
  ],
  [
    4,
    (line, chance) => {
      const { at, length } = span(line, chance)
      return replaced(line, at, 0, line.slice(at, at + length))
    },
  ],
  [3, (line, chance) => line.slice(0, chance.below(line.length + 1))],
  [1, (line, chance) => line.slice(chance.below(line.length + 1))],
  [
    4,
    (line, chance, others) => {
      const other = chance.pick(chance.pick(others))
      return line.slice(0, chance.below(line.length + 1)) + other.slice(chance.below(other.length + 1))
    },
  ],
  [10, (line, chance) => atOne(DIGITS, line, chance, () => chance.pick(NUMBERS))],
  [
    6,
    (line, chance) => atOne(DIGITS, line, chance, (digits) => String(Number(digits) + chance.below(21) - 10)),
  ],
  [6, (line, chance) => atOne(FIELDS, line, chance, (field) => `${field} ${field}`)],
  [6, (line, chance) => atOne(FIELDS, line, chance, () => '')],
  [
    4,
    (line, chance, others) => {
      const other = chance.pick(chance.pick(others))
      const field = chance.pick(other.match(FIELDS) ?? [''])
      return atOne(FIELDS, line, chance, (own) => `${field} ${own}`)
    },
  ],
  [
    4,
    (line, chance) =>
      atOne(FIELDS, line, chance, (field) => `${chance.pick(KEYS)}=${field.slice(field.indexOf('=') + 1)}`),
  ],
  [4, (line, chance) => `${line} ${chance.pick(KEYS)}=${chance.pick(NUMBERS)}`],
  [
    4,
    (line, chance) =>
      atOne(/"[^"]*"/g, line, chance, (text) =>
        chance.oneIn(2)
          ? text.slice(0, -1)
          : Buffer.from(text.slice(1, -1), 'latin1').toString('hex').toUpperCase(),
      ),
  ],
  [
    4,
    (line, chance) =>
      atOne(HEX, line, chance, (text) =>
        chance.oneIn(3)
          ? text.slice(0, -1)
          : `=${Buffer.from(Array.from({ length: 1 + chance.below(12) }, () => chance.below(256)))
              .toString('hex')
              .toUpperCase()}`,
      ),
  ],
  [4, (line, chance) => line.replace(/saddr=[0-9A-F]*/, () => `saddr=${chance.pick(ADDRESSES)}`)],
  [3, (line, chance) => line.replace(/type=\S+/, () => `type=${chance.pick(TYPES)}`)],
  [3, (line, chance) => line.replace(HEADER, () => `msg=audit(${chance.pick(STAMPS)})`)],
  [4, (line, chance) => line.replace(/syscall=\d+/, () => `syscall=${chance.below(600)}`)],
  [3, (line, chance) => line.replace(/uring_op=\d+/, () => `uring_op=${chance.below(70)}`)],
  [
    2,
    (line, chance) =>
      line.replace(
        /arch=\w+/,
        () =>
          `arch=${chance.pick(['c000003e', '40000003', 'c00000b7', '40000028', '80000016', 'ffffffff', '0', 'x'])}`,
      ),
  ],
  [2, (line) => line.replace(/success=\w+ exit=\S+ /, '')],
  [
    2,
    (line, chance) =>
      line.startsWith('node=')
        ? line.replace(/^\S* /, '')
        : `node=${chance.pick(['a', 'b', '', '\xff', 'h=x'])} ${line}`,
  ],
  [2, (line, chance) => chance.pick(['\0', '\r', '\t', ' ']).repeat(1 + chance.below(600)) + line],
  [2, (line) => `${line}\r`],
  [1, (line) => line.replaceAll('\x1d', '')],
]

const PLACES = MUTATIONS.flatMap(([weight, mutation]) => Array.from({ length: weight }, () => mutation))

/** Lines about as long as the longest that is read, and far longer. */
const LENGTHS = [65_535, 65_536, 65_537, 200_000]
/** One line in so many is stretched to one of these lengths. */
const STRETCHED = 2000

export function mutated(line: string, chance: Chance, others: readonly Group[]): string {
  let text = line
  for (let count = 1 + chance.below(3); count > 0; count--) text = chance.pick(PLACES)(text, chance, others)
  if (chance.oneIn(STRETCHED))
    text = text.padEnd(chance.pick(LENGTHS), chance.pick(['A', '\0', ' a0="x"', '"', '\x1d', '41']))
  return text
}

export interface Mutants {
  /** The log, every line with its newline. */
  readonly bytes: Buffer
  /** Lines that were damaged. */
  readonly mutants: number
}

/** A log that goes on: stamps and serials rise from one part of it to the next. */
export class MutantLog {
  private serial = 1000
  timeMs = 1_795_210_797_987
  private readonly chance: Chance
  private readonly kinds: readonly (readonly Group[])[]
  private readonly groups: readonly Group[]

  /** @param kinds of each as many as of any other, however few it has */
  constructor(chance: Chance, kinds: readonly (readonly Group[])[]) {
    this.chance = chance
    this.kinds = kinds
    this.groups = kinds.flat()
  }

  /** The next part, with about `count` damaged lines. */
  next(count: number): Mutants {
    const { chance } = this
    const lines: string[] = []
    let mutants = 0
    while (mutants < count) {
      for (const line of this.disordered(this.stamped(chance.pick(chance.pick(this.kinds))))) {
        const isMutant = !chance.oneIn(4)
        if (isMutant) mutants++
        const text = isMutant ? mutated(line, chance, this.groups) : line
        // Among the lines of events before it.
        const place = chance.oneIn(10) ? Math.max(0, lines.length - chance.below(100)) : lines.length
        lines.splice(place, 0, text)
      }
    }
    return { bytes: Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1'), mutants }
  }

  /** As events of a log that goes on; some with the id of the one before, or with their own from long ago. */
  private stamped(group: Group): string[] {
    const { chance } = this
    if (chance.oneIn(20)) return [...group]
    if (!chance.oneIn(20)) this.serial += chance.oneIn(50) ? chance.below(3000) : 1
    this.timeMs += chance.oneIn(100) ? chance.below(120_000) : chance.below(20)
    const seconds = Math.floor(this.timeMs / 1000)
    const stamp = `msg=audit(${seconds}.${String(this.timeMs % 1000).padStart(3, '0')}:${this.serial >>> 0})`
    return group.map((line) => line.replace(HEADER, stamp))
  }

  private disordered(lines: string[]): string[] {
    const { chance } = this
    switch (chance.below(12)) {
      case 0:
        return lines
          .map((line) => ({ line, key: chance.next() }))
          .sort((a, b) => a.key - b.key)
          .map(({ line }) => line)
      case 1:
        return lines.filter(() => !chance.oneIn(4))
      case 2:
        return lines.flatMap((line) => (chance.oneIn(4) ? [line, line] : [line]))
      case 3:
        return [...lines, ...lines]
      default:
        return lines
    }
  }
}
