import { spawn } from 'node:child_process'
import { appendFileSync, copyFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { Incident, Severity } from '../../agent/domain/report.ts'
import { Spool } from '../../agent/outputs/spool.ts'
import { folderForTest } from '../support/folder.ts'
import { mountUnavailable, tmpfsForTest } from '../support/mount.ts'
import { edgeOf, incidentWith } from './reports.ts'

const AGENT = join(import.meta.dirname, '../../agent')
const MOST = 1024 * 1024

const incident = (id: number, severity: Severity = 'high'): Incident => ({
  ...incidentWith([edgeOf('exec', 'proc::app:/bin/sh', 'proc::app:/bin/x')], { id, severity }),
})
const idOf = (spool: Spool): number | undefined => {
  const report = spool.first()?.report
  return report?.kind === 'incident' ? report.id : undefined
}

/** The numbers of all incidents that wait, in order; afterwards none does. */
function drained(spool: Spool): number[] {
  const ids: number[] = []
  for (let first = spool.first(); first !== undefined; first = spool.first()) {
    if (first.report.kind === 'incident') ids.push(first.report.id)
    spool.done(first.id)
  }
  return ids
}

const opened = (file: string, mostBytes = MOST): Spool => {
  const spool = new Spool(file, mostBytes)
  onTestFinished(() => spool.close())
  return spool
}
const fileForTest = (): string => join(folderForTest(), 'made', 'webhook.queue')

test('what waits comes in the order it came, also to the next one that opens the file', () => {
  const file = fileForTest()
  const spool = opened(file)
  for (const id of [1, 2, 3, 4]) spool.add(incident(id))
  expect(idOf(spool)).toBe(1)
  spool.done(spool.first()?.id ?? '')
  expect(idOf(spool)).toBe(2)
  expect(drained(opened(file))).toEqual([2, 3, 4])
  expect(opened(file).count).toBe(0)
})

test('only the owner reads it', () => {
  const file = fileForTest()
  opened(file)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(statSync(join(file, '..')).mode & 0o777).toBe(0o700)
})

test('a report that is offered again is not sent again, neither before nor after a restart', () => {
  const file = fileForTest()
  const spool = opened(file)
  spool.add(incident(1))
  spool.add(incident(1))
  expect(drained(spool)).toEqual([1])
  spool.add(incident(1))
  expect(spool.count).toBe(0)
  const again = opened(file)
  again.add(incident(1))
  again.add(incident(2))
  expect(drained(again)).toEqual([2])
})

test('a file that was cut anywhere has all that is whole in it, and takes more', () => {
  const file = fileForTest()
  const spool = opened(file)
  const ends: number[] = []
  for (const id of [1, 2, 3]) {
    spool.add(incident(id))
    ends.push(statSync(file).size)
  }
  const [size = 0] = ends.slice(-1)
  for (let length = 0; length <= size; length += 41) {
    const part = fileForTest()
    opened(part)
    copyFileSync(file, part)
    truncateSync(part, length)
    const cut = opened(part)
    cut.add(incident(9))
    // A line whose newline alone is missing is whole.
    const whole = ends.filter((end) => end - 1 <= length).length
    expect(drained(opened(part))).toEqual([...[1, 2, 3].slice(0, whole), 9])
  }
})

test('when there are too many, the least grave ones go first, the oldest of them before others, and are counted', () => {
  const spool = opened(fileForTest(), 6000)
  spool.add(incident(1, 'critical'))
  for (let id = 2; id < 40; id++) spool.add(incident(id, 'low'))
  spool.add(incident(40, 'high'))
  const dropped = spool.takeDropped()
  const kept = drained(spool)
  expect(kept.length + dropped).toBe(40)
  expect(dropped).toBeGreaterThan(20)
  expect(kept.at(0)).toBe(1)
  expect(kept.at(-1)).toBe(40)
  expect(kept.slice(1, -1)).toEqual(
    Array.from({ length: kept.length - 2 }, (_, index) => 42 - kept.length + index),
  )
  expect(spool.takeDropped()).toBe(0)
})

test('what is less grave than all that waits is not taken', () => {
  const spool = opened(fileForTest(), 3000)
  for (let id = 1; id < 20; id++) spool.add(incident(id, 'high'))
  spool.takeDropped()
  const before = spool.count
  spool.add(incident(20, 'low'))
  expect([spool.count, spool.takeDropped()]).toEqual([before, 1])
  expect(drained(spool)).not.toContain(20)
})

test('the file does not grow with what was sent', () => {
  const file = fileForTest()
  const spool = opened(file)
  const argv = ['y'.repeat(15_000)]
  const long = incidentWith([edgeOf('exec', 'proc::app:/bin/sh', 'proc::app:/bin/x', argv)])
  for (let id = 1; id < 200; id++) {
    spool.add({ ...long, id })
    spool.done(spool.first()?.id ?? '')
  }
  expect(statSync(file).size).toBeLessThan(1.2 * MOST)
  spool.add(incident(200))
  expect(drained(opened(file))).toEqual([200])
})

test('what somebody else writes into it is no report, and hides none', () => {
  const file = fileForTest()
  const spool = opened(file)
  spool.add(incident(1))
  appendFileSync(
    file,
    '["+","x","high",7]\n{"kind":"incident"}\n["+"]\nx\n[["-"]]\n\u0000\n["+","y","worst",{"kind":"x"}]\n',
  )
  spool.add(incident(2))
  expect(drained(opened(file))).toEqual([1, 2])
  writeFileSync(file, Buffer.alloc(100_000, 0xff))
  expect(opened(file).count).toBe(0)
})

test('an incident that is much too long loses edges, not its gravest', () => {
  const edges = Array.from({ length: 500 }, (_, index) =>
    edgeOf('exec', 'proc::app:/bin/sh', `proc::app:/bin/x${index}`, ['y'.repeat(4000)]),
  )
  const last = edges.at(-1)
  const spool = opened(fileForTest())
  spool.add({ ...incidentWith(edges), chain: last?.chain ?? [] })
  const report = spool.first()?.report
  if (report?.kind !== 'incident') throw new Error('it is gone')
  expect(JSON.stringify(report).length).toBeLessThan(150_000)
  expect(report.edges).toContainEqual(last)
  expect(report.edges.length + (report.unlisted ?? 0)).toBe(500)
})

test('a kill at any moment loses nothing that was taken', async () => {
  const file = fileForTest()
  const taken = new Set<number>()
  let next = 1
  for (let round = 0; round < 5; round++) {
    const program = `
      import { Spool } from '${AGENT}/outputs/spool.ts'
      const spool = new Spool('${file}', ${10 * MOST})
      const report = ${JSON.stringify(incident(0))}
      for (let id = ${next}; ; id++) { spool.add({ ...report, id }); process.stdout.write(id + '\\n') }`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program])
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
    while (said.split('\n').length < 20) await sleep(5)
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('close', resolve))
    for (const text of said.split('\n').slice(0, -1)) taken.add(Number(text))
    next = Math.max(...taken) + 2
  }
  const ids = drained(opened(file, 10 * MOST))
  expect(taken.size).toBeGreaterThan(90)
  expect([...taken].filter((id) => !ids.includes(id))).toEqual([])
  expect(ids).toEqual(ids.toSorted((one, other) => one - other))
})

const unmountable = mountUnavailable()
test.skipIf(unmountable !== undefined)(`a full disk loses nothing ${unmountable ?? ''}`, () => {
  const { folder, remount } = tmpfsForTest(32)
  const file = join(folder, 'webhook.queue')
  const spool = opened(file)
  for (let id = 1; id <= 60; id++) spool.add(incident(id))
  expect(readFileSync(file).length).toBeLessThan(33_000)
  expect(spool.count).toBe(60)
  for (let sent = 0; sent < 10; sent++) spool.done(spool.first()?.id ?? '')
  remount('size=1m')
  spool.add(incident(61))
  expect(drained(spool)).toEqual(Array.from({ length: 51 }, (_, index) => index + 11))
})
