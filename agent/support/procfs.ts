import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Boot, FoundProcess, World } from '../domain/activity.ts'
import { textOfBytes } from '../parse/text.ts'
import { PackageFiles } from './package-files.ts'

const PROC = '/proc'
const PASSWD = '/etc/passwd'
const DELETED_ROOT = /^\/proc\/\d+\/root/
/** Fields 4 and 22 of proc_pid_stat(5), counted from the state, which is field 3. */
const PPID_FIELD = 1
const START_FIELD = 19
/** USER_HZ is 100 on every architecture that is audited here, whatever the kernel's own HZ. */
const MS_PER_TICK = 10
const DELETED = ' (deleted)'
const USERS_GOOD_FOR_MS = 10_000

/** Every process that is no kernel thread, as /proc shows it now. */
export function snapshot(): FoundProcess[] {
  return readdirSync(PROC)
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? [])
}

/** A process by its pid; undefined when it is gone, or a kernel thread. */
export function readProcess(pid: number): FoundProcess | undefined {
  const directory = `${PROC}/${pid}`
  try {
    const { ppid, startTicks } = parseStat(readFileSync(`${directory}/stat`, 'latin1'))
    return {
      pid,
      ppid,
      uid: realUid(readFileSync(`${directory}/status`, 'latin1')),
      exe: linkAt(`${directory}/exe`),
      argv: parseArguments(readFileSync(`${directory}/cmdline`)),
      cwd: linkAt(`${directory}/cwd`).replace(DELETED_ROOT, ''),
      container: containerOf(readFileSync(`${directory}/cgroup`, 'latin1')),
      startMs: startedMs(startTicks),
      readMs: Date.now(),
    }
  } catch {
    return undefined
  }
}

/** A name need not be UTF-8; it is written as the names of the log are. */
const linkAt = (path: string): string => textOfBytes(readlinkSync(path, 'buffer'))

/** Each argument ends with NUL; who wrote over its own arguments may have left none at the end. */
export function parseArguments(cmdline: Buffer): string[] {
  if (cmdline.length === 0) return []
  const text = cmdline.toString('latin1')
  return (text.endsWith('\0') ? text.slice(0, -1) : text)
    .split('\0')
    .map((word) => textOfBytes(Buffer.from(word, 'latin1')))
}

/** `Uid: REAL EFFECTIVE SAVED FILESYSTEM` in `/proc/PID/status`; the owner of /proc/PID is the effective one. */
function realUid(status: string): number {
  const uid = /^Uid:\t(\d+)/m.exec(status)?.[1]
  if (uid === undefined) throw new Error('there is no Uid in this status')
  return Number(uid)
}

/**
 * The parent and the start from the text of `/proc/PID/stat`, the start in ticks since the boot. The command name stands
 * in parentheses, unescaped, and a process may call itself `a) R 1 (b`: only the last `)` can be trusted, see proc(5).
 */
export function parseStat(stat: string): { ppid: number; startTicks: number } {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { ppid: Number(fields[PPID_FIELD]), startTicks: Number(fields[START_FIELD]) }
}

/** Unix time of so many ticks after the boot, by the clock as it is now. 0, always, when that cannot be. */
export function startedMs(ticks: number): number {
  const nowMs = Date.now()
  const upMs = Number.parseFloat(readFileSync(`${PROC}/uptime`, 'latin1')) * 1000
  const startMs = Math.round(nowMs - upMs + ticks * MS_PER_TICK)
  // In a container LXC shows the time since the container's start, so that processes seem to start in the future.
  return startMs <= nowMs + MS_PER_TICK ? startMs : 0
}

/**
 * `docker-<64 hex>.scope`, `/docker/<64 hex>`, `libpod-…`, `cri-containerd-…`, `:cri-containerd:…`, `crio-…` and kubepods
 * all have the id in the path, at its end or, with systemd inside, in its middle. conmon only watches a container.
 */
const CONTAINER_ID = /(?<=[/:-])(?<!conmon-)[0-9a-f]{64}(?=[./\n]|$)/g
/** LXC and systemd-nspawn name their machines; what runs `supervisor` and `lxc.monitor` is the host. */
const MACHINE =
  /\/lxc(?:\.payload[./]|\/)([^/\n]+)|\/machine\.slice\/(?:machine-|systemd-nspawn@)([^/\n]+)\.(?:scope|service)(?!\/supervisor)/

