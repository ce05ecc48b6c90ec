import type {
  ArgumentLength,
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
import {
  CLOSING,
  COLON,
  CR,
  decimalAt,
  EQUALS,
  GS,
  hexDigit,
  LETTER_Y,
  MINUS,
  octalAt,
  POINT,
  QUOTE,
  SPACE,
  standsAt,
  TAB,
  Word,
  ZERO,
} from './bytes.ts'
import { findFields, Layout } from './fields.ts'
import { holdsNewline } from './forged.ts'
import { Memo } from './memo.ts'
import { TextReader } from './text.ts'

// Every field the kernel writes stands in the layouts, in its order, read or not: a line in the usual order then costs one
// comparison a field. `per` and `subj` come and go; the capitals are auditd's, in ENRICHED format.
/** What changes with every call; with the field that ends a search for those that moved. */
const CALL = new Layout([
  ...(['arch', 'syscall', 'per', 'success', 'exit'] as const),
  ...(['a0', 'a1', 'a2', 'a3', 'items', 'ppid', 'pid', 'key'] as const),
])
/** What stays the same while a process runs one program, and so is mostly known from an earlier line. */
const TASK = new Layout([
  ...(['auid', 'uid', 'gid', 'euid', 'suid', 'fsuid', 'egid', 'sgid', 'fsgid'] as const),
  ...(['tty', 'ses', 'comm', 'exe', 'subj', 'key', 'ARCH', 'SYSCALL', 'AUID', 'UID'] as const),
])
const PATH = new Layout([
  ...(['item', 'name', 'inode', 'dev', 'mode', 'ouid', 'ogid', 'rdev', 'obj'] as const),
  // RHEL 7 calls the last one objtype.
  ...(['objtype', 'nametype'] as const),
])
const CWD = new Layout(['cwd'])
const SOCKADDR = new Layout(['saddr'])
const OBJ_PID = new Layout(['opid', 'oauid', 'ouid', 'oses', 'obj', 'ocomm'])
const OPENAT2 = new Layout(['oflag'])

const MOST_FIELDS = 31
/** `node=` and the name of a machine, which has 255 characters at most in the DNS, and 64 as the name of a host. */
const LONGEST_NODE = 'node='.length + 255
/** auditd writes the number where it has no name. Anything else is two lines torn into one. */
const TYPE_NAME = /^(?:[A-Z0-9_]+|UNKNOWN\[\d+\])$/
/** Other records whose bodies mean something: to the graph, or as signs of tampering. */
const BODIES: ReadonlySet<string> = new Set([
  ...['URINGOP', 'ANOM_ABEND', 'USER_AUTH', 'USER_ACCT', 'USER_CMD', 'USER_ERR'],
  ...['CONFIG_CHANGE', 'FEATURE_CHANGE', 'EVENT_LISTENER', 'SERVICE_STOP', 'SYSTEM_SHUTDOWN'],
  ...['DAEMON_START', 'DAEMON_END', 'DAEMON_ABORT', 'DAEMON_CONFIG', 'DAEMON_RESUME', 'DAEMON_ERR'],
])
const KEY_SEPARATOR = '\u0001'
/** A longer value of argc or of an index is not believed: real lists end far below (MAX_ARG_STRINGS aside). */
const MOST_ARGUMENTS = 65_536
/** Stands in every record, and behind its type. */
export const STAMP_BYTES = Buffer.from(' msg=audit(')
const NO_TEAR = -1
const WORDS_OF_USER_SPACE = Buffer.from("msg='")
/** ` proctitle=` and 128 bytes in hex (kernel/auditsc.c, MAX_PROCTITLE_AUDIT_LEN): shorter ones are not looked through. */
const LONGEST_TITLE = 270
const SHORTEST_HEADER = 'type=X msg=audit(0.000:0):'.length

const TYPE = new Word('type=')
const STAMP = new Word(' msg=audit(')
const ARCH_KEY = new Word('arch=')
const SYSCALL_KEY = new Word(' syscall=')
const PER_KEY = new Word(' per=')
const SUCCESS_KEY = new Word(' success=')
const EXIT_KEY = new Word(' exit=')
const A0_KEY = new Word(' a0=')
const A1_KEY = new Word(' a1=')
const A2_KEY = new Word(' a2=')
const A3_KEY = new Word(' a3=')
const ITEMS_KEY = new Word(' items=')
const PPID_KEY = new Word(' ppid=')
const PID_KEY = new Word(' pid=')

/** The part of a SYSCALL record that `TASK` reads. */
type TaskFields = Pick<SyscallRecord, 'auid' | 'uid' | 'euid' | 'comm' | 'exe' | 'keys' | 'user'>

/**
 * Reads lines of an auditd log, one at a time, straight from the bytes.
 *
 * A host says the same again and again: the same program opens the same file as the same user. So before a body is taken
 * apart it is looked up among those that were; of a SYSCALL record this is everything behind the pid. Reading has no side
 * effect but these caches and the id, so the same bytes give the same record.
 */
export class RecordReader {
  /**
   * Where in the line read last a second record begins, because a newline was lost or a line was torn off in the middle;
   * -1 when there is none.
   */
  tear = NO_TEAR
  /** Id of the line read last. Lines of one event that stand together share one object, which makes joining them cheap. */
  id: EventId = { node: '', timeMs: -1, serial: -1 }
  private readonly texts = new TextReader()
  private readonly tasks = new Memo<TaskFields>(1024, 768)
  private readonly paths = new Memo<PathRecord>(4096, 384)
  private readonly cwds = new Memo<CwdRecord>(512, 256)
  private readonly sockaddrs = new Memo<SockaddrRecord>(2048, 384)
  private readonly execves = new Memo<ExecveRecord>(512, 512)
  private readonly spans = new Int32Array(MOST_FIELDS * 2)
  /** The stamp of the line read last, as it stood there. */
  private readonly stamp = new DataView(new ArrayBuffer(64))
  private stampBytes = 0
  private typeStart = 0
  private typeEnd = 0
  private body = 0
  private cursor = 0
  private bytes: Buffer = Buffer.alloc(0)
  private words = new DataView(this.bytes.buffer)
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
    if (bytes !== this.bytes) {
      this.bytes = bytes
      this.words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    }
    const lineEnd = bytes[end - 1] === CR ? end - 1 : end
    if (!this.readHeader(start, lineEnd)) return undefined
    const { typeStart, typeEnd, body } = this
    this.tear = NO_TEAR
    switch (typeEnd - typeStart) {
      case 3:
        if (standsAt(bytes, typeStart, 'CWD')) return this.readCwd(body, lineEnd)
        if (standsAt(bytes, typeStart, 'EOE')) {
          this.untorn(body, lineEnd)
          return END_OF_EVENT
        }
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
      case 9:
        if (!this.keepsBodies && standsAt(bytes, typeStart, 'PROCTITLE')) {
          if (lineEnd - body > LONGEST_TITLE) this.untorn(body, lineEnd)
          return PROCTITLE
        }
        break
    }
    const name = this.texts.latin1(bytes, typeStart, typeEnd)
    return TYPE_NAME.test(name) ? this.other(name, body, lineEnd) : undefined
  }

  /**
   * Where the record ends: at the end of the line, or where a second record begins in it. The kernel writes no space between
   * quotes, so that no process can play one. What auditd adds behind an address may hold anything and is no evidence.
   */
  private untorn(start: number, end: number, isAddress = false): number {
    const { bytes } = this
    const second = bytes.indexOf(STAMP_BYTES, start)
    if (second < 0 || second >= end) return end
    const suffix = isAddress ? bytes.indexOf(GS, start) : -1
    const tear = bytes.lastIndexOf('type=', second)
    if (tear < start || (suffix >= 0 && suffix < second)) return end
    this.tear = tear
    return tear
  }

  /** Keeps what was read, unless the line says more than that. */
  private kept<T>(memo: Memo<T>, start: number, end: number, value: T): T {
    return this.tear >= 0 ? value : memo.keep(this.words, start, end, value)
  }

  private other(name: string, body: number, end: number): OtherRecord {
    if (name !== 'PROCTITLE' || end - body > LONGEST_TITLE) this.untorn(body, end)
    // What user space says may look like anything. Asked last: a search for what is not there goes to the end of the chunk.
    if (this.tear >= 0 && this.bytes.subarray(body, end).includes(WORDS_OF_USER_SPACE)) this.tear = NO_TEAR
    const isWanted = this.keepsBodies || BODIES.has(name)
    const last = this.tear >= 0 ? this.tear : end
    const text = isWanted ? this.bytes.toString('latin1', this.skipSpaces(body, last), last) : undefined
    return { type: 'OTHER', name, body: text }
  }

  /** `[node=NODE ]type=TYPE msg=audit(SECONDS.MILLIS:SERIAL):`. auditd and the kernel wrote it, no process did. */
  private readHeader(start: number, end: number): boolean {
    const { bytes, words } = this
    if (end - start < SHORTEST_HEADER) return false
    let at = start
    let node = ''
    if (!TYPE.standsAt(words, at)) {
      if (!standsAt(bytes, at, 'node=')) return false
      const nodeEnd = bytes.indexOf(SPACE, at)
      if (nodeEnd < 0 || nodeEnd >= end || nodeEnd - at > LONGEST_NODE) return false
      if (!TYPE.standsAt(words, nodeEnd + 1)) return false
      node = this.texts.latin1(bytes, at + 5, nodeEnd)
      at = nodeEnd + 1
    }
    this.typeStart = at + 5
    at = this.typeStart
    while (at < end && bytes[at] !== SPACE) at++
    this.typeEnd = at
    if (at === this.typeStart) return false
    return this.isStampAgain(at, end, node) || this.readStamp(at, end, node)
  }

  /** Whether the same stamp stands at `at` as on the line before: records of an event mostly follow each other. */
  private isStampAgain(at: number, end: number, node: string): boolean {
    const { words, stamp, stampBytes, id } = this
    if (stampBytes === 0 || node !== id.node || at + stampBytes > end) return false
    const last = stampBytes - 4
    for (let place = 0; place < last; place += 4)
      if (words.getInt32(at + place) !== stamp.getInt32(place)) return false
    if (words.getInt32(at + last) !== stamp.getInt32(last)) return false
    this.body = at + stampBytes
    return true
  }

  /** ` msg=audit(SECONDS.MILLIS:SERIAL):` */
  private readStamp(start: number, end: number, node: string): boolean {
    const { bytes, words } = this
    this.stampBytes = 0
    if (!STAMP.standsAt(words, start)) return false
    this.cursor = start + STAMP.length
    const seconds = this.digits()
    if (seconds < 0 || bytes[this.cursor] !== POINT) return false
    const millisAt = ++this.cursor
    const timeMs = seconds * 1000 + this.digits()
    if (this.cursor !== millisAt + 3 || bytes[this.cursor] !== COLON) return false
    this.cursor++
    const serial = this.digits()
    if (serial < 0 || serial > 0xffffffff || timeMs > Number.MAX_SAFE_INTEGER) return false
    const at = this.cursor
    // RHEL 7 leaves the colon out in records of auditd itself.
    const isEnd = bytes[at + 1] === COLON || bytes[at + 1] === SPACE
    if (bytes[at] !== CLOSING || !isEnd || at + 1 >= end) return false
    this.body = at + 2
    const last = this.id
    if (last.serial !== serial || last.timeMs !== timeMs || last.node !== node)
      this.id = { node, timeMs, serial }
    if (this.body - start <= this.stamp.byteLength) {
      for (let place = start; place < this.body; place++)
        this.stamp.setUint8(place - start, bytes[place] ?? 0)
      this.stampBytes = this.body - start
    }
    return true
  }

  /** A decimal number at the cursor, which is moved behind it; -1 when there is none. */
  private digits(): number {
    const { bytes } = this
    const start = this.cursor
    let at = start
    let value = 0
    for (;;) {
      const digit = (bytes[at] ?? 0) - ZERO
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
      at++
    }
    this.cursor = at
    return at === start ? -1 : value
  }

  private signedDigits(at = this.cursor): number {
    this.cursor = at
    const isNegative = this.bytes[this.cursor] === MINUS
    if (isNegative) this.cursor++
    const value = Math.max(0, this.digits())
    return isNegative && value > 0 ? -value : value
  }

  /** The low 32 bits, signed, of the hex number at the cursor. */
  private hexDigits(from = this.cursor): number {
    const { bytes } = this
    let at = from
    let value = 0
    for (;;) {
      const digit = hexDigit(bytes[at] ?? 0)
      if (digit < 0) break
      value = (value << 4) | digit
      at++
    }
    this.cursor = at
    return value
  }

  private yesOrNo(): boolean {
    const { bytes } = this
    const isYes = bytes[this.cursor] === LETTER_Y
    while (isLetter(bytes[this.cursor] ?? 0)) this.cursor++
    return isYes
  }

  private readSyscall(body: number, end: number): SyscallRecord {
    this.cursor = this.skipSpaces(body, end)
    const start = this.cursor
    const arch = this.passes(ARCH_KEY) ? this.hexDigits() >>> 0 : 0
    const syscall = this.passes(SYSCALL_KEY) ? this.digits() : -1
    if (this.passes(PER_KEY)) this.hexDigits()
    const success = this.passes(SUCCESS_KEY) ? this.yesOrNo() : undefined
    const exit = this.passes(EXIT_KEY) ? this.signedDigits() : 0
    const a0 = this.passes(A0_KEY) ? this.hexDigits() : 0
    const a1 = this.passes(A1_KEY) ? this.hexDigits() : 0
    const a2 = this.passes(A2_KEY) ? this.hexDigits() : 0
    const a3 = this.passes(A3_KEY) ? this.hexDigits() : 0
    const items = this.passes(ITEMS_KEY) ? Math.max(0, this.digits()) : 0
    const ppid = this.passes(PPID_KEY) ? this.digits() : -1
    const pid = this.passes(PID_KEY) ? this.digits() : -1
    if (pid < 0 || arch === 0 || syscall < 0) return this.readMovedSyscall(start, end)
    const rest = Math.min(this.cursor + 1, end)
    const task = this.tasks.find(this.words, rest, end) ?? this.readTask(rest, end)
    const { auid, uid, euid, comm, exe, keys, user } = task
    // Written out: objects made with `...` take several times as long.
    return {
      type: 'SYSCALL',
      arch,
      syscall,
      success,
      exit,
      a0,
      a1,
      a2,
      a3,
      items,
      ppid,
      pid,
      auid,
      uid,
      euid,
      comm,
      exe,
      keys,
      user,
    }
  }

  /** Fields in another order than the kernel's, or none at all. */
  private readMovedSyscall(start: number, end: number): SyscallRecord {
    findFields(this.bytes, start, this.untorn(start, end), CALL, this.spans)
    return {
      type: 'SYSCALL',
      arch: this.hex(ARCH) >>> 0,
      syscall: this.decimal(SYSCALL_NUMBER),
      success: this.movedSuccess(),
      exit: this.signed(EXIT),
      ...{ a0: this.hex(A0), a1: this.hex(A0 + 1), a2: this.hex(A0 + 2), a3: this.hex(A0 + 3) },
      items: Math.max(0, this.decimal(ITEMS)),
      ppid: this.decimal(PPID),
      pid: this.decimal(PID),
      ...this.readTask(start, end),
    }
  }

  /** `success=yes`, or `"yes"` in a log that went through a program which quotes everything. */
  private movedSuccess(): boolean | undefined {
    const start = this.start(SUCCESS)
    if (start < 0) return undefined
    return this.bytes[this.bytes[start] === QUOTE ? start + 1 : start] === LETTER_Y
  }

  /** Whether `key` stands at the cursor, which is moved behind it then. */
  private passes(key: Word): boolean {
    if (!key.standsAt(this.words, this.cursor)) return false
    this.cursor += key.length
    return true
  }

  private readTask(start: number, end: number): TaskFields {
    findFields(this.bytes, start, this.untorn(start, end), TASK, this.spans)
    const task = {
      auid: this.decimal(AUID),
      uid: this.decimal(UID),
      euid: this.decimal(EUID),
      comm: this.untrusted(COMM) ?? '',
      exe: this.untrusted(EXE),
      keys: this.keys(),
      user: this.user(),
    }
    return this.kept(this.tasks, start, end, task)
  }

  private readPath(body: number, end: number): PathRecord {
    const known = this.paths.find(this.words, body, end)
    if (known !== undefined) return known
    findFields(this.bytes, this.skipSpaces(body, end), this.untorn(body, end), PATH, this.spans)
    const path: PathRecord = {
      type: 'PATH',
      item: this.decimal(ITEM),
      name: this.untrusted(NAME),
      inode: Math.max(0, this.decimal(INODE)),
      dev: this.raw(DEV),
      mode: this.octal(MODE),
      nameType: nameTypeOf(this.raw(NAMETYPE) || this.raw(OBJTYPE)),
    }
    return this.kept(this.paths, body, end, path)
  }

  private readCwd(body: number, end: number): CwdRecord | OtherRecord {
    const known = this.cwds.find(this.words, body, end)
    if (known !== undefined) return known
    findFields(this.bytes, this.skipSpaces(body, end), this.untorn(body, end), CWD, this.spans)
    const cwd = this.untrusted(0)
    return cwd === undefined
      ? this.other('CWD', body, end)
      : this.kept(this.cwds, body, end, { type: 'CWD', cwd })
  }

  private readSockaddr(body: number, end: number): SockaddrRecord {
    const known = this.sockaddrs.find(this.words, body, end)
    if (known !== undefined) return known
    findFields(this.bytes, this.skipSpaces(body, end), this.untorn(body, end, true), SOCKADDR, this.spans)
    const saddr = this.hexRun(0)
    const record: SockaddrRecord = { type: 'SOCKADDR', saddr, isForgery: holdsNewline(saddr) }
    return this.kept(this.sockaddrs, body, end, record)
  }

  private readObjPid(body: number, end: number): ObjPidRecord {
    findFields(this.bytes, this.skipSpaces(body, end), this.untorn(body, end), OBJ_PID, this.spans)
    return {
      type: 'OBJ_PID',
      pid: this.decimal(OPID),
      uid: this.decimal(OUID),
      comm: this.untrusted(OCOMM) ?? '',
    }
  }

  /** `oflag=0100101`, octal as the kernel writes it. */
  private readOpenat2(body: number, end: number): Openat2Record {
    findFields(this.bytes, this.skipSpaces(body, end), this.untorn(body, end), OPENAT2, this.spans)
    const text = this.raw(0)
    const flags = text.startsWith('0x') ? Number.parseInt(text, 16) : Number.parseInt(text, 8)
    return { type: 'OPENAT2', flags: Number.isNaN(flags) ? 0 : flags }
  }

  /** `argc=3 a0="ls" a1_len=9000 a1[0]=6162… a1[1]=6364… a2=""`; continuation records have no argc. */
  private readExecve(body: number, lineEnd: number): ExecveRecord {
    const known = this.execves.find(this.words, body, lineEnd)
    if (known !== undefined) return known
    const end = this.untorn(body, lineEnd)
    const { bytes } = this
    let argc: number | undefined
    const pieces: ArgumentPiece[] = []
    const lengths: ArgumentLength[] = []
    let isCut = false
    let at = this.skipSpaces(body, end)
    while (at < end && bytes[at] !== GS) {
      const equals = bytes.indexOf(EQUALS, at)
      if (equals < 0 || equals >= end) break
      const valueStart = equals + 1
      const isQuoted = bytes[valueStart] === QUOTE
      const valueEnd = isQuoted ? endAt(bytes, QUOTE, valueStart + 1, end) : endOfWord(bytes, valueStart, end)
      if (isQuoted && valueEnd === end) isCut = true
      if (standsAt(bytes, at, 'argc=')) argc = decimalAt(bytes, valueStart, valueEnd)
      else {
        const key = argumentKey(bytes, at, equals)
        if (key?.fragment === LENGTH) {
          lengths.push({ index: key.index, length: decimalAt(bytes, valueStart, valueEnd) })
        } else if (key !== undefined) {
          const text = bytes.toString('latin1', isQuoted ? valueStart + 1 : valueStart, valueEnd)
          pieces.push({ index: key.index, fragment: key.fragment, text, isHex: !isQuoted })
        }
      }
      at = this.skipSpaces(isQuoted ? valueEnd + 1 : valueEnd, end)
    }
    const execve: ExecveRecord = { type: 'EXECVE', argc, pieces, lengths, isCut: isCut || this.tear >= 0 }
    return this.kept(this.execves, body, lineEnd, execve)
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
    return start < 0 ? 0 : this.signedDigits(start)
  }

  private hex(index: number): number {
    const start = this.start(index)
    return start < 0 ? 0 : this.hexDigits(start)
  }

  private octal(index: number): number {
    const start = this.start(index)
    return start < 0 ? 0 : octalAt(this.bytes, start, this.end(index))
  }

  /** Hex digits up to the first byte that is none: copies of a log may lack what separates the ENRICHED suffix. */
  private hexRun(index: number): string {
    const start = this.start(index)
    if (start < 0) return ''
    let end = this.end(index)
    if (hexDigit(this.bytes[end - 1] ?? 0) < 0) {
      end = start
      while (hexDigit(this.bytes[end] ?? 0) >= 0) end++
    }
    // Of those that were not seen before most are never seen again.
    return this.bytes.toString('latin1', start, end)
  }

  private raw(index: number): string {
    const start = this.start(index)
    return start < 0 ? '' : this.texts.latin1(this.bytes, start, this.end(index))
  }

  private untrusted(index: number): string | undefined {
    const start = this.start(index)
    return start < 0 ? undefined : this.texts.untrusted(this.bytes, start, this.end(index))
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

const ARCH = CALL.indexOf('arch')
const SYSCALL_NUMBER = CALL.indexOf('syscall')
const SUCCESS = CALL.indexOf('success')
const EXIT = CALL.indexOf('exit')
const A0 = CALL.indexOf('a0')
const ITEMS = CALL.indexOf('items')
const PPID = CALL.indexOf('ppid')
const PID = CALL.indexOf('pid')
const AUID = TASK.indexOf('auid')
const UID = TASK.indexOf('uid')
const EUID = TASK.indexOf('euid')
const COMM = TASK.indexOf('comm')
const EXE = TASK.indexOf('exe')
const KEY = TASK.indexOf('key')
const USER = TASK.indexOf('UID')
const ITEM = PATH.indexOf('item')
const NAME = PATH.indexOf('name')
const INODE = PATH.indexOf('inode')
const DEV = PATH.indexOf('dev')
const MODE = PATH.indexOf('mode')
const NAMETYPE = PATH.indexOf('nametype')
const OBJTYPE = PATH.indexOf('objtype')
const OPID = OBJ_PID.indexOf('opid')
const OUID = OBJ_PID.indexOf('ouid')
const OCOMM = OBJ_PID.indexOf('ocomm')

/** Every PROCTITLE is the same record where bodies are not kept. */
export const PROCTITLE: OtherRecord = { type: 'OTHER', name: 'PROCTITLE', body: undefined }
const END_OF_EVENT: OtherRecord = { type: 'OTHER', name: 'EOE', body: undefined }
const NO_KEYS: readonly string[] = []

/** Several keys of one rule are joined with 0x01. */
const keysOf = (text: string): readonly string[] =>
  text.includes(KEY_SEPARATOR) ? text.split(KEY_SEPARATOR) : [text]

const isLetter = (byte: number): boolean => byte >= 0x61 && byte <= 0x7a

const NAME_TYPES: readonly NameType[] = ['NORMAL', 'PARENT', 'CREATE', 'DELETE', 'UNKNOWN']
/** In copies of a log that lack the separator, what auditd added follows at once. */
const nameTypeOf = (text: string): NameType | undefined =>
  NAME_TYPES.find((name) => text.startsWith(name, text.startsWith('"') ? 1 : 0))

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

/** In the place of a fragment's number: the length of all of them. */
const LENGTH = -1

/** `a3`, `a3[1]` or `a3_len`; undefined for other words, and for numbers that no list of arguments reaches. */
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
  if (equals - indexEnd === 4 && standsAt(bytes, indexEnd, '_len')) return { index, fragment: LENGTH }
  if (bytes[indexEnd] !== 0x5b || bytes[equals - 1] !== 0x5d) return undefined
  const fragment = decimalAt(bytes, indexEnd + 1, equals - 1)
  return fragment < 0 || fragment >= MOST_ARGUMENTS ? undefined : { index, fragment }
}
