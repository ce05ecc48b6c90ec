/** Where a byte of the log is: enough to find it again after renames, restarts and reuse of inode numbers. */
export interface LogPosition {
  /** Path under which the log was opened; for people, not for finding it again. */
  readonly path: string
  readonly inode: number
  /** SHA-256 (hex) of the first line of the file: inode numbers are reused at once, see docs/architecture.md. */
  readonly fingerprint: string
  /** Byte offset in that file. */
  readonly offset: number
}

/** Bytes of one log file, in order. A line may begin in one chunk and end in the next. */
export interface Chunk {
  readonly bytes: Buffer
  /** Position of the first byte; undefined for a stream that cannot be read again (standard input). */
  readonly at: LogPosition | undefined
  /** Bytes of the logs behind this chunk that are still unread; undefined when nobody can tell. */
  readonly behindBytes?: number
}
