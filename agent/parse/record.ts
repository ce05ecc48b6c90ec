import type {
  ArgumentPiece,
  AuditRecord,
  CwdRecord,
  EventId,
  ExecveRecord,
  NameType,
  ObjPidRecord,
  Openat2Record,
  OtherRecord,
  PathRecord,
  SockaddrRecord,
  SyscallRecord,
} from '../domain/record.ts'
import { CR, decimalAt, EQUALS, GS, hexLow32At, QUOTE, signedAt, SPACE, standsAt, TAB } from './bytes.ts'
import { findFields, Layout } from './fields.ts'
import { TextReader } from './text.ts'

// Every field the kernel writes stands in the layout, in its order, read or not: a line in the usual order then costs
// one comparison a field. `per` and `subj` come and go; the capitals are auditd's, in ENRICHED format.
const SYSCALL = new Layout([
  ...[
    'arch',
    'syscall',
    'per',
    'success',
    'exit',
    'a0',
    'a1',
    'a2',
    'a3',
    'items',
    'ppid',
    'pid',
    'auid',
    'uid',
  ],
  ...['gid', 'euid', 'suid', 'fsuid', 'egid', 'sgid', 'fsgid', 'tty', 'ses', 'comm', 'exe', 'subj', 'key'],
  ...['ARCH', 'SYSCALL', 'AUID', 'UID'],
])
const PATH = new Layout(['item', 'name', 'inode', 'dev', 'mode', 'ouid', 'ogid', 'rdev', 'obj', 'nametype'])
const CWD = new Layout(['cwd'])
const SOCKADDR = new Layout(['saddr'])
const OBJ_PID = new Layout(['opid', 'oauid', 'ouid', 'oses', 'obj', 'ocomm'])
const OPENAT2 = new Layout(['oflag'])

const MOST_FIELDS = 31
/** auditd writes the number where it has no name. Anything else is two lines torn into one. */
const TYPE_NAME = /^(?:[A-Z0-9_]+|UNKNOWN\[\d+\])$/
/** Other records whose bodies mean something to the graph. */
const BODIES: ReadonlySet<string> = new Set(['URINGOP'])
const KEY_SEPARATOR = '\u0001'
/** A longer value of argc or of an index is not believed: real lists end far below (MAX_ARG_STRINGS aside). */
const MOST_ARGUMENTS = 65_536

/**
 * Reads lines of an auditd log, one at a time, straight from the bytes.
 *
 * Reading has no side effect but the caches of texts and of the last event id, so the same bytes give the same record.
 */
export class RecordReader {
  private readonly texts = new TextReader()
  private readonly spans = new Int32Array(MOST_FIELDS * 2)
  private readonly header = { typeStart: 0, typeEnd: 0, body: 0 }
  private id: EventId = { node: '', timeMs: -1, serial: -1 }
  private bytes: Buffer = Buffer.alloc(0)
  private readonly keepsBodies: boolean

  /** @param keepsBodies whether every record without a reading of its own carries its body, for those who show events */
  constructor(keepsBodies = false) {
    this.keepsBodies = keepsBodies
  }

  /**
   * The record on the line `[start, end)`, without its newline. Undefined when the line has no header of a record.
   * A body that cannot be read leaves fields at their empty values and never throws.
   */
  read(bytes: Buffer, start: number, end: number): AuditRecord | undefined {
    const lineEnd = bytes[end - 1] === CR ? end - 1 : end
    this.bytes = bytes
    if (!this.readHeader(start, lineEnd)) return undefined
    const { typeStart, typeEnd, body } = this.header
    switch (typeEnd - typeStart) {
      case 3:
        if (standsAt(bytes, typeStart, 'CWD')) return this.readCwd(body, lineEnd)
        break
      case 4:
        if (standsAt(bytes, typeStart, 'PATH')) return this.readPath(body, lineEnd)
        break
      case 6:
        if (standsAt(bytes, typeStart, 'EXECVE')) return this.readExecve(body, lineEnd)
        break
      case 7:
        if (standsAt(bytes, typeStart, 'SYSCALL')) return this.readSyscall(body, lineEnd)
        if (standsAt(bytes, typeStart, 'OBJ_PID')) return this.readObjPid(body, lineEnd)
        if (standsAt(bytes, typeStart, 'OPENAT2')) return this.readOpenat2(body, lineEnd)
        break
      case 8:
        if (standsAt(bytes, typeStart, 'SOCKADDR')) return this.readSockaddr(body, lineEnd)
        break
    }
    const name = this.texts.latin1(bytes, typeStart, typeEnd)
    return TYPE_NAME.test(name) ? this.other(name, body, lineEnd) : undefined
  }

