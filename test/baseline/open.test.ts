import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { MIGRATIONS } from '../../agent/baseline/migrations.ts'
import { openForReading } from '../../agent/baseline/open.ts'
import { folderForTest } from '../support/folder.ts'
import { complaint } from '../support/complaint.ts'

const ROOT = join(import.meta.dirname, '../..')
const NOBODY = 65_534
const isRoot = process.getuid?.() === 0

const modeOf = (path: string): number => statSync(path).mode & 0o7777

/** A baseline with enough in it to fill some pages. */
function written(path: string, edges = 1): void {
  const baseline = new Baseline(path)
  baseline.batch(() => {
    for (let index = 0; index < edges; index++)
      baseline.edges.learn(
        { kind: 'exec', from: `proc::root:/bin/from${index}`, to: `proc::root:/bin/to${index}` },
        1,
      )
  })
  baseline.close()
}

test('a new baseline and the files beside it are for its owner alone, whatever the umask', () => {
  const path = join(folderForTest(), 'fullmon/baseline.db')
  const umask = process.umask(0)
  try {
    const baseline = new Baseline(path)
    baseline.batch(() => baseline.edges.learn({ kind: 'exec', from: 'proc::a:/a', to: 'proc::a:/b' }, 1))
    expect([path, `${path}-wal`, `${path}-shm`].map(modeOf)).toEqual([0o600, 0o600, 0o600])
    expect(modeOf(join(path, '../'))).toBe(0o700)
    baseline.close()
  } finally {
    process.umask(umask)
  }
})

test('a baseline that others could read is closed to them', () => {
  const path = join(folderForTest(), 'baseline.db')
  written(path)
  chmodSync(path, 0o644)
  written(path)
  expect(modeOf(path)).toBe(0o600)
})

test('an empty file becomes a baseline, for its owner alone', () => {
  const path = join(folderForTest(), 'baseline.db')
  writeFileSync(path, '', { mode: 0o644 })
  written(path)
  expect(modeOf(path)).toBe(0o600)
  expect(openForReading(path).close().open).toBe(false)
})

test('it is an SQLite file with a write-ahead log, our application id and a version', () => {
  const path = join(folderForTest(), 'baseline.db')
  written(path)
  const database = new Database(path, { readonly: true })
  expect(database.pragma('journal_mode', { simple: true })).toBe('wal')
  // `fulm` in ASCII
  expect(database.pragma('application_id', { simple: true })).toBe(Buffer.from('fulm').readUInt32BE())
  expect(database.pragma('user_version', { simple: true })).toBe(MIGRATIONS.length)
  database.close()
})

test('what stood in it is there again', () => {
  const path = join(folderForTest(), 'baseline.db')
  written(path, 5)
  const baseline = new Baseline(path)
  expect(baseline.edges.countEdges()).toBe(5)
  baseline.close()
})

test.each([
  ['with tables', 'CREATE TABLE cookies (value TEXT); INSERT INTO cookies VALUES (1)'],
  ['with an application id and no table yet', 'PRAGMA application_id = 1234; VACUUM'],
  ['with a version and no table yet', 'PRAGMA user_version = 1; VACUUM'],
])('the database of another program, %s, is refused and left as it is', (_, sql) => {
  const path = join(folderForTest(), 'cookies.db')
  const database = new Database(path)
  database.exec(sql)
  database.close()
  const before = readFileSync(path)
  expect(before.length).toBeGreaterThan(0)
  expect(complaint(() => new Baseline(path))).toBe(`${path} is a database of another program`)
  expect(complaint(() => openForReading(path))).toBe(`${path} is a database of another program`)
  expect(readFileSync(path).equals(before)).toBe(true)
})

test('a baseline of a newer program is refused and left as it is', () => {
  const path = join(folderForTest(), 'baseline.db')
  written(path)
  const database = new Database(path)
  database.pragma(`user_version = ${MIGRATIONS.length + 1}`)
  database.close()
  const before = readFileSync(path)
  const words = /has schema \d+, this program knows \d+: it was written by a newer fullmon/
  expect(complaint(() => new Baseline(path))).toMatch(words)
  expect(complaint(() => openForReading(path))).toMatch(words)
  expect(readFileSync(path).equals(before)).toBe(true)
})

test('a file that is no database is refused and left as it is', () => {
  const path = join(folderForTest(), 'notes.txt')
  writeFileSync(path, 'remember the milk\n'.repeat(1000))
  expect(complaint(() => new Baseline(path))).toContain(`${path} is no baseline: `)
  expect(complaint(() => openForReading(path))).toContain(`${path} is no baseline: `)
  expect(readFileSync(path, 'utf8')).toBe('remember the milk\n'.repeat(1000))
})

test('a baseline that was cut off is refused', () => {
  const path = join(folderForTest(), 'baseline.db')
  written(path, 2000)
  const whole = readFileSync(path)
  writeFileSync(path, whole.subarray(0, Math.floor(whole.length / 2)))
  expect(complaint(() => new Baseline(path))).toMatch(/is no baseline|is damaged/)
})

test('a baseline that is damaged in the middle is refused', () => {
  const path = join(folderForTest(), 'baseline.db')
  written(path, 2000)
  const fd = openSync(path, 'r+')
  writeSync(fd, Buffer.alloc(8192, 0xa5), 0, 8192, 8 * 4096)
  closeSync(fd)
  expect(complaint(() => new Baseline(path))).toMatch(
    /^the baseline .* is damaged \(.*\): move it away and import an export of it, or train anew$/,
  )
})

