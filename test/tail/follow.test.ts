import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LogPosition } from '../../agent/domain/chunk.ts'
import { UsageError } from '../../agent/domain/result.ts'
import { follow } from '../../agent/tail/follow.ts'
import { nameOf } from '../../agent/tail/rotation.ts'
import { folderForTest, openIn } from '../support/folder.ts'
import { checkpoint, Follower, numbered, POLL_MS, sha256 } from './follower.ts'
import { RotatingLog } from './writer.ts'

test('from the beginning: everything that is there and everything that comes', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'one\ntwo\n')
  const follower = await new Follower(path).length(8)
  appendFileSync(path, 'three\n')
  await follower.length(14)
  expect((await follower.end()).text).toBe('one\ntwo\nthree\n')
  expect(follower.blindSpots).toEqual([])
  const place = { path, inode: statSync(path).ino, fingerprint: sha256('one') }
  expect(follower.chunks.map(({ at }) => at)).toEqual([
    { ...place, offset: 0 },
    { ...place, offset: 8 },
  ])
})

test('from the end: only what comes, and a line that has begun is whole', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'old\nolder\nhalf a')
  const follower = await new Follower(path, { startAt: 'end' }).length(6)
  appendFileSync(path, ' line\n')
  await follower.length(12)
  expect((await follower.end()).text).toBe('half a line\n')
})

test('law: since a time: from the first line with that stamp or a later one, in whatever log it is', async () => {
  const stamped = fc.record({
    step: fc.integer({ min: 0, max: 3 }),
    width: fc.nat(300),
    isStamped: fc.boolean(),
  })
  const logs = fc.array(fc.array(stamped, { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(logs, fc.nat(120), async (written, since) => {
      const path = join(mkdtempSync(join(tmpdir(), 'fullmon-tail-')), 'audit.log')
      let second = 1000
      const all: { readonly timeMs: number; readonly text: string }[] = []
      for (const [index, lines] of written.entries()) {
        const texts = lines.map(({ step, width, isStamped }) => {
          const timeMs = (second += step) * 1000
          const text = `${isStamped ? `type=X msg=audit(${second}.000:1):` : 'no record'} ${'x'.repeat(width)}\n`
          all.push({ timeMs: isStamped ? timeMs : Number.NaN, text })
          return text
        })
        const name = nameOf(path, written.length - 1 - index)
        writeFileSync(name, texts.join(''))
        utimesSync(name, second, second)
      }
      const sinceMs = (1000 + since) * 1000
      const first = all.findIndex(({ timeMs }) => timeMs >= sinceMs)
      const wanted =
        first === -1
          ? ''
          : all
              .slice(first)
              .map(({ text }) => text)
              .join('')
      const follower = new Follower(path, { startAt: 'end', sinceMs })
      const { text } = await (await follower.length(wanted.length)).stop()
      // Lines without a stamp may stand before it.
      expect(text.endsWith(wanted)).toBe(true)
      expect(text.slice(0, text.length - wanted.length)).not.toContain('audit(')
      rmSync(dirname(path), { recursive: true })
    }),
    { numRuns: 60 },
  )
})

test('a log that is not there yet is told, and that it is there again, and read from its beginning when it comes', async () => {
  const path = join(folderForTest(), 'audit.log')
  const follower = new Follower(path, { startAt: 'end' })
  await follower.blind(1)
  await sleep(5 * POLL_MS)
  writeFileSync(path, 'first\n')
  await follower.length(6)
  expect((await follower.end()).text).toBe('first\n')
  expect(follower.tampers).toEqual([])
  const [begin, end, ...others] = follower.blindSpots
  expect(begin).toMatchObject({ reason: 'log-missing', isOngoing: true, detail: `${path} does not exist` })
  expect(end).toMatchObject({ reason: 'log-missing', fromMs: begin?.fromMs })
  expect(end).not.toHaveProperty('isOngoing')
  expect(end?.toMs).toBeGreaterThan(begin?.toMs ?? Infinity)
  expect(others).toEqual([])
})

test('a log that vanishes is told once each time, and what is written to it meanwhile is read', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'one\n')
  const follower = await new Follower(path).length(4)
  renameSync(path, `${path}-20260101`)
  await follower.blind(1)
  appendFileSync(`${path}-20260101`, 'two\n')
  await follower.length(8)
  writeFileSync(path, 'three\n')
  await follower.length(14)
  await sleep(20 * POLL_MS)
  expect(follower.blindSpots.map(({ isOngoing }) => isOngoing)).toEqual([true, undefined])
  unlinkSync(path)
  await follower.blind(3)
  writeFileSync(path, 'four\n')
  await follower.length(19)
  expect((await follower.end()).text).toBe('one\ntwo\nthree\nfour\n')
  expect(new Set(follower.reasons)).toEqual(new Set(['log-missing']))
  expect(follower.blindSpots.map(({ isOngoing }) => isOngoing)).toEqual([true, undefined, true, undefined])
  expect(follower.tampers.map(({ detail }) => detail)).toEqual([
    expect.stringContaining('renamed to none of its saved logs'),
    expect.stringContaining('deleted'),
  ])
})

