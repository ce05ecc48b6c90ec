import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Decisions } from '../agent/baseline/decisions.ts'
import { edgesIn } from '../agent/baseline/transfer.ts'
import { verifyBaseline } from '../agent/baseline/verify.ts'
import type { Report } from '../agent/domain/report.ts'
import { rebase } from '../agent/rebase.ts'
import { complaint } from './support/complaint.ts'
import {
  CRON,
  newBaseline,
  NGINX,
  NOON_MS,
  ordinaryLife,
  replay,
  start,
  WINDOW_MS,
} from './support/engine.ts'
import { folderForTest } from './support/folder.ts'
import { type Doer, LogBuilder } from './support/log-builder.ts'

const ROOT = join(import.meta.dirname, '..')
const SHELL: Doer = { pid: 900, ppid: 800, exe: '/usr/bin/dash', uid: 33 }
const DAN = { author: 'dan', reason: 'release 4.2', timeMs: NOON_MS + 86_400_000 }

/** Incident 1 holds a reverse shell, 2 a file of cron; each in a window of its own. */
function reported(): string {
  const path = join(folderForTest(), 'baseline.db')
  const log = ordinaryLife()
    .exec(SHELL)
    .connect(SHELL, '203.0.113.66', 4444)
    .after(2 * WINDOW_MS)
  log
    .create(CRON, '/srv/new')
    .after(2 * WINDOW_MS)
    .create(CRON, '/run/cron.pid')
  replay(log, {}, newBaseline(path))
  return path
}

/** Everything in the file but what says that it was looked at. */
function contentOf(path: string): unknown {
  const database = new Database(path, { readonly: true })
  const tables = ['edges', 'findings', 'incidents', 'journal', 'patterns', 'nodes', 'denied']
  const content = tables.map((table) => database.prepare(`SELECT * FROM ${table} ORDER BY 1, 2`).all())
  database.close()
  return content
}

const names = (path: string): string[] => [...edgesIn(path)].map(({ to }) => to)

describe('a dry run', () => {
  test('says what would become normal and what would not, and changes nothing', () => {
    const path = reported()
    const before = contentOf(path)
    const { incidents } = rebase(path, [1, 2], DAN, true)
    expect(incidents.toSorted((one, other) => one.id - other.id)).toMatchObject([
      {
        id: 1,
        edges: [{ to: 'proc::33:/usr/bin/dash' }],
        refused: [{ edge: { to: 'host:203.0.113.66:4444' }, why: 'reverse-shell' }],
      },
      { id: 2, edges: [{ to: 'file:create:/srv/new' }], refused: [] },
    ])
    expect(contentOf(path)).toEqual(before)
  })

  test('leaves out what is high, critical or was never shown, unless it is named', () => {
    const path = reported()
    const { incidents, left } = rebase(path, undefined, DAN, true)
    expect(incidents.map(({ id }) => id)).toEqual([2])
    expect(left).toMatchObject([{ id: 1, why: expect.stringMatching(/^(high|critical)$/) as string }])
    const database = new Database(path)
    database.exec('UPDATE incidents SET withheld = 1 WHERE id = 2')
    database.close()
    expect(rebase(path, undefined, DAN, false)).toMatchObject({
      incidents: [],
      left: [{ id: 1 }, { id: 2, why: 'withheld' }],
    })
    expect(rebase(path, [2], DAN, false)).toMatchObject({ incidents: [{ id: 2 }], left: [] })
  })

  test('says the same as what then is done', () => {
    const path = reported()
    const planned = rebase(path, [2], DAN, true)
    expect(rebase(path, [2], DAN, false)).toEqual(planned)
  })
})

