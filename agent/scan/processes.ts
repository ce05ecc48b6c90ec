import { readdirSync } from 'node:fs'
import type { FoundProcess } from '../domain/activity.ts'
import { processName } from '../graph/names.ts'
import { programFound } from '../interpret/processes.ts'
import { textOfBytes } from '../parse/text.ts'
import { containerOf, parseArguments, startedMs } from '../support/procfs.ts'
import { type ChosenPaths, isSameFile } from './chosen-paths.ts'
import { claimedProgram } from './claims.ts'
import { forgedPath } from './forged-paths.ts'
import { isJitProgram } from './jit.ts'
import { temporaryCodeIn, writableCodeIn, type WritableCode } from './memory.ts'
import type { NetworkSockets } from './network-sockets.ts'
import { programPathOf } from './program-path.ts'
import { descriptorsOf, isGone, linkTo, readUpTo } from './reading.ts'
import type { SeenSocket } from './sockets.ts'

/** The kernel tells no more of a command line to ps(1) either. */
const MOST_ARGUMENTS_BYTES = 4096
const MOST_MAPS_BYTES = 4_194_304
const MOST_STATUS_BYTES = 65_536
const MOST_DESCRIPTORS = 16_384
/** include/linux/sched.h. No process can give it to itself, whatever it calls itself. */
const PF_KTHREAD = 0x00200000
/** USER_HZ is 100. */
const MS_PER_TICK = 10
const UNKNOWN = '?'
const DELETED = ' (deleted)'
const SOCKET = /^socket:\[(\d+)\]$/

/** What /proc shows of a process at one look. */
export interface SeenProcess extends Omit<FoundProcess, 'readMs'> {
  readonly user: string
  /** As the graph calls it. */
  readonly name: string
  /** As in `NamedProcess`. */
  readonly script: string
  readonly comm: string
  /** It has ended, and its parent has not asked: there is nothing to see any more. */
  readonly isZombie: boolean
  /** With the pid it tells a process from all others of this boot. */
  readonly startTicks: number
  readonly cpuMs: number
  readonly rssBytes: number
  readonly tty: string | undefined
  /** 0 when nobody does. */
  readonly tracerPid: number
  /** What is called like the program now, when the file of the program is gone. */
  readonly successor: 'none' | 'of this host' | 'of another root' | undefined
  /** Path of another program, which it calls itself by. */
  readonly claimed: string | undefined
  /** Path of its program or script that leads there only for itself: see `forgedPath`. */
  readonly forged: string | undefined
  readonly writableCode: WritableCode | undefined
  /** A file in a place for temporary files, of which it executes code. */
  readonly temporaryCode: string | undefined
  /** Path of the file that its standard input is; empty for what is no file. */
  readonly inputPath: string
  readonly listening: readonly SeenSocket[]
  /** Connections that it began itself. */
  readonly outgoing: readonly SeenSocket[]
  /** What its standard input or output is, when that is a connection to another host. */
  readonly standardSocket: SeenSocket | undefined
  readonly unread: ReadonlySet<Unread>
}

/** What could not be read of a process; `cut`: all of it. */
export type Unread = 'exe' | 'memory' | 'sockets' | 'cut'

/**
 * A process by its pid; undefined when it is gone, or a kernel thread.
 * @throws when /proc cannot be read for another reason
 */
