import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Decisions } from '../../agent/baseline/decisions.ts'
import { deniedIn, edgesIn } from '../../agent/baseline/transfer.ts'
import { verifyBaseline } from '../../agent/baseline/verify.ts'
import type { Incident, Report } from '../../agent/domain/report.ts'
import { rebase } from '../../agent/rebase.ts'
import { complaint } from '../support/complaint.ts'
import {
  CRON,
  newBaseline,
  NGINX,
  NOON_MS,
  ordinaryLife,
  replay,
  start,
  WINDOW_MS,
} from '../support/engine.ts'
import { folderForTest } from '../support/folder.ts'
import { type Doer, LogBuilder } from '../support/log-builder.ts'

const SHELL: Doer = { pid: 900, ppid: 800, exe: '/usr/bin/dash', uid: 33 }
const CURL: Doer = { pid: 950, ppid: 900, exe: '/usr/bin/curl', uid: 33 }
const TRAINED = { plan: { kind: 'none' } } as const
const BOB = { author: 'bob', reason: 'the new backup', timeMs: NOON_MS + 86_400_000 }

const incidentsOf = (reports: readonly Report[]): Incident[] =>
  reports.filter((report) => report.kind === 'incident')
const marked = (reports: readonly Report[]): string[] =>
  incidentsOf(reports).flatMap(({ severity, edges }) =>
    edges.map(({ to, mark = 'unseen' }) => `${severity} ${mark} ${to}`),
  )

/** nginx runs a shell that runs curl, which connects. */
const deed = (log: LogBuilder, port = 443): LogBuilder =>
  log.exec(SHELL).exec(CURL).connect(CURL, '203.0.113.66', port)

/** The day after, with the server that was there before. */
const dayLater = (days = 1): LogBuilder =>
  new LogBuilder(NOON_MS + days * 86_400_000).connect(NGINX, '192.0.2.1', 443)

/** A trained baseline in which the deed is incident 1. */
function reported(log = deed(ordinaryLife())): { path: string; decisions: Decisions; reports: Report[] } {
  const path = join(folderForTest(), 'baseline.db')
  const reports = replay(log.after(WINDOW_MS).create(CRON, '/run/cron.pid'), {}, newBaseline(path))
  const decisions = new Decisions(path)
  onTestFinished(() => decisions.close())
  expect(incidentsOf(reports)).toHaveLength(1)
  return { path, decisions, reports }
}

/** What is reported of the same a day later. */
const again = (path: string, log = deed(dayLater())): Report[] =>
  replay(log.after(WINDOW_MS).create(CRON, '/run/cron.pid'), TRAINED, newBaseline(path))

interface JournalRow {
  readonly action: string
  readonly author: string
  readonly detail: string
}

function lastRow(path: string): JournalRow | undefined {
  const database = new Database(path, { readonly: true })
  onTestFinished(() => void database.close())
  return database
    .prepare<[], JournalRow>('SELECT action, author, detail FROM journal ORDER BY id DESC LIMIT 1')
    .get()
}

const fits = (path: string): void => expect(verifyBaseline(path, []).problem).toBeUndefined()

