import type { PathRecord } from '../domain/record.ts'

/** Files beyond this number are forgotten, the longest unseen first. */
const MOST_INODES = 65_536
/** Who chooses names may not choose our memory. */
const LONGEST_KEPT = 1024
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
  // In two halves, as in `Recent`: when the newer one is full, the older one is forgotten whole.
  private newer: Inodes = new Map()
  private older: Inodes = new Map()
  private inNewer = 0
  private moves: Move[] = []
  private forgottenMoves = 0

  get({ dev, inode }: PathRecord): string | undefined {
    const known = this.newer.get(dev)?.get(inode) ?? this.older.get(dev)?.get(inode)
    return known === undefined ? undefined : this.moved(known)
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
      known.path = path
      known.since = now
      return
    }
    if (this.inNewer >= MOST_INODES / 2) {
      this.older = this.newer
      this.newer = new Map()
      this.inNewer = 0
      device = undefined
    }
    if (device === undefined) this.newer.set(dev, (device = new Map<number, Known>()))
    device.set(inode, { path, since: now })
    this.inNewer++
  }

  /** The name is gone; ext4 and tmpfs give the inode number to the next file at once. */
  drop(record: PathRecord, path: string): void {
    if (this.get(record) === path) this.forget(record)
  }

  forget({ dev, inode }: PathRecord): void {
    if (this.newer.get(dev)?.delete(inode) === true) this.inNewer--
    this.older.get(dev)?.delete(inode)
  }

  /** A directory has another name now, or none that is known: `to` undefined. */
  moveDirectory(from: string, to: string | undefined): void {
    if (this.moves.length >= MOST_MOVES) {
      this.moves = this.moves.slice(MOST_MOVES / 2)
      this.forgottenMoves += MOST_MOVES / 2
    }
    this.moves.push({ from: `${from}/`, to: to === undefined ? undefined : `${to}/` })
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
