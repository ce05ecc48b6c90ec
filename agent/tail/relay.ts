import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Chunk, LogPosition } from '../domain/chunk.ts'
import type { BlindSpot } from '../domain/report.ts'
import { UsageError } from '../domain/result.ts'
import { giveToGroup, giveToUser, makeRoom } from '../support/socket-place.ts'
import { Lasting } from './lasting.ts'
import { RelayReader, type Word } from './relay-words.ts'
import { lossOf } from './spots.ts'

/** Who the plugin is once it has given up root, where a host has such an account. */
const ACCOUNT = 'fullmon'
/** So that nobody but the owner may bring records, from the first moment on. */
const SOCKET_UMASK = 0o177
/** Between two looks at whether the plugin is there. */
const LOOK_MS = 250
/** It says something once a second. */
const PATIENCE_MS = 5000
/** What is taken from the socket before the engine asks for it. */
const MOST_WAITING_BYTES = 1024 * 1024
/** About what a word needs in memory besides its bytes. */
const WORD_BYTES = 256
/** Of positions: what the plugin brings is in no file. */
const PATH = 'relay'
/** Where nothing is that could be read again: after the plugin has brought all that it had. */
const NOWHERE: LogPosition = { path: PATH, inode: 0, fingerprint: '', offset: 0 }

type News = Chunk | BlindSpot

interface RelayOptions {
  /** Where an earlier session stopped. */
  readonly from: LogPosition | undefined
  /** When that was. Unix time in milliseconds. */
  readonly fromMs: number
  /** Ends the iteration. */
  readonly signal: AbortSignal
}

/**
 * A socket at which the plugin of auditd brings its records.
 *
 * What it brings is one stream of bytes, from its start to its end. It keeps what the agent has not written down, so that a
 * position is as good as one in a log, as long as the plugin runs and had room for it.
 */
export class RelaySocket {
  private readonly server: Server
  /** Who came last and has not been taken yet. */
  private waiting: Socket | undefined
  private onCome: () => void = () => undefined
  private current: Connection | undefined

