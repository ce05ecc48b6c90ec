import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs'
import { z } from 'zod'
import { printable } from '../graph/names.ts'
import { folderOfHost, type Layer } from './layer-places.ts'

/** Runtimes write some kilobytes; who has containers of his own may write what he likes. */
const MOST_BYTES = 4 * 1024 * 1024
const LONGEST_NAME = 200
const DOCKER = '/var/lib/docker'
/** Of containerd, one folder for each name space: moby, k8s.io, default. */
const TASKS = '/run/containerd/io.containerd.runtime.v2.task'

/** Who a container is. */
export interface ContainerName {
  /** What is the same when it is made anew: image, or name, or what else is known. */
  readonly label: string
  /** Name and image, as far as a runtime tells: what an allowlist may call it by. */
  readonly names: readonly string[]
}

const Docker = z.object({ Name: z.string(), Config: z.object({ Image: z.string() }) })
const Podman = z.array(
  z.object({
    id: z.string(),
    layer: z.string(),
    names: z.array(z.string()).optional(),
    metadata: z.string().optional(),
  }),
)
const PodmanImage = z.object({ 'image-name': z.string() })
const Bundle = z.object({ annotations: z.record(z.string(), z.string()) })

/** The name of the container that a layer belongs to, from what its runtime has written. Its id, or its folder, without that. */
export function nameOfLayer({ container, folder }: Pick<Layer, 'container' | 'folder'>): ContainerName {
  const { name, image } = ofDocker(container, folder) ?? ofPodman(folder) ?? ofBundle(container) ?? NOBODY
  const names = [name, image].filter((each) => each !== '').map(safe)
  const label = safe([image, name, container, folderOfHost(folder)].find((each) => each !== '') ?? '')
  return { label, names }
}

interface Named {
  readonly name: string
  readonly image: string
}

const NOBODY: Named = { name: '', image: '' }

function ofDocker(container: string, folder: string): Named | undefined {
  if (container === '') return undefined
  for (const root of [before(folder, '/overlay2/'), before(folder, '/containerd/'), DOCKER]) {
    const whole = root && idIn(`${root}/containers`, container)
    const read = whole && Docker.safeParse(json(`${root}/containers/${whole}/config.v2.json`)).data
    if (read) return { name: read.Name.replace(/^\//, ''), image: read.Config.Image }
  }
  return undefined
}

function ofPodman(folder: string): Named | undefined {
  const root = before(folder, '/overlay/')
  const layer = /\/overlay\/([^/]+)\/diff$/.exec(folder)?.[1]
  if (root === undefined || layer === undefined) return undefined
  for (const file of ['containers.json', 'volatile-containers.json']) {
    const all = Podman.safeParse(json(`${root}/overlay-containers/${file}`)).data
    const found = all?.find((each) => each.layer === layer)
    if (found === undefined) continue
    const image = PodmanImage.safeParse(parsed(found.metadata ?? '')).data?.['image-name'] ?? ''
    return { name: found.names?.[0] ?? '', image }
  }
  return undefined
}

function ofBundle(container: string): Named | undefined {
  if (container === '') return undefined
  for (const space of namesIn(TASKS)) {
    const whole = idIn(`${TASKS}/${space}`, container)
    const said = whole && Bundle.safeParse(json(`${TASKS}/${space}/${whole}/config.json`)).data?.annotations
    const name = said && (said['io.kubernetes.cri.container-name'] ?? '')
    if (said && name) return { name, image: said['io.kubernetes.cri.image-name'] ?? '' }
  }
  return undefined
}

const before = (path: string, folder: string): string | undefined =>
  path.includes(folder) ? path.slice(0, path.indexOf(folder)) : undefined

const idIn = (folder: string, id: string): string | undefined =>
  namesIn(folder).find((name) => name.startsWith(id))

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function json(path: string): unknown {
  let fd: number | undefined
  try {
    fd = openSync(
      Buffer.from(path, 'latin1'),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    )
    const status = fstatSync(fd)
    if (!status.isFile() || status.size > MOST_BYTES) return undefined
    const bytes = Buffer.alloc(status.size)
    return parsed(bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0)))
  } catch {
    return undefined
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const safe = (name: string): string => printable(name).slice(0, LONGEST_NAME)