test('two rotations that each leave the log without its name for a moment are not a missing log', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'one\n')
  const { signal } = new AbortController()
  const items = follow(path, { startAt: 'beginning', pollMs: POLL_MS, signal })
  const next = async (): Promise<string | undefined> => {
    const { value } = await items.next()
    return value === undefined || 'kind' in value ? value?.detail : value.bytes.toString()
  }
  expect(await next()).toBe('one\n')
  for (const line of ['two\n', 'three\n']) {
    if (existsSync(`${path}.1`)) renameSync(`${path}.1`, `${path}.2`)
    renameSync(path, `${path}.1`)
    const coming = next()
    await sleep(3 * POLL_MS)
    writeFileSync(path, line)
    expect(await coming).toBe(line)
    // A consumer that is busy for longer than the agent is patient.
    await sleep(12 * POLL_MS)
  }
  await items.return()
})

test('an incomplete first line is waited for, so that every position has a fingerprint', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'fir')
  const follower = new Follower(path)
  await sleep(5 * POLL_MS)
  expect(follower.text).toBe('')
  appendFileSync(path, 'st\nse')
  await follower.length(8)
  expect((await follower.end()).chunks.map(({ at }) => at?.fingerprint)).toEqual([sha256('first')])
})

/** Another process that writes 60,000 lines as fast as it can, with 200 rotations, and keeps all logs. */
function writeAndRotate(path: string): ChildProcess {
  const script = `
    import { RotatingLog } from ${JSON.stringify(new URL('writer.ts', import.meta.url).href)}
    const log = new RotatingLog(${JSON.stringify(path)}, 300)
    for (let line = 0; line < 60000; line++) {
      if (line % 300 === 299) log.rotate()
      log.write('line ' + line + '\\n')
    }`
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' })
}

test('rotations while another process writes as fast as it can: nothing lost, nothing twice, nothing left open', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, '')
  const follower = new Follower(path, { pollMs: 5 })
  expect(await once(writeAndRotate(path), 'exit')).toEqual([0, null])
  const all = numbered(0, 60_000)
  await follower.length(all.length)
  expect((await follower.end()).text === all).toBe(true)
  expect(follower.blindSpots).toEqual([])
  expect(new Set(follower.chunks.map(({ at }) => at?.inode)).size).toBe(201)
  await expect.poll(() => openIn(dirname(path))).toEqual([])
  expect(process.getActiveResourcesInfo()).not.toContain('StatWatcher')
})

