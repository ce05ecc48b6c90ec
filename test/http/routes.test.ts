import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import type { Edge } from '../../agent/domain/edge.ts'
import type { ProcessScan, ScannedProcess } from '../../agent/domain/scan.ts'
import { Counter } from '../../agent/http/counter.ts'
import { LiveState } from '../../agent/http/live-state.ts'
import { type Answer, answerTo } from '../../agent/http/routes.ts'
import { AgentSources } from '../../agent/http/sources.ts'
import { folderForTest } from '../support/folder.ts'
import { reportNext } from '../support/incidents.ts'

const NOON_MS = Date.parse('2026-11-20T12:00:00Z')
const SHELL = 'proc::root:/usr/bin/dash'
const LS = 'proc::root:/usr/bin/ls'
const CAT = 'proc::root:/usr/bin/cat'
const EVIL = 'host:203.0.113.66:4444'
const OBSERVED = {
  source: 'missing' as const,
  ...{ title: 'it does not run', reasons: ['it is required'], next: [], subject: {} },
}

/** A baseline with a few edges, an incident and alerts, and an agent that has said something of itself. */
async function host(fill?: (baseline: Baseline) => void) {
  const db = join(folderForTest(), 'baseline.db')
  const baseline = new Baseline(db)
  baseline.batch(() => {
    baseline.trainings.begin(NOON_MS, 60_000)
    baseline.trainings.extend(NOON_MS + 60_000, true)
    for (const to of [LS, CAT]) baseline.edges.learn({ kind: 'exec', from: SHELL, to }, NOON_MS)
    baseline.edges.learn({ kind: 'connect', from: LS, to: 'host:192.0.2.1:53' }, NOON_MS)
    fill?.(baseline)
  })
  baseline.close()
  const live = new LiveState(NOON_MS)
  live.enter({ name: 'monitoring', edges: 3, unlearned: 0 })
  const counter = new Counter(db)
  await counter.refresh()
  const sources = new AgentSources(db, live, counter, { version: '1.2.3', commit: '9e2cfdb12345' })
  const get = (target: string): Answer => answerTo({ method: 'GET', target }, sources)
  return { db, live, sources, get, json: (target: string): unknown => JSON.parse(get(target).text) }
}

/** Something unseen that becomes incident 1. */
function meets(baseline: Baseline, edge: Edge, chain: readonly string[]): void {
  baseline.unseen.saw({
    ...{ edge, chain, firstMs: NOON_MS, tree: 'tree', parent: '', bits: 9 },
    evidence: {
      ...{ node: '', serial: 1, syscall: 'connect', pid: 1, ppid: 0, auid: 0, comm: 'ls', argv: ['ls'] },
      count: 1,
    },
  })
  reportNext(baseline, NOON_MS + 1000)
}

/** A scan that has found these. */
const scanOf = (...found: readonly Partial<ScannedProcess>[]): ProcessScan => ({
  ...{ kind: 'scan', timeMs: NOON_MS, surpriseFrom: [], unlearned: null, busyMs: 1 },
  suspicious: found.filter(({ isSuspicious }) => isSuspicious).length,
  unread: { exe: 0, memory: 0, sockets: 0, cut: 0, isHidden: false },
  processes: found.map((process, index) => ({
    ...{
      pid: index,
      ppid: 1,
      name: SHELL,
      uid: 0,
      user: 'root',
      container: '',
      exe: '/bin/sh',
      script: null,
      forged: null,
    },
    ...{
      comm: 'sh',
      argv: [],
      startMs: 0,
      rssBytes: 0,
      cpuPercent: 0,
      tty: null,
      listens: [],
      connections: 0,
    },
    ...{ sha256: null, marks: [], surprise: null, surpriseReasons: [], score: 0, allowlistedBy: null },
    ...{ isSuspicious: false, ...process },
  })),
})

