import { spawnSync } from 'node:child_process'
import type { EdgeKind } from '../../../agent/domain/edge.ts'
import type { Argument, Bits, Call } from './elf.ts'

/** What one program shall show. */
export interface Scene {
  readonly bits: Bits
  /** The system call to be made, as ausyscall(8) names it, or its number where that is too young for a name. */
  readonly syscall: string
  /** Whether the kernel shall refuse it. */
  readonly isRefused: boolean
  /** First argument, where a rule asks for it: the request of ptrace, the call within socketcall. */
  readonly a0: number
  readonly family: 2 | 10
  /** No other scene's, as a port is not free at once after use. */
  readonly port: number
  /** Absolute path of the program that makes the call. Files it works on stand beside it. */
  readonly exe: string
  /** A running program that may be traced, and its pid. */
  readonly target: string
  readonly targetPid: number
  /** A program that ends at once. */
  readonly quick: string
}

/** An edge that must be seen; what is left out is not known beforehand. */
export interface ExpectedEdge {
  readonly kind: EdgeKind
  readonly from?: string
  readonly to?: string
}

export interface Workload {
  /** What must be at the path `file` before the program starts. */
  readonly before: 'file' | 'directory' | 'nothing'
  readonly file: string
  readonly calls: readonly Call[]
  /** None for calls that are recorded for other reasons. */
  readonly edges: readonly ExpectedEdge[]
}

/** Local addresses that the network calls need, one of each family. */
export const ADDRESSES = ['203.0.113.66/32', '2001:db8::1/128']

const AT_FDCWD = -100
const O_WRONLY = 0o1
const O_CREAT = 0o100
const O_DIRECTORY = 0o200000
const S_IFREG = 0o100000
const WWW_DATA = 33
const ANY_CHILD = 0x40000000
const XATTR = 'trusted.fullmon'
const SIGCONT = 18
/** siginfo_t with SI_QUEUE (-1), which is all that may be sent to others: signal, errno, code, and no more. */
const QUEUED = Buffer.concat([Buffer.from(Int32Array.of(SIGCONT, 0, -1).buffer), Buffer.alloc(116)])
const PTRACE = { POKETEXT: 4, POKEDATA: 5, ATTACH: 0x10, SEIZE: 0x4206 }
const SOCKETCALL = { socket: 1, bind: 2, connect: 3, listen: 4, accept: 5, accept4: 18 }

/** First address of every program that `elf` makes for x86_64: a place that may be overwritten. */
const TARGET_ADDRESS = 0x400000

/**
 * The calls that show one system call at work, and the edges that it stands for.
 * @throws Error on a call that nobody has written a workload for
 */
export function workload(scene: Scene): Workload {
  const make = (scene.isRefused ? REFUSED : MAKERS)[scene.syscall]
  if (make === undefined) throw new Error(`no workload for ${scene.syscall}`)
  return make(scene)
}

/** Number of a system call, by the tables of auditd: a second opinion beside the agent's own. */
export function syscallNumber(bits: Bits, name: string): number {
  const number = table(bits).get(name)
  if (number === undefined && !isNumber(name)) throw new Error(`ausyscall knows no ${name} for ${bits}`)
  return number ?? Number(name)
}

/** Numbers stand for calls that every architecture has. */
export const hasSyscall = (bits: Bits, name: string): boolean => isNumber(name) || table(bits).has(name)

const isNumber = (name: string): boolean => /^\d+$/.test(name)

const tables = new Map<Bits, ReadonlyMap<string, number>>()

function table(bits: Bits): ReadonlyMap<string, number> {
  const known = tables.get(bits)
  if (known !== undefined) return known
  const dump = spawnSync('ausyscall', [bits === 'b64' ? 'x86_64' : 'i386', '--dump'], {
    encoding: 'utf8',
  }).stdout
  const read = new Map(
    [...dump.matchAll(/^(\d+)\t(\S+)$/gm)].map(([, number, name]) => [name ?? '', Number(number)]),
  )
  tables.set(bits, read)
  return read
}

type Maker = (scene: Scene) => Workload

const sys = (scene: Scene, name: string, ...args: readonly Argument[]): Call => [
  syscallNumber(scene.bits, name),
  ...args,
]
const self = (scene: Scene): string => `proc::root:${scene.exe}`

/** A call on a file beside the program, `does` being the edges to that file. */
function onFile(
  before: Workload['before'],
  does: readonly EdgeKind[],
  calls: (scene: Scene, file: string) => readonly Call[],
): Maker {
  return (scene) => {
    const file = `${scene.exe}.file`
    const edges = does.map((kind) => ({ kind, from: self(scene), to: `file:${kind}:${file}` }))
    return { before, file, calls: calls(scene, file), edges }
  }
}

