import { copyFileSync, chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { storageFault } from '../../agent/baseline/fault.ts'
import { MIGRATIONS } from '../../agent/baseline/migrations.ts'
import { openDatabase } from '../../agent/baseline/open.ts'
import { exportBaseline } from '../../agent/baseline/transfer.ts'
import type { Edge } from '../../agent/domain/edge.ts'
import { UsageError } from '../../agent/domain/result.ts'
import { folderForTest } from '../support/folder.ts'
import { diskForTest, mountUnavailable, tmpfsForTest } from '../support/mount.ts'

const SCHEMA_1 = join(import.meta.dirname, '../fixtures/baselines/schema-1.db')

const unavailable = mountUnavailable()
if (unavailable !== undefined) process.stderr.write(`fault.test.ts: real faults left out: ${unavailable}\n`)

const exec = (name: string): Edge => ({
  kind: 'exec',
  from: 'proc::root:/bin/sh',
  to: `proc::root:/bin/${name}`,
})

/** The error that `work` ends with. */
function errorOf(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('it did not fail')
}

const learnMany = (baseline: Baseline, prefix: string): void =>
  baseline.batch(() => {
    for (let index = 0; index < 5000; index++) baseline.edges.learn(exec(`${prefix}${index}`), 1)
  })

function isWhole(path: string): boolean {
  const database = new Database(path)
  const verdict = database.pragma('quick_check', { simple: true })
  database.close()
  return verdict === 'ok'
}

/** Nothing is left on the file system. */
function fill(folder: string): () => void {
  const filler = join(folder, 'filler')
  for (let size = 1_048_576; size >= 1; size = Math.floor(size / 2)) {
    try {
      for (;;) writeFileSync(filler, Buffer.alloc(size), { flag: 'a' })
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' })
    }
  }
  return () => rmSync(filler)
}

describe.skipIf(unavailable !== undefined)('a disk that is full', () => {
  test('a new baseline: said in words, and made as soon as there is room', () => {
    const { folder } = tmpfsForTest(256)
    const path = join(folder, 'baseline.db')
    const empty = fill(folder)
    const error = errorOf(() => new Baseline(path))
    expect(error).toBeInstanceOf(UsageError)
    expect((error as Error).message).toMatch(/^cannot (create|open|write to|migrate) the baseline /)
    expect(storageFault(error)).toBeDefined()
    empty()
    const baseline = new Baseline(path)
    expect(baseline.edges.countEdges()).toBe(0)
    baseline.close()
  })

  test('a migration: either schema, wherever the room ends', () => {
    const outcomes: string[] = []
    const { folder, remount } = tmpfsForTest(64)
    const path = join(folder, 'baseline.db')
    for (let sizeKiB = 64; sizeKiB <= 512; sizeKiB += 8) {
      remount(`size=${sizeKiB}k`)
      for (const companion of ['', '-wal', '-shm']) rmSync(path + companion, { force: true })
      copyFileSync(SCHEMA_1, path)
      chmodSync(path, 0o600)
      try {
        openDatabase(path).close()
        outcomes.push('migrated')
      } catch (error) {
        expect(storageFault(error)).toBeDefined()
        outcomes.push('failed')
      }
      // As it is after a kill, too: what the connection has left beside it comes along.
      const copy = join(folderForTest(), 'baseline.db')
      for (const companion of ['', '-wal'].filter((each) => statSync(path + each, { throwIfNoEntry: false })))
        copyFileSync(path + companion, copy + companion)
      expect(isWhole(copy)).toBe(true)
      const database = new Database(copy)
      const isMigrated = outcomes.at(-1) === 'migrated'
      const version = database.pragma('user_version', { simple: true }) as number
      expect(version === MIGRATIONS.length).toBe(isMigrated)
      expect(version).toBeGreaterThan(0)
      expect(database.prepare('SELECT count(*) FROM edges').pluck().get()).toBe(75)
      database.close()
      if (!isMigrated) openDatabase(copy).close()
    }
    expect(new Set(outcomes)).toEqual(new Set(['failed', 'migrated']))
  })

  test('a batch: it is as if it had not been, and goes on without being opened again', () => {
    const { folder } = tmpfsForTest(2048)
    const path = join(folder, 'baseline.db')
    const baseline = new Baseline(path)
    onTestFinished(() => baseline.close())
    baseline.batch(() => baseline.edges.learn(exec('before'), 1))
    const before = [...exportBaseline(path)]
    const empty = fill(folder)
    const error = errorOf(() => learnMany(baseline, 'lost'))
    expect(error).toMatchObject({ code: expect.stringMatching(/^SQLITE_(FULL|IOERR)/) as string })
    expect(storageFault(error)).toMatch(/^the disk (is full|fails) \(/)
    expect([...exportBaseline(path)]).toEqual(before)
    expect(baseline.edges.find(exec('lost1'))).toBeUndefined()
    expect(baseline.edges.find(exec('before'))).toBeDefined()
    empty()
    learnMany(baseline, 'after')
    expect(baseline.edges.countEdges()).toBe(5001)
    expect(isWhole(path)).toBe(true)
  })
})

describe.skipIf(unavailable !== undefined)('a file system that is read-only', () => {
  test('a baseline on it is refused in words, as it is, and opened as soon as it can be written', () => {
    const { folder, remount } = tmpfsForTest(2048)
    const path = join(folder, 'baseline.db')
    const baseline = new Baseline(path)
    baseline.batch(() => baseline.edges.learn(exec('before'), 1))
    baseline.close()
    const before = readFileSync(path)
    remount('ro')
    const error = errorOf(() => new Baseline(path))
    expect((error as Error).message).toMatch(/^cannot (open|write to) the baseline /)
    expect(storageFault(error)).toMatch(/read-only|cannot be opened/)
    expect(readFileSync(path).equals(before)).toBe(true)
    remount('rw')
    const again = new Baseline(path)
    expect(again.edges.find(exec('before'))).toBeDefined()
    again.close()
  })

  test('one that becomes so under the agent, as ext4 does at an error of the disk', (context) => {
    const disk = diskForTest()
    if (disk === undefined) return context.skip('there are no loop devices with ext4')
    const { folder, fail } = disk
    const path = join(folder, 'baseline.db')
    const baseline = new Baseline(path)
    onTestFinished(() => baseline.close())
    learnMany(baseline, 'before')
    fail()
    const error = errorOf(() => learnMany(baseline, 'lost'))
    expect(error).toBeInstanceOf(Database.SqliteError)
    expect(storageFault(error)).toBeDefined()
    expect(baseline.edges.find(exec('lost1'))).toBeUndefined()
    expect(baseline.edges.countEdges()).toBe(5000)
    const copy = join(folderForTest(), 'baseline.db')
    for (const companion of ['', '-wal']) copyFileSync(path + companion, copy + companion)
    const again = new Baseline(copy)
    expect(again.edges.countEdges()).toBe(5000)
    again.close()
  })
})

test('a baseline that another program keeps busy is a fault that passes', () => {
  const path = join(folderForTest(), 'baseline.db')
  openDatabase(path).close()
  const one = new Database(path)
  const other = new Database(path, { timeout: 0 })
  onTestFinished(() => [one, other].forEach((database) => database.close()))
  one.exec('BEGIN IMMEDIATE')
  expect(storageFault(errorOf(() => other.exec('BEGIN IMMEDIATE')))).toContain('busy')
})

test('what is no fault of storage', () => {
  for (const error of [
    new Error('x'),
    new UsageError('x'),
    'x',
    undefined,
    new TypeError('x', { cause: {} }),
  ])
    expect(storageFault(error)).toBeUndefined()
  const database = new Database(':memory:')
  onTestFinished(() => void database.close())
  expect(storageFault(errorOf(() => database.exec('SELECT wrong')))).toBeUndefined()
})
