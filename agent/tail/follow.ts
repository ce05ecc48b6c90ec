import type { Chunk, LogPosition } from '../domain/chunk.ts'
import type { BlindSpot, Tamper } from '../domain/report.ts'
import { UsageError } from '../domain/result.ts'
import { Backlog } from './backlog.ts'
import { Lasting } from './lasting.ts'
import { LogFile } from './log-file.ts'
import { resume } from './resume.ts'
import { openOldestSince, openSavedThat } from './rotation.ts'
import { lossOf, tamperOf } from './spots.ts'
import { openSuccessor } from './successor.ts'
import { statOf, unreadable } from './unreadable.ts'

export interface FollowOptions {
  /** Where an earlier run stopped. Wins over `startAt`. */
  readonly from?: LogPosition
  /**
   * When that was: stamp of the newest event read, Unix time in milliseconds. Logs that were written last before it are
   * not read again. Without it, all saved logs are when the one of `from` is gone.
   */
  readonly fromMs?: number
  /**
   * What was read until then came from elsewhere: where to begin when there is no `from`, in the oldest log that was written
   * since. Unix time in milliseconds.
   */
  readonly sinceMs?: number
  /** Where to begin in the live log; one that appears later is always read from its beginning. */
  readonly startAt: 'end' | 'beginning'
  /** Whether what cannot be read at the start is waited for, as it is later: for who has followed this log before. */
  readonly isPatient?: boolean
  /** How often to look for news, in milliseconds. */
  readonly pollMs: number
  /** Ends the iteration. */
  readonly signal: AbortSignal
}

type News = Chunk | BlindSpot | Tamper

/** A rotation leaves the log without its name for a moment, which is not worth a word. */
const PATIENCE_POLLS = 10

/**
 * The live log of auditd, for ever: every byte once and in order, over rotations; a blind spot for each gap, and for as
 * long as there is no log or it cannot be read; tampering when the log was truncated or replaced.
 *
 * Reads only what is asked for, in chunks of at most 1 MiB, so a slow consumer costs no memory; chunks stay valid.
 * When the log that `from` is in has been rotated away, goes on with the oldest saved log there is.
 *
 * @param path of the live log; the saved ones are `path.1` (newest), `path.2` …
 * @returns what is to be left with `return()` when it is not read to its end. Where it begins is fixed before this returns:
 *   what is written from then on is read, however late the first is asked for.
 * @throws UsageError when a log cannot be read at the start or is not a regular file, unless `isPatient`
 */
export function follow(path: string, options: FollowOptions): Following {
  const log = new FollowedLog(path, options)
  try {
    log.start()
  } catch (error) {
    // Who is patient is told of it by the first step.
    if (options.isPatient !== true || !(error instanceof UsageError)) throw error
  }
  const news = newsOf(log, options.signal)
  return {
    [Symbol.asyncIterator]: () => news,
    next: () => news.next(),
    return: async () => {
      const end = await news.return()
      // A generator that was not begun has not closed it.
      log.close()
      return end
    },
  }
}

export interface Following extends AsyncIterable<News, void> {
  readonly next: () => Promise<IteratorResult<News, void>>
  readonly return: () => Promise<IteratorResult<News, void>>
}

async function* newsOf(log: FollowedLog, signal: AbortSignal): AsyncGenerator<News, void, undefined> {
  try {
    while (!signal.aborted) {
      const isIdle = await log.step()
      const news = log.takeNews()
      yield* news
      if (isIdle && news.length === 0) await log.pause(signal)
    }
  } finally {
    log.close()
  }
}

/** The log that is being read, the one after it, and what is to be told. */
class FollowedLog {
  readonly #path: string
  readonly #options: FollowOptions
  readonly #backlog: Backlog
  readonly #missing: Lasting
  readonly #unreadable: Lasting
  #isStarted = false
  #file: LogFile | undefined
  #next: LogFile | undefined
  /** Inode of the newest log of which it was told how it came to be the next. */
  #announced: number | undefined
  #news: News[] = []

  constructor(path: string, options: FollowOptions) {
    this.#path = path
    this.#options = options
    this.#backlog = new Backlog(path)
    this.#missing = new Lasting('log-missing', PATIENCE_POLLS * options.pollMs)
    this.#unreadable = new Lasting('log-unreadable', PATIENCE_POLLS * options.pollMs)
  }