/** The call itself, with these arguments. */
const creates = (args: (file: string) => readonly Argument[]): Maker =>
  onFile('nothing', ['create'], (scene, file) => [sys(scene, scene.syscall, ...args(file))])
const deletes = (before: 'file' | 'directory', args: (file: string) => readonly Argument[]): Maker =>
  onFile(before, ['delete'], (scene, file) => [sys(scene, scene.syscall, ...args(file))])
const writes = (args: (file: string) => readonly Argument[]): Maker =>
  onFile('file', ['write'], (scene, file) => [sys(scene, scene.syscall, ...args(file))])

/** Of the file by name. */
const changes = (args: (file: string) => readonly Argument[]): Maker =>
  onFile('file', ['attribute'], (scene, file) => [sys(scene, scene.syscall, ...args(file))])

/** Of the open file: its name is known from the open. */
const changesOpen = (...args: readonly Argument[]): Maker =>
  onFile('file', ['write', 'attribute'], (scene, file) => [
    sys(scene, 'openat', AT_FDCWD, file, O_WRONLY),
    sys(scene, scene.syscall, 3, ...args),
  ])

/** The same as `changes`, for an attribute that must be there first. */
const removes = (args: (file: string) => readonly Argument[]): Maker =>
  onFile('file', ['attribute'], (scene, file) => [
    sys(scene, 'setxattr', file, XATTR, 'x', 1, 0),
    sys(scene, scene.syscall, ...args(file)),
  ])

const renames =
  (args: (from: string, to: string) => readonly Argument[]): Maker =>
  (scene) => {
    const file = `${scene.exe}.file`
    const to = `${scene.exe}.renamed`
    const edges = [file, to].map((path) => ({
      kind: 'rename' as const,
      from: self(scene),
      to: `file:rename:${path}`,
    }))
    return { before: 'file', file, calls: [sys(scene, scene.syscall, ...args(file, to))], edges }
  }

const nothing = (
  calls: (scene: Scene) => readonly Call[],
  edges: (scene: Scene) => readonly ExpectedEdge[],
): Maker => {
  return (scene) => ({
    before: 'nothing',
    file: `${scene.exe}.file`,
    calls: calls(scene),
    edges: edges(scene),
  })
}

const noEdge = (...args: readonly Argument[]): Maker =>
  nothing(
    (scene) => [sys(scene, scene.syscall, ...args)],
    () => [],
  )

const execs = (args: (program: string) => readonly Argument[]): Maker =>
  nothing(
    (scene) => [sys(scene, scene.syscall, ...args(scene.quick))],
    (scene) => [{ kind: 'exec', from: self(scene), to: `proc::root:${scene.quick}` }],
  )

/** From real and effective uid www-data with saved uid root back to effective uid root. */
const becomesRoot = (...args: readonly Argument[]): Maker =>
  nothing(
    (scene) => [
      sys(scene, scene.bits === 'b64' ? 'setresuid' : 'setresuid32', WWW_DATA, WWW_DATA, 0),
      sys(scene, scene.syscall, ...args),
    ],
    (scene) => [{ kind: 'privilege', from: `proc::www-data:${scene.exe}`, to: `proc::root:${scene.exe}` }],
  )

/** From user id www-data back to root, of which nothing is left. */
const staysUser = (...args: readonly Argument[]): Maker =>
  nothing(
    (scene) => [
      sys(scene, scene.bits === 'b64' ? 'setresuid' : 'setresuid32', WWW_DATA, WWW_DATA, WWW_DATA),
      sys(scene, scene.syscall, ...args),
    ],
    () => [],
  )

/** A file that is there, and that nobody may execute. */
const failsToExec = (args: (file: string) => readonly Argument[]): Maker =>
  onFile('file', [], (scene, file) => [sys(scene, scene.syscall, ...args(file))])

const traces = (calls: (scene: Scene) => readonly Call[]): Maker =>
  nothing(calls, (scene) => [{ kind: 'trace', from: self(scene), to: `proc::root:${scene.target}` }])

/** To the target, which it does not end: others need it. */
const signals = (args: (pid: number) => readonly Argument[]): Maker =>
  nothing(
    (scene) => [sys(scene, scene.syscall, ...args(scene.targetPid))],
    () => [],
  )

const ptrace = traces((scene) => {
  const request = (number: number, ...args: readonly number[]): Call =>
    sys(scene, 'ptrace', number, scene.targetPid, ...args)
  if (scene.a0 === PTRACE.ATTACH || scene.a0 === PTRACE.SEIZE) return [request(scene.a0, 0, 0)]
  // Memory can be written once the target has stopped.
  const attach = [request(PTRACE.ATTACH, 0, 0), sys(scene, 'wait4', scene.targetPid, 0, ANY_CHILD, 0)]
  return [...attach, request(scene.a0, TARGET_ADDRESS, 0)]
})

