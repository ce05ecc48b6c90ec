import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { Journal } from '../../agent/baseline/journal.ts'
import { openDatabase } from '../../agent/baseline/open.ts'
import { folderForTest } from '../support/folder.ts'

const ROOT = join(import.meta.dirname, '../..')

interface Said {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

const fullmon = (...words: readonly string[]): Said =>
  spawnSync(process.execPath, ['agent/main.ts', ...words], { cwd: ROOT, encoding: 'utf8' })

/** A baseline with three rows in its journal, and the heads after each. */
function journaled(): { readonly db: string; readonly heads: readonly string[] } {
  const db = join(folderForTest(), 'baseline.db')
  const database = openDatabase(db)
  const journal = new Journal(database)
  const heads = ['a', 'b', 'c'].map((author) => {
    journal.append({ timeMs: 1, action: 'learn', author, detail: {} })
    return journal.head
  })
  database.close()
  return { db, heads }
}

test('a baseline that fits', () => {
  const { db, heads } = journaled()
  expect(fullmon('verify', '--db', db)).toEqual(
    expect.objectContaining({
      status: 0,
      stderr: '',
      stdout: `baseline     ${db}\njournal      3 rows, head ${heads[2] ?? ''}\nresult       fits\n`,
    }),
  )
  const { status, stdout } = fullmon('verify', '--db', db, '--json')
  expect(status).toBe(0)
  expect(JSON.parse(stdout)).toEqual({
    kind: 'verify',
    db,
    rows: 3,
    head: heads[2],
    fits: true,
    problem: null,
    unknownHeads: [],
  })
})

test('one that does not names the first row', () => {
  const { db } = journaled()
  const database = new Database(db)
  database.exec("UPDATE journal SET author = 'x' WHERE id >= 2")
  database.close()
  const { status, stdout } = fullmon('verify', '--db', db)
  expect(status).toBe(1)
  expect(stdout).toContain('result       journal row 2 was changed, or one before it')
  const said = fullmon('verify', '--db', db, '--json')
  expect(said.status).toBe(1)
  expect(JSON.parse(said.stdout)).toMatchObject({ rows: 3, fits: false, problem: { row: 2 } })
})

test('a head that a report has carried stands in it, others do not', () => {
  const { db, heads } = journaled()
  const [first = '', second = ''] = heads
  expect(fullmon('verify', '--db', db, '--head', first, '--head', second.toUpperCase()).status).toBe(0)
  // As the text of a report has it.
  expect(fullmon('verify', '--db', db, '--head', first.slice(0, 12)).status).toBe(0)
  expect(fullmon('verify', '--db', db, '--head', first.slice(1, 13)).status).toBe(1)
  const foreign = 'f'.repeat(64)
  const { status, stdout } = fullmon('verify', '--db', db, '--head', first, '--head', foreign, '--json')
  expect(status).toBe(1)
  expect(JSON.parse(stdout)).toMatchObject({ fits: false, problem: null, unknownHeads: [foreign] })
  expect(fullmon('verify', '--db', db, '--head', foreign).stdout).toContain(
    `no row of the journal has the head ${foreign}`,
  )
})

test('wrong words', () => {
  const { db } = journaled()
  expect(fullmon('verify', '--db', db, '--head', 'abc')).toMatchObject({
    status: 2,
    stderr: 'fullmon: --head takes 12 to 64 hex digits, not "abc"\n',
  })
  const missing = join(folderForTest(), 'baseline.db')
  expect(fullmon('verify', '--db', missing)).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('there is no baseline at ') as string,
  })
  expect(existsSync(missing)).toBe(false)
})
