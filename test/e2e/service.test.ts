import { spawn, spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Edge } from '../../agent/domain/edge.ts'
import { FULLMON, type RunningAgent, startAgent } from '../support/agent.ts'
import { folderForTest } from '../support/folder.ts'
import { LogBuilder } from '../support/log-builder.ts'
import { findingsOf } from '../support/incidents.ts'

const SHELL = { pid: 4_000_000, exe: '/usr/bin/dash' }

/** A host with a log, a configuration file and a baseline, on which nothing has happened yet. */
interface Host {
  readonly log: string
  readonly db: string
  /** Where --log may go, and standard error of who has no pipe for it. */
  readonly reports: string
  readonly stderr: string
  readonly config: string
  readonly configure: (text: string) => void
  readonly words: readonly string[]
  /** Starts the agent; what is not said on the command line stands in the configuration. */
  readonly start: (environment?: Record<string, string>, more?: readonly string[]) => RunningAgent
}

function newHost(): Host {
  const folder = folderForTest()
  const [log, db, reports, stderr, config] = [
    'audit.log',
    'b.db',
    'fullmon.log',
    'stderr',
    'config.yaml',
  ].map((name) => join(folder, name)) as [string, string, string, string, string]
  writeFileSync(log, '')
  const configure = (text: string): void => writeFileSync(config, `wait: 0.05\nbaseline: 0\n${text}`)
  configure('monitor: 0.1\n')
  const words = ['run', '--config', config, '--auditd', log, '--db', db, '--socket', '', '--json']
  const start: Host['start'] = (environment, more = []) => {
    const agent = startAgent([...words, ...more], environment)
    onTestFinished(() => void agent.end('SIGKILL'))
    return agent
  }
  return { log, db, reports, stderr, config, configure, words, start }
}

const isMonitoring = (agent: RunningAgent): Promise<void> =>
  agent.waitFor('monitoring', () => agent.stderr().includes('monitoring'))

/** Something has happened on the host, was reported, and the agent knows where in the log it is. */
async function reports(agent: RunningAgent, { log }: Host, name: string): Promise<void> {
  appendFileSync(log, programs([name]))
  await agent.waitFor(name, () => findingsOf(agent.reports).some(({ edge }) => edge.to.endsWith(`/${name}`)))
}

/** Programs that a shell starts, one event each. */
function programs(names: readonly string[], timeMs = Date.now()): string {
  const log = new LogBuilder(timeMs)
  for (const [index, name] of names.entries())
    log.exec({ pid: SHELL.pid + 1 + index, ppid: SHELL.pid, exe: `/usr/bin/${name}` })
  return log.text
}

const edgesOf = (db: string): { readonly to: string; readonly sightings: number }[] =>
  spawnSync(FULLMON, ['baseline', 'show', '--db', db, '--json'], { encoding: 'utf8' })
    .stdout.split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as { readonly edge: Edge; readonly sightings: number })
    .map(({ edge, sightings }) => ({ to: edge.to, sightings }))

/** Plays a terminal that is never read, and ends the program as soon as its own input ends. */
const STALLED_TERMINAL = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), 2)
    os.execv(sys.argv[2], sys.argv[2:])
sys.stdin.read()
os.kill(pid, 15)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`

/** Plays systemd: a datagram socket that tells what came from whom, a line each. */
const SERVICE_MANAGER = `
import json, socket, struct, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1].replace('@', '\\0'))
manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
print(json.dumps({'pid': 0, 'text': 'listening'}), flush=True)
while True:
    text, [(_, _, sender)], _, _ = manager.recvmsg(4096, 1024)
    print(json.dumps({'pid': struct.unpack('iii', sender)[0], 'text': text.decode()}), flush=True)
