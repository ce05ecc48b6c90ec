import type { PathRecord } from '../domain/record.ts'
import type { StateWriter } from '../domain/state.ts'

/** Files beyond this number are forgotten, the longest unseen first. */
const MOST_INODES = 65_536
/** Who chooses names may not choose our memory. */
const LONGEST_KEPT = 1024
/** Characters of the paths in one half. */
const MOST_CHARACTERS = 4_000_000
/** Moved directories beyond this number are forgotten, and with them what was not seen since. */
const MOST_MOVES = 4096
const NOWHERE = ''

/** A path, and how many directories had been moved when it was seen. */
interface Known {
  path: string
  since: number
}

/** By device, then by inode: strings of both would cost more to make than to look up. */
type Inodes = Map<string, Map<number, Known>>

/** What the state keeps of a path: the path, `since`, and the half it is in (see `Recent`). */
type PathState = readonly [path: string, since: number, generation: number]
type MoveState = readonly [from: string, to: string | null]
type InodesState = readonly [generation: number, forgottenMoves: number, shed: number]

interface Move {
  /** With a slash at the end, like `to`. */
  readonly from: string
  /** Undefined when it is not known where the directory went, or it was deleted. */
  readonly to: string | undefined
}

/**
 * (device, inode) → path, learned from records that name a file in full.
 *
 * What lies in a directory moves with it. The moves are kept in their order and applied to a path when it is asked for,
 * so that a directory of many files costs no more to move than an empty one.
 */
export class InodePaths {
  /** Paths that were forgotten before their time, because there were too many long ones. */
  shed = 0
  // In two halves, as in `Recent`: when the newer one is full, the older one is forgotten whole.
  private newer: Inodes = new Map()
  private older: Inodes = new Map()
  private inNewer = 0
  private charactersInNewer = 0
  private generation = 0
  private moves: Move[] = []
  private forgottenMoves = 0
  private readonly changed: Map<string, Set<number>> | undefined
  /** Moves that the state has: those from `forgottenMoves` when it was written, up to this number. */
  private drainedMoves = 0
  private drainedFrom = 0

  /** @param tracksChanges for `drain` */
  constructor(tracksChanges = false) {
    this.changed = tracksChanges ? new Map() : undefined
  }

  get({ dev, inode }: PathRecord): string | undefined {
    const newer = this.newer.get(dev)?.get(inode)
    const known = newer ?? this.older.get(dev)?.get(inode)
    if (known === undefined) return undefined
    const { since, path: before } = known
    const path = this.moved(known)
    if (known.since !== since) {
      if (newer !== undefined) this.charactersInNewer += known.path.length - before.length
      this.touch(dev, inode)
    }
    return path
  }

  set(record: PathRecord, path: string): void {
    const { dev, inode } = record
    if (inode === 0) return
    if (path.length > LONGEST_KEPT) {
      this.forget(record)
      return
    }
    const now = this.forgottenMoves + this.moves.length
    let device = this.newer.get(dev)
    const known = device?.get(inode)
    if (known !== undefined) {
      if (known.since === now && known.path === path) return
      this.charactersInNewer += path.length - known.path.length
      known.path = path
      known.since = now
      this.touch(dev, inode)
      return
    }
    const isFull = this.inNewer >= MOST_INODES / 2
    if (isFull || this.charactersInNewer + path.length > MOST_CHARACTERS) {
      const forgotten = this.forgetOlder()
      if (!isFull) this.shed += forgotten
      device = undefined
    }
    if (device === undefined) this.newer.set(dev, (device = new Map<number, Known>()))
    device.set(inode, { path, since: now })
    this.inNewer++
    this.charactersInNewer += path.length
    this.touch(dev, inode)
  }

  /** The name is gone; ext4 and tmpfs give the inode number to the next file at once. */
  drop(record: PathRecord, path: string): void {
    if (this.get(record) === path) this.forget(record)
  }

  forget({ dev, inode }: PathRecord): void {
    const known = this.newer.get(dev)?.get(inode)
    if (known !== undefined) {
      this.newer.get(dev)?.delete(inode)
      this.inNewer--
      this.charactersInNewer -= known.path.length
    }
    const wasOlder = this.older.get(dev)?.delete(inode) === true
    if (known !== undefined || wasOlder) this.touch(dev, inode)
  }

