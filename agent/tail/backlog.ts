import type { LogFile } from './log-file.ts'
import { ages, nameOf } from './rotation.ts'
import { statOf } from './unreadable.ts'

/** The logs that are still to be read, as they were seen last: how far it is to the end, and what a gap has lost. */
export class Backlog {
  readonly #path: string
  #bytesByInode: ReadonlyMap<number, number> = new Map()

  /** @param path of the live log */
  constructor(path: string) {
    this.#path = path
  }

  /**
   * Bytes in this log and all newer ones; 0 without one.
   * @throws UsageError when the folder cannot be read
   */
  look(next: LogFile | undefined): number {
    this.#bytesByInode = next === undefined ? new Map() : this.#sizes(next.inode)
    return sum(this.#bytesByInode.values())
  }

  /**
   * Bytes of those that were seen and are no longer there, but for `file`. An inode that holds less belongs to another
   * log by now.
   * @throws UsageError when the folder cannot be read
   */
  lostBytes(file: LogFile): number {
    const now = this.#sizes()
    return sum(
      [...this.#bytesByInode]
        .filter(([inode, bytes]) => inode !== file.inode && (now.get(inode) ?? -1) < bytes)
        .map(([, bytes]) => bytes),
    )
  }

  #sizes(untilInode?: number): Map<number, number> {
    const sizes = new Map<number, number>()
    for (const age of ages(this.#path)) {
      const stat = statOf(nameOf(this.#path, age))
      if (stat?.isFile() === true) sizes.set(stat.ino, stat.size)
      if (stat?.ino === untilInode) break
    }
    return sizes
  }
}

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((sum, number) => sum + number, 0)
