import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { acquireLock, holderOf } from '../../agent/baseline/lock.ts'
import { complaint } from '../support/complaint.ts'
import { folderForTest } from '../support/folder.ts'
import { mountUnavailable } from '../support/mount.ts'

const ROOT = join(import.meta.dirname, '../..')
const PROGRAM = `
  const { acquireLock } = await import('${ROOT}/agent/baseline/lock.ts')
  acquireLock(process.argv[2])
  console.log('held')
  setInterval(() => {}, 1000)`

/** A second process that tries to hold the lock of a baseline. */
function startHolder(
  path: string,
  ...words: readonly string[]
): ChildProcessByStdio<null, Readable, Readable> {
  const program = join(folderForTest(), 'hold.mjs')
  writeFileSync(program, PROGRAM)
  const child = spawn(process.execPath, [program, path, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'exit')
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return child
}

/** One that has it. */
async function otherHolder(
  path: string,
  ...words: readonly string[]
): Promise<{ pid: number; kill: () => Promise<void> }> {
  const child = startHolder(path, ...words)
  const [bytes] = (await once(child.stdout, 'data')) as [Buffer]
  expect(bytes.toString()).toBe('held\n')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  return { pid: child.pid ?? 0, kill }
}

const pathForTest = (): string => join(folderForTest(), 'baseline.db')

test('a second agent is refused, and told who is the first', async () => {
  const path = pathForTest()
  const { pid } = await otherHolder(path)
  expect(complaint(() => acquireLock(path))).toMatch(
    new RegExp(
      `^the baseline ${path} is in use by another agent: pid ${pid} \\(\\S+node \\S+/hold\\.mjs ${path}\\)$`,
    ),
  )
  expect(holderOf(path)?.pid).toBe(pid)
})

test('whatever name the second one has for it', async () => {
  const folder = folderForTest()
  const path = join(folder, 'baseline.db')
  writeFileSync(path, '')
  mkdirSync(join(folder, 'other'))
  symlinkSync('../baseline.db', join(folder, 'other/b.db'))
  symlinkSync('.', join(folder, 'again'))
  const { pid } = await otherHolder(path)
  for (const name of [join(folder, 'other/b.db'), join(folder, 'again/baseline.db')])
    expect(complaint(() => acquireLock(name))).toContain(`pid ${pid} `)
})

test('an agent that was killed holds nothing, and what it leaves behind is in nobody’s way', async () => {
  const path = pathForTest()
  const first = await otherHolder(path)
  await first.kill()
  expect(existsSync(`${path}-lock`)).toBe(true)
  expect(holderOf(path)).toBeUndefined()
  const lock = acquireLock(path)
  expect(holderOf(path)?.pid).toBe(process.pid)
  lock.release()
  expect(holderOf(path)).toBeUndefined()
  acquireLock(path).release()
})

test('to ask who holds it does not take it from him', () => {
  const path = pathForTest()
  const lock = acquireLock(path)
  onTestFinished(() => lock.release())
  holderOf(path)
  expect(complaint(() => acquireLock(path))).toContain(`pid ${process.pid} `)
  expect(holderOf(path)?.pid).toBe(process.pid)
})

test('of two that begin at the same moment one gets it', async () => {
  const path = pathForTest()
  const held = [startHolder(path), startHolder(path)].map((child) =>
    Promise.race([once(child.stdout, 'data').then(() => true), once(child, 'exit').then(() => false)]),
  )
  expect((await Promise.all(held)).sort()).toEqual([false, true])
})

test('a command line cannot write a second line into the message', async () => {
  const path = pathForTest()
  await otherHolder(path, 'a\nfullmon: all is well \u001b[2J\u202e')
  expect(holderOf(path)?.command).toMatch(/ a\?fullmon: all is well \?\[2J\?$/)
})

test('baselines in one folder do not hinder each other, nor do those in memory', async () => {
  const folder = folderForTest()
  await otherHolder(join(folder, 'a.db'))
  acquireLock(join(folder, 'b.db')).release()
  const [one, other] = [acquireLock(':memory:'), acquireLock(':memory:')]
  one.release()
  other.release()
  expect(holderOf(':memory:')).toBeUndefined()
})

test('the lock is for its owner alone, and so is a folder that is made for it', () => {
  const path = join(folderForTest(), 'fullmon/baseline.db')
  acquireLock(path).release()
  expect(statSync(`${path}-lock`).mode & 0o777).toBe(0o600)
  expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700)
  chmodSync(`${path}-lock`, 0o644)
  acquireLock(path).release()
  expect(statSync(`${path}-lock`).mode & 0o777).toBe(0o600)
})

const unavailable = mountUnavailable()
if (unavailable !== undefined)
  process.stderr.write(`lock.test.ts: 1 left out, a hidden /proc/locks: ${unavailable}\n`)

test.skipIf(unavailable !== undefined)(
  'where the host does not tell who it is, it is refused all the same',
  async () => {
    const path = pathForTest()
    await otherHolder(path)
    const program = join(folderForTest(), 'hold.mjs')
    writeFileSync(program, PROGRAM)
    const script = 'mount --bind /dev/null /proc/locks && exec "$@"'
    const { status, stderr } = spawnSync(
      'unshare',
      ['--mount', 'sh', '-c', script, 'sh', process.execPath, program, path],
      { encoding: 'utf8' },
    )
    expect(status).toBe(1)
    expect(stderr).toContain(`UsageError: the baseline ${path} is in use by another agent\n`)
  },
)

test('where no lock can be made it is said', () => {
  const path = pathForTest()
  mkdirSync(`${path}-lock`)
  expect(complaint(() => acquireLock(path))).toMatch(`cannot lock the baseline ${path}: `)
  expect(holderOf(path)).toBeUndefined()
  expect(holderOf('/nonexistent/baseline.db')).toBeUndefined()
})
