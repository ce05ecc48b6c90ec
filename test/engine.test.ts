import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import * as fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { planOf } from '../agent/session.ts'
import { Baseline } from '../agent/baseline/baseline.ts'
import { edgesIn, exportBaseline } from '../agent/baseline/transfer.ts'
import { vouchForWrite } from '../agent/baseline/vouched-writes.ts'
import type { BlindSpot, Report } from '../agent/domain/report.ts'
import type { Engine, EngineOptions } from '../agent/engine.ts'
import {
  blindSpots,
  CRON,
  incidents,
  newBaseline,
  NGINX,
  NOON_MS,
  ordinaryLife,
  paths,
  patterns,
  planAt,
  replay,
  start,
  summary,
  TRAINING_MS,
  WINDOW_MS,
} from './support/engine.ts'
import { findingsOf } from './support/incidents.ts'
import { folderForTest } from './support/folder.ts'
import { type Doer, LogBuilder } from './support/log-builder.ts'

describe('training', () => {
  test('reports nothing, however much happens', () => {
    const log = new LogBuilder(NOON_MS)
    for (let index = 0; index < 100; index++) {
      log.exec({ pid: 1000 + index, ppid: 700, exe: `/usr/bin/p${index}` })
      log.connect({ pid: 1000 + index, exe: `/usr/bin/p${index}` }, `192.0.2.${index}`, 443).after(500)
    }
    const reports = replay(log)
    expect(findingsOf(reports)).toEqual([])
    expect(summary(reports)).toMatchObject({ edges: 200, unseen: 0, events: 200, elapsedMs: 99 * 500 })
  })

  test('that is not over at the end of the log goes on at the next start, and still nothing is reported', () => {
    const baseline = newBaseline()
    const reports = replay(new LogBuilder(NOON_MS).connect(NGINX, '192.0.2.1', 443), {}, baseline)
    expect(findingsOf(reports)).toEqual([])
    expect(baseline.trainings.all()).toEqual([
      { fromMs: NOON_MS, toMs: NOON_MS, plannedMs: TRAINING_MS, finished: false },
    ])
  })

  test('on everything is finished by the end of the log', () => {
    const baseline = newBaseline()
    replay(ordinaryLife(), { plan: { kind: 'everything' } }, baseline)
    expect(baseline.trainings.all()).toMatchObject([
      { fromMs: NOON_MS, plannedMs: undefined, finished: true },
    ])
    expect(baseline.edges.countEdges()).toBe(2)
  })

  test('until a time learns what is stamped before it, to the millisecond', () => {
    const log = new LogBuilder(NOON_MS).connect(NGINX, '192.0.2.1', 443)
    log.after(999).connect(NGINX, '192.0.2.2', 443).after(1).connect(NGINX, '192.0.2.3', 443)
    // Seconds of the command line times a thousand need not be whole.
    const reports = replay(log, { plan: { kind: 'until', timeMs: NOON_MS + 1000.0001 } })
    expect(findingsOf(reports).map(({ edge }) => edge.to)).toEqual(['host:192.0.2.3:443'])
  })

  test('none at all reports from the first event on', () => {
    const reports = replay(new LogBuilder(NOON_MS).connect(NGINX, '192.0.2.1', 443), {
      plan: { kind: 'none' },
    })
    expect(findingsOf(reports)).toHaveLength(1)
  })

  test('is not ended by a stamp from the future, and what bears one is learned', () => {
    const log = new LogBuilder(NOON_MS).connect(NGINX, '192.0.2.1', 443)
    const ahead = new LogBuilder(NOON_MS + 3_600_000).connect(NGINX, '192.0.2.2', 443)
    const baseline = newBaseline()
    const { engine, reports } = start(baseline, { latestMs: () => NOON_MS + 1000 })
    engine.ingest({ bytes: log.bytes, at: undefined })
    engine.ingest({ bytes: ahead.bytes, at: undefined })
    expect(engine.trainingEndMs).toBe(NOON_MS + TRAINING_MS)
    engine.idle(NOON_MS + TRAINING_MS)
    engine.idle(NOON_MS + TRAINING_MS + WINDOW_MS)
    expect(findingsOf(reports)).toEqual([])
    expect(baseline.edges.countEdges()).toBe(2)
  })

  test('says when it has ended, once', () => {
    let ended = 0
    const { engine } = start(newBaseline(), { onTrained: () => ended++ })
    engine.ingest({ bytes: new LogBuilder(NOON_MS).connect(NGINX, '192.0.2.1', 443).bytes, at: undefined })
    expect([engine.trainingEndMs, ended]).toEqual([NOON_MS + TRAINING_MS, 0])
    engine.idle(NOON_MS + TRAINING_MS)
    engine.idle(NOON_MS + 2 * TRAINING_MS)
    expect([engine.trainingEndMs, ended]).toEqual([undefined, 1])
  })
})

