/** The plugin of auditd and its socket, without auditd: what goes in must come out, once and in order. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { LogPosition } from '../../agent/domain/chunk.ts'
import type { BlindSpot } from '../../agent/domain/report.ts'
import { UsageError } from '../../agent/domain/result.ts'
import { RelaySocket } from '../../agent/tail/relay.ts'
import { folderForTest } from '../support/folder.ts'
import { noMounts } from '../support/running.ts'

const RELAY = join(import.meta.dirname, '../../scripts/auditd-relay')
const MIB = 1024 * 1024
const KEPT_BYTES = 16 * MIB

/** The plugin as auditd starts it. */
function startRelay(path: string): ChildProcessWithoutNullStreams {
  const relay = spawn(RELAY, [path])
  // What a test writes to one that it has killed.
  relay.stdin.on('error', () => undefined)
  onTestFinished(() => void relay.kill('SIGKILL'))
  return relay
}

/** Somebody who reads what the plugin brings, and writes down what he has read when he is told to. */
class Reader {
  text = ''
  readonly spots: BlindSpot[] = []
  /** Behind what was read last. */
  next: LogPosition | undefined
  private readonly over = new AbortController()
  private readonly done: Promise<void>

  constructor(socket: RelaySocket, from?: LogPosition) {
    this.done = this.read(socket, from)
  }

  private async read(socket: RelaySocket, from: LogPosition | undefined): Promise<void> {
    for await (const news of socket.follow({ from, fromMs: Date.now(), signal: this.over.signal })) {
      if ('kind' in news) this.spots.push(news)
      else {
        this.text += news.bytes.toString('latin1')
        if (news.at !== undefined) this.next = { ...news.at, offset: news.at.offset + news.bytes.length }
      }
    }
  }

  /** Who waits in vain waits until the test times out. */
  async until(isThere: (reader: this) => boolean): Promise<this> {
    while (!isThere(this)) await sleep(5)
    return this
  }

  async stop(): Promise<void> {
    this.over.abort()
    await this.done
  }
}

async function open(path: string): Promise<RelaySocket> {
  const socket = await RelaySocket.open(path)
  onTestFinished(() => socket.close())
  return socket
}

function reader(socket: RelaySocket, from?: LogPosition): Reader {
  const started = new Reader(socket, from)
  onTestFinished(() => started.stop())
  return started
}

const linesOf = (from: number, to: number, width = 0): string =>
  Array.from({ length: to - from }, (_, index) => `line ${from + index} ${'x'.repeat(width)}\n`).join('')

test('lines come once and in order, however they are cut, and the end of auditd ends the plugin', async () => {
  const path = join(folderForTest(), 'events')
  const socket = await open(path)
  const relay = startRelay(path)
  const read = reader(socket)
  const text = linesOf(0, 20_000)
  for (let at = 0, step = 1; at < text.length; at += step, step = (step * 31 + 7) % 4099 || 1)
    relay.stdin.write(text.slice(at, at + step))
  relay.stdin.end()
  const [code] = (await once(relay, 'exit')) as [number]
  await read.until(({ text: { length } }) => length >= text.length)
  expect(read.text === text).toBe(true)
  expect(read.spots).toEqual([])
  expect(code).toBe(0)
})

test('whoever reads is away, is stopped and begins anew: nothing is lost and nothing comes twice', async () => {
  const path = join(folderForTest(), 'events')
  const relay = startRelay(path)
  relay.stdin.write(linesOf(0, 1000))
  let socket = await RelaySocket.open(path)
  const first = new Reader(socket)
  await first.until(({ text }) => text.endsWith(linesOf(999, 1000)))
  // All was written down up to somewhere, but more was read.
  const at = first.text.indexOf('line 600 ')
  const writtenDown = { ...(first.next as LogPosition), offset: at }
  socket.keep({ ...writtenDown, offset: first.text.indexOf('line 500 ') })
  await first.stop()
  await socket.close()
  relay.stdin.write(linesOf(1000, 2000))
  socket = await open(path)
  const second = reader(socket, writtenDown)
  await second.until(({ text }) => text.endsWith(linesOf(1999, 2000)))
  expect(second.text).toBe(linesOf(600, 2000))
  expect([...first.spots, ...second.spots]).toEqual([])
})

