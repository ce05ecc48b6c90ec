/** What one run of the agent leaves to the next one. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { alertsIn } from '../agent/baseline/alerts.ts'
import { Baseline } from '../agent/baseline/baseline.ts'
import { edgesIn, exportBaseline } from '../agent/baseline/transfer.ts'
import type { FoundProcess } from '../agent/domain/activity.ts'
import type { BlindSpot, Report, Tamper } from '../agent/domain/report.ts'
import type { Engine, EngineOptions } from '../agent/engine.ts'
import {
  CRON,
  newBaseline,
  NGINX,
  NOON_MS,
  ordinaryLife,
  paths,
  planAt,
  start,
  WINDOW_MS,
} from './support/engine.ts'
import { findingsOf } from './support/incidents.ts'
import { folderForTest } from './support/folder.ts'
import { line } from './support/log.ts'
import { type Doer, LogBuilder } from './support/log-builder.ts'

const LOG = '/log'
const DB = '/var/lib/fullmon/baseline.db'
const tampers = (reports: readonly Report[]): Tamper[] => reports.filter((report) => report.kind === 'tamper')

/** The agent itself, as the process with this pid. */
const agent = (pid: number, bootId = 'a', startMs = 0): NonNullable<EngineOptions['own']> => ({
  pid,
  boot: { id: bootId, startMs },
  places: { log: undefined, own: [DB], configuration: [] },
  isPackaged: () => false,
  sawExec: () => false,
})

/** The host's clock: behind everything that these logs tell. */
const latestMs = (): number => NOON_MS + 86_400_000

/** An engine whose chunks are of a file. */
class Run {
  readonly reports: Report[]
  readonly engine: Engine
  readonly baseline: Baseline

  constructor(baseline: Baseline, options: Partial<EngineOptions> = {}) {
    this.baseline = baseline
    const { engine, reports } = start(baseline, { plan: planAt(baseline), log: LOG, latestMs, ...options })
    this.engine = engine
    this.reports = reports
  }

  /** Reads on, up to this place. */
  read(bytes: Buffer, to = bytes.length): this {
    const offset = this.baseline.kept.checkpoint(LOG)?.position.offset ?? 0
    const at = { path: LOG, inode: 1, fingerprint: 'f', offset }
    this.engine.ingest({ bytes: bytes.subarray(offset, Math.max(offset, to)), at })
    return this
  }
}

describe('an agent', () => {
  /** What the agent with pid 2 says of the one with pid 1. */
  function saidOf(ends: (engine: Engine) => void, next = agent(2)): string[] {
    const path = join(folderForTest(), 'baseline.db')
    const first = new Baseline(path)
    const { engine } = new Run(first, { own: agent(1) })
    engine.begin(NOON_MS, [])
    ends(engine)
    first.close()
    const { engine: second, reports } = new Run(newBaseline(path), { own: next })
    second.begin(NOON_MS + 1000, [])
    return tampers(reports).map(({ reason, detail }) => `${reason}: ${detail}`)
  }
  const nothing = (): void => undefined

  test('that did not end in order is told of by the next one', () => {
    expect(saidOf(nothing)).toEqual([
      'agent-stopped: the agent before this one (pid 1) was killed, or crashed',
    ])
    expect(saidOf(nothing, agent(2, 'b'))).toEqual([
      'agent-stopped: the agent before this one (pid 1) did not stop before the host was booted',
    ])
    expect(saidOf(nothing, agent(1, 'b'))).toHaveLength(1)
    // Another session has begun, and the process died in it.
    expect(saidOf((engine) => engine.pause())).toHaveLength(1)
  })

  test('that ended in order is not', () => {
    expect(saidOf((engine) => engine.stop())).toEqual([])
    expect(saidOf((engine) => engine.end())).toEqual([])
    expect(saidOf((engine) => engine.stop(), agent(2, 'b'))).toEqual([])
  })

  test('that only begins another session is not', () => {
    expect(saidOf((engine) => engine.pause(), agent(1))).toEqual([])
  })

  test('that was told to stop says so itself, once', () => {
    const { engine, reports } = new Run(newBaseline(), { own: agent(1) })
    engine.begin(NOON_MS, [])
    engine.stop('the agent was told to stop')
    expect(tampers(reports)).toMatchObject([
      { reason: 'agent-stopped', detail: 'the agent was told to stop', process: '', chain: [] },
    ])
  })
})

