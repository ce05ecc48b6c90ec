import { expect, test } from 'vitest'
import { Alerting } from '../../agent/alerting.ts'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { alertsIn } from '../../agent/baseline/alerts.ts'
import { isUnhandled, type Observation } from '../../agent/domain/alert.ts'
import type { Tamper } from '../../agent/domain/report.ts'
import { folderForTest } from '../support/folder.ts'

const MISSING: Observation = {
  source: 'missing',
  key: 'nginx',
  severity: 'high',
  title: 'nginx does not run',
  reasons: ['it is required'],
  next: ['systemctl status nginx'],
  subject: { name: 'nginx' },
}

/** A book over a file, with what it told since the last time. */
function open(path = `${folderForTest()}/baseline.db`) {
  const baseline = new Baseline(path)
  const alerting = new Alerting(baseline.alerts, 'medium')
  const look = (observations: readonly Observation[], timeMs: number) =>
    baseline.batch(() => alerting.look([{ source: 'missing', observations }], timeMs))
  return { path, baseline, alerting, look }
}

test('an alert is told once, and stays open when its cause is gone', () => {
  const { look, path, baseline } = open()
  expect(look([MISSING], 1000)).toMatchObject([
    { ...MISSING, kind: 'alert', id: 1, isPresent: true, count: 1 },
  ])
  expect(look([MISSING], 2000)).toEqual([])
  expect(look([], 3000)).toMatchObject([{ id: 1, state: 'open', isPresent: false }])
  expect(look([], 4000)).toEqual([])
  expect(look([MISSING], 5000)).toEqual([])
  // It comes and goes: that is counted, and not told.
  expect(look([], 6000)).toEqual([])
  baseline.close()
  expect(alertsIn(path)).toMatchObject([
    { id: 1, state: 'open', isPresent: false, count: 2, firstMs: 1000, lastMs: 5000 },
  ])
})

test('a restart neither forgets nor repeats one', () => {
  const { look, path, baseline } = open()
  look([MISSING], 1000)
  baseline.close()
  const again = open(path)
  expect(again.look([MISSING], 2000)).toEqual([])
  expect(again.look([], 3000)).toMatchObject([{ id: 1, isPresent: false }])
  again.baseline.close()
})

test('one that becomes graver is told again, and one that becomes less grave is not', () => {
  const { look, baseline } = open()
  look([{ ...MISSING, severity: 'low' }], 1000)
  expect(look([{ ...MISSING, severity: 'critical', title: 'worse' }], 2000)).toMatchObject([
    { id: 1, severity: 'critical', title: 'worse', count: 1 },
  ])
  expect(look([MISSING], 3000)).toEqual([])
  baseline.close()
})

test('tampering is the same alert while it is the same, and different when it is not', () => {
  const { alerting, baseline, path } = open()
  const tamper: Tamper = {
    ...{ kind: 'tamper', reason: 'rules-changed', timeMs: 1000, process: 'proc::root:/usr/sbin/auditctl' },
    ...{ chain: [], detail: 'rules were removed' },
  }
  baseline.batch(() => {
    alerting.take(tamper)
    alerting.take({ ...tamper, timeMs: 2000 })
    alerting.take({ ...tamper, timeMs: 3000, reason: 'audit-disabled' })
  })
  baseline.close()
  expect(alertsIn(path)).toMatchObject([
    { id: 1, source: 'tamper', severity: 'critical', count: 2, lastMs: 2000, isPresent: false },
    { id: 2, count: 1 },
  ])
})

test.each([
  ['open', undefined, true],
  ['open', 999, true],
  ['open', 1001, false],
  ['acknowledged', undefined, false],
  ['reset', undefined, false],
] as const)('an alert that is %s and muted until %s is unhandled: %s', (state, mutedUntilMs, expected) => {
  expect(isUnhandled({ state, ...(mutedUntilMs === undefined ? {} : { mutedUntilMs }) }, 1000)).toBe(expected)
})
