import { type ChosenPaths, isSameFile } from './chosen-paths.ts'
import { programPathOf } from './program-path.ts'
import { linkTo } from './reading.ts'

const ROOT_UID = 0

/**
 * The path of the program or script of a process, when that leads there only in a name space of mounts that its user made:
 * for everybody else it is that of another file, or of none. Undefined else.
 *
 * Who makes a user name space may mount what he likes over what he likes in it, and /proc shows paths as they are there. A
 * container of a runtime is told by its cgroup and has paths of its own.
 *
 * @param directory of the process in /proc
 */
export function forgedPath(
  directory: string,
  { container, exe, script, uid }: { container: string; exe: string; script: string; uid: number },
  paths: ChosenPaths,
): string | undefined {
  if (container !== '' || !exe.startsWith('/') || exe.startsWith('/memfd:')) return undefined
  const isApart = linkTo(`${directory}/ns/user`) !== linkTo('/proc/self/ns/user')
  const place = paths.mountedFor(directory, exe)
  // Through /proc/PID/root one may execute what is mounted for another process only. Root has no need of it; what remains
  // of the start of the system (initramfs) is in no place either.
  const isSeenByAll = place === 'all' || (place === undefined && paths.isOfHost(directory))
  const isElsewhere = isApart ? !isSeenByAll : place === 'others' && uid !== ROOT_UID
  const program = programPathOf(exe)
  if (isElsewhere && !isSameFile(paths.programOf(directory, exe), paths.fileOfHost(program))) return program
  if (!isApart || !script.startsWith('/') || paths.isOfHost(directory)) return undefined
  return isSameFile(paths.fileAt(directory, script), paths.fileOfHost(script)) ? undefined : script
}
