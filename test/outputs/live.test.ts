/** The agent as its users start it, with outputs that fail, and with a kill wherever it is. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { folderForTest } from '../support/folder.ts'
import { event, path, syscall } from '../support/log.ts'
import { datagramServerAt } from './datagram-server.ts'
import { readSyslog } from './rfc5424.ts'
import { OK, type Post, serverForTest, status } from './server.ts'

const MAIN = join(import.meta.dirname, '../../agent/main.ts')
const PATIENCE = { timeout: 60_000, interval: 20 }

class Host {
  readonly folder = folderForTest()
  readonly db = join(this.folder, 'baseline.db')
  readonly log = join(this.folder, 'audit.log')
  readonly config = join(this.folder, 'config.yaml')
  stderr = ''
  private agent: ChildProcess | undefined
  private serial = 100

  constructor() {
    writeFileSync(this.log, '')
    chmodSync(this.folder, 0o700)
    onTestFinished(() => this.end('SIGKILL'))
  }

  configure(text: string): void {
    writeFileSync(this.config, text, { mode: 0o600 })
  }

  async start(): Promise<void> {
    const words = ['run', '--auditd', this.log, '--db', this.db, '--config', this.config, '--baseline', '0']
    const agent = spawn(process.execPath, [MAIN, ...words], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.agent = agent
    this.stderr = ''
    agent.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    await vi.waitFor(() => expect(this.stderr).toContain('monitoring'), PATIENCE)
  }

  send(signal: NodeJS.Signals): void {
    this.agent?.kill(signal)
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const { agent } = this
    if (agent === undefined || agent.exitCode !== null || agent.signalCode !== null) return
    agent.kill(signal)
    await once(agent, 'close')
  }

  /** Another program of this name removes what belongs to the agent: that is told at once. */
  tamper(name: string): void {
    const serial = this.serial++
    const who = { pid: 5_000_000 + serial, ppid: 1, exe: `"/opt/${name}"`, items: 2 }
    const records = [
      ['SYSCALL', syscall('unlink', who)],
      ['CWD', 'cwd="/"'],
      ['PATH', path(0, this.folder, 2, 'PARENT')],
      ['PATH', path(1, this.db, serial, 'DELETE')],
    ] as const
    appendFileSync(this.log, event(serial, records, { timeMs: Date.now() }))
  }
}

const NAMES = /\/opt\/(n\d+)\b/
const toldIn = (posts: readonly Post[]): Set<string> =>
  new Set(posts.flatMap(({ body }) => NAMES.exec(JSON.stringify(body))?.[1] ?? []))
const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `n${index}`)

test('kills and a server that is away, fails and comes back lose no report', async () => {
  const host = new Host()
  const { url, posts, stop, start } = await serverForTest([status(500), status(503), OK])
  writeFileSync(join(host.folder, 'url'), url, { mode: 0o600 })
  host.configure(`outputs: { webhook: { url_file: ${host.folder}/url } }\n`)
  const all = names(30)
  const queue = `${host.db}-outputs/webhook.queue`
  for (const [index, name] of all.entries()) {
    if (index % 6 === 0) {
      await host.end('SIGKILL')
      await host.start()
    }
    if (index === 12) await stop()
    if (index === 20) await start()
    host.tamper(name)
    // A kill may come before the agent has read it: then the next one does.
    if (index % 3 === 0) await vi.waitFor(() => expect(queue).toSatisfy(holds(name)), PATIENCE)
  }
  await vi.waitFor(() => expect(toldIn(posts)).toEqual(new Set(all)), PATIENCE)
})

test('syslog, the journal and the terminal get what is grave enough for each of them, and SIGHUP takes new ones', async () => {
  const host = new Host()
  const [log, journal] = [join(host.folder, 'log'), join(host.folder, 'socket')]
  const syslogd = await datagramServerAt(log)
  const journald = await datagramServerAt(journal)
  host.configure(`outputs:\n  syslog: { enabled: true, socket: ${log}, min_severity: critical }\n`)
  await host.start()
  host.tamper('n1')
  const texts = (): string[] => syslogd.messages.map((message) => readSyslog(message).text)
  await vi.waitFor(() => expect(texts().join('\n')).toContain('baseline.db is of fullmon itself'), PATIENCE)
  host.configure(`outputs:\n  journald: { enabled: true, socket: ${journal}, min_severity: low }\n`)
  const before = texts().length
  host.send('SIGHUP')
  await vi.waitFor(() => expect(host.stderr).toContain('the configuration was read again'), PATIENCE)
  host.tamper('n2')
  await vi.waitFor(() => expect(Buffer.concat(journald.messages).toString()).toContain('/opt/n2'), PATIENCE)
  expect(texts()).toHaveLength(before)
})

test('the agent sends what it says last, and ends in time although nobody answers', async () => {
  const host = new Host()
  const { url, posts } = await serverForTest([OK])
  host.configure(`outputs: { webhook: { url: "${url}", body: ecs } }\n`)
  await host.start()
  await host.end('SIGTERM')
  const actions = posts.map(({ body }) => (body as { event: { action: string } }).event.action)
  expect(actions).toContain('agent-stopped')
  const silent = await serverForTest([(response) => void response.writeHead(200)])
  // Nothing else is to be told: whoever runs this may run from /tmp.
  host.configure(`scan: { interval: 0 }\noutputs: { webhook: { url: "${silent.url}" } }\n`)
  await host.start()
  host.tamper('n1')
  await vi.waitFor(() => expect(silent.posts.length).toBeGreaterThan(0), PATIENCE)
  // It would never end, and this test neither.
  await host.end('SIGTERM')
  expect(readFileSync(`${host.db}-outputs/webhook.queue`, 'utf8')).toContain('/opt/n1')
})

test('an address that everybody may read is refused, and never told', async () => {
  const host = new Host()
  const secret = 'https://hooks.example.net/T0/B0/geheim'
  host.configure(`outputs: { webhook: { url: "${secret}" } }\n`)
  chmodSync(host.config, 0o644)
  const words = ['run', '--auditd', host.log, '--db', host.db, '--config', host.config]
  const agent = spawn(process.execPath, [MAIN, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  agent.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const [code] = (await once(agent, 'close')) as [number]
  expect(code).toBe(2)
  expect(said).toBe(
    `fullmon: outputs.webhook.url is a secret, and everybody may read ${host.config}: chmod 640 ${host.config}, or use url_file\n`,
  )
  chmodSync(host.config, 0o600)
  await host.start()
  host.configure(`outputs: { webhook: { url: "${secret}2" } }\n`)
  host.send('SIGHUP')
  await vi.waitFor(
    () => expect(host.stderr).toContain('outputs.webhook.url is hidden (was hidden)'),
    PATIENCE,
  )
  expect(host.stderr).not.toContain('geheim')
})

const holds =
  (name: string) =>
  (file: string): boolean =>
    existsSync(file) && readFileSync(file, 'utf8').includes(`/opt/${name}`)
