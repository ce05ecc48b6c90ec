/** Earlier agents whose deeds may still be read. */
const MOST_RUNS = 8
/** Stamps are taken with a coarse clock. */
const STAMP_MS = 1000
/**
 * Init says that it has stopped the agent when it has, or when it gives up waiting. Until then it closes its baseline, of
 * which SQLite removes files: on a host that shuts down that takes seconds.
 */
const STOPPING_MS = 30_000

/** A process that was the agent; `toMs` is null until it has ended in order. Unix time in milliseconds. */
interface AgentRun {
  readonly pid: number
  readonly bootId: string
  readonly fromMs: number
  readonly toMs: number | null
}

export type RunsState = readonly AgentRun[]

/** Which processes were the agent, and when: what it does itself is nobody's deed, also when it is read after a restart. */
export class AgentRuns {
  private runs: readonly AgentRun[]
  private readonly pid: number
  private readonly bootId: string

  constructor(pid: number, bootId: string) {
    this.pid = pid
    this.bootId = bootId
    this.runs = [{ pid, bootId, fromMs: 0, toMs: null }]
  }

  /** This one began at `fromMs`. What became of the one before it, when it did not end in order. */
  begin(before: RunsState, fromMs: number): string | undefined {
    const { pid, bootId } = this
    const last = before.at(-1)
    const isSame = last?.pid === pid && last.bootId === bootId && last.toMs === null
    this.runs = (isSame ? before : [...before, { pid, bootId, fromMs, toMs: null }]).slice(-MOST_RUNS)
    if (last === undefined || isSame || last.toMs !== null) return undefined
    const how = last.bootId === bootId ? 'was killed, or crashed' : 'did not stop before the host was booted'
    return `the agent before this one (pid ${last.pid}) ${how}`
  }

  /** What `begin` takes. */
  get memory(): RunsState {
    return this.runs
  }

  /** The same, when this one ends in order. */
  endedAt(nowMs: number): RunsState {
    return this.runs.map((run, index) => (index === this.runs.length - 1 ? { ...run, toMs: nowMs } : run))
  }

  /** Pids of the agent at this time: one that was killed has run until the next one began. */
  pidsAt(timeMs: number): ReadonlySet<number> {
    const then = this.runs.filter(({ fromMs, toMs }, index) => {
      const endMs = toMs === null ? (this.runs[index + 1]?.fromMs ?? timeMs) + STAMP_MS : toMs + STOPPING_MS
      return timeMs >= fromMs - STAMP_MS && timeMs <= endMs
    })
    return new Set(then.map(({ pid }) => pid))
  }

  /** Whether one has stopped about this time, and has said so. */
  hasStoppedAt(timeMs: number): boolean {
    return this.runs.some(({ toMs }) => toMs !== null && Math.abs(timeMs - toMs) < STOPPING_MS)
  }
}