/** A server and its client in one program: bind, listen, connect, accept. The kernel needs no second process for it. */
const talks =
  (kind: 'connect' | 'listen' | 'accept'): Maker =>
  (scene) => {
    const { port } = scene
    const address = scene.family === 2 ? inet(port) : inet6(port)
    const host = scene.family === 2 ? 'host:203.0.113.66' : 'host:[2001:db8::1]'
    const call = (name: keyof typeof SOCKETCALL, ...args: readonly Argument[]): Call =>
      scene.syscall === 'socketcall'
        ? sys(scene, 'socketcall', SOCKETCALL[name], args)
        : sys(scene, name, ...args)
    const peer = [Buffer.alloc(28), le32(28)]
    const isPlain = scene.syscall === 'accept' || scene.a0 === SOCKETCALL.accept
    return {
      before: 'nothing',
      file: `${scene.exe}.file`,
      calls: [
        call('socket', scene.family, 1, 0),
        call('bind', 3, address, address.length),
        call('listen', 3, 8),
        call('socket', scene.family, 1, 0),
        call('connect', 4, address, address.length),
        isPlain ? call('accept', 3, ...peer) : call('accept4', 3, ...peer, 0),
      ],
      edges: [{ kind, from: self(scene), to: `${host}:${kind === 'accept' ? '*' : port}` }],
    }
  }

const le32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer)
const inet = (port: number): Buffer =>
  Buffer.from([2, 0, port >> 8, port & 0xff, 203, 0, 113, 66, ...Array<0>(8).fill(0)])
const inet6 = (port: number): Buffer =>
  Buffer.concat([
    Buffer.from([10, 0, port >> 8, port & 0xff, 0, 0, 0, 0]),
    Buffer.from('20010db8000000000000000000000001', 'hex'),
    Buffer.alloc(4),
  ])

/** struct open_how of openat2(2): flags, mode, resolve; 64 bits each. */
const openHow = (flags: number, mode: number): Buffer =>
  Buffer.from(BigUint64Array.of(BigInt(flags), BigInt(mode), 0n).buffer)

/** struct xattr_args of setxattrat(2): a pointer in 64 bits, size and flags in 32 bits each. */
const xattrArgs = (bits: Bits): readonly Argument[] => (bits === 'b64' ? ['x', 1] : ['x', 0, 1, 0])

const REFUSED: Readonly<Record<string, Maker>> = {
  setuid: staysUser(0),
  setuid32: staysUser(0),
  setreuid: staysUser(-1, 0),
  setreuid32: staysUser(-1, 0),
  setresuid: staysUser(-1, 0, -1),
  setresuid32: staysUser(-1, 0, -1),
  execve: failsToExec((file) => [file, [file, 0], 0]),
  execveat: failsToExec((file) => [AT_FDCWD, file, [file, 0], 0, 0]),
}