test(
  'auditd never waits: the oldest whole lines are dropped, and it is told how much',
  { timeout: 60_000 },
  async () => {
    const path = join(folderForTest(), 'events')
    const socket = await open(path)
    const relay = startRelay(path)
    const before = reader(socket)
    relay.stdin.write('the first\n')
    await before.until(({ text }) => text === 'the first\n')
    const { next } = before
    await before.stop()
    const text = linesOf(0, 40_000, 990)
    // Nobody reads it.
    relay.stdin.write(text)
    while (relay.stdin.writableLength > 0) await sleep(5)
    const after = reader(socket, next)
    await after.until(({ text: kept }) => kept.endsWith(linesOf(39_999, 40_000, 990)))
    expect(text.endsWith(after.text)).toBe(true)
    expect(after.text).toMatch(/^line \d+ x/)
    expect(after.text.length).toBeLessThanOrEqual(KEPT_BYTES)
    expect(after.text.length).toBeGreaterThan(KEPT_BYTES - MIB)
    expect(after.spots).toMatchObject([{ reason: 'plugin-overflow', count: text.length - after.text.length }])
  },
)

test('what is written down needs no room', { timeout: 60_000 }, async () => {
  const path = join(folderForTest(), 'events')
  const socket = await open(path)
  const relay = startRelay(path)
  const read = reader(socket)
  const text = linesOf(0, 60_000, 990)
  for (let at = 0; at < text.length; at += MIB) {
    const part = text.slice(at, at + MIB)
    relay.stdin.write(part)
    await read.until(({ text: { length } }) => length >= text.lastIndexOf('\n', at + part.length - 1) + 1)
    if (read.next !== undefined) socket.keep(read.next)
  }
  expect(read.text === text).toBe(true)
  expect(read.spots).toEqual([])
})

test('a plugin that was killed brought whole lines, and the next one is known to be another', async () => {
  const path = join(folderForTest(), 'events')
  const socket = await open(path)
  const read = reader(socket)
  const first = startRelay(path)
  first.stdin.write('one\ntwo\nthr')
  await read.until(({ text }) => text === 'one\ntwo\n')
  first.kill('SIGKILL')
  await once(first, 'exit')
  const second = startRelay(path)
  second.stdin.write('four\n')
  await read.until(({ text }) => text.endsWith('four\n'))
  expect(read.text).toBe('one\ntwo\nfour\n')
  expect(read.spots).toMatchObject([{ reason: 'plugin-ended' }])
})

test('a plugin that auditd has ended is no gap', async () => {
  const path = join(folderForTest(), 'events')
  const socket = await open(path)
  const read = reader(socket)
  const first = startRelay(path)
  first.stdin.write('one\nwithout an end')
  await read.until(({ text }) => text === 'one\n')
  first.kill('SIGHUP')
  first.stdin.end()
  await once(first, 'exit')
  startRelay(path).stdin.write('two\n')
  await read.until(({ text }) => text.endsWith('two\n'))
  expect(read.text).toBe('one\nwithout an end\ntwo\n')
  expect(read.spots).toEqual([])
})

test('a plugin ends when it is told to, whoever listens', async () => {
  const relay = startRelay(join(folderForTest(), 'nobody'))
  relay.stdin.write('one\n')
  relay.kill('SIGTERM')
  const [code, signal] = (await once(relay, 'exit')) as [number | null, string | null]
  // Before it had begun to listen to signals, it is ended by this one.
  expect(code === 0 || signal === 'SIGTERM').toBe(true)
})

