import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type NetConnectOpts, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { Config } from '../../agent/config/config.ts'
import { Counter } from '../../agent/http/counter.ts'
import { LiveState } from '../../agent/http/live-state.ts'
import { HttpServer } from '../../agent/http/server.ts'
import { AgentSources } from '../../agent/http/sources.ts'
import { folderForTest } from '../support/folder.ts'
import { ask, objectOf, type Reply } from '../support/http.ts'

const TOKEN = '0123456789abcdef0123456789abcdef'

interface Served {
  readonly folder: string
  readonly socket: string
  readonly server: HttpServer
  readonly said: readonly string[]
  /** Where it listens, when it does. */
  readonly port: () => number
  readonly get: (path: string) => Promise<Reply>
}

/** A server over a baseline with nothing in it. */
function served(): Served {
  const folder = folderForTest()
  const db = join(folder, 'baseline.db')
  new Baseline(db).close()
  const said: string[] = []
  const counter = new Counter(db)
  const sources = new AgentSources(db, new LiveState(0), counter, {
    version: '1.2.3',
    commit: '9e2cfdb12345',
  })
  const server = new HttpServer({ sources, counter, say: (text) => said.push(text) })
  onTestFinished(() => server.close())
  const socket = join(folder, 's.sock')
  return {
    ...{ folder, socket, server, said },
    port: () => Number(/:(\d+)$/.exec(said.at(-1) ?? '')?.[1]),
    get: (path) => ask(path, { socketPath: socket }),
  }
}

type Http = Config['http']
const http = (values: Partial<Http>): Http => Config.parse({ http: { socket: '', ...values } }).http

/** Bytes as they are written, and all that comes back until the other side ends. */
function raw(place: NetConnectOpts, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(place)
    let text = ''
    socket.setEncoding('latin1').on('data', (more: string) => (text += more))
    socket.once('close', () => resolve(text)).once('error', reject)
    socket.write(bytes)
  })
}

const isPresent = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined

