import { expect, test } from 'vitest'
import { Alerting } from '../../agent/alerting.ts'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { alertsIn } from '../../agent/baseline/alerts.ts'
import { AlertDecisions } from '../../agent/baseline/alert-decisions.ts'
import { isUnhandled, type Observation } from '../../agent/domain/alert.ts'
import type { Incident, Tamper } from '../../agent/domain/report.ts'
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

const BY_CAROL = { author: 'carol', reason: undefined, timeMs: 5000 }
const WHOLE = { timeMs: 1000, isDegraded: false, isWithheld: false }

const incident = (id: number): Incident => ({
  ...{ kind: 'incident', id, firstMs: 1000, lastMs: 1000, severity: 'high', score: 30, count: 1 },
  ...{ title: `something ${id}`, chain: ['proc::root:/bin/sh'], edges: [], reasons: [], next: [] },
})

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

/** So many things that are missing. */
const missing = (count: number, severity: Observation['severity'], from = 0): Observation[] =>
  Array.from({ length: count }, (_, index) => ({
    ...{ ...MISSING, severity, key: `${severity} ${from + index}` },
    title: `daemon ${from + index} does not run`,
  }))

test('what becomes graver is open again, whoever acknowledged or muted it', () => {
  const { look, path, baseline } = open()
  look([{ ...MISSING, severity: 'low' }], 1000)
  const decisions = new AlertDecisions(path)
  decisions.acknowledge({ ids: [1] }, BY_CAROL)
  decisions.mute({ ids: [1] }, BY_CAROL, 1e15)
  decisions.close()
  look([{ ...MISSING, severity: 'low' }], 2000)
  expect(alertsIn(path)).toMatchObject([{ state: 'acknowledged', mutedUntilMs: 1e15 }])
  expect(look([MISSING], 3000)).toMatchObject([{ id: 1, severity: 'high', state: 'open' }])
  expect(alertsIn(path)[0]).not.toHaveProperty('mutedUntilMs')
  baseline.close()
})

test('a flood is one alert beside those that have a row each, and hides none that is graver', () => {
  const { look, path, baseline } = open()
  const flood = missing(350, 'medium')
  expect(look(flood, 1000)).toHaveLength(101)
  const grave = missing(1, 'critical')
  expect(look([...flood, ...grave], 2000)).toMatchObject([{ severity: 'critical', title: grave[0]?.title }])
  const rest = alertsIn(path).find(({ title }) => title.startsWith('250 more required processes'))
  expect(rest).toMatchObject({ severity: 'medium', count: 1, isPresent: true, subject: { count: 250 } })
  expect(rest?.reasons.at(-1)).toBe('among them: daemon 349 does not run')
  // The same again is nothing new.
  expect(look([...flood, ...grave], 3000)).toEqual([])
  const ids = new AlertDecisions(path)
  expect(ids.reset({ source: 'missing' }, BY_CAROL).changed).toHaveLength(102)
  ids.close()
  // Others have the places now.
  expect(look(missing(50, 'medium', 300), 4000).map(({ title }) => title)).toContain(
    'daemon 349 does not run',
  )
  baseline.close()
})

test('what grows graver makes no room for more without an end', () => {
  const { look, path, baseline } = open()
  for (const [index, severity] of (['medium', 'high', 'critical'] as const).entries())
    for (let round = 0; round < 5; round++) {
      const many = missing(100, 'low', 100 * (5 * index + round))
      look(many, 1000)
      look(
        many.map((each) => ({ ...each, severity })),
        2000,
      )
    }
  baseline.close()
  // Four hundred with a row of their own, and one for the rest of each gravity.
  expect(alertsIn(path).length).toBeLessThanOrEqual(404)
})

test('incidents beyond measure are counted in one alert', () => {
  const { alerting, baseline, path } = open()
  baseline.batch(() => {
    for (let id = 1; id <= 130; id++) baseline.incidents.add(`tree ${id}`, incident(id), WHOLE)
    for (let id = 1; id <= 130; id++) alerting.take(incident(id))
  })
  baseline.close()
  const alerts = alertsIn(path)
  expect(alerts).toHaveLength(101)
  expect(alerts.at(-1)).toMatchObject({ count: 30, incident: 130, subject: { count: 30 } })
  expect(alerts.at(-1)?.title).toMatch(/^30 more incidents/)
})

test('only the last alerts that were reset are kept', () => {
  const { look, path, baseline } = open()
  const decisions = new AlertDecisions(path)
  for (let round = 0; round < 11; round++) {
    look(missing(100, 'high', 100 * round), 1000)
    decisions.reset({}, BY_CAROL)
  }
  decisions.close()
  baseline.close()
  const ids = alertsIn(path).map(({ id }) => id)
  expect(ids).toEqual(Array.from({ length: 1000 }, (_, index) => index + 101))
})
