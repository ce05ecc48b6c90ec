import { copyFileSync, chmodSync, readFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { MIGRATIONS } from '../../agent/baseline/migrations.ts'
import { openDatabase, openForReading } from '../../agent/baseline/open.ts'
import { statusOf } from '../../agent/baseline/status.ts'
import { exportBaseline } from '../../agent/baseline/transfer.ts'
import { verifyBaseline } from '../../agent/baseline/verify.ts'
import type { Edge } from '../../agent/domain/edge.ts'
import { complaint } from '../support/complaint.ts'
import { folderForTest } from '../support/folder.ts'
import { waitingIn } from '../support/incidents.ts'

const ROOT = join(import.meta.dirname, '../..')
const FIXTURES = join(ROOT, 'test/fixtures/baselines')
/** What the program that wrote the baseline exported from it. */
const EXPORTED = readFileSync(join(FIXTURES, 'schema-1.jsonl'), 'utf8').trimEnd().split('\n')

/** A copy of a baseline that a released program has written. */
function released(folder = folderForTest()): string {
  const path = join(folder, 'baseline.db')
  copyFileSync(join(FIXTURES, 'schema-1.db'), path)
  chmodSync(path, 0o600)
  return path
}

/** Without the windows, which were not counted then. */
const exported = (path: string): string[] =>
  [...exportBaseline(path)]
    .filter((line) => /^\{"kind":"(?:training|pattern|edge)"/.test(line))
    .map((line) => line.replace(/,"windows":\d+/, ''))

const TABLES = ['nodes', 'edges', 'findings', 'patterns', 'trainings', 'checkpoints']
const columnsOf = (path: string, table: string): string[] => {
  const database = new Database(path, { readonly: true })
  const columns = database.prepare<[], { name: string }>(`PRAGMA table_info(${table})`).all()
  database.close()
  return columns.map(({ name }) => name)
}
const COLUMNS = new Map(TABLES.map((table) => [table, columnsOf(join(FIXTURES, 'schema-1.db'), table)]))

/** Every row of the tables that schema 1 has, with the columns that it has. */
function rowsOf(path: string): Record<string, unknown[]> {
  const database = new Database(path, { readonly: true })
  const rows = TABLES.map((table) => [
    table,
    database.prepare(`SELECT ${COLUMNS.get(table)?.join()} FROM ${table} ORDER BY 1, 2`).all(),
  ])
  database.close()
  return Object.fromEntries(rows) as Record<string, unknown[]>
}

const schemaOf = (path: string): unknown => {
  const database = new Database(path, { readonly: true })
  const version = database.pragma('user_version', { simple: true })
  database.close()
  return version
}

test('of a baseline of schema 1 everything is kept', () => {
  const path = released()
  const before = rowsOf(path)
  expect(Object.values(before).map((rows) => rows.length)).not.toContain(0)
  new Baseline(path).close()
  expect(schemaOf(path)).toBe(MIGRATIONS.length)
  expect(rowsOf(path)).toEqual(before)
  expect(exported(path)).toEqual(EXPORTED.slice(1))
  expect(statusOf(path)).toMatchObject({
    phase: 'trained',
    patterns: 1,
    findings: { reported: 23, merged: 19, waiting: 1 },
    logs: [{ log: '/var/log/audit/audit.log', offset: 4096 }],
  })
})

test('it goes on working: what it knew is known, what waited is reported, and it is read on from its place', () => {
  const path = released()
  const baseline = new Baseline(path)
  onTestFinished(() => baseline.close())
  for (const line of EXPORTED) {
    const { edge } = JSON.parse(line) as { edge?: Edge }
    if (edge !== undefined) expect(baseline.edges.find(edge)).toBeDefined()
  }
  expect(baseline.patterns.ofNames().map(({ path: pattern }) => pattern)).toEqual([
    '/srv/shop/cache/\\d{4}-\\d{2}-\\d{2}\\.csv',
  ])
  expect(baseline.kept.checkpoint('/var/log/audit/audit.log')?.position.offset).toBe(4096)
  expect(waitingIn(baseline).map(({ edge }) => edge.to)).toEqual(['proc::root:/usr/bin/id'])
})

test('its journal begins with what was known, and fits', () => {
  const path = released()
  openDatabase(path).close()
  const database = openForReading(path)
  onTestFinished(() => void database.close())
  const rows = database.prepare('SELECT id, action, author, detail FROM journal').all()
  expect(rows).toEqual([{ id: 1, action: 'import', author: 'agent', detail: '{"source":"schema 1"}' }])
  expect(verifyBaseline(path, [])).toMatchObject({ rows: 1, unknownHeads: [] })
  expect(verifyBaseline(path, []).problem).toBeUndefined()
})

test('a new baseline begins with an empty journal', () => {
  const path = join(folderForTest(), 'baseline.db')
  openDatabase(path).close()
  expect(verifyBaseline(path, [])).toEqual({ rows: 0, head: '', unknownHeads: [] })
})

test('it is migrated once', () => {
  const path = released()
  openDatabase(path).close()
  const { head } = verifyBaseline(path, [])
  openDatabase(path).close()
  expect(verifyBaseline(path, [])).toMatchObject({ rows: 1, head })
})

test('who only reads does not migrate it, and says what to do', () => {
  const path = released()
  const before = readFileSync(path)
  expect(complaint(() => openForReading(path))).toBe(
    `${path} has schema 1, this program reads ${MIGRATIONS.length}: run the agent once to migrate it`,
  )
  expect(readFileSync(path).equals(before)).toBe(true)
})

test('a step that fails in its middle leaves schema 1 as it was', () => {
  const path = released()
  const before = rowsOf(path)
  const database = new Database(path)
  // The last statement of the step finds its column taken.
  database.exec('ALTER TABLE findings ADD COLUMN degraded INTEGER NOT NULL DEFAULT 0')
  database.close()
  expect(complaint(() => new Baseline(path))).toBe(
    `cannot migrate the baseline ${path}: duplicate column name: degraded`,
  )
  expect(schemaOf(path)).toBe(1)
  expect(rowsOf(path)).toEqual(before)
  const again = new Database(path)
  expect(again.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'journal'").get()).toBeUndefined()
  again.close()
})

test('a program that is killed in the middle of it leaves schema 1 as it was, and the next one migrates it', () => {
  const path = released()
  const before = rowsOf(path)
  // Ends without a word where the content is summed up: within the transaction, behind the statements of the step.
  const program = `
    const { hash } = require('node:crypto')
    require('node:crypto').hash = (...words) => words[0] === 'shake256' ? process.kill(process.pid, 'SIGKILL') : hash(...words)
    require('node:module').syncBuiltinESMExports()
    import('${ROOT}/agent/baseline/open.ts').then(({ openDatabase }) => openDatabase(process.argv[1]))`
  expect(spawnSync(process.execPath, ['-e', program, path]).signal).toBe('SIGKILL')
  expect(schemaOf(path)).toBe(1)
  expect(rowsOf(path)).toEqual(before)
  openDatabase(path).close()
  expect(rowsOf(path)).toEqual(before)
  expect(verifyBaseline(path, [])).toMatchObject({ rows: 1 })
  expect(verifyBaseline(path, []).problem).toBeUndefined()
})
