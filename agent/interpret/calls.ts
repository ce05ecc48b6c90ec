import { ARCHES, SYSCALLS } from './tables/syscalls.ts'

/** What a system call means to the graph. Argument numbers count from 0. */
export interface Call {
  /**
   * `open`: opens for writing when the flags say so. `write`, `attribute`: changes the content or the attributes of the
   * file its NORMAL record names. `rename`, `names`: changes names, and CREATE and DELETE records say which.
   */
  readonly does:
    | ('exec' | 'exit' | 'connect' | 'listen' | 'accept' | 'socketcall' | 'set-id' | 'trace')
    | ('open' | 'write' | 'attribute' | 'rename' | 'names')
  /** The argument with the flags of an open; `record`: openat2 keeps them in memory, OPENAT2 shows them. */
  readonly flagsIn: 1 | 2 | 'record'
  /** The argument with the directory that names are relative to; undefined: the current one. */
  readonly directory: 0 | 1 | 2 | undefined
  /** The same for the new name of a rename. */
  readonly newDirectory: 2 | undefined
  /** The argument with the new mode of a file. */
  readonly modeIn: 1 | 2 | undefined
  /** The argument with the file itself. */
  readonly descriptor: 0 | undefined
  /** Of `trace`: a0 says what is asked. */
  readonly isRequest: boolean
  /** The argument with the pid of the other process, where one has it. */
  readonly pidIn: 0 | 1 | undefined
}

/** What is not said has its usual value. Every call has all fields, in one order: code that meets many shapes is slow. */
const callFrom = (told: Partial<Call> & Pick<Call, 'does'>): Call => ({
  does: told.does,
  flagsIn: told.flagsIn ?? 1,
  directory: told.directory,
  newDirectory: told.newDirectory,
  modeIn: told.modeIn,
  descriptor: told.descriptor,
  isRequest: told.isRequest ?? false,
  pidIn: told.pidIn,
})

const TOLD: Readonly<Record<string, Partial<Call> & Pick<Call, 'does'>>> = {
  execve: { does: 'exec' },
  execveat: { does: 'exec', directory: 0 },
  exit_group: { does: 'exit' },

  connect: { does: 'connect' },
  sendto: { does: 'connect' },
  sendmsg: { does: 'connect' },
  sendmmsg: { does: 'connect' },
  /** Of io_uring alone. */
  send_zc: { does: 'connect' },
  sendmsg_zc: { does: 'connect' },
  bind: { does: 'listen' },
  accept: { does: 'accept' },
  accept4: { does: 'accept' },
  socketcall: { does: 'socketcall' },

  open: { does: 'open' },
  openat: { does: 'open', flagsIn: 2, directory: 0 },
  openat2: { does: 'open', flagsIn: 'record', directory: 0 },
  open_by_handle_at: { does: 'open', flagsIn: 2 },
  creat: { does: 'write' },
  truncate: { does: 'write' },
  truncate64: { does: 'write' },
  ftruncate: { does: 'write', descriptor: 0 },
  ftruncate64: { does: 'write', descriptor: 0 },
  fallocate: { does: 'write', descriptor: 0 },

  rename: { does: 'rename' },
  renameat: { does: 'rename', directory: 0, newDirectory: 2 },
  renameat2: { does: 'rename', directory: 0, newDirectory: 2 },
  unlinkat: { does: 'names', directory: 0 },
  mkdirat: { does: 'names', directory: 0 },
  mknodat: { does: 'names', directory: 0 },
  linkat: { does: 'names', directory: 2 },
  symlinkat: { does: 'names', directory: 1 },

  chmod: { does: 'attribute', modeIn: 1 },
  fchmod: { does: 'attribute', descriptor: 0, modeIn: 1 },
  fchmodat: { does: 'attribute', directory: 0, modeIn: 2 },
  fchmodat2: { does: 'attribute', directory: 0, modeIn: 2 },
  chown: { does: 'attribute' },
  chown32: { does: 'attribute' },
  lchown: { does: 'attribute' },
  lchown32: { does: 'attribute' },
  fchown: { does: 'attribute', descriptor: 0 },
  fchown32: { does: 'attribute', descriptor: 0 },
  fchownat: { does: 'attribute', directory: 0 },
  setxattr: { does: 'attribute' },
  lsetxattr: { does: 'attribute' },
  fsetxattr: { does: 'attribute', descriptor: 0 },
  setxattrat: { does: 'attribute', directory: 0 },
  removexattr: { does: 'attribute' },
  lremovexattr: { does: 'attribute' },
  fremovexattr: { does: 'attribute', descriptor: 0 },
  removexattrat: { does: 'attribute', directory: 0 },

  /** Its operations have directories of their own, none of which is told. */
  io_uring_enter: { does: 'names', directory: 0 },

  setuid: { does: 'set-id' },
  setuid32: { does: 'set-id' },
  setreuid: { does: 'set-id' },
  setreuid32: { does: 'set-id' },
  setresuid: { does: 'set-id' },
  setresuid32: { does: 'set-id' },

  ptrace: { does: 'trace', isRequest: true, pidIn: 1 },
  process_vm_writev: { does: 'trace', pidIn: 0 },
  pidfd_getfd: { does: 'trace' },
}

