import type { FoundProcess, ProcessImage, World } from '../domain/activity.ts'
import type { AuditEvent } from '../domain/event.ts'
import type { SyscallRecord } from '../domain/record.ts'
import { PidClock } from './pid-clock.ts'
import { Recent } from './recent.ts'
import { scriptOf } from './script.ts'
import { absolutePath } from './path.ts'

/** Tasks beyond this number are forgotten, the longest unseen first. */
const MOST_TASKS = 65_536
const DEEPEST_CHAIN = 32
const KEPT_OF_DEEP_CHAIN = 8
const DELETED = ' (deleted)'
const INIT = 1
const ROOT = 0

/** A pid at a time: what runs there, and who started it. */
interface Task {
  readonly image: ProcessImage
  readonly ppid: number
  /** When it was last seen to be there, by the order of pids. */
  seen: number
  /** Has started programs: daemons and shells do, and may then be silent for as long as they like. */
  isParent: boolean
  /** Had effective uid 0 when last seen, so that its children may run as anybody. */
  isPrivileged: boolean
}

/**
 * Which program runs under which pid, from what the log tells and what /proc showed at the start.
 *
 * An image is born at an exec or inherited at a fork. Forks are not logged, so a pid that was never seen is the child of
 * its ppid as long as it still shows the parent's exe. A pid is reused sooner than one thinks: what was known of it is
 * believed only while exe, parent and the order of pids agree.
 */
export class ProcessTable {
  private readonly tasks = new Recent<number, Task>(MOST_TASKS)
  private readonly pids = new PidClock()
  private readonly world: World

  constructor(world: World) {
    this.world = world
  }

  /** Takes the processes that /proc shows, in any order. */
  seed(found: readonly FoundProcess[]): void {
    const byPid = new Map(found.map((process) => [process.pid, process]))
    const place = (process: FoundProcess, depth: number): ProcessImage => {
      const known = this.tasks.get(process.pid)
      if (known !== undefined) return known.image
      const parent = byPid.get(process.ppid)
      const origin = parent === undefined || depth > DEEPEST_CHAIN ? undefined : place(parent, depth + 1)
      const image = this.imageOf(process, origin)
      this.put(process.pid, image, process.ppid, process.uid === ROOT)
      return image
    }
    for (const process of found) place(process, 0)
  }

  /** The process that made a call which was not a successful exec. */
  actor(call: SyscallRecord): ProcessImage {
    const image = this.imageNow(call)
    const user = this.userOf(call)
    const acting = image.user === user ? image : changedUser(image, user)
    const task = this.tasks.get(call.pid)
    if (task?.image === acting && task.ppid === call.ppid) {
      task.seen = this.pids.now
      task.isPrivileged = call.euid === ROOT
    } else this.put(call.pid, acting, call.ppid, call.euid === ROOT)
    return acting
  }

  /** A process that was replaced by another program: what it was, and what it is now. */
  exec(event: AuditEvent, call: SyscallRecord): { before: ProcessImage; after: ProcessImage } {
    this.pids.tick(call.pid)
    const before = this.imageBeforeExec(call)
    const exe = call.exe ?? '?'
    const script = scriptOf(exe, event.argv, event.paths)
    const after = image(
      this.world.containerOf(call.pid) ?? before.container,
      this.userOf(call),
      exe,
      placed(script, event.cwd),
      before,
    )
    this.put(call.pid, after, call.ppid, call.euid === ROOT)
    return { before, after }
  }

  /** What a process is with effective uid 0; an ENRICHED log has names for ids, so the user is called root there. */
  asRoot(actor: ProcessImage, call: SyscallRecord): ProcessImage {
    return changedUser(actor, call.user === undefined ? (this.world.userName(ROOT) ?? String(ROOT)) : 'root')
  }

  /** The process ended; its pid is free. */
  exit(pid: number): void {
    this.tasks.delete(pid)
  }

  /** The process with this pid; when nobody knows it, it is named `[comm]`, as ps(1) does for those without an exe. */
  target(pid: number, uid: number, comm: string): ProcessImage {
    const task = this.tasks.get(pid)
    if (task !== undefined) return task.image
    const found = this.world.findProcess(pid)
    if (found !== undefined) return this.imageOf(found, undefined)
    return image('', this.world.userName(uid) ?? String(uid), `[${comm}]`, undefined, undefined)
  }

