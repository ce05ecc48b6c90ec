import { constants, readFileSync } from 'node:fs'
import { type FileHandle, lstat, open, opendir } from 'node:fs/promises'
import { textOfBytes } from '../parse/text.ts'
import type { LayerFile } from './layer-files.ts'
import { folderId } from './layer-places.ts'

/** Files that are looked at together: the threads that read files are shared with those who follow the log. */
const AT_ONCE = 32
const DEEPEST = 64
/** O_NOFOLLOW, and from one folder to the next by descriptor: who may change the layer leads nobody out of it. */
const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | constants.O_NONBLOCK

export interface WalkOptions {
  /** Of the folder: what lies there under its name may be another one by now. */
  readonly id: string
  /** Of paths in the container: what is neither looked at nor entered. */
  readonly isLeftOut: (path: string) => boolean
  readonly onFile: (file: LayerFile) => void
  readonly mostEntries: number
  /** By the clock of `performance.now`. */
  readonly untilMs: number
  readonly signal: AbortSignal | undefined
}

/**
 * Everything in an upper directory of overlayfs but folders and whiteouts, which stand for what was deleted. Stays on its
 * device.
 *
 * @returns why not everything was seen, as in `it holds more than 5 entries`; undefined when it was
 */
export async function walkLayer(folder: string, options: WalkOptions): Promise<string | undefined> {
  const walk = new Walk(options)
  try {
    const top = await open(Buffer.from(folder, 'latin1'), FOLDER)
    const status = await top.stat({ bigint: true })
    const place = { device: Number(status.dev), mount: mountIdOf(top) }
    if (folderId(status) === options.id) await walk.enter(top, '', place, 0)
    else {
      await top.close()
      walk.trouble = 'it is another folder now'
    }
  } catch (error) {
    walk.trouble ??= messageOf(error)
  }
  return walk.trouble
}

/** What is not left. */
interface Place {
  readonly device: number
  readonly mount: string | undefined
}

/** See proc_pid_fdinfo(5). */
const mountIdOf = ({ fd }: FileHandle): string | undefined =>
  /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1]

class Walk {
  trouble: string | undefined
  private readonly options: WalkOptions
  private entries = 0
  private isOver = false

  constructor(options: WalkOptions) {
    this.options = options
  }

  /** Closes the folder. */
  async enter(folder: FileHandle, path: string, place: Place, depth: number): Promise<void> {
    try {
      const here = `/proc/self/fd/${folder.fd}`
      const names: string[] = []
      // One character for each byte: a name need not be UTF-8.
      for await (const { name } of await opendir(here, { encoding: 'latin1', bufferSize: AT_ONCE })) {
        if (!this.mayGoOn()) break
        names.push(name)
        if (names.length >= AT_ONCE) await this.take(names.splice(0), here, path, place, depth)
      }
      await this.take(names, here, path, place, depth)
    } finally {
      await folder.close()
    }
  }

  private async take(
    names: readonly string[],
    here: string,
    path: string,
    place: Place,
    depth: number,
  ): Promise<void> {
    const entries = names
      .map((name) => ({ name, inside: `${path}/${textOfBytes(Buffer.from(name, 'latin1'))}` }))
      .filter(({ inside }) => !this.options.isLeftOut(inside))
    const statuses = await Promise.all(
      entries.map(({ name }) => lstat(bytesOf(here, name)).catch(() => undefined)),
    )
    for (const [index, { name, inside }] of entries.entries()) {
      const status = statuses[index]
      // It is gone, or the device is another one.
      if (status?.dev !== place.device) continue
      if (!status.isDirectory()) {
        const isDevice = status.isCharacterDevice() || status.isBlockDevice()
        if (isDevice && status.rdev === 0) continue
        const type = status.isFile()
          ? 'file'
          : status.isSymbolicLink()
            ? 'link'
            : isDevice
              ? 'device'
              : 'other'
        this.options.onFile({ path: inside, type, mode: status.mode & 0o7777, changedMs: status.ctimeMs })
      } else if (!this.isOver) await this.enterBelow(bytesOf(here, name), inside, place, depth + 1)
    }
  }

  private async enterBelow(name: Buffer, path: string, place: Place, depth: number): Promise<void> {
    if (depth > DEEPEST) {
      this.trouble ??= `its folders are deeper than ${DEEPEST}`
      return
    }
    let folder: FileHandle
    try {
      folder = await open(name, FOLDER)
    } catch (error) {
      // It may have been removed since.
      if (!isGone(error)) this.trouble ??= messageOf(error)
      return
    }
    // The device may be the same where another folder of the host is mounted.
    if (mountIdOf(folder) === place.mount) await this.enter(folder, path, place, depth)
    else await folder.close()
  }

  private mayGoOn(): boolean {
    const { mostEntries, signal, untilMs } = this.options
    const end =
      ++this.entries > mostEntries
        ? `it holds more than ${mostEntries} entries`
        : performance.now() > untilMs || signal?.aborted === true
          ? 'there was no time to look at all of it'
          : undefined
    if (end !== undefined) {
      this.isOver = true
      this.trouble ??= end
    }
    return !this.isOver
  }
}

const bytesOf = (folder: string, name: string): Buffer => Buffer.from(`${folder}/${name}`, 'latin1')

const isGone = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(String(error.code))

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
