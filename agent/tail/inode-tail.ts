import { Tail } from 'tail'

type Block = { start: number; end: number }

declare module 'tail' {
  /** Parts of tail 2.2.6 that its types leave out; the version is pinned for their sake. */
  interface Tail {
    /** Blocks to read; the one that is being read stays at the front until it has ended. */
    queue: Block[]
    /** Size of the file in bytes. */
    latestPosition(): number
    /** Starts to read the front of the queue; called again after each block while there are more. */
    readBlock(): void
    /** Called when the file's stat has changed. */
    watchFileEvent(): void
  }
}

const MAX_BLOCK_BYTES = 1024 * 1024
const END_OF_QUEUE: Block = { start: 0, end: 0 }

/**
 * One open file through the `tail` package, whatever becomes of its name.
 *
 * Left alone, tail follows a name, reads as fast as it can and loses lines when auditd rotates. Here it watches and
 * reads one inode through its descriptor, byte for byte, and only the block that was asked for.
 */
export class InodeTail extends Tail {
  /** Called when the file may have changed: grown, been cut, renamed or removed. */
  onChange: (() => void) | undefined
  #take: ((text: string) => void) | undefined
  #end: (() => void) | undefined
  #fail: ((error: Error) => void) | undefined

  /** @param fd descriptor of a regular file, to be kept open until after `unwatch` */
  constructor(fd: number, pollMs: number) {
    super(`/proc/self/fd/${fd}`, {
      separator: null,
      encoding: 'latin1',
      useWatchFile: true,
      fsWatchOptions: { interval: pollMs },
    })
    this.on('line', (text: string) => this.#take?.(text))
    this.on('error', (error: Error) => this.#fail?.(error))
  }

  /**
   * Bytes from `offset` on, at most 1 MiB; none at the end of the file. One call at a time.
   * Fewer than there were a moment ago when somebody cuts the file while it is being read.
   */
  read(offset: number): Promise<Buffer> {
    const end = Math.min(this.latestPosition(), offset + MAX_BLOCK_BYTES)
    const block = Buffer.allocUnsafe(Math.max(0, end - offset))
    if (block.length === 0) return Promise.resolve(block)
    let filled = 0
    return new Promise((resolve, reject) => {
      this.#take = (text) => {
        filled += block.write(text, filled, 'latin1')
      }
      this.#end = () => resolve(block.subarray(0, filled))
      this.#fail = reject
      this.queue = [{ start: offset, end }, END_OF_QUEUE]
      this.readBlock()
    })
  }

  /** tail does not tell when a block has ended, but it goes on to the next one: this one means that it has. */
  override readBlock(): void {
    if (this.queue[0] !== END_OF_QUEUE) {
      super.readBlock()
      return
    }
    this.queue = []
    this.#end?.()
  }

  override watchFileEvent(): void {
    this.onChange?.()
  }
}
