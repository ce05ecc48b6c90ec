import type { Activity, Address, ProcessImage } from '../domain/activity.ts'
import type { Edge, EdgeKind } from '../domain/edge.ts'
import { callerName, hostName, printable, processName } from './names.ts'

/** Edges remembered at once; all are forgotten together when there are more. */
const MOST_REMEMBERED = 32_768

/** An edge as one process image makes it: the same object every time it does. */
export interface SeenEdge {
  readonly edge: Edge
  /** Who stood at its beginning, for the chain of ancestors. */
  readonly source: ProcessImage
  /** The path of a file edge as it was, before any pattern. */
  readonly filePath: string | undefined
}

/** What tells the target of an edge, short of its name: an object or a text that stays the same. */
type Target = string | Address
type Kinds = Map<EdgeKind, Map<Target, SeenEdge>>

/**
 * Makes edges of activities. `from` is the process that acted, as it was when it did.
 *
 * Processes repeat themselves, so an edge is looked up by its source and by what tells the target, and named only once.
 */
export class EdgeNamer {
  private known = new WeakMap<ProcessImage, Kinds>()
  private lastSource: ProcessImage | undefined
  private lastKinds: Kinds | undefined
  private remembered = 0

  /** Calls `emit` for each edge of the activity. */
  edgesOf(activity: Activity, emit: (seen: SeenEdge) => void): void {
    const { actor } = activity
    switch (activity.kind) {
      case 'exec':
        emit(this.between('exec', activity.before, actor))
        if (activity.isFromMemory) emit(this.between('memory-exec', activity.before, actor))
        return
      case 'peer':
        emit(this.toHost(activity.action, actor, activity.address))
        return
      case 'file':
        emit(this.toFile(activity.action, actor, activity.path))
        return
      case 'privilege':
        emit(this.between('privilege', actor, activity.became))
        return
      case 'trace':
        emit(this.between('trace', actor, activity.target))
    }
  }

  private between(kind: EdgeKind, source: ProcessImage, target: ProcessImage): SeenEdge {
    const to = processName(target)
    return this.find(kind, source, to) ?? this.add(kind, source, to, to, undefined)
  }

  private toHost(kind: 'connect' | 'listen' | 'accept', source: ProcessImage, address: Address): SeenEdge {
    const target = kind === 'accept' && address.family === 'ip' ? address.address : address
    const known = this.find(kind, source, target)
    if (known !== undefined) return known
    const to = kind === 'accept' ? callerName(address) : hostName(address)
    return this.add(kind, source, target, to, undefined)
  }

  private toFile(kind: EdgeKind, source: ProcessImage, path: string): SeenEdge {
    const known = this.find(kind, source, path)
    if (known !== undefined) return known
    const filePath = printable(path)
    return this.add(kind, source, path, fileName(kind, filePath), filePath)
  }

  private find(kind: EdgeKind, source: ProcessImage, target: Target): SeenEdge | undefined {
    // A process mostly does several things in a row.
    if (source !== this.lastSource) {
      this.lastSource = source
      this.lastKinds = this.known.get(source)
    }
    return this.lastKinds?.get(kind)?.get(target)
  }

  private add(
    kind: EdgeKind,
    source: ProcessImage,
    target: Target,
    to: string,
    filePath: string | undefined,
  ): SeenEdge {
    if (++this.remembered > MOST_REMEMBERED) {
      this.known = new WeakMap()
      this.lastKinds = undefined
      this.remembered = 1
    }
    if (this.lastKinds === undefined)
      this.known.set(source, (this.lastKinds = new Map<EdgeKind, Map<Target, SeenEdge>>()))
    const kinds = this.lastKinds
    let targets = kinds.get(kind)
    if (targets === undefined) kinds.set(kind, (targets = new Map<Target, SeenEdge>()))
    const seen = { edge: { kind, from: processName(source), to }, source, filePath }
    targets.set(target, seen)
    return seen
  }
}

export const fileName = (action: string, path: string): string => `file:${action}:${path}`