const MAKERS: Readonly<Record<string, Maker>> = {
  execve: execs((program) => [program, [program, 0], 0]),
  execveat: execs((program) => [AT_FDCWD, program, [program, 0], 0, 0]),

  setuid: becomesRoot(0),
  setuid32: becomesRoot(0),
  setreuid: becomesRoot(-1, 0),
  setreuid32: becomesRoot(-1, 0),
  setresuid: becomesRoot(-1, 0, -1),
  setresuid32: becomesRoot(-1, 0, -1),

  exit_group: noEdge(3),

  ptrace,
  process_vm_writev: traces((scene) => [
    sys(scene, scene.syscall, scene.targetPid, ['\x7fELF', 4], 1, [TARGET_ADDRESS, 4], 1, 0),
  ]),
  // Which process the descriptor was taken from is not in the log: the argument is a descriptor too.
  pidfd_getfd: nothing(
    (scene) => [sys(scene, 'pidfd_open', scene.targetPid, 0), sys(scene, scene.syscall, 3, 0, 0)],
    (scene) => [{ kind: 'trace', from: self(scene) }],
  ),

  kill: signals((pid) => [pid, SIGCONT]),
  tkill: signals((pid) => [pid, SIGCONT]),
  tgkill: signals((pid) => [pid, pid, SIGCONT]),
  rt_sigqueueinfo: signals((pid) => [pid, SIGCONT, QUEUED]),
  rt_tgsigqueueinfo: signals((pid) => [pid, pid, SIGCONT, QUEUED]),
  pidfd_send_signal: nothing(
    (scene) => [
      sys(scene, 'pidfd_open', scene.targetPid, 0),
      sys(scene, 'pidfd_send_signal', 3, SIGCONT, 0, 0),
    ],
    () => [],
  ),

  memfd_create: noEdge('fullmon', 0),
  init_module: noEdge(0, 0, ''),
  finit_module: noEdge(-1, '', 0),
  delete_module: noEdge('fullmon_no_such_module', 0),

  connect: talks('connect'),
  bind: talks('listen'),
  accept: talks('accept'),
  accept4: talks('accept'),
  socketcall: (scene) => {
    const { bind, connect } = SOCKETCALL
    return talks(scene.a0 === bind ? 'listen' : scene.a0 === connect ? 'connect' : 'accept')(scene)
  },

  unlink: deletes('file', (file) => [file]),
  unlinkat: deletes('file', (file) => [AT_FDCWD, file, 0]),
  rmdir: deletes('directory', (file) => [file]),
  rename: renames((from, to) => [from, to]),
  renameat: renames((from, to) => [AT_FDCWD, from, AT_FDCWD, to]),
  renameat2: renames((from, to) => [AT_FDCWD, from, AT_FDCWD, to, 0]),
  link: onFile('nothing', ['create'], (scene, file) => [sys(scene, 'link', scene.quick, file)]),
  linkat: onFile('nothing', ['create'], (scene, file) => [
    sys(scene, 'linkat', AT_FDCWD, scene.quick, AT_FDCWD, file, 0),
  ]),
  symlink: creates((file) => ['nowhere', file]),
  symlinkat: creates((file) => ['nowhere', AT_FDCWD, file]),
  mkdir: creates((file) => [file, 0o755]),
  mkdirat: creates((file) => [AT_FDCWD, file, 0o755]),
  mknod: creates((file) => [file, S_IFREG | 0o644, 0]),
  mknodat: creates((file) => [AT_FDCWD, file, S_IFREG | 0o644, 0]),
  creat: creates((file) => [file, 0o644]),

  open: creates((file) => [file, O_WRONLY | O_CREAT, 0o644]),
  openat: creates((file) => [AT_FDCWD, file, O_WRONLY | O_CREAT, 0o644]),
  openat2: creates((file) => [AT_FDCWD, file, openHow(O_WRONLY | O_CREAT, 0o644), 24]),
  open_by_handle_at: onFile('file', ['write'], (scene, file) => {
    const handle = Buffer.concat([le32(120), Buffer.alloc(124)])
    return [
      sys(scene, 'openat', AT_FDCWD, file, O_WRONLY),
      sys(scene, 'openat', AT_FDCWD, '/', O_DIRECTORY),
      sys(scene, 'name_to_handle_at', AT_FDCWD, file, handle, Buffer.alloc(8), 0),
      sys(scene, 'open_by_handle_at', 4, handle, O_WRONLY),
    ]
  }),
  truncate: writes((file) => [file, 0]),
  truncate64: writes((file) => [file, 0, 0]),

  chmod: changes((file) => [file, 0o600]),
  fchmod: changesOpen(0o600),
  fchmodat: changes((file) => [AT_FDCWD, file, 0o600]),
  452: changes((file) => [AT_FDCWD, file, 0o600, 0]),
  chown: changes((file) => [file, WWW_DATA, WWW_DATA]),
  chown32: changes((file) => [file, WWW_DATA, WWW_DATA]),
  lchown: changes((file) => [file, WWW_DATA, WWW_DATA]),
  lchown32: changes((file) => [file, WWW_DATA, WWW_DATA]),
  fchown: changesOpen(WWW_DATA, WWW_DATA),
  fchown32: changesOpen(WWW_DATA, WWW_DATA),
  fchownat: changes((file) => [AT_FDCWD, file, WWW_DATA, WWW_DATA, 0]),
  setxattr: changes((file) => [file, XATTR, 'x', 1, 0]),
  lsetxattr: changes((file) => [file, XATTR, 'x', 1, 0]),
  fsetxattr: changesOpen(XATTR, 'x', 1, 0),
  463: onFile('file', ['attribute'], (scene, file) => [
    sys(scene, '463', AT_FDCWD, file, 0, XATTR, xattrArgs(scene.bits), 16),
  ]),
  removexattr: removes((file) => [file, XATTR]),
  lremovexattr: removes((file) => [file, XATTR]),
  fremovexattr: onFile('file', ['write', 'attribute'], (scene, file) => [
    sys(scene, 'openat', AT_FDCWD, file, O_WRONLY),
    sys(scene, 'setxattr', file, XATTR, 'x', 1, 0),
    sys(scene, 'fremovexattr', 3, XATTR),
  ]),
  466: removes((file) => [AT_FDCWD, file, 0, XATTR]),
}

/** The calls that have a workload. */
export const SYSCALLS: readonly string[] = Object.keys(MAKERS)
