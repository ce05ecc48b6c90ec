import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import type { FoundProcess, World } from '../domain/activity.ts'

const PROC = '/proc'
const PASSWD = '/etc/passwd'
const DELETED_ROOT = /^\/proc\/\d+\/root/
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
    const { ppid } = parseStat(readFileSync(`${directory}/stat`, 'latin1'))
    return {
      pid,
      ppid,
      uid: statSync(directory).uid,
      exe: readlinkSync(`${directory}/exe`),
      argv: readFileSync(`${directory}/cmdline`, 'utf8').split('\0').slice(0, -1),
      cwd: readlinkSync(`${directory}/cwd`).replace(DELETED_ROOT, ''),
      container: containerOf(readFileSync(`${directory}/cgroup`, 'latin1')),
    }
  } catch {
    return undefined
  }
}

/**
 * The parent from the text of `/proc/PID/stat`. The command name stands in parentheses, unescaped, and a process may call
 * itself `a) R 1 (b`: only the last `)` can be trusted, see proc(5).
 */
export function parseStat(stat: string): { ppid: number } {
  const [, ppid = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { ppid: Number(ppid) }
}

/** `docker-<64 hex>.scope`, `/docker/<64 hex>`, `libpod-…`, `cri-containerd-…`, `crio-…` and kubepods all end in the id. */
const CONTAINER_ID = /([0-9a-f]{64})(?:\.scope)?(?:\/[^/]*)?$/m
/** LXC and systemd-nspawn name their machines. */
const MACHINE =
  /\/(?:lxc(?:\.payload\.|\/)([^/\n]+)|machine\.slice\/(?:machine-|systemd-nspawn@)(.+?)\.(?:scope|service))/

/** The container from the text of `/proc/PID/cgroup`: 12 digits of its id, or its name; empty on the host itself. */
export function containerOf(cgroup: string): string {
  const id = CONTAINER_ID.exec(cgroup)?.[1]
  if (id !== undefined) return id.slice(0, 12)
  const machine = MACHINE.exec(cgroup)
  return machine?.[1] ?? machine?.[2] ?? ''
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
      this.names = new Map()
    }
  }
}

/** passwd(5). Of several names for one uid the first counts, as getpwuid(3) has it. */
export function parsePasswd(text: string): Map<number, string> {
  const names = new Map<number, string>()
  for (const line of text.split('\n')) {
    const [name = '', , uid = ''] = line.split(':')
    if (/^\d+$/.test(uid) && !names.has(Number(uid))) names.set(Number(uid), name)
  }
  return names
}

/** This host, as the core of a live agent may ask about it. */
export function thisHost(): World {
  const users = new UserNames()
  return {
    userName: (uid) => users.get(uid),
    findProcess: readProcess,
    containerOf: (pid) => {
      try {
        return containerOf(readFileSync(`${PROC}/${pid}/cgroup`, 'latin1'))
      } catch {
        return undefined
      }
    },
    descriptorPath: (pid, fd) => {
      try {
        return readlinkSync(`${PROC}/${pid}/fd/${fd}`)
      } catch {
        return undefined
      }
    },
  }
}
