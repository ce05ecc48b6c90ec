import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Decisions } from '../../agent/baseline/decisions.ts'
import type { NameSource } from '../../agent/peers/resolved.ts'
import { CRON, newBaseline, NOON_MS, ordinaryLife, replay, WINDOW_MS } from '../support/engine.ts'
import { folderForTest } from '../support/folder.ts'
import { type Doer, LogBuilder } from '../support/log-builder.ts'

const ROOT = join(import.meta.dirname, '../..')
const SHELL: Doer = { pid: 900, ppid: 800, exe: '/usr/bin/dash', uid: 33 }
const NGINX = 'proc::33:/usr/sbin/nginx'
const DASH = 'proc::33:/usr/bin/dash'
const FAR = 'host:203.0.113.66:4444'

const explain = (db: string, what: string, ...words: readonly string[]) =>
  spawnSync(process.execPath, ['agent/main.ts', 'explain', what, '--db', db, ...words], {
    cwd: ROOT,
    encoding: 'utf8',
  })

interface Explained {
  readonly score: number
  readonly weights: readonly { readonly what: string; readonly bits: number }[]
  readonly edges: readonly { readonly number: number; readonly to: string; readonly verdict: string }[]
  readonly verdict: string
  readonly normal: unknown
  readonly found: unknown
  readonly pattern: unknown
}

const explained = (db: string, what: string): Explained =>
  JSON.parse(explain(db, what, '--json').stdout) as Explained

/** A baseline with a pattern, and a reverse shell as incident 1. */
function reported(): string {
  const path = join(folderForTest(), 'baseline.db')
  const log = new LogBuilder(NOON_MS)
  for (const number of [301, 17, 4028]) log.create(CRON, `/srv/spool/job-${number}.xml`)
  ordinaryLife(log)
    .exec(SHELL)
    .connect(SHELL, '203.0.113.66', 4444)
    .after(2 * WINDOW_MS)
  replay(log.create(CRON, '/run/cron.pid'), {}, newBaseline(path))
  return path
}

describe('an edge', () => {
  test('that is normal is told with when and how it became so', () => {
    const db = reported()
    const { status, stdout } = explain(db, `${NGINX}->host:192.0.2.1:443`)
    expect(status).toBe(0)
    expect(stdout).toMatch(
      new RegExp(
        [
          `^connect ${NGINX}->host:192.0.2.1:443`,
          '  not reported: it is normal',
          '  learned: seen 13 times, in 2 windows on 1 days',
          '  first 2026-11-20T12:00:00.000Z, in the training from 2026-11-20T12:00:00.000Z to 2026-11-20T12:01:00.000Z; last .*',
          '  since row 2 of the journal: learn by agent at 2026-11-20T12:00:10.000Z\n$',
        ].join('\n'),
      ),
    )
  })

  test('that was found is told with its incident, and why it is never learned', () => {
    const db = reported()
    expect(explained(db, `connect ${DASH}->${FAR}`)).toMatchObject({
      normal: null,
      verdict: expect.stringMatching(
        /^unseen, and reported: .*; never learned: a shell that talks to /,
      ) as string,
      found: [{ incident: 1, mark: 'reverse-shell', sightings: 1, isWithheld: false }],
    })
  })

  test('that was denied, and one that was accepted, is told with who said so', () => {
    const db = reported()
    const decisions = new Decisions(db)
    onTestFinished(() => decisions.close())
    decisions.deny(1, { author: 'bob', reason: 'not here', timeMs: NOON_MS }, [2])
    decisions.accept(1, { author: 'eve', reason: 'the new job', timeMs: NOON_MS }, [1])
    const denied = explain(db, `${DASH}->${FAR}`).stdout
    expect(denied).toContain('  reported whenever it comes, as a person denied it\n')
    expect(denied).toContain('  denied by bob at 2026-11-20T12:00:00.000Z: not here\n')
    expect(explain(db, `${NGINX}->${DASH}`).stdout).toContain(
      'accept by eve at 2026-11-20T12:00:00.000Z: the new job\n',
    )
  })

  test('of a file that a pattern covers is told with the pattern and who taught it', () => {
    const db = reported()
    expect(explained(db, 'proc::0:/usr/sbin/cron->file:create:/srv/spool/job-99.xml')).toMatchObject({
      normal: null,
      verdict: 'not reported: a pattern covers it that is normal',
      pattern: { examples: expect.arrayContaining(['/srv/spool/job-17.xml']) as string[] },
    })
  })

  test('that was never seen would be reported', () => {
    const { stdout } = explain(reported(), 'proc::0:/usr/sbin/cron->file:create:/etc/x')
    expect(stdout).toMatch(/\n {2}never seen, as far as .* knows: it would be reported\n$/)
    expect(explained(reported(), 'proc::0:/usr/sbin/cron->file:create:/etc/x')).toMatchObject({
      edge: { from: 'proc::0:/usr/sbin/cron', to: 'file:create:/etc/x' },
      verdict: 'never seen: it would be reported',
    })
  })
})

