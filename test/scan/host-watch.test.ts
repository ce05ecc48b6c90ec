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
  ...{
    pid: 10,
    ppid: 1,
    uid: 33,
    user: 'www-data',
    container: '',
    exe: '/tmp/x\n',
    script: null,
    forged: null,
    comm: 'x',
  },
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

  test('of many programs in one folder are one alert, but not those that packages bring', () => {
    const many = (folder: string, count: number): ScannedProcess[] =>
      Array.from({ length: count }, (_, index) => ({
        ...SUSPECT,
        ...{ pid: 100 + index, exe: `${folder}/p${index}`, argv: [`${folder}/p${index}`] },
      }))
    const [one, ...others] = suspiciousProcesses(many('/tmp/x', 300))
    expect(others).toEqual([])
    expect(one).toMatchObject({ severity: 'high', subject: { folder: '/tmp/x/', programs: 300 } })
    expect(one?.title).toMatch(
      /^300 suspicious programs in \/tmp\/x\/, such as \/tmp\/x\/p0, of www-data, 300 times/,
    )
    expect(suspiciousProcesses(many('/tmp/x', 200)).map(({ key }) => key)).toEqual([one?.key])
    expect(suspiciousProcesses(many('/tmp/x', 3))).toHaveLength(3)
    expect(suspiciousProcesses(many('/usr/bin', 9))).toHaveLength(9)
    const byTwo = many('/tmp/x', 20).map((process, index) => ({ ...process, user: `u${index % 2}` }))
    expect(suspiciousProcesses(byTwo)).toHaveLength(2)
    const scripts = many('/usr/bin', 9).map((process, index) => ({
      ...{ ...process, exe: '/usr/bin/python3', script: `/tmp/y/${index}.py` },
    }))
    expect(suspiciousProcesses(scripts)).toMatchObject([{ subject: { folder: '/tmp/y/', programs: 9 } }])
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

  test('tells once that more processes are suspicious, and not that fewer are', async () => {
    const watch = new HostWatch(settings())
    const changed = async (each: HostWatch, isTraining = false): Promise<unknown> =>
      (await each.look(1, { isTraining, signal, onBlind: () => undefined }))?.find(
        ({ source }) => source === 'count',
      )?.observations
    expect(await changed(watch, true)).toEqual([])
    const memory = watch.takeMemory()
    const { usual } = memory.get('host') as { usual: number }
    expect(usual).toBe(watch.latest?.suspicious)
    const rememberedAs = (count: number): HostWatch => {
      const next = new HostWatch(settings())
      next.restore((name) =>
        name === 'host' ? { ...(memory.get(name) as object), usual: count } : undefined,
      )
      return next
    }
    expect(await changed(rememberedAs(usual + 50))).toEqual([])
    const more = rememberedAs(-50)
    expect(await changed(more)).toMatchObject([
      { severity: 'low', subject: { before: -50, count: more.latest?.suspicious } },
    ])
    const told = (more.takeMemory().get('host') as { usual: number }).usual
    expect(told).toBe(more.latest?.suspicious)
  })
})
