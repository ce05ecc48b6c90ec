/** A recording of a real apt-get on a real Debian: test/support/record-packages.ts. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { Baseline } from '../agent/baseline/baseline.ts'
import type { Report } from '../agent/domain/report.ts'
import { replay } from './support/engine.ts'
import { expectInstallation, expectLoud, expectQuiet, Told } from './support/packages.ts'
import type { Marks } from './support/workload/packages.ts'

const FOLDER = join(import.meta.dirname, 'fixtures/packages')
const WINDOW_MS = 3000

describe('packages that come and go', () => {
  const marks = JSON.parse(readFileSync(join(FOLDER, 'marks.json'), 'utf8')) as Marks
  let log: Buffer
  let reports: Report[]
  let told: Told

  function played(pieces: readonly Buffer[]): Report[] {
    const baseline = new Baseline(':memory:')
    const plan = { kind: 'until', timeMs: (marks['update'] ?? 0) - 100 } as const
    const told = replay(pieces, { plan, monitorMs: WINDOW_MS }, baseline)
    baseline.close()
    return told
  }

  beforeAll(() => {
    log = gunzipSync(readFileSync(join(FOLDER, 'audit.log.gz')))
    reports = played([log])
    told = new Told(reports, marks)
  })

  test('are one incident of maintenance, and a program run by hand meanwhile one of its own', () => {
    expectInstallation(told)
  })

  test('make no alert, whether they are fetched, put in place again, used or removed', () => {
    expectQuiet(told)
  })

  test('hide nobody who uses them as a way in', () => {
    expectLoud(told)
  })

  test('are told the same however the log comes in', () => {
    const pieces: Buffer[] = []
    for (let at = 0; at < log.length; at += 100_000) pieces.push(log.subarray(at, at + 100_000))
    expect(played(pieces)).toEqual(reports)
  })
})
