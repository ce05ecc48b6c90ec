import { lstatSync, readFileSync, readlinkSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { setImmediate as othersTurn } from 'node:timers/promises'
import type { FoundProcess } from '../domain/activity.ts'
import { fail, ok, type Result } from '../domain/result.ts'
import { textOfBytes } from '../parse/text.ts'
import { type Mount, mountAt, mountOf, optionOf, parseMounts } from './mounts.ts'

/** Processes that are asked before others get their turn. */
const AT_ONCE = 50
/** What answers over a network, or by a program of somebody's, may never answer. */
const UNSAFE = /^(?:fuse(?:blk)?(?:\..*)?|nfs4?|cifs|smb3|9p|ceph|afs|autofs|glusterfs|lustre)$/

/** The writable layer of a container that runs: the upper directory of an overlay that is mounted. */
export interface Layer {
  /** The upper directory, as the agent can open it; one character for each byte. */
  readonly folder: string
  /** As containerOf has it; empty when no process tells. */
  readonly container: string
  /** The same from one look to the next: device and inode of the upper directory. */
  readonly id: string
  /** When the oldest process in it began; undefined when no process tells, 0 when it cannot. Unix time in milliseconds. */
  readonly startMs: number | undefined
}

export interface FoundLayers {
  readonly layers: readonly Layer[]
  /** Upper directories that cannot be opened, each with the reason. */
  readonly unreachable: readonly string[]
  /** Where something is mounted, for the agent. */
  readonly mountPoints: ReadonlySet<string>
}

/** What must be known of the processes of this host. */
type Seen = Pick<FoundProcess, 'pid' | 'container' | 'startMs'>

/** A way to see mounts: a name space, and a root in it. */
interface View {
  readonly root: string
  readonly mounts: readonly Mount[]
  container: string
  startMs: number
}

/**
 * The writable layers of this host, whoever made them: the overlays that any process sees. What is mounted on the root of
 * pid 1 is the host itself.
 */
export async function findLayers(processes: readonly Seen[]): Promise<FoundLayers> {
  const own = parseMounts(readFileSync('/proc/self/mountinfo', 'latin1'))
  const layers = new Map<string, Layer>()
  const unreachable = new Set<string>()
  const views = await viewsOf(processes)
  const host = views.find(({ root }) => root === '/proc/1/root')
  const hostRoot = host && mountAt(host.mounts, '/')
  for (const { container, mounts, startMs } of views)
    for (const mount of mounts) {
      const upper = mount.type === 'overlay' ? optionOf(mount, 'upperdir') : undefined
      if (upper === undefined || mount.device === hostRoot?.device) continue
      const found = reach(candidates(upper, mount.point), own, views)
      if (!found.ok) {
        unreachable.add(textOfBytes(Buffer.from(`${upper} ${found.error}`, 'latin1')))
        continue
      }
      const { id } = found.value
      const known = layers.get(id) ?? { ...found.value, container: '', startMs: undefined }
      // Only the processes that have it as their root are those of the container.
      const isRoot = mount.point === '/'
      layers.set(id, {
        ...known,
        container: known.container === '' && isRoot ? container : known.container,
        // Who takes a name space of his own in a container does not start it anew.
        startMs: isRoot ? Math.min(known.startMs ?? startMs, startMs) : known.startMs,
      })
    }
  const mountPoints = new Set(own.map(({ point }) => point))
  return { layers: [...layers.values()], unreachable: [...unreachable], mountPoints }
}

async function viewsOf(processes: readonly Seen[]): Promise<View[]> {
  const views = new Map<string, View>()
  for (const [index, { pid, container, startMs }] of processes.entries()) {
    if (index % AT_ONCE === AT_ONCE - 1) await othersTurn()
    const root = `/proc/${pid}/root`
    try {
      const id = `${readlinkSync(`/proc/${pid}/ns/mnt`)} ${readlinkSync(root)}`
      const known = views.get(id)
      if (known === undefined) {
        const mounts = parseMounts(readFileSync(`/proc/${pid}/mountinfo`, 'latin1'))
        views.set(id, { root, mounts, container, startMs })
        continue
      }
      // Who enters the name space of a container need not be in its cgroup.
      if (known.container === '') known.container = container
      known.startMs = Math.min(known.startMs, startMs)
    } catch {
      // It has ended.
    }
  }
  return [...views.values()]
}

/**
 * The option as it was given: who mounts writes a backslash before what has a meaning, and may name it from the folder
 * that holds the layers, which mountinfo does not tell.
 */
function candidates(upper: string, point: string): string[] {
  const names = [upper.replace(/\\(.)/gs, '$1'), upper]
  if (isAbsolute(upper)) return names
  const folders: string[] = []
  for (let folder = dirname(point); ; folder = dirname(folder)) {
    folders.push(folder)
    if (folder === dirname(folder)) break
  }
  return folders.flatMap((folder) => names.map((name) => join(folder, name)))
}

/** Where the agent sees a folder by one of these names; a container in a container by the eyes of the one around it. */
function reach(
  names: readonly string[],
  own: readonly Mount[],
  views: readonly View[],
): Result<Pick<Layer, 'folder' | 'id'>, string> {
  for (const { root, mounts } of [{ root: '', mounts: own }, ...views])
    for (const name of names) {
      const type = mountOf(mounts, name)?.type ?? ''
      if (UNSAFE.test(type)) return fail(`is on ${type}, which may never answer`)
      const id = folderAt(`${root}${name}`)
      if (id !== undefined) return ok({ folder: `${root}${name}`, id })
    }
  return fail('is not there')
}

/** Device and inode of a folder; undefined when there is none. */
function folderAt(path: string): string | undefined {
  try {
    const status = lstatSync(Buffer.from(path, 'latin1'), { bigint: true })
    return status.isDirectory() ? `${status.dev}:${status.ino}` : undefined
  } catch {
    return undefined
  }
}