  private other(name: string, body: number, end: number): OtherRecord {
    const isWanted = this.keepsBodies || BODIES.has(name)
    const text = isWanted ? this.bytes.toString('latin1', this.skipSpaces(body, end), end) : undefined
    return { type: 'OTHER', id: this.id, name, body: text }
  }

  /** `[node=NODE ]type=TYPE msg=audit(SECONDS.MILLIS:SERIAL): `. auditd and the kernel wrote it, no process did. */
  private readHeader(start: number, end: number): boolean {
    const { bytes, header } = this
    let at = start
    let node = ''
    if (standsAt(bytes, at, 'node=')) {
      const nodeEnd = bytes.indexOf(SPACE, at)
      if (nodeEnd < 0 || nodeEnd >= end) return false
      node = this.texts.latin1(bytes, at + 5, nodeEnd)
      at = nodeEnd + 1
    }
    if (!standsAt(bytes, at, 'type=')) return false
    header.typeStart = at + 5
    at = header.typeStart
    while (at < end && bytes[at] !== SPACE) at++
    header.typeEnd = at
    if (at === header.typeStart || !standsAt(bytes, at, ' msg=audit(')) return false
    const secondsAt = at + 11
    at = skipDigits(bytes, secondsAt, end)
    const seconds = decimalAt(bytes, secondsAt, at)
    if (bytes[at] !== 0x2e || skipDigits(bytes, at + 1, end) !== at + 4) return false
    const timeMs = seconds * 1000 + decimalAt(bytes, at + 1, at + 4)
    if (seconds < 0 || bytes[at + 4] !== 0x3a) return false
    const serialAt = at + 5
    at = skipDigits(bytes, serialAt, end)
    const serial = decimalAt(bytes, serialAt, at)
    if (serial < 0 || serial > 0xffffffff || timeMs > Number.MAX_SAFE_INTEGER) return false
    if (bytes[at] !== 0x29 || bytes[at + 1] !== 0x3a || at + 1 >= end) return false
    header.body = at + 2
    const last = this.id
    // Records of one event share one id object, which makes joining them cheap.
    if (last.serial !== serial || last.timeMs !== timeMs || last.node !== node)
      this.id = { node, timeMs, serial }
    return true
  }

  private readSyscall(body: number, end: number): SyscallRecord {
    findFields(this.bytes, this.skipSpaces(body, end), end, SYSCALL, this.spans)
    return {
      type: 'SYSCALL',
      id: this.id,
      arch: this.hex(ARCH) >>> 0,
      syscall: this.decimal(SYSCALL_NUMBER),
      success: this.yesOrNo(SUCCESS),
      exit: this.signed(EXIT),
      a0: this.hex(A0),
      a1: this.hex(A0 + 1),
      a2: this.hex(A0 + 2),
      a3: this.hex(A0 + 3),
      items: Math.max(0, this.decimal(ITEMS)),
      ppid: this.decimal(PPID),
      pid: this.decimal(PID),
      auid: this.decimal(AUID),
      uid: this.decimal(UID),
      euid: this.decimal(EUID),
      comm: this.untrusted(COMM) ?? '',
      exe: this.untrusted(EXE),
      keys: this.keys(),
      user: this.user(),
    }
  }