describe('an unseen edge', () => {
  const SHELL: Doer = { pid: 900, ppid: 800, exe: '/usr/bin/dash', uid: 33 }

  test('is reported at the end of its window with its chain, and what shows it', () => {
    const { engine, reports } = start(newBaseline())
    const log = ordinaryLife()
    engine.ingest({ bytes: log.bytes, at: undefined })
    expect(findingsOf(reports)).toEqual([])

    const attackMs = log.timeMs
    const attack = new LogBuilder(attackMs).exec(SHELL, ['sh', '-c', 'id']).after(10)
    attack.connect(SHELL, '203.0.113.66', 4444).connect(SHELL, '203.0.113.66', 4444)
    engine.ingest({ bytes: attack.bytes, at: undefined })
    // The window is not over yet.
    expect(findingsOf(reports)).toEqual([])

    engine.ingest({
      bytes: new LogBuilder(attackMs + WINDOW_MS).create(CRON, '/run/cron.pid').bytes,
      at: undefined,
    })
    const nginx = 'proc::33:/usr/sbin/nginx'
    const dash = 'proc::33:/usr/bin/dash'
    expect(findingsOf(reports)).toEqual([
      {
        timeMs: attackMs,
        edge: { kind: 'exec', from: nginx, to: dash },
        chain: [nginx, dash],
        path: `${nginx}->${dash}`,
        evidence: {
          ...{ node: '', serial: 1001, syscall: 'execve', pid: 900, ppid: 800, auid: 4_294_967_295 },
          ...{ comm: 'dash', argv: ['sh', '-c', 'id'], count: 1 },
        },
      },
      {
        timeMs: attackMs + 10,
        edge: { kind: 'connect', from: dash, to: 'host:203.0.113.66:4444' },
        chain: [nginx, dash, 'host:203.0.113.66:4444'],
        path: 'proc::33:/usr/sbin/nginx->proc::33:/usr/bin/dash->host:203.0.113.66:4444',
        evidence: {
          ...{ node: '', serial: 1002, syscall: 'connect', pid: 900, ppid: 800, auid: 4_294_967_295 },
          ...{ comm: 'dash', argv: [], count: 2 },
        },
      },
    ])
  })

  test('is not reported again in the next windows', () => {
    const log = ordinaryLife()
    for (let window = 0; window < 4; window++) log.connect(NGINX, '203.0.113.66', 4444).after(WINDOW_MS)
    expect(paths(replay(log))).toEqual(['proc::33:/usr/sbin/nginx->host:203.0.113.66:4444'])
  })

  test('is reported again when it happens in a new way', () => {
    const log = ordinaryLife()
    const shellOf = (parent: Doer, pid: number): Doer => ({
      pid,
      ppid: parent.pid,
      exe: '/usr/bin/dash',
      uid: 0,
    })
    log.exec(shellOf(CRON, 901)).connect(shellOf(CRON, 901), '203.0.113.66', 4444).after(WINDOW_MS)
    log
      .exec({ ...shellOf(CRON, 902) })
      .connect(shellOf(CRON, 902), '203.0.113.66', 4444)
      .after(WINDOW_MS)
    const sshd: Doer = { pid: 600, exe: '/usr/sbin/sshd' }
    log.create(sshd, '/run/cron.pid').exec(shellOf(sshd, 903))
    log.connect(shellOf(sshd, 903), '203.0.113.66', 4444).after(WINDOW_MS)
    expect(paths(replay(log)).filter((text) => text.endsWith('4444'))).toEqual([
      'proc::0:/usr/sbin/cron->proc::0:/usr/bin/dash->host:203.0.113.66:4444',
      'proc::0:/usr/sbin/sshd->proc::0:/usr/bin/dash->host:203.0.113.66:4444',
    ])
  })

  test('of the last window is reported at the end of the log', () => {
    expect(paths(replay(ordinaryLife().connect(NGINX, '203.0.113.66', 4444)))).toHaveLength(1)
  })

  test('is reported by the clock of the host when nothing more arrives', () => {
    const { engine, reports } = start(newBaseline())
    const log = ordinaryLife().connect(NGINX, '203.0.113.66', 4444)
    engine.ingest({ bytes: log.bytes, at: undefined })
    engine.idle(log.timeMs + 1)
    expect(findingsOf(reports)).toEqual([])
    engine.idle(log.timeMs + 2 * WINDOW_MS)
    engine.idle(log.timeMs + 4 * WINDOW_MS)
    expect(findingsOf(reports)).toHaveLength(1)
  })

  test('that was learned in training is none, whatever its chain', () => {
    const log = new LogBuilder(NOON_MS).connect(NGINX, '192.0.2.1', 443)
    log.exec(SHELL).connect(SHELL, '10.0.0.9', 80)
    ordinaryLife(log)
    log
      .exec({ ...SHELL, pid: 901 })
      .connect({ ...SHELL, pid: 901 }, '10.0.0.9', 80)
      .after(WINDOW_MS)
    expect(paths(replay(log))).toEqual([])
  })
})