describe('/healthz', () => {
  test('answers 200 while nothing is open, and 503 with the reasons until somebody has seen to it', async () => {
    const { db, get, json } = await host()
    expect(get('/healthz')).toMatchObject({ status: 200 })
    expect(json('/healthz')).toMatchObject({ healthy: true, phase: 'monitoring', reasons: [], scan: null })
    const baseline = new Baseline(db)
    baseline.batch(() => baseline.alerts.raise({ ...OBSERVED, key: 'nginx', severity: 'high' }, NOON_MS))
    baseline.close()
    expect(get('/healthz').status).toBe(503)
    expect(json('/healthz')).toMatchObject({
      healthy: false,
      reasons: [
        { code: 'alerts', severity: 'high', text: '1 high alert is open: it does not run [alert 1]' },
      ],
      alerts: { high: { open: 1, acknowledged: 0, muted: 0 }, low: { open: 0 } },
    })
  })

  test('tells when nobody looks at the kernel, as for the log of another host', async () => {
    const { live, get, json } = await host()
    expect(json('/healthz')).toMatchObject({ kernel: 'watched' })
    expect(get('/metrics').text).toContain('\nfullmon_kernel_watched 1\n')
    live.enter({ name: 'unwatched', reason: 'x' })
    expect(json('/healthz')).toMatchObject({ healthy: true, kernel: 'unwatched', phase: 'monitoring' })
    expect(get('/metrics').text).toContain('\nfullmon_kernel_watched 0\n')
  })

  test('answers 503 while something is not seen', async () => {
    const { live, get, json } = await host()
    const spot = {
      kind: 'blind-spot',
      reason: 'never-task',
      fromMs: 1,
      toMs: 2,
      count: 1,
      detail: 'x',
    } as const
    live.see({ ...spot, isOngoing: true })
    expect(get('/healthz').status).toBe(503)
    expect(json('/healthz')).toMatchObject({ reasons: [{ code: 'blind', text: 'never-task: x' }] })
    live.see(spot)
    expect(get('/healthz').status).toBe(200)
  })

  test('says why the baseline cannot be read', () => {
    const db = join(folderForTest(), 'none.db')
    const live = new LiveState(NOON_MS)
    const sources = new AgentSources(db, live, new Counter(db), { version: '1.2.3', commit: '9e2cfdb12345' })
    const answer = answerTo({ method: 'GET', target: '/healthz' }, sources)
    expect(answer.status).toBe(503)
    expect(JSON.parse(answer.text)).toMatchObject({
      healthy: false,
      phase: 'starting',
      alerts: null,
      reasons: [{ code: 'unreadable', text: expect.stringContaining('there is no baseline at') as string }],
    })
    const metrics = answerTo({ method: 'GET', target: '/metrics' }, sources)
    expect(metrics.status).toBe(200)
    expect(metrics.text).toContain('\nfullmon_baseline_readable 0\n')
    for (const target of ['/api/alerts', '/api/baseline', '/api/graph?incident=1'])
      expect(answerTo({ method: 'GET', target }, sources).status).toBe(503)
  })
})

describe('/metrics', () => {
  test('measures what the baseline holds and what the agent has done', async () => {
    const { live, get } = await host((baseline) =>
      baseline.alerts.raise({ ...OBSERVED, key: 'a', severity: 'medium' }, NOON_MS),
    )
    live.pulse = {
      ...{ atMs: Date.now(), records: 12, events: 5, unreadable: 1, lost: 2, forged: 3 },
      ...{ readMs: Date.now(), behindBytes: 0 },
    }
    live.scan = scanOf({}, { score: 4, isSuspicious: true }, {})
    const { type, text } = get('/metrics')
    expect(type).toBe('text/plain; version=0.0.4; charset=utf-8')
    const lines = text.split('\n')
    for (const line of [
      `fullmon_build_info{version="1.2.3",commit="9e2cfdb12345",node="${process.version}"} 1`,
      'fullmon_healthy 0',
      'fullmon_phase{phase="monitoring"} 1',
      'fullmon_phase{phase="training"} 0',
      'fullmon_edges{kind="exec"} 2',
      'fullmon_edges{kind="connect"} 1',
      'fullmon_nodes 4',
      'fullmon_records_total 12',
      'fullmon_events_total 5',
      'fullmon_unreadable_lines_total 1',
      'fullmon_lost_events_total 2',
      'fullmon_forged_lines_total 3',
      'fullmon_log_behind_bytes 0',
      'fullmon_log_behind_seconds 0',
      'fullmon_alerts{severity="medium",state="open"} 1',
      'fullmon_scan_processes 3',
      'fullmon_scan_suspicious 1',
      `fullmon_scan_time_seconds ${NOON_MS / 1000}`,
      'fullmon_baseline_readable 1',
    ])
      expect(lines).toContain(line)
  })

  const promtool = spawnSync('promtool', ['--version']).status === 0
  test.skipIf(!promtool)('is what Prometheus itself would have', async () => {
    const { get } = await host()
    const said = spawnSync('promtool', ['check', 'metrics'], {
      input: get('/metrics').text,
      encoding: 'utf8',
    })
    expect(said).toMatchObject({ status: 0, stderr: '' })
  })
})