test('who stops the agent in order leaves no alert behind, who kills it does', () => {
  const opened = (ends: (engine: Engine) => void): number => {
    const path = join(folderForTest(), 'baseline.db')
    const first = new Baseline(path)
    const { engine } = new Run(first, { own: agent(1), alertsFrom: 'low' })
    engine.begin(NOON_MS, [])
    ends(engine)
    first.close()
    const second = newBaseline(path)
    new Run(second, { own: agent(2), alertsFrom: 'low' }).engine.begin(NOON_MS + 1000, [])
    return alertsIn(path).length
  }
  expect(opened((engine) => engine.stop('the agent was told to stop'))).toBe(0)
  expect(opened(() => undefined)).toBe(1)
})

test('the end of auditd in a shutdown is tampering unless the host has been booted since', () => {
  const log = Buffer.from(
    line('SYSTEM_SHUTDOWN', 1, 'pid=9 uid=0 auid=0 ses=1 msg=\'comm="x" res=success\'', { timeMs: NOON_MS }) +
      line('DAEMON_END', 2, 'op=terminate auid=0 uid=0 ses=1 pid=1 res=success', { timeMs: NOON_MS + 1000 }),
  )
  const reasons = (bootMs: number): string[] => {
    const { reports } = new Run(newBaseline(), { own: agent(1, 'b', bootMs) }).read(log)
    return tampers(reports).map(({ reason }) => reason)
  }
  expect(reasons(NOON_MS - 60_000)).toEqual(['auditd-stopped'])
  expect(reasons(NOON_MS + 60_000)).toEqual([])
  // The agent ends before auditd does, and may have read that a shutdown begins.
  const path = join(folderForTest(), 'baseline.db')
  const first = newBaseline(path)
  new Run(first, { own: agent(1) }).read(log, log.indexOf('type=DAEMON_END'))
  first.close()
  const { reports } = new Run(newBaseline(path), { own: agent(2, 'b', NOON_MS + 60_000) }).read(log)
  expect(tampers(reports).filter(({ reason }) => reason === 'auditd-stopped')).toEqual([])
})

describe('after a boot', () => {
  const SHELL: Doer = { pid: 900, ppid: 800, exe: '/usr/bin/dash', uid: 33 }
  const BOOT_MS = NOON_MS + 100_000
  /** The same program under the same pid, of another parent. */
  const FOUND: readonly FoundProcess[] = [
    {
      ...{ pid: 900, ppid: 1, uid: 33, exe: '/usr/bin/dash', argv: ['dash'], cwd: '/', container: '' },
      startMs: BOOT_MS,
      readMs: BOOT_MS,
    },
  ]
  const DASH = 'proc::33:/usr/bin/dash'
  const BEFORE = `proc::33:?->proc::33:/usr/sbin/nginx->${DASH}`
  const PLAN = { plan: { kind: 'none' } } as const

  /** The chains in which connects were seen, by runs that each read so many bytes. */
  function chains(
    log: LogBuilder,
    runs: readonly (readonly [own: EngineOptions['own'], to: number | undefined])[],
  ): string[] {
    const path = join(folderForTest(), 'baseline.db')
    return runs.flatMap(([own, to], index) => {
      const baseline = new Baseline(path)
      const run = new Run(baseline, { ...PLAN, ...(own === undefined ? {} : { own }) })
      run.engine.begin(NOON_MS, index === 0 ? [] : FOUND)
      run.read(log.bytes, to)
      if (index < runs.length - 1) run.engine.pause()
      else run.engine.end()
      baseline.close()
      return paths(run.reports).flatMap((text) => /^(.*)->host:/.exec(text)?.[1] ?? [])
    })
  }

  test('the processes of the boot before are forgotten when the log comes to it, and not before', () => {
    const log = new LogBuilder(NOON_MS).exec(NGINX).exec(SHELL)
    const first = log.bytes.length
    log.connect(SHELL, '192.0.2.1', 80)
    log.timeMs = BOOT_MS
    log.connect(SHELL, '192.0.2.2', 80)
    const runs = [
      [agent(1, 'a'), first],
      [agent(2, 'b', BOOT_MS), undefined],
    ] as const
    expect(chains(log, runs)).toEqual([BEFORE, DASH])
  })

  test('they are forgotten also when the agent was started twice before the log came to it', () => {
    const log = new LogBuilder(NOON_MS).exec(NGINX).exec(SHELL)
    const first = log.bytes.length
    log.connect(SHELL, '192.0.2.1', 80)
    const second = log.bytes.length
    log.timeMs = BOOT_MS
    log.connect(SHELL, '192.0.2.2', 80)
    const runs = [
      [agent(1, 'a'), first],
      [agent(2, 'b', BOOT_MS), second],
      [agent(3, 'b', BOOT_MS), undefined],
    ] as const
    expect(chains(log, runs)).toEqual([BEFORE, DASH])
  })

  test('what has happened since is not forgotten, whatever sessions follow', () => {
    const log = new LogBuilder(NOON_MS).exec(CRON)
    const first = log.bytes.length
    log.timeMs = BOOT_MS
    log.exec(NGINX).exec(SHELL)
    const second = log.bytes.length
    log.connect(SHELL, '192.0.2.2', 80)
    const runs = [
      [agent(1, 'a'), first],
      [agent(2, 'b', BOOT_MS), second],
      // The same process, with a new configuration.
      [agent(2, 'b', BOOT_MS), undefined],
    ] as const
    expect(chains(log, runs)).toEqual([BEFORE])
  })
})