test('a place where nothing can be made is refused in words', () => {
  expect(complaint(() => new Baseline('/proc/fullmon/baseline.db'))).toMatch(
    /^cannot create the baseline \/proc\/fullmon\/baseline\.db: /,
  )
})

test('a directory is no baseline, and neither is a device', () => {
  const path = join(folderForTest(), 'directory')
  mkdirSync(path)
  expect(complaint(() => new Baseline(path))).toBe(`cannot open the baseline ${path}: it is no file`)
  expect(complaint(() => openForReading(path))).toMatch(/^cannot open the baseline /)
  expect(complaint(() => new Baseline('/dev/null'))).toBe('cannot open the baseline /dev/null: it is no file')
})

/** A baseline as it is when its agent was killed after so many batches of ten edges: none of them is in the file itself. */
function killed(batches: number): string {
  const path = join(folderForTest(), 'baseline.db')
  written(path, 0)
  const baseline = new Baseline(path)
  for (let batch = 0; batch < batches; batch++) {
    baseline.batch(() => {
      for (let index = 0; index < 10; index++)
        baseline.edges.learn(
          { kind: 'exec', from: 'proc::root:/bin/sh', to: `proc::root:/bin/${batch}-${index}` },
          1,
        )
    })
  }
  const copy = join(folderForTest(), 'baseline.db')
  for (const companion of ['', '-wal']) copyFileSync(path + companion, copy + companion)
  baseline.close()
  return copy
}

test.each([
  ['as it was', () => undefined, 200],
  ['cut off', (log: Buffer) => log.subarray(0, Math.floor(log.length / 2)), undefined],
  ['damaged in its middle', (log: Buffer) => log.fill(0xa5, log.length / 2, log.length / 2 + 100), undefined],
  ['damaged at its beginning', (log: Buffer) => log.fill(0xa5, 0, 100), 0],
  ['of zeros', (log: Buffer) => log.fill(0), 0],
  ['of something else', () => Buffer.from('remember the milk\n'.repeat(1000)), 0],
])('with a write-ahead log %s, a baseline is as it was after some batch', (_, damage, edges) => {
  const path = killed(20)
  const damaged = damage(readFileSync(`${path}-wal`))
  if (damaged !== undefined) writeFileSync(`${path}-wal`, damaged)
  const baseline = new Baseline(path)
  onTestFinished(() => baseline.close())
  const count = baseline.edges.countEdges()
  expect(count % 10).toBe(0)
  if (edges === undefined) {
    expect(count).toBeGreaterThan(0)
    expect(count).toBeLessThan(200)
  } else expect(count).toBe(edges)
})

test.each([2, 100, 1000, 4096])(
  'a baseline of which %d bytes are left is refused and left as it is',
  (size) => {
    const path = join(folderForTest(), 'baseline.db')
    written(path, 100)
    const rest = readFileSync(path).subarray(0, size)
    writeFileSync(path, rest)
    expect(complaint(() => new Baseline(path))).toMatch(/ is no baseline: | is damaged /)
    expect(readFileSync(path).equals(rest)).toBe(true)
  },
)

test('a baseline that is not there is not made by reading it', () => {
  const path = join(folderForTest(), 'baseline.db')
  expect(complaint(() => openForReading(path))).toContain(`there is no baseline at ${path}: train one`)
  expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined()
})

/** Root may do everything, so these are tried by somebody else. */
const program = `
  import('${ROOT}/agent/baseline/baseline.ts').then(async ({ Baseline }) => {
    const { openForReading } = await import('${ROOT}/agent/baseline/open.ts')
    const [how, path] = process.argv.slice(1)
    try {
      how === 'read' ? openForReading(path) : new Baseline(path)
    } catch (error) {
      console.log(error.name + ': ' + error.message)
    }
  })`
const asNobody = (
  how: 'read' | 'write',
  path: string,
): { readonly stdout: string; readonly stderr: string } =>
  spawnSync(process.execPath, ['-e', program, how, path], {
    encoding: 'utf8',
    ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
  })
const isReadable = asNobody('read', '/nonexistent/baseline.db').stdout.startsWith(
  'UsageError: there is no baseline',
)
if (!isReadable) process.stderr.write('open.test.ts: 2 left out: nobody may not read the checkout\n')

test.skipIf(!isReadable)('in a directory where one may not write it is refused in words', () => {
  const folder = folderForTest()
  chmodSync(folder, 0o555)
  const path = join(folder, 'baseline.db')
  expect(asNobody('write', path).stdout).toMatch(
    /^UsageError: cannot create the baseline .*permission denied/,
  )
  chmodSync(folder, 0o755)
  written(path)
  chmodSync(path, 0o444)
  chmodSync(folder, 0o555)
  expect(asNobody('write', path).stdout).toMatch(/^UsageError: cannot (write to|open) the baseline /)
  chmodSync(folder, 0o755)
})

test.skipIf(!isReadable || !isRoot)('in a directory that one may not enter it is not called missing', () => {
  const folder = folderForTest()
  const path = join(folder, 'baseline.db')
  written(path)
  chmodSync(folder, 0o700)
  expect(asNobody('read', path).stdout).toMatch(/^UsageError: cannot open the baseline .*permission denied/)
})
