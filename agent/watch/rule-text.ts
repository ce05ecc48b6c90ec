import { ERRNO } from '../interpret/tables/errno.ts'
import { RECORD_TYPES } from '../interpret/tables/record-types.ts'
import { type Arch, ARCHES, SYSCALLS } from '../interpret/tables/syscalls.ts'
import { URING_OPS } from '../interpret/tables/uring-ops.ts'

/** struct audit_rule_data of <linux/audit.h>: four arrays of 64 words behind three words, then strings behind their length. */
const WORDS = 64
const MASK_AT = 12
const FIELDS_AT = MASK_AT + 4 * WORDS
const VALUES_AT = FIELDS_AT + 4 * WORDS
const FLAGS_AT = VALUES_AT + 4 * WORDS
const LENGTH_AT = FLAGS_AT + 4 * WORDS
const STRINGS_AT = LENGTH_AT + 4

/** AUDIT_FILTER_…, and the bit that says where in the list a rule was put. */
const LISTS = ['user', 'task', 'entry', 'watch', 'exit', 'exclude', 'filesystem', 'io_uring']
const PREPEND = 0x10
const ACTIONS = ['never', 'possible', 'always']
/** Those whose rules are about calls. */
const LISTS_OF_CALLS = ['entry', 'exit', 'io_uring']

const OPERATORS = new Map([
  [0x40000000, '='],
  [0x30000000, '!='],
  [0x20000000, '>'],
  [0x60000000, '>='],
  [0x10000000, '<'],
  [0x50000000, '<='],
  [0x08000000, '&'],
  [0x48000000, '&='],
])
const OPERATOR_BITS = 0x78000000

/** Fields by number, as auditctl calls them. */
const FIELDS = new Map(
  Object.entries({
    0: 'pid uid euid suid fsuid gid egid sgid fsgid auid pers arch msgtype subj_user subj_role subj_type subj_sen subj_clr ppid obj_user obj_role obj_type obj_lev_low obj_lev_high loginuid_set sessionid fstype',
    100: 'devmajor devminor inode exit success path perm dir filetype obj_uid obj_gid -C exe saddr_fam',
    200: 'a0 a1 a2 a3',
    210: 'key',
  }).flatMap(([first, names]) =>
    names.split(' ').map((name, index) => [Number(first) + index, name] as const),
  ),
)
/** Their value is the length of a string. */
const STRINGS =
  /^(?:subj_(?:user|role|type|sen|clr)|obj_(?:user|role|type|lev_low|lev_high)|path|dir|exe|key)$/
const KEY_SEPARATOR = '\x01'
const PERMISSIONS = [
  ['r', 4],
  ['w', 2],
  ['x', 1],
  ['a', 8],
] as const
/** Magic numbers of the file systems that auditctl has names for. */
const FILE_SYSTEMS = new Map([
  [0x64626720, 'debugfs'],
  [0x74726163, 'tracefs'],
])
/** AUDIT_COMPARE_…: what `-C` compares, the first being number 1. */
const COMPARISONS =
  'uid obj_uid,gid obj_gid,euid obj_uid,egid obj_gid,auid obj_uid,suid obj_uid,sgid obj_gid,fsuid obj_uid,fsgid obj_gid,uid auid,uid euid,uid fsuid,uid suid,auid fsuid,auid suid,auid euid,euid suid,euid fsuid,suid fsuid,gid egid,gid fsgid,gid sgid,egid fsgid,egid sgid,sgid fsgid'
    .split(',')
    .map((pair) => pair.split(' '))

/** What `b64` and `b32` are on a machine, by its name in Node. */
const OWN_ARCHES: Readonly<Record<string, readonly [b64: Arch, b32: Arch]>> = {
  x64: ['x86_64', 'i386'],
  arm64: ['aarch64', 'arm'],
}

/** Calls that auditctl (3.0.9, `ausyscall --dump`) knows by other names than the kernel, and a rules file with it. */
const AUDITCTL_NAMES: Readonly<Partial<Record<Arch, Readonly<Record<number, string>>>>> = {
  x86_64: { 17: 'pread', 18: 'pwrite' },
  i386: { 283: 'sys_kexec_load', 423: 'sched_rr_get_interval64' },
  aarch64: { 61: 'getdents', 67: 'pread', 68: 'pwrite', 80: 'newfstat' },
  // Those of the old ABI of arm among them.
  arm: {
    ...{ 13: 'time', 22: 'umount', 25: 'stime', 27: 'alarm', 30: 'utime', 76: 'getrlimit', 82: 'select' },
    ...{ 89: 'readdir', 90: 'mmap', 102: 'socketcall', 113: 'syscall', 117: 'ipc', 140: 'llseek' },
    ...{ 142: 'newselect', 149: 'sysctl', 270: 'fadvise64_64', 341: 'sync_file_range' },
    ...{ 423: 'sched_rr_get_interval64' },
  },
}

/**
 * A rule as `auditctl -l` prints it, from the struct audit_rule_data of the kernel; undefined when it is none. What is in its
 * strings that could end a word or a line is escaped.
 *
 * @param machine for which the kernel was made, as Node calls it
 */
