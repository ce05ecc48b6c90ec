import type { PathRecord } from '../domain/record.ts'
import { Recent } from './recent.ts'

/** Files beyond this number are forgotten, the longest unseen first. */
const MOST_INODES = 65_536

/** (device, inode) → path, learned from records that name a file in full. */
export class InodePaths {
  private readonly paths = new Recent<string, string>(MOST_INODES)

  get({ dev, inode }: PathRecord): string | undefined {
    return inode === 0 ? undefined : this.paths.get(`${dev}:${inode}`)
  }

  set({ dev, inode }: PathRecord, path: string): void {
    if (inode !== 0) this.paths.set(`${dev}:${inode}`, path)
  }

  /** The name is gone; ext4 and tmpfs give the inode number to the next file at once. */
  drop({ dev, inode }: PathRecord, path: string): void {
    const key = `${dev}:${inode}`
    if (this.paths.get(key) === path) this.paths.delete(key)
  }
}