  /** A directory has another name now, or none that is known: `to` undefined. */
  moveDirectory(from: string, to: string | undefined): void {
    // Nothing that is known lies below a name that is too long to be known.
    if (from.length > LONGEST_KEPT) return
    if (this.moves.length >= MOST_MOVES) {
      this.moves = this.moves.slice(MOST_MOVES / 2)
      this.forgottenMoves += MOST_MOVES / 2
    }
    const isKept = to !== undefined && to.length <= LONGEST_KEPT
    this.moves.push({ from: `${from}/`, to: isKept ? `${to}/` : undefined })
  }

  /** Writes what has changed since the last time. */
  drain(writer: StateWriter): void {
    if (this.changed === undefined) return
    for (const [dev, inodes] of this.changed) {
      const newer = this.newer.get(dev)
      const older = this.older.get(dev)
      for (const inode of inodes) {
        const key = `${dev}/${inode}`
        const known = newer?.get(inode)
        const { path, since } = known ?? older?.get(inode) ?? { path: NOWHERE, since: -1 }
        const generation = known === undefined ? this.generation - 1 : this.generation
        if (since < 0) writer.remove('inode', key)
        else writer.put('inode', key, [path, since, generation] satisfies PathState)
      }
    }
    this.changed.clear()
    this.drainMoves(writer)
  }

  /** What `resume` takes. */
  get memory(): InodesState {
    return [this.generation, this.forgottenMoves, this.shed]
  }

  /** Goes on where another one stopped; its paths and moves follow. */
  resume([generation, forgottenMoves, shed]: InodesState): void {
    this.shed = shed
    this.generation = generation
    this.forgottenMoves = forgottenMoves
    this.drainedMoves = forgottenMoves
    this.drainedFrom = forgottenMoves
  }

  /** Takes a path as `drain` wrote it. */
  place(key: string, value: unknown): void {
    const [path, since, generation] = value as PathState
    const slash = key.indexOf('/')
    const half = generation === this.generation ? this.newer : this.older
    const dev = key.slice(0, slash)
    let device = half.get(dev)
    if (device === undefined) half.set(dev, (device = new Map<number, Known>()))
    device.set(Number(key.slice(slash + 1)), { path, since })
    if (half !== this.newer) return
    this.inNewer++
    this.charactersInNewer += path.length
  }

  /** Takes a move as `drain` wrote it; they must come in their order. */
  placeMove(value: unknown): void {
    const [from, to] = value as MoveState
    this.moves.push({ from, to: to ?? undefined })
    this.drainedMoves++
  }

  private drainMoves(writer: StateWriter): void {
    for (; this.drainedFrom < this.forgottenMoves; this.drainedFrom++)
      writer.remove('move', moveKey(this.drainedFrom))
    const first = Math.max(this.drainedMoves, this.forgottenMoves)
    this.drainedMoves = this.forgottenMoves + this.moves.length
    for (let number = first; number < this.drainedMoves; number++) {
      const { from, to } = this.moves[number - this.forgottenMoves] as Move
      writer.put('move', moveKey(number), [from, to ?? null] satisfies MoveState)
    }
  }

  private forgetOlder(): number {
    let count = 0
    for (const [dev, inodes] of this.older) {
      const kept = this.newer.get(dev)
      for (const inode of inodes.keys()) {
        if (kept?.has(inode) === true) continue
        count++
        this.touch(dev, inode)
      }
    }
    this.older = this.newer
    this.newer = new Map()
    this.inNewer = 0
    this.charactersInNewer = 0
    this.generation++
    return count
  }

  private touch(dev: string, inode: number): void {
    if (this.changed === undefined) return
    const inodes = this.changed.get(dev)
    if (inodes === undefined) this.changed.set(dev, new Set([inode]))
    else inodes.add(inode)
  }

  /** The path after all moves since it was seen. */
  private moved(known: Known): string | undefined {
    if (known.since < this.forgottenMoves) return undefined
    const { moves } = this
    for (let index = known.since - this.forgottenMoves; index < moves.length; index++) {
      const move = moves[index]
      if (move === undefined || !known.path.startsWith(move.from)) continue
      known.path = move.to === undefined ? NOWHERE : move.to + known.path.slice(move.from.length)
    }
    known.since = this.forgottenMoves + moves.length
    return known.path === NOWHERE ? undefined : known.path
  }
}

/** Keys are read back in the order of their characters. */
const moveKey = (number: number): string => String(number).padStart(12, '0')
