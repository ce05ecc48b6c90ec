import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { acquireLock } from '../../agent/baseline/lock.ts'
import { complaint } from '../support/complaint.ts'
import { folderForTest } from '../support/folder.ts'

const NOBODY = 65_534
const isRoot = process.getuid?.() === 0
if (!isRoot) process.stderr.write('place.test.ts: 2 left out: only root may give a file to somebody else\n')

function baselineForTest(): string {
  const path = join(folderForTest(), 'baseline.db')
  const baseline = new Baseline(path)
  baseline.batch(() => baseline.edges.learn({ kind: 'exec', from: 'proc::a:/a', to: 'proc::a:/b' }, 1))
  baseline.close()
  return path
}

/** Neither the agent nor its lock takes it, and it stays as it is. */
function refusal(path: string): string {
  const before = readFileSync(path)
  const { mode, uid } = statSync(path)
  const words = complaint(() => new Baseline(path))
  expect(complaint(() => acquireLock(path))).toBe(words)
  expect(readFileSync(path).equals(before)).toBe(true)
  expect(statSync(path)).toMatchObject({ mode, uid })
  return words
}

test.each([0o620, 0o602, 0o666])('a baseline that others may write, with mode %o, is refused', (mode) => {
  const path = baselineForTest()
  chmodSync(path, mode)
  expect(refusal(path)).toBe(
    `others may write the baseline ${path}: chmod go-w ${path}, and check it with fullmon verify`,
  )
})

test.each(['-wal', '-shm', '-journal', '-lock'])('so is one whose %s others may write', (companion) => {
  const path = baselineForTest()
  writeFileSync(path + companion, '')
  chmodSync(path + companion, 0o660)
  expect(refusal(path)).toContain(`others may write the baseline ${path}: chmod go-w ${path}${companion}`)
})

test.each([0o777, 0o770, 0o707])('so is one in a directory of mode %o', (mode) => {
  const path = baselineForTest()
  const directory = join(path, '..')
  chmodSync(directory, mode)
  expect(refusal(path)).toBe(
    `others may write into ${directory}, and so replace the baseline ${path}: chmod go-w ${directory}`,
  )
})

test('one is not made there either', () => {
  const path = join(folderForTest(), 'baseline.db')
  chmodSync(join(path, '..'), 0o777)
  expect(complaint(() => new Baseline(path))).toContain('others may write into ')
  expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined()
})

test('a sticky directory, such as /tmp, is no danger', () => {
  const path = baselineForTest()
  chmodSync(join(path, '..'), 0o1777)
  new Baseline(path).close()
})

test.skipIf(!isRoot)('a baseline of somebody else is refused', () => {
  const path = baselineForTest()
  chownSync(path, NOBODY, NOBODY)
  expect(refusal(path)).toBe(`${path} belongs to uid ${NOBODY}, who may write the baseline ${path}: chown it`)
})

test.skipIf(!isRoot)('so is one with a log that somebody else has put beside it', () => {
  const path = baselineForTest()
  writeFileSync(`${path}-wal`, '')
  chownSync(`${path}-wal`, NOBODY, NOBODY)
  expect(refusal(path)).toContain(`${path}-wal belongs to uid ${NOBODY}`)
})

test('so is one with a link beside it: what it leads to is not touched', () => {
  const path = baselineForTest()
  const target = join(folderForTest(), 'precious')
  writeFileSync(target, '', { mode: 0o644 })
  symlinkSync(target, `${path}-lock`)
  expect(refusal(path)).toContain(`${path}-lock is a link`)
  expect(statSync(target).mode & 0o777).toBe(0o644)
})

test('of a link it counts what it leads to', () => {
  const path = baselineForTest()
  const folder = folderForTest()
  const link = join(folder, 'link.db')
  symlinkSync(path, link)
  new Baseline(link).close()
  chmodSync(path, 0o606)
  expect(refusal(link)).toContain(`others may write the baseline ${link}: chmod go-w ${path}`)
  chmodSync(path, 0o600)
  chmodSync(join(path, '..'), 0o777)
  expect(refusal(link)).toContain(`others may write into ${join(path, '..')}`)
})

test('a link that leads nowhere makes nothing', () => {
  const folder = folderForTest()
  const link = join(folder, 'link.db')
  symlinkSync(join(folder, 'missing/baseline.db'), link)
  expect(complaint(() => new Baseline(link))).toMatch(/^cannot create the baseline .*ENOENT/)
})

test('a refusal is no matter of the umask', () => {
  const umask = process.umask(0)
  onTestFinished(() => void process.umask(umask))
  const path = join(folderForTest(), 'state/baseline.db')
  new Baseline(path).close()
  new Baseline(path).close()
  expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700)
  mkdirSync(join(path, '../open'))
  expect(complaint(() => new Baseline(join(path, '../open/baseline.db')))).toContain('others may write into ')
})
