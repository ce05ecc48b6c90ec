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
  expect(look(flood, 1000)).toHaveLength(51)
  const grave = missing(1, 'critical')
  expect(look([...flood, ...grave], 2000)).toMatchObject([{ severity: 'critical', title: grave[0]?.title }])
  const rest = alertsIn(path).find(({ title }) => title.startsWith('300 more required processes'))
  expect(rest).toMatchObject({ severity: 'medium', count: 1, isPresent: true, subject: { count: 300 } })
  expect(rest?.reasons.at(-1)).toBe('among them: daemon 349 does not run')
  // The same again is nothing new.
  expect(look([...flood, ...grave], 3000)).toEqual([])
  const ids = new AlertDecisions(path)
  expect(ids.reset({ source: 'missing' }, BY_CAROL).changed).toHaveLength(52)
  ids.close()
  // Others have the places now.
  expect(look(missing(50, 'medium', 300), 4000).map(({ title }) => title)).toContain(
    'daemon 349 does not run',
  )
  baseline.close()
})

/** So many suspicious processes of a user. */
const suspects = (count: number, user: string, container = ''): Observation[] =>
  Array.from({ length: count }, (_, index) => ({
    ...{ source: 'process', key: `${container} ${user} ${index}`, severity: 'high' },
    ...{ title: `program ${index} of ${user}`, reasons: [], next: [], subject: { user, container } },
  }))

test('nobody hides what another user does, and more and more of it is told again', () => {
  const { alerting, baseline, path } = open()
  const lookAt = (observations: readonly Observation[], timeMs: number) =>
    baseline.batch(() => alerting.look([{ source: 'process', observations }], timeMs))
  const flood = (count: number): Observation[] => suspects(count, 'nobody')
  expect(lookAt(flood(150), 1000)).toHaveLength(51)
  const told = lookAt([...flood(150), ...suspects(1, 'root'), ...suspects(1, 'alice')], 2000)
  expect(told.map(({ title }) => title)).toEqual(['program 0 of root', 'program 0 of alice'])
  const decisions = new AlertDecisions(path)
  decisions.acknowledge({}, BY_CAROL)
  decisions.close()
  expect(lookAt(flood(900), 3000).filter(({ isPresent }) => isPresent)).toEqual([])
  expect(lookAt(flood(1200), 4000)).toMatchObject([
    { state: 'open', subject: { user: 'nobody', count: 1150, most: 1150 } },
  ])
  // It has stood for as many before.
  lookAt(flood(200), 5000)
  expect(lookAt(flood(1200), 6000)).toEqual([])
  baseline.close()
})

test('whoever has many names hides nothing that root does', () => {
  const { alerting, baseline, path } = open()
  const flood = Array.from({ length: 600 }, (_, index) => suspects(2, `u${index}`, 'c0ffee')).flat()
  const root = suspects(1, 'root')
  const look = [{ source: 'process', observations: [...flood, ...root] }] as const
  const told = baseline.batch(() => alerting.look(look, 1000))
  expect(told.map(({ title }) => title)).toContain('program 0 of root')
  expect(alertsIn(path)).toHaveLength(402)
  baseline.close()
})

test('signs of tampering by one user are not hidden by those of another', () => {
  const { alerting, baseline, path } = open()
  const by = (user: string, count: number): void => {
    for (let index = 0; index < count; index++)
      alerting.take({
        ...{ kind: 'tamper', reason: 'forged-lines', timeMs: 1000, chain: [], detail: `by ${user}` },
        process: `proc::${user}:/tmp/x${index}`,
      })
  }
  baseline.batch(() => {
    by('nobody', 130)
    by('root', 1)
  })
  baseline.close()
  expect(alertsIn(path).at(-1)).toMatchObject({ title: 'by root', subject: { user: 'root' } })
})

test('a change of a number is over when it is told, and nothing more is told of it', () => {
  const { alerting, baseline } = open()
  const change: Observation = { ...MISSING, source: 'count', key: 'suspicious', severity: 'low' }
  const lookAt = (observations: readonly Observation[], timeMs: number) =>
    baseline.batch(() => alerting.look([{ source: 'count', observations }], timeMs))
  expect(lookAt([change], 1000)).toMatchObject([{ state: 'open', isPresent: false }])
  expect(lookAt([], 2000)).toEqual([])
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
  // A hundred and fifty with a row of their own, and one for the rest of each gravity.
  expect(alertsIn(path).length).toBeLessThanOrEqual(154)
})

test('incidents beyond measure are counted in one alert', () => {
  const { alerting, baseline, path } = open()
  baseline.batch(() => {
    for (let id = 1; id <= 130; id++) baseline.incidents.add(`tree ${id}`, incident(id), WHOLE)
    for (let id = 1; id <= 130; id++) alerting.take(incident(id))
  })
  baseline.close()
  const alerts = alertsIn(path)
  expect(alerts).toHaveLength(51)
  expect(alerts.at(-1)).toMatchObject({ count: 80, incident: 130, subject: { count: 80 } })
  expect(alerts.at(-1)?.title).toMatch(/^80 more incidents/)
})

test('only the last alerts that were reset are kept', () => {
  const { look, path, baseline } = open()
  const decisions = new AlertDecisions(path)
  for (let round = 0; round < 22; round++) {
    look(missing(50, 'high', 50 * round), 1000)
    decisions.reset({}, BY_CAROL)
  }
  decisions.close()
  baseline.close()
  const ids = alertsIn(path).map(({ id }) => id)
  expect(ids).toEqual(Array.from({ length: 1000 }, (_, index) => index + 101))
})
