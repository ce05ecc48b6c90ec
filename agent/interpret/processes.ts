import type { Ancestor, FoundProcess, ProcessImage, World } from '../domain/activity.ts'
import type { AuditEvent } from '../domain/event.ts'
import type { SyscallRecord } from '../domain/record.ts'
import type { StateEntry, StateWriter } from '../domain/state.ts'
import { charactersOf, Images, MOST_ANCESTORS, withOrigins } from './images.ts'
import { PidClock } from './pid-clock.ts'
import { Recent } from './recent.ts'
import { scriptOf } from './script.ts'
import { absolutePath } from './path.ts'

/** Tasks beyond this number are forgotten, the longest unseen first. */
const MOST_TASKS = 65_536
/** Characters of the images that were made since tasks were forgotten last. */
const MOST_CHARACTERS = 4_000_000
const DELETED = ' (deleted)'
const UNKNOWN_EXE = '?'
const INIT = 1
/** How far below the pid of a fork that of who forked it may be, with forks between. */
const NEAR_PIDS = 16
/** PID_MAX_LIMIT of the kernel (include/linux/threads.h). A line may say what it likes. */
const HIGHEST_PID = 2 ** 22
/** Parent of a process of which nobody knows the parent. */
const NOBODY = 0
const ROOT = 0
/** Stamps are taken with a coarse clock, and starts are counted in hundredths of a second since the boot. */
const CLOCK_TOLERANCE_MS = 1000

/** A pid at a time: what runs there, and who started it. */
interface Task {
  readonly image: ProcessImage
  readonly ppid: number
  /** Stamp of the first event that showed it, or when /proc said that it was forked; it is at least that old. */
  readonly sinceMs: number
  /** The same for the process itself, whatever programs it has become. */
  readonly bornMs: number
  /**
   * When /proc has shown it, in Unix milliseconds, and 0 when the log did: what happened before `sinceMs` was done by another
   * process with this pid, and until it was shown it may have been another program.
   */
  readonly foundMs: number
  /** When it was last seen to be there, by the order of pids. */
  seen: number
  /** Has started processes: daemons and shells do, and may then be silent for as long as they like. */
  isParent: boolean
  /** Had effective uid 0 when last seen, so that its children may run as anybody. */
  isPrivileged: boolean
  /** Had it at some time since its last exec, so that it may have kept the right to take it back. */
  hadRoot: boolean
  /** Is a parent to whoever it leaves behind, and no more than that. */
  hasEnded: boolean
}

/** What the state keeps of a task: `image` by its number, `generation` as in `Recent`. */
type TaskState = readonly [
  image: number,
  ppid: number,
  sinceMs: number,
  // 1 in what was written before it was a time.
  foundMs: number,
  seen: number,
  isParent: 0 | 1,
  isPrivileged: 0 | 1,
  generation: number,
  bornMs: number,
  // Absent in what was written before there were these.
  hadRoot?: 0 | 1,
  hasEnded?: 0 | 1,
]
type ProcessesState = readonly [
  generation: number,
  charactersMade: number,
  shed: number,
  pids: readonly number[],
]

/**
 * Which program runs under which pid, from what the log tells and what /proc showed at the start.
 *
 * An image is born at an exec or inherited at a fork. Forks are not logged, so a pid that was never seen is the child of
 * its ppid as long as it still shows the parent's exe. A pid is reused sooner than one thinks: what was known of it is
 * believed only while exe, parent and the order of pids agree.
 */
export class ProcessTable {
  /** Processes that were forgotten before their time, because there were too many long names. */
  shed = 0
  private readonly tasks: Recent<number, Task>
  private readonly pids = new PidClock()
  private readonly images = new Images()
  private readonly world: World

  /** @param tracksChanges for `drain` */
  constructor(world: World, tracksChanges = false) {
    this.world = world
    this.tasks = new Recent(MOST_TASKS, tracksChanges)
  }

  /** Takes the processes that /proc shows, in any order. */
  seed(found: readonly FoundProcess[]): void {
    const byPid = new Map(found.map((process) => [process.pid, process]))
    const place = (process: FoundProcess, depth: number): ProcessImage => {
      const known = this.tasks.get(process.pid)
      if (known !== undefined) return known.image
      const parent = byPid.get(process.ppid)
      const origin = parent === undefined || depth > MOST_ANCESTORS ? undefined : place(parent, depth + 1)
      return this.remember(process, origin).image
    }
    for (const process of found) place(process, 0)
  }

