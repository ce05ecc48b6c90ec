/** Standard input has no place to begin at again: what a failed batch took must be handed on. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Baseline } from '../agent/baseline/baseline.ts'
import { edgesIn } from '../agent/baseline/transfer.ts'
import type { Report } from '../agent/domain/report.ts'
import type { Engine } from '../agent/engine.ts'
import { CRON, NGINX, NOON_MS, ordinaryLife, planAt, start } from './support/engine.ts'
import { findingsOf } from './support/incidents.ts'
import { folderForTest } from './support/folder.ts'
import { LogBuilder } from './support/log-builder.ts'

type Failing = 'never' | 'at its begin' | 'at its end'

class FaultyBaseline extends Baseline {
  failing: Failing = 'never'

  override batch<T>(work: (othersWrote: boolean) => T): T {
    const { failing } = this
    this.failing = 'never'
    if (failing === 'at its begin') throw new Error('the disk is full')
    return super.batch((othersWrote) => {
      const result = work(othersWrote)
      if (failing === 'at its end') throw new Error('the disk is full')
      return result
    })
  }
}

const log = ordinaryLife(new LogBuilder(NOON_MS))
for (let index = 0; index < 12; index++) {
  log.interleaved(
    (woven) => void woven.create(CRON, `/etc/cron.d/${'abcde'[index % 5] ?? ''}`),
    (woven) => void woven.connect(NGINX, `203.0.113.${index % 5}`, 4444),
    (woven) => void woven.connect(NGINX, '203.0.113.200', 80),
  )
  if (index === 6) log.junk().lose(3)
  log.after(3000)
}
const { bytes } = log

interface Outcome {
  readonly reports: readonly string[]
  readonly counted: readonly unknown[]
}

/** What the log shows and the baseline then has, with what fails, try by try. */
function outcome(path: string, cuts: readonly number[], failures: readonly Failing[]): Outcome {
  const reports: Report[] = []
  let baseline = new FaultyBaseline(path)
  const begin = (continuesStream: boolean): Engine =>
    start(baseline, {
      plan: planAt(baseline),
      log: '-',
      continuesStream,
      emit: (report) => void reports.push(report),
    }).engine
  let engine = begin(false)
  const waiting = cuts.map((cut, index) => bytes.subarray(cuts[index - 1] ?? 0, cut))
  waiting.push(bytes.subarray(cuts.at(-1) ?? 0))
  const faults = [...failures]
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    baseline.failing = faults.shift() ?? 'never'
    try {
      engine.ingest({ bytes: next, at: undefined })
    } catch {
      waiting.unshift(...engine.unsaved)
      baseline.close()
      baseline = new FaultyBaseline(path)
      engine = begin(true)
    }
  }
  engine.end()
  baseline.close()
  const database = new Database(path, { readonly: true })
  const unseen = database.prepare('SELECT chain, kind, sightings, last_ms FROM findings ORDER BY chain').all()
  database.close()
  return {
    reports: reports
      .filter(({ kind }) => kind === 'incident' || kind === 'blind-spot')
      .map((report) => JSON.stringify(report))
      // Of events with the same stamp.
      .sort(),
    counted: [...edgesIn(path), ...unseen],
  }
}

test('law: whichever chunks cannot be written, and however much of them was, nothing is lost and nothing comes twice', () => {
  const folder = folderForTest()
  const whole = outcome(join(folder, 'whole.db'), [], [])
  expect(findingsOf(whole.reports.map((text) => JSON.parse(text) as Report)).length).toBeGreaterThan(5)
  const failing = fc.constantFrom<Failing>('never', 'at its begin', 'at its end')
  let run = 0
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(bytes.length), { maxLength: 8 }),
      fc.array(failing, { maxLength: 16 }),
      (places, failures) => {
        const cuts = places.sort((one, other) => one - other)
        expect(outcome(join(folder, `${run++}.db`), cuts, failures)).toEqual(whole)
      },
    ),
    { numRuns: 60 },
  )
})
