/** Root's commands at work on what belongs to the service, which has an account of its own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { folderForTest } from '../support/folder.ts'
import { LogBuilder } from '../support/log-builder.ts'
import { mountUnavailable } from '../support/mount.ts'
import { noStranger } from '../support/running.ts'

const MAIN = join(import.meta.dirname, '../../agent/main.ts')
const EXPORT = join(import.meta.dirname, '../fixtures/baselines/schema-1.jsonl')
const RECORDED = join(import.meta.dirname, '../fixtures/recorded')
const SERVICE = 64_711
const STRANGER = 64_712
const PATIENCE_MS = 60_000
const reason = noStranger() ?? mountUnavailable()
if (reason !== undefined) process.stderr.write(`service-user.test.ts: all left out: ${reason}\n`)

interface Said {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

interface Host {
  /** As in /var/lib and /var/log. */
  readonly state: string
  readonly log: string
  readonly words: readonly string[]
  /** Runs the program as this user, on a host that has the account. */
  readonly as: (uid: number, ...words: readonly string[]) => Said
  readonly service: () => Promise<ChildProcess>
  /** What the service could not write. */
  readonly foreign: () => readonly string[]
}

const asUser = (uid: number): readonly string[] =>
  uid === 0 ? [] : ['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups', '--']

function newHost(): Host {
  const folder = folderForTest()
  chmodSync(folder, 0o755)
  const [state, log, passwd] = [join(folder, 'lib'), join(folder, 'audit.log'), join(folder, 'passwd')]
  mkdirSync(state, { mode: 0o700 })
  chownSync(state, SERVICE, SERVICE)
  const audited = readdirSync(RECORDED).filter((name) => name.endsWith('.log'))
  writeFileSync(log, readFileSync(join(RECORDED, audited[0] ?? '')))
  const others = readFileSync('/etc/passwd', 'utf8').replace(/^fullmon:.*\n/m, '')
  writeFileSync(passwd, `${others}fullmon:x:${SERVICE}:${SERVICE}::/nonexistent:/usr/sbin/nologin\n`)
  const db = join(state, 'baseline.db')
  const words = ['--db', db]
  const around = ['--mount', 'sh', '-c', 'mount --bind "$0" /etc/passwd && exec "$@"', passwd]
  const command = (uid: number, given: readonly string[]): readonly string[] => [
    ...[...around, ...asUser(uid), process.execPath, MAIN, ...given],
  ]
  const files = (): readonly string[] =>
    readdirSync(state, { recursive: true, encoding: 'utf8' }).map((name) => join(state, name))
  return {
    ...{ state, log, words },
    as: (uid, ...given) =>
      spawnSync('unshare', command(uid, given), { encoding: 'utf8', timeout: PATIENCE_MS, cwd: '/' }),
    service: async () => {
      const run = ['run', ...words, '--auditd', log, '--baseline', '0', '--monitor', '1', '--socket', '']
      const logged = ['--log', join(state, 'fullmon.log'), '--set', 'scan.interval=0']
      const child = spawn('unshare', command(SERVICE, [...run, ...logged]), {
        stdio: ['ignore', 'ignore', 'pipe'],
        cwd: '/',
      })
      onTestFinished(() => void child.kill('SIGKILL'))
      let said = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
      const deadlineMs = performance.now() + PATIENCE_MS
      while (!said.includes('monitoring')) {
        if (child.exitCode !== null || performance.now() > deadlineMs)
          throw new Error(`it never ran: ${said}`)
        await sleep(20)
      }
      return child
    },
    foreign: () => files().filter((file) => lstatSync(file).uid !== SERVICE),
  }
}

const ended = async (child: ChildProcess): Promise<number | null> => {
  const exit = once(child, 'exit') as Promise<[number | null]>
  child.kill('SIGTERM')
  return (await exit)[0]
}

/** Everything that root may do to a baseline, with the exit codes that are no failures. */
const commandsOf = ({ log, words }: Host): readonly (readonly string[])[] => [
  ['baseline', 'import', EXPORT, ...words],
  ['status', ...words],
  ['verify', ...words],
  ['alerts', ...words],
  ['incidents', ...words],
  ['baseline', 'export', ...words],
  ['baseline', 'stats', ...words],
  ['accept', '1', '--reason', 'because', ...words],
  ['ack', '1', ...words],
  ['rebase', '--dry-run', ...words],
  ['replay', log, ...words],
]

const wentWell = ({ status, stderr }: Said): boolean =>
  status === 0 || status === 1 || /there is no /.test(stderr)