  /** @throws UsageError when a log cannot be read */
  start(): void {
    const { from, fromMs = 0, sinceMs, startAt, pollMs } = this.#options
    if (from === undefined && sinceMs !== undefined) {
      this.#file = openOldestSince(sinceMs - 1, this.#path, pollMs)?.file
      this.#file?.seekToTime(sinceMs)
      if (this.#file !== undefined) this.#tell({ bytes: Buffer.alloc(0), at: this.#file.position })
    } else if (from === undefined) {
      this.#file = LogFile.open(this.#path, pollMs)
      if (startAt === 'end' && this.#file !== undefined) {
        this.#file.seekToEnd()
        // So that who stops before anything comes goes on here, and not at the end of then.
        this.#tell({ bytes: Buffer.alloc(0), at: this.#file.position })
      }
    } else {
      const { file, news } = resume(this.#path, from, fromMs, pollMs)
      this.#file = file
      this.#tell(...news)
    }
    this.#isStarted = true
  }

  /** Looks for news, of which at most one is a chunk; true when there is nothing more to do before something happens. */
  async step(): Promise<boolean> {
    let trouble: string | undefined
    const noting = async <T>(act: () => T | Promise<T>): Promise<T | undefined> => {
      try {
        return await act()
      } catch (error) {
        trouble = troubleOf(this.#path, error)
        return undefined
      }
    }
    // First look, then read: once there is a newer log, nobody writes to this one and its end is the end.
    const isOver = (await noting(() => this.#look())) === true
    const chunk = await noting(() => this.#file?.read(isOver))
    const behindBytes = chunk && (await noting(() => this.#behindBytes()))
    this.#tell(this.#unreadable.look(trouble))
    if (chunk !== undefined) this.#tell(behindBytes === undefined ? chunk : { ...chunk, behindBytes })
    else if (isOver && (this.#file?.unreadBytes ?? 0) === 0) return this.#goOnWithNext()
    return chunk === undefined
  }

  takeNews(): News[] {
    const news = this.#news
    this.#news = []
    return news
  }

  /** Until the log changes, the poll interval is over (a rename need not show in the file itself), or the end. */
  pause(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#file?.onChange(undefined)
        resolve()
      }
      const timer = setTimeout(done, signal.aborted ? 0 : this.#options.pollMs)
      signal.addEventListener('abort', done)
      this.#file?.onChange(done)
    })
  }

  close(): void {
    this.#file?.close()
    this.#next?.close()
    this.#file = this.#next = undefined
  }

  /** Looks whether this log and its name are what they were, and for the log after it; true when there is one. */
  #look(): boolean {
    if (!this.#isStarted) this.start()
    this.#lookForCut()
    this.#next ??= this.#openNext()
    const isThere = statOf(this.#path) !== undefined
    this.#tell(this.#missing.look(isThere ? undefined : `${this.#path} does not exist`))
    return this.#next !== undefined
  }

  /**
   * Not a live log that is empty. It proves nothing: who rotates with other means than auditd's own makes one while
   * auditd goes on with the old log, which has only been renamed.
   */
  #openNext(): LogFile | undefined {
    const successor = openSuccessor(this.#path, this.#file, this.#backlog, this.#options.pollMs)
    if (successor === undefined) return undefined
    const { file, news } = successor
    if (file.inode !== this.#announced) this.#tell(...news)
    this.#announced = file.inode
    if (this.#file === undefined || file.sizeBytes > 0 || !file.isAt(this.#path)) return file
    file.close()
    return undefined
  }

  #lookForCut(): void {
    const file = this.#file
    const cut = file?.wasCut()
    if (file === undefined || cut === undefined) return
    const { pollMs } = this.#options
    const copy = cut.isAnew ? openSavedThat((saved) => saved.isCopyOf(file), this.#path, pollMs) : undefined
    const lost =
      copy === undefined
        ? 'what it held unread is lost'
        : `the rest is read from ${copy.path}, but for what was written between the copy and the cut`
    const detail = `${file.path} was truncated: ${lost}`
    const bytes = copy === undefined ? cut.lostBytes : 0
    this.#tell(lossOf({ reason: 'log-truncated', fromMs: file.readMs, bytes, detail }))
    this.#tell(tamperOf('log-truncated', detail))
    if (copy !== undefined) {
      copy.goOnFrom(file)
      file.close()
      this.#file = copy
    } else if (cut.isAnew) file.restart()
  }

  #behindBytes(): number {
    return (this.#file?.unreadBytes ?? 0) + this.#backlog.look(this.#next)
  }

  #goOnWithNext(): false {
    this.#file?.close()
    this.#file = this.#next
    this.#next = undefined
    if (this.#file !== undefined) this.#backlog.leave(this.#file.inode)
    return false
  }

  #tell(...news: (News | undefined)[]): void {
    this.#news.push(...news.filter((item) => item !== undefined))
  }
}

/** What keeps a log from being read, as a sentence; throws again what is no trouble of the operating system. */
function troubleOf(path: string, error: unknown): string {
  const trouble = unreadable(path, error)
  if (trouble instanceof UsageError) return trouble.message
  throw trouble
}