describe('an incident that is accepted', () => {
  test('is normal with all that it did, by name of who said so, and is not reported again', () => {
    const { path, decisions } = reported()
    const outcome = decisions.accept(1, BOB)
    expect(outcome).toMatchObject({ incident: 1, state: 'accepted', refused: [], settled: [] })
    expect(outcome.edges.map(({ to }) => to)).toEqual([
      'proc::33:/usr/bin/dash',
      'proc::33:/usr/bin/curl',
      'host:203.0.113.66:443',
    ])
    expect(marked(again(path))).toEqual([])
    expect(
      [...edgesIn(path)].filter(({ state }) => state === 'accepted').map(({ accepted }) => accepted),
    ).toEqual(outcome.edges.map(() => BOB).map(({ author, reason, timeMs }) => ({ timeMs, author, reason })))
    expect(lastRow(path)).toMatchObject({ action: 'accept', author: 'bob' })
    expect(JSON.parse(lastRow(path)?.detail ?? '')).toMatchObject({
      incident: 1,
      edges: 3,
      reason: BOB.reason,
    })
    fits(path)
  })

  test('in part leaves the rest unseen, and is open until all of it is normal', () => {
    const { path, decisions } = reported()
    expect(decisions.accept(1, BOB, [1, 2])).toMatchObject({ state: 'open' })
    expect(decisions.waiting(BOB.timeMs).map(({ incident }) => incident.id)).toEqual([1])
    expect([...edgesIn(path)].map(({ to }) => to)).not.toContain('host:203.0.113.66:443')
    expect(decisions.accept(1, BOB, [3])).toMatchObject({ state: 'accepted' })
    expect(decisions.waiting(BOB.timeMs)).toEqual([])
    fits(path)
  })

  test('settles another one that did nothing else', () => {
    const other: Doer = { ...NGINX, pid: 801, ppid: 700 }
    const path = join(folderForTest(), 'baseline.db')
    const log = deed(ordinaryLife()).after(2 * WINDOW_MS)
    log
      .exec(other)
      .exec({ ...SHELL, pid: 901, ppid: 801 })
      .after(WINDOW_MS)
    const reports = replay(log.create(CRON, '/run/cron.pid'), {}, newBaseline(path))
    expect(incidentsOf(reports).length).toBe(2)
    const decisions = new Decisions(path)
    onTestFinished(() => decisions.close())
    decisions.accept(2, BOB)
    expect(decisions.accept(1, BOB).settled).toEqual([])
    expect(decisions.waiting(BOB.timeMs)).toEqual([])
  })

  test('is normal for an agent that runs, from the next event on', () => {
    const path = join(folderForTest(), 'baseline.db')
    const { engine, reports } = start(newBaseline(path), { log: '/var/log/audit/audit.log' })
    const ingest = (log: LogBuilder): void => engine.ingest({ bytes: log.bytes, at: undefined })
    const log = deed(ordinaryLife()).after(WINDOW_MS).create(CRON, '/run/cron.pid')
    ingest(log)
    expect(incidentsOf(reports).map(({ id }) => id)).toEqual([1])
    // Again in another chain, and not reported yet when it is accepted.
    const other = { ...CURL, pid: 960, ppid: 700 }
    const meanwhile = new LogBuilder(log.timeMs + 1).exec({ ...SHELL, pid: 901 }).exec(other)
    ingest(meanwhile.connect({ ...CURL, pid: 960 }, '203.0.113.66', 443))
    const decisions = new Decisions(path)
    decisions.accept(1, BOB)
    decisions.close()
    const later = deed(new LogBuilder(log.timeMs + 100))
      .after(WINDOW_MS)
      .create(CRON, '/run/cron.pid')
    ingest(later)
    engine.idle(later.timeMs + 2 * WINDOW_MS)
    expect(
      incidentsOf(reports)
        .flatMap(({ edges }) => edges.map(({ to }) => to))
        .filter((to) => to.startsWith('host:')),
    ).toEqual(['host:203.0.113.66:443'])
    expect(reports.filter(({ kind }) => kind === 'tamper')).toEqual([])
    fits(path)
  })
})

