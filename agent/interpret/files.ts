import type { ExecutableBy, PathAction, ResolvedPath, World } from '../domain/activity.ts'
import type { AuditEvent } from '../domain/event.ts'
import type { PathRecord, SyscallRecord } from '../domain/record.ts'
import { type Call, SOCKETCALLS } from './calls.ts'
import { InodePaths } from './inode-paths.ts'
import { withNameTypes } from './name-types.ts'
import { absolutePath, normalisePath, UNKNOWN_DIRECTORY } from './path.ts'

const AT_FDCWD = -100
/** <asm-generic/fcntl.h> */
const O_ACCMODE = 0o3
const O_TRUNC = 0o1000
const O_TMPFILE = 0o20000000
const UNKNOWN_FLAGS = -1
/** <linux/stat.h> */
const S_IFMT = 0o170000
const S_IFDIR = 0o040000
const S_IFREG = 0o100000
/**
 * Execute bits of group and others, and what gives rights away. The bit of the owner alone may be a mark: postfix sets it
 * on each message that is complete (mail_stream(3): fchmod 0700).
 */
const PROGRAM_BITS = 0o6011
const OWNER_BIT = 0o100

/**
 * What an event did to which files, by their true paths.
 *
 * The kernel logs names as the process passed them. For a call with a real directory descriptor it fills in the current
 * directory instead of the one the name is relative to, so joining the two would invent a file; and a call on a
 * descriptor has no name at all. The (device, inode) pairs of the records do not lie: they are looked up among the
 * paths seen so far, then in /proc, and what stays unknown is marked.
 */
export class FileReader {
  /** Where the files are that have been seen, for those who keep it over a restart. */
  readonly inodes: InodePaths
  /** Which PARENT record of a rename is the new directory, once that is known. */
  writesNewFirst: boolean | undefined
  private readonly world: World

  constructor(world: World, tracksChanges: boolean) {
    this.world = world
    this.inodes = new InodePaths(tracksChanges)
  }

  /** The paths of an event in the order of its records. Those of a call that did something are remembered. */
  resolve(event: AuditEvent, syscall: SyscallRecord, call: Call): readonly ResolvedPath[] {
    const [first] = event.paths
    if (first === undefined) return NOTHING
    const names = namesOf(first.nameType === undefined ? withNameTypes(event, syscall) : event, syscall, call)
    const learns = hasHappened(syscall) && call.does !== 'exec'
    if (isOfDescriptor(names) || call.does === 'rename') this.placeParents(names)
    const resolved: ResolvedPath[] = []
    for (const record of names.event.paths) {
      const told = toldPath(record, names)
      const path = told ?? this.foundPath(record, names)
      resolved.push({
        path,
        action: actionOf(record, names),
        confidence: !isKnown(path) ? 'low' : told === undefined ? 'medium' : 'high',
      })
      if (learns) this.learn(record, path, names)
    }
    return resolved
  }

  private learn(record: PathRecord, path: string, names: Names): void {
    switch (record.nameType) {
      case 'NORMAL':
        // O_TMPFILE names the directory, and the inode is that of the new file without a name.
        if (isKnown(path) && !isTemporary(names)) this.inodes.set(record, path)
        return
      case 'CREATE':
        if (record === names.moved?.to && isDirectory(record) && names.oldPath !== undefined)
          this.inodes.moveDirectory(names.oldPath, isKnown(path) ? path : undefined)
        // Whatever had this inode, or this name, before: that is over.
        if (isKnown(path)) this.inodes.set(record, path)
        else this.inodes.forget(record)
        return
      case 'DELETE':
        if (record === names.moved?.from) {
          if (isKnown(path)) names.oldPath = path
          return
        }
        this.inodes.drop(record, path)
        // A directory that can be deleted is empty: there is nothing in it to forget.
        return
      case 'PARENT':
        // Seen again, so not forgotten among the first.
        if (isKnown(path)) this.inodes.set(record, path)
        return
      case 'UNKNOWN':
      case undefined:
    }
  }

