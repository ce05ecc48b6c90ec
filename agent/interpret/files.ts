import type { World } from '../domain/activity.ts'
import type { FileAction } from '../domain/edge.ts'
import type { AuditEvent } from '../domain/event.ts'
import type { PathRecord, SyscallRecord } from '../domain/record.ts'
import type { Call } from './calls.ts'
import { InodePaths } from './inode-paths.ts'
import { absolutePath, normalisePath, UNKNOWN_DIRECTORY } from './path.ts'

const AT_FDCWD = -100
const O_ACCMODE = 0o3
const O_TRUNC = 0o1000

export interface FileChange {
  readonly action: FileAction
  readonly path: string
}

/**
 * Which files an event changed, by their true paths.
 *
 * The kernel logs names as the process passed them. For a call with a real directory descriptor it fills in the current
 * directory instead of the one the name is relative to, so joining the two would invent a file; and a call on a
 * descriptor has no name at all. The (device, inode) pairs of the records do not lie: they are looked up among the
 * paths seen so far, then in /proc, and what stays unknown is marked.
 */
export class FileReader {
  private readonly inodes = new InodePaths()
  private readonly world: World
  private writesNewFirst: boolean | undefined

  constructor(world: World) {
    this.world = world
  }

  changes(event: AuditEvent, syscall: SyscallRecord, call: Call): readonly FileChange[] {
    if (event.paths.length === 0) return NOTHING
    const directories = directoriesOf(syscall, call)
    this.learnDirectories(event, directories)
    const moved = call.does === 'rename' ? movedFile(event.paths) : undefined
    const parents = this.parentsOf(event, directories, moved)
    const changes: FileChange[] = []
    for (const record of event.paths) {
      if (record.nameType === 'PARENT' || record.nameType === 'UNKNOWN') continue
      const path = isInOldDirectory(record, call, moved)
        ? this.pathOf(record, event, syscall, call, parents.first, directories.first)
        : this.pathOf(record, event, syscall, call, parents.second, directories.second)
      const action = actionOf(record, call, syscall, event)
      if (action !== undefined) changes.push({ action, path })
      if (record.nameType !== 'DELETE') {
        if (isKnown(path)) this.inodes.set(record, path)
      } else if (record !== moved?.from) this.inodes.drop(record, path)
    }
    return changes
  }

  /**
   * A directory named in full tells its inode. Where names are relative to a descriptor, the kernel writes the current
   * directory in the place of a name it does not know: that is not believed.
   */
  private learnDirectories(event: AuditEvent, directories: Directories): void {
    for (const record of event.paths) {
      if (record.nameType !== 'PARENT') continue
      const path = trueName(record, event, directories)
      if (path !== undefined) this.inodes.set(record, path)
    }
  }

  /**
   * The directories that the names of an event lie in. Which of a rename's two PARENT records is the old directory
   * depends on the kernel (6.18 writes the new one first), so it is told by what is known of the file itself, and
   * remembered for renames that do not tell. Without either it stays unknown, and so it does when records were lost.
   */
  private parentsOf(event: AuditEvent, directories: Directories, moved: MovedFile | undefined): Parents {
    const [one, other] = event.paths.filter((path) => path.nameType === 'PARENT')
    if (one === undefined || other === undefined || isSameInode(one, other))
      return { first: one, second: one }
    const isNewFirst =
      moved === undefined ? undefined : this.isNewFirst(one, other, event, directories, moved)
    if (isNewFirst === undefined) return { first: undefined, second: undefined }
    this.writesNewFirst = isNewFirst
    return isNewFirst ? { first: other, second: one } : { first: one, second: other }
  }

  private isNewFirst(
    one: PathRecord,
    other: PathRecord,
    event: AuditEvent,
    directories: Directories,
    moved: MovedFile,
  ): boolean | undefined {
    const paths = [one, other].map(
      (parent) => trueName(parent, event, directories) ?? this.inodes.get(parent),
    )
    const [onePath, otherPath] = paths
    const newDirectory = directoryOf(moved.to.name)
    const oldDirectory = directoryOf(moved.from.name) ?? directoryOf(this.inodes.get(moved.from))
    if (newDirectory !== undefined && paths.includes(newDirectory)) return newDirectory === onePath
    if (oldDirectory !== undefined && paths.includes(oldDirectory)) return oldDirectory === otherPath
    return this.writesNewFirst
  }

