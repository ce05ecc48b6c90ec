import Database from 'better-sqlite3'
import * as fc from 'fast-check'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import type { Incident } from '../../agent/domain/report.ts'
import { printed, runCore } from '../support/edges.ts'
import {
  CRON,
  incidents,
  newBaseline,
  NGINX,
  NOON_MS,
  ordinaryLife,
  replay,
  TRAINING_MS,
  WINDOW_MS,
} from '../support/engine.ts'
import { folderForTest } from '../support/folder.ts'
import type { Doer, LogBuilder } from '../support/log-builder.ts'

const SHELL = '/usr/bin/dash'
const CURL = '/usr/bin/curl'
const child = (pid: number, ppid: number, exe: string): Doer => ({ pid, ppid, exe, uid: 33 })

/** One attack on nginx: a shell, and what it runs. */
function attack(log: LogBuilder, pid: number, port: number): LogBuilder {
  const shell = child(pid, NGINX.pid, SHELL)
  const curl = child(pid + 1, pid, CURL)
  return log.exec(shell).exec(curl).connect(curl, '203.0.113.66', port).create(curl, `/tmp/${port}`)
}

/** Letters: no number that a pattern would take for one. */
const nameOf = (number: number): string =>
  Array.from(String(number), (digit) => 'kqwzjvxyhg'[Number(digit)]).join('')

const NEVER_MS = 10 * WINDOW_MS

describe('incidents', () => {
  test('are one for each tree', () => {
    const log = ordinaryLife().after(2 * WINDOW_MS)
    attack(log, 2000, 1)
    attack(log, 2100, 2).create(CRON, '/etc/cron.d/x').after(NEVER_MS)
    const found = incidents(replay(log))
    expect(found.map(({ edges }) => edges.map(({ kind }) => kind))).toEqual([
      ['exec', 'exec', 'connect', 'create'],
      // What the second attack did as the first had done is counted there.
      ['connect', 'create'],
      ['create'],
    ])
    expect(found.map(({ count }) => count)).toEqual([6, 2, 1])
  })

  test('tell two processes with one pid apart', () => {
    const log = ordinaryLife().after(2 * WINDOW_MS)
    attack(log, 2000, 1)
      .exit(child(2001, 2000, CURL))
      .exit(child(2000, NGINX.pid, SHELL))
    attack(log.after(20), 2000, 2).after(NEVER_MS)
    expect(incidents(replay(log))).toHaveLength(2)
  })

  test('are one when they would be too many of one parent, and lose nothing', () => {
    const log = ordinaryLife().after(2 * WINDOW_MS)
    for (let number = 0; number < 50; number++) attack(log.after(10), 2000 + 10 * number, 100 + number)
    const found = incidents(replay(log.create(CRON, '/etc/cron.d/x').after(NEVER_MS)))
    // The one that began with nginx' first shell, all others, and cron.
    expect(found).toHaveLength(3)
    expect(found[1]?.title).toMatch(/^nginx \(33\), 49 times, ran a shell that ran curl, which /)
    expect(found.reduce((sum, { count }) => sum + count, 0)).toBe(201)
  })

  test('hide none that is dangerous among many of one parent', () => {
    const log = ordinaryLife().after(2 * WINDOW_MS)
    for (let number = 0; number < 50; number++) attack(log.after(10), 2000 + 10 * number, 1000 + number)
    const shell = child(3000, NGINX.pid, SHELL)
    log
      .exec(shell)
      .exec(child(3001, 3000, '/tmp/.x'))
      .after(NEVER_MS)
    const found = incidents(replay(log))
    expect(found).toHaveLength(3)
    expect(found[2]?.title).toBe('nginx (33) ran a shell that ran /tmp/.x')
    expect(found.reduce((sum, { count }) => sum + count, 0)).toBe(202)
  })

  test('hide no dangerous step among many that are none', () => {
    const log = ordinaryLife().after(2 * WINDOW_MS)
    const evil = child(2000, NGINX.pid, '/tmp/evil')
    for (let number = 0; number < 1500; number++) log.create(NGINX, `/srv/up/${nameOf(number)}.x`)
    log.exec(evil).connect(evil, '203.0.113.66', 4444).create(NGINX, '/etc/cron.d/evil')
    for (let number = 0; number < 1500; number++) log.create(evil, `/srv/down/${nameOf(number)}.x`)
    const found = incidents(replay(log.after(NEVER_MS)))
    const told = found.flatMap(({ edges }) => edges.map(({ kind, to }) => `${kind} ${to}`))
    expect(told).toContain('exec proc::33:/tmp/evil')
    expect(told).toContain('connect host:203.0.113.66:4444')
    expect(told).toContain('create file:create:/etc/cron.d/evil')
    expect(found.map(({ severity }) => ['high', 'critical'].includes(severity))).not.toContain(false)
  })

  test('know what was written in another window, by whomever', () => {
    const log = ordinaryLife()
      .after(2 * WINDOW_MS)
      .create(NGINX, '/srv/app/worker')
      .after(120_000)
    const worker = child(2000, NGINX.pid, '/srv/app/worker')
    log.exec(worker).after(120_000).connect(worker, '203.0.113.66', 4444)
    const found = incidents(replay(log.after(NEVER_MS)))
    expect(found).toHaveLength(3)
    expect(found[1]?.reasons).toContain('/srv/app/worker was written 120 s before it was executed, by nginx')
    expect(found[1]?.severity).toBe('high')
    // What goes on from it is not judged as if nothing had been.
    expect(found[2]?.reasons).toContain('goes on from incident 2')
    expect(found[2]?.score).toBeGreaterThan((found[0]?.score ?? 0) + 5)
  })

  test('of processes whose origin nobody knows are one', () => {
    const log = ordinaryLife().after(2 * WINDOW_MS)
    for (const pid of [2000, 2100, 2200]) log.exec(child(pid, pid - 1, `/usr/bin/x${pid}`)).after(20)
    log.exec(child(2300, 2299, '/tmp/.x'))
    const found = incidents(replay(log.after(NEVER_MS)))
    expect(found.map(({ edges }) => edges.length)).toEqual([3, 1])
    expect(found.map(({ reasons }) => reasons.filter((reason) => reason.startsWith('goes on')))).toEqual([
      [],
      [],
    ])
  })

  test('say which one goes on in them', () => {
    const log = ordinaryLife().after(2 * WINDOW_MS)
    attack(log, 2000, 1)
      .after(70_000)
      .create(child(2000, NGINX.pid, SHELL), '/tmp/later')
    const found = incidents(replay(log.after(NEVER_MS)))
    expect(found).toHaveLength(2)
    expect(found[1]?.reasons).toContain('goes on from incident 1')
  })
})

