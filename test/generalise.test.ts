import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Decisions } from '../agent/baseline/decisions.ts'
import { edgesIn } from '../agent/baseline/transfer.ts'
import { verifyBaseline } from '../agent/baseline/verify.ts'
import type { Report } from '../agent/domain/report.ts'
import { generalisationOf, generalise } from '../agent/generalise.ts'
import { complaint } from './support/complaint.ts'
import { CRON, newBaseline, NGINX, NOON_MS, ordinaryLife, start, WINDOW_MS } from './support/engine.ts'
import { folderForTest } from './support/folder.ts'
import { LogBuilder } from './support/log-builder.ts'

const DAN = { author: 'dan', reason: 'the spool', timeMs: NOON_MS + 86_400_000 }
const LOG = '/var/log/audit/audit.log'

/** Incident 1 is a file with a number in its name, 2 a connection. */
function reported(file: string, options = {}) {
  const path = join(folderForTest(), 'baseline.db')
  const log = ordinaryLife()
    .create(CRON, file)
    .after(2 * WINDOW_MS)
  log
    .connect(NGINX, '203.0.113.66', 4444)
    .after(2 * WINDOW_MS)
    .create(CRON, '/run/cron.pid')
  const { engine, reports } = start(newBaseline(path), options)
  engine.ingest({ bytes: log.bytes, at: undefined })
  return { path, log, engine, reports }
}

const incidents = (reports: readonly Report[]): string[] =>
  reports.flatMap((report) => (report.kind === 'incident' ? report.edges.map(({ to }) => to) : []))

describe('a file of an incident', () => {
  test('is shown with what else would be normal, and nothing is changed by that', () => {
    const { path } = reported('/srv/spool/job-301.xml')
    const before = [...edgesIn(path)]
    const { edge, general, allows } = generalisationOf(path, 1, 1)
    expect(edge.to).toBe('file:create:/srv/spool/job-301.xml')
    expect(general).toEqual({ ...edge, to: 'file:create:/srv/spool/job-\\d+\\.xml' })
    expect(allows.length).toBeGreaterThan(1)
    for (const name of allows) expect(name).toMatch(/^\/srv\/spool\/job-\d+\.xml$/)
    expect([...edgesIn(path)]).toEqual(before)
  })

  test('is normal with all that are named like it, for an agent that runs too, and no other is', () => {
    const { path, log, engine, reports } = reported('/srv/spool/job-301.xml', { log: LOG })
    expect(incidents(reports)).toEqual(['file:create:/srv/spool/job-301.xml', 'host:203.0.113.66:4444'])
    const { general } = generalisationOf(path, 1, 1)
    expect(generalise(path, 1, 1, general, DAN)).toMatchObject({ state: 'accepted', edges: [general] })
    const later = new LogBuilder(log.timeMs + 1).create(CRON, '/srv/spool/job-77.xml')
    later
      .create(CRON, '/srv/spool/job-78.php')
      .after(2 * WINDOW_MS)
      .create(CRON, '/run/cron.pid')
    engine.ingest({ bytes: later.bytes, at: undefined })
    expect(incidents(reports).slice(2)).toEqual(['file:create:/srv/spool/job-78.php'])
    expect(reports.filter(({ kind }) => kind === 'tamper')).toEqual([])
    expect([...edgesIn(path)].find(({ to }) => to === general.to)).toMatchObject({
      state: 'accepted',
      accepted: { author: 'dan', reason: 'the spool' },
    })
    expect(verifyBaseline(path, []).problem).toBeUndefined()
  })

  test('is not normal when its pattern cannot be stored, and the pattern has its author', () => {
    const { path } = reported('/srv/spool/job-301.xml')
    const { general } = generalisationOf(path, 1, 1)
    const database = new Database(path)
    onTestFinished(() => void database.close())
    const rows = (): unknown[] =>
      database
        .prepare("SELECT author, detail ->> 'reason' AS reason FROM journal WHERE id > 1 ORDER BY id")
        .all()
    const before = rows()
    database.exec(
      "CREATE TRIGGER full BEFORE INSERT ON patterns BEGIN SELECT RAISE(ABORT, 'no more patterns'); END",
    )
    expect(() => generalise(path, 1, 1, general, DAN)).toThrow('no more patterns')
    expect(rows()).toEqual(before)
    expect([...edgesIn(path)].map(({ to }) => to)).not.toContain(general.to)
    database.exec('DROP TRIGGER full')
    generalise(path, 1, 1, general, DAN)
    const { author, reason } = DAN
    expect(rows().slice(before.length)).toEqual([
      { author, reason },
      { author, reason },
    ])
  })

  test('that is sensitive, or has nothing volatile in its name, stands for no other', () => {
    for (const file of ['/etc/cron.d/job-301', '/srv/spool/report.xml'])
      expect(complaint(() => generalisationOf(reported(file).path, 1, 1))).toMatch(
        new RegExp(`^file:create:${file} stands for no others: `),
      )
  })

  test('that is denied stands for no other', () => {
    const { path } = reported('/srv/spool/job-301.xml')
    const { general } = generalisationOf(path, 1, 1)
    const decisions = new Decisions(path)
    onTestFinished(() => decisions.close())
    decisions.deny(1, DAN)
    expect(complaint(() => generalise(path, 1, 1, general, DAN))).toBe(
      'edge 1 of incident 1 is denied: it stands for no others',
    )
  })
})

test('a host stands for no others', () => {
  const { path } = reported('/srv/spool/job-301.xml')
  expect(complaint(() => generalisationOf(path, 2, 1))).toMatch(
    /^host:203\.0\.113\.66:4444 stands for no others/,
  )
  expect(complaint(() => generalisationOf(path, 2, 9))).toBe('incident 2 lists 1 edges: there is no edge 9')
})
