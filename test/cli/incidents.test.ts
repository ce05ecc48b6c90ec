import Database from 'better-sqlite3'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CRON, NGINX, ordinaryLife } from '../support/engine.ts'
import type { Doer, LogBuilder } from '../support/log-builder.ts'

const MAIN = join(import.meta.dirname, '../../agent/main.ts')

interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

function fullmon(words: readonly string[], locale = 'C.UTF-8'): Ended {
  return spawnSync(process.execPath, [MAIN, ...words], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: locale },
  })
}

function attack(log: LogBuilder, pid: number): void {
  const shell: Doer = { pid, ppid: NGINX.pid, exe: '/usr/bin/dash', uid: 33 }
  const curl: Doer = { pid: pid + 1, ppid: pid, exe: '/usr/bin/curl', uid: 33 }
  log.exec(shell).exec(curl).connect(curl, '203.0.113.66', 4444)
}

describe('incidents', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fullmon-incidents-'))
  const db = join(folder, 'a.db')
  afterAll(() => rmSync(folder, { recursive: true }))

  const incidents = (...words: string[]): Ended => fullmon(['incidents', '--db', db, ...words])
  const objects = (...words: string[]): Record<string, unknown>[] =>
    incidents('--json', ...words)
      .stdout.trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)

  beforeAll(() => {
    const log = join(folder, 'audit.log')
    const life = ordinaryLife().after(20_000)
    attack(life, 2000)
    life.after(70_000).create(CRON, '/etc/cron.d/x').after(70_000)
    attack(life, 2100)
    writeFileSync(log, life.after(70_000).create(CRON, '/run/cron.pid').bytes)
    expect(fullmon(['replay', '--no-rules', log, '--train', '60', '--db', db]).status).toBe(0)
    const database = new Database(db)
    database.exec('UPDATE incidents SET withheld = 1 WHERE id = 2')
    database.close()
  })

  test('are a line each, but for those that were kept back', () => {
    const { status, stdout } = incidents()
    expect(status).toBe(0)
    const [head = '', first = '', ...others] = stdout.trim().split('\n')
    expect(head).toMatch(/^ID +FIRST +SEVERITY +SCORE +COUNT +STATE +TITLE$/)
    expect(first).toMatch(
      /^1 +2026-11-20T12:01:2\d\.000Z critical +\d+ +6 +open +nginx \(33\) ran a shell that ran curl, which connected to 203\.0\.113\.66:4444$/,
    )
    expect(others).toEqual([])
    expect(incidents('--all').stdout).toMatch(/^2 +.* withheld +cron \(0\) created \/etc\/cron\.d\/x$/m)
  })

  test('are counted as they are now', () => {
    expect(objects('--all').map(({ id, count, state, withheld }) => [id, count, state, withheld])).toEqual([
      [1, 6, 'open', false],
      [2, 1, 'open', true],
    ])
    const [first] = objects('1')
    expect((first?.['edges'] as { count: number }[]).map(({ count }) => count)).toEqual([2, 2, 2])
  })

  test('are told whole by their numbers, kept back or not', () => {
    const { stdout } = incidents('2', '1')
    expect(stdout.match(/\[incident \d\]/g)).toEqual(['[incident 1]', '[incident 2]'])
    expect(stdout).toContain('\n  └─ * exec proc::33:/usr/bin/dash [event ')
    expect(stdout).toContain('2 times]')
    expect(stdout).toContain('\n  next: ausearch --event ')
    expect(stdout).toMatch(/\n {2}state withheld: see alerts-per-day\n$/)
    expect(fullmon(['incidents', '--db', db, '1'], 'C').stdout).toMatch(/^[ -~\n]+$/)
  })

  test('are chosen by what became of them, and when', () => {
    expect(incidents('--state', 'denied').stdout).toBe('no incidents\n')
    expect(incidents('--state', 'denied', '--json').stdout).toBe('')
    expect(objects('--all', '--since', '2026-11-20T12:03:40Z').map(({ id }) => id)).toEqual([1])
    expect(incidents('--since', '2027-01-01').stdout).toBe('no incidents\n')
  })

  test('can be asked for while an agent writes', () => {
    const database = new Database(db)
    database.exec('BEGIN IMMEDIATE; UPDATE incidents SET withheld = 1')
    const { status, stdout } = incidents()
    database.exec('ROLLBACK')
    database.close()
    expect(status).toBe(0)
    expect(stdout).toMatch(/^1 /m)
  })

  test.each([
    [['99'], /^fullmon: there is no incident 99 in /],
    [['12a'], /^fullmon: incidents takes the numbers of incidents, not "12a"\n$/],
    [['0'], /numbers of incidents/],
    [['--state', 'gone'], /Choices: "open"/],
    [['--since', 'yesterday'], /--since takes epoch seconds/],
    [['--db', '/nowhere/x.db'], /--db was given twice/],
  ])('%o is refused', (words, complaint) => {
    const { status, stderr } = incidents(...words)
    expect(status).toBe(2)
    expect(stderr).toMatch(complaint)
  })
})