describe('--rebase', () => {
  const attack = (log: LogBuilder): LogBuilder => log.connect(NGINX, '203.0.113.66', 4444)

  test('reports once, and what was reported is normal afterwards, in whatever way it happens', () => {
    const baseline = newBaseline()
    const first = replay(attack(ordinaryLife()).after(WINDOW_MS), { rebase: true }, baseline)
    expect(findingsOf(first)).toHaveLength(1)
    expect(summary(first)).toMatchObject({ edges: 3, unseen: 1 })
    const other: Doer = { ...NGINX, pid: 801, ppid: 700 }
    const log = new LogBuilder(NOON_MS + 86_400_000).exec(other).connect(other, '203.0.113.66', 4444)
    const again = replay(log, { plan: { kind: 'none' } }, baseline)
    expect(paths(again).filter((text) => text.endsWith('4444'))).toEqual([])
  })

  test('takes what was reported before it was asked for', () => {
    const baseline = newBaseline()
    expect(findingsOf(replay(attack(ordinaryLife()), {}, baseline))).toHaveLength(1)
    expect(baseline.edges.countEdges()).toBe(2)
    const nextDay = new LogBuilder(NOON_MS + 86_400_000).create(CRON, '/run/cron.pid').after(2 * WINDOW_MS)
    replay(nextDay.create(CRON, '/run/cron.pid'), { plan: { kind: 'none' }, rebase: true }, baseline)
    expect(baseline.edges.countEdges()).toBe(3)
  })

  test('learns patterns from what it merges, and names each once', () => {
    const log = ordinaryLife()
    for (let index = 1; index <= 9; index++) log.create(CRON, `/var/spool/job-${index}`)
    log
      .after(2 * WINDOW_MS)
      .create(CRON, '/var/spool/job-4711')
      .after(2 * WINDOW_MS)
    const reports = replay(log.create(CRON, '/run/cron.pid'), { rebase: true })
    expect(patterns(reports)).toEqual([String.raw`^proc::0:/usr/sbin/cron->file:create:/var/spool/job-\d+$`])
    expect(findingsOf(reports)).toHaveLength(9)
  })
})

describe('what is remembered of an edge', () => {
  const HTTPS = ['192.0.2.1', 443] as const
  const known = (log: LogBuilder): LogBuilder => log.connect(NGINX, ...HTTPS).after(100)

  test('is asked for anew when another program has taken it out of the baseline, or put it in', () => {
    const path = join(folderForTest(), 'baseline.db')
    const { engine, reports } = start(newBaseline(path), { plan: { kind: 'for', durationMs: 1000 } })
    const log = new LogBuilder(NOON_MS)
    let read = 0
    const ingest = (): void => {
      engine.ingest({ bytes: log.bytes.subarray(read), at: undefined })
      read = log.bytes.length
    }
    known(known(log)).after(2000)
    known(log)
    ingest()
    known(log).connect(NGINX, '192.0.2.9', 80)
    ingest()
    const other = new Database(path)
    onTestFinished(() => void other.close())
    // The unknown one takes the place of the known one.
    other.exec("DELETE FROM edges WHERE kind = 'connect'")
    other.exec(`INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days)
      SELECT a.id, b.id, 'connect', 1, 1, 1, 1 FROM nodes a, nodes b
       WHERE a.name LIKE 'proc::33:%' AND b.name = 'host:192.0.2.9:80'`)
    for (let time = 0; time < 3; time++) known(log).connect(NGINX, '192.0.2.9', 80)
    ingest()
    engine.end()
    const counts = new Map(findingsOf(reports).map(({ edge, evidence }) => [edge.to, evidence.count]))
    expect(counts).toEqual(
      new Map([
        ['host:192.0.2.9:80', 1],
        ['host:192.0.2.1:443', 3],
      ]),
    )
  })

  test('follows a pattern that was learned since', () => {
    const path = join(folderForTest(), 'baseline.db')
    const baseline = newBaseline(path)
    const log = new LogBuilder(NOON_MS)
    for (let round = 0; round < 3; round++)
      for (const file of ['/q/1', '/q/2', '/q/3', '/q/4']) log.create(NGINX, file)
    replay(log, {}, baseline)
    expect([...edgesIn(path)].filter(({ kind }) => kind === 'create')).toMatchObject([
      { to: 'file:create:/q/\\d+', sightings: 12 },
    ])
  })
})

