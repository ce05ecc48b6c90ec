/** A baseline that is brought along: read without being changed, checked, and taken whole or not at all. */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { isUnbegun, readBrought, takeBrought } from '../../agent/baseline/brought.ts'
import { acquireLock } from '../../agent/baseline/lock.ts'
import { statusOf } from '../../agent/baseline/status.ts'
import { exportBaseline, importBaseline } from '../../agent/baseline/transfer.ts'
import { verifyBaseline } from '../../agent/baseline/verify.ts'
import { complaint } from '../support/complaint.ts'
import { folderForTest } from '../support/folder.ts'

const FIXTURES = join(import.meta.dirname, '../fixtures/baselines')
const EXPORTED = readFileSync(join(FIXTURES, 'schema-1.jsonl'), 'utf8').trimEnd().split('\n')
const NOBODY = 65_534
const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('brought.test.ts: 1 left out: only root may give a file to somebody else\n')

/** A trained baseline with what belongs to its host only. */
function trained(path = join(folderForTest(), 'host.db')): string {
  importBaseline(path, EXPORTED, { source: 'elsewhere', author: 'alice' })
  const baseline = new Baseline(path)
  baseline.batch(() => {
    const position = { path: '/var/log/audit/audit.log', inode: 1, fingerprint: 'f', offset: 4096 }
    baseline.kept.writeCheckpoint('/var/log/audit/audit.log', { position, finished: [], clockMs: 1 })
    baseline.kept.remember('kernel', { timeMs: 1 })
  })
  baseline.close()
  return path
}

/** Every file of a folder, byte for byte, and when it was written last. */
const bytesIn = (folder: string): readonly unknown[] =>
  readdirSync(folder)
    .sort()
    .map((name) => [name, readFileSync(join(folder, name), 'base64'), statSync(join(folder, name)).mtimeMs])

const take = (file: string): string => {
  const db = join(folderForTest(), 'baseline.db')
  takeBrought(db, readBrought(file))
  return db
}

test('a baseline is normal elsewhere, and nothing of its host comes with it', () => {
  const file = trained()
  const db = take(file)
  expect([...exportBaseline(db)]).toEqual([...exportBaseline(file)])
  expect(statusOf(db)).toMatchObject({ phase: 'trained', from: file, logs: [], kernelLookMs: undefined })
  expect(verifyBaseline(db, [])).not.toHaveProperty('problem')
})

test('the journal says where it came from, with the head of the other one', () => {
  const file = trained()
  const db = take(file)
  const database = new Database(db, { readonly: true })
  onTestFinished(() => void database.close())
  const rows = database
    .prepare<[], { author: string; detail: string }>('SELECT author, detail FROM journal')
    .all()
  expect(rows).toHaveLength(1)
  const { head } = verifyBaseline(file, [])
  expect(rows[0]?.author).toBe('agent')
  expect(JSON.parse(rows[0]?.detail ?? '')).toMatchObject({ source: file, head, edges: 75 })
})

test('an export will do, and one of an older schema, which stays as it is', () => {
  const folder = folderForTest()
  const [old, lines] = [join(folder, 'old.db'), join(folder, 'host.jsonl')]
  copyFileSync(join(FIXTURES, 'schema-1.db'), old)
  chmodSync(old, 0o440)
  writeFileSync(lines, `${EXPORTED.join('\n')}\n`)
  const before = bytesIn(folder)
  const fromOld = [...exportBaseline(take(old))].filter((line) => line.includes('"kind":"edge"'))
  const fromLines = [...exportBaseline(take(lines))].filter((line) => line.includes('"kind":"edge"'))
  expect(fromLines).toHaveLength(75)
  expect(fromOld.map((line) => line.replace(/,"windows":\d+/, ''))).toEqual(
    fromLines.map((line) => line.replace(/,"windows":\d+/, '')),
  )
  expect(bytesIn(folder)).toEqual(before)
})

test('what is not in the file yet, but beside it, is taken, and both stay as they are', () => {
  const one = trained()
  const baseline = new Baseline(one)
  baseline.batch(() => baseline.edges.learn({ kind: 'exec', from: 'proc::a:/a', to: 'proc::a:/late' }, 1))
  baseline.batch(() => baseline.trainings.begin(1, 1))
  const folder = folderForTest()
  // As after a power cut: nobody has closed it.
  for (const end of ['', '-wal']) cpSync(one + end, join(folder, `host.db${end}`))
  baseline.close()
  expect(statSync(join(folder, 'host.db-wal')).size).toBeGreaterThan(0)
  const before = bytesIn(folder)
  const database = new Database(take(join(folder, 'host.db')), { readonly: true })
  onTestFinished(() => void database.close())
  expect(database.prepare("SELECT 1 FROM nodes WHERE name = 'proc::a:/late'").get()).toBeDefined()
  expect(bytesIn(folder)).toEqual(before)
})