  /** @throws UsageError when nobody can listen there */
  static async open(path: string): Promise<RelaySocket> {
    try {
      const isNew = await makeRoom(path, 'auditd: relay:PATH')
      const relay = new RelaySocket()
      await relay.listen(path)
      if (process.getuid?.() === 0) {
        giveToUser(ACCOUNT, path)
        if (isNew) giveToGroup(ACCOUNT, [dirname(path)])
      }
      return relay
    } catch (error) {
      if (error instanceof UsageError) throw error
      throw new UsageError(
        `cannot listen at ${path}: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }

  private constructor() {
    // A stranger who is let in by mistake is no reason to end: the plugin comes again.
    this.server = createServer({ pauseOnConnect: true }, (socket) => {
      socket.on('error', () => socket.destroy())
      this.waiting?.destroy()
      this.waiting = socket
      this.onCome()
    })
  }

  /** What the plugin brings, whichever one it is; a blind spot for each gap, and for as long as there is none. One at a time. */
  async *follow({ from, fromMs, signal }: RelayOptions): AsyncGenerator<News, void, undefined> {
    const absent = new Lasting('plugin-absent', PATIENCE_MS)
    const stream = new Stream(from, fromMs)
    try {
      while (!signal.aborted) {
        const news = this.current?.take() ?? []
        yield* news
        const spot = absent.look(this.troubleWith(stream))
        if (spot !== undefined) yield spot
        if (news.length === 0) await this.pause(signal)
      }
    } finally {
      this.current?.close()
      this.current = undefined
    }
  }

  /** All before this position is written down. */
  keep(position: LogPosition): void {
    this.current?.keep(position)
  }

  async close(): Promise<void> {
    this.waiting?.destroy()
    await new Promise((done) => this.server.close(done))
  }

  /** Takes whoever has come. @returns what is wrong with the plugin now */
  private troubleWith(stream: Stream): string | undefined {
    const { current, waiting } = this
    if (current?.hasNews === true) return undefined
    // One that is stopped keeps its connection, and is no reason to let another one wait.
    if (waiting !== undefined && (current === undefined || current.isOver || current.isSilent)) {
      current?.close()
      this.waiting = undefined
      this.current = new Connection(waiting, stream, () => this.onCome())
      return undefined
    }
    if (current === undefined || current.isOver) return 'no plugin of auditd brings records'
    return current.isSilent ? 'the plugin of auditd says nothing' : undefined
  }

  private pause(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.onCome = () => undefined
        resolve()
      }
      const timer = setTimeout(done, signal.aborted ? 0 : LOOK_MS)
      signal.addEventListener('abort', done)
      this.onCome = done
    })
  }

  private listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.on('error', reject)
      const umask = process.umask(SOCKET_UMASK)
      try {
        this.server.listen(path, resolve)
      } finally {
        process.umask(umask)
      }
    })
  }
}

/** Where the next byte should be, over connections. */
class Stream {
  private position: LogPosition | undefined
  /** Time of what came last. Unix time in milliseconds. */
  private cameMs: number

  constructor(from: LogPosition | undefined, fromMs: number) {
    this.position = from
    this.cameMs = fromMs
  }

  get name(): string {
    return this.position?.fingerprint ?? ''
  }

  /** Where to begin with a plugin that has just come; what is missing since the one before it. */
  begin({ stream, first }: Extract<Word, { readonly kind: 'hello' }>): {
    readonly offset: number
    readonly news: readonly News[]
  } {
    const before = this.position
    if (before?.fingerprint === stream) return { offset: before.offset, news: [] }
    this.position = { ...NOWHERE, fingerprint: stream, offset: first }
    // So that a session after this one knows the stream, whether anything comes or not.
    const begun = { bytes: Buffer.alloc(0), at: this.position }
    const isLost = before !== undefined && before.fingerprint !== ''
    const ended = isLost ? [this.endedEarly(before)] : []
    // It had come before this agent did, who goes on from an earlier one.
    const dropped = before !== undefined && first > 0 ? [overflow(this.cameMs, first)] : []
    return { offset: first, news: [...ended, ...dropped, begun] }
  }

  /** Undefined when these bytes were there before. */
  take({ offset, bytes, behind }: Extract<Word, { readonly kind: 'bytes' }>): readonly News[] | undefined {
    const expected = this.position ?? NOWHERE
    if (offset < expected.offset) return undefined
    const fromMs = this.cameMs
    this.cameMs = Date.now()
    const at = { ...expected, offset }
    const isGap = offset !== expected.offset
    const gap = isGap ? [overflow(fromMs, offset - expected.offset)] : []
    this.position = { ...at, offset: offset + bytes.length }
    return bytes.length === 0 && !isGap ? [] : [...gap, { bytes, at, behindBytes: behind }]
  }

  /** Undefined when it had brought more than that. */
  end({ offset }: Extract<Word, { readonly kind: 'end' }>): readonly News[] | undefined {
    const expected = this.position ?? NOWHERE
    if (offset < expected.offset) return undefined
    this.position = NOWHERE
    const gap = offset > expected.offset ? [overflow(this.cameMs, offset - expected.offset)] : []
    return [...gap, { bytes: Buffer.alloc(0), at: NOWHERE }]
  }

  private endedEarly({ offset }: LogPosition): BlindSpot {
    return lossOf({
      reason: 'plugin-ended',
      fromMs: this.cameMs,
      bytes: 0,
      detail: `the plugin of auditd ended before it had brought all that followed byte ${offset} of its records; another one goes on`,
    })
  }
}

const overflow = (fromMs: number, bytes: number): BlindSpot =>
  lossOf({
    reason: 'plugin-overflow',
    fromMs,
    bytes,
    detail:
      'the plugin of auditd had no room for what the agent did not read in time, and dropped the oldest',
  })

/** One plugin, from its coming to its end. */
class Connection {
  private readonly socket: Socket
  private readonly stream: Stream
  private readonly reader = new RelayReader()
  private readonly onNews: () => void
  private news: News[] = []
  private waitingBytes = 0
  private isGreeted = false
  /** It has said that this was all. */
  private isEnded = false
  private heardMs = performance.now()
  private keptOffset = 0
  isOver = false

  constructor(socket: Socket, stream: Stream, onNews: () => void) {
    this.socket = socket
    this.stream = stream
    this.onNews = onNews
    socket.on('data', (bytes) => this.hear(bytes))
    socket.on('close', () => {
      this.isOver = true
      this.onNews()
    })
    socket.resume()
  }

  get isSilent(): boolean {
    return performance.now() - this.heardMs > PATIENCE_MS
  }

  get hasNews(): boolean {
    return this.news.length > 0
  }

  take(): readonly News[] {
    const { news } = this
    this.news = []
    this.waitingBytes = 0
    this.socket.resume()
    return news
  }

  keep({ fingerprint, offset }: LogPosition): void {
    if (fingerprint !== this.stream.name || offset <= this.keptOffset || !this.isGreeted || this.isOver)
      return
    this.keptOffset = offset
    this.socket.write(`keep ${offset}\n`)
  }

  close(): void {
    this.socket.destroy()
  }

  private hear(bytes: Buffer): void {
    this.heardMs = performance.now()
    const words = this.reader.push(bytes)
    if (words?.every((word) => this.takeWord(word)) !== true) this.socket.destroy()
    if (this.waitingBytes >= MOST_WAITING_BYTES) this.socket.pause()
    if (this.hasNews) this.onNews()
  }

  /** False when no plugin of ours says that now. */
  private takeWord(word: Word): boolean {
    if (word.kind === 'hello') {
      if (this.isGreeted) return false
      this.isGreeted = true
      const { offset, news } = this.stream.begin(word)
      this.news.push(...news)
      this.socket.write(`from ${offset}\n`)
      return true
    }
    if (!this.isGreeted || this.isEnded) return false
    this.isEnded = word.kind === 'end'
    const news = word.kind === 'bytes' ? this.stream.take(word) : this.stream.end(word)
    if (news === undefined) return false
    this.news.push(...news)
    if (word.kind === 'bytes') this.waitingBytes += word.bytes.length + WORD_BYTES
    return true
  }
}
