import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, ListenOptions } from 'node:net'
import { dirname } from 'node:path'
import { DEFAULT_SOCKET } from '../config/places.ts'
import type { Config } from '../config/config.ts'
import { UsageError } from '../domain/result.ts'
import { giveToGroup, makeRoom } from '../support/socket-place.ts'
import { bearsToken, isOwnName, tokenFor } from './access.ts'
import type { Counter } from './counter.ts'
import { type Answer, answerTo, countsFor, refusal, type Sources } from './routes.ts'
import { Turns } from './turns.ts'

/** Who may ask besides root, where a host has such a group. */
const GROUP = 'fullmon'
const MOST_CONNECTIONS = 32
const MOST_HEADER_BYTES = 8192
const MOST_HEADERS = 64
/** For a request to come, and for whoever reads slowly. */
const PATIENCE_MS = 10_000
const KEEP_ALIVE_MS = 5000
/** So that nobody but the owner and the group may connect, from the first moment on. */
const SOCKET_UMASK = 0o117
const FORBIDDEN = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOENT'])

/** Who may ask, of those who can connect. */
type Guard = (request: IncomingMessage) => Answer | undefined

interface World {
  readonly sources: Sources
  readonly counter: Counter
  /** Tells a person, in one sentence. */
  readonly say: (text: string) => void
}

/** Answers who asks for health, metrics and the rest, and changes nothing. */
export class HttpServer {
  readonly #world: World
  readonly #turns = new Turns()
  readonly #servers: Server[] = []
  /** Where it answers. */
  socket: string | undefined
  port: number | undefined

  constructor(world: World) {
    this.#world = world
  }

  /**
   * Begins to answer, at a socket and a port as the configuration says.
   * @throws UsageError when one of them cannot be had; then nothing is listened at
   */
  async open({ socket, port, address, token_file }: Config['http']): Promise<void> {
    try {
      if (socket !== '') await this.#openSocket(socket)
      if (port !== undefined) await this.#openPort(port, address, token_file)
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** Ends at once, whoever is connected. */
  async close(): Promise<void> {
    this.#turns.end()
    const closed = this.#servers.splice(0).map((server) => {
      const end = new Promise((done) => server.close(done))
      server.closeAllConnections()
      return end
    })
    await Promise.all([...closed, this.#world.counter.close()])
  }

  async #openSocket(path: string): Promise<void> {
    try {
      const isNew = await makeRoom(path, "http.socket, or '' for none")
      await this.#listen({ path }, () => undefined)
      this.socket = path
      const directory = isNew || path === DEFAULT_SOCKET ? [dirname(path)] : []
      this.#giveToGroup([...directory, path])
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException
      // Nobody has asked for this one, and an agent without it is better than none.
      if (path === DEFAULT_SOCKET && (error instanceof UsageError || FORBIDDEN.has(code)))
        this.#world.say(`health and metrics are not served at ${path}: ${message}`)
      else throw error instanceof UsageError ? error : new UsageError(`cannot listen at ${path}: ${message}`)
    }
  }

  #giveToGroup(paths: readonly string[]): void {
    try {
      giveToGroup(GROUP, paths)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#world.say(`the group ${GROUP} may not ask for health and metrics: ${reason}`)
    }
  }

  async #openPort(port: number, address: string, tokenFile: string | undefined): Promise<void> {
    const token = tokenFor(address, tokenFile)
    const guard: Guard =
      token === undefined
        ? ({ headers }) => (isOwnName(headers.host) ? undefined : refusal(403, 'ask for localhost'))
        : ({ headers }) =>
            bearsToken(headers.authorization, token)
              ? undefined
              : { ...refusal(401, 'a bearer token is needed'), headers: { 'WWW-Authenticate': 'Bearer' } }
    try {
      const server = await this.#listen({ host: address, port, exclusive: true }, guard)
      const { address: at, family, port: taken } = server.address() as AddressInfo
      this.port = taken
      this.#world.say(`health and metrics: http://${family === 'IPv6' ? `[${at}]` : at}:${taken}`)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      throw new UsageError(
        code === 'EADDRINUSE'
          ? `another program listens at ${address} port ${port}: choose another one (http.port)`
          : code === 'EAFNOSUPPORT'
            ? `this service has no network for http.port: its unit needs RestrictAddressFamilies=AF_INET AF_INET6`
            : `cannot listen at ${address} port ${port}: ${message}`,
      )
    }
  }

  #listen(place: ListenOptions, guard: Guard): Promise<Server> {
    const server = createServer(
      {
        maxHeaderSize: MOST_HEADER_BYTES,
        headersTimeout: PATIENCE_MS,
        requestTimeout: PATIENCE_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: 1000,
      },
      (request, response) => void this.#take(request, response, guard),
    )
    server.maxConnections = MOST_CONNECTIONS
    server.maxHeadersCount = MOST_HEADERS
    server.setTimeout(PATIENCE_MS)
    return new Promise((listening, failed) => {
      server.once('error', failed)
      const umask = process.umask(SOCKET_UMASK)
      try {
        server.listen(place, () => {
          server.off('error', failed)
          // What a connection dies of is told to that connection.
          server.on('error', ({ message }) => this.#world.say(`health and metrics: ${message}`))
          this.#servers.push(server)
          listening(server)
        })
      } finally {
        process.umask(umask)
      }
    })
  }

  async #take(request: IncomingMessage, response: ServerResponse, guard: Guard): Promise<void> {
    // Nobody reads what comes behind the header.
    if ('content-length' in request.headers || 'transfer-encoding' in request.headers)
      response.shouldKeepAlive = false
    let answer = guard(request)
    try {
      if (answer === undefined) {
        const question = { method: request.method ?? '', target: request.url ?? '' }
        const counts = countsFor(question)
        const counted = counts === undefined ? undefined : this.#world.counter.refresh()
        if (counts === 'needed') await counted
        answer = await this.#turns.take(
          () => answerTo(question, this.#world.sources),
          () => !response.destroyed,
        )
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#world.say(`a question could not be answered: ${reason}`)
      answer = refusal(500, 'this is a bug of fullmon; its log tells more')
    }
    if (answer === undefined) response.destroy()
    else send(answer, request.method === 'HEAD', response)
  }
}

function send({ status, type, text, headers = {} }: Answer, isHead: boolean, response: ServerResponse): void {
  response.writeHead(status, {
    ...headers,
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  })
  response.end(isHead ? undefined : text)
}