  /** Nothing that was known holds any more: the host was booted. */
  forgetAll(): void {
    for (const pid of [...this.tasks.keys()]) this.tasks.delete(pid)
    this.pids.resume([])
  }

  /** Writes what has changed since the last time. */
  drain(writer: StateWriter): void {
    for (const { key, value, generation } of this.tasks.changes()) {
      if (value === undefined) writer.remove('task', String(key))
      else writer.put('task', String(key), this.stateOf(value, generation, writer))
    }
    if (this.images.hasMuchWaste) this.images.removeWaste(imagesOf(this.tasks.values()), writer)
  }

  /** What `resume` takes. */
  get memory(): ProcessesState {
    return [this.tasks.generation, this.images.charactersMade, this.shed, this.pids.memory]
  }

  /** Goes on where another table stopped. */
  resume(
    [generation, charactersMade, shed, pids]: ProcessesState,
    images: Iterable<StateEntry>,
    tasks: Iterable<StateEntry>,
  ): void {
    const imageOf = this.images.restore(images)
    this.shed = shed
    this.pids.resume(pids)
    this.tasks.resume(generation)
    for (const { key, value } of tasks) {
      const [number, ppid, sinceMs, foundMs, seen, isParent, isPrivileged, half, bornMs, hadRoot, hasEnded] =
        value as TaskState
      const task: Task = {
        image: imageOf(number),
        ppid,
        sinceMs,
        bornMs,
        foundMs,
        seen,
        isParent: isParent === 1,
        isPrivileged: isPrivileged === 1,
        hadRoot: (hadRoot ?? isPrivileged) === 1,
        hasEnded: hasEnded === 1,
      }
      this.tasks.place({ key: Number(key), value: task, generation: half })
    }
    // Behind the tasks, whose images are made here and were counted before.
    this.images.charactersMade = charactersMade
  }

  /** Whoever is about to make a call, as far as that was seen: of a fork, what its parent is. */
  before(
    call: SyscallRecord,
    timeMs: number,
  ): { readonly image: ProcessImage; readonly hadRoot: boolean } | undefined {
    const tasks = [this.current(call.pid, timeMs), this.current(call.ppid, timeMs)]
    const task = tasks.find(
      (each) => each !== undefined && isSameExe(each.image.exe, call.exe ?? UNKNOWN_EXE),
    )
    return task === undefined ? undefined : { image: task.image, hadRoot: task.hadRoot }
  }

  /** The process that made a call which was not a successful exec. */
  actor(call: SyscallRecord, timeMs: number): ProcessImage {
    const user = this.userOf(call)
    const task = this.current(call.pid, timeMs)
    const now = this.imageNow(call, task, user, timeMs)
    const acting = now.user === user ? now : this.images.changedUser(now, user)
    this.saw(call, task?.image === now ? task : undefined, acting, timeMs)
    return acting
  }

  /** The process that io_uring worked for: of it nothing is told but its pid, its parent's and its user. */
  uringActor(call: SyscallRecord, timeMs: number): ProcessImage {
    const user = this.userOf(call)
    const task = this.current(call.pid, timeMs)
    const now = task?.image ?? this.foundOrUnknown(call, user, timeMs)
    const acting = now.user === user ? now : this.images.changedUser(now, user)
    // What is not known is not remembered either, and does not stand in the way of what is told later.
    if (acting.exe !== UNKNOWN_EXE) this.saw(call, task, acting, timeMs)
    return acting
  }

  /** A process that was replaced by another program: what it was, and what it is now. */
  exec(
    event: AuditEvent,
    call: SyscallRecord,
  ): { before: ProcessImage; after: ProcessImage; hadRoot: boolean } {
    this.pids.tick(call.pid)
    const { timeMs } = event.id
    const user = this.userOf(call)
    const own = this.running(call.pid, timeMs)
    const hadRoot = (own ?? this.current(call.ppid, timeMs))?.isPrivileged ?? false
    const before = this.imageBeforeExec(call, user, timeMs)
    const exe = call.exe ?? UNKNOWN_EXE
    const after = this.images.of(
      this.world.containerOf(call.pid) ?? before.container,
      user,
      exe,
      placed(scriptOf(exe, event.argv, event.paths), event.cwd),
      before,
    )
    const isOwn = own !== undefined && (own.image === before || own.foundMs > timeMs)
    const bornMs = isOwn ? own.bornMs : timeMs
    this.put(call, after, { sinceMs: timeMs, bornMs, isParent: false, seen: this.pids.pointOf(call.pid) })
    if (this.images.charactersMade > MOST_CHARACTERS) this.shedTasks()
    return { before, after, hadRoot }
  }

