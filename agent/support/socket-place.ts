import { lchownSync, lstatSync, mkdirSync, readFileSync, statSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { UsageError } from '../domain/result.ts'

const OWNER_AND_GROUP = 0o750
const WRITABLE_BY_OTHERS = 0o022
const STICKY = 0o1000
/** Of struct sockaddr_un, without the NUL at its end (unix(7)). */
const LONGEST_PATH_BYTES = 107
const PATIENCE_MS = 1000

/**
 * Makes room for a socket: its directory is made when it is missing, and a socket that nobody listens at is removed.
 * @param setting by which a second agent gets another one, for complaints
 * @returns whether the directory was made
 * @throws UsageError when somebody listens there, something else is there, or others may write into the directory
 */
export async function makeRoom(path: string, setting: string): Promise<boolean> {
  if (!path.startsWith('/') || Buffer.byteLength(path) > LONGEST_PATH_BYTES)
    throw new UsageError(
      `the socket ${path} cannot be: a full path of ${LONGEST_PATH_BYTES} bytes at most is expected`,
    )
  const isNew = makeDirectory(path)
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return isNew
  if (!found.isSocket()) throw new UsageError(`there is something at ${path} that is no socket: move it away`)
  if (await isListening(path))
    throw new UsageError(
      `another program listens at ${path}; a second agent needs another socket (${setting})`,
    )
  unlinkSync(path)
  return isNew
}

function makeDirectory(path: string): boolean {
  const directory = dirname(path)
  const found = statSync(directory, { throwIfNoEntry: false })
  if (found === undefined) {
    // Not recursive: a wrong word should not make a tree of directories.
    mkdirSync(directory, { mode: OWNER_AND_GROUP })
    return true
  }
  if ((found.mode & WRITABLE_BY_OTHERS) !== 0 && (found.mode & STICKY) === 0)
    throw new UsageError(
      `others may write into ${directory}, and so replace the socket ${path}: chmod go-w ${directory}`,
    )
  return false
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const end = (isThere: boolean): void => {
      socket.destroy()
      resolve(isThere)
    }
    // One whose queue is full, or that is stopped, listens too.
    socket.setTimeout(PATIENCE_MS, () => end(true))
    socket.once('connect', () => end(true))
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
}

/** Gives files, but not what a link leads to, to a group, as far as there is one with that name on this host. @throws when that is not allowed */
export function giveToGroup(name: string, paths: readonly string[]): void {
  const gid = idIn('/etc/group', name)
  if (gid === undefined) return
  // As a service it may give nothing away, and need not: what it makes is of that group.
  for (const path of paths) if (lstatSync(path).gid !== gid) lchownSync(path, -1, gid)
}

/** The same for a user. */
export function giveToUser(name: string, path: string): void {
  const uid = idIn('/etc/passwd', name)
  if (uid !== undefined && lstatSync(path).uid !== uid) lchownSync(path, uid, -1)
}

function idIn(file: string, name: string): number | undefined {
  const [, , id] =
    readFileSync(file, 'latin1')
      .split('\n')
      .map((line) => line.split(':'))
      .find(([each]) => each === name) ?? []
  return id !== undefined && /^\d+$/.test(id) ? Number(id) : undefined
}
