import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** What a server was sent. */
export interface Post {
  readonly url: string
  readonly method: string
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
}

/** How it answers a post: it may hang. */
export type Answer = (response: ServerResponse, post: Post) => void

/** A server of the test's own on the loopback interface. */
export interface TestServer {
  readonly url: string
  readonly port: number
  readonly posts: readonly Post[]
  /** Nobody answers any more, and nothing is lost of `posts`. */
  readonly stop: () => Promise<void>
  /** It is there again, on the same port. */
  readonly start: () => Promise<void>
}

export const OK: Answer = (response) => void response.end('ok')

export const status =
  (code: number, headers: Readonly<Record<string, string>> = {}, text = ''): Answer =>
  (response) =>
    void response.writeHead(code, headers).end(text)

/** @param answers for one post after the other; the last one is for all that follow */
export async function serverForTest(answers: readonly [...Answer[], Answer]): Promise<TestServer> {
  const posts: Post[] = []
  let server: Server
  let port = 0
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    request.on('end', () => {
      const { url = '', method = '', headers } = request
      const post = { url, method, headers, body: JSON.parse(text) as unknown }
      posts.push(post)
      ;(answers[posts.length - 1] ?? answers.at(-1) ?? OK)(response, post)
    })
  }
  const start = async (): Promise<void> => {
    server = createServer(take).listen(port, '127.0.0.1')
    await once(server, 'listening')
    ;({ port } = server.address() as AddressInfo)
  }
  const stop = async (): Promise<void> => {
    if (!server.listening) return
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
  await start()
  onTestFinished(stop)
  return { url: `http://127.0.0.1:${port}/hook`, port, posts, stop, start }
}