describe('at a Unix socket', () => {
  test('whoever may connect is answered, and it is gone afterwards', async () => {
    const { server, socket, get } = served()
    await server.open(http({ socket }))
    expect(statSync(socket).mode & 0o7777).toBe(0o660)
    const reply = await get('/healthz')
    expect(reply).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      },
    })
    expect(reply.headers).not.toHaveProperty('access-control-allow-origin')
    expect(objectOf(reply)).toMatchObject({ healthy: true, pid: process.pid })
    expect((await get('/metrics')).text).toContain('fullmon_nodes 0\n')
    await server.close()
    expect(isPresent(socket)).toBe(false)
  })

  test('HEAD is GET without its text, and what would change something is refused', async () => {
    const { server, socket, get } = served()
    await server.open(http({ socket }))
    const { headers } = await get('/api/alerts')
    const head = await ask('/api/alerts', { socketPath: socket, method: 'HEAD' })
    expect(head).toMatchObject({
      status: 200,
      text: '',
      headers: { 'content-length': headers['content-length'] },
    })
    const post = await ask('/api/alerts', { socketPath: socket, method: 'POST' })
    expect(post).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
  })

  test('the directory is made, for root and the group', async () => {
    const { server, folder } = served()
    const socket = join(folder, 'run/s.sock')
    await server.open(http({ socket }))
    expect(statSync(join(folder, 'run')).mode & 0o7777).toBe(0o750)
  })

  test('what a killed agent has left is replaced', async () => {
    const { server, socket, get } = served()
    const script = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 9))`
    spawnSync(process.execPath, ['-e', script, socket])
    expect(lstatSync(socket).isSocket()).toBe(true)
    await server.open(http({ socket }))
    expect((await get('/healthz')).status).toBe(200)
  })

  test('where another program listens it is refused, and left in peace', async () => {
    const { server, socket } = served()
    const other = createServer((connection) => connection.on('error', () => undefined).end('other'))
    await new Promise<void>((listening) => other.listen(socket, listening))
    onTestFinished(() => void other.close())
    await expect(server.open(http({ socket }))).rejects.toThrow(/another program listens at .*s\.sock/)
    expect(await raw({ path: socket }, 'x')).toBe('other')
  })

  test('what is no socket is not removed', async () => {
    const { server, socket, folder } = served()
    writeFileSync(socket, 'precious')
    await expect(server.open(http({ socket }))).rejects.toThrow(/something at .* that is no socket/)
    expect(readFileSync(socket, 'utf8')).toBe('precious')
    const link = join(folder, 'link')
    symlinkSync(socket, link)
    await expect(server.open(http({ socket: link }))).rejects.toThrow(/no socket/)
  })

  test('a directory that others may write into is refused', async () => {
    const { server, folder } = served()
    mkdirSync(join(folder, 'open'))
    chmodSync(join(folder, 'open'), 0o777)
    await expect(server.open(http({ socket: join(folder, 'open/s.sock') }))).rejects.toThrow(
      /others may write into .*chmod go-w/,
    )
  })

  test.each([
    ['relative.sock', /full path/],
    [`/tmp/${'x'.repeat(108)}`, /107 bytes/],
    ['/nonexistent/directory/s.sock', /cannot listen at \/nonexistent\/directory\/s\.sock: ENOENT/],
  ])('%s is refused', async (socket, why) => {
    await expect(served().server.open(http({ socket }))).rejects.toThrow(why)
  })
})

describe('at a port', () => {
  test('of this host anybody is answered who asks for this host', async () => {
    const { server, port } = served()
    await server.open(http({ port: 0 }))
    const place = { host: '127.0.0.1', port: port() }
    expect(await ask('/healthz', place)).toMatchObject({ status: 200 })
    const rebound = await ask('/healthz', { ...place, headers: { Host: 'evil.example' } })
    expect(rebound).toMatchObject({ status: 403 })
    expect(objectOf(rebound)).toEqual({ error: 'ask for localhost' })
    expect(await raw({ port: port(), host: '127.0.0.1' }, 'GET /healthz HTTP/1.0\r\n\r\n')).toMatch(
      /^HTTP\/1.1 403 /,
    )
  })

  test('with a token only who has it', async () => {
    const { server, port, folder } = served()
    const token_file = join(folder, 'token')
    writeFileSync(token_file, `${TOKEN}\n`, { mode: 0o600 })
    await server.open(http({ port: 0, address: '0.0.0.0', token_file }))
    const asked = (authorization?: string): Promise<Reply> =>
      ask('/healthz', {
        ...{ host: '127.0.0.1', port: port() },
        headers: { Host: 'any.example', ...(authorization === undefined ? {} : { authorization }) },
      })
    expect(await asked(`Bearer ${TOKEN}`)).toMatchObject({ status: 200 })
    for (const wrong of [undefined, 'Bearer ', `Bearer ${TOKEN}0`, `Basic ${TOKEN}`]) {
      const { status, headers, text } = await asked(wrong)
      expect({ status, authenticate: headers['www-authenticate'] }).toEqual({
        ...{ status: 401, authenticate: 'Bearer' },
      })
      expect(text).not.toContain(TOKEN)
    }
  })

  test('beyond this host it needs one', async () => {
    const { server, folder } = served()
    for (const address of ['0.0.0.0', '::', '192.0.2.1'])
      await expect(server.open(http({ port: 0, address }))).rejects.toThrow(/needs http\.token_file/)
    const token_file = join(folder, 'token')
    writeFileSync(token_file, TOKEN, { mode: 0o644 })
    await expect(server.open(http({ port: 0, token_file }))).rejects.toThrow(/others may read the token/)
  })

  test('that is taken it is refused, and the socket is given up', async () => {
    const { server, socket } = served()
    const other = createServer()
    await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening))
    onTestFinished(() => void other.close())
    const { port } = other.address() as { port: number }
    await expect(server.open(http({ socket, port }))).rejects.toThrow(
      `another program listens at 127.0.0.1 port ${port}: choose another one (http.port)`,
    )
    expect(isPresent(socket)).toBe(false)
  })
})

describe('whoever is unkind', () => {
  const open = async (): Promise<Served> => {
    const all = served()
    await all.server.open(http({ socket: all.socket }))
    return all
  }

  test.each([
    ['garbage\r\n\r\n', /^HTTP\/1.1 400 /],
    [`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(9000)}\r\n\r\n`, /^HTTP\/1.1 431 /],
    [`GET /${'x'.repeat(9000)} HTTP/1.1\r\nHost: x\r\n\r\n`, /^HTTP\/1.1 431 /],
    ['GET /healthz HTTP/1.1\r\n\r\n', /^HTTP\/1.1 400 /],
    ['CONNECT evil.example:80 HTTP/1.1\r\nHost: x\r\n\r\n', /^$/],
  ])('with %#', async (bytes, reply) => {
    const { socket, get } = await open()
    expect(await raw({ path: socket }, bytes)).toMatch(reply)
    expect((await get('/healthz')).status).toBe(200)
  })

  test('with a body is answered once, and nothing of it is taken for another question', async () => {
    const { socket } = await open()
    const body = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'
    const bytes = `POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const text = await raw({ path: socket }, bytes)
    expect(text.match(/^HTTP\/1.1 \d+/gm)).toEqual(['HTTP/1.1 405'])
  })

  test('with more connections than there is room for', async () => {
    const { socket, server } = await open()
    const ends = { closed: 0 }
    const many: Socket[] = Array.from({ length: 40 }, () => connect(socket))
    onTestFinished(() => many.forEach((each) => each.destroy()))
    for (const each of many) each.on('error', () => undefined).on('close', () => ends.closed++)
    await new Promise<void>((enough) => {
      for (const each of many) each.on('close', () => (ends.closed >= 8 ? enough() : undefined))
    })
    expect(ends.closed).toBe(8)
    many[0]?.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    const [reply] = await new Promise<string[]>((resolve) =>
      many[0]?.once('data', (bytes) => resolve(String(bytes).split('\r\n'))),
    )
    expect(reply).toBe('HTTP/1.1 200 OK')
    await server.close()
  })

  test('or only slow, keeps nobody from ending', async () => {
    const { socket, server } = await open()
    const idle = connect(socket)
    const half = connect(socket)
    half.write('GET /healthz HTTP/1.1\r\n')
    const unread = connect(socket)
    unread.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    const ended = [idle, half, unread].map((each) => {
      each.on('error', () => undefined).resume()
      return new Promise((resolve) => each.once('close', resolve))
    })
    await new Promise((answered) => unread.once('data', answered))
    await server.close()
    await Promise.all(ended)
  })
})

describe.skipIf(process.getuid?.() !== 0)('another user', () => {
  test('may not connect, but for the group', async () => {
    const { server, socket, folder } = served()
    chmodSync(folder, 0o755)
    await server.open(http({ socket }))
    const { gid } = statSync(socket)
    const asAnother = (group: number): Promise<number | null> =>
      new Promise((resolve) => {
        const script = `require('node:net').connect(process.argv[1]).on('error', () => process.exit(1)).on('connect', () => process.exit(0))`
        spawn(process.execPath, ['-e', script, socket], { uid: 65_534, gid: group }).once('exit', resolve)
      })
    expect(await asAnother(65_534)).toBe(1)
    expect(await asAnother(gid)).toBe(0)
    expect(existsSync(socket)).toBe(true)
  })
})