describe('tampering', () => {
  const tamper = (timeMs: number, reason: Tamper['reason'] = 'clock-jump'): Tamper => ({
    ...{ kind: 'tamper', reason, timeMs, process: '', chain: [], detail: String(timeMs) },
  })

  test('that the log does not tell is told once in a window, and how often it came again, also over a restart', () => {
    const path = join(folderForTest(), 'baseline.db')
    const first = new Baseline(path)
    const before = new Run(first, { plan: { kind: 'none' } })
    before.engine.idle(NOON_MS)
    for (const timeMs of [1, 1, 2]) before.engine.wasTampered(tamper(timeMs))
    before.engine.wasTampered(tamper(3, 'own-files'))
    before.engine.pause()
    first.close()
    const { engine, reports } = new Run(newBaseline(path), { plan: { kind: 'none' } })
    engine.wasTampered(tamper(4))
    engine.idle(NOON_MS + WINDOW_MS)
    engine.wasTampered(tamper(5))
    engine.idle(NOON_MS + 2 * WINDOW_MS)
    const all = tampers([...before.reports, ...reports]).map(({ reason, detail }) => [reason, detail])
    expect(all).toEqual([
      ['clock-jump', '1'],
      ['own-files', '3'],
      ['clock-jump', '2 more in this window; the last: 4'],
      ['clock-jump', '5'],
    ])
  })

  test('that the log shows has its chain and its event, and is told before the window ends', () => {
    const { engine, reports } = new Run(newBaseline(), { own: agent(4242), plan: { kind: 'none' } })
    const shell: Doer = { pid: 900, ppid: 800, exe: '/usr/bin/dash', uid: 33 }
    const log = new LogBuilder(NOON_MS).exec(NGINX).exec(shell).delete(shell, DB).delete(shell, DB)
    engine.ingest({ bytes: log.bytes, at: undefined })
    expect(findingsOf(reports)).toEqual([])
    expect(tampers(reports)).toMatchObject([
      {
        reason: 'own-files',
        timeMs: NOON_MS,
        process: 'proc::33:/usr/bin/dash',
        chain: ['proc::33:?', 'proc::33:/usr/sbin/nginx', 'proc::33:/usr/bin/dash'],
        evidence: { serial: 1003, syscall: 'unlink', pid: 900, ppid: 800, comm: 'dash' },
      },
    ])
  })
})

describe('a report', () => {
  const spot = (number: number): BlindSpot => ({
    ...{ kind: 'blind-spot', reason: 'log-missing', fromMs: number, toMs: number, count: 0, detail: 'x' },
  })
  const numbers = (reports: readonly Report[]): number[] =>
    reports.flatMap((report) => (report.kind === 'blind-spot' ? [report.fromMs] : []))

  test('that was decided on and not printed is printed by the next run as one that may stand there already, once', () => {
    const path = join(folderForTest(), 'baseline.db')
    const dying = new Baseline(path)
    const { engine } = new Run(dying, {
      emit: () => {
        throw new Error('killed')
      },
    })
    expect(() => engine.wentBlind(spot(1))).toThrow('killed')
    dying.close()
    for (const expected of [[1], []]) {
      const again: Report[] = []
      const baseline = new Baseline(path)
      const next = new Run(baseline, { emitAgain: (report) => void again.push(report) })
      next.engine.deliverAgain()
      expect(numbers(again)).toEqual(expected)
      next.engine.wentBlind(spot(2))
      expect(numbers(next.reports)).toEqual([2])
      expect(numbers(again)).toEqual(expected)
      baseline.close()
    }
  })

  test('waits while a reader stalls, in its order, and comes again when that was the end', () => {
    const path = join(folderForTest(), 'baseline.db')
    const stalled = new Baseline(path)
    let isEmitted = true
    const { engine, reports } = new Run(stalled, { isEmitted: () => isEmitted })
    engine.wentBlind(spot(1))
    isEmitted = false
    for (const number of [2, 3]) engine.wentBlind(spot(number))
    engine.deliver()
    expect(numbers(reports)).toEqual([1])
    isEmitted = true
    engine.deliver()
    expect(numbers(reports)).toEqual([1, 2, 3])
    isEmitted = false
    engine.wentBlind(spot(4))
    stalled.close()
    const again: Report[] = []
    new Run(newBaseline(path), { emitAgain: (report) => void again.push(report) }).engine.deliverAgain()
    expect(numbers(again)).toEqual([4])
  })
})

