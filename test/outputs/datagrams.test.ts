import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { OutputsConfig } from '../../agent/config/outputs.ts'
import { openOutputs } from '../../agent/outputs/outputs.ts'
import type { Sink } from '../../agent/outputs/sink.ts'
import { folderForTest } from '../support/folder.ts'
import { datagramServerAt } from './datagram-server.ts'
import { edgeOf, INCIDENT, incidentWith, REPORTS } from './reports.ts'
import { readSyslog } from './rfc5424.ts'

const PATIENCE = { timeout: 60_000, interval: 20 }

interface Opened {
  readonly outputs: Sink
  readonly said: readonly string[]
}

function opened(config: object, folder = folderForTest()): Opened {
  const said: string[] = []
  const outputs = openOutputs({
    config: OutputsConfig.parse(config),
    ...{ folder: join(folder, 'outputs'), configFile: join(folder, 'no.yaml'), pid: process.pid },
    origin: { host: 'web-1', version: '0.1.0' },
    say: (text) => said.push(text),
  })
  onTestFinished(() => outputs.close())
  return { outputs, said }
}

const numbersOf = (messages: readonly Buffer[]): (string | undefined)[] =>
  messages.map((message) => readSyslog(message).elements['fullmon@32473']?.['incident'])
const incident = (id: number): typeof INCIDENT => incidentWith(INCIDENT.edges, { id })

describe('syslog', () => {
  test('gets a datagram for each report that is grave enough', async () => {
    const socket = join(folderForTest(), 'log')
    const { messages } = await datagramServerAt(socket)
    const { outputs, said } = opened({ syslog: { enabled: true, socket, min_severity: 'medium' } })
    outputs.offer(incidentWith(INCIDENT.edges, { id: 1, severity: 'low' }))
    for (const report of REPORTS) outputs.offer(report)
    await vi.waitFor(() => expect(messages).toHaveLength(REPORTS.length), PATIENCE)
    expect(messages.map((message) => readSyslog(message).id)).toEqual(REPORTS.map(({ kind }) => kind))
    expect(said).toEqual([])
  })

  test('that is started again, or is not there at first, gets everything once', async () => {
    const socket = join(folderForTest(), 'log')
    const { outputs, said } = opened({ syslog: { enabled: true, socket } })
    outputs.offer(incident(1))
    await vi.waitFor(() => expect(said.join('')).toContain(`${socket}: No such file or directory`), PATIENCE)
    const first = await datagramServerAt(socket)
    await vi.waitFor(() => expect(numbersOf(first.messages)).toEqual(['1']), PATIENCE)
    await first.kill()
    outputs.offer(incident(2))
    await vi.waitFor(() => expect(said.join('')).toContain(`${socket}: Connection refused`), PATIENCE)
    const second = await datagramServerAt(socket)
    outputs.offer(incident(3))
    await vi.waitFor(() => expect(numbersOf(second.messages)).toEqual(['2', '3']), PATIENCE)
    expect(said.map((text) => text.replace(/[:;].*/, ''))).toEqual([
      'outputs.syslog does not work',
      'outputs.syslog works again',
      'outputs.syslog does not work',
      'outputs.syslog works again',
    ])
  })

  test('is sent to by one process, however many messages there are, which ends with the agent', async () => {
    const socket = join(folderForTest(), 'log')
    const { messages } = await datagramServerAt(socket)
    const { outputs } = opened({ syslog: { enabled: true, socket } })
    const pids = new Set<string>()
    for (let id = 1; id <= 20; id++) {
      outputs.offer(incident(id))
      await vi.waitFor(() => expect(messages).toHaveLength(id), PATIENCE)
      for (const pid of sendersTo(socket)) pids.add(pid)
    }
    expect(pids.size).toBe(1)
    await outputs.close()
    await vi.waitFor(() => expect(sendersTo(socket)).toEqual([]), PATIENCE)
  })

  test('is sent to by another process when somebody has killed the first', async () => {
    const socket = join(folderForTest(), 'log')
    const { messages } = await datagramServerAt(socket)
    const { outputs } = opened({ syslog: { enabled: true, socket } })
    outputs.offer(incident(1))
    await vi.waitFor(() => expect(messages).toHaveLength(1), PATIENCE)
    for (const pid of sendersTo(socket)) process.kill(Number(pid), 'SIGKILL')
    outputs.offer(incident(2))
    await vi.waitFor(() => expect(numbersOf(messages)).toEqual(['1', '2']), PATIENCE)
  })

  test('takes what fits into a datagram', async () => {
    const socket = join(folderForTest(), 'log')
    const { messages } = await datagramServerAt(socket)
    const { outputs } = opened({ syslog: { enabled: true, socket, max_bytes: 65_000 } })
    const argv = ['é'.repeat(16_000)]
    outputs.offer(
      incidentWith([edgeOf('exec', 'proc::app:/bin/sh', 'proc::app:/bin/x', argv)], {
        title: '𝄞'.repeat(20_000),
      }),
    )
    await vi.waitFor(() => expect(messages).toHaveLength(1), PATIENCE)
    const [message = Buffer.alloc(0)] = messages
    expect(message.length).toBeGreaterThan(64_900)
    expect(readSyslog(message).text).toMatch(/𝄞…$/u)
  })
})

describe('the journal', () => {
  test('gets an entry for each report', async () => {
    const socket = join(folderForTest(), 'socket')
    const { messages } = await datagramServerAt(socket)
    const { outputs } = opened({ journald: { enabled: true, socket } })
    for (const report of REPORTS) outputs.offer(report)
    await vi.waitFor(() => expect(messages).toHaveLength(REPORTS.length), PATIENCE)
    expect(messages[0]?.toString()).toMatch(
      /^MESSAGE=bash \(app\) connected to 203\.0\.113\.66:4444\nPRIORITY=3\n/,
    )
  })

  test('takes the longest entry there is', async () => {
    const socket = join(folderForTest(), 'socket')
    const { messages } = await datagramServerAt(socket)
    const { outputs, said } = opened({ journald: { enabled: true, socket } })
    const long = '𝄞'.repeat(16_000)
    const edge = edgeOf('exec', `proc:${long}:${long}:${long}<${long}`, `host:${long}:1`, [long])
    const incident = incidentWith([{ ...edge, kind: 'connect' }], { title: long })
    outputs.offer({ ...incident, rule: long, reasons: [long, long], next: [long, long] })
    await vi.waitFor(() => expect([...said, ...messages]).toHaveLength(1), PATIENCE)
    expect(said).toEqual([])
    expect(messages[0]?.length).toBeGreaterThan(60_000)
  })
})

/** Children of this process that send there. */
const sendersTo = (socket: string): string[] =>
  readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
    .split(' ')
    .filter((pid) => pid !== '' && commandOf(pid).startsWith('perl') && commandOf(pid).includes(socket))

function commandOf(pid: string): string {
  const file = `/proc/${pid}/cmdline`
  return existsSync(file) ? readFileSync(file, 'utf8').replaceAll('\0', ' ') : ''
}
