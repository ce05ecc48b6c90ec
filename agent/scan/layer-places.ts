import { readFileSync } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { fail, ok, type Result } from '../domain/result.ts'
import { textOfBytes } from '../parse/text.ts'
import { type IdRange, isAmong, type Seen, type View, viewsOf } from './layer-views.ts'
import { type Mount, mountAt, mountOf, optionOf, parseMounts } from './mounts.ts'

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

type Eyes = Pick<View, 'root' | 'mounts'>

export interface FoundLayers {
  readonly layers: readonly Layer[]
  /** Upper directories that cannot be opened, each with the reason. */
  readonly unreachable: readonly string[]
  /** Where something is mounted, as the agent can open it. */
  readonly mountPoints: ReadonlySet<string>
}

/** What a service has of its own (/tmp) or may not see (homes) is reached through init; the host calls it by the path behind that. */
export const folderOfHost = (folder: string): string => folder.replace(/^\/proc\/1\/root(?=\/)/, '')

/**
 * The writable layers of this host, whoever made them: the overlays that any process sees, those that root mounted first.
 * What is mounted on the root of pid 1 is the host itself.
 *
 * Every user mounts overlays in name spaces of his own, of whatever folders, and calls them what he likes: his are only
 * folders that belong to somebody in them.
 */
export async function findLayers(processes: readonly Seen[]): Promise<FoundLayers> {
  const own = parseMounts(readFileSync('/proc/self/mountinfo', 'latin1'))
  const layers = new Map<string, Layer>()
  const unreachable = new Set<string>()
  const views = await viewsOf(processes)
  const host = views.find(({ root }) => root === '/proc/1/root')
  const hostRoot = host && mountAt(host.mounts, '/')
  const overlays = views.flatMap((view) =>
    view.mounts
      .filter(({ device, type }) => type === 'overlay' && device !== hostRoot?.device)
      .map((mount) => ({ ...view, mount })),
  )
  const mounters = mountersOf(overlays)
  const isRoots = ({ device }: Mount): boolean => mounters.get(device) === 'root'
  overlays.sort((a, b) => Number(isRoots(b.mount)) - Number(isRoots(a.mount)))
  const mountPoints = new Set(own.map(({ point }) => point))
  for (const { container, mount, startMs } of overlays) {
    const upper = optionOf(mount, 'upperdir')
    if (upper === undefined) continue
    const mounter = mounters.get(mount.device) ?? []
    const isOwner = (uid: number): boolean => mounter === 'root' || isAmong(uid, mounter)
    const found = await reach(candidates(upper, mount.point), own, views, isOwner)
    if (!found.ok) {
      unreachable.add(textOfBytes(Buffer.from(`${upper} ${found.error}`, 'latin1')))
      continue
    }
    const { folder, id, view } = found.value
    for (const { point } of view.mounts) mountPoints.add(`${view.root}${point}`)
    const known = layers.get(id) ?? { folder, id, container: '', startMs: undefined }
    // Only the processes that have it as their root are those of the container.
    const isRoot = mount.point === '/'
    layers.set(id, {
      ...known,
      container: known.container === '' && isRoot ? container : known.container,
      // Who takes a name space of his own in a container does not start it anew.
      startMs: isRoot ? Math.min(known.startMs ?? startMs, startMs) : known.startMs,
    })
  }
  return { layers: [...layers.values()], unreachable: [...unreachable], mountPoints }
}

/** Who mounted what, by device: root, or one of these users. */
function mountersOf(
  overlays: readonly (View & { readonly mount: Mount })[],
): Map<string, 'root' | IdRange[]> {
  const mounters = new Map<string, 'root' | IdRange[]>()
  for (const { isOfHost, mount, users } of overlays) {
    const known = mounters.get(mount.device) ?? []
    if (isOfHost) mounters.set(mount.device, 'root')
    else if (known !== 'root') mounters.set(mount.device, [...known, ...users])
  }
  return mounters
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

/**
 * Where the agent sees a folder by one of these names; a container in a container by the eyes of the one around it.
 * @param isOwner whether it may be the folder of that user
 */
async function reach(
  names: readonly string[],
  own: readonly Mount[],
  views: readonly View[],
  isOwner: (uid: number) => boolean,
): Promise<Result<Pick<Layer, 'folder' | 'id'> & { readonly view: Eyes }, string>> {
  let isOthers = false
  for (const view of [{ root: '', mounts: own }, ...views])
    for (const name of names) {
      const { root, mounts } = view
      const type = mountOf(mounts, name)?.type ?? ''
      if (UNSAFE.test(type)) return fail(`is on ${type}, which may never answer`)
      const found = await folderAt(`${root}${name}`)
      if (found === undefined) continue
      if (isOwner(found.uid)) return ok({ folder: `${root}${name}`, id: found.id, view })
      isOthers = true
    }
  return fail(isOthers ? 'does not belong to who mounted it' : 'is not there')
}

/** Undefined when there is no folder. Not at once: what a user names may be slow to answer. */
async function folderAt(path: string): Promise<{ readonly id: string; readonly uid: number } | undefined> {
  try {
    const status = await lstat(Buffer.from(path, 'latin1'), { bigint: true })
    return status.isDirectory() ? { id: folderId(status), uid: Number(status.uid) } : undefined
  } catch {
    return undefined
  }
}

/** Device and inode. */
export const folderId = ({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string =>
  `${dev}:${ino}`