const CALLS: ReadonlyMap<string, Call> = new Map(
  Object.entries(TOLD).map(([name, told]) => [name, callFrom(told)]),
)

/** A call that is not in the table still changes names when its event has CREATE or DELETE records. */
const ANY_CALL = callFrom({ does: 'names' })
/** Several operations at once, whose directories are not told. */
export const UNTOLD_NAMES = callFrom({ does: 'names', directory: 0 })
const X32_BIT = 0x40000000

/** Meaning of the system call `name` on any architecture. */
export const callNamed = (name: string): Call => CALLS.get(name) ?? ANY_CALL

interface Table {
  readonly name: string
  readonly names: readonly (string | undefined)[]
  readonly calls: readonly Call[]
}

const BY_ARCH: ReadonlyMap<number, Table> = new Map(
  [...ARCHES].map(([arch, name]) => {
    const names = SYSCALLS[name]
    return [arch, { name, names, calls: names.map((call) => callNamed(call ?? '')) }]
  }),
)

// Nearly all calls of a log are of one architecture, and a Map is slow at numbers of 32 bits.
let lastArch = 0
let lastTable: Table | undefined

function tableOf(arch: number): Table | undefined {
  if (arch !== lastArch) {
    lastArch = arch
    lastTable = BY_ARCH.get(arch)
  }
  return lastTable
}

/** Meaning of system call `number` of architecture `arch` (AUDIT_ARCH value). */
export const callOf = (arch: number, number: number): Call =>
  tableOf(arch)?.calls[number & ~X32_BIT] ?? ANY_CALL

/** Its name; `ARCH#NUMBER` for a call that the tables do not know. */
export const callName = (arch: number, number: number): string =>
  tableOf(arch)?.names[number & ~X32_BIT] ?? `${arch.toString(16)}#${number}`

/** Name of an architecture; its AUDIT_ARCH value in hex where the tables have no name. */
export const archName = (arch: number): string => tableOf(arch)?.name ?? arch.toString(16)

/** net(7) sub-calls of the i386 socketcall, <linux/net.h>. */
export const SOCKETCALLS: ReadonlyMap<number, 'connect' | 'listen' | 'accept'> = new Map([
  [2, 'listen'],
  [3, 'connect'],
  [5, 'accept'],
  [11, 'connect'],
  [16, 'connect'],
  [18, 'accept'],
  [20, 'connect'],
])

/** Requests of ptrace(2) that take hold of another process or write into it. */
const PTRACE_POKETEXT = 4
const PTRACE_POKEDATA = 5
const PTRACE_ATTACH = 16
const PTRACE_SEIZE = 0x4206
export const TRACE_REQUESTS: ReadonlySet<number> = new Set([
  PTRACE_POKETEXT,
  PTRACE_POKEDATA,
  PTRACE_ATTACH,
  PTRACE_SEIZE,
])
