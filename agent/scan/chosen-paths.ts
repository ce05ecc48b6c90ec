import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync } from 'node:fs'
import { mountOf, type Mount, parseMounts } from './mounts.ts'
import { linkTo, readUpTo } from './reading.ts'

/** O_PATH of open(2), which node has no name for: nothing is opened, so that no FIFO, lease or automount has to be waited for. */
const O_PATH = 0o10_000_000
const MOST_MOUNTS_BYTES = 1_048_576
const MOST_LINKS = 40
/** Whoever looks at these waits for a server, or for a program, which need not ever answer. */
const REMOTE =
  /^(?:nfs|cifs|smb|ncp|afs|9p|ceph|fuse|lustre|gluster|gpfs|beegfs|orangefs|coda|autofs|virtiofs|gfs2|ocfs2|vboxsf|davfs)/
/** With the rights of who mounted it this one asks other file systems, `fuse` among them. */
const LAYERED = 'overlay'
const SELF = '/proc/self'
const INIT = '/proc/1'

/** A file, by what no other has at the same time. */
export interface FileIdentity {
  readonly dev: number
  readonly ino: number
  readonly isFile: boolean
}

export const isSameFile = (one: FileIdentity | undefined, other: FileIdentity | undefined): boolean =>
  one !== undefined && one.dev === other?.dev && one.ino === other.ino

/**
 * Looks at files by paths that somebody else chose, and never waits for anybody: what is not on this machine is not looked
 * at. One for each look at the host, as it remembers what is mounted.
 */
export class ChosenPaths {
  private readonly mounts = new Map<string, readonly Mount[]>()

  /**
   * The program that a process runs, whatever it is called; undefined when it may not be looked at.
   * @param directory of the process in /proc
   */
  programOf(directory: string, exe: string): FileIdentity | undefined {
    return this.opened(directory, exe, (fd) => (this.isLocal(fd, directory) ? identityOf(fd) : undefined))
  }

  /**
   * For whom the program that a process runs is mounted where it is: for all of this host, for those in the name space of
   * the process, or for others only; undefined when it may not be looked at, or cannot be told.
   * @param directory of the process in /proc
   */
  mountedFor(directory: string, exe: string): 'all' | 'its own' | 'others' | undefined {
    return this.opened(directory, exe, (fd) => {
      const id = mountIdOf(fd)
      const has = (whose: string): boolean => this.mountsOf(whose).some((mount) => mount.id === id)
      if (has(SELF) || has(INIT)) return 'all'
      if (has(directory)) return 'its own'
      // A service of systemd that has locked itself into a folder (chroot, which takes root): of its name space the kernel
      // tells no mounts but those below the folder.
      const isLockedIn = linkTo(`${directory}/root`) !== '/' && !this.isOfHost(directory)
      return isLockedIn ? undefined : 'others'
    })
  }

  /** Whether a process has the mounts of the host, not a name space of its own. */
  isOfHost(directory: string): boolean {
    const own = linkTo(`${directory}/ns/mnt`)
    return own === linkTo(`${SELF}/ns/mnt`) || own === linkTo(`${INIT}/ns/mnt`)
  }

  /** What is at a path of this host; undefined when nothing is, or it may not be looked at. */
  fileOfHost(path: string): FileIdentity | undefined {
    return this.fileAt(INIT, path) ?? this.fileAt(SELF, path)
  }

  /**
   * What is at a path in the root of a process, links followed; undefined when nothing is, or it may not be looked at.
   * @param directory of the process in /proc
   */
  fileAt(directory: string, path: string): FileIdentity | undefined {
    return this.walked(directory, path, identityOf)
  }

  /** Whether a file at a path in the root of a process is of the format that programs have. */
  isElfAt(directory: string, path: string): boolean {
    return this.walked(directory, path, isElf) ?? false
  }

  private opened<T>(directory: string, exe: string, use: (fd: number) => T): T | undefined {
    try {
      // To open what lies on NFS its server may be asked, even by O_PATH.
      const mount = mountOf(this.mountsOf(directory), exe)
      if (mount !== undefined && !this.isHere(mount, directory)) return undefined
      const fd = openSync(`${directory}/exe`, O_PATH)
      try {
        return use(fd)
      } finally {
        closeSync(fd)
      }
    } catch {
      return undefined
    }
  }