test('a position is found, and a lost one answered with the oldest log, while logs are renamed', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'line begin\n')
  const from = { path, inode: statSync(path).ino, fingerprint: sha256('line begin'), offset: 11 }
  const { signal } = new AbortController()
  /** What comes first from there, up to the end of its line. */
  const first = async (from: LogPosition): Promise<string> => {
    const items = follow(path, { from, startAt: 'end', pollMs: POLL_MS, signal })
    let item = (await items.next()).value
    const reason = item !== undefined && 'kind' in item ? `${item.reason}, ` : ''
    if (reason !== '') item = (await items.next()).value
    await items.return()
    if (item === undefined || 'kind' in item) throw new Error('no chunk')
    return `${reason}${item.bytes.toString('latin1').split('\n', 1).join()}`
  }
  const writer = writeAndRotate(path)
  await expect.poll(() => existsSync(`${path}.1`)).toBe(true)
  const answers: string[] = []
  while (writer.exitCode === null) {
    answers.push(await first(from), await first({ ...from, fingerprint: sha256('gone') }))
  }
  expect(answers.length).toBeGreaterThan(10)
  expect(new Set(answers)).toEqual(new Set(['line 0', 'log-rotated-unread, line begin']))
})

test('a position whose log was rotated away: told, and everything that is left is read', async () => {
  const path = join(folderForTest(), 'audit.log')
  const log = new RotatingLog(path, 2)
  log.write('one\n')
  const { from } = checkpoint((await (await new Follower(path).length(4)).end()).chunks)
  for (const line of ['two\n', 'three\n', 'four\n']) {
    log.rotate()
    log.write(line)
  }
  log.close()
  const follower = await new Follower(path, { from, startAt: 'end' }).length(15)
  expect((await follower.end()).text).toBe('two\nthree\nfour\n')
  expect(follower.blindSpots.map(({ reason, count }) => ({ reason, count }))).toEqual([
    { reason: 'log-rotated-unread', count: 0 },
  ])
  expect(follower.blindSpots[0]?.detail).toContain(`${path}.2, the oldest`)
})

test('a position in a log of which nothing is left: told, and the next one is waited for', async () => {
  const path = join(folderForTest(), 'audit.log')
  const from = { path, inode: 1, fingerprint: sha256('one'), offset: 4 }
  const follower = new Follower(path, { from })
  await follower.blind(2)
  expect(follower.reasons).toEqual(['log-rotated-unread', 'log-missing'])
  writeFileSync(path, 'two\n')
  await follower.length(4)
  expect((await follower.end()).text).toBe('two\n')
})

test('the same inode with another first line, and no rotation since, was truncated', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'two\nmore\n')
  const from = { path, inode: statSync(path).ino, fingerprint: sha256('one'), offset: 4 }
  const follower = await new Follower(path, { from }).length(9)
  expect((await follower.end()).text).toBe('two\nmore\n')
  expect(follower.reasons).toEqual(['log-truncated'])
  expect(follower.tamperReasons).toEqual(['log-truncated'])
})

test('the same first line with another inode, and no rotation since, has replaced it', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'one\nmore\n')
  const from = { path, inode: statSync(path).ino + 1, fingerprint: sha256('one'), offset: 4 }
  const follower = await new Follower(path, { from }).length(9)
  expect((await follower.end()).text).toBe('one\nmore\n')
  expect(follower.reasons).toEqual(['log-rotated-unread'])
  expect(follower.tamperReasons).toEqual(['log-replaced'])
})

test('a position without a fingerprint is in the first line, which is read again', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'one\ntwo\n')
  const from = { path, inode: statSync(path).ino, fingerprint: '', offset: 2 }
  const follower = await new Follower(path, { from }).length(8)
  expect((await follower.end()).text).toBe('one\ntwo\n')
  expect(follower.blindSpots).toEqual([])
})

test('a position behind the end of its log: told as truncated, read from the beginning', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'one\ntwo\n')
  const from = { path, inode: statSync(path).ino, fingerprint: sha256('one'), offset: 9 }
  const follower = await new Follower(path, { from }).length(8)
  expect((await follower.end()).text).toBe('one\ntwo\n')
  expect(follower.reasons).toEqual(['log-truncated'])
})

