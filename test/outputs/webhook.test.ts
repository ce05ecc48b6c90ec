import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { UsageError } from '../../agent/domain/result.ts'
import { Courier } from '../../agent/outputs/courier.ts'
import { Spool } from '../../agent/outputs/spool.ts'
import { urlIn, urlOf, webhook } from '../../agent/outputs/webhook.ts'
import { noticeOf } from '../../agent/report/notice.ts'
import { folderForTest } from '../support/folder.ts'
import { ALERT, INCIDENT, incidentWith, REPORTS } from './reports.ts'
import { type Answer, OK, type Post, serverForTest, status } from './server.ts'

const HANG: Answer = () => undefined
const PATIENCE = { timeout: 30_000, interval: 10 }

interface Sender {
  readonly courier: Courier
  readonly said: readonly string[]
  readonly file: string
}

/** Sends as the agent does, with shorter waits. */
function senderTo(url: string, file = join(folderForTest(), 'webhook.queue')): Sender {
  const said: string[] = []
  const spool = new Spool(file, 1024 * 1024)
  const carrier = webhook({
    ...{ url: () => new URL(url), timeoutMs: 300, userAgent: 'fullmon/0.1.0' },
    bodyOf: ({ report }) => report,
  })
  const say = (text: string): void => void said.push(text)
  const courier = new Courier({ name: 'webhook', least: 'medium', spool, carrier, say, retryMs: 10 })
  onTestFinished(() => courier.close())
  return { courier, said, file }
}

const idsOf = (posts: readonly Post[]): unknown[] => posts.map(({ body }) => (body as { id: unknown }).id)
const keysOf = (posts: readonly Post[]): unknown[] => posts.map(({ headers }) => headers['idempotency-key'])
const incidents = (count: number): (typeof INCIDENT)[] =>
  Array.from({ length: count }, (_, index) => incidentWith(INCIDENT.edges, { id: index + 1 }))