  /**
   * The directories that the names of an event lie in. Which of a rename's two PARENT records is the old directory
   * depends on the kernel (6.18 writes the new one first), so it is told by what is known of the file itself, and
   * remembered for renames that do not tell. Without either it stays unknown, and so it does when records were lost.
   */
  private placeParents(names: Names): void {
    if (names.moved !== undefined) names.oldPath = this.inodes.get(names.moved.from)
    let one: PathRecord | undefined
    let other: PathRecord | undefined
    for (const record of names.event.paths) {
      if (record.nameType !== 'PARENT') continue
      if (one === undefined) one = record
      else if (isSameInode(one, record)) continue
      else if (other === undefined) other = record
      // More than two are those of several operations of io_uring.
      else if (!isSameInode(other, record)) return
    }
    if (one === undefined || other === undefined) {
      names.oldParent = one
      names.newParent = one
      return
    }
    const { moved } = names
    // Where names are missing, so is the order.
    const isNewFirst = moved?.to.name === undefined ? undefined : this.isNewFirst(one, other, names, moved)
    if (isNewFirst === undefined) return
    this.writesNewFirst = isNewFirst
    names.oldParent = isNewFirst ? other : one
    names.newParent = isNewFirst ? one : other
  }

  private isNewFirst(
    one: PathRecord,
    other: PathRecord,
    names: Names,
    moved: MovedFile,
  ): boolean | undefined {
    const onePath = toldDirectory(one, names) ?? this.inodes.get(one)
    const otherPath = toldDirectory(other, names) ?? this.inodes.get(other)
    const newDirectory = directoryOf(moved.to.name)
    const oldDirectory = directoryOf(moved.from.name) ?? directoryOf(this.inodes.get(moved.from))
    if (newDirectory !== undefined && (newDirectory === onePath || newDirectory === otherPath))
      return newDirectory === onePath
    if (oldDirectory !== undefined && (oldDirectory === onePath || oldDirectory === otherPath))
      return oldDirectory === otherPath
    return this.writesNewFirst
  }

  /** Where a file is that the kernel does not tell the directory of. */
  private foundPath(record: PathRecord, names: Names): string {
    const { syscall, call } = names
    const { name, nameType } = record
    if (nameType === 'PARENT') return this.inodes.get(record) ?? UNKNOWN_DIRECTORY
    if (name === undefined)
      return this.namelessPath(record, names) ?? this.openPath(syscall, descriptorOf(syscall, call), record)
    const isOld = isInOldDirectory(record, names)
    const directory = isOld ? names.first : names.second
    if (name === '') return this.inodes.get(record) ?? this.openPath(syscall, directory, record)
    const parent = isOld ? names.oldParent : names.newParent
    const parentPath = parent === undefined ? undefined : this.inodes.get(parent)
    if (parentPath !== undefined) return absolutePath(lastName(name), parentPath)
    const own = this.inodes.get(record)
    if (own !== undefined && isPathOf(record, own)) return own
    const opened = call.does === 'open' ? this.openPath(syscall, syscall.exit, record) : UNKNOWN_DIRECTORY
    if (isKnown(opened)) return opened
    // Of a name with directories of its own the PARENT is not what the descriptor is.
    const isInDescriptor = parent !== undefined && !name.includes('/')
    return absolutePath(name, isInDescriptor ? this.openPath(syscall, directory, parent) : UNKNOWN_DIRECTORY)
  }

  /** Of a call on a descriptor, or of work that io_uring did later. */
  private namelessPath(record: PathRecord, { event }: Names): string | undefined {
    const path = record.nameType === 'CREATE' ? undefined : this.inodes.get(record)
    if (path === undefined || record.nameType !== 'DELETE') return path
    // The name that is deleted may be one of several of the file: the directory before it tells.
    const parent = event.paths[event.paths.indexOf(record) - 1]
    return parent?.nameType === 'PARENT' && this.inodes.get(parent) === directoryOf(path) ? path : undefined
  }