test('a training that is not over is known as that, and nothing is left in temporary places', () => {
  const path = trained()
  const baseline = new Baseline(path)
  baseline.batch(() => baseline.trainings.begin(1, 1000))
  baseline.close()
  const temporary = folderForTest()
  const other = trained()
  vi.stubEnv('TMPDIR', temporary)
  onTestFinished(() => void vi.unstubAllEnvs())
  expect(readBrought(path).isTrained).toBe(false)
  expect(readBrought(other).isTrained).toBe(true)
  expect(readdirSync(temporary)).toEqual([])
})

const SPOILED: readonly (readonly [string, (file: string) => void, RegExp])[] = [
  ['is empty', (file) => writeFileSync(file, ''), /host\.db is empty$/],
  [
    'is something else',
    (file) => writeFileSync(file, 'nonsense\n'),
    /host\.db:1: this is no exported baseline$/,
  ],
  [
    'was cut',
    (file) => writeFileSync(file, readFileSync(file).subarray(0, 9000)),
    /host\.db is no baseline: database disk image is malformed$/,
  ],
  [
    'is of another program',
    (file) => edited(file, 'PRAGMA application_id = 1'),
    /host\.db is a database of another/,
  ],
  ['is of a newer one', (file) => edited(file, 'PRAGMA user_version = 9999'), /host\.db has schema 9999/],
  [
    'does not fit its journal',
    (file) => edited(file, "UPDATE nodes SET name = 'proc::root:/evil' WHERE name LIKE 'proc:%dash'"),
    /^nothing is taken from .*host\.db, which fullmon verify refuses: other edges/,
  ],
  ['may be written by others', (file) => chmodSync(file, 0o666), /host\.db: others than .* may write it/],
  [
    'may be replaced by others',
    (file) => chmodSync(join(file, '..'), 0o777),
    /others may write into .*, and so replace it/,
  ],
]

function edited(file: string, sql: string): void {
  const database = new Database(file)
  database.exec(sql)
  database.close()
}

for (const [what, spoil, expected] of SPOILED)
  test(`one that ${what} is refused in one sentence`, () => {
    const file = trained()
    spoil(file)
    const said = complaint(() => readBrought(file))
    expect(said).toMatch(expected)
    expect(said).not.toContain('\n')
    expect(said).toContain(file)
  })

test('a folder, and what is not there, are refused', () => {
  const folder = folderForTest()
  mkdirSync(join(folder, 'd'))
  expect(complaint(() => readBrought(join(folder, 'd')))).toMatch(/\/d: it is no file$/)
  expect(complaint(() => readBrought(join(folder, 'x')))).toMatch(/^cannot read the baseline .*ENOENT/)
})

test('what is too large for the memory is refused before it is read', () => {
  const file = join(folderForTest(), 'huge.db')
  writeFileSync(file, '')
  truncateSync(file, 1 << 30)
  expect(() => readBrought(file)).toThrow(/^the baseline .*huge\.db has 1073741824 bytes, more than/)
})

test('one that an agent writes is refused, which is named', () => {
  const file = trained()
  const lock = acquireLock(file)
  onTestFinished(() => lock.release())
  expect(complaint(() => readBrought(file))).toMatch(
    new RegExp(`^an agent writes .* \\(pid ${process.pid}\\)`),
  )
})

test.runIf(isRoot)('one that belongs to somebody else is refused', () => {
  const file = trained()
  chownSync(file, NOBODY, NOBODY)
  expect(complaint(() => readBrought(file))).toContain(`belongs to uid ${NOBODY}`)
})

test('a place is unbegun until something was written there', () => {
  const path = join(folderForTest(), 'b.db')
  expect(isUnbegun(path)).toBe(true)
  writeFileSync(path, '', { mode: 0o600 })
  expect(isUnbegun(path)).toBe(true)
  const baseline = new Baseline(path)
  expect(isUnbegun(path)).toBe(true)
  baseline.batch(() => baseline.trainings.begin(1, 1000))
  expect(isUnbegun(path)).toBe(false)
  baseline.close()
  expect(isUnbegun(trained())).toBe(false)
  writeFileSync(path, 'something else')
  expect(isUnbegun(path)).toBe(false)
})
