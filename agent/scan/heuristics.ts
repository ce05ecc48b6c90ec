import type { Heuristic, ScanMark } from '../domain/scan.ts'
import { baseName } from '../detect/nodes.ts'
import { hasNoScript, isKind, programOf, temporaryPlaceOf } from '../detect/programs.ts'
import { printable } from '../graph/names.ts'
import { obfuscationIn } from './command-lines.ts'
import type { PortRange } from './habits.ts'
import { isJit } from './jit.ts'
import { isDisguised } from './kernel-threads.ts'
import { isBelowLogin, strangeParentOf } from './parents.ts'
import type { SeenProcess } from './processes.ts'
import { programPathOf } from './program-path.ts'
import type { SeenSocket } from './sockets.ts'

/** A process, and how much it works. */
export interface Subject {
  readonly process: SeenProcess
  readonly cpuPercent: number
  /** Over how long that was measured. */
  readonly cpuOverMs: number
}

/** What is known besides a process itself. */
export interface Surroundings {
  readonly byPid: ReadonlyMap<number, SeenProcess>
  /** What kernel threads of this host are called. */
  readonly kernelThreads: ReadonlySet<string>
  readonly watchedPorts: ReadonlySet<number>
  /** Ports that are handed out to whoever asks for none: net.ipv4.ip_local_port_range. */
  readonly handedOut: PortRange
  readonly cpuHigh: number
  /** When the package that owns a file of this host changed last; undefined when none does. */
  readonly packagedMs: (path: string) => number | undefined
  /** Whether it is normal that one process, by its name, executes the other. */
  readonly isUsualParent: (parent: string, child: string) => boolean
}

/** A sign, as far as it counts: 1 for all of its weight. */
interface Sign {
  readonly heuristic: Heuristic
  readonly share: number
  readonly reason: string
}

const MANY_CONNECTIONS = 100
const SHORT_CHARACTERS = 3
/** A program that begins needs all of a processor for a moment. */
const SHORTEST_MEASURE_MS = 500
/** Stamps of files and of the start of a process are taken by different clocks. */
const CLOCK_TOLERANCE_MS = 1000

/** What is suspicious of a process, the heaviest first. A weight of 0 switches a heuristic off. */
export function marksOf(
  subject: Subject,
  around: Surroundings,
  weights: Readonly<Record<Heuristic, number>>,
): readonly ScanMark[] {
  // Of what has ended nothing is left that could be judged.
  if (subject.process.isZombie) return []
  return SIGNS.flatMap((signOf) => signOf(subject, around) ?? [])
    .map(({ heuristic, share, reason }) => ({
      heuristic,
      points: share * weights[heuristic],
      reason: printable(reason),
    }))
    .filter(({ points }) => points > 0)
    .sort((one, other) => other.points - one.points)
}

const SIGNS: readonly ((subject: Subject, around: Surroundings) => Sign | undefined)[] = [
  ({ process }, { byPid }) => memoryProgram(process, byPid),
  ({ process }, { packagedMs }) => deletedProgram(process, packagedMs),
  ({ process }) => temporaryProgram(process),
  ({ process }, { kernelThreads }) => disguise(process, kernelThreads),
  ({ process }, { byPid }) => shellSocket(process, byPid),
  ({ process }) => writableCode(process),
  ({ process }, { byPid }) => traced(process, byPid),
  ({ process }, around) => {
    const reason = strangeParentOf(process, around.byPid)
    const parent = around.byPid.get(process.ppid)
    if (reason === undefined) return undefined
    const isUsual = parent !== undefined && around.isUsualParent(parent.name, process.name)
    return isUsual
      ? sign('unusual_parent', `${reason}, as it did in the training`, 0.5)
      : sign('unusual_parent', reason)
  },
  ({ process }, around) => watchedPort(process, around),
  ({ cpuPercent, cpuOverMs }, { cpuHigh }) =>
    cpuPercent >= cpuHigh && cpuOverMs >= SHORTEST_MEASURE_MS
      ? sign('high_cpu', `it uses ${cpuPercent.toFixed(0)} % of a processor`)
      : undefined,
  ({ process: { argv } }) =>
    argv.every((word) => word === '') ? sign('empty_cmdline', 'its command line is empty') : undefined,
  ({ process: { outgoing } }) =>
    outgoing.length >= MANY_CONNECTIONS
      ? sign('many_conns', `it has ${outgoing.length} connections to others`)
      : undefined,
  ({ process }, { byPid }) =>
    process.tty === undefined && isAtPrompt(process) && !isBelowLogin(process, byPid)
      ? sign('no_tty', 'it takes commands as at a prompt, and has no terminal')
      : undefined,
  ({ process: { argv } }) => {
    const text = argv.join(' ').trim()
    return text !== '' && text.length <= SHORT_CHARACTERS
      ? sign('short_cmdline', `its command line is only '${text}'`)
      : undefined
  },
  ({ process }) => {
    const reason = obfuscationIn(process)
    return reason === undefined ? undefined : sign('obfuscated_cmdline', reason)
  },
]

