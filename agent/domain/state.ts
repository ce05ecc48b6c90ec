/** What the agent remembers from one start to the next, by what it is. Each kind has keys of its own. */
export type StateKind =
  | 'clock'
  | 'coverage'
  | 'image'
  | 'inode'
  | 'machine'
  | 'move'
  | 'quota'
  | 'sample'
  | 'schedule'
  | 'serial'
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
