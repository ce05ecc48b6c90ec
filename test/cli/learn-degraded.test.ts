/** `--learn-degraded`, from the words of the user to what is normal afterwards. */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { edgesIn } from '../../agent/baseline/transfer.ts'
import type { Report } from '../../agent/domain/report.ts'
import { NOON_MS } from '../support/engine.ts'
import { folderForTest } from '../support/folder.ts'
import { type Doer, LogBuilder } from '../support/log-builder.ts'

const MAIN = join(import.meta.dirname, '../../agent/main.ts')
const MINUTE_MS = 60_000
/** No process of this host has such a pid. */
const NGINX: Doer = { pid: 5_000_000, exe: '/usr/sbin/nginx', uid: 33 }

interface Outcome {
  readonly reports: readonly Report[]
  /** Last numbers of the addresses that are normal now. */
  readonly learned: readonly number[]
}

function fullmon(db: string, words: readonly string[], input: Buffer | string = ''): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words, '--db', db, '--json'], {
    encoding: 'utf8',
    input,
  })
  if (status !== 0) throw new Error(stderr)
  const reports = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Report)
  const learned = [...edgesIn(db)].map(({ to }) => Number(/10\.7\.(\d+)\.1/.exec(to)?.[1]))
  return { reports, learned: learned.sort((one, other) => one - other) }
}

/** Three minutes, each with an address of its own; in the second one serials are missing. */
function logWithGap(startMs: number, minuteMs: number): LogBuilder {
  const log = new LogBuilder(startMs)
  for (const number of [1, 2, 3]) {
    log.timeMs = startMs + (number - 1) * minuteMs
    log.connect(NGINX, `10.7.${number}.1`, 443)
    if (number === 2) log.lose(5)
    log.connect(NGINX, '10.7.4.1', 443)
  }
  return log
}

const saved = (): [db: string, log: string] => {
  const folder = folderForTest()
  const log = join(folder, 'audit.log')
  writeFileSync(log, logWithGap(NOON_MS, MINUTE_MS).bytes)
  return [join(folder, 'baseline.db'), log]
}

const gaps = ({ reports }: Outcome): number[] =>
  reports.flatMap((report) =>
    report.kind === 'blind-spot' && report.reason === 'serial-gap' ? [report.count] : [],
  )

describe.each([
  ['train --no-follow', (log: string) => ['train', '--no-follow', '--auditd', log]],
  ['replay --train', (log: string) => ['replay', log, '--train', '3600']],
  ['replay --train-until', (log: string) => ['replay', log, '--train-until', String(NOON_MS / 1000 + 3600)]],
])('%s', (_, words) => {
  test('learns nothing of the window with the gap, unless it is told to', () => {
    const [db, log] = saved()
    const careful = fullmon(db, words(log))
    expect(careful.learned).toEqual([1, 3, 4])
    expect(gaps(careful)).toEqual([5])
    const [otherDb, otherLog] = saved()
    const all = fullmon(otherDb, [...words(otherLog), '--learn-degraded'])
    expect(all.learned).toEqual([1, 2, 3, 4])
    // It is told all the same.
    expect(gaps(all)).toEqual([5])
  })
})

describe('run', () => {
  /** A training that standard input ends: all of it is one window. */
  const run = (words: readonly string[], config = ''): readonly number[] => {
    const folder = folderForTest()
    const file = join(folder, 'fullmon.yaml')
    writeFileSync(file, `baseline: 600\nmonitor: 300\n${config}\n`)
    const log = logWithGap(Date.now() - 1000, 100)
    const outcome = fullmon(
      join(folder, 'baseline.db'),
      ['run', '--auditd', '-', '--socket', '', '--config', file, ...words],
      log.bytes,
    )
    expect(gaps(outcome)).toEqual([5])
    return outcome.learned
  }

  test('learns nothing of a window with a gap, unless command line or configuration say so', () => {
    expect(run([])).toEqual([])
    expect(run(['--learn-degraded'])).toEqual([1, 2, 3, 4])
    expect(run([], 'learn-degraded: true')).toEqual([1, 2, 3, 4])
    expect(run(['--no-learn-degraded'], 'learn-degraded: true')).toEqual([])
  }, 30_000)
})