/** The container from the text of `/proc/PID/cgroup`: 12 digits of its id, or its name; empty on the host itself. */
export function containerOf(cgroup: string): string {
  // Of containers in a container the innermost.
  const line = cgroup.split('\n').find((each) => each.search(CONTAINER_ID) !== -1)
  const id = line?.match(CONTAINER_ID)?.at(-1)
  if (id !== undefined) return id.slice(0, 12)
  const machine = MACHINE.exec(cgroup)
  const name = (machine?.[1] ?? machine?.[2] ?? '').replaceAll('\\x2d', '-')
  // Who may make cgroups may name them as he likes, and the name becomes part of a printed one.
  return name.replace(/[^\w.@+-]/g, '_')
}

/** User names from /etc/passwd, read again at most every ten seconds and only when the file changed. */
class UserNames {
  private names = new Map<number, string>()
  private lookedMs = Number.NEGATIVE_INFINITY
  private changedMs = -1

  get(uid: number): string | undefined {
    if (Date.now() - this.lookedMs > USERS_GOOD_FOR_MS) this.refresh()
    return this.names.get(uid)
  }

  private refresh(): void {
    this.lookedMs = Date.now()
    try {
      const { mtimeMs } = statSync(PASSWD)
      if (mtimeMs === this.changedMs) return
      this.changedMs = mtimeMs
      this.names = parsePasswd(readFileSync(PASSWD, 'utf8'))
    } catch {
      // While somebody writes a new one the old names are better than none.
    }
  }
}

/** passwd(5). Of several names for one uid the first counts, as getpwuid(3) has it. */
export function parsePasswd(text: string): Map<number, string> {
  const names = new Map<number, string>()
  for (const line of text.split('\n')) {
    const [name = '', , uid = ''] = line.split(':')
    if (name !== '' && /^\d+$/.test(uid) && !names.has(Number(uid))) names.set(Number(uid), name)
  }
  return names
}

/** Which boot this is. */
export function bootOf(): Boot {
  const upMs = Number.parseFloat(readFileSync(`${PROC}/uptime`, 'latin1')) * 1000
  const id = readFileSync(`${PROC}/sys/kernel/random/boot_id`, 'latin1').trim()
  return { id, startMs: Math.round(Date.now() - upMs) }
}

/** One for all who ask: a host has some hundred thousand files, and nothing is read before somebody asks. */
const packages = new PackageFiles()

/** This host, as the core of a live agent may ask about it. */
export function thisHost(): World {
  const users = new UserNames()
  return {
    userName: (uid) => users.get(uid),
    isThisHost,
    findProcess: readProcess,
    containerOf: (pid) => {
      try {
        return containerOf(readFileSync(`${PROC}/${pid}/cgroup`, 'latin1'))
      } catch {
        return undefined
      }
    },
    descriptorPath,
    packagedMs: (path) => packages.changedMs(path),
  }
}

/** auditd.conf(5), name_format: the name of the host, or that with its domain. */
function isThisHost(node: string): boolean {
  const name = hostname()
  return node === name || (!name.includes('.') && node.startsWith(`${name}.`))
}

/**
 * Where a descriptor points to. Descriptors are used again within milliseconds, so it is only believed while it is the
 * file with this inode number.
 */
function descriptorPath(pid: number, fd: number, inode: number): string | undefined {
  try {
    if (inodeOf(pid, fd) !== inode) return undefined
    const path = linkAt(`${PROC}/${pid}/fd/${fd}`)
    // It may have been closed and opened again between the two.
    if (inodeOf(pid, fd) !== inode) return undefined
    return path.endsWith(DELETED) ? path.slice(0, -DELETED.length) : path
  } catch {
    return undefined
  }
}

/** `ino` of proc_pid_fdinfo(5), the number that audit logs; before Linux 5.14 what stat(2) says. */
function inodeOf(pid: number, fd: number): number {
  const text = /^ino:\t(\d+)$/m.exec(readFileSync(`${PROC}/${pid}/fdinfo/${fd}`, 'latin1'))?.[1]
  return text === undefined ? statSync(`${PROC}/${pid}/fd/${fd}`).ino : Number(text)
}