describe('a restart', () => {
  const nextDay = (): LogBuilder => new LogBuilder(NOON_MS + 86_400_000)
  const live = { trainingMs: TRAINING_MS, onlyTrain: false }

  test('uses today what was trained yesterday', () => {
    const path = join(folderForTest(), 'baseline.db')
    const yesterday = new Baseline(path)
    replay(ordinaryLife(), { plan: planOf(yesterday, live) }, yesterday)
    yesterday.close()
    const today = newBaseline(path)
    const log = nextDay().connect(NGINX, '192.0.2.1', 443).connect(NGINX, '203.0.113.66', 4444)
    const reports = replay(log, { plan: planOf(today, live) }, today)
    expect(paths(reports)).toEqual(['proc::33:/usr/sbin/nginx->host:203.0.113.66:4444'])
    expect([...edgesIn(path)].find(({ kind }) => kind === 'connect')).toMatchObject({
      sightings: 14,
      days: 2,
    })
  })

  test('goes on with a training that was half done, and trains no longer than was asked for', () => {
    const path = join(folderForTest(), 'baseline.db')
    const first = new Baseline(path)
    const half = new LogBuilder(NOON_MS).connect(NGINX, '192.0.2.1', 443).after(40_000)
    replay(half.connect(NGINX, '192.0.2.1', 443), { plan: planOf(first, live) }, first)
    first.close()
    const second = newBaseline(path)
    expect(planOf(second, live)).toEqual({ kind: 'for', durationMs: 20_000 })
    const log = nextDay().connect(NGINX, '192.0.2.2', 443).after(19_999).connect(NGINX, '192.0.2.3', 443)
    log.after(1).connect(NGINX, '192.0.2.4', 443)
    const reports = replay(log, { plan: planOf(second, live) }, second)
    expect(findingsOf(reports).map(({ edge }) => edge.to)).toEqual(['host:192.0.2.4:443'])
    expect(planOf(second, live)).toEqual({ kind: 'none' })
    expect(second.trainings.all().map(({ fromMs, toMs }) => toMs - fromMs)).toEqual([40_000, 20_000])
  })

  test('reports what was waiting when the agent died, once', () => {
    const path = join(folderForTest(), 'baseline.db')
    const first = new Baseline(path)
    const dying = start(first)
    const log = ordinaryLife().connect(NGINX, '203.0.113.66', 4444)
    dying.engine.ingest({ bytes: log.bytes, at: undefined })
    expect(findingsOf(dying.reports)).toEqual([])
    first.close()
    for (const [run, expected] of [1, 0].entries()) {
      const baseline = new Baseline(path)
      const { engine, reports } = start(baseline, { plan: planOf(baseline, live) })
      engine.idle(log.timeMs + run * 100_000)
      engine.idle(log.timeMs + run * 100_000 + WINDOW_MS)
      expect(findingsOf(reports)).toHaveLength(expected)
      baseline.close()
    }
  })

  test('keeps the patterns, and remembers siblings', () => {
    const path = join(folderForTest(), 'baseline.db')
    const first = new Baseline(path)
    const log = ordinaryLife(
      new LogBuilder(NOON_MS).create(CRON, '/q/1').create(CRON, '/q/2').create(CRON, '/q/3'),
    )
    log.create(CRON, '/q/4')
    const learning = new LogBuilder(NOON_MS - 10).create(CRON, '/r/1')
    const reports = replay([learning.bytes, log.bytes], {}, first)
    expect(patterns(reports)).toEqual([String.raw`^proc::0:/usr/sbin/cron->file:create:/q/\d+$`])
    expect(paths(reports)).toEqual([])
    first.close()
    const second = newBaseline(path)
    const more = nextDay().create(CRON, '/q/5').create(CRON, '/r/3').create(CRON, '/r/4')
    const again = replay(more, { plan: { kind: 'everything' } }, second)
    expect(patterns(again)).toEqual([String.raw`^proc::0:/usr/sbin/cron->file:create:/r/\d+$`])
    expect([...edgesIn(path)].map(({ to, sightings }) => [to, sightings])).toContainEqual([
      String.raw`file:create:/q/\d+`,
      5,
    ])
  })

  /** Life and an attack by programs that were there before the log began, so that no history is needed. */
  const log = ordinaryLife()
  for (let index = 0; index < 12; index++) {
    log.interleaved(
      (woven) => void woven.create(CRON, `/etc/cron.d/${'abcde'[index % 5] ?? ''}`),
      (woven) => void woven.connect(NGINX, `203.0.113.${index % 5}`, 4444),
      (woven) => void woven.connect(NGINX, '203.0.113.200', 80),
    )
    if (index === 6) log.junk()
    log.after(3000)
  }
  const what = (reports: readonly Report[]): string[] =>
    findingsOf(reports)
      .map(({ timeMs, path }) => `${timeMs} ${path}`)
      .sort()
  /** How often each edge was seen, normal or not, as the baseline has it. */
  function counted(path: string): unknown[] {
    const database = new Database(path, { readonly: true })
    const counts = database
      .prepare('SELECT chain, kind, sightings, last_ms FROM findings ORDER BY chain')
      .all()
    database.close()
    return [...edgesIn(path), ...counts]
  }

  test('law: wherever the agent dies, nothing is lost and nothing is reported twice', () => {
    const folder = folderForTest()
    const { bytes } = log
    const wholePath = join(folder, 'whole.db')
    const whole = replay(log, { plan: planAt(newBaseline()) }, newBaseline(wholePath))
    const cuts = fc.uniqueArray(fc.nat(bytes.length), { maxLength: 6 })
    let run = 0
    fc.assert(
      fc.property(cuts, fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }), (places, dies) => {
        const path = join(folder, `${run++}.db`)
        const reports: Report[] = []
        let baseline = new Baseline(path)
        const begin = (): Engine =>
          start(baseline, {
            plan: planAt(baseline),
            log: '/log',
            emit: (report) => void reports.push(report),
          }).engine
        let engine = begin()
        let offset = 0
        for (const [index, end] of [...places.sort((one, other) => one - other), bytes.length].entries()) {
          const at = { path: '/log', inode: 1, fingerprint: 'f', offset }
          engine.ingest({ bytes: bytes.subarray(offset, end), at })
          offset = end
          if (dies[index] !== true) continue
          // Dies: nothing is said goodbye to. What was read behind the last transaction is read again.
          baseline.close()
          baseline = new Baseline(path)
          engine = begin()
          offset = baseline.kept.checkpoint('/log')?.position.offset ?? 0
          const rest = { path: '/log', inode: 1, fingerprint: 'f', offset }
          engine.ingest({ bytes: bytes.subarray(offset, end), at: rest })
          offset = end
        }
        // Who died behind the last event has no time of the log; a live agent has its host's.
        engine.idle(log.timeMs + WINDOW_MS)
        engine.end()
        baseline.close()
        expect(what(reports)).toEqual(what(whole))
        // What was read again is not counted again.
        expect(counted(path)).toEqual(counted(wholePath))
      }),
      { numRuns: 40 },
    )
  })

  test('stopping and starting again between any two reads reports the same', () => {
    const path = join(folderForTest(), 'baseline.db')
    const { bytes } = log
    const whole = what(replay(log))
    const reports: Report[] = []
    let offset = 0
    for (let end = 0; end < bytes.length + 999; end += 999) {
      const baseline = new Baseline(path)
      const { engine } = start(baseline, {
        plan: planAt(baseline),
        log: '/log',
        emit: (report) => void reports.push(report),
      })
      offset = baseline.kept.checkpoint('/log')?.position.offset ?? 0
      const at = { path: '/log', inode: 1, fingerprint: 'f', offset }
      engine.ingest({ bytes: bytes.subarray(offset, end), at })
      engine.stop()
      baseline.close()
    }
    expect(what(reports)).toEqual(whole)
  })
})