describe('law: wherever an agent dies, the next one reports and learns what one would have done that did not die', () => {
  const log = ordinaryLife(
    new LogBuilder(NOON_MS).create(CRON, '/q/1').create(CRON, '/q/2').create(CRON, '/q/3'),
  )
  // A window of the training with a gap and a line that cannot be read, and one behind it.
  const trained = log.text
  const at = (seconds: number): number => trained.indexOf(`audit(${NOON_MS / 1000 + seconds}.`) - 13
  log.text = `${trained.slice(0, trained.indexOf('\n', at(25)) + 1)}no record\n${trained.slice(trained.indexOf('\n', at(25)) + 1)}`
  log.create(CRON, '/q/4').after(3000)
  for (let number = 0; number < 5400; number++) {
    log.connect(NGINX, `10.1.${number >> 8}.${number & 255}`, 80)
    if (number % 1000 === 0) log.create(CRON, DB).create(NGINX, DB).after(100)
  }
  log.create(CRON, '/etc/cron.d/x').lose(3).after(WINDOW_MS)
  for (let number = 0; number < 4; number++) {
    log.create(CRON, `/r/${number}`).create(CRON, DB).connect(NGINX, '10.1.0.1', 80)
    log.junk().after(WINDOW_MS / 2)
  }
  const { bytes } = log

  interface Outcome {
    readonly reports: readonly string[]
    readonly learned: readonly string[]
  }

  /** What is among these and not among those. */
  function lacking(these: readonly string[], those: readonly string[]): string[] {
    const there = new Set(those)
    return these.filter((each) => !there.has(each))
  }

  function outcome(path: string, cuts: readonly number[], rebase: boolean): Outcome {
    const reports: Report[] = []
    for (const [index, to] of [...cuts, bytes.length].entries()) {
      const baseline = new Baseline(path)
      const emit = (report: Report): void => void reports.push(report)
      const run = new Run(baseline, { own: agent(10 + index), rebase, emit })
      run.engine.begin(NOON_MS, [])
      run.read(bytes, to)
      if (index === cuts.length) {
        run.engine.idle(log.timeMs + WINDOW_MS)
        run.engine.end()
      }
      baseline.close()
    }
    const database = new Database(path, { readonly: true })
    const unseen = database
      .prepare(
        'SELECT chain, kind, sightings, first_ms, last_ms, degraded FROM findings ORDER BY chain, kind',
      )
      .all()
    database.close()
    return {
      reports: reports
        .filter((report) => report.kind !== 'summary')
        .filter((report) => report.kind !== 'tamper' || report.reason !== 'agent-stopped')
        .map((report) => JSON.stringify(report))
        // Of events with the same stamp.
        .sort(),
      learned: [...edgesIn(path), ...exportBaseline(path), ...unseen].map((each) => JSON.stringify(each)),
    }
  }

  test.each([false, true])(
    'with --rebase: %s',
    (rebase) => {
      const folder = folderForTest()
      const whole = outcome(join(folder, 'whole.db'), [], rebase)
      for (const word of [
        '"shed"',
        '"own-files"',
        '"serial-gap"',
        '"unreadable-line"',
        '"pattern"',
        '/etc/cron.d/x',
      ])
        expect(whole.reports.some((report) => report.includes(word))).toBe(true)
      let run = 0
      fc.assert(
        fc.property(fc.uniqueArray(fc.nat(bytes.length), { maxLength: 4 }), (places) => {
          const cuts = places.sort((one, other) => one - other)
          const cut = outcome(join(folder, `${run++}.db`), cuts, rebase)
          // Not all of it is to be printed.
          expect(lacking(cut.reports, whole.reports)).toEqual([])
          expect(lacking(whole.reports, cut.reports)).toEqual([])
          expect(cut.reports).toHaveLength(whole.reports.length)
          expect(lacking(cut.learned, whole.learned)).toEqual([])
          expect(cut.learned).toHaveLength(whole.learned.length)
        }),
        { numRuns: 10 },
      )
    },
    120_000,
  )
})
