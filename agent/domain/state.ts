/** What the agent remembers from one start to the next, by what it is. Each kind has keys of its own. */
export type StateKind =
  | 'address'
  | 'clock'
  | 'coverage'
  | 'executed'
  | 'image'
  | 'inode'
  | 'machine'
  | 'maintenance'
  | 'memory'
  | 'move'
  | 'owned'
  | 'peer'
  | 'quota'
  | 'rules'
  | 'sample'
  | 'schedule'
  | 'serial'
  | 'shadow'
  | 'task'

/** One thing that is remembered; `value` is any JSON. */
export interface StateEntry {
  readonly key: string
  readonly value: unknown
}

/** Takes what has changed since it was asked last. Written in the transaction of the chunk that changed it. */
export interface StateWriter {
  put(kind: StateKind, key: string, value: unknown): void
  /** Harmless when it was never put. */
  remove(kind: StateKind, key: string): void
}

/** Gives what was remembered of one kind, in the order of the keys. */
export type StateReader = (kind: StateKind) => Iterable<StateEntry>

/** The same for several machines that write into one log, by their names there; the empty name is this host. */
export interface StatesWriter {
  of(node: string): StateWriter
  /** Removes everything of a machine. */
  forget(node: string): void
}

export interface StatesReader {
  of(node: string): StateReader
  /** Machines besides this host of which there is anything. */
  readonly others: readonly string[]
}