  /** What /proc shows behind a descriptor of the caller, if it still is the file of the record. */
  private openPath({ pid }: SyscallRecord, descriptor: number, { inode }: PathRecord): string {
    const path = this.world.descriptorPath(pid, descriptor, inode)
    return path?.startsWith('/') === true ? path : UNKNOWN_DIRECTORY
  }
}

/** The names of one event, and what they are relative to. */
interface Names {
  readonly event: AuditEvent
  readonly syscall: SyscallRecord
  readonly call: Call
  /** Descriptor that names are relative to, or AT_FDCWD. */
  readonly first: number
  /** The same for the new name of a rename. */
  readonly second: number
  readonly moved: MovedFile | undefined
  oldPath: string | undefined
  oldParent: PathRecord | undefined
  newParent: PathRecord | undefined
}

interface MovedFile {
  readonly from: PathRecord
  readonly to: PathRecord
}

function namesOf(event: AuditEvent, syscall: SyscallRecord, call: Call): Names {
  const first = call.directory === undefined ? AT_FDCWD : argument(syscall, call.directory)
  const isRename = call.does === 'rename'
  return {
    event,
    syscall,
    call,
    first,
    second: isRename && call.newDirectory !== undefined ? argument(syscall, call.newDirectory) : first,
    moved: isRename ? movedFile(event.paths) : undefined,
    oldPath: undefined,
    oldParent: undefined,
    newParent: undefined,
  }
}

/** Of a rename over another file two are deleted; the moved one is that which lives on under the new name. */
function movedFile(paths: readonly PathRecord[]): MovedFile | undefined {
  // io_uring writes a record of the new name before it is made, too.
  const to = paths.find((path) => path.nameType === 'CREATE' && path.inode !== 0)
  const from = paths.find((path) => path.nameType === 'DELETE' && to !== undefined && isSameInode(path, to))
  return to === undefined || from === undefined ? undefined : { from, to }
}

/** Of a rename, only the file itself lies in the old directory; its new name, and a victim, lie in the new one. */
function isInOldDirectory(record: PathRecord, { call, moved }: Names): boolean {
  if (call.does !== 'rename') return true
  return moved === undefined ? record.nameType === 'DELETE' : record === moved.from
}

const isSameInode = (one: PathRecord, other: PathRecord): boolean =>
  one.inode === other.inode && one.dev === other.dev

const isOfDescriptor = ({ first, second }: Names): boolean => first !== AT_FDCWD || second !== AT_FDCWD

/** Where the kernel says that a file is: by a full name, or by one in the current directory. */
function toldPath(record: PathRecord, names: Names): string | undefined {
  const { name, nameType } = record
  if (nameType === 'PARENT') return toldDirectory(record, names)
  if (name === undefined) return undefined
  if (name.startsWith('/')) return normalisePath(name)
  const directory = isInOldDirectory(record, names) ? names.first : names.second
  return directory === AT_FDCWD ? absolutePath(name, names.event.cwd) : undefined
}

/**
 * The path of a PARENT record when the process named it, or the directory is the current one. Where names are relative
 * to a descriptor, the kernel writes the current directory in the place of a name it does not know: that is not believed.
 * What the process named ends with a slash.
 */
function toldDirectory({ name }: PathRecord, names: Names): string | undefined {
  const { cwd } = names.event
  if (name === undefined || name === '') return undefined
  if (isOfDescriptor(names))
    return name.startsWith('/') && name.length > 1 && name.endsWith('/') ? normalisePath(name) : undefined
  return name.startsWith('/') || cwd !== undefined ? absolutePath(name, cwd) : undefined
}

function directoryOf(path: string | undefined): string | undefined {
  if (path?.startsWith('/') !== true) return undefined
  const normal = normalisePath(path)
  return normal.slice(0, Math.max(1, normal.lastIndexOf('/')))
}

