import { Tail } from 'tail'

declare module 'tail' {
  /** A part of tail 2.2.6 that its types leave out; the version is pinned for its sake. */
  interface Tail {
    /** Called when the file's stat has changed. */
    watchFileEvent(): void
  }
}

/**
 * Tells when one open file changes, whatever becomes of its name: the watching half of the `tail` package.
 *
 * Left alone, tail follows a name, reads as fast as it can and loses lines when auditd rotates; and it opens the file
 * again for each block, which is refused when its permissions have changed. So its reading half is left out.
 */
export class Watcher extends Tail {
  readonly #onChange: () => void

  /**
   * @param fd descriptor of a regular file, to be kept open until after `unwatch`
   * @param onChange called when the file may have changed: grown, been cut, renamed or removed
   */
  constructor(fd: number, pollMs: number, onChange: () => void) {
    super(`/proc/self/fd/${fd}`, { useWatchFile: true, fsWatchOptions: { interval: pollMs } })
    this.#onChange = onChange
  }

  override watchFileEvent(): void {
    this.#onChange()
  }
}