test('strangers are sent away, and who is there goes on', async () => {
  const path = join(folderForTest(), 'events')
  const socket = await open(path)
  const read = reader(socket)
  const strangers = [
    'GET / HTTP/1.1\r\n\r\n',
    'at 0 5 0\ntype=',
    `fullmon-relay 1 ${'0'.repeat(32)} 9\nat 3 1 0\nx`,
    'x'.repeat(5000),
  ]
  for (const words of strangers) {
    const stranger = connect(path)
    stranger.on('error', () => undefined)
    stranger.write(words)
    await once(stranger.resume(), 'close')
  }
  startRelay(path).stdin.write('one\n')
  await read.until(({ text }) => text.endsWith('one\n'))
  expect(read.text).toBe('one\n')
})

test('nobody but the owner may bring records, and a second agent has no place', async () => {
  const path = join(folderForTest(), 'events')
  await open(path)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  await expect(RelaySocket.open(path)).rejects.toThrow(UsageError)
})

const noAccount = noMounts()
if (noAccount !== undefined) process.stderr.write(`relay.test.ts: no user can be added: ${noAccount}\n`)

test.skipIf(noAccount !== undefined)('root is given up for the user of the service', async () => {
  const folder = folderForTest()
  chmodSync(folder, 0o755)
  const passwd = join(folder, 'passwd')
  const others = readFileSync('/etc/passwd', 'latin1').replace(/^fullmon:.*\n/m, '')
  writeFileSync(passwd, `${others}fullmon:x:64997:64998::/nonexistent:/usr/sbin/nologin\n`)
  const path = join(folder, 'events')
  const socket = await open(path)
  chownSync(path, 64_997, -1)
  // exec keeps the pid.
  const script = 'mount --bind "$1" /etc/passwd && exec "$2" "$3"'
  const relay = spawn('unshare', ['--mount', 'sh', '-c', script, 'sh', passwd, RELAY, path])
  onTestFinished(() => void relay.kill('SIGKILL'))
  relay.stdin.write('one\n')
  await reader(socket).until(({ text }) => text === 'one\n')
  const status = readFileSync(`/proc/${relay.pid}/status`, 'latin1')
  expect(status).toMatch(/^Uid:\t64997\t64997\t64997\t64997$/m)
  expect(status).toMatch(/^Gid:\t64998\t64998\t64998\t64998$/m)
  expect(status).toMatch(/^Groups:\t(64998 ?)* *$/m)
  expect(status).toMatch(/^CapPrm:\t0+$/m)
})

test(
  'a plugin that is there and says nothing is told of, as is one that is not there',
  { timeout: 60_000 },
  async () => {
    const path = join(folderForTest(), 'events')
    const socket = await open(path)
    const read = reader(socket)
    await read.until(({ spots }) => spots.length === 1)
    const relay = startRelay(path)
    await read.until(({ spots }) => spots.length === 2)
    relay.kill('SIGSTOP')
    await read.until(({ spots }) => spots.length === 3)
    relay.kill('SIGCONT')
    await read.until(({ spots }) => spots.length === 4)
    expect(read.spots.map(({ reason, isOngoing }) => [reason, isOngoing])).toEqual([
      ['plugin-absent', true],
      ['plugin-absent', undefined],
      ['plugin-absent', true],
      ['plugin-absent', undefined],
    ])
  },
)

test('the plugin keeps all for an agent that takes the connection and reads nothing', async () => {
  const path = join(folderForTest(), 'events')
  const stopped = createServer({ pauseOnConnect: true }).listen(path)
  const come = once(stopped, 'connection')
  const relay = startRelay(path)
  const [connection] = (await come) as [ReturnType<typeof connect>]
  const text = linesOf(0, 8000, 990)
  relay.stdin.write(text)
  while (relay.stdin.writableLength > 0) await sleep(5)
  connection.destroy()
  await new Promise((done) => stopped.close(done))
  const read = reader(await open(path))
  await read.until(({ text: { length } }) => length >= text.length)
  expect(read.text === text).toBe(true)
})

