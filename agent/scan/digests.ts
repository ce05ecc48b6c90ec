import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { ChosenPaths } from './chosen-paths.ts'
import { linkTo } from './reading.ts'

/** Digests that are remembered; the oldest goes first. */
const MOST_KNOWN = 4096

/** SHA-256 of executables, each read once as long as its file stays as it is. */
export class Digests {
  private readonly known = new Map<string, string>()

  /** Of the program that a process runs, whatever its path leads to by now; undefined when it may not be read. */
  async of(pid: number, paths = new ChosenPaths()): Promise<string | undefined> {
    const directory = `/proc/${pid}`
    try {
      if (paths.programOf(directory, linkTo(`${directory}/exe`) ?? '') === undefined) return undefined
      const file = await open(`${directory}/exe`, constants.O_RDONLY | constants.O_NONBLOCK)
      try {
        const { dev, ino, mtimeNs, size } = await file.stat({ bigint: true })
        const key = `${dev} ${ino} ${mtimeNs} ${size}`
        let digest = this.known.get(key)
        if (digest === undefined) {
          const hash = createHash('sha256')
          for await (const chunk of file.createReadStream({ autoClose: false })) hash.update(chunk as Buffer)
          digest = hash.digest('hex')
          const [oldest] = this.known.keys()
          if (this.known.size >= MOST_KNOWN && oldest !== undefined) this.known.delete(oldest)
          this.known.set(key, digest)
        }
        return digest
      } finally {
        await file.close()
      }
    } catch {
      return undefined
    }
  }
}