  /** What a process is with effective uid 0; an ENRICHED log has names for ids, so the user is called root there. */
  asRoot(actor: ProcessImage, call: SyscallRecord): ProcessImage {
    return this.images.changedUser(
      actor,
      call.user === undefined ? (this.world.userName(ROOT) ?? String(ROOT)) : 'root',
    )
  }

  /**
   * The process ends. It is not forgotten: a child that acts in the same moment still bears its pid as that of its parent.
   */
  exit(pid: number): void {
    const task = this.tasks.get(pid)
    if (task === undefined) return
    task.hasEnded = true
    this.tasks.touch(pid)
  }

  /**
   * The process with this pid, and when it is told, this exe; when nobody knows it, it is named `[comm]`, as ps(1) does for
   * those without an exe.
   */
  target(pid: number, uid: number, comm: string, timeMs: number, exe?: string): ProcessImage {
    const task = this.current(pid, timeMs)
    if (task !== undefined && (exe === undefined || isSameExe(task.image.exe, exe))) return task.image
    const found = this.find(pid, timeMs)
    if (found !== undefined && (exe === undefined || isSameExe(found.exe, exe)))
      return this.imageOf(found, undefined)
    const user = this.world.userName(uid) ?? String(uid)
    return this.images.of('', user, exe ?? `[${comm}]`, undefined, undefined)
  }

  /** The process with this pid and those that it descends from, as far as they are known, nearest first. */
  lineage(pid: number, timeMs: number): Ancestor[] {
    const ancestors: Ancestor[] = []
    const pids = new Set<number>()
    for (let at = pid; !pids.has(at) && ancestors.length < MOST_ANCESTORS;) {
      const task = this.current(at, timeMs)
      if (task === undefined) break
      pids.add(at)
      const { image, ppid, sinceMs, bornMs } = task
      ancestors.push({ pid: at, ppid, image, sinceMs, bornMs })
      at = ppid
    }
    return ancestors
  }

  private imageNow(call: SyscallRecord, task: Task | undefined, user: string, timeMs: number): ProcessImage {
    const exe = call.exe ?? UNKNOWN_EXE
    const isTasksExe = task !== undefined && isSameExe(task.image.exe, exe)
    if (isTasksExe && (task.ppid === call.ppid || call.ppid === INIT)) return task.image
    const parent = this.current(call.ppid, timeMs)
    // Another parent: a new process in an old pid, or an orphan that a subreaper adopted.
    if (parent !== undefined && isSameExe(parent.image.exe, exe)) {
      this.becameParent(call.ppid, parent)
      return parent.image
    }
    if (isTasksExe) return task.image
    const found = this.find(call.pid, timeMs)
    if (found !== undefined && isSameExe(found.exe, exe)) return this.imageOf(found, parent?.image)
    return (
      this.forkOfNear(call, exe, user, timeMs)?.image ??
      this.images.of(parent?.image.container ?? '', user, exe, undefined, parent?.image)
    )
  }

  /**
   * Who forked a process whose parent made no call that is audited, or is gone: sudo has such a one for the terminal, rsync
   * one that sends. It runs the same program, or the exec would have been seen, and has a pid a little lower; several of
   * different descent may all be wrong.
   */
  private forkOfNear(
    { pid, ppid }: SyscallRecord,
    exe: string,
    user: string,
    timeMs: number,
  ): Task | undefined {
    const isParentUnseen = ppid > INIT && this.current(ppid, timeMs) === undefined
    // A fork between is younger than who forked it; what is younger than the parent is a sibling.
    const before = isParentUnseen ? ppid : pid
    if (before > pid || pid > HIGHEST_PID || exe === UNKNOWN_EXE) return undefined
    let near: { readonly pid: number; readonly task: Task } | undefined
    for (let at = before - 1; at > Math.max(INIT, pid - NEAR_PIDS); at--) {
      if (this.tasks.get(at)?.image.exe !== exe) continue
      const task = this.current(at, timeMs)
      if (task === undefined || !canBecome(task, user)) continue
      if (near !== undefined && asStarted(near.task.image) !== asStarted(task.image)) return undefined
      near ??= { pid: at, task }
    }
    if (near !== undefined && isParentUnseen) {
      const { image } = near.task
      this.becameParent(near.pid, near.task)
      // Of its rights nothing is known, so it is not taken for one that was seen.
      const unseen = this.images.of(image.container, image.user, UNKNOWN_EXE, undefined, image)
      this.between(ppid, unseen, near.pid, timeMs)
    }
    return near?.task
  }