describe('/api/alerts', () => {
  const filled = (): ReturnType<typeof host> =>
    host(({ alerts }) => {
      for (const [index, severity] of (['low', 'critical', 'medium', 'high'] as const).entries())
        alerts.raise({ ...OBSERVED, key: severity, severity }, NOON_MS + index)
    })

  test.each([
    ['', [4, 3, 2, 1]],
    ['?limit=2', [4, 3]],
    ['?severity=high', [4, 2]],
    ['?severity=low&state=open&limit=1', [4]],
    ['?state=reset', []],
  ])('%s', async (query, ids) => {
    const { json } = await filled()
    const { alerts } = json(`/api/alerts${query}`) as { alerts: { id: number }[] }
    expect(alerts.map(({ id }) => id)).toEqual(ids)
  })

  test('has all that is known of one', async () => {
    const { json } = await filled()
    expect(json('/api/alerts?limit=1')).toEqual({
      alerts: [
        {
          ...{ ...OBSERVED, kind: 'alert', id: 4, key: 'high', severity: 'high', state: 'open', count: 1 },
          ...{ firstMs: NOON_MS + 3, lastMs: NOON_MS + 3, isPresent: true },
        },
      ],
    })
  })
})

test('the processes are those of the last scan, and there is none before it', async () => {
  const { live, get, json } = await host()
  for (const target of ['/api/processes', '/api/suspicious'])
    expect(get(target)).toMatchObject({ status: 503, text: expect.stringContaining('not scanned') as string })
  const bad = { isSuspicious: true }
  live.scan = scanOf(
    { pid: 1, rssBytes: 5 },
    { ...bad, pid: 2, score: 3, argv: ['\u001b[2J'] },
    { pid: 3, rssBytes: 9 },
    { ...bad, pid: 4, score: 7 },
  )
  const pids = (which: string): unknown =>
    (json(`/api/${which}`) as Record<string, { pid: number }[]>)[which]?.map(({ pid }) => pid)
  expect(pids('processes')).toEqual([3, 1, 2, 4])
  expect(pids('suspicious')).toEqual([4, 2])
  expect(json('/api/suspicious')).toMatchObject({ timeMs: NOON_MS, unread: { exe: 0, isHidden: false } })
  expect(get('/api/suspicious').text).toContain('"argv":["\\u001b[2J"]')
})

test('the baseline and the status are what the commands say', async () => {
  const { db, json } = await host()
  const main = join(import.meta.dirname, '../../agent/main.ts')
  const { stdout } = spawnSync(process.execPath, [main, 'status', '--json', '--db', db], { encoding: 'utf8' })
  expect(json('/api/status')).toEqual(JSON.parse(stdout))
  expect(json('/api/baseline')).toMatchObject({
    db,
    phase: 'trained',
    trainings: [{ fromMs: NOON_MS, toMs: NOON_MS + 60_000, plannedMs: 60_000, finished: true }],
    edges: { exec: 2, connect: 1, write: 0 },
    nodes: 4,
  })
})

