import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SavedNames } from '../../agent/dns/saved.ts'
import type { ResolvedName } from '../../agent/peers/resolved.ts'
import { complaint } from '../support/complaint.ts'
import { folderForTest } from '../support/folder.ts'

const ROOT = join(import.meta.dirname, '../..')
const FIXTURES = join(ROOT, 'test/fixtures/dns')
const END_MS = Date.parse('2027-01-01T00:00:00Z')
const FILES = ['ethernet.pcap', 'nano.pcap', 'extra.log'].map((name) => join(FIXTURES, name))

function opened(...paths: readonly string[]): SavedNames {
  const names = new SavedNames(paths)
  onTestFinished(() => names.close())
  return names
}

function taken(names: SavedNames, untilMs: number): ResolvedName[] {
  const all: ResolvedName[] = []
  names.takeUntil(untilMs, (name) => all.push(name))
  return all
}

function fileWith(content: string | Buffer): string {
  const path = join(folderForTest(), 'dns')
  writeFileSync(path, content)
  return path
}

describe('saved answers', () => {
  test('come up to the time that is asked for, each once, in whatever steps', () => {
    const all = taken(opened(...FILES), END_MS)
    expect(all.length).toBeGreaterThan(20)
    const names = opened(...FILES)
    const first = Math.min(...all.map(({ timeMs }) => timeMs))
    const inSteps: ResolvedName[] = []
    for (let atMs = first - 1; inSteps.length < all.length && atMs < first + 60_000; atMs++) {
      const some = taken(names, atMs)
      for (const { timeMs } of some) expect(timeMs).toBeLessThanOrEqual(atMs)
      inSteps.push(...some)
    }
    const texts = (some: readonly ResolvedName[]): string[] => some.map((name) => JSON.stringify(name)).sort()
    expect(texts(inSteps)).toEqual(texts(all))
    expect(taken(names, END_MS)).toEqual([])
    expect(names.unread).toBe(0)
  })

  test('of a capture larger than what is read at once are all there', () => {
    const capture = readFileSync(join(FIXTURES, 'ethernet.pcap'))
    const [header, packets] = [capture.subarray(0, 24), capture.subarray(24)]
    const path = fileWith(Buffer.concat([header, ...Array.from({ length: 100 }, () => packets)]))
    expect(taken(opened(path), END_MS)).toHaveLength(700)
  })

  test('of a damaged capture end where it is damaged, and that is said', () => {
    const capture = readFileSync(join(FIXTURES, 'ethernet.pcap'))
    const names = opened(fileWith(capture.subarray(0, 1000)))
    expect(taken(names, END_MS).length).toBeGreaterThan(0)
    expect(names.unread).toBe(1)
    const broken = opened(fileWith(Buffer.concat([capture.subarray(0, 24), Buffer.alloc(5000, 0xff)])))
    expect(taken(broken, END_MS)).toEqual([])
    expect(broken.unread).toBe(1)
  })
})

describe('what is no file of answers is refused in one sentence', () => {
  test('a file that is not there', () => {
    expect(complaint(() => new SavedNames([join(folderForTest(), 'x')]))).toMatch(
      /^cannot read \S+\/x: ENOENT[^\n]*$/,
    )
  })

  test('a directory', () => {
    const path = join(folderForTest(), 'd')
    mkdirSync(path)
    expect(complaint(() => new SavedNames([path]))).toMatch(/^cannot read \S+\/d: EISDIR[^\n]*$/)
  })

  test('a packed one', () => {
    const path = fileWith(Buffer.from('fd377a585a000004e6d6b446', 'hex'))
    expect(complaint(() => new SavedNames([FILES[0] ?? '', path]))).toMatch(
      /is neither a capture .* must be unpacked$/,
    )
  })
})

test('replay and train take them on the command line, several times', () => {
  const log = join(ROOT, 'test/fixtures/recorded/connect.log')
  const dns = FILES.flatMap((file) => ['--dns', file])
  const run = (...words: readonly string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [join(ROOT, 'agent/main.ts'), ...words], { encoding: 'utf8' })
  const replayed = run('replay', log, ...dns, '--json')
  expect(replayed.status).toBe(0)
  expect(JSON.parse(replayed.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ dns: { unread: 0 } })
  const db = join(folderForTest(), 'b.db')
  expect(run('train', '--no-follow', '--auditd', log, '--db', db, ...dns).status).toBe(0)
  const live = run('train', '--auditd', log, '--db', db, ...dns)
  expect([live.status, live.stderr]).toEqual([
    2,
    expect.stringContaining('--dns reads saved answers, and takes --no-follow'),
  ])
})