test('who creates a file may write to it later, and nobody else', () => {
  const log = ordinaryLife(new LogBuilder(NOON_MS).create(CRON, '/run/motd.new'))
  log.write(CRON, '/run/motd.new').write(CRON, '/run/motd').write(NGINX, '/run/motd.new').after(WINDOW_MS)
  expect(paths(replay(log.create(CRON, '/run/cron.pid')))).toEqual([
    'proc::0:/usr/sbin/cron->file:write:/run/motd',
    'proc::33:/usr/sbin/nginx->file:write:/run/motd.new',
  ])
})

describe('volatile names', () => {
  test('are removed by who keeps making them without a word, but by nobody else, and not under names of their own', () => {
    const log = new LogBuilder(NOON_MS)
    for (let day = 1; day <= 4; day++) log.create(CRON, `/var/backups/db-2026-11-0${day}.sql`)
    log.create(CRON, '/var/backups/list')
    ordinaryLife(log)
    log.delete(CRON, '/var/backups/db-2026-11-01.sql').delete(CRON, '/var/backups/list')
    log.delete(NGINX, '/var/backups/db-2026-11-02.sql').after(WINDOW_MS)
    expect(paths(replay(log.create(CRON, '/run/cron.pid'))).map((path) => path.split('->').at(-1))).toEqual([
      'file:delete:/var/backups/list',
      String.raw`file:delete:/var/backups/db-\d{4}-\d{2}-\d{2}\.sql`,
    ])
  })

  const temporary = (letter: string): string => `/tmp/${letter}k3j9x2a`

  test('are one edge from the third on, and a fourth is not reported', () => {
    const baseline = newBaseline()
    const log = new LogBuilder(NOON_MS)
    for (const name of ['7fb2c9d1', 'a0e41b6c', 'c55d02f8']) log.create(CRON, `/tmp/cron.${name}`)
    ordinaryLife(log).create(CRON, '/tmp/cron.0123abcd').create(CRON, '/tmp/cron.backdoor').after(WINDOW_MS)
    const reports = replay(log, {}, baseline)
    expect(patterns(reports)).toEqual([
      String.raw`^proc::0:/usr/sbin/cron->file:create:/tmp/cron\.[0-9a-f]{8}$`,
    ])
    expect(paths(reports)).toEqual(['proc::0:/usr/sbin/cron->file:create:/tmp/cron.backdoor'])
    // connect, /run/cron.pid, the pattern
    expect(summary(reports)?.edges).toBe(3)
  })

  test('of one process and action are reported of another', () => {
    const log = new LogBuilder(NOON_MS)
    for (const name of [1, 2, 3]) log.create(CRON, `/q/${name}`)
    ordinaryLife(log).create(NGINX, '/q/4').delete(CRON, '/q/4').create(CRON, '/q/4').after(WINDOW_MS)
    expect(paths(replay(log))).toEqual([
      'proc::33:/usr/sbin/nginx->file:create:/q/4',
      'proc::0:/usr/sbin/cron->file:delete:/q/4',
    ])
  })

  test('of programs hide no exec', () => {
    const job = (letter: string): string => temporary(letter).replace('/tmp/', '/srv/jobs/')
    const log = new LogBuilder(NOON_MS)
    for (const [index, letter] of ['1', '2', '3', '4'].entries()) {
      log.create(CRON, job(letter))
      log.exec({ pid: 1000 + index, ppid: 700, exe: job(letter) })
    }
    const exe = job('9')
    ordinaryLife(log).create(CRON, exe).exec({ pid: 2000, ppid: 700, exe }).after(WINDOW_MS)
    const reports = replay(log)
    // What is executed has its own name, and its siblings are none.
    expect(patterns(reports)).toEqual([])
    expect(paths(reports)).toEqual([
      `proc::0:/usr/sbin/cron->file:create:${exe}`,
      `proc::0:/usr/sbin/cron->proc::0:${exe}`,
    ])
  })
})

