import type { LogFile } from './log-file.ts'
import { ages, nameOf } from './rotation.ts'
import { statOf } from './unreadable.ts'

/** The logs that are still to be read, as they were seen last: how far it is to the end, and what a gap has lost. */
export class Backlog {
  readonly #path: string
  /** By inode. */
  readonly #seenBytes = new Map<number, number>()

  /** @param path of the live log */
  constructor(path: string) {
    this.#path = path
  }

  /**
   * Bytes in this log and all newer ones; 0 without one.
   * @throws UsageError when the folder cannot be read
   */
  look(next: LogFile | undefined): number {
    if (next === undefined) return 0
    const sizes = this.#sizes(next.inode)
    for (const [inode, bytes] of sizes) this.#seenBytes.set(inode, bytes)
    return sum(sizes.values())
  }

  /** That a log is no longer still to be read: it is being read now, or is passed over. */
  leave(inode: number): void {
    this.#seenBytes.delete(inode)
  }

  /**
   * Bytes of those that were seen and went before they were read; each counts once. An inode that holds less belongs to
   * another log by now.
   * @throws UsageError when the folder cannot be read
   */
  takeLostBytes(): number {
    const now = this.#sizes()
    const lost = [...this.#seenBytes].filter(([inode, bytes]) => (now.get(inode) ?? -1) < bytes)
    for (const [inode] of lost) this.#seenBytes.delete(inode)
    return sum(lost.map(([, bytes]) => bytes))
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