describe('an edge under another name than it is known by', () => {
  test('is told of by the name of its host', () => {
    const path = join(folderForTest(), 'baseline.db')
    const [nowMs, addresses] = [Date.now() - 120_000, ['198.51.100.1']]
    const left = [{ name: 'api.good.test', addresses, timeMs: nowMs, ttlS: 60, server: '10.0.0.53' }]
    const names: NameSource = {
      unread: 0,
      takeUntil: (_, take) => {
        for (const name of left.splice(0)) take(name)
      },
    }
    const log = new LogBuilder(nowMs)
    for (let minute = 0; minute < 2; minute++)
      log.connect({ pid: 800, exe: '/usr/sbin/nginx', uid: 33 }, '198.51.100.1', 443).after(60_000)
    const options = { plan: { kind: 'everything' }, names, log: '/var/log/audit/audit.log' } as const
    replay(log, options, newBaseline(path))
    const { stdout } = explain(path, `connect ${NGINX}->host:198.51.100.1:443`)
    expect(stdout).toContain('  is known as host:api.good.test:443\n')
    expect(stdout).toContain('  not reported: it is normal\n')
  })

  test('is told of by the pattern that was denied', () => {
    const path = join(folderForTest(), 'baseline.db')
    const log = ordinaryLife()
      .create(CRON, `/srv/up/${'1f'.repeat(16)}.bin`)
      .after(2 * WINDOW_MS)
    replay(log.create(CRON, '/run/cron.pid'), {}, newBaseline(path))
    const decisions = new Decisions(path)
    decisions.deny(1, { author: 'bob', reason: undefined, timeMs: NOON_MS })
    decisions.close()
    const other = `proc::0:/usr/sbin/cron->file:create:/srv/up/${'2a'.repeat(16)}.bin`
    expect(explained(path, other)).toMatchObject({
      edge: { to: 'file:create:/srv/up/[0-9a-f]{32}\\.bin' },
      verdict: 'reported whenever it comes, as a person denied it',
    })
  })

  test('is dormant after as many days as the configuration says', () => {
    const db = reported()
    const database = new Database(db)
    for (let day = 1; day <= 3; day++)
      database.prepare('INSERT INTO days VALUES (?)').run(Math.floor(NOON_MS / 86_400_000) + day)
    database.close()
    const config = join(folderForTest(), 'fullmon.yaml')
    writeFileSync(config, 'dormant-days: 2\n')
    const what = `${NGINX}->host:192.0.2.1:443`
    expect(explain(db, what).stdout).toContain('not reported: it is normal')
    expect(explain(db, what, '--config', config).stdout).toContain('its return is told of once')
  })
})

describe('an incident', () => {
  test('is told as the sum that its score is, and edge by edge', () => {
    const db = reported()
    const { score, weights, edges } = explained(db, '1')
    expect(weights.reduce((sum, { bits }) => sum + bits, 0)).toBeCloseTo(score)
    expect(weights[0]?.what).toBe('surprise')
    expect(weights.map(({ what }) => what)).toContain('shell-connects')
    expect(edges.map(({ number, to }) => [number, to])).toEqual([
      [1, DASH],
      [2, FAR],
    ])
    const { stdout } = explain(db, '1')
    expect(stdout).toContain(`  1.  `)
    expect(stdout).toMatch(
      /^incident 1: .*\n {2}(high|critical); reported\n {2}score \d+\.\d bits, the sum of:\n/,
    )
  })
})

test('what is neither is refused', () => {
  const db = reported()
  for (const what of ['nonsense', 'fly proc::a:/a->host:b:1', '77']) {
    const { status, stderr } = explain(db, what)
    expect([status, stderr.split('\n').length]).toEqual([2, 2])
  }
})