test.skipIf(reason !== undefined)(
  'beside the service they work, and leave nothing that it cannot write',
  async () => {
    const host = newHost()
    const service = await host.service()
    const written = new LogBuilder(Date.now())
    written.exec({ pid: 4_100_000, ppid: 4_099_999, exe: '/usr/bin/never-seen' })
    appendFileSync(host.log, written.text)
    await sleep(2500)
    for (const command of commandsOf(host)) {
      if (command[0] === 'replay') continue
      const said = host.as(0, ...command)
      expect({ command, said, isGood: wentWell(said) }).toMatchObject({ isGood: true })
      expect({ command, foreign: host.foreign() }).toEqual({ command, foreign: [] })
    }
    expect(host.as(0, 'incidents', ...host.words).stdout).toContain('never-seen')
    const second = host.as(0, 'run', '--auditd', host.log, ...host.words)
    expect(second).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('is in use by another agent') as string,
    })
    expect(await ended(service)).toBe(0)
    const again = await host.service()
    expect(await ended(again)).toBe(0)
  },
  120_000,
)

test.skipIf(reason !== undefined)(
  'without it they work, too, whatever has to be made, and it can go on with that',
  async () => {
    const host = newHost()
    const train = ['train', '--no-follow', '--auditd', host.log, ...host.words]
    for (const command of [train, ...commandsOf(host)]) {
      const said = host.as(0, ...command)
      expect({ command, said, isGood: wentWell(said) }).toMatchObject({ isGood: true })
      expect({ command, foreign: host.foreign() }).toEqual({ command, foreign: [] })
    }
    const live = ['train', '--duration', '0.1', '--auditd', host.log, ...host.words]
    const outputs = ['--set', 'outputs.webhook.url=http://127.0.0.1:9/', '--set', 'scan.interval=0']
    const log = ['--set', `log=${join(host.state, 'fullmon.log')}`]
    const said = host.as(0, ...live, ...outputs, ...log)
    expect({ said, isGood: wentWell(said) }).toMatchObject({ isGood: true })
    expect(readdirSync(host.state)).toEqual(expect.arrayContaining(['baseline.db-outputs', 'fullmon.log']))
    expect(host.foreign()).toEqual([])
    expect(await ended(await host.service())).toBe(0)
  },
  120_000,
)

test.skipIf(reason !== undefined)('no link that lies there leads root anywhere', { timeout: 120_000 }, () => {
  const host = newHost()
  const elsewhere = join(folderForTest(), 'elsewhere')
  mkdirSync(elsewhere)
  const plant = (name: string, target: string): void => {
    const link = join(host.state, name)
    rmSync(link, { force: true, recursive: true })
    symlinkSync(target, link)
  }
  const live = ['train', '--duration', '0.1', '--auditd', host.log, ...host.words, '--set', 'scan.interval=0']
  const all = [
    '--set',
    'outputs.webhook.url=http://127.0.0.1:9/',
    '--set',
    `log=${join(host.state, 'fullmon.log')}`,
  ]
  for (const name of ['baseline.db', 'baseline.db-lock', 'baseline.db-wal', 'baseline.db-shm', 'fullmon.log'])
    for (const end of ['made', 'kept']) {
      const target = join(elsewhere, `${name}.${end}`)
      if (end === 'kept') writeFileSync(target, 'kept', { mode: 0o600 })
      for (const file of readdirSync(host.state)) rmSync(join(host.state, file), { recursive: true })
      plant(name, target)
      host.as(0, ...live, ...all)
      expect({ name, text: existsSync(target) ? readFileSync(target, 'utf8') : '' }).toEqual({
        ...{ name, text: end === 'kept' ? 'kept' : '' },
      })
    }
  for (const file of readdirSync(host.state)) rmSync(join(host.state, file), { recursive: true })
  plant('baseline.db-outputs', elsewhere)
  const before = readdirSync(elsewhere)
  const said = host.as(0, ...live, ...all)
  expect(said.stderr).toMatch(/cannot write .*EACCES/)
  expect(readdirSync(elsewhere)).toEqual(before)
})

test.skipIf(reason !== undefined)('who is neither root nor the service is told so in one sentence', () => {
  const host = newHost()
  expect(host.as(0, 'baseline', 'import', EXPORT, ...host.words).status).toBe(0)
  for (const command of ['status', 'verify', 'alerts']) {
    const { status, stderr } = host.as(STRANGER, command, ...host.words)
    expect({ command, status, lines: stderr.trim().split('\n').length }).toEqual({
      command,
      status: 2,
      lines: 1,
    })
    expect(stderr).toContain('sudo')
  }
})

test.skipIf(reason !== undefined)('what belongs to any other account is refused to root', () => {
  const host = newHost()
  expect(host.as(0, 'baseline', 'import', EXPORT, ...host.words).status).toBe(0)
  for (const file of ['', ...readdirSync(host.state)]) chownSync(join(host.state, file), STRANGER, STRANGER)
  const said = host.as(0, 'accept', '1', ...host.words)
  expect(said).toMatchObject({
    status: 2,
    stderr: expect.stringContaining(`belongs to uid ${STRANGER}`) as string,
  })
})