`

interface Message {
  readonly pid: number
  readonly text: string
}

async function serviceManager(address: string): Promise<readonly Message[]> {
  const child = spawn('/usr/bin/python3', ['-c', SERVICE_MANAGER, address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const messages: Message[] = []
  createInterface(child.stdout).on('line', (line) => messages.push(JSON.parse(line) as Message))
  await until(() => messages.length > 0)
  return messages
}

async function until(isThere: () => boolean): Promise<void> {
  while (!isThere()) await sleep(20)
}

interface Status {
  readonly findings: { readonly reported: number }
  readonly logs: readonly { readonly behindBytes: number }[]
}

function statusOf(db: string): Status {
  const { stdout } = spawnSync(FULLMON, ['status', '--db', db, '--json'], { encoding: 'utf8' })
  return JSON.parse(stdout) as Status
}

/** So many findings that neither a pipe nor a terminal holds them. */
const MANY = 900
const flood = (): string =>
  programs(Array.from({ length: MANY }, (_, index) => `unseen-${'x'.repeat(200)}${index}`))

/** Writes to the log in the moment in which the agent says what it does, and before it can do anything else. */
const AT_ITS_WORD = `
import { appendFileSync } from 'node:fs'
const { write } = process.stderr
process.stderr.write = function (text, ...more) {
  if (text.includes(process.env.WORD)) appendFileSync(process.env.LOG, process.env.RECORDS)
  return write.call(this, text, ...more)
}`

test('what is written to the log as soon as it says that it monitors is read', async () => {
  const host = newHost()
  writeFileSync(host.log, programs(['before']))
  const agent = host.start({
    NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(AT_ITS_WORD)}`,
    WORD: 'monitoring',
    LOG: host.log,
    // So old that they are dated by their arrival, which is behind the training.
    RECORDS: programs(['at-once'], Date.now() - 60_000),
  })
  await isMonitoring(agent)
  await reports(agent, host, 'after')
  expect(findingsOf(agent.reports).map(({ edge }) => edge.to)).toContain('proc::root:/usr/bin/at-once')
  expect(findingsOf(agent.reports).map(({ edge }) => edge.to)).not.toContain('proc::root:/usr/bin/before')
})