describe('a webhook', () => {
  test('is posted what is grave enough, in order', async () => {
    const { url, posts } = await serverForTest([OK])
    const { courier } = senderTo(url)
    for (const report of REPORTS) courier.offer(report)
    courier.offer(incidentWith(INCIDENT.edges, { id: 99, severity: 'low' }))
    courier.offer({ ...INCIDENT, id: 100 })
    await vi.waitFor(() => expect(posts).toHaveLength(REPORTS.length + 1), PATIENCE)
    expect(posts.map(({ body }) => body)).toEqual([...REPORTS, { ...INCIDENT, id: 100 }].map(asJson))
    expect(posts[0]).toMatchObject({
      ...{ method: 'POST', url: '/hook' },
      headers: { 'content-type': 'application/json', 'user-agent': 'fullmon/0.1.0' },
    })
    expect(new Set(keysOf(posts)).size).toBe(posts.length)
  })

  test.each<[string, Answer, RegExp]>([
    ['fails', status(500, {}, 'out of\norder\u001b[2J'), /it answers 500: out of order \[2J;/],
    ['hangs', HANG, /no answer in time/],
    ['breaks off', (response) => void response.destroy(), /ECONNRESET/],
    ['is forbidden', status(403), /it answers 403;/],
    ['asks to wait', status(429, { 'retry-after': '0' }), /it answers 429;/],
    ['refuses once', status(400, {}, 'invalid_payload'), /it answers 400: invalid_payload;/],
  ])(
    'that %s is tried again with the same key until it works, and both is said once',
    async (_, answer, reason) => {
      const { url, posts } = await serverForTest([answer, answer, answer, OK])
      const { courier, said } = senderTo(url)
      courier.offer(INCIDENT)
      courier.offer(ALERT)
      await vi.waitFor(() => expect(posts).toHaveLength(5), PATIENCE)
      await vi.waitFor(() => expect(said).toHaveLength(2), PATIENCE)
      expect(new Set(keysOf(posts.slice(0, 4))).size).toBe(1)
      expect(idsOf(posts)).toEqual([7, 7, 7, 7, 3])
      expect(said[0]).toMatch(/^outputs\.webhook does not work: /)
      expect(said[0]).toMatch(reason)
      expect(said[1]).toMatch(/^outputs\.webhook works again; \d more/)
      expect(said.join('')).not.toMatch(/127\.0\.0\.1|\/hook|[\u0000-\u001f]/)
    },
  )

  test('that asks to wait is not asked before', async () => {
    let isOver = false
    const seen: boolean[] = []
    const { url } = await serverForTest([
      (response, post) => {
        setTimeout(() => (isOver = true), 900)
        status(429, { 'retry-after': '1' })(response, post)
      },
      (response, post) => {
        seen.push(isOver)
        OK(response, post)
      },
    ])
    senderTo(url).courier.offer(INCIDENT)
    await vi.waitFor(() => expect(seen).toEqual([true]), PATIENCE)
  })

  test('that leads elsewhere is not followed', async () => {
    const elsewhere = await serverForTest([OK])
    const redirect = status(301, { location: elsewhere.url })
    const { url, posts } = await serverForTest([redirect, status(307, { location: elsewhere.url }), OK])
    const { courier, said } = senderTo(url)
    courier.offer(INCIDENT)
    await vi.waitFor(() => expect(posts).toHaveLength(3), PATIENCE)
    expect(elsewhere.posts).toEqual([])
    expect(said[0]).toContain('redirects are not followed')
  })

  test('that is away gets everything when it comes back', async () => {
    const { url, posts, stop, start } = await serverForTest([OK])
    await stop()
    const { courier, said } = senderTo(url)
    for (const each of incidents(30)) courier.offer(each)
    await vi.waitFor(() => expect(said.join('')).toContain('ECONNREFUSED'), PATIENCE)
    await start()
    await vi.waitFor(() => expect(posts).toHaveLength(30), PATIENCE)
    expect(idsOf(posts)).toEqual(incidents(30).map(({ id }) => id))
    expect(said).toHaveLength(2)
  })

  test('that refuses one report for ever does not keep the others', async () => {
    const picky: Answer = (response, { body }) =>
      void response.writeHead((body as { id: number }).id === 2 ? 400 : 200).end()
    const { url, posts } = await serverForTest([picky])
    const { courier, said } = senderTo(url)
    for (const each of incidents(2)) courier.offer(each)
    await vi.waitFor(() => expect(posts.length).toBeGreaterThan(5), PATIENCE)
    // Its tries would take an hour: the next agent begins with it again, and so on.
    expect(idsOf(posts).filter((id) => id === 1)).toHaveLength(1)
    expect(said).toHaveLength(1)
  })

  test('that has a report is not asked to say more', async () => {
    const { url, posts } = await serverForTest([(response) => response.writeHead(200).flushHeaders()])
    const { courier, said } = senderTo(url)
    for (const each of incidents(3)) courier.offer(each)
    await vi.waitFor(() => expect(idsOf(posts)).toEqual([1, 2, 3]), PATIENCE)
    expect(said).toEqual([])
  })

  test('gets what is a report, whatever else stands in the file', async () => {
    const { url, posts } = await serverForTest([OK])
    const file = join(folderForTest(), 'webhook.queue')
    writeFileSync(file, '["+","x","high",{"kind":"incident"}]\n')
    const said: string[] = []
    const carrier = webhook({
      ...{ url: () => new URL(url), timeoutMs: 300, userAgent: 'fullmon/0.1.0' },
      bodyOf: ({ report }) => noticeOf(report),
    })
    const spool = new Spool(file, 1024 * 1024)
    const say = (text: string): void => void said.push(text)
    const courier = new Courier({ name: 'webhook', least: 'low', spool, carrier, say, retryMs: 0.001 })
    onTestFinished(() => courier.close())
    courier.offer(INCIDENT)
    await vi.waitFor(() => expect(posts.length).toBeGreaterThan(0), PATIENCE)
    expect(posts[0]?.body).toMatchObject({ kind: 'incident', severity: 'high' })
    expect(said.join('\n')).toContain('outputs.webhook refuses a report')
  })

  test('gets from the next agent what the last one could not send', async () => {
    const { url, posts, stop, start } = await serverForTest([HANG, OK])
    const file = join(folderForTest(), 'webhook.queue')
    const first = senderTo(url, file)
    for (const each of incidents(3)) first.courier.offer(each)
    await vi.waitFor(() => expect(posts).toHaveLength(1), PATIENCE)
    await stop()
    await first.courier.close()
    await start()
    senderTo(url, file)
    await vi.waitFor(() => expect(new Set(idsOf(posts))).toEqual(new Set([1, 2, 3])), PATIENCE)
    expect(keysOf(posts)[0]).toBe(keysOf(posts)[1])
  })

  test('is told all that waits before the agent ends', async () => {
    const { url, posts } = await serverForTest([OK])
    const { courier } = senderTo(url)
    for (const each of incidents(5)) courier.offer(each)
    await courier.close()
    expect(idsOf(posts)).toEqual([1, 2, 3, 4, 5])
  })

  test('is told how much was dropped while it was away', async () => {
    const { url, posts, stop, start } = await serverForTest([OK])
    await stop()
    const said: string[] = []
    const spool = new Spool(join(folderForTest(), 'webhook.queue'), 10_000)
    const carrier = webhook({
      ...{ url: () => new URL(url), timeoutMs: 300, userAgent: 'fullmon/0.1.0' },
      bodyOf: ({ report }) => report,
    })
    const say = (text: string): void => void said.push(text)
    const courier = new Courier({ name: 'webhook', least: 'low', spool, carrier, say, retryMs: 10 })
    onTestFinished(() => courier.close())
    for (const each of incidents(40)) courier.offer(each)
    await vi.waitFor(() => expect(said.join('\n')).toContain('the least grave ones are dropped'), PATIENCE)
    await start()
    const spots = (): Post[] => posts.filter(({ body }) => (body as { kind: string }).kind === 'blind-spot')
    await vi.waitFor(() => expect(spots()).toHaveLength(1), PATIENCE)
    const { count } = spots()[0]?.body as { count: number }
    expect(count + posts.length - 1).toBe(40)
    expect(count).toBeGreaterThan(20)
  })
})

const openssl = spawnSync('openssl', ['version']).status === 0
const withoutTls = openssl ? '' : ': openssl is not installed'
test.skipIf(!openssl)(
  `a server whose certificate nobody vouches for is told nothing${withoutTls}`,
  async () => {
    const folder = folderForTest()
    const [key, cert] = [join(folder, 'key'), join(folder, 'cert')]
    const words =
      'req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1'
    execFileSync('openssl', [...words.split(' '), '-keyout', key, '-out', cert], { stdio: 'ignore' })
    let asked = 0
    const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_, response) => {
      asked++
      response.end()
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const { courier, said } = senderTo(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    courier.offer(INCIDENT)
    await vi.waitFor(() => expect(said.join('')).toContain('SELF_SIGNED_CERT'), PATIENCE)
    expect(asked).toBe(0)
  },
)

describe('the address of a webhook', () => {
  test('is read from a file that nobody else may read', () => {
    const file = join(folderForTest(), 'url')
    writeFileSync(file, 'https://hooks.example.net/T0/B0/secret\n', { mode: 0o600 })
    expect(urlIn(file).pathname).toBe('/T0/B0/secret')
    for (const mode of [0o604, 0o640, 0o620]) {
      chmodSync(file, mode)
      expect(() => urlIn(file)).toThrow(UsageError)
    }
  })

  test.each(['ftp://x/', 'file:///etc/passwd', 'x', ''])('is none of the web: %s', (text) => {
    expect(() => urlOf(text, 'outputs.webhook.url')).toThrow(
      'outputs.webhook.url holds no address that begins with https:// or http://',
    )
  })
})

const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