test.each([
  ['shorter than what was read', 'new\n'],
  ['longer than what was read', 'new\n'.repeat(100)],
])('a log that is cut and written anew, %s, is told once and read from its beginning', async (_, content) => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, numbered(0, 10))
  const follower = await new Follower(path).length(70)
  writeFileSync(path, content)
  await follower.blind(1)
  await follower.length(70 + content.length)
  appendFileSync(path, 'more\n')
  await follower.length(75 + content.length)
  expect((await follower.end()).text).toBe(numbered(0, 10) + content + 'more\n')
  expect(follower.reasons).toEqual(['log-truncated'])
  expect(follower.chunks.at(-1)?.at).toMatchObject({ offset: content.length, fingerprint: sha256('new') })
})

test('a log that is cut to nothing is told before anything is written to it', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'one\n')
  const follower = await new Follower(path).length(4)
  truncateSync(path)
  await follower.blind(1)
  appendFileSync(path, 'two\n')
  await follower.length(8)
  expect((await follower.end()).text).toBe('one\ntwo\n')
  expect(follower.reasons).toEqual(['log-truncated'])
})

test('a consumer that sleeps through more rotations than logs are kept is told, and has everything that is left', async () => {
  const path = join(folderForTest(), 'audit.log')
  const log = new RotatingLog(path, 2)
  log.write('one\n')
  const stop = new AbortController()
  const items = follow(path, { startAt: 'beginning', pollMs: POLL_MS, signal: stop.signal })
  const next = async (): Promise<string | undefined> => {
    const { value } = await items.next()
    if (value === undefined) return undefined
    return 'kind' in value ? value.reason : value.bytes.toString()
  }
  expect(await next()).toBe('one\n')
  for (const line of ['two\n', 'three\n', 'four\n', 'five\n']) {
    // File systems stamp with the kernel's tick, which is up to 10 ms long.
    await sleep(20)
    log.rotate()
    log.write(line)
  }
  log.close()
  expect([await next(), await next(), await next(), await next()]).toEqual([
    'log-rotated-unread',
    'three\n',
    'four\n',
    'five\n',
  ])
  stop.abort()
  expect(await next()).toBeUndefined()
})

test('a saved log that is removed before it was read is told', async () => {
  const path = join(folderForTest(), 'audit.log')
  const log = new RotatingLog(path, 5)
  log.write('one\n')
  const { from } = checkpoint((await (await new Follower(path).length(4)).end()).chunks)
  for (const line of ['two\n', 'three\n']) {
    log.rotate()
    log.write(line)
  }
  log.close()
  unlinkSync(`${path}.1`)
  const follower = await new Follower(path, { from }).length(6)
  expect((await follower.end()).text).toBe('three\n')
  expect(follower.blindSpots.map(({ detail }) => detail)).toEqual([
    `a saved log between ${path}.2 and ${path} went before it was read (how many bytes is not known)`,
  ])
})

test('a hole that a rotation has just made is waited for', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'one\n')
  const follower = await new Follower(path, { pollMs: 50 }).length(4)
  renameSync(path, `${path}.1`)
  writeFileSync(path, 'two\n')
  // Another rotation, which begins with the oldest log …
  renameSync(`${path}.1`, `${path}.2`)
  await sleep(150)
  // … and ends with the live one.
  renameSync(path, `${path}.1`)
  writeFileSync(path, 'three\n')
  await follower.length(14)
  expect((await follower.end()).text).toBe('one\ntwo\nthree\n')
  expect(follower.blindSpots).toEqual([])
})

test('a log that is deleted and made anew is followed; older saved logs are not read again', async () => {
  const path = join(folderForTest(), 'audit.log')
  const log = new RotatingLog(path, 5)
  log.write('one\n')
  await sleep(20)
  log.rotate()
  log.write('two\n')
  const follower = await new Follower(path).length(4)
  log.close()
  unlinkSync(path)
  writeFileSync(path, 'three\n')
  await follower.length(10)
  expect((await follower.end()).text).toBe('two\nthree\n')
  expect(follower.blindSpots).toEqual([])
  expect(follower.tamperReasons).toEqual(['log-replaced'])
})