test('what was dropped before an agent came back is told, also when the plugin of before had brought all', async () => {
  const path = join(folderForTest(), 'events')
  const socket = await open(path)
  const first = startRelay(path)
  const read = reader(socket)
  first.stdin.end('one\n')
  await once(first, 'exit')
  await read.until(({ next }) => next?.fingerprint === '')
  await read.stop()
  await socket.close()
  const relay = startRelay(path)
  const text = linesOf(0, 20_000, 990)
  relay.stdin.write(text)
  while (relay.stdin.writableLength > 0) await sleep(5)
  const after = reader(await open(path), read.next)
  await after.until(({ text: kept }) => kept.endsWith(linesOf(19_999, 20_000, 990)))
  expect(after.spots).toMatchObject([{ reason: 'plugin-overflow', count: text.length - after.text.length }])
})

test.each([
  ['says more after its end', 'at 0 4 0\none\nend 4\nat 4 4 0\ntwo\n', 'one\n', []],
  ['ends before what it has brought', 'at 0 4 0\none\nend 3\n', 'one\n', []],
  [
    'ends behind what it has brought',
    'at 0 4 0\none\nend 9\n',
    'one\n',
    [{ reason: 'plugin-overflow', count: 5 }],
  ],
  ['brings what it has brought', 'at 0 4 0\none\nat 0 4 0\none\n', 'one\n', []],
])('a plugin that %s is believed up to there', async (_, words, text, spots) => {
  const path = join(folderForTest(), 'events')
  const read = reader(await open(path))
  const plugin = connect(path)
  plugin.on('error', () => undefined)
  plugin.write(`fullmon-relay 1 ${'0'.repeat(32)} 0\n${words}`)
  if (spots.length === 0) await once(plugin.resume(), 'close')
  else await read.until(({ spots: { length } }) => length > 0)
  expect(read.text).toBe(text)
  expect(read.spots).toMatchObject(spots)
})

test('whoever sends the plugin away is left alone for a while', async () => {
  const path = join(folderForTest(), 'events')
  let count = 0
  const refusing = createServer((socket) => {
    count++
    socket.destroy()
  }).listen(path)
  const relay = startRelay(path)
  relay.stdin.write('one\n')
  await once(refusing, 'connection')
  await sleep(2000)
  // Thousands, if it came at once each time.
  expect(count).toBeLessThan(10)
  await new Promise((done) => refusing.close(done))
  await reader(await open(path)).until(({ text }) => text === 'one\n')
})

test.skipIf(noAccount !== undefined)('a stranger who listens in its place is told nothing', async () => {
  const folder = folderForTest()
  chmodSync(folder, 0o1777)
  const passwd = join(folder, 'passwd')
  const others = readFileSync('/etc/passwd', 'latin1').replace(/^fullmon:.*\n/m, '')
  writeFileSync(passwd, `${others}fullmon:x:64997:64998::/nonexistent:/usr/sbin/nologin\n`)
  const path = join(folder, 'events')
  const listen =
    'use IO::Socket::UNIX; $SIG{PIPE} = "IGNORE"; umask 0; my $s = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 5) or die; my $c = $s->accept; $c->print("from 0\\n"); $c->flush; print sysread($c, my $b, 99) // 0, "\\n"'
  const stranger = spawn('setpriv', ['--reuid=64996', '--clear-groups', 'perl', '-e', listen, path])
  onTestFinished(() => void stranger.kill('SIGKILL'))
  const script = 'mount --bind "$1" /etc/passwd && exec "$2" "$3"'
  const relay = spawn('unshare', ['--mount', 'sh', '-c', script, 'sh', passwd, RELAY, path])
  onTestFinished(() => void relay.kill('SIGKILL'))
  relay.stdin.write('one\n')
  const [said] = (await once(stranger.stdout, 'data')) as [Buffer]
  expect(said.toString()).toBe('0\n')
})