describe('blind spots', () => {
  test('are counted window by window, each thing once', () => {
    const log = ordinaryLife().junk().junk().after(WINDOW_MS)
    log.create(CRON, '/run/cron.pid').lose(7).create(CRON, '/run/cron.pid').after(WINDOW_MS)
    log.create(CRON, '/run/cron.pid').after(WINDOW_MS).create(CRON, '/run/cron.pid')
    const spots = blindSpots(replay(log))
    expect(spots.map(({ reason, count }) => [reason, count])).toEqual([
      ['unreadable-line', 2],
      ['serial-gap', 7],
    ])
    const [unreadable, gap] = spots
    expect(gap?.fromMs).toBe(unreadable?.toMs)
    expect((gap?.toMs ?? 0) - (gap?.fromMs ?? 0)).toBe(WINDOW_MS)
  })

  test('of the training are told when their window ends', () => {
    const log = new LogBuilder(NOON_MS).connect(NGINX, '192.0.2.1', 443).junk()
    const [spot, ...others] = blindSpots(replay(ordinaryLife(log)))
    expect(others).toEqual([])
    expect(spot).toMatchObject({
      ...{ reason: 'unreadable-line', count: 1 },
      ...{ fromMs: NOON_MS, toMs: NOON_MS + WINDOW_MS },
    })
  })

  test('are not told of a training that was over before the log began', () => {
    const log = new LogBuilder(NOON_MS).junk().connect(NGINX, '192.0.2.1', 443)
    const reports = replay(log, { plan: { kind: 'until', timeMs: 0 } })
    for (const { fromMs, toMs } of blindSpots(reports)) expect([fromMs, toMs]).toEqual([NOON_MS, NOON_MS])
    expect(blindSpots(reports)).toHaveLength(1)
  })

  test('at the end are told before the sum', () => {
    const log = new LogBuilder(NOON_MS).connect(NGINX, '192.0.2.1', 443).lose(3).begin(CRON)
    const reports = replay(log)
    expect(blindSpots(reports).map(({ reason, count }) => [reason, count])).toEqual([
      ['incomplete-event', 1],
      ['serial-gap', 3],
    ])
    expect(reports.at(-1)).toMatchObject({ kind: 'summary', lost: 3, unreadable: 0 })
  })

  test('of the reader are passed on', () => {
    const spot: BlindSpot = {
      ...{ kind: 'blind-spot', reason: 'log-missing', fromMs: 1, toMs: 2, count: 0, detail: 'x' },
    }
    const { engine, reports } = start(newBaseline())
    engine.wentBlind(spot)
    expect(reports).toEqual([spot])
  })
})