describe('SIGTERM and SIGINT end it in order', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s while nothing happens', async (signal) => {
    const agent = newHost().start()
    await isMonitoring(agent)
    expect(await agent.end(signal)).toBe(0)
    expect(agent.reports.at(-1)).toMatchObject({ kind: 'summary' })
  })

  test('while it trains', async () => {
    const agent = newHost().start({}, ['--baseline', '3600'])
    await agent.waitFor('the training', () => agent.stderr().includes('training until'))
    expect(await agent.end('SIGTERM')).toBe(0)
  })

  test('within a backlog that is far from read', async () => {
    const host = newHost()
    const first = host.start()
    await isMonitoring(first)
    await reports(first, host, 'before')
    expect(await first.end('SIGTERM')).toBe(0)
    const busy = programs(Array.from({ length: 2000 }, (_, index) => `busy-${index % 100}`))
    for (let time = 0; time < 60; time++) appendFileSync(host.log, busy)
    const second = host.start()
    await isMonitoring(second)
    expect(await second.end('SIGTERM')).toBe(0)
    expect(statusOf(host.db).logs[0]?.behindBytes).toBeGreaterThan(busy.length)
  })

  test('although the reader of its reports has stalled', async () => {
    const host = newHost()
    const child = spawn(FULLMON, host.words, { stdio: ['ignore', 'pipe', 'pipe'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    let said = ''
    child.stderr.on('data', (bytes) => (said += String(bytes)))
    await until(() => said.includes('monitoring'))
    appendFileSync(host.log, flood())
    await until(() => statusOf(host.db).findings.reported >= MANY)
    child.kill('SIGTERM')
    await new Promise((resolve) => child.once('exit', resolve))
    expect({ code: child.exitCode, signal: child.signalCode }).toEqual({ code: 0, signal: null })
  })

  test('although its terminal has been stopped', async () => {
    const host = newHost()
    const words = ['-c', STALLED_TERMINAL, host.stderr, FULLMON, ...host.words]
    const terminal = spawn('/usr/bin/python3', words, { stdio: ['pipe', 'pipe', 'inherit'] })
    onTestFinished(() => void terminal.kill('SIGKILL'))
    await until(() => existsSync(host.stderr) && readFileSync(host.stderr, 'utf8').includes('monitoring'))
    appendFileSync(host.log, flood())
    await until(() => statusOf(host.db).findings.reported >= MANY)
    terminal.stdin.end()
    expect(await text(terminal.stdout)).toBe('0\n')
  })
})

describe('SIGHUP', () => {
  const isReadAgain = (agent: RunningAgent, what: string): Promise<void> =>
    agent.waitFor(what, () => agent.stderr().includes(what))

  test('keeps the configuration when the new one is wrong, and says where', async () => {
    const host = newHost()
    const agent = host.start()
    await isMonitoring(agent)
    await reports(agent, host, 'before')
    host.configure('monitor: soon\n')
    agent.send('SIGHUP')
    await isReadAgain(agent, `${host.config}:3:1: monitor: `)
    await isReadAgain(agent, 'the configuration stays as it was')
    await reports(agent, host, 'after')
    expect(await agent.end('SIGTERM')).toBe(0)
  })

  test('goes back to the former configuration when the new one cannot be run', async () => {
    const host = newHost()
    host.configure(`monitor: 0.1\nlog: ${host.reports}\n`)
    const agent = host.start()
    await isMonitoring(agent)
    await reports(agent, host, 'before')
    host.configure('monitor: 0.1\nlog: /nonexistent/fullmon.log\n')
    agent.send('SIGHUP')
    await isReadAgain(agent, 'cannot write to the log /nonexistent/fullmon.log')
    await reports(agent, host, 'after')
    expect(await agent.end('SIGTERM')).toBe(0)
    expect(readFileSync(host.reports, 'utf8')).toMatch(
      /cannot write to the log .*; the configuration stays as it was\n/,
    )
    expect(readFileSync(host.reports, 'utf8')).toContain('/usr/bin/after')
  })

  test('takes a new configuration, without a summary; what the command line said stays', async () => {
    const host = newHost()
    const agent = host.start({}, ['--wait', '0.02'])
    await isMonitoring(agent)
    await reports(agent, host, 'before')
    host.configure(`monitor: 0.2\nrebase: true\nlog: ${host.reports}\n`)
    agent.send('SIGHUP')
    await isReadAgain(agent, 'the configuration was read again: ')
    await agent.waitFor('monitoring again', () => /read again[^]*monitoring/.test(agent.stderr()))
    expect(agent.stderr()).toContain(
      `: log is ${host.reports} (was not given), monitor is 0.2 (was 0.1), rebase is true (was false)\n`,
    )
    await reports(agent, host, 'after')
    expect(agent.reports.filter(({ kind }) => kind === 'summary' || kind === 'tamper')).toEqual([])
    expect(await agent.end('SIGTERM')).toBe(0)
    expect(readFileSync(host.reports, 'utf8')).toContain('/usr/bin/after')
    expect(edgesOf(host.db).map(({ to }) => to)).toContain('proc::root:/usr/bin/after')
  })

  test('changes nothing when nothing was changed, and begins the log file anew after a rotation', async () => {
    const host = newHost()
    host.configure(`monitor: 0.1\nlog: ${host.reports}\n`)
    const agent = host.start()
    await isMonitoring(agent)
    await until(() => readFileSync(host.reports, 'utf8').includes('monitoring'))
    renameSync(host.reports, `${host.reports}-20261121`)
    agent.send('SIGHUP')
    await isReadAgain(agent, 'nothing has changed')
    expect(await agent.end('SIGTERM')).toBe(0)
    expect(readFileSync(`${host.reports}-20261121`, 'utf8')).toContain('monitoring')
    expect(readFileSync(host.reports, 'utf8')).toContain('nothing has changed')
  })

  test('loses and repeats nothing of a log that grows all the time', async () => {
    const host = newHost()
    const address = join(dirname(host.db), 'notify')
    const messages = await serviceManager(address)
    const agent = host.start({ NOTIFY_SOCKET: address }, ['--baseline', '3600'])
    // It reads what is written from then on.
    await agent.waitFor('being ready', () => messages.some(({ text }) => text.includes('READY=1')))
    const [times, each] = [40, 25]
    for (let time = 1; time <= times; time++) {
      // The reload comes in the middle of an event.
      const bytes = programs(Array.from({ length: each }, () => 'daily'))
      appendFileSync(host.log, bytes.slice(0, -300))
      if (time % 4 === 0) {
        host.configure(`monitor: ${time}\n`)
        agent.send('SIGHUP')
      }
      await sleep(25)
      appendFileSync(host.log, bytes.slice(-300))
    }
    await isReadAgain(agent, `monitor is ${times}`)
    await until(() => statusOf(host.db).logs[0]?.behindBytes === 0)
    expect(await agent.end('SIGTERM')).toBe(0)
    const edges = edgesOf(host.db)
    expect(new Set(edges.map(({ to }) => to))).toEqual(new Set(['proc::root:/usr/bin/daily']))
    expect(edges.reduce((sum, { sightings }) => sum + sightings, 0)).toBe(times * each)
  })

  test('ends a training that was asked for by its own command', async () => {
    const { log, db } = newHost()
    const agent = startAgent(['train', '--auditd', log, '--db', db, '--json'])
    await agent.waitFor('the training', () => agent.stderr().includes('training until'))
    expect(await agent.end('SIGHUP')).toBe(0)
  })
})

describe('the service manager', () => {
  test.each(['/notify', '@fullmon-test'])(
    'is told of every change, by the main process, at %s',
    async (name) => {
      const host = newHost()
      const address = name.startsWith('@') ? `${name}-${process.pid}` : `${dirname(host.db)}${name}`
      const messages = await serviceManager(address)
      const agent = host.start({ NOTIFY_SOCKET: address, WATCHDOG_USEC: '100000' })
      const waitFor = (what: string, times = 1): Promise<void> =>
        agent.waitFor(what, () => messages.filter(({ text }) => text.includes(what)).length >= times)
      await waitFor('READY=1')
      await waitFor('STATUS=monitoring')
      await waitFor('WATCHDOG=1', 3)
      host.configure('monitor: 5\n')
      const beforeUs = process.hrtime.bigint() / 1000n
      agent.send('SIGHUP')
      await waitFor('READY=1', 2)
      expect(await agent.end('SIGTERM')).toBe(0)
      const afterUs = process.hrtime.bigint() / 1000n
      await waitFor('STOPPING=1')

      const told = messages.slice(1)
      expect(new Set(told.map(({ pid }) => pid))).toEqual(new Set([agent.pid]))
      const firsts = told.map(({ text }) => text.split('\n')[0] ?? '')
      expect(firsts.filter((first) => !/^(STATUS|WATCHDOG)=/.test(first))).toEqual([
        'READY=1',
        'RELOADING=1',
        'READY=1',
        'STOPPING=1',
      ])
      const reloadingUs = /^MONOTONIC_USEC=(\d+)$/m.exec(
        told.find(({ text }) => text.startsWith('REL'))?.text ?? '',
      )
      expect(BigInt(reloadingUs?.[1] ?? 0)).toBeGreaterThanOrEqual(beforeUs)
      expect(BigInt(reloadingUs?.[1] ?? 0)).toBeLessThanOrEqual(afterUs)
    },
  )

  test('may watch another process', async () => {
    const host = newHost()
    const address = join(dirname(host.db), 'notify')
    const messages = await serviceManager(address)
    const agent = host.start({ NOTIFY_SOCKET: address, WATCHDOG_USEC: '10000', WATCHDOG_PID: '1' })
    await agent.waitFor('monitoring', () => messages.some(({ text }) => text.includes('STATUS=monitoring')))
    await sleep(200)
    expect(await agent.end('SIGTERM')).toBe(0)
    expect(messages.filter(({ text }) => text.startsWith('WATCHDOG'))).toEqual([])
  })

  test('that is gone is worth a sentence', async () => {
    const agent = newHost().start({ NOTIFY_SOCKET: '/nonexistent/notify' })
    await isMonitoring(agent)
    expect(agent.stderr()).toMatch(
      /^fullmon: the service manager cannot be told anything: No such file or directory\n/,
    )
    expect(await agent.end('SIGTERM')).toBe(0)
  })

  test('that stops reading does not hold it up', async () => {
    const host = newHost()
    const address = join(dirname(host.db), 'notify')
    await serviceManager(address)
    const agent = host.start({ NOTIFY_SOCKET: address, WATCHDOG_USEC: '2000' })
    await isMonitoring(agent)
    await reports(agent, host, 'after')
    expect(await agent.end('SIGTERM')).toBe(0)
  })
})