/**
 * Whether the path under which an inode is known is that of the record. A new name of a file says nothing about its
 * others, and an inode may be new as well; a name that is deleted may be one of several of a file.
 */
function isPathOf({ name = '', nameType }: PathRecord, path: string): boolean {
  return nameType === 'NORMAL' || (nameType === 'DELETE' && path.endsWith(`/${lastName(name)}`))
}

/**
 * Who may execute the file of a record, when it is a regular one, as the call left it: PATH has the mode of a file that
 * is new as it was made, and that of any other as it was before the call.
 */
export function executableBy(
  record: PathRecord | undefined,
  syscall: SyscallRecord,
  call: Call,
): ExecutableBy {
  if (record === undefined || (record.mode & S_IFMT) !== S_IFREG) return 'nobody'
  const mode = call.modeIn === undefined ? record.mode : argument(syscall, call.modeIn)
  if ((mode & PROGRAM_BITS) !== 0) return 'others'
  return (mode & OWNER_BIT) === 0 ? 'nobody' : 'owner'
}

const NOTHING: readonly ResolvedPath[] = []
const isKnown = (path: string): boolean => path.startsWith('/')
const isDirectory = ({ mode }: PathRecord): boolean => (mode & S_IFMT) === S_IFDIR
const hasHappened = ({ success }: SyscallRecord): boolean => success === true

/** PARENT is the directory that holds the name itself, however many directories the process put before it. */
const lastName = (name: string): string => name.slice(name.lastIndexOf('/', name.length - 2) + 1)

const argument = (syscall: SyscallRecord, index: 0 | 1 | 2): number =>
  index === 0 ? syscall.a0 : index === 1 ? syscall.a1 : syscall.a2

/** The descriptor of the file that a call without a name is about: what it was given, or what it returned. */
const descriptorOf = (syscall: SyscallRecord, call: Call): number =>
  call.does === 'open' ? syscall.exit : call.descriptor === undefined ? NO_DESCRIPTOR : syscall.a0
const NO_DESCRIPTOR = -1

function actionOf({ nameType, name, inode }: PathRecord, { call, syscall, event }: Names): PathAction {
  if (nameType === 'PARENT') return 'parent'
  // What has neither name nor inode is told again, with an inode, when it has been made.
  if (!hasHappened(syscall) || (name === undefined && inode === 0)) return 'none'
  switch (nameType) {
    case 'CREATE':
      return call.does === 'rename' ? 'rename' : 'create'
    case 'DELETE':
      return call.does === 'rename' ? 'rename' : 'delete'
    case 'NORMAL':
      return actionOnFile(call, syscall, event)
    case undefined:
    case 'UNKNOWN':
      return 'none'
  }
}

function actionOnFile(call: Call, syscall: SyscallRecord, event: AuditEvent): PathAction {
  switch (call.does) {
    case 'write':
    case 'attribute':
    case 'exec':
    case 'connect':
      return call.does
    case 'open':
      return opensForWriting(flagsOf(call, syscall, event)) ? 'write' : 'open'
    case 'socketcall':
      return SOCKETCALLS.get(syscall.a0) === 'connect' ? 'connect' : 'none'
    default:
      return 'none'
  }
}

/** A file without a name changes no file that has one. */
const opensForWriting = (flags: number): boolean =>
  (flags & (O_ACCMODE | O_TRUNC)) !== 0 && (flags & O_TMPFILE) === 0

const isTemporary = ({ call, syscall, event }: Names): boolean =>
  call.does === 'open' && (flagsOf(call, syscall, event) & O_TMPFILE) !== 0

const flagsOf = (call: Call, syscall: SyscallRecord, event: AuditEvent): number =>
  call.flagsIn === 'record' ? (event.openat2Flags ?? UNKNOWN_FLAGS) : argument(syscall, call.flagsIn)