describe("the agent's own files", () => {
  const DB = '/var/lib/fullmon/baseline.db'
  const own = {
    pid: 4242,
    boot: { id: 'this', startMs: 0 },
    places: {
      log: undefined,
      own: ['/var/lib/fullmon/baseline.db', '/var/log/fullmon.log'],
      configuration: [],
    },
    isPackaged: () => false,
    sawExec: () => false,
  }
  const agent: Doer = { pid: 4242, exe: '/opt/fullmon/node' }

  test('are no edges when it writes them, below its directory only', () => {
    const log = ordinaryLife()
    log.create(agent, '/var/lib/fullmon/baseline.db-wal').delete(agent, '/var/log/fullmon.log.4')
    log
      .create(agent, '/var/lib/fullmon')
      .create(agent, '/var/lib/fullmon-evil/x')
      .create(agent, '/etc/cron.d/x')
    log.connect(agent, '203.0.113.66', 4444)
    expect(findingsOf(replay(log, { own })).map(({ edge }) => edge.to)).toEqual([
      'file:create:/var/lib/fullmon',
      'file:create:/var/lib/fullmon-evil/x',
      'file:create:/etc/cron.d/x',
      'host:203.0.113.66:4444',
    ])
  })

  test('are no tampering where the journal vouches for who writes its configuration, and for nothing else', () => {
    const file = '/etc/fullmon/config.yaml'
    const places = { log: undefined, own: [DB], configuration: [file] }
    const path = join(folderForTest(), 'baseline.db')
    const baseline = newBaseline(path)
    const log = ordinaryLife()
    const told = (): string[] =>
      replay(log, { own: { ...own, places } }, newBaseline(join(folderForTest(), 'other.db'))).flatMap(
        (report) => (report.kind === 'tamper' ? [report.detail] : []),
      )
    const write = { file, pid: 4400, added: ['allowlist.paths: "/opt/a"'], alerts: [3] }
    vouchForWrite(path, write, { author: 'carol', reason: 'ours', timeMs: log.timeMs })
    const fullmon: Doer = { pid: 4400, exe: '/opt/fullmon/node' }
    vouchForWrite(
      path,
      { ...write, file: '/etc/fullmon/other' },
      { author: 'carol', reason: 'too', timeMs: log.timeMs },
    )
    log.create(fullmon, `${file}.4400.new`).create(fullmon, file)
    expect(told()).toHaveLength(2)
    log
      .create(fullmon, DB)
      .create({ pid: 4401, exe: '/usr/bin/vim' }, file)
      .after(120_000)
      .create(fullmon, file)
    const reports = replay(log, { own: { ...own, places } }, baseline)
    const tampers = reports.flatMap((report) => (report.kind === 'tamper' ? [report] : []))
    expect(tampers.map(({ detail, evidence }) => [detail, evidence?.pid])).toEqual([
      [`file:create:${DB} is of fullmon itself`, 4400],
      [`file:create:${file} is of fullmon itself`, 4401],
      [`file:create:${file} is of fullmon itself`, 4400],
    ])
  })

  test('are no tampering where auditd is told of what the journal vouches for, by who says so there', () => {
    const path = join(folderForTest(), 'baseline.db')
    const baseline = newBaseline(path)
    const log = ordinaryLife()
    const write = {
      file: '/etc/audit/plugins.d/fullmon.conf',
      pid: 4400,
      added: ['active = yes'],
      alerts: [],
    }
    vouchForWrite(path, write, { author: 'carol', reason: 'ours', timeMs: log.timeMs }, 'configure')
    const told = (pid: number): number => {
      const line = `type=DAEMON_CONFIG msg=audit(${(log.timeMs / 1000).toFixed(3)}:77): op=reconfigure state=changed auid=0 pid=${pid} subj=unconfined res=success\n`
      const bytes = Buffer.concat([log.bytes, Buffer.from(line)])
      const reports: Report[] = []
      const { engine } = start(baseline, { own, emit: (report) => void reports.push(report) })
      engine.ingest({ bytes, at: undefined })
      engine.end()
      return reports.filter(({ kind }) => kind === 'tamper').length
    }
    expect([told(4400), told(4401)]).toEqual([0, 1])
  })

  test('are left as its reports are, by it and by what it has started for that, and no other way', () => {
    const program = ['perl', '-e', 'send everything']
    const reach = { sockets: ['/dev/log'], program, port: 443 }
    const perl: Doer = { pid: 4300, ppid: 4242, exe: '/usr/bin/perl' }
    const log = ordinaryLife()
    log.exec(perl, [...program, '/dev/log']).connectUnix(perl, '/dev/log')
    log.connect(agent, '203.0.113.9', 443).connect(agent, '203.0.113.9', 0).connect(agent, '192.0.2.53', 53)
    expect(findingsOf(replay(log, { own: { ...own, reach } }))).toEqual([])
    log.connect(agent, '203.0.113.9', 4444).connect(perl, '203.0.113.9', 443)
    log.exec({ ...perl, pid: 4301 }, ['perl', '-e', 'another', '/dev/log'])
    log.exec({ ...perl, pid: 4302, ppid: 1 }, [...program, '/dev/log'])
    log.connectUnix(perl, '/run/docker.sock')
    const told = findingsOf(replay(log, { own: { ...own, reach } })).map(({ edge }) => edge.to)
    expect(told.toSorted()).toEqual([
      'host:203.0.113.9:443',
      'host:203.0.113.9:4444',
      'host:unix:/run/docker.sock',
      'proc::0:/usr/bin/perl',
      'proc::0:/usr/bin/perl',
    ])
  })

  test('are left out where auditd starts its plugin, and where nobody else or nothing else is started', () => {
    const plugin = '/usr/lib/fullmon/auditd-relay'
    const auditd: Doer = { pid: 4500, exe: '/usr/sbin/auditd' }
    const perl: Doer = { pid: 4501, ppid: 4500, exe: '/usr/bin/perl' }
    const known = ordinaryLife().exec(auditd)
    const before = findingsOf(replay(known, { own })).length
    known.exec(perl, ['/usr/bin/perl', plugin])
    expect(findingsOf(replay(known, { own: { ...own, plugin } }))).toHaveLength(before)
    known.exec({ ...perl, pid: 4502 }, ['/usr/bin/perl', '/tmp/auditd-relay'])
    known.exec({ ...perl, pid: 4503, ppid: 700 }, ['/usr/bin/perl', plugin])
    expect(findingsOf(replay(known, { own: { ...own, plugin } }))).toHaveLength(before + 2)
  })

  test('are edges when anybody else writes them, even the same program', () => {
    const log = ordinaryLife().create({ ...agent, pid: 4243 }, '/var/lib/fullmon/baseline.db')
    expect(paths(replay(log, { own }))).toEqual([
      'proc::0:/opt/fullmon/node->file:create:/var/lib/fullmon/baseline.db',
    ])
  })
})

describe('a stamp that no calendar knows', () => {
  test('ends no program', () => {
    const log = new LogBuilder(8.7e15).connect(NGINX, '192.0.2.1', 443)
    for (const plan of [
      { kind: 'none' },
      { kind: 'everything' },
      { kind: 'for', durationMs: 1000 },
    ] as const) {
      expect(summary(replay(log, { plan }))).toMatchObject({ events: 1 })
    }
  })
})

