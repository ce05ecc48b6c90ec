import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Report } from '../../agent/domain/report.ts'
import { findingsOf, type ReportedFinding } from '../support/incidents.ts'

const ROOT = join(import.meta.dirname, '../..')
const HOST_A = join(ROOT, '../shared/corpus/host-a')
const isThere = existsSync(join(HOST_A, 'audit.log.xz'))
if (!isThere)
  process.stderr.write('host-a.test.ts: left out: the recording of host-a is not beside the checkout\n')

/** An event may carry a stamp this much older than the mark before it: the kernel's clock is coarse. */
const COARSE_MS = 10
const APP = 'proc::app:/usr/bin/python3.11</srv/app/app.py'
const MOST_MEMORY_KB = 150_000

interface Mark {
  readonly t: number
  readonly kind: 'phase' | 'attack'
  readonly name: string
}

/** A live host with known attacks: eight minutes of training, four of ordinary life, eighteen attack steps. */
describe.skipIf(!isThere)('the recording of host-a', () => {
  const directory = mkdtempSync(join(tmpdir(), 'fullmon-host-a-'))
  const log = join(directory, 'audit.log')
  let marks: readonly Mark[] = []
  let replayed: Replayed

  const markMs = (name: string): number => (marks.find((mark) => mark.name === name)?.t ?? Number.NaN) * 1000
  const between = (fromMs: number, toMs: number): ReportedFinding[] =>
    findingsOf(replayed.reports).filter(({ timeMs }) => timeMs >= fromMs - COARSE_MS && timeMs < toMs)

  beforeAll(async () => {
    execFileSync('sh', ['-c', `xz -dc '${join(HOST_A, 'audit.log.xz')}' >'${log}'`])
    marks = readFileSync(join(HOST_A, 'phases.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Mark)
    replayed = await replay([log, '--train-until', String(markMs('benign') / 1000), '--json'])
  })

  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test('is read whole', () => {
    expect(replayed.reports.at(-1)).toMatchObject({
      kind: 'summary',
      records: 419_990,
      unreadable: 0,
      lost: 0,
    })
  })

  test('every attack step has a finding of its own', () => {
    const steps = marks.filter(({ kind }) => kind === 'attack')
    const ends = [...steps.slice(1).map(({ name }) => markMs(name)), markMs('end')]
    // What a rule has told whole is told by no other incident.
    const timesMs = replayed.reports.flatMap((report) =>
      report.kind === 'incident' ? report.edges.map(({ firstMs }) => firstMs) : [],
    )
    const isTold = (fromMs: number, toMs: number): boolean =>
      timesMs.some((timeMs) => timeMs >= fromMs - COARSE_MS && timeMs < toMs)
    const unseen = steps.filter(({ name }, index) => !isTold(markMs(name), ends[index] ?? 0))
    expect(steps).toHaveLength(18)
    expect(unseen.map(({ name }) => name)).toEqual([])
  })

  test('ordinary life gives no finding: the addresses of one name are a network that was learned', () => {
    expect(between(markMs('benign'), markMs('attack') - 2 * COARSE_MS)).toEqual([])
    expect(replayed.reports).toContainEqual(
      expect.objectContaining({ kind: 'pattern', pattern: `${APP}->host:203.0.113.0/24:8080` }),
    )
  })

  test('with the answers of DNS they are that name, and who connects to no name is told by the address', async () => {
    const dns = join(directory, 'dns.pcap')
    execFileSync('sh', ['-c', `xz -dc '${join(HOST_A, 'dns.pcap.xz')}' >'${dns}'`])
    const until = String(markMs('benign') / 1000)
    const { reports } = await replay([log, '--train-until', until, '--dns', dns, '--json'])
    const findings = findingsOf(reports)
    expect(findings.filter(({ timeMs }) => timeMs < markMs('attack') - 2 * COARSE_MS)).toEqual([])
    expect(reports.filter((report) => report.kind === 'pattern' && report.action === 'connect')).toEqual([])
    const peers = findings.filter(({ edge }) => edge.kind === 'connect').map(({ edge }) => edge.to)
    for (const peer of ['evil.test:8080', '203.0.113.66:4444', '203.0.113.251:8080', '198.51.100.77:443'])
      expect(peers).toContain(`host:${peer}`)
    expect(reports.at(-1)).toMatchObject({ dns: { answers: 1945, unread: 0, distrusted: 0 } })
  })

  test('no file that gzip made in /tmp appears below the directory of its parent', () => {
    const text = JSON.stringify(replayed.reports)
    expect(text).toContain('/tmp/tmp')
    expect(text).not.toContain('/srv/app/tmp')
  })

  test('nor in what events shows, learned or not', () => {
    const command = `'${join(ROOT, 'scripts/fullmon')}' events --json '${log}'`
    const found = execFileSync('sh', ['-c', `${command} | grep -oE '"path":"/(tmp|srv/app)/tmp' | sort -u`])
    expect(found.toString()).toBe('"path":"/tmp/tmp\n')
  })

  test('a second replay prints the same, byte for byte', async () => {
    const again = await replay([log, '--train-until', String(markMs('benign') / 1000), '--json'])
    expect(again.stdout === replayed.stdout).toBe(true)
  })

  test(`stays below ${MOST_MEMORY_KB / 1000} MB of memory`, () => {
    expect(replayed.peakKb).toBeGreaterThan(0)
    expect(replayed.peakKb).toBeLessThan(MOST_MEMORY_KB)
  })
})

interface Replayed {
  readonly stdout: string
  readonly reports: readonly Report[]
  /** Largest resident set that was seen while it ran. */
  readonly peakKb: number
}

function replay(words: readonly string[]): Promise<Replayed> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(ROOT, 'scripts/fullmon'), ['replay', ...words], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let stdout = ''
    let peakKb = 0
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    const looking = setInterval(() => {
      try {
        const status = readFileSync(`/proc/${child.pid}/status`, 'latin1')
        peakKb = Math.max(peakKb, Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0))
      } catch {
        // It has just ended.
      }
    }, 5)
    child.once('close', (code) => {
      clearInterval(looking)
      if (code !== 0) {
        reject(new Error(`replay ended with ${code}`))
        return
      }
      const reports = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Report)
      resolve({ stdout, reports, peakKb })
    })
  })
}
