import { statSync } from 'node:fs'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type BaselineCounts, countsOf } from '../baseline/status.ts'
import { learningIn } from '../standing.ts'

/** Some twenty thousand edges, which are counted in a few milliseconds. */
const SMALL_BYTES = 4_194_304
/** Of the time, no more goes into counting. */
const SHARE = 0.01
/** How long counting may wait for a program that keeps the baseline locked, where nothing else waits for it. */
const PATIENCE_MS = 5000

/** What a thread is told to count. */
interface Task {
  readonly countIn: string
}

/**
 * Counts what a baseline holds, not oftener than it is worth. Counting a million edges takes half a second, in which nothing
 * would be detected: a thread of its own does it.
 */
export class Counter {
  /** As they were lately; undefined before the first time, and when they cannot be told. */
  counts: BaselineCounts | undefined
  readonly #db: string
  #thread: Worker | undefined
  #counting: Promise<void> | undefined
  #againMs = Number.NEGATIVE_INFINITY

  constructor(db: string) {
    this.#db = db
  }

  /** Counts if it is time for it. Resolves when there are counts to tell, or there is no way to have any. */
  async refresh(): Promise<void> {
    if (performance.now() >= this.#againMs && this.#counting === undefined) {
      this.#counting = this.#count().finally(() => (this.#counting = undefined))
      this.#counting.catch(() => undefined)
    }
    if (this.counts === undefined) await this.#counting
  }

  async close(): Promise<void> {
    await this.#thread?.terminate()
  }

  async #count(): Promise<void> {
    const beginMs = performance.now()
    try {
      const { size } = statSync(this.#db)
      this.counts = size > SMALL_BYTES ? await this.#countBeside() : countedIn(this.#db, 0)
    } catch {
      // Whoever reads the baseline itself tells why it cannot be read.
      this.counts = undefined
    } finally {
      const endMs = performance.now()
      this.#againMs = endMs + (endMs - beginMs) * (1 / SHARE - 1)
    }
  }

  async #countBeside(): Promise<BaselineCounts | undefined> {
    const task: Task = { countIn: this.#db }
    const thread = new Worker(new URL(import.meta.url), { workerData: task })
    this.#thread = thread
    try {
      return await new Promise((counted, failed) => {
        thread.once('message', counted).once('error', failed)
        thread.once('exit', () => counted(undefined))
      })
    } finally {
      this.#thread = undefined
      await thread.terminate()
    }
  }
}

/** How far a training has come is worked out here, too: it goes through thousands of edges. */
function countedIn(db: string, patienceMs: number): BaselineCounts {
  const counts = countsOf(db, patienceMs)
  return { ...counts, learning: learningIn(counts), learned: undefined }
}

const { countIn } = ((isMainThread ? undefined : workerData) ?? {}) as Partial<Task>
if (countIn !== undefined) parentPort?.postMessage(countedIn(countIn, PATIENCE_MS))