  private walked<T>(directory: string, path: string, use: (fd: number) => T): T | undefined {
    // Each is in the one before, the first is the root.
    const fds: number[] = []
    const back = (to: number): void => fds.splice(to).forEach(closeSync)
    try {
      fds.push(openSync(`${directory}/root`, O_PATH))
      const names = path.split('/').reverse()
      for (let links = 0; names.length > 0;) {
        const name = names.pop() ?? ''
        const within = fds.at(-1) ?? 0
        if (!this.isLocal(within, directory)) return undefined
        if (name === '' || name === '.') continue
        if (name === '..') {
          back(Math.max(1, fds.length - 1))
          continue
        }
        const fd = openSync(`${SELF}/fd/${within}/${name}`, O_PATH | constants.O_NOFOLLOW)
        fds.push(fd)
        if (!this.isLocal(fd, directory)) return undefined
        if (!fstatSync(fd).isSymbolicLink()) continue
        if (++links > MOST_LINKS) return undefined
        const target = readlinkSync(`${SELF}/fd/${within}/${name}`)
        back(target.startsWith('/') ? 1 : fds.length - 1)
        names.push(...target.split('/').reverse())
      }
      return use(fds.at(-1) ?? 0)
    } catch {
      // It is not there, or not for us.
      return undefined
    } finally {
      back(0)
    }
  }

  /** Whether what was opened lies in a file system that answers at once. The kernel tells without asking that. */
  private isLocal(fd: number, directory: string): boolean {
    const id = mountIdOf(fd)
    const has = (mount: Mount): boolean => mount.id === id
    if (this.mountsOf(SELF).some((mount) => has(mount) && this.isHere(mount, SELF))) return true
    return this.mountsOf(directory).some((mount) => has(mount) && this.isHere(mount, directory))
  }

  private isHere({ device, type }: Mount, directory: string): boolean {
    // Without the root of the agent itself nothing goes on anyway.
    if (device === mountOf(this.mountsOf(SELF), '/')?.device) return true
    if (REMOTE.test(type)) return false
    return type !== LAYERED || linkTo(`${directory}/ns/user`) === linkTo(`${SELF}/ns/user`)
  }

  private mountsOf(directory: string): readonly Mount[] {
    // What is seen of a name space depends on the root, too.
    const key = `${linkTo(`${directory}/ns/mnt`) ?? directory} ${linkTo(`${directory}/root`) ?? ''}`
    const known = this.mounts.get(key)
    if (known !== undefined) return known
    const reading = readUpTo(`${directory}/mountinfo`, MOST_MOUNTS_BYTES)
    const mounts = reading.kind === 'forbidden' ? [] : parseMounts(reading.bytes.toString('latin1'))
    this.mounts.set(key, mounts)
    return mounts
  }
}

function mountIdOf(fd: number): string | undefined {
  const reading = readUpTo(`${SELF}/fdinfo/${fd}`, MOST_MOUNTS_BYTES)
  const text = reading.kind === 'forbidden' ? '' : reading.bytes.toString('latin1')
  return /^mnt_id:\t(\d+)$/m.exec(text)?.[1]
}

function identityOf(fd: number): FileIdentity {
  const status = fstatSync(fd)
  return { dev: status.dev, ino: status.ino, isFile: status.isFile() }
}

const ELF = Buffer.from('\x7fELF', 'latin1')

/** @param fd of O_PATH, which is opened for reading only when it is a file, and has nobody who must be asked first (fcntl(2), leases) */
function isElf(fd: number): boolean {
  if (!fstatSync(fd).isFile()) return false
  const opened = openSync(`${SELF}/fd/${fd}`, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const beginning = Buffer.alloc(ELF.length)
    readSync(opened, beginning, 0, ELF.length, 0)
    return beginning.equals(ELF)
  } finally {
    closeSync(opened)
  }
}
