import type { Ancestor, Boot, ProcessImage } from '../domain/activity.ts'
import { dangersOf, type Normal } from './dangers.ts'
import { escapeOf, type Worker } from './escapes.ts'
import { doesAsTold, isKindOf, type Met } from './maintenance.ts'
import { filePathOf } from './nodes.ts'
import { isSensitive } from './sensitive.ts'

/** In which services start; systemd gives each 90 s. Milliseconds. */
const STARTING_MS = 180_000
/** Stamps are taken with a coarse clock, and the boot is counted back from now. */
const TOLERANCE_MS = 2000
const INIT = 1
/** Who has not logged in, as the kernel writes it. */
const NOBODY = 0xffffffff
/** What services and init itself keep while they run. */
const OWN_PLACE = /^\/(?:var\/(?:lib|log|cache|spool|run|tmp)|run|tmp|dev|proc|sys\/fs\/cgroup)\//

const TREE = 'boot '

export interface BootsOptions {
  /** Whether a package has brought this file of this host. */
  readonly isOwned: (path: string) => boolean
  /** Whether a process of this image did something normal before. */
  readonly isKnown: (image: ProcessImage) => boolean
  readonly normal: () => Normal
}

/**
 * What a boot starts: no training has seen one, and the next comes when nobody watches. What packages have brought, or the
 * baseline knows, may do there what services do, as long as init has started it and nobody has logged in. All of it is told
 * as one.
 */
export class Boots {
  private readonly boot: Boot | undefined
  private readonly options: BootsOptions

  /** @param boot the one that this host runs since; undefined in a replay */
  constructor(boot: Boot | undefined, options: BootsOptions) {
    this.boot = boot
    this.options = options
  }

  /** The tree of findings that an unseen edge belongs to; undefined when the boot is no reason for it. */
  treeOf({ event, finding, lineage, timeMs }: Met): string | undefined {
    if (this.boot === undefined || !this.goesOn(timeMs) || event.syscall?.auid !== NOBODY) return undefined
    if (lineage.at(-1)?.pid !== INIT || !lineage.every((each) => this.isService(each))) return undefined
    const path = filePathOf(finding.edge.to)
    if (path !== undefined && (isSensitive(path) || !OWN_PLACE.test(path))) return undefined
    const isOther =
      dangersOf([finding], this.options.normal()).length > 0 || escapeOf(finding, WORKER) !== undefined
    return isOther ? undefined : TREE + this.boot.id
  }

  /** Trees whose findings are not to be reported yet: the boot goes on. */
  held(timeMs: number): readonly string[] {
    return this.boot !== undefined && this.goesOn(timeMs) ? [TREE + this.boot.id] : []
  }

  private goesOn(timeMs: number): boolean {
    const sinceMs = timeMs - (this.boot?.startMs ?? Number.POSITIVE_INFINITY)
    return sinceMs >= -TOLERANCE_MS && sinceMs < STARTING_MS
  }

  /** Whether this is init, or a program that is here for good and does nothing but its own work. */
  private isService({ image }: Ancestor): boolean {
    const own = isKindOf(image, 'interpreter') ? (image.script ?? '') : image.exe
    if (doesAsTold(image) || !own.startsWith('/')) return false
    // In a container a path says nothing of the packages of this host.
    return this.options.isKnown(image) || (image.container === '' && this.options.isOwned(own))
  }
}

/** Whether a tree of findings is that of a boot. */
export const isBoot = (tree: string): boolean => tree.startsWith(TREE)

const WORKER: Worker = { manager: undefined, fetches: false, isScripted: false, isBrought: () => false }
