import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { exportBaseline } from '../../agent/baseline/transfer.ts'
import { folderForTest } from '../support/folder.ts'

const ROOT = join(import.meta.dirname, '../..')
const MAIN = join(ROOT, 'agent/main.ts')
const RECORDED = join(ROOT, 'test/fixtures/recorded/files.log')

interface Said {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

const fullmon = (...words: readonly string[]): Said =>
  spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8' })

/** An agent that reads its standard input, which stays open. */
async function startedAgent(db: string): Promise<{ pid: number; kill: () => Promise<void> }> {
  const words = ['run', '--auditd', '-', '--db', db, '--socket', '', '--baseline', '3600']
  const child = spawn(process.execPath, [MAIN, ...words], { stdio: ['pipe', 'ignore', 'pipe'] })
  const ended = once(child, 'exit')
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  onTestFinished(kill)
  let said = ''
  for await (const text of child.stderr.setEncoding('utf8')) {
    said += text as string
    if (said.includes('training until')) break
  }
  return { pid: child.pid ?? 0, kill }
}

test('a second agent is refused with the name of the first, and whoever only looks is not', async () => {
  const db = join(folderForTest(), 'baseline.db')
  const { pid, kill } = await startedAgent(db)
  for (const words of [
    ['run', '--auditd', '-', '--db', db, '--socket', ''],
    ['train', '--no-follow', '--auditd', RECORDED, '--db', db],
    ['replay', RECORDED, '--db', db],
  ]) {
    const { status, stderr } = fullmon(...words)
    expect(status).toBe(2)
    expect(stderr).toMatch(/^fullmon: the baseline .* is in use by another agent: pid \d+ \(.*\)\n$/)
    expect(stderr).toContain(`pid ${pid} (${process.execPath} ${MAIN} run --auditd - --db ${db}`)
  }
  expect(fullmon('baseline', 'export', '--db', db).stdout).toContain('{"kind":"end",')
  expect(fullmon('verify', '--db', db).status).toBe(0)
  expect(JSON.parse(fullmon('status', '--json', '--db', db).stdout)).toMatchObject({ kind: 'status' })
  const file = join(folderForTest(), 'host.jsonl')
  writeFileSync(file, readFileSync(join(ROOT, 'test/fixtures/baselines/schema-1.jsonl')))
  const imported = fullmon('baseline', 'import', file, '--db', db)
  expect(imported).toMatchObject({
    status: 0,
    stdout: `75 edges merged into ${db}\n`,
    stderr: `fullmon: ${file} was exported by an older fullmon: nothing in it tells whether it is whole\n`,
  })
  // Killed, it is in nobody's way.
  await kill()
  expect(fullmon('replay', RECORDED, '--db', db).status).toBe(0)
})

test('who imported stands in the journal', () => {
  const db = join(folderForTest(), 'baseline.db')
  const one = join(folderForTest(), 'one.db')
  expect(fullmon('train', '--no-follow', '--auditd', RECORDED, '--db', one).status).toBe(0)
  const file = join(folderForTest(), 'host.jsonl')
  writeFileSync(file, [...exportBaseline(one), ''].join('\n'))
  const words = [MAIN, 'baseline', 'import', file, '--db', db]
  const env = { ...process.env, SUDO_USER: 'alice\n' }
  const { status, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', env })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(fullmon('verify', '--db', db).status).toBe(0)
  const database = new Database(db, { readonly: true })
  onTestFinished(() => void database.close())
  const isRoot = process.getuid?.() === 0
  expect(database.prepare('SELECT author FROM journal').pluck().all()).toEqual([
    isRoot ? 'root (sudo by alice_)' : userInfo().username,
  ])
})