const sign = (heuristic: Heuristic, reason: string, share = 1): Sign => ({ heuristic, reason, share })

/** runc and crun copy themselves into memory before they enter a container, so that nothing in it can change them. */
const CLONED_RUNTIME = /^\/memfd:(?:runc_cloned:|crun)/

function memoryProgram(process: SeenProcess, byPid: Surroundings['byPid']): Sign | undefined {
  if (!process.exe.startsWith('/memfd:')) return undefined
  const parent = byPid.get(process.ppid)
  const isRuntime =
    CLONED_RUNTIME.test(process.exe) && parent !== undefined && isKind(parent, 'init') && process.uid === 0
  return isRuntime && process.container === ''
    ? sign('memfd_exe', 'its program is a copy in memory, as container runtimes make of themselves', 0.2)
    : sign('memfd_exe', 'its program has never been a file: it was executed from memory')
}

function deletedProgram(process: SeenProcess, packagedMs: Surroundings['packagedMs']): Sign | undefined {
  const { successor, startMs } = process
  const path = programPathOf(process.exe)
  if (successor === undefined || path.startsWith('/memfd:')) return undefined
  if (successor === 'none' || temporaryPlaceOf(path) !== undefined)
    return sign('deleted_exe', `the file of its program, ${path}, was removed while it runs`)
  if (successor === 'of another root')
    return sign(
      'deleted_exe',
      `its program was replaced by another ${path} in its container: restart it`,
      0.5,
    )
  const changedMs = packagedMs(path)
  if (changedMs === undefined)
    return sign('deleted_exe', `its program was replaced by another ${path}, which no package owns`, 0.5)
  return startMs === 0 || changedMs >= startMs - CLOCK_TOLERANCE_MS
    ? sign('deleted_exe', `its program was replaced when its package was upgraded: restart it`, 0.25)
    : sign('deleted_exe', `its program was replaced by another ${path}, and not by the package that owns it`)
}

/** Runs the program that it is given, and is what the kernel calls the executable then. */
const LOADER = /\/ld(?:-[\w.-]+)?\.so(?:\.\d+)?$/
/** What bash(1) writes a long here-document into. */
const HERE_DOCUMENT = /^\/tmp\/sh-thd[.-]\w+ \(deleted\)$/

function temporaryProgram(process: SeenProcess): Sign | undefined {
  const { exe, inputPath, script, temporaryCode } = process
  const path = programPathOf(exe)
  if (temporaryPlaceOf(path) !== undefined)
    return sign('tmp_exe', `its program ${path} is in a place for temporary files`)
  if (temporaryCode !== undefined && LOADER.test(path))
    return sign('tmp_exe', `it is the loader of ${temporaryCode}, which is in a place for temporary files`)
  if (temporaryPlaceOf(script) !== undefined)
    return sign('tmp_exe', `its script ${script} is in a place for temporary files`, 0.5)
  if (isToldByInput(process) && temporaryPlaceOf(inputPath) !== undefined && !HERE_DOCUMENT.test(inputPath))
    return sign('tmp_exe', `its input ${inputPath} is its script, in a place for temporary files`, 0.5)
  return temporaryCode === undefined
    ? undefined
    : sign('tmp_exe', `it has loaded ${temporaryCode} from a place for temporary files`, 0.5)
}

function disguise(process: SeenProcess, kernelThreads: ReadonlySet<string>): Sign | undefined {
  if (isDisguised(process, kernelThreads))
    return sign('disguised', 'it calls itself like a thread of the kernel, and is none')
  const { claimed, exe, forged } = process
  if (forged !== undefined)
    return sign('disguised', `what it runs is called ${forged} only where its user has mounted it`)
  return claimed === undefined
    ? undefined
    : sign('disguised', `it calls itself ${claimed}, and is ${exe}`, 0.5)
}

