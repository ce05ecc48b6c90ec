import { constants } from 'node:fs'
import { type FileHandle, lstat, open, opendir } from 'node:fs/promises'
import { textOfBytes } from '../parse/text.ts'
import type { LayerFile } from './layer-files.ts'

/** Files that are looked at together: the threads that read files are shared with those who follow the log. */
const AT_ONCE = 32
const DEEPEST = 64
/** O_NOFOLLOW, and from one folder to the next by descriptor: who may change the layer leads nobody out of it. */
const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW | constants.O_NONBLOCK

export interface WalkOptions {
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
    await walk.enter(top, '', (await top.stat()).dev, 0)
  } catch (error) {
    walk.trouble ??= messageOf(error)
  }
  return walk.trouble
}

class Walk {
  trouble: string | undefined
  private readonly options: WalkOptions
  private entries = 0
  private isOver = false

  constructor(options: WalkOptions) {
    this.options = options
  }

  /** Closes the folder. */
  async enter(folder: FileHandle, path: string, device: number, depth: number): Promise<void> {
    try {
      const here = `/proc/self/fd/${folder.fd}`
      const names: string[] = []
      // One character for each byte: a name need not be UTF-8.
      for await (const { name } of await opendir(here, { encoding: 'latin1', bufferSize: AT_ONCE })) {
        if (!this.mayGoOn()) break
        names.push(name)
        if (names.length >= AT_ONCE) await this.take(names.splice(0), here, path, device, depth)
      }
      await this.take(names, here, path, device, depth)
    } finally {
      await folder.close()
    }
  }

  private async take(
    names: readonly string[],
    here: string,
    path: string,
    device: number,
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
      if (status?.dev !== device) continue
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
      } else if (!this.isOver) await this.enterBelow(bytesOf(here, name), inside, device, depth + 1)
    }
  }

  private async enterBelow(name: Buffer, path: string, device: number, depth: number): Promise<void> {
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
    await this.enter(folder, path, device, depth)
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