  /** A process that is known by its children only. */
  private between(pid: number, image: ProcessImage, ppid: number, timeMs: number): void {
    const times = { sinceMs: timeMs, bornMs: timeMs, foundMs: 0, seen: this.pids.now }
    const rights = { isPrivileged: false, hadRoot: false }
    this.tasks.set(pid, { image, ppid, ...times, ...rights, isParent: true, hasEnded: false })
  }

  private foundOrUnknown(call: SyscallRecord, user: string, timeMs: number): ProcessImage {
    const parent = this.current(call.ppid, timeMs)?.image
    const found = this.find(call.pid, timeMs)
    if (found !== undefined) return this.imageOf(found, parent)
    return this.images.of(parent?.container ?? '', user, UNKNOWN_EXE, undefined, parent)
  }

  private imageBeforeExec(call: SyscallRecord, user: string, timeMs: number): ProcessImage {
    // Who execs has mostly just been forked: an old pid that was passed since is rather a new process than that old one.
    const own = this.running(call.pid, timeMs)
    const isItself = own !== undefined && own.foundMs <= timeMs && canBecome(own, user)
    if (isItself && (own.ppid === call.ppid || call.ppid === INIT)) return own.image
    const parent = this.current(call.ppid, timeMs)
    if (parent !== undefined && canBecome(parent, user)) {
      this.becameParent(call.ppid, parent)
      return parent.image
    }
    if (isItself) return own.image
    const found = this.find(call.ppid, timeMs)
    if (found === undefined) return this.unknownParent(call, user, timeMs)
    const task = this.remember(found, this.current(found.ppid, timeMs)?.image)
    this.becameParent(call.ppid, task)
    return task.image
  }

  /** A shell's subshell, or what sudo puts between: it never execs, and is known by its children only, who belong together. */
  private unknownParent({ ppid }: SyscallRecord, user: string, timeMs: number): ProcessImage {
    const image = this.images.of('', user, UNKNOWN_EXE, undefined, undefined)
    if (ppid <= INIT || this.current(ppid, timeMs) !== undefined) return image
    this.between(ppid, image, NOBODY, timeMs)
    return image
  }

  /** Of whoever execs, and so has not ended. */
  private running(pid: number, timeMs: number): Task | undefined {
    const task = this.current(pid, timeMs, false)
    return task?.hasEnded === true ? undefined : task
  }

  private becameParent(pid: number, task: Task): void {
    if (task.isParent) return
    task.isParent = true
    this.tasks.touch(pid)
  }

  /**
   * What is known of a pid, unless it was used again since: /proc tells by when the process there was forked, and without
   * it the order of pids has passed the pid. `trustsParents`: that does not count for one that has started processes.
   */
  private current(pid: number, timeMs: number, trustsParents = true): Task | undefined {
    const task = this.tasks.get(pid)
    if (task === undefined || (task.foundMs > 0 && task.sinceMs > timeMs + CLOCK_TOLERANCE_MS))
      return undefined
    if (!this.pids.hasPassed(pid, task.seen)) return task
    const found = this.world.findProcess(pid)
    if (found === undefined) return trustsParents && task.isParent && !task.hasEnded ? task : undefined
    if (found.startMs > task.sinceMs + CLOCK_TOLERANCE_MS) return undefined
    if (task.seen !== this.pids.now) {
      task.seen = this.pids.now
      this.tasks.touch(pid)
    }
    return task
  }

  /** The process that /proc shows under a pid, unless it was forked after the event. */
  private find(pid: number, timeMs: number): FoundProcess | undefined {
    const found = this.world.findProcess(pid)
    return found !== undefined && found.startMs <= timeMs + CLOCK_TOLERANCE_MS ? found : undefined
  }

  private remember(found: FoundProcess, origin: ProcessImage | undefined): Task {
    const task = {
      image: this.imageOf(found, origin),
      ppid: found.ppid,
      sinceMs: found.startMs,
      bornMs: found.startMs,
      foundMs: found.readMs,
      seen: this.pids.now,
      isParent: false,
      isPrivileged: found.uid === ROOT,
      hadRoot: found.uid === ROOT,
      hasEnded: false,
    }
    this.tasks.set(found.pid, task)
    return task
  }

  private imageOf(found: FoundProcess, origin: ProcessImage | undefined): ProcessImage {
    const { exe, script } = programFound(found)
    return this.images.of(
      found.container,
      this.world.userName(found.uid) ?? String(found.uid),
      exe,
      script,
      origin,
    )
  }