describe('/api/graph', () => {
  const graph = (answer: unknown): { nodes: string[]; edges: Record<string, unknown>[]; isCut: boolean } =>
    answer as ReturnType<typeof graph>
  const incident = (): ReturnType<typeof host> =>
    host((baseline) =>
      meets(baseline, { kind: 'connect', from: LS, to: EVIL }, ['proc::root:/sbin/new', SHELL, LS, EVIL]),
    )

  test('an incident is its edges and the way to them, known or not', async () => {
    const { json } = await incident()
    const { nodes, edges, isCut } = graph(json('/api/graph?incident=1'))
    expect(nodes.toSorted()).toEqual(['proc::root:/sbin/new', SHELL, LS, EVIL].toSorted())
    expect(edges.map(({ kind, from, to, state }) => [kind, from, to, state])).toEqual([
      ['connect', LS, EVIL, 'unseen'],
      ['exec', 'proc::root:/sbin/new', SHELL, 'unseen'],
      ['exec', SHELL, LS, 'known'],
    ])
    expect(edges[0]).toMatchObject({ incident: 1, count: 1, firstMs: NOON_MS })
    expect(isCut).toBe(false)
  })

  test('a neighbourhood goes in both directions, as far as is wanted', async () => {
    const { json } = await incident()
    const around = (node: string, depth: number): string[] =>
      graph(json(`/api/graph?node=${encodeURIComponent(node)}&depth=${depth}`))
        .edges.map(({ from, to, state }) => `${String(from)} ${String(to)} ${String(state)}`)
        .sort()
    const direct = [`${LS} ${EVIL} unseen`, `${LS} host:192.0.2.1:53 known`, `${SHELL} ${LS} known`].sort()
    expect(around(LS, 1)).toEqual(direct)
    expect(around(LS, 2)).toEqual([...direct, `${SHELL} ${CAT} known`].sort())
    expect(around(EVIL, 1)).toEqual([`${LS} ${EVIL} unseen`])
    expect(around(EVIL, 3)).toEqual([...direct, `${SHELL} ${CAT} known`].sort())
  })

  test('a crowded one is cut', async () => {
    const { json } = await host((baseline) => {
      for (let number = 0; number < 700; number++)
        baseline.edges.learn({ kind: 'write', from: CAT, to: `file:write:/srv/${number}` }, NOON_MS)
    })
    const { nodes, edges, isCut } = graph(json(`/api/graph?node=${SHELL}&depth=3`))
    expect({ edges: edges.length, isCut }).toEqual({ edges: 500, isCut: true })
    expect(edges.map(({ to }) => to)).toContain(LS)
    expect(new Set(edges.flatMap(({ from, to }) => [from, to]))).toEqual(new Set(nodes))
  })

  test('of what is not there is none', async () => {
    const { get } = await incident()
    expect(get('/api/graph?incident=2')).toMatchObject({ status: 404 })
    expect(get('/api/graph?node=proc::root:/none')).toMatchObject({ status: 404 })
  })
})

describe('a question that makes no sense', () => {
  test.each([
    ['/nowhere', 404],
    ['/', 404],
    ['//healthz', 404],
    ['*', 404],
    ['/healthz?x=1', 400],
    ['/api/alerts?state=broken', 400],
    ['/api/alerts?severity=', 400],
    ['/api/alerts?limit=0', 400],
    ['/api/alerts?limit=1001', 400],
    ['/api/alerts?limit=1e3', 400],
    ['/api/alerts?limit=1&limit=2', 400],
    ['/api/alerts?__proto__=1', 400],
    ['/api/graph', 400],
    ['/api/graph?incident=x', 400],
    ['/api/graph?incident=1&node=x', 400],
    ['/api/graph?node=x&depth=4', 400],
    ['/api/graph?incident=1&depth=1', 400],
  ])('%s', async (target, status) => {
    const { get } = await host()
    const answer = get(target)
    expect(answer.status).toBe(status)
    expect(JSON.parse(answer.text)).toEqual({ error: expect.any(String) as string })
  })

  test('is one that would change something', async () => {
    const { sources } = await host()
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'])
      expect(answerTo({ method, target: '/healthz' }, sources)).toMatchObject({
        status: 405,
        headers: { Allow: 'GET, HEAD' },
      })
  })
})

test('what an attacker has named moves no cursor', async () => {
  const { get } = await host()
  const { text } = get('/api/graph?node=%1b%5b2J%e2%80%ae%c2%9b')
  expect(text).toMatch(/^[\x20-\x7e]+\n$/)
})