  private pathOf(
    record: PathRecord,
    event: AuditEvent,
    syscall: SyscallRecord,
    call: Call,
    parent: PathRecord | undefined,
    directory: number,
  ): string {
    const { name } = record
    if (name === undefined) {
      return this.inodes.get(record) ?? this.openPath(syscall, 'descriptor' in call ? syscall.a0 : undefined)
    }
    if (name.startsWith('/')) return normalisePath(name)
    if (directory === AT_FDCWD) return absolutePath(name, event.cwd)
    if (name === '') return this.inodes.get(record) ?? this.openPath(syscall, directory)
    const parentPath = parent === undefined ? undefined : this.inodes.get(parent)
    if (parentPath !== undefined) return absolutePath(lastName(name), parentPath)
    return this.inodes.get(record) ?? absolutePath(name, this.openPath(syscall, directory))
  }

  /** What /proc shows behind a descriptor of the caller. */
  private openPath({ pid }: SyscallRecord, descriptor: number | undefined): string {
    if (descriptor === undefined) return UNKNOWN_DIRECTORY
    return this.world.descriptorPath(pid, descriptor) ?? UNKNOWN_DIRECTORY
  }
}

interface Parents {
  readonly first: PathRecord | undefined
  readonly second: PathRecord | undefined
}

interface MovedFile {
  readonly from: PathRecord
  readonly to: PathRecord
}

/** Of a rename over another file two are deleted; the moved one is that which lives on under the new name. */
function movedFile(paths: readonly PathRecord[]): MovedFile | undefined {
  const to = paths.find((path) => path.nameType === 'CREATE')
  const from = paths.find((path) => path.nameType === 'DELETE' && to !== undefined && isSameInode(path, to))
  return to === undefined || from === undefined ? undefined : { from, to }
}

/** Of a rename, only the file itself lies in the old directory; its new name, and a victim, lie in the new one. */
function isInOldDirectory(record: PathRecord, call: Call, moved: MovedFile | undefined): boolean {
  if (call.does !== 'rename') return true
  return moved === undefined ? record.nameType === 'DELETE' : record === moved.from
}

const isSameInode = (one: PathRecord, other: PathRecord): boolean =>
  one.inode === other.inode && one.dev === other.dev

/** The path of a PARENT record when the process named it, or the directory is the current one. */
function trueName(
  { name }: PathRecord,
  event: AuditEvent,
  { first, second }: Directories,
): string | undefined {
  if (name?.startsWith('/') !== true) return undefined
  const isRelativeToDescriptor = first !== AT_FDCWD || second !== AT_FDCWD
  return isRelativeToDescriptor && name === event.cwd ? undefined : normalisePath(name)
}

function directoryOf(path: string | undefined): string | undefined {
  if (path?.startsWith('/') !== true) return undefined
  const normal = normalisePath(path)
  return normal.slice(0, Math.max(1, normal.lastIndexOf('/')))
}

const NOTHING: readonly FileChange[] = []
const isKnown = (path: string): boolean => path.startsWith('/')

/** PARENT is the directory that holds the name itself, however many directories the process put before it. */
const lastName = (name: string): string => name.slice(name.lastIndexOf('/', name.length - 2) + 1)

interface Directories {
  /** Descriptor that names are relative to, or AT_FDCWD. */
  readonly first: number
  /** The same for the new name of a rename. */
  readonly second: number
}

function directoriesOf(syscall: SyscallRecord, call: Call): Directories {
  const first = 'directory' in call ? argument(syscall, call.directory) : AT_FDCWD
  const second =
    call.does === 'rename' && call.newDirectory !== undefined ? argument(syscall, call.newDirectory) : first
  return { first, second }
}

const argument = (syscall: SyscallRecord, index: 0 | 1 | 2): number =>
  index === 0 ? syscall.a0 : index === 1 ? syscall.a1 : syscall.a2

function actionOf(
  record: PathRecord,
  call: Call,
  syscall: SyscallRecord,
  event: AuditEvent,
): FileAction | undefined {
  switch (record.nameType) {
    case 'CREATE':
      return call.does === 'rename' ? 'rename' : 'create'
    case 'DELETE':
      return call.does === 'rename' ? 'rename' : 'delete'
    case 'NORMAL':
      if (call.does === 'write' || call.does === 'attribute') return call.does
      return call.does === 'open' && opensForWriting(call, syscall, event) ? 'write' : undefined
    case undefined:
    case 'PARENT':
    case 'UNKNOWN':
      return undefined
  }
}

function opensForWriting(
  call: Extract<Call, { does: 'open' }>,
  syscall: SyscallRecord,
  event: AuditEvent,
): boolean {
  const flags = call.flagsIn === 'record' ? (event.openat2Flags ?? 0) : argument(syscall, call.flagsIn)
  return (flags & (O_ACCMODE | O_TRUNC)) !== 0
}