/** Something that one of a few processes does. */
const DEED = fc.record({
  pid: fc.integer({ min: 1, max: 12 }),
  parent: fc.integer({ min: 0, max: 12 }),
  what: fc.constantFrom('exec', 'connect', 'create', 'wait', 'exit'),
  name: fc.integer({ min: 0, max: 5 }),
})

describe('law: whatever processes do', () => {
  const written = (deeds: readonly (typeof DEED extends fc.Arbitrary<infer T> ? T : never)[]): LogBuilder => {
    const log = ordinaryLife().after(2 * WINDOW_MS)
    for (const { pid, parent, what, name } of deeds) {
      const exe = `/usr/bin/${['dash', 'curl', 'id', 'x', 'bash', 'env'][name] ?? ''}`
      const doer = child(2000 + pid, parent === 0 ? NGINX.pid : 2000 + parent, exe)
      if (what === 'exec') log.exec(doer)
      else if (what === 'connect') log.connect(doer, '203.0.113.66', 8000 + name)
      else if (what === 'create') log.create(doer, `/srv/${'abcdef'[name] ?? ''}`)
      else if (what === 'exit') log.exit(doer)
      else log.after(9000)
    }
    return log.after(NEVER_MS).create(CRON, '/run/cron.pid')
  }

  test('each sighting of what is unseen is counted in one incident', () => {
    const folder = folderForTest()
    let run = 0
    fc.assert(
      fc.property(fc.array(DEED, { minLength: 1, maxLength: 80 }), (deeds) => {
        const log = written(deeds)
        const path = join(folder, `${run++}.db`)
        const baseline = new Baseline(path)
        replay(log, {}, baseline)
        baseline.close()
        const known = new Set(runCore(ordinaryLife().bytes).edges.map(printed))
        const unseen = runCore(log.bytes)
          .edges.map(printed)
          .filter((edge) => !known.has(edge))
        const database = new Database(path, { readonly: true })
        const rows = database.prepare('SELECT incident_id AS id, sightings FROM findings').all() as {
          id: number | null
          sightings: number
        }[]
        database.close()
        expect(rows.filter(({ id }) => id === null)).toEqual([])
        expect(rows.reduce((sum, { sightings }) => sum + sightings, 0)).toBe(unseen.length)
      }),
      { numRuns: 15 },
    )
  })

  test('where the log was cut into chunks does not matter', () => {
    const reported = (pieces: readonly Buffer[]): readonly Incident[] =>
      incidents(replay(pieces, { plan: { kind: 'until', timeMs: NOON_MS + TRAINING_MS } }, newBaseline()))
    fc.assert(
      fc.property(
        fc.array(DEED, { minLength: 1, maxLength: 60 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }),
        (deeds, cuts) => {
          const { bytes } = written(deeds)
          const places = [0, ...cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b)]
          const pieces = places.map((from, index) => bytes.subarray(from, places[index + 1]))
          // Heads of the journal tell what was written together.
          const bare = (found: readonly Incident[]): unknown[] =>
            found.map((incident) => ({ ...incident, head: '' }))
          expect(bare(reported(pieces))).toEqual(bare(reported([bytes])))
        },
      ),
      { numRuns: 15 },
    )
  })
})