  private imageNow(call: SyscallRecord): ProcessImage {
    const exe = call.exe ?? '?'
    const task = this.current(call.pid)
    const parent = this.current(call.ppid)
    const isParentsFork = parent !== undefined && isSameExe(parent.image.exe, exe)
    if (task !== undefined && isSameExe(task.image.exe, exe)) {
      // Another parent: a new process in an old pid, or an orphan that init or a subreaper adopted.
      const isSameProcess = task.ppid === call.ppid || call.ppid === INIT || !isParentsFork
      if (isSameProcess) return task.image
    }
    if (isParentsFork) return parent.image
    const found = this.world.findProcess(call.pid)
    if (found !== undefined && isSameExe(found.exe, exe)) return this.imageOf(found, parent?.image)
    return image(parent?.image.container ?? '', this.userOf(call), exe, undefined, parent?.image)
  }

  private imageBeforeExec(call: SyscallRecord): ProcessImage {
    const user = this.userOf(call)
    const own = this.tasks.get(call.pid)
    const isItself = own !== undefined && canBecome(own, user)
    // Who execs has mostly just been forked: an old pid that was passed since is rather a new process than that old one.
    const isRecent = isItself && !this.pids.hasPassed(call.pid, own.seen)
    if (isRecent && (own.ppid === call.ppid || call.ppid === INIT)) return own.image
    const parent = this.current(call.ppid)
    if (parent !== undefined && canBecome(parent, user)) {
      parent.isParent = true
      return parent.image
    }
    if (isRecent) return own.image
    const found = this.world.findProcess(call.ppid)
    if (found !== undefined) return this.imageOf(found, undefined)
    return image('', user, '?', undefined, undefined)
  }

  /** What is known of a pid, unless the order of pids has passed it since and nobody would have told. */
  private current(pid: number): Task | undefined {
    const task = this.tasks.get(pid)
    if (task === undefined || task.isParent || !this.pids.hasPassed(pid, task.seen)) return task
    return undefined
  }

  private imageOf(found: FoundProcess, origin: ProcessImage | undefined): ProcessImage {
    const script = scriptOf(found.exe, found.argv, [])
    return image(
      found.container,
      this.world.userName(found.uid) ?? String(found.uid),
      found.exe.endsWith(DELETED) && !found.exe.startsWith('/memfd:')
        ? found.exe.slice(0, -DELETED.length)
        : found.exe,
      placed(script, found.cwd),
      origin,
    )
  }

  private userOf(call: SyscallRecord): string {
    return call.user ?? this.world.userName(call.uid) ?? String(call.uid)
  }

  private put(pid: number, image: ProcessImage, ppid: number, isPrivileged: boolean): void {
    this.tasks.set(pid, { image, ppid, seen: this.pids.now, isParent: false, isPrivileged })
  }
}

/** A script as a path, seen from the current directory; a module has none. */
const placed = (script: string | undefined, cwd: string | undefined): string | undefined =>
  script === undefined || script.startsWith('-m ') ? script : absolutePath(script, cwd)

/** An exec and a fork keep the real uid; only the privileged change it. What contradicts that is a pid used again. */
const canBecome = (task: Task, user: string): boolean => task.isPrivileged || task.image.user === user

function image(
  container: string,
  user: string,
  exe: string,
  script: string | undefined,
  origin: ProcessImage | undefined,
): ProcessImage {
  const kept =
    origin !== undefined && origin.depth >= DEEPEST_CHAIN ? shortened(origin, KEPT_OF_DEEP_CHAIN) : origin
  return { container, user, exe, script, origin: kept, depth: kept === undefined ? 0 : kept.depth + 1 }
}

/** The same image with only its nearest origins, so that a process which execs for ever does not keep its whole past. */
function shortened(deep: ProcessImage, levels: number): ProcessImage {
  const origin = levels > 1 && deep.origin !== undefined ? shortened(deep.origin, levels - 1) : undefined
  return { ...deep, origin, depth: origin === undefined ? 0 : origin.depth + 1 }
}

/** A program that switches to a user and back again is what it was before. */
function changedUser(now: ProcessImage, user: string): ProcessImage {
  const { origin } = now
  const isBack =
    origin?.user === user &&
    origin.exe === now.exe &&
    origin.script === now.script &&
    origin.container === now.container
  return isBack ? origin : image(now.container, user, now.exe, now.script, now)
}

/** The kernel adds ` (deleted)` to the name of a running program whose file is gone. */
function isSameExe(known: string, seen: string): boolean {
  if (known === seen) return true
  return seen.length === known.length + DELETED.length && seen.startsWith(known) && seen.endsWith(DELETED)
}
