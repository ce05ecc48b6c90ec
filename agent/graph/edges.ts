import type { Activity, Address, ExecutableBy, ProcessImage } from '../domain/activity.ts'
import type { Edge, EdgeKind } from '../domain/edge.ts'
import { callerName, hostName, printable, processName } from './names.ts'

/** Edges remembered at once, and the characters of their names; all are forgotten together when there are more. */
const MOST_REMEMBERED = 8192
const MOST_CHARACTERS = 4_000_000

/** An edge as one process image makes it: the same object every time it does. */
export interface SeenEdge {
  readonly edge: Edge
  /** Who stood at its beginning, for the chain of ancestors. */
  readonly source: ProcessImage
  /** The path of a file edge as it was, before any pattern. */
  readonly filePath: string | undefined
  /** Who may execute it. */
  readonly executableBy: ExecutableBy
  /** The far end of a connect or accept, or the near end of a listen, when that is an address of the internet. */
  readonly peer: InternetPeer | undefined
}

/** `port` is undefined for the far side of an accept, whose port says nothing. */
export interface InternetPeer {
  readonly address: string
  readonly port: number | undefined
}

/** Before the path of an executable: the same file is another target before it became one. No path has a NUL. */
const MARKS: Readonly<Record<ExecutableBy, string>> = { nobody: '', owner: '\0', others: '\0\0' }

type InternetAddress = Extract<Address, { family: 'ip' }>

/** The edges that one process image has made, by kind and by what tells the target short of its name. */
interface EdgesOfImage {
  readonly byText: Map<EdgeKind, Map<string, SeenEdge>>
  readonly byPort: Map<EdgeKind, Map<string, Map<number, SeenEdge>>>
}

/**
 * Makes edges of activities. `from` is the process that acted, as it was when it did.
 *
 * Processes repeat themselves, so an edge is looked up by its source and by what tells the target, and named only once.
 */
export class EdgeNamer {
  private images = new WeakMap<ProcessImage, EdgesOfImage>()
  private lastSource: ProcessImage | undefined
  private lastEdges: EdgesOfImage | undefined
  private remembered = 0
  private characters = 0

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
        emit(this.toFile(activity.action, actor, activity.path, activity.executableBy))
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
    return this.known(source).byText.get(kind)?.get(to) ?? this.add(kind, source, to, to, undefined)
  }

  private toHost(kind: 'connect' | 'listen' | 'accept', source: ProcessImage, address: Address): SeenEdge {
    if (kind !== 'accept' && address.family === 'ip') return this.toPort(kind, source, address)
    const target = targetOf(address)
    const known = this.known(source).byText.get(kind)?.get(target)
    if (known !== undefined) return known
    const name = kind === 'accept' ? callerName(address) : hostName(address)
    const peer = address.family === 'ip' ? { address: address.address, port: undefined } : undefined
    return this.add(kind, source, target, name, undefined, peer)
  }

  private toPort(kind: EdgeKind, source: ProcessImage, address: InternetAddress): SeenEdge {
    const known = this.known(source).byPort.get(kind)?.get(address.address)?.get(address.port)
    if (known !== undefined) return known
    const edge = { kind, from: processName(source), to: hostName(address) }
    const peer = { address: address.address, port: address.port }
    const seen = this.remember({ edge, source, filePath: undefined, executableBy: 'nobody', peer })
    const hosts = valueOf(this.known(source).byPort, kind, newMap<string, Map<number, SeenEdge>>)
    valueOf(hosts, address.address, newMap<number, SeenEdge>).set(address.port, seen)
    return seen
  }

  private toFile(kind: EdgeKind, source: ProcessImage, path: string, executableBy: ExecutableBy): SeenEdge {
    const target = MARKS[executableBy] + path
    const known = this.known(source).byText.get(kind)?.get(target)
    if (known !== undefined) return known
    const filePath = printable(path)
    return this.add(kind, source, target, fileName(kind, filePath), filePath, undefined, executableBy)
  }

  private add(
    kind: EdgeKind,
    source: ProcessImage,
    target: string,
    to: string,
    filePath: string | undefined,
    peer?: InternetPeer,
    executableBy: ExecutableBy = 'nobody',
  ): SeenEdge {
    const edge = { kind, from: processName(source), to }
    const seen = this.remember({ edge, source, filePath, executableBy, peer })
    valueOf(this.known(source).byText, kind, newMap<string, SeenEdge>).set(target, seen)
    return seen
  }

  private remember(seen: SeenEdge): SeenEdge {
    this.remembered++
    // The target is there three times: as it was, made safe to print, and in the name.
    const characters = 3 * seen.edge.to.length
    this.characters += characters
    if (this.remembered > MOST_REMEMBERED || this.characters > MOST_CHARACTERS) {
      this.images = new WeakMap()
      this.lastSource = undefined
      this.remembered = 1
      this.characters = characters
    }
    return seen
  }

  private known(source: ProcessImage): EdgesOfImage {
    // A process mostly does several things in a row.
    if (source !== this.lastSource || this.lastEdges === undefined) {
      this.lastSource = source
      this.lastEdges = this.images.get(source)
      if (this.lastEdges === undefined) {
        this.lastEdges = { byText: new Map(), byPort: new Map() }
        this.images.set(source, this.lastEdges)
      }
    }
    return this.lastEdges
  }
}

/** Tells an address from all others, as far as its name does, and costs less to make. */
function targetOf(address: Address): string {
  switch (address.family) {
    case 'ip':
      return address.address
    case 'unix':
      return address.isAbstract ? `@${address.path}` : address.path
    default:
      return hostName(address)
  }
}

const newMap = <K, V>(): Map<K, V> => new Map<K, V>()

/** The value of `key`, which is made when there is none. */
function valueOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}

export const fileName = (action: string, path: string): string => `file:${action}:${path}`
