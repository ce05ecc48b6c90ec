import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { UsageError } from '../../agent/domain/result.ts'
import { openLog } from '../../agent/support/log.ts'
import { folderForTest } from './folder.ts'

const MOST_BYTES = 10 * 1024 * 1024

/** What was logged, without the time before each line. */
const linesOf = (file: string): string[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z /, ''))

test('a line has its time, and everything is on disk once the log is closed', async () => {
  const file = join(folderForTest(), 'fullmon.log')
  const log = openLog(file)
  const lines = Array.from({ length: 5000 }, (_, index) => `line ${index}`)
  for (const line of lines) log.line(line)
  await log.close()
  expect(linesOf(file)).toEqual(lines)
  expect(readFileSync(file, 'utf8')).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z line 0\n/)
})

test('it is readable for its owner and group, and goes on where it was', async () => {
  const file = join(folderForTest(), 'fullmon.log')
  for (const line of ['one', 'two']) {
    const log = openLog(file)
    log.line(line)
    await log.close()
  }
  expect(linesOf(file)).toEqual(['one', 'two'])
  expect(statSync(file).mode & 0o137).toBe(0)
})

test('it rotates by size however fast lines come, and the newest are all there', async () => {
  const folder = folderForTest()
  const file = join(folder, 'fullmon.log')
  const log = openLog(file)
  const count = 800
  for (let index = 0; index < count; index++) log.line(`${index} ${'x'.repeat(100_000)}`)
  await log.close()
  const names = ['fullmon.log', 'fullmon.log.1', 'fullmon.log.2', 'fullmon.log.3', 'fullmon.log.4']
  expect(readdirSync(folder).sort()).toEqual(names)
  for (const name of names) expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(MOST_BYTES)
  const numbers = names.reverse().flatMap((name) => linesOf(join(folder, name)).map((line) => parseInt(line)))
  const first = numbers[0] ?? 0
  expect(numbers).toEqual(Array.from({ length: count - first }, (_, index) => first + index))
  expect(numbers.length).toBeGreaterThan((4 * MOST_BYTES) / 100_100 - 5)
})

test('when somebody else moves or removes the file, a new one is begun', async () => {
  const file = join(folderForTest(), 'fullmon.log')
  const log = openLog(file)
  log.line('one')
  renameSync(file, `${file}.old`)
  log.line('two')
  rmSync(file)
  log.line('three')
  await log.close()
  expect(linesOf(`${file}.old`)).toEqual(['one'])
  expect(linesOf(file)).toEqual(['three'])
})

// winston's own file makes an unhandled error of it, which ends the program.
test('a full disk ends nothing', async () => {
  const log = openLog('/dev/full')
  expect(() => log.line('one')).not.toThrow()
  await expect(log.close()).resolves.toBeUndefined()
})

test('what could not be written is counted in the first line that could', async () => {
  const folder = join(folderForTest(), 'folder')
  const file = join(folder, 'fullmon.log')
  mkdirSync(folder)
  const log = openLog(file)
  log.line('one')
  rmSync(folder, { recursive: true })
  log.line('two')
  log.line('three')
  mkdirSync(folder)
  log.line('four')
  await log.close()
  expect(linesOf(file)).toEqual(['2 lines could not be written before this one', 'four'])
})

test.each(['/proc/fullmon/fullmon.log', '/', '/nonexistent/fullmon.log'])(
  '%s is refused in words',
  (file) => {
    expect(() => openLog(file)).toThrow(UsageError)
    expect(() => openLog(file)).toThrow(`cannot write to the log ${file}: `)
  },
)