  private readPath(body: number, end: number): PathRecord {
    findFields(this.bytes, this.skipSpaces(body, end), end, PATH, this.spans)
    return {
      type: 'PATH',
      id: this.id,
      item: this.decimal(ITEM),
      name: this.untrusted(NAME),
      inode: Math.max(0, this.decimal(INODE)),
      dev: this.raw(DEV),
      nameType: nameTypeOf(this.raw(NAMETYPE)),
    }
  }

  private readCwd(body: number, end: number): CwdRecord | OtherRecord {
    findFields(this.bytes, this.skipSpaces(body, end), end, CWD, this.spans)
    const cwd = this.untrusted(0)
    return cwd === undefined ? this.other('CWD', body, end) : { type: 'CWD', id: this.id, cwd }
  }

  private readSockaddr(body: number, end: number): SockaddrRecord {
    findFields(this.bytes, this.skipSpaces(body, end), end, SOCKADDR, this.spans)
    return { type: 'SOCKADDR', id: this.id, saddr: this.raw(0) }
  }

  private readObjPid(body: number, end: number): ObjPidRecord {
    findFields(this.bytes, this.skipSpaces(body, end), end, OBJ_PID, this.spans)
    return {
      type: 'OBJ_PID',
      id: this.id,
      pid: this.decimal(OPID),
      uid: this.decimal(OUID),
      comm: this.untrusted(OCOMM) ?? '',
    }
  }

  /** `oflag=0100101`, octal as the kernel writes it. */
  private readOpenat2(body: number, end: number): Openat2Record {
    findFields(this.bytes, this.skipSpaces(body, end), end, OPENAT2, this.spans)
    const text = this.raw(0)
    const flags = text.startsWith('0x') ? Number.parseInt(text, 16) : Number.parseInt(text, 8)
    return { type: 'OPENAT2', id: this.id, flags: Number.isNaN(flags) ? 0 : flags }
  }

  /** `argc=3 a0="ls" a1_len=9000 a1[0]=6162… a1[1]=6364… a2=""`; continuation records have no argc. */
  private readExecve(body: number, end: number): ExecveRecord {
    const { bytes } = this
    let argc: number | undefined
    const pieces: ArgumentPiece[] = []
    let at = this.skipSpaces(body, end)
    while (at < end && bytes[at] !== GS) {
      const equals = bytes.indexOf(EQUALS, at)
      if (equals < 0 || equals >= end) break
      const valueStart = equals + 1
      const isQuoted = bytes[valueStart] === QUOTE
      const valueEnd = isQuoted ? endAt(bytes, QUOTE, valueStart + 1, end) : endOfWord(bytes, valueStart, end)
      if (standsAt(bytes, at, 'argc=')) argc = decimalAt(bytes, valueStart, valueEnd)
      else {
        const key = argumentKey(bytes, at, equals)
        if (key !== undefined) {
          const text = bytes.toString('latin1', isQuoted ? valueStart + 1 : valueStart, valueEnd)
          pieces.push({ index: key.index, fragment: key.fragment, text, isHex: !isQuoted })
        }
      }
      at = this.skipSpaces(isQuoted ? valueEnd + 1 : valueEnd, end)
    }
    return { type: 'EXECVE', id: this.id, argc, pieces }
  }

  private skipSpaces(from: number, end: number): number {
    let at = from
    while (at < end && (this.bytes[at] === SPACE || this.bytes[at] === TAB)) at++
    return at
  }

  private start(index: number): number {
    return this.spans[index * 2] ?? -1
  }

  private end(index: number): number {
    return this.spans[index * 2 + 1] ?? -1
  }

  private decimal(index: number): number {
    const start = this.start(index)
    return start < 0 ? -1 : decimalAt(this.bytes, start, this.end(index))
  }

  private signed(index: number): number {
    const start = this.start(index)
    return start < 0 ? 0 : signedAt(this.bytes, start, this.end(index))
  }

  private hex(index: number): number {
    const start = this.start(index)
    return start < 0 ? 0 : hexLow32At(this.bytes, start, this.end(index))
  }

  private raw(index: number): string {
    const start = this.start(index)
    return start < 0 ? '' : this.texts.latin1(this.bytes, start, this.end(index))
  }