export function seeProcess(
  pid: number,
  userName: (uid: number) => string | undefined,
  networks: NetworkSockets,
  paths: ChosenPaths,
): SeenProcess | undefined {
  try {
    const stat = parseWholeStat(textAt(`/proc/${pid}/stat`))
    return stat.isKernelThread ? undefined : see(pid, stat, userName, networks, paths)
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

/** What a thread of the kernel is called; undefined when it is none, or gone. */
export function kernelThreadAt(pid: number): string | undefined {
  try {
    const { isKernelThread, comm } = parseWholeStat(textAt(`/proc/${pid}/stat`))
    return isKernelThread ? comm : undefined
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

function see(
  pid: number,
  stat: WholeStat,
  userName: (uid: number) => string | undefined,
  networks: NetworkSockets,
  paths: ChosenPaths,
): SeenProcess {
  const status = textAt(`/proc/${pid}/status`)
  const uid = numberIn(status, /^Uid:\t(\d+)/m)
  const user = userName(uid) ?? String(uid)
  const container = containerOf(textAt(`/proc/${pid}/cgroup`))
  const thread = stat.isZombie ? liveThreadOf(pid) : `/proc/${pid}`
  const found =
    thread === undefined
      ? NOTHING
      : lookInto(thread, stat.isZombie ? textAt(`${thread}/status`) : status, networks, paths)
  const program = programFound(found)
  return {
    ...{ pid, ppid: stat.ppid, uid, user, container, comm: stat.comm, ...found },
    script: program.script ?? '',
    forged:
      thread === undefined
        ? undefined
        : forgedPath(thread, { container, exe: found.exe, script: program.script ?? '', uid }, paths),
    name: processName({ container, user, ...program, origin: undefined, depth: 0 }),
    isZombie: thread === undefined,
    startTicks: stat.startTicks,
    startMs: startedMs(stat.startTicks),
    cpuMs: stat.cpuMs,
    tty: stat.tty,
  }
}

/** What only a process that still runs has. */
type Found = Pick<
  SeenProcess,
  | 'exe'
  | 'argv'
  | 'cwd'
  | 'rssBytes'
  | 'tracerPid'
  | 'successor'
  | 'claimed'
  | 'writableCode'
  | 'temporaryCode'
  | 'inputPath'
  | 'listening'
  | 'outgoing'
  | 'standardSocket'
  | 'unread'
>

const NOTHING: Found = {
  ...{ exe: UNKNOWN, argv: [], cwd: '', rssBytes: 0, tracerPid: 0, successor: undefined },
  ...{
    claimed: undefined,
    writableCode: undefined,
    temporaryCode: undefined,
    inputPath: '',
    listening: [],
    outgoing: [],
    standardSocket: undefined,
    unread: new Set(),
  },
}

/**
 * A process goes on when its first thread has ended, and /proc/PID then looks like that of one which is over.
 * @returns the directory of another thread
 */
function liveThreadOf(pid: number): string | undefined {
  const directory = `/proc/${pid}/task`
  const tid = readdirSync(directory).find((name) => name !== String(pid))
  return tid === undefined ? undefined : `${directory}/${tid}`
}

/** @param directory of a process, or of one of its threads */
function lookInto(directory: string, status: string, networks: NetworkSockets, paths: ChosenPaths): Found {
  const unread = new Set<Unread>()
  const exe = linkTo(`${directory}/exe`)
  if (exe === undefined) unread.add('exe')
  const argv = argumentsOf(directory)
  return {
    exe: exe ?? UNKNOWN,
    argv,
    cwd: linkTo(`${directory}/cwd`) ?? '',
    rssBytes: numberIn(status, /^VmRSS:\s+(\d+) kB/m) * 1024,
    tracerPid: numberIn(status, /^TracerPid:\t(\d+)/m),
    successor: exe?.endsWith(DELETED) === true ? successorOf(directory, exe, paths) : undefined,
    claimed: exe === undefined ? undefined : claimedProgram(directory, exe, argv, paths),
    ...codeOf(directory, exe ?? UNKNOWN, unread),
    inputPath: inputPathOf(directory),
    ...socketsOf(directory, numberIn(status, /^FDSize:\t(\d+)/m), networks, unread),
    unread,
  }
}

interface WholeStat {
  readonly comm: string
  readonly ppid: number
  readonly isZombie: boolean
  readonly isKernelThread: boolean
  readonly tty: string | undefined
  readonly cpuMs: number
  readonly startTicks: number
}

/** The text of `/proc/PID/stat`: see `parseStat`. Fields are counted from the state, which is field 3 of proc_pid_stat(5). */
export function parseWholeStat(stat: string): WholeStat {
  const end = stat.lastIndexOf(')')
  const fields = stat.slice(end + 2).split(' ')
  const field = (number: number): number => Number(fields[number - 3])
  const comm = stat.slice(stat.indexOf('(') + 1, end)
  return {
    comm: textOfBytes(Buffer.from(comm, 'latin1')),
    ppid: field(4),
    isZombie: /^[ZXx]/.test(fields[0] ?? ''),
    isKernelThread: (field(9) & PF_KTHREAD) !== 0,
    tty: ttyOf(field(7)),
    cpuMs: (field(14) + field(15)) * MS_PER_TICK,
    startTicks: field(22),
  }
}

/** new_encode_dev in linux/kdev_t.h; majors as in admin-guide/devices.txt of the kernel. */
function ttyOf(device: number): string | undefined {
  if (device === 0) return undefined
  const major = (device >>> 8) & 0xfff
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00)
  if (major >= 136 && major <= 143) return `pts/${minor + (major - 136) * 256}`
  if (major === 4) return minor < 64 ? `tty${minor}` : `ttyS${minor - 64}`
  return `tty ${major}:${minor}`
}

function argumentsOf(directory: string): string[] {
  const reading = readUpTo(`${directory}/cmdline`, MOST_ARGUMENTS_BYTES)
  return reading.kind === 'forbidden' ? [] : parseArguments(reading.bytes)
}

/**
 * What is called now as the program was called when it was started. A package renames the old file before the new one
 * takes its place, and some leave that name to the running program.
 */
function successorOf(directory: string, exe: string, paths: ChosenPaths): SeenProcess['successor'] {
  const path = programPathOf(exe)
  if (!path.startsWith('/') || path.startsWith('/memfd:')) return 'none'
  if (paths.fileAt(directory, path)?.isFile !== true) return 'none'
  return isSameFile(paths.fileAt(directory, '/'), paths.fileAt('/proc/self', '/'))
    ? 'of this host'
    : 'of another root'
}

/** Maps of what compiles at run time are long, and what they show is no sign. */
function codeOf(
  directory: string,
  exe: string,
  unread: Set<Unread>,
): Pick<SeenProcess, 'temporaryCode' | 'writableCode'> {
  const none = { temporaryCode: undefined, writableCode: undefined }
  if (isJitProgram(exe)) return none
  const maps = readUpTo(`${directory}/maps`, MOST_MAPS_BYTES)
  if (maps.kind === 'forbidden') {
    unread.add('memory')
    return none
  }
  if (maps.kind === 'cut') unread.add('cut')
  const text = maps.bytes.toString('latin1')
  const temporary = temporaryCodeIn(text)
  return {
    writableCode: writableCodeIn(text),
    temporaryCode: temporary === undefined ? undefined : textOfBytes(Buffer.from(temporary, 'latin1')),
  }
}

function inputPathOf(directory: string): string {
  const target = targetOf(`${directory}/fd/0`)
  return target.startsWith('/') ? target : ''
}

function socketsOf(
  directory: string,
  slots: number,
  networks: NetworkSockets,
  unread: Set<Unread>,
): Pick<SeenProcess, 'listening' | 'outgoing' | 'standardSocket'> {
  const known = networks.of(directory)
  const descriptors = descriptorsOf(directory, slots, MOST_DESCRIPTORS)
  if (known === undefined || descriptors === undefined) {
    unread.add('sockets')
    return { listening: [], outgoing: [], standardSocket: undefined }
  }
  if (descriptors.isCut || known.isCut) unread.add('cut')
  const inodes = new Set<string>()
  const listening: SeenSocket[] = []
  const outgoing: SeenSocket[] = []
  let standardSocket: SeenSocket | undefined
  for (const fd of descriptors.fds) {
    const inode = SOCKET.exec(targetOf(`${directory}/fd/${fd}`))?.[1] ?? ''
    const socket = known.byInode.get(inode)
    if (socket === undefined) continue
    if ((fd === '0' || fd === '1') && socket.state === 'connected') standardSocket = socket
    if (inodes.has(inode)) continue
    inodes.add(inode)
    if (socket.state === 'listening') listening.push(socket)
    else if (socket.state !== 'other' && !known.served.has(socket.localPort)) outgoing.push(socket)
  }
  return { listening, outgoing, standardSocket }
}

/** A descriptor that was closed meanwhile points nowhere. */
function targetOf(path: string): string {
  try {
    return linkTo(path) ?? ''
  } catch {
    return ''
  }
}

function textAt(path: string): string {
  const reading = readUpTo(path, MOST_STATUS_BYTES)
  return reading.kind === 'forbidden' ? '' : reading.bytes.toString('latin1')
}

/** 0 when it is not there. */
const numberIn = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0)
