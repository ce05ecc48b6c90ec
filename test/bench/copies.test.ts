import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeLongLog } from '../../bench/copies.ts'
import { runCore } from '../support/edges.ts'

const RECORDED = join(import.meta.dirname, '../fixtures/recorded')
const COPIES = 12

/** Read with a regular expression of its own; each line must be one. */
const linesOf = (log: string): { type: string; id: string; timeMs: number; text: string }[] =>
  log
    .trimEnd()
    .split('\n')
    .map((text) => {
      const match = /^(node=\S+ )?type=(\w+) msg=audit\((\d{10})\.(\d\d\d):(\d+)\): /.exec(text)
      if (match === null) throw new Error(`no record: ${text}`)
      const [, node = '', type = '', seconds = '', millis = '', serial = ''] = match
      return { type, id: `${node}${seconds}.${millis}:${serial}`, timeMs: Number(seconds + millis), text }
    })

const counted = (texts: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1
  return counts
}

const grouped = (log: string): string[][] =>
  [...Map.groupBy(linesOf(log), ({ id }) => id).values()].map((event) => event.map(({ type }) => type))

describe.each(['files.log', 'connect-raw-node.log'])('copies of %s', (name) => {
  const original = readFileSync(join(RECORDED, name), 'latin1')
  let folder: string
  let long: string
  let busy: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fullmon-copies-'))
    // Without its last newline, which must not join two lines.
    await writeFile(join(folder, 'log'), original.slice(0, -1), 'latin1')
    const make = async (to: string, recipe: object): Promise<string> => {
      const bytes = (COPIES - 0.5) * original.length
      const made = await makeLongLog(join(folder, 'log'), join(folder, to), { bytes, ...recipe })
      expect(made).toMatchObject({ copies: COPIES, records: COPIES * linesOf(original).length })
      return readFileSync(join(folder, to), 'latin1')
    }
    long = await make('long', {})
    busy = await make('busy', { busy: { timesFaster: 8 } })
  })

  afterAll(() => rm(folder, { recursive: true }))

  test('the first copy is the log itself', () => {
    expect(long.startsWith(original)).toBe(true)
  })

  test('every record and every event is there once for each copy, and no id comes twice', () => {
    const [types, events] = [linesOf(original).map(({ type }) => type), grouped(original)]
    const times = (counts: Record<string, number>): Record<string, number> =>
      Object.fromEntries(Object.entries(counts).map(([key, count]) => [key, COPIES * count]))
    for (const log of [long, busy]) {
      expect(counted(linesOf(log).map(({ type }) => type))).toEqual(times(counted(types)))
      expect(counted(grouped(log).map(String))).toEqual(times(counted(events.map(String))))
    }
  })

  test('time goes on from copy to copy, and eight times faster in the busy log', () => {
    const spanOf = (log: string): number => {
      const times = linesOf(log).map(({ timeMs }) => timeMs)
      return Math.max(...times) - Math.min(...times)
    }
    expect(spanOf(long)).toBeGreaterThanOrEqual(COPIES * spanOf(original))
    expect(Math.abs(spanOf(busy) - spanOf(long) / 8)).toBeLessThanOrEqual(1)
    const firsts = linesOf(long).filter((_, index) => index % linesOf(original).length === 0)
    for (const [index, { timeMs }] of firsts.entries())
      if (index > 0) expect(timeMs).toBeGreaterThan(firsts[index - 1]?.timeMs ?? Infinity)
  })

  test('in the busy log events are open together, and each ends before a reader may give it up', () => {
    const places = [...Map.groupBy(linesOf(busy).entries(), ([, { id }]) => id).values()].map((event) => {
      const at = event.map(([place]) => place)
      return { first: Math.min(...at), last: Math.max(...at) }
    })
    expect(Math.max(...places.map(({ first, last }) => last - first))).toBeLessThan(4096)
    const middle = linesOf(busy).length / 2
    expect(places.filter(({ first, last }) => first < middle && last > middle).length).toBeGreaterThan(50)
  })

  test('fullmon finds all of them complete', () => {
    const events = grouped(original).length
    for (const log of [long, busy]) {
      const { core } = runCore(log)
      expect(core).toMatchObject({ records: linesOf(log).length, events: COPIES * events })
      expect(core.losses).toMatchObject({ incompleteEvents: 0, lateRecords: 0, unreadableLines: 0 })
    }
  })
})

test('pids are moved together, files that come and go get new names, others keep theirs', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fullmon-copies-'))
  const line = (type: string, serial: number, body: string): string =>
    `type=${type} msg=audit(1795210000.250:${serial}): ${body}\n`
  const path = (name: string, nametype: string): string =>
    `item=0 name="${name}" inode=7 nametype=${nametype}`
  const log = [
    line('SYSCALL', 5, 'ppid=1 pid=400 comm="a pid=9"'),
    line('PATH', 5, path('/tmp/tmp12x9_ab', 'CREATE')),
    line('SYSCALL', 6, 'ppid=400 pid=32767'),
    line('PATH', 6, path('tmp12x9_ab', 'NORMAL')),
    line('PATH', 6, path('/usr/bin/sha256sum', 'NORMAL')),
    line('PATH', 6, path('/var/log/app.log.1', 'DELETE')),
  ]
  await writeFile(join(folder, 'log'), log.join(''))
  await makeLongLog(join(folder, 'log'), join(folder, 'long'), { bytes: 2 * log.join('').length })
  const second = readFileSync(join(folder, 'long'), 'latin1').slice(log.join('').length)
  await rm(folder, { recursive: true })
  // Four pids are named, so the next four are taken; the last pid of a small host is 32,767, and 300 follows.
  expect(second.split('\n')).toEqual([
    'type=SYSCALL msg=audit(1795210001.250:7): ppid=1 pid=404 comm="a pid=9"',
    'type=PATH msg=audit(1795210001.250:7): item=0 name="/tmp/tmp22x9_ab" inode=7 nametype=CREATE',
    'type=SYSCALL msg=audit(1795210001.250:8): ppid=404 pid=303',
    'type=PATH msg=audit(1795210001.250:8): item=0 name="tmp22x9_ab" inode=7 nametype=NORMAL',
    'type=PATH msg=audit(1795210001.250:8): item=0 name="/usr/bin/sha256sum" inode=7 nametype=NORMAL',
    'type=PATH msg=audit(1795210001.250:8): item=0 name="/var/log/app.log.1" inode=7 nametype=DELETE',
    '',
  ])
})