export function ruleOfBytes(bytes: Buffer, machine: string = process.arch): string | undefined {
  const fields = fieldsOf(bytes)
  if (fields === undefined) return undefined
  const [listNumber, actionNumber] = [bytes.readUInt32LE(0) & ~PREPEND, bytes.readUInt32LE(4)]
  const list = LISTS[listNumber] ?? `list${listNumber}`
  const action = ACTIONS[actionNumber] ?? `action${actionNumber}`
  const arches = fields.filter(({ name }) => name === 'arch')
  const others = fields.filter(({ name }) => name !== 'arch')
  const arch = arches[0] === undefined ? OWN_ARCHES[machine]?.[0] : ARCHES.get(arches[0].value as never)
  const calls = LISTS_OF_CALLS.includes(list) ? callsOf(bytes, list, arch) : undefined
  if (calls === 'all' && list === 'exit' && isWatch(others, arches)) return watchText(others)
  return [
    `-a ${action},${list}`,
    ...arches.map(({ operator, value }) => `-F arch${operator}${archText(value, machine)}`),
    ...(calls === undefined || calls === '' ? [] : [`-S ${calls}`]),
    ...others.flatMap(words),
  ].join(' ')
}

interface Field {
  readonly name: string
  readonly operator: string
  readonly value: number
  /** Of a field that is about a string. */
  readonly text: string
}

function fieldsOf(bytes: Buffer): Field[] | undefined {
  if (bytes.length < STRINGS_AT) return undefined
  const count = bytes.readUInt32LE(8)
  const end = STRINGS_AT + bytes.readUInt32LE(LENGTH_AT)
  if (count > WORDS || end > bytes.length) return undefined
  const fields: Field[] = []
  let at = STRINGS_AT
  for (let index = 0; index < count; index++) {
    const number = bytes.readUInt32LE(FIELDS_AT + 4 * index)
    const value = bytes.readUInt32LE(VALUES_AT + 4 * index)
    const name = FIELDS.get(number) ?? `f${number}`
    const flags = bytes.readUInt32LE(FLAGS_AT + 4 * index)
    const operator = OPERATORS.get(flags & OPERATOR_BITS) ?? '?'
    const length = STRINGS.test(name) ? value : 0
    if (at + length > end) return undefined
    fields.push({ name, operator, value, text: bytes.toString('latin1', at, at + length) })
    at += length
  }
  return fields
}

/** The calls of a rule; empty when it has none. */
function callsOf(bytes: Buffer, list: string, arch: Arch | undefined): string {
  const word = (index: number): number => bytes.readUInt32LE(MASK_AT + 4 * index)
  const words = Array.from({ length: WORDS }, (_, index) => word(index))
  // The last word is about nothing.
  if (words.slice(0, -1).every((each) => each === 0xffffffff)) return 'all'
  const names = list === 'io_uring' ? URING_OPS : arch === undefined ? [] : SYSCALLS[arch]
  const spelled = arch === undefined || list === 'io_uring' ? {} : (AUDITCTL_NAMES[arch] ?? {})
  return words
    .flatMap((each, index) =>
      Array.from({ length: 32 }, (_, bit) => ((each >>> bit) & 1 ? [32 * index + bit] : [])),
    )
    .flat()
    .map((number) => spelled[number] ?? names[number] ?? String(number))
    .join(',')
}

function archText(value: number, machine: string): string {
  const arch = ARCHES.get(value as never)
  const [b64, b32] = OWN_ARCHES[machine] ?? []
  if (arch === undefined) return `0x${value.toString(16).toUpperCase()}`
  return arch === b64 ? 'b64' : arch === b32 ? 'b32' : arch
}

/** What was loaded with `-w`, which is about all calls, or looks the same. */
const isWatch = (fields: readonly Field[], arches: readonly Field[]): boolean =>
  arches.length === 0 &&
  fields.some(({ name }) => name === 'perm') &&
  fields.every(({ name }) => /^(?:perm|key|path|dir)$/.test(name))

const watchText = (fields: readonly Field[]): string =>
  fields
    .flatMap(({ name, text, value }) => {
      if (name === 'perm') return [`-p ${permissions(value)}`]
      if (name === 'key') return keys(text).map((key) => `-k ${key}`)
      return [`-w ${printable(text)}`]
    })
    .join(' ')

function words({ name, operator, value, text }: Field): string[] {
  if (name === '-C') {
    const [one = `c${value}`, other = ''] = COMPARISONS[value - 1] ?? []
    return [`-C ${one}${operator}${other}`]
  }
  if (name === 'key') return keys(text).map((key) => `-F key${operator}${key}`)
  const shown = STRINGS.test(name) ? printable(text) : numberText(name, value)
  return [`-F ${name}${operator}${shown}`]
}

function numberText(name: string, value: number): string {
  const signed = value | 0
  if (/^a[0-3]$/.test(name)) return `0x${value.toString(16).toUpperCase()}`
  if (name === 'msgtype') return RECORD_TYPES.get(value) ?? String(value)
  if (name === 'perm') return permissions(value)
  if (name === 'fstype') return FILE_SYSTEMS.get(value) ?? String(value)
  if (name === 'inode') return String(value)
  if (name === 'exit' && signed < 0 && ERRNO[-signed] !== undefined) return `-${ERRNO[-signed]}`
  return String(signed)
}

const permissions = (bits: number): string =>
  PERMISSIONS.flatMap(([letter, bit]) => (bits & bit ? [letter] : [])).join('')

const keys = (text: string): string[] =>
  text
    .split(KEY_SEPARATOR)
    .filter((key) => key !== '')
    .map(printable)

/** Bytes as they are, one character each, where these are plain ASCII; the rest as `\xNN`. */
const printable = (text: string): string =>
  text.replace(
    /[^\x21-\x5b\x5d-\x7e]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