describe('an incident that is denied', () => {
  test('is reported when it comes again, and is at least high', () => {
    const { path, decisions } = reported()
    expect(decisions.deny(1, BOB, [3])).toMatchObject({ state: 'open' })
    decisions.accept(1, BOB, [1, 2])
    expect(marked(again(path))).toEqual([
      expect.stringMatching(/^(high|critical) denied host:203\.0\.113\.66:443$/),
    ])
    expect([...deniedIn(path)]).toMatchObject([
      { edge: { to: 'host:203.0.113.66:443' }, denied: { author: 'bob', reason: BOB.reason } },
    ])
    fits(path)
  })

  test('is not learned by a training, and not by --rebase', () => {
    const { path, decisions } = reported()
    decisions.deny(1, BOB)
    expect(decisions.waiting(BOB.timeMs)).toEqual([])
    const log = deed(dayLater()).after(WINDOW_MS)
    replay(log, { plan: { kind: 'everything' }, rebase: true }, newBaseline(path))
    const later = deed(dayLater(2)).after(WINDOW_MS).create(CRON, '/run/cron.pid')
    replay(later, { ...TRAINED, rebase: true }, newBaseline(path))
    const names = [...edgesIn(path)].map(({ to }) => to)
    expect(names.filter((to) => /curl|dash|203/.test(to))).toEqual([])
    fits(path)
  })

  test('is told of once an hour while it goes on, and no sighting is lost', () => {
    const { path, decisions, reports } = reported()
    decisions.deny(1, BOB)
    const log = dayLater()
    for (let minute = 0; minute < 150; minute++) {
      const shell = { ...SHELL, pid: 1000 + 2 * minute }
      const curl = { ...CURL, pid: 1001 + 2 * minute, ppid: shell.pid }
      log.exec(shell).exec(curl).connect(curl, '203.0.113.66', 443).after(60_000)
    }
    const found = incidentsOf(replay(log, TRAINED, newBaseline(path)))
    expect(found.length).toBe(3)
    const database = new Database(path, { readonly: true })
    onTestFinished(() => void database.close())
    const { moved } = database.prepare('SELECT sum(moved) AS moved FROM incidents').get() as { moved: number }
    const { seen } = database.prepare('SELECT sum(sightings) AS seen FROM findings').get() as { seen: number }
    const before = incidentsOf(reports).reduce((sum, { count }) => sum + count, 0)
    expect(moved + seen).toBe(before + 3 * 150)
  })

  test('was normal before, and is so no more', () => {
    const { path, decisions } = reported()
    decisions.accept(1, BOB)
    decisions.deny(1, BOB)
    expect([...edgesIn(path)].map(({ state }) => state)).not.toContain('accepted')
    fits(path)
  })

  test('is accepted only when its edge is named', () => {
    const { path, decisions } = reported()
    decisions.deny(1, BOB, [3])
    expect(decisions.accept(1, BOB).refused).toMatchObject([{ why: 'denied' }])
    expect([...deniedIn(path)]).toHaveLength(1)
    decisions.accept(1, BOB, [3])
    expect([...deniedIn(path)]).toEqual([])
    expect(marked(again(path))).toEqual([])
    fits(path)
  })
})

describe('an incident that was maintenance', () => {
  test('is normal, but provisional, and what may never be learned is left out', () => {
    const log = ordinaryLife().exec(SHELL).connect(SHELL, '203.0.113.66', 4444)
    const { path, decisions } = reported(log)
    expect(decisions.maintenance(1, BOB)).toMatchObject({
      state: 'maintenance',
      edges: [{ to: 'proc::33:/usr/bin/dash' }],
      refused: [{ edge: { to: 'host:203.0.113.66:4444' }, why: 'reverse-shell' }],
    })
    expect([...edgesIn(path)].find(({ to }) => to.endsWith('dash'))).toMatchObject({
      state: 'provisional',
      doubt: 'maintenance',
    })
    fits(path)
  })
})

describe('decisions one after the other', () => {
  test('leave an incident as it was when nothing of it is taken', () => {
    const { path, decisions } = reported()
    decisions.deny(1, BOB)
    const before = lastRow(path)
    expect(decisions.accept(1, BOB)).toMatchObject({ state: 'denied', edges: [] })
    expect(decisions.maintenance(1, BOB)).toMatchObject({ state: 'denied', edges: [] })
    expect(decisions.incident(1).state).toBe('denied')
    expect(lastRow(path)).toEqual(before)
    fits(path)
  })

  test('close it when each of its edges is accepted or denied', () => {
    const { path, decisions } = reported()
    expect(decisions.accept(1, BOB, [1, 2]).state).toBe('open')
    expect(decisions.deny(1, BOB, [3]).state).toBe('denied')
    expect(decisions.waiting(BOB.timeMs)).toEqual([])
    expect(decisions.accept(1, BOB, [3]).state).toBe('accepted')
    fits(path)
  })

  test('are not taken back by looking at it later', () => {
    const { decisions } = reported()
    decisions.accept(1, BOB)
    expect(complaint(() => decisions.later(1, BOB, BOB.timeMs + 1000))).toBe(
      'incident 1 is decided on: it is accepted',
    )
  })
})