describe('law: the same input gives the same reports, byte for byte, however it is cut', () => {
  const folder = join(import.meta.dirname, 'fixtures/recorded')
  const recorded = Buffer.concat(
    readdirSync(folder)
      .filter((name) => name.endsWith('.log'))
      .slice(0, 4)
      .map((name) => readFileSync(join(folder, name))),
  )
  const log = ordinaryLife()
  for (let index = 0; index < 40; index++) {
    const child: Doer = {
      pid: 1000 + index,
      ppid: index % 3 === 0 ? 700 : 800,
      exe: `/usr/bin/p${index % 7}`,
    }
    log
      .exec(child)
      .create(child, `/tmp/x-${index}`)
      .connect(child, `203.0.113.${index % 9}`, 80)
      .after(1700)
    if (index % 10 === 0) log.junk().lose(2)
  }
  let run = 0
  /** The reports, and then what the baseline has learned. */
  function texts(pieces: readonly Buffer[], options: Partial<EngineOptions>, folder: string): string[] {
    const path = join(folder, `${run++}.db`)
    const baseline = new Baseline(path)
    const reports = replay(pieces, options, baseline).map((report) => JSON.stringify(report))
    baseline.close()
    return [...reports, ...exportBaseline(path)]
  }

  test.each([
    ['a log made by hand', log.bytes, { kind: 'for', durationMs: TRAINING_MS }, false],
    ['the same, merging', log.bytes, { kind: 'for', durationMs: TRAINING_MS }, true],
    ['recorded logs', recorded, { kind: 'none' }, true],
    ['recorded logs, all learned', recorded, { kind: 'everything' }, false, true],
  ] as const)('%s', (_, bytes, plan, rebase, ...[learnDegraded = false]: boolean[]) => {
    const options = { plan, rebase, learnDegraded, monitorMs: 5000 }
    const databases = folderForTest()
    const whole = texts([bytes], options, databases)
    expect(whole.length).toBeGreaterThan(8)
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 30 }), (places) => {
        const cuts = [0, ...places.sort((one, other) => one - other), bytes.length]
        const pieces = cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end))
        expect(texts(pieces, options, databases)).toEqual(whole)
      }),
      { numRuns: 15 },
    )
  })
})

describe('a clock that is set back', () => {
  const DAY_MS = 86_400_000

  test('does not silence the agent until it has caught up, and is said', () => {
    let hostMs = NOON_MS + DAY_MS
    const { engine, reports } = start(newBaseline(), { plan: { kind: 'none' }, latestMs: () => hostMs })
    engine.idle(hostMs)
    hostMs = NOON_MS
    engine.idle(hostMs)
    expect(blindSpots(reports)).toMatchObject([
      { reason: 'clock-set-back', detail: expect.stringContaining('86400 s') as string },
    ])
    engine.ingest({ bytes: new LogBuilder(hostMs).exec({ ...CRON, pid: 701 }).bytes, at: undefined })
    hostMs += WINDOW_MS
    engine.idle(hostMs)
    expect(findingsOf(reports)).toHaveLength(1)
  })

  test('does not make a training longer', () => {
    const { engine } = start(newBaseline())
    engine.idle(NOON_MS + DAY_MS)
    engine.idle(NOON_MS)
    expect(engine.trainingEndMs).toBe(NOON_MS + TRAINING_MS)
    engine.idle(NOON_MS + TRAINING_MS)
    expect(engine.isTraining).toBe(false)
  })
})

test('of more findings than are held at once all are counted', () => {
  const log = new LogBuilder(NOON_MS)
  const letter = (number: number): string => String.fromCharCode(97 + (number % 26))
  for (let number = 0; number < 2500; number++)
    log.create(CRON, `/srv/${letter(number)}/${letter(number / 26)}${letter(number / 676)}`)
  const reports = replay(log, { plan: { kind: 'none' } })
  const files = findingsOf(reports).map(({ edge }) => edge.to)
  expect(new Set(files).size).toBe(files.length)
  expect(incidents(reports)).toMatchObject([{ count: 2500, unlisted: 2500 - files.length }])
  expect(summary(reports)).toMatchObject({ unseen: 2500 })
})

test('a training on everything that was cut short is not finished, one that was read whole is', () => {
  const log = new LogBuilder(NOON_MS).exec(CRON)
  for (const isWhole of [false, true]) {
    const baseline = newBaseline()
    const { engine } = start(baseline, { plan: { kind: 'everything' } })
    engine.ingest({ bytes: log.bytes, at: undefined })
    if (isWhole) engine.end()
    else engine.stop()
    expect(baseline.trainings.all().map(({ finished }) => finished)).toEqual([isWhole])
  }
})

test('the summary of a run counts what this run reported', () => {
  const baseline = newBaseline()
  const first = replay(new LogBuilder(NOON_MS).exec(CRON), { plan: { kind: 'none' } }, baseline)
  expect(summary(first)).toMatchObject({ unseen: 1 })
  const second = replay(new LogBuilder(NOON_MS).exec(CRON).exec(NGINX), { plan: { kind: 'none' } }, baseline)
  expect(summary(second)).toMatchObject({ unseen: 1 })
})
