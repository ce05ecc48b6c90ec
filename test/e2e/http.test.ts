/** The agent that is asked how it is: what it does when it cannot listen, and that a real auditd shows nothing of its answers. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { newestAlertsIn } from '../../agent/baseline/alert-list.ts'
import type { Report } from '../../agent/domain/report.ts'
import { FULLMON, type RunningAgent, startAgent } from '../support/agent.ts'
import { auditdMissing, type Lab, shippedRules, startAuditd } from '../support/auditd.ts'
import { folderForTest } from '../support/folder.ts'
import { ask, objectOf, type Reply } from '../support/http.ts'
import { findingsOf } from '../support/incidents.ts'

/** Another program, at a port of its own choice. */
async function listening(): Promise<number> {
  const server: Server = createServer()
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  onTestFinished(() => void server.close())
  return (server.address() as { port: number }).port
}

/** An agent on a log in which nothing happens. */
function host() {
  const folder = folderForTest()
  const [log, db, socket, config] = ['audit.log', 'b.db', 's.sock', 'config.yaml'].map((name) =>
    join(folder, name),
  ) as [string, string, string, string]
  writeFileSync(log, '')
  const configure = (text: string): void =>
    writeFileSync(config, `wait: 0.05\nbaseline: 0\nscan: {interval: 0}\n${text}`)
  configure('')
  const words = ['run', '--config', config, '--auditd', log, '--db', db, '--json']
  const start = (...more: readonly string[]): RunningAgent => {
    const agent = startAgent([...words, ...more])
    onTestFinished(() => void agent.end('SIGKILL'))
    return agent
  }
  return { db, socket, configure, start, words }
}

const isSaid = (agent: RunningAgent, what: string): Promise<void> =>
  agent.waitFor(what, () => agent.stderr().includes(what))
const healthAt = (socketPath: string): Promise<Reply> => ask('/healthz', { socketPath })

describe('the agent', () => {
  test('tells its health until it ends, whoever stays connected', async () => {
    const { start, socket } = host()
    const agent = start('--socket', socket)
    await isSaid(agent, 'monitoring')
    const reply = await healthAt(socket)
    expect(reply.status).toBe(200)
    expect(objectOf(reply)).toMatchObject({ healthy: true, phase: 'monitoring', pid: agent.pid })
    const idle = ask('/healthz', {
      socketPath: socket,
      headers: { Expect: '100-continue', Connection: 'keep-alive' },
    })
    await idle
    expect(await agent.end('SIGTERM')).toBe(0)
    expect(existsSync(socket)).toBe(false)
  })

  test('says that it trains', async () => {
    const { start, socket } = host()
    const agent = start('--socket', socket, '--baseline', '3600')
    await isSaid(agent, 'training until')
    const reply = await healthAt(socket)
    expect(reply.status).toBe(200)
    expect(objectOf(reply)).toMatchObject({ healthy: true, phase: 'training' })
  })

  test('does not start where another one is asked, or a program has its port', async () => {
    const { start, socket, words } = host()
    const port = await listening()
    const taken = spawnSync(FULLMON, [...words, '--socket', '', '--port', String(port)], { encoding: 'utf8' })
    expect(taken.status).toBe(2)
    expect(taken.stderr).toBe(
      `fullmon: another program listens at 127.0.0.1 port ${port}: choose another one (http.port)\n`,
    )
    await isSaid(start('--socket', socket), 'monitoring')
    const second = spawnSync(FULLMON, [...host().words, '--socket', socket], { encoding: 'utf8' })
    expect(second.status).toBe(2)
    expect(second.stderr).toMatch(
      /^fullmon: another program listens at .*s\.sock; a second agent needs .*\n$/,
    )
    expect((await healthAt(socket)).status).toBe(200)
  })

  test('goes on at the same place with another configuration, and goes back from one that cannot be', async () => {
    const { start, socket, configure } = host()
    const agent = start('--socket', socket)
    await isSaid(agent, 'monitoring')
    configure('monitor: 5\n')
    agent.send('SIGHUP')
    await agent.waitFor('monitoring again', () => /read again[^]*monitoring/.test(agent.stderr()))
    expect((await healthAt(socket)).status).toBe(200)
    const port = await listening()
    configure(`monitor: 5\nhttp: {port: ${port}}\n`)
    agent.send('SIGHUP')
    await isSaid(agent, `port ${port}: choose another one (http.port); the configuration stays as it was`)
    await agent.waitFor('monitoring', () => /stays as it was[^]*monitoring/.test(agent.stderr()))
    expect((await healthAt(socket)).status).toBe(200)
    expect(await agent.end('SIGTERM')).toBe(0)
  })
})

