import { describe, expect, test } from 'vitest'
import { noAlerts } from '../agent/baseline/vitals.ts'
import type { BlindSpot } from '../agent/domain/report.ts'
import { healthOf, type Signs } from '../agent/health.ts'

const NOW_MS = 1_000_000
const SILENT_MS = 60_000
const WELL: Signs = {
  phase: 'trained',
  pid: 7,
  aliveMs: NOW_MS,
  alerts: noAlerts(),
  newest: [],
  ongoing: [],
  isDegraded: false,
}
const BLIND: BlindSpot = {
  ...{ kind: 'blind-spot', reason: 'rules-missing', fromMs: 0, toMs: 0, count: 3 },
  ...{ detail: '3 rules are missing', isOngoing: true },
}

const reasonsOf = (signs: Partial<Signs>): readonly object[] =>
  healthOf({ ...WELL, ...signs }, NOW_MS, SILENT_MS).reasons
const codesOf = (signs: Partial<Signs>): string[] =>
  healthOf({ ...WELL, ...signs }, NOW_MS, SILENT_MS).reasons.map(({ code }) => code)

describe('a host is well', () => {
  test.each<Partial<Signs>>([
    {},
    { phase: 'training' },
    { aliveMs: undefined },
    { aliveMs: NOW_MS - SILENT_MS },
    { alerts: { ...noAlerts(), critical: { open: 0, acknowledged: 4, muted: 2 } } },
  ])('with %j', (signs) => {
    expect(healthOf({ ...WELL, ...signs }, NOW_MS, SILENT_MS)).toEqual({ isHealthy: true, reasons: [] })
  })
})

describe('a host is not well', () => {
  test('while an alert is open; the gravest is told first, with the last one', () => {
    const alerts = {
      ...noAlerts(),
      low: { open: 1, acknowledged: 0, muted: 0 },
      high: { open: 2, acknowledged: 1, muted: 0 },
    }
    const newest = [{ id: 9, severity: 'high', title: 'a shell with a socket' } as const]
    expect(reasonsOf({ alerts, newest })).toEqual([
      { code: 'alerts', severity: 'high', text: '2 high alerts are open: a shell with a socket [alert 9]' },
      { code: 'alerts', severity: 'low', text: '1 low alert is open' },
    ])
    expect(healthOf({ ...WELL, alerts, newest }, NOW_MS, SILENT_MS).isHealthy).toBe(false)
  })

  test('while something is not seen', () => {
    expect(reasonsOf({ ongoing: [BLIND], isDegraded: true })).toEqual([
      { code: 'blind', text: 'rules-missing: 3 rules are missing' },
    ])
    expect(codesOf({ isDegraded: true })).toEqual(['degraded'])
  })

  test('without an agent, whatever the last one did not see', () => {
    expect(codesOf({ pid: undefined, ongoing: [BLIND], isDegraded: true, aliveMs: 0 })).toEqual(['no-agent'])
    expect(codesOf({ pid: undefined, phase: 'absent' })).toEqual(['no-baseline'])
  })

  test('with an agent that does nothing', () => {
    expect(reasonsOf({ aliveMs: NOW_MS - SILENT_MS - 1 })).toEqual([
      { code: 'silent', text: 'the agent (pid 7) has done nothing for 60 s' },
    ])
  })
})
