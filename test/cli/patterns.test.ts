import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { edgesIn, exportBaseline, importBaseline } from '../../agent/baseline/transfer.ts'
import { verifyBaseline } from '../../agent/baseline/verify.ts'
import { findingsOf } from '../support/incidents.ts'
import { CRON, newBaseline, NOON_MS, ordinaryLife, replay, WINDOW_MS } from '../support/engine.ts'
import { folderForTest } from '../support/folder.ts'
import { LogBuilder } from '../support/log-builder.ts'

const MAIN = join(import.meta.dirname, '../../agent/main.ts')
const PROCESS = 'proc::0:/usr/sbin/cron'
const PATH = String.raw`/srv/q/\d+\.msg`

interface Ran {
  readonly status: number | null
  readonly stderr: string
  readonly lines: readonly Record<string, unknown>[]
  readonly stdout: string
}

function run(...words: string[]): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'patterns', ...words], {
    encoding: 'utf8',
  })
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'))
  return { status, stderr, stdout, lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

/** A baseline with one pattern. */
function trained(): string {
  const path = join(folderForTest(), 'baseline.db')
  const baseline = newBaseline(path)
  const log = new LogBuilder(NOON_MS).create(CRON, '/srv/q/1.msg').create(CRON, '/srv/q/22.msg')
  replay(ordinaryLife(log), {}, baseline)
  baseline.close()
  return path
}

const seen = (path: string): string[] => [...edgesIn(path)].map(({ to }) => to)
const rowsIn = (path: string): number => verifyBaseline(path, []).rows

describe('fullmon patterns', () => {
  test('shows who taught what, from which examples, and what else it allows', () => {
    const db = trained()
    const { status, lines } = run('show', '--db', db, '--json')
    expect(status).toBe(0)
    expect(lines).toEqual([
      {
        ...{ kind: 'pattern', id: 1, state: 'learned', process: PROCESS, action: 'create', path: PATH },
        pattern: `^${PROCESS}->file:create:${PATH}$`,
        examples: ['/srv/q/1.msg', '/srv/q/22.msg'],
        changing: ['any number'],
        allows: [expect.stringMatching(`^${PATH}$`), expect.stringMatching(`^${PATH}$`)],
        ...{ sightings: 2, learnedMs: NOON_MS },
      },
    ])
    expect(run('show', '--db', db, '--match', 'nobody').stdout).toBe('')
    expect(run('show', '--db', db).stdout).toContain('taught by /srv/q/1.msg /srv/q/22.msg')
  })

  test('previews what one allows, and what of the baseline it covers', () => {
    const db = trained()
    const [preview] = run('preview', '1', '--db', db, '--json').lines
    expect(preview).toMatchObject({ kind: 'preview', id: 1, edges: [PATH], findings: [] })
    const allows = preview?.['allows'] as string[]
    expect(new Set(allows).size).toBe(10)
    for (const name of allows) expect(name).toMatch(new RegExp(`^${PATH}$`))
    expect(run('preview', '1', '--db', db).stdout).toContain(`is normal     ${PATH}`)
  })

  test('forgets one: what it covered is unseen, and nothing teaches it again', () => {
    const db = trained()
    const rows = rowsIn(db)
    const { status, lines } = run(
      'forget',
      '1',
      '--db',
      db,
      '--json',
      '--reason',
      'too wide',
      '--author',
      'ada',
    )
    expect([status, lines]).toEqual([
      0,
      [{ kind: 'decision', id: 1, pattern: `^${PROCESS}->file:create:${PATH}$`, state: 'denied' }],
    ])
    expect(seen(db)).not.toContain(`file:create:${PATH}`)
    expect(verifyBaseline(db, [])).toMatchObject({ rows: rows + 1 })
    expect(verifyBaseline(db, []).problem).toBeUndefined()
    const baseline = newBaseline(db)
    const more = new LogBuilder(NOON_MS + 86_400_000)
      .create(CRON, '/srv/q/7.msg')
      .create(CRON, '/srv/q/8.msg')
    more.after(2 * WINDOW_MS).create(CRON, '/run/cron.pid')
    const found = findingsOf(replay(more, { plan: { kind: 'none' } }, baseline))
    expect(found.map(({ edge }) => edge.to)).toEqual(['file:create:/srv/q/7.msg', 'file:create:/srv/q/8.msg'])
    expect(baseline.patterns.ofNames()).toMatchObject([{ state: 'denied' }])
    expect(run('forget', '1', '--db', db)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('before') as string,
    })
    expect(run('pin', '1', '--db', db).status).toBe(2)
    expect(run('preview', '1', '--db', db).stdout).toContain(
      'pattern 1, which was forgotten and covers nothing',
    )
    const explain = [MAIN, 'explain', `create ${PROCESS}->file:create:/srv/q/9.msg`, '--db', db]
    const { stdout } = spawnSync(process.execPath, explain, { encoding: 'utf8' })
    expect(stdout).toContain('  it would be reported\n  no longer covered by the pattern')
  })

  test('that was forgotten is forgotten in a copy, too', () => {
    const db = trained()
    run('forget', '1', '--db', db)
    const copy = join(folderForTest(), 'copy.db')
    importBaseline(copy, exportBaseline(db), { source: 'test', author: 'test' })
    expect(run('show', '--db', copy, '--json').lines).toMatchObject([{ state: 'denied' }])
    expect(verifyBaseline(copy, []).problem).toBeUndefined()
  })

  test('pins one, which changes nothing that is normal', () => {
    const db = trained()
    const before = seen(db)
    expect(run('pin', '1', '--db', db, '--reason', 'known').status).toBe(0)
    expect(seen(db)).toEqual(before)
    expect(run('show', '--db', db, '--json').lines).toMatchObject([{ state: 'pinned' }])
    expect(verifyBaseline(db, []).problem).toBeUndefined()
  })

  test('is told by a running agent', () => {
    const db = trained()
    const baseline = newBaseline(db)
    const log = new LogBuilder(NOON_MS + 86_400_000)
    const first = log.create(CRON, '/srv/q/7.msg').after(WINDOW_MS).bytes.length
    log
      .create(CRON, '/srv/q/8.msg')
      .after(2 * WINDOW_MS)
      .create(CRON, '/run/cron.pid')
    const parts = [log.bytes.subarray(0, first), log.bytes.subarray(first)]
    const during = {
      *[Symbol.iterator](): Iterator<Buffer> {
        yield parts[0] ?? Buffer.alloc(0)
        expect(run('forget', '1', '--db', db).status).toBe(0)
        yield parts[1] ?? Buffer.alloc(0)
      },
    }
    const reports = replay(during as unknown as Buffer[], { plan: { kind: 'none' }, log: 'test' }, baseline)
    expect(findingsOf(reports).map(({ edge }) => edge.to)).toEqual(['file:create:/srv/q/8.msg'])
  })

  test.each([
    [['preview'], 'preview which pattern?'],
    [['forget', '7'], 'there is no pattern 7'],
    [['preview', 'x'], 'preview which pattern?'],
  ] as const)('refuses %j', (words, complaint) => {
    const { status, stderr } = run(...words, '--db', trained())
    expect([status, stderr]).toEqual([2, expect.stringContaining(complaint)])
  })

  test('makes no baseline where there is none', () => {
    const none = join(folderForTest(), 'none.db')
    for (const action of ['pin', 'forget', 'preview'])
      expect(run(action, '1', '--db', none)).toMatchObject({ status: 2, stdout: '' })
    expect(existsSync(none)).toBe(false)
  })
})