const unavailable = auditdMissing('http.test.ts: a part is left out')

describe.skipIf(unavailable !== undefined)('beside a real auditd', () => {
  // Not a name of mkdtemp's: half of those have a digit, and are a pattern in the report.
  const directory = join(tmpdir(), 'fullmon-http')
  const state = join(directory, 'state')
  const db = join(state, 'baseline.db')
  const socket = join(directory, 'run/fullmon.sock')
  let lab: Lab
  let port = 0
  const token = join(directory, 'token')
  const reports: Report[] = []

  /** An agent whose own doings are recorded; ended by `end`, which takes what it has printed. */
  async function recorded() {
    const words = `run --json --auditd ${lab.logFile} --db ${db} --baseline 1 --monitor 1 --wait 0.1`
    const http = `--set scan.interval=0 --socket ${socket} --port ${port} --set http.token_file=${token}`
    const { pid, done } = lab.start([FULLMON, ...words.split(' '), ...http.split(' ')])
    await until(async () => {
      const reply = await healthAt(socket).catch(() => undefined)
      return (
        reply !== undefined && objectOf(reply)['pid'] === pid && objectOf(reply)['phase'] === 'monitoring'
      )
    })
    const end = async (signal: NodeJS.Signals): Promise<void> => {
      process.kill(pid, signal)
      const { stdout } = await done
      for (const line of stdout.split('\n').slice(0, -1)) reports.push(JSON.parse(line) as Report)
    }
    onTestFinished(() => {
      if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL')
    })
    return { pid, end }
  }

  beforeAll(async () => {
    rmSync(directory, { recursive: true, force: true })
    mkdirSync(state, { recursive: true, mode: 0o700 })
    writeFileSync(token, '0123456789abcdef\n', { mode: 0o600 })
    port = await new Promise((found) => {
      const server = createServer().listen(0, '127.0.0.1', () => {
        const { port: free } = server.address() as { port: number }
        server.close(() => found(free))
      })
    })
    lab = await startAuditd({
      logFormat: 'ENRICHED',
      rules: shippedRules(state),
    })
  })

  afterAll(async () => {
    await lab.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  test('listening and answering are no findings, and no signs of tampering; to remove the socket is one', async () => {
    const first = await recorded()
    await first.end('SIGKILL')
    // Its directory is made, what it leaves is cleared away, and it ends in order, all after the training.
    rmSync(dirname(socket), { recursive: true })
    const second = await recorded()
    await second.end('SIGKILL')
    expect(existsSync(socket)).toBe(true)
    const third = await recorded()
    const headers = { authorization: 'Bearer 0123456789abcdef' }
    for (const path of ['/healthz', '/metrics', '/api/alerts', '/api/status', '/api/graph?incident=1']) {
      await ask(path, { socketPath: socket })
      await ask(path, { host: '127.0.0.1', port, headers })
    }
    await third.end('SIGTERM')
    const fourth = await recorded()
    await lab.run(`/bin/rm ${socket}`)
    await lab.settle()
    await until(() =>
      Promise.resolve(existsSync(db) && alertsOf(db).some(({ title }) => title.includes(socket))),
    )
    await fourth.end('SIGTERM')

    const findings = findingsOf(reports)
    const own = findings.filter(({ edge: { to } }) =>
      [directory, `:${port}`, ':127.0.0.1:'].some((each) => to.includes(each)),
    )
    expect(own.map(({ edge }) => edge)).toEqual([
      { kind: 'delete', from: 'proc::root:/usr/bin/rm', to: `file:delete:${socket}` },
    ])
    expect(
      reports.filter((report) => report.kind === 'tamper' && report.reason === 'own-files'),
    ).toMatchObject([{ process: 'proc::root:/usr/bin/rm' }])
    // It was recorded.
    expect(readFileSync(lab.logFile, 'latin1')).toMatch(/^type=SYSCALL .*comm="(?:node|MainThread)"/m)
  })
})

const alertsOf = (db: string): readonly { readonly title: string }[] => newestAlertsIn(db, { most: 50 })

async function until(isThere: () => Promise<boolean>): Promise<void> {
  while (!(await isThere())) await sleep(50)
}
