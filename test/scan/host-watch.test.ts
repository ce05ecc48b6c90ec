import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Config } from '../../agent/config/config.ts'
import type { BlindSpot } from '../../agent/domain/report.ts'
import type { ScannedProcess } from '../../agent/domain/scan.ts'
import { HostWatch } from '../../agent/scan/host-watch.ts'
import { suspiciousProcesses } from '../../agent/scan/suspicious.ts'
import { containerForTest } from '../support/container.ts'
import { folderForTest } from '../support/folder.ts'
import { mountUnavailable } from '../support/mount.ts'

const unavailable = mountUnavailable()
if (unavailable !== undefined) process.stderr.write(`host-watch.test.ts: left out: ${unavailable}\n`)

const settings = (): Config => Config.parse({ db: join(folderForTest(), 'none.db') })

const SUSPECT: ScannedProcess = {
  ...{ pid: 10, ppid: 1, uid: 33, user: 'www-data', container: '', exe: '/tmp/x\n', script: null, comm: 'x' },
  ...{
    argv: ['./x\n', '-p'],
    startMs: 0,
    rssBytes: 1,
    cpuPercent: 0,
    tty: null,
    listens: [],
    connections: 0,
  },
  ...{ name: 'proc::www-data:/tmp/x\\x0a', sha256: null },
  marks: [
    { heuristic: 'tmp_exe', points: 4, reason: 'its program is in /tmp' },
    { heuristic: 'high_cpu', points: 1, reason: 'it takes 99 %' },
  ],
  ...{
    surprise: 1,
    surpriseReasons: ['it was never seen'],
    score: 7,
    allowlistedBy: null,
    isSuspicious: true,
  },
}

describe('suspicious processes', () => {
  test('of one program are one alert, whatever their pids and what they work just now', () => {
    const [mark] = SUSPECT.marks
    const other = { ...SUSPECT, pid: 11, score: 6, marks: mark === undefined ? [] : [mark] }
    const [one, ...others] = suspiciousProcesses([other, SUSPECT, { ...SUSPECT, isSuspicious: false }])
    expect(others).toEqual([])
    expect(one).toMatchObject({ source: 'process', severity: 'high', subject: { pids: [11, 10], score: 7 } })
    const again = suspiciousProcesses([{ ...other, pid: 99 }])
    expect(again.map(({ key }) => key)).toEqual([one?.key])
  })

  test('of another user, program or sign are another alert', () => {
    const [first] = SUSPECT.marks
    const others: ScannedProcess[] = [
      { ...SUSPECT, user: 'root' },
      { ...SUSPECT, exe: '/tmp/y' },
      { ...SUSPECT, script: '/srv/x.py' },
      { ...SUSPECT, container: 'abc' },
      { ...SUSPECT, marks: first === undefined ? [] : [{ ...first, heuristic: 'memfd_exe' }] },
    ]
    expect(new Set(suspiciousProcesses([SUSPECT, ...others]).map(({ key }) => key)).size).toBe(6)
  })

  test('write no second line', () => {
    const [{ title, subject } = { title: '\n', subject: {} }] = suspiciousProcesses([SUSPECT])
    expect(title).toContain('/tmp/x\\x0a of www-data')
    expect(JSON.stringify(subject)).not.toContain('\\n')
  })

  test('that are allowlisted and too grave all the same are less grave', () => {
    const [alert] = suspiciousProcesses([{ ...SUSPECT, allowlistedBy: 'names: x' }])
    expect(alert).toMatchObject({ severity: 'medium' })
    expect(alert?.reasons.at(-1)).toBe('it is allowlisted (names: x), and still too grave')
  })
})

describe.skipIf(unavailable !== undefined)('a look', () => {
  const { signal } = new AbortController()

  test('tells what it cannot see when that lasts, and once', async () => {
    const container = await containerForTest(join(folderForTest(), 'diff'))
    const watch = new HostWatch(settings())
    const spots: BlindSpot[] = []
    const onBlind = (spot: BlindSpot): void => void spots.push(spot)
    const look = async (): Promise<void> => {
      await watch.look(Date.now(), { isTraining: false, signal, onBlind })
    }
    const told = (): string[] =>
      spots.filter(({ detail }) => detail.includes(container.upper)).map(({ reason }) => reason)
    await look()
    mkdirSync(join(container.upper, Array.from({ length: 80 }, () => 'd').join('/')), { recursive: true })
    // Layers are not looked at as often as that.
    while (told().length === 0) await look()
    for (let more = 0; more < 3; more++) await look()
    expect(told()).toEqual(['host-unscanned'])
  })

  test('ends when it is told to, and one at a time', async () => {
    const watch = new HostWatch(settings())
    const over = new AbortController()
    const options = { isTraining: false, signal: over.signal, onBlind: () => undefined }
    const looks = Promise.all([watch.look(1, options), watch.look(1, options)])
    over.abort()
    expect(await looks).toEqual([undefined, undefined])
  })

  test('takes for usual what is suspicious while it learns', async () => {
    const watch = new HostWatch(settings())
    const count = async (isTraining: boolean): Promise<unknown> =>
      (await watch.look(1, { isTraining, signal, onBlind: () => undefined }))?.find(
        ({ source }) => source === 'count',
      )?.observations
    expect(await count(true)).toEqual([])
    const memory = watch.takeMemory()
    const usual = (memory.get('host') as { usual: number }).usual
    expect(usual).toBe(watch.latest?.suspicious)
    const next = new HostWatch(settings())
    next.restore((name) =>
      name === 'host' ? { ...(memory.get(name) as object), usual: usual + 5 } : undefined,
    )
    const [look] =
      (await next.look(1, { isTraining: false, signal, onBlind: () => undefined }))?.filter(
        ({ source }) => source === 'count',
      ) ?? []
    expect(look?.observations).toMatchObject([
      { severity: 'low', subject: { before: usual + 5, count: next.latest?.suspicious } },
    ])
  })
})