/** Bytes that this process has read from files and pipes. */
const bytesRead = (): number => Number(/^rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'latin1'))?.[1])

test('a backlog is read only as fast as it is asked for, in chunks of at most 1 MiB', async () => {
  const path = join(folderForTest(), 'audit.log')
  const all = numbered(0, 1_500_000)
  writeFileSync(path, all)
  const stop = new AbortController()
  const items = follow(path, { startAt: 'beginning', pollMs: 5, signal: stop.signal })
  const before = bytesRead()
  const first = await items.next()
  await sleep(100)
  expect(bytesRead() - before).toBeLessThan(4 * 1024 * 1024)

  const chunks = first.value && 'bytes' in first.value ? [first.value.bytes] : []
  for (let length = chunks[0]?.length ?? 0; length < all.length;) {
    const { value } = await items.next()
    if (value === undefined || 'kind' in value) throw new Error('no chunk')
    chunks.push(value.bytes)
    length += value.bytes.length
  }
  expect(Buffer.concat(chunks).toString('latin1') === all).toBe(true)
  expect(Math.max(...chunks.map(({ length }) => length))).toBe(1024 * 1024)
  stop.abort()
  expect(await items.next()).toEqual({ value: undefined, done: true })
})

test('the signal ends the wait for something new at once, and nothing stays open', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'one\n')
  const stop = new AbortController()
  // Had it to wait for the next look, this test would take an hour.
  const items = follow(path, { startAt: 'end', pollMs: 3_600_000, signal: stop.signal })
  // Where it begins, so that it can be remembered.
  expect((await items.next()).value).toMatchObject({ at: { path, offset: 4 }, bytes: Buffer.alloc(0) })
  const waiting = items.next()
  await sleep(50)
  expect(openIn(path)).toEqual([path])
  stop.abort()
  expect(await waiting).toEqual({ value: undefined, done: true })
  expect(openIn(dirname(path))).toEqual([])
  expect(process.getActiveResourcesInfo()).not.toContain('StatWatcher')
})

test('a consumer that leaves between two logs leaves nothing open', async () => {
  const path = join(folderForTest(), 'audit.log')
  const log = new RotatingLog(path, 3)
  const { signal } = new AbortController()
  const items = follow(path, { startAt: 'beginning', pollMs: POLL_MS, signal })
  log.write('one\n')
  await items.next()
  log.write('two\n')
  log.rotate()
  log.write('three\n')
  log.close()
  await items.next()
  // The old log is being read, and the next one is open already.
  expect(new Set(openIn(path))).toEqual(new Set([path, `${path}.1`]))
  await items.return()
  await expect.poll(() => openIn(dirname(path))).toEqual([])
})

test('what is not a regular file cannot be followed', () => {
  const path = join(folderForTest(), 'audit.log')
  mkdirSync(path)
  const { signal } = new AbortController()
  expect(() => follow(path, { startAt: 'end', pollMs: POLL_MS, signal })).toThrow(
    new UsageError(`cannot follow ${path}: it is not a regular file`),
  )
  expect(openIn(dirname(path))).toEqual([])
})

test('begins where the log ended when it was asked to, however late it is read', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'one\n')
  const stop = new AbortController()
  const items = follow(path, { startAt: 'end', pollMs: POLL_MS, signal: stop.signal })
  appendFileSync(path, 'two\n')
  expect((await items.next()).value).toMatchObject({ at: { path, offset: 4 } })
  expect((await items.next()).value).toMatchObject({ bytes: Buffer.from('two\n') })
  stop.abort()
  await items.return()
})

test('who never asks for anything leaves nothing open', async () => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'one\n')
  const items = follow(path, { startAt: 'end', pollMs: POLL_MS, signal: new AbortController().signal })
  expect(openIn(path)).toEqual([path])
  await items.return()
  expect(openIn(dirname(path))).toEqual([])
})
