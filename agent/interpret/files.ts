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

  constructor(world: World) {
    this.world = world
  }

  changes(event: AuditEvent, syscall: SyscallRecord, call: Call): readonly FileChange[] {
    if (event.paths.length === 0) return NOTHING
    const directories = directoriesOf(syscall, call)
    this.learnDirectories(event, directories)
    const parents = event.paths.filter((path) => path.nameType === 'PARENT')
    const created = event.paths.find((path) => path.nameType === 'CREATE')
    const changes: FileChange[] = []
    for (const record of event.paths) {
      if (record.nameType === 'PARENT' || record.nameType === 'UNKNOWN') continue
      // Of a rename, only the moved file itself lies in the first directory; its new name and a victim in the second.
      const isMoved = record.nameType === 'DELETE' && created !== undefined && record.inode === created.inode
      const isInFirst = call.does !== 'rename' || isMoved
      const parent = isInFirst ? parents[0] : (parents[1] ?? parents[0])
      const descriptor = isInFirst ? directories.first : directories.second
      const path = this.pathOf(record, event, syscall, parent, descriptor)
      const action = actionOf(record, call, syscall, event)
      if (action !== undefined) changes.push({ action, path })
      if (record.nameType === 'DELETE' && !isMoved) this.inodes.drop(record, path)
      else if (isKnown(path) && record.nameType !== 'DELETE') this.inodes.set(record, path)
    }
    return changes
  }

  /**
   * A directory named in full tells its inode. Where names are relative to a descriptor, the kernel writes the current
   * directory in the place of a name it does not know: that is not believed.
   */
  private learnDirectories(event: AuditEvent, directories: Directories): void {
    const isRelativeToDescriptor = directories.first !== AT_FDCWD || directories.second !== AT_FDCWD
    for (const record of event.paths) {
      const { name } = record
      if (record.nameType !== 'PARENT' || name?.startsWith('/') !== true) continue
      const isStandIn = isRelativeToDescriptor && name === event.cwd
      if (!isStandIn) this.inodes.set(record, normalisePath(name))
    }
  }

  private pathOf(
    record: PathRecord,
    event: AuditEvent,
    syscall: SyscallRecord,
    parent: PathRecord | undefined,
    descriptor: number,
  ): string {
    const { name } = record
    if (name === undefined || name === '') {
      return (
        this.inodes.get(record) ?? this.world.descriptorPath(syscall.pid, syscall.a0) ?? UNKNOWN_DIRECTORY
      )
    }
    if (name.startsWith('/')) return normalisePath(name)
    if (descriptor === AT_FDCWD) return absolutePath(name, event.cwd)
    const parentPath = parent === undefined ? undefined : this.inodes.get(parent)
    if (parentPath !== undefined) return absolutePath(lastName(name), parentPath)
    return (
      this.inodes.get(record) ??
      absolutePath(name, this.world.descriptorPath(syscall.pid, descriptor) ?? UNKNOWN_DIRECTORY)
    )
  }
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