  private untrusted(index: number): string | undefined {
    const start = this.start(index)
    return start < 0 ? undefined : this.texts.untrusted(this.bytes, start, this.end(index))
  }

  private yesOrNo(index: number): boolean | undefined {
    const start = this.start(index)
    return start < 0 ? undefined : this.bytes[start] === 0x79
  }

  private keys(): readonly string[] {
    const text = this.untrusted(KEY)
    return text === undefined || text === '' ? NO_KEYS : keysOf(text)
  }

  /** `UID="www-data"`; auditd writes `unset` and `unknown(4242)` where there is no name. */
  private user(): string | undefined {
    const name = this.untrusted(USER)
    return name === undefined || name === '' || name === 'unset' || name.startsWith('unknown(')
      ? undefined
      : name
  }
}

const ARCH = SYSCALL.indexOf('arch')
const SYSCALL_NUMBER = SYSCALL.indexOf('syscall')
const SUCCESS = SYSCALL.indexOf('success')
const EXIT = SYSCALL.indexOf('exit')
const A0 = SYSCALL.indexOf('a0')
const ITEMS = SYSCALL.indexOf('items')
const PPID = SYSCALL.indexOf('ppid')
const PID = SYSCALL.indexOf('pid')
const AUID = SYSCALL.indexOf('auid')
const UID = SYSCALL.indexOf('uid')
const EUID = SYSCALL.indexOf('euid')
const COMM = SYSCALL.indexOf('comm')
const EXE = SYSCALL.indexOf('exe')
const KEY = SYSCALL.indexOf('key')
const USER = SYSCALL.indexOf('UID')
const ITEM = PATH.indexOf('item')
const NAME = PATH.indexOf('name')
const INODE = PATH.indexOf('inode')
const DEV = PATH.indexOf('dev')
const NAMETYPE = PATH.indexOf('nametype')
const OPID = OBJ_PID.indexOf('opid')
const OUID = OBJ_PID.indexOf('ouid')
const OCOMM = OBJ_PID.indexOf('ocomm')

const NO_KEYS: readonly string[] = []

/** Several keys of one rule are joined with 0x01. */
const keysOf = (text: string): readonly string[] =>
  text.includes(KEY_SEPARATOR) ? text.split(KEY_SEPARATOR) : [text]

const NAME_TYPES: ReadonlyMap<string, NameType> = new Map(
  (['NORMAL', 'PARENT', 'CREATE', 'DELETE', 'UNKNOWN'] as const).map((name) => [name, name]),
)
const nameTypeOf = (text: string): NameType | undefined => NAME_TYPES.get(text)

function skipDigits(bytes: Buffer, from: number, end: number): number {
  let at = from
  while (at < end) {
    const byte = bytes[at] ?? 0
    if (byte < 0x30 || byte > 0x39) break
    at++
  }
  return at
}

function endOfWord(bytes: Buffer, from: number, end: number): number {
  let at = from
  while (at < end && bytes[at] !== SPACE && bytes[at] !== GS) at++
  return at
}

function endAt(bytes: Buffer, byte: number, from: number, end: number): number {
  const at = bytes.indexOf(byte, from)
  return at < 0 || at > end ? end : at
}

/** `a3` or `a3[1]`; undefined for `a3_len`, for other words, and for numbers that no list of arguments reaches. */
function argumentKey(
  bytes: Buffer,
  at: number,
  equals: number,
): { index: number; fragment: number } | undefined {
  if (bytes[at] !== 0x61) return undefined
  const indexEnd = skipDigits(bytes, at + 1, equals)
  const index = decimalAt(bytes, at + 1, indexEnd)
  if (index < 0 || index >= MOST_ARGUMENTS) return undefined
  if (indexEnd === equals) return { index, fragment: 0 }
  if (bytes[indexEnd] !== 0x5b || bytes[equals - 1] !== 0x5d) return undefined
  const fragment = decimalAt(bytes, indexEnd + 1, equals - 1)
  return fragment < 0 || fragment >= MOST_ARGUMENTS ? undefined : { index, fragment }
}
