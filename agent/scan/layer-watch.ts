import type { FoundProcess } from '../domain/activity.ts'
import type { Observation } from '../domain/alert.ts'
import { printable } from '../graph/names.ts'
import { textOfBytes } from '../parse/text.ts'
import { anyGlob, type Glob, globExpression } from '../support/glob.ts'
import { nameOfLayer } from './container-names.ts'
import { findLayers, folderOfHost, type Layer } from './layer-places.ts'
import { walkLayer } from './layer-walk.ts'
import { LayerBook, type NamedLayer } from './layers.ts'

/** For all layers together, by the clock of `performance.now`; what is not reached is told. */
const MOST_MS = 20_000
const MOST_ENTRIES = 100_000

export interface LayersSeen {
  readonly observations: readonly Observation[]
  /** What could not be seen, one sentence each. */
  readonly unseen: readonly string[]
}

/** Looks at the writable layers of all containers that run, time and again. */
export class LayerWatch {
  /** What must outlast the agent. */
  readonly book = new LayerBook()
  private readonly allowlist: readonly Allowed[]

  /** @param allowlist globs over paths in a container, for one of them as `NAME:GLOB` by its name, image or id */
  constructor(allowlist: readonly string[]) {
    this.allowlist = allowlist.map(allowedBy)
  }

  /** @param isLearning whether what is found is normal */
  async look(
    processes: readonly Pick<FoundProcess, 'pid' | 'container' | 'startMs'>[],
    nowMs: number,
    isLearning: boolean,
    signal?: AbortSignal,
  ): Promise<LayersSeen> {
    const { layers, unreachable, mountPoints } = await findLayers(processes)
    const untilMs = performance.now() + MOST_MS
    const unseen = unreachable.map(printable)
    const look = this.book.begin(nowMs, isLearning)
    for (const layer of layers) {
      const named = withName(layer)
      const isAllowed = this.allowedIn(named)
      const trouble = await walkLayer(layer.folder, {
        id: layer.id,
        isLeftOut: (path) => isAllowed(path) || mountPoints.has(`${layer.folder}${path}`),
        onFile: (file) => look.see(named, file),
        mostEntries: MOST_ENTRIES,
        untilMs,
        signal,
      })
      look.leave(named, trouble === undefined)
      if (trouble !== undefined) unseen.push(`${named.folder}: ${printable(trouble)}`)
    }
    return { observations: look.end(), unseen }
  }

  private allowedIn({ container, name }: NamedLayer): (path: string) => boolean {
    const ids = [container, ...name.names]
    return anyGlob(
      this.allowlist.filter(({ owner }) => ids.some((id) => owner.test(id))).flatMap(({ globs }) => globs),
    )
  }
}

interface Allowed {
  readonly owner: Glob
  readonly globs: readonly string[]
}

/** A folder all of which is allowed is not even entered. */
function allowedBy(entry: string): Allowed {
  // The name of an image has colons, but none before a slash: registry:5000/app:1.2
  const at = entry.startsWith('/') ? -1 : entry.indexOf(':/')
  const glob = entry.slice(at + 1)
  const globs = glob.endsWith('/**') ? [glob, glob.slice(0, -3)] : [glob]
  return { owner: globExpression(at === -1 ? '**' : entry.slice(0, at)), globs }
}

const withName = (layer: Layer): NamedLayer => ({
  id: layer.id,
  folder: printable(textOfBytes(Buffer.from(folderOfHost(layer.folder), 'latin1'))),
  container: layer.container,
  name: nameOfLayer(layer),
  startMs: layer.startMs,
})