  private userOf(call: SyscallRecord): string {
    return call.user ?? this.world.userName(call.uid) ?? String(call.uid)
  }

  /** Remembers who acted. `task`: what was known of the same process before. */
  private saw(call: SyscallRecord, task: Task | undefined, acting: ProcessImage, timeMs: number): void {
    if (task?.image === acting && task.ppid === call.ppid) {
      const isPrivileged = call.euid === ROOT
      if (task.seen >= this.pids.now && task.isPrivileged === isPrivileged) return
      task.seen = Math.max(task.seen, this.pids.now)
      task.isPrivileged = isPrivileged
      task.hadRoot ||= isPrivileged
      this.tasks.touch(call.pid)
      return
    }
    const { now } = this.pids
    const since = { sinceMs: timeMs, bornMs: timeMs, isParent: false, seen: now }
    this.put(
      call,
      acting,
      task === undefined ? since : { ...task, seen: Math.max(task.seen, now) },
      task === undefined ? this.hasParentWithRoot(call, acting, timeMs) : task.hadRoot,
    )
  }

  /** A fork inherits what a setuid program or a daemon may take back. */
  private hasParentWithRoot(call: SyscallRecord, { exe }: ProcessImage, timeMs: number): boolean {
    const parent = this.current(call.ppid, timeMs)
    return parent !== undefined && parent.hadRoot && isSameExe(parent.image.exe, exe)
  }

  /**
   * Long names of programs would fill the memory long before there are too many tasks. The half of the tasks that was
   * unseen for longer goes, and the other too when it alone is too much.
   */
  private shedTasks(): void {
    this.shed += this.tasks.forgetOlder()
    this.images.forget()
    if (charactersOf(imagesOf(this.tasks.values())) > 2 * MOST_CHARACTERS)
      this.shed += this.tasks.forgetOlder()
  }

  private stateOf(task: Task, generation: number, writer: StateWriter): TaskState {
    const { image, ppid, sinceMs, bornMs, foundMs, seen, isParent, isPrivileged, hadRoot, hasEnded } = task
    return [
      this.images.numberOf(image, writer),
      ppid,
      sinceMs,
      foundMs,
      seen,
      isParent ? 1 : 0,
      isPrivileged ? 1 : 0,
      generation,
      bornMs,
      hadRoot ? 1 : 0,
      hasEnded ? 1 : 0,
    ]
  }

  private put(
    call: SyscallRecord,
    image: ProcessImage,
    { sinceMs, bornMs, isParent, seen }: Pick<Task, 'sinceMs' | 'bornMs' | 'isParent' | 'seen'>,
    hadRoot = false,
  ): void {
    this.tasks.set(call.pid, {
      image,
      ppid: call.ppid,
      sinceMs,
      bornMs,
      foundMs: 0,
      seen,
      isParent,
      isPrivileged: call.euid === ROOT,
      hadRoot: hadRoot || call.euid === ROOT,
      hasEnded: false,
    })
  }
}

/** What runs in a process that /proc shows, as it is named in the graph. */
export const programFound = ({
  exe,
  argv,
  cwd,
}: Pick<FoundProcess, 'exe' | 'argv' | 'cwd'>): Pick<ProcessImage, 'exe' | 'script'> => ({
  exe: exe.endsWith(DELETED) && !exe.startsWith('/memfd:') ? exe.slice(0, -DELETED.length) : exe,
  script: placed(scriptOf(exe, argv, []), cwd),
})

/** A script as a path, seen from the current directory; a module has none. */
const placed = (script: string | undefined, cwd: string | undefined): string | undefined =>
  script === undefined || script.startsWith('-m ') ? script : absolutePath(script, cwd)

/** An exec and a fork keep the real uid; only the privileged change it. What contradicts that is a pid used again. */
const canBecome = (task: Task, user: string): boolean => task.isPrivileged || task.image.user === user

/** The program as it was before it changed its user. */
function asStarted(image: ProcessImage): ProcessImage {
  const { origin, exe, script } = image
  return origin?.exe === exe && origin.script === script ? asStarted(origin) : image
}

const imagesOf = (tasks: Iterable<Task>): ReadonlySet<ProcessImage> =>
  withOrigins(Array.from(tasks, ({ image }) => image))

/** The kernel adds ` (deleted)` to the name of a running program whose file is gone. */
function isSameExe(known: string, seen: string): boolean {
  if (known === seen) return true
  return seen.length === known.length + DELETED.length && seen.startsWith(known) && seen.endsWith(DELETED)
}