describe('what came to an incident after its report', () => {
  const far = (log: LogBuilder, address: string): LogBuilder => log.connect(NGINX, address, 443)

  /** Incident 1 stands for all new hosts of nginx, of which a report has shown the first. */
  function summary(): { path: string; decisions: Decisions } {
    const { path, decisions, reports } = reported(far(ordinaryLife(), '198.51.100.7'))
    const baseline = newBaseline(path)
    const edge = { kind: 'connect', from: 'proc::33:/usr/sbin/nginx', to: 'host:203.0.113.99:443' } as const
    const [found] = incidentsOf(reports).flatMap(({ edges }) => edges)
    if (found === undefined) throw new Error('nothing was found')
    const firstMs = NOON_MS + 3_600_000
    const { evidence } = found
    baseline.batch(() => {
      baseline.unseen.saw({
        edge,
        chain: [edge.from, edge.to],
        firstMs,
        evidence,
        tree: 't',
        parent: '',
        bits: 0,
      })
      baseline.findings.reportable()
      baseline.incidents.addTo('t', 1, firstMs + WINDOW_MS, false)
    })
    return { path, decisions }
  }
  const normal = (path: string): string[] => [...edgesIn(path)].map(({ to }) => to)

  test('is shown, is not accepted with it, and is reported in an incident of its own', () => {
    const { path, decisions } = summary()
    expect(decisions.since(1)).toMatchObject([{ to: 'host:203.0.113.99:443', count: 1 }])
    const outcome = decisions.accept(1, BOB)
    expect(outcome).toMatchObject({ edges: [{ to: 'host:198.51.100.7:443' }], toldAgain: 1 })
    expect(normal(path)).not.toContain('host:203.0.113.99:443')
    const next = dayLater(2).after(WINDOW_MS).create(CRON, '/run/cron.pid')
    const found = incidentsOf(replay(next, TRAINED, newBaseline(path)))
    expect(found.map(({ id, edges }) => [id, edges.map(({ to, count }) => [to, count])])).toEqual([
      [2, [['host:203.0.113.99:443', 1]]],
    ])
    fits(path)
  })

  test('is not part of maintenance or a rebase either', () => {
    for (const decide of [
      (_: string, decisions: Decisions) => decisions.maintenance(1, BOB),
      (path: string) => rebase(path, [1], BOB, false),
    ]) {
      const { path, decisions } = summary()
      decide(path, decisions)
      expect(normal(path)).toContain('host:198.51.100.7:443')
      expect(normal(path)).not.toContain('host:203.0.113.99:443')
      fits(path)
    }
  })
})

describe('an incident for later', () => {
  test('waits again when its time has come', () => {
    const { path, decisions } = reported()
    expect(decisions.later(1, BOB, BOB.timeMs + 1000).state).toBe('later')
    expect(decisions.waiting(BOB.timeMs + 999)).toEqual([])
    expect(decisions.waiting(BOB.timeMs + 1000).map(({ incident }) => incident.id)).toEqual([1])
    expect(lastRow(path)).toMatchObject({ action: 'later', author: 'bob' })
    fits(path)
  })
})

test('what is not there is said', () => {
  const { path, decisions } = reported()
  expect(complaint(() => decisions.accept(7, BOB))).toBe(
    `there is no incident 7 in ${path}: fullmon incidents --all lists them`,
  )
  expect(complaint(() => decisions.accept(1, BOB, [4]))).toBe('incident 1 lists 3 edges: there is no edge 4')
  expect(complaint(() => new Decisions('/nonexistent/b.db'))).toMatch(/^there is no baseline at /)
})

test('nothing is decided on a baseline that somebody has changed', () => {
  const { path, decisions } = reported()
  const database = new Database(path)
  database.exec('DELETE FROM edges')
  database.close()
  expect(complaint(() => decisions.accept(1, BOB))).toMatch(
    new RegExp(`^nothing is changed in ${path}, which fullmon verify refuses: `),
  )
  expect(decisions.incident(1).state).toBe('open')
})