describe('a rebase', () => {
  test('takes the incidents that are named, by name of who did it, and leaves them provisional', () => {
    const path = reported()
    rebase(path, [2], DAN, false)
    expect([...edgesIn(path)].find(({ to }) => to === 'file:create:/srv/new')).toMatchObject({
      state: 'provisional',
      doubt: 'rebase',
    })
    expect(names(path)).not.toContain('proc::33:/usr/bin/dash')
    const database = new Database(path, { readonly: true })
    onTestFinished(() => void database.close())
    expect(
      database.prepare('SELECT action, author, detail FROM journal ORDER BY id DESC LIMIT 1').get(),
    ).toEqual({
      action: 'rebase',
      author: 'dan',
      detail: '{"edges":1,"reason":"release 4.2"}',
    })
    expect(database.prepare('SELECT id, state FROM incidents ORDER BY id').all()).toEqual([
      { id: 1, state: 'open' },
      { id: 2, state: 'rebased' },
    ])
    expect(verifyBaseline(path, []).problem).toBeUndefined()
  })

  test('of an alert leaves what it takes in doubt for good, and the rest of it open', () => {
    const path = reported()
    rebase(path, [1, 2], DAN, false)
    expect([...edgesIn(path)].find(({ to }) => to.endsWith('dash'))).toMatchObject({ doubt: 'incident' })
    expect(names(path)).not.toContain('host:203.0.113.66:4444')
    const decisions = new Decisions(path)
    onTestFinished(() => decisions.close())
    expect(decisions.waiting(DAN.timeMs).map(({ incident }) => incident.id)).toEqual([1])
  })

  test('leaves out what a person has denied, and has nothing to do with what was decided on', () => {
    const path = reported()
    const decisions = new Decisions(path)
    onTestFinished(() => decisions.close())
    decisions.deny(2, DAN)
    expect(complaint(() => rebase(path, [2], DAN, false))).toBe('incident 2 is decided on: it is denied')
    expect(complaint(() => rebase(path, [9], DAN, false))).toMatch(/^there is no incident 9 /)
    decisions.deny(1, DAN, [1])
    expect(rebase(path, [1], DAN, false).incidents).toMatchObject([
      { edges: [], refused: [{ why: 'denied' }, { why: 'reverse-shell' }] },
    ])
  })

  test('says which patterns the files teach', () => {
    const path = join(folderForTest(), 'baseline.db')
    const log = ordinaryLife()
    for (const number of [301, 17, 4028]) log.create(CRON, `/srv/spool/job-${number}.xml`)
    replay(log.after(2 * WINDOW_MS).create(CRON, '/run/cron.pid'), {}, newBaseline(path))
    const { patterns } = rebase(path, undefined, DAN, true)
    expect(patterns).toHaveLength(1)
    const covers = new RegExp(patterns[0] ?? '')
    expect(covers.test('proc::0:/usr/sbin/cron->file:create:/srv/spool/job-5.xml')).toBe(true)
    expect(covers.test('proc::0:/usr/sbin/cron->file:create:/srv/spool/job-5.php')).toBe(false)
  })

  test('is known to an agent that runs', () => {
    const path = join(folderForTest(), 'baseline.db')
    const reports: Report[] = []
    const { engine } = start(newBaseline(path), {
      log: '/var/log/audit/audit.log',
      emit: (report) => void reports.push(report),
    })
    const log = ordinaryLife().connect(NGINX, '203.0.113.66', 4444).after(WINDOW_MS)
    engine.ingest({ bytes: log.create(CRON, '/run/cron.pid').bytes, at: undefined })
    rebase(path, [1], DAN, false)
    const later = new LogBuilder(log.timeMs + 1).connect(NGINX, '203.0.113.66', 4444).after(WINDOW_MS)
    engine.ingest({ bytes: later.create(CRON, '/run/cron.pid').bytes, at: undefined })
    expect(reports.filter(({ kind }) => kind === 'incident' || kind === 'tamper')).toHaveLength(1)
  })
})

test('the command asks before it does anything, and takes --yes where nobody can be asked', () => {
  const db = reported()
  const fullmon = (...words: readonly string[]) =>
    spawnSync(process.execPath, ['agent/main.ts', 'rebase', '--db', db, ...words], {
      cwd: ROOT,
      encoding: 'utf8',
    })
  const refused = fullmon('2')
  expect(refused.status).toBe(2)
  expect(refused.stderr).toBe('fullmon: nothing was changed: nobody can be asked here, so it takes --yes\n')
  expect(refused.stdout).toContain('1 edges of 1 incidents would become normal')
  expect(names(db)).not.toContain('file:create:/srv/new')
  const done = fullmon('2', '--yes', '--json', '--author', 'erin')
  expect(done.status).toBe(0)
  expect(JSON.parse(done.stdout)).toMatchObject({ kind: 'rebase', isDone: true, incidents: [{ id: 2 }] })
  expect(names(db)).toContain('file:create:/srv/new')
  expect(fullmon('--yes').stdout).toContain('0 edges of 0 incidents would become normal')
})