/** What is left of `sh -i <&3 >&3`, whatever made the connection; or a program in words that has a connection itself. */
function shellSocket(process: SeenProcess, byPid: Surroundings['byPid']): Sign | undefined {
  const { standardSocket } = process
  if (!isShellOrInterpreter(process) || !hasNoScript(process)) return undefined
  if (standardSocket !== undefined)
    return sign(
      'shell_socket',
      `a shell whose input or output is a connection: ${peerText(standardSocket)} commands it`,
    )
  const peer = process.outgoing.find(
    ({ protocol, state, remoteAddress }) =>
      protocol === 'tcp' && state === 'connected' && !LOOPBACK.test(remoteAddress),
  )
  if (peer === undefined || !isKind(process, 'interpreter') || !hasCodeInWords(process)) return undefined
  const parent = byPid.get(process.ppid)
  // multiprocessing of Python and the like start workers of a script so.
  const isWorker = parent?.exe === process.exe && !hasNoScript(parent)
  return isWorker || isBelowLogin(process, byPid)
    ? undefined
    : sign(
        'shell_socket',
        `a program in the words of its command line is connected to ${peerText(peer)}`,
        0.6,
      )
}

const LOOPBACK = /^(?:127\.|::1$)/
/** Options after which code stands, by the name of the program; of perl, ruby, node, lua and Rscript the last. */
const CODE_FLAGS: readonly (readonly [program: RegExp, flag: RegExp])[] = [
  [/^(?:python|pypy|expect)/, /^-[A-Za-z]*c/],
  [/^php/, /^-[A-Za-z]*[rRBE]/],
  [/^/, /^(?:-[A-Za-z]*[eEp]|--eval|--print)/],
]

const isShellOrInterpreter = (process: SeenProcess): boolean =>
  isKind(process, 'shell') || isKind(process, 'interpreter')

function hasCodeInWords(process: SeenProcess): boolean {
  const [, interpreterFlag] = CODE_FLAGS.find(([program]) => program.test(programOf(process))) ?? []
  const flag = isKind(process, 'shell') ? /^-[A-Za-z]*c/ : interpreterFlag
  return process.argv.slice(1).some((word) => flag?.test(word))
}

/** It was given neither a script nor code. */
const isToldByInput = (process: SeenProcess): boolean =>
  isShellOrInterpreter(process) && hasNoScript(process) && !hasCodeInWords(process)

function writableCode({ writableCode: code, exe }: SeenProcess): Sign | undefined {
  if (code === undefined || isJit(exe, code)) return undefined
  const countKib = code.regionBytes.reduce((sum, bytes) => sum + bytes, 0) / 1024
  return sign(
    'wx_mem',
    `it may write and execute ${countKib.toFixed(0)} KiB of its memory, and compiles nothing at run time`,
  )
}

function traced({ tracerPid }: SeenProcess, byPid: Surroundings['byPid']): Sign | undefined {
  if (tracerPid === 0) return undefined
  const tracer = byPid.get(tracerPid)
  return sign(
    'ptraced',
    `${tracer === undefined ? 'a process' : baseName(tracer.exe)} (pid ${tracerPid}) traces it, and can read and change all it has`,
  )
}

function watchedPort(
  { listening, outgoing }: SeenProcess,
  { watchedPorts, handedOut }: Surroundings,
): Sign | undefined {
  const isWatched = (port: number): boolean => watchedPorts.has(port)
  const served = listening.find(
    ({ protocol, localPort }) =>
      isWatched(localPort) &&
      // A question that was sent by UDP has a port that it did not choose, and waits there for the answer.
      (protocol === 'tcp' || localPort < handedOut.from || localPort > handedOut.to),
  )
  if (served !== undefined) return sign('watched_port', `it listens on the watched port ${served.localPort}`)
  const asked = outgoing.find(({ remotePort }) => isWatched(remotePort))
  return asked === undefined
    ? undefined
    : sign('watched_port', `it is connected to the watched port ${peerText(asked)}`)
}

/** A shell or an interpreter that was given nothing to run: it runs what it is told. */
const isAtPrompt = (process: SeenProcess): boolean =>
  isKind(process, 'shell') &&
  hasNoScript(process) &&
  !process.argv.slice(1).some((word) => /^-[a-z]*c/.test(word))

const peerText = ({ remoteAddress, remotePort }: SeenSocket): string =>
  `${remoteAddress.includes(':') ? `[${remoteAddress}]` : remoteAddress}:${remotePort}`
