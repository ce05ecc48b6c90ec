import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { scoreOf } from '../../agent/detect/score.ts'
import { severityOf } from '../../agent/detect/severity.ts'
import type { Finding } from '../../agent/domain/report.ts'
import { SEVERITIES } from '../../agent/domain/report.ts'

type Before = (from: string, to: string) => number
const NOTHING: Before = () => 0

const finding = (
  chain: readonly string[],
  bits: number,
  kind: Finding['edge']['kind'] = 'exec',
): Finding => ({
  edge: { kind, from: chain.at(-2) ?? '', to: chain.at(-1) ?? '' },
  chain,
  ...{ firstMs: 0, lastMs: 0, bits },
  evidence: {
    ...{ node: '', serial: 1, syscall: 'execve', pid: 1, ppid: 1, auid: 0, comm: 'x', argv: [], count: 1 },
  },
})

const surprise = (findings: readonly Finding[], before: Before = NOTHING): number =>
  scoreOf(findings, before, []).surpriseBits

test('the steps of a chain add up', () => {
  const steps = [
    finding(['a', 'b'], 7),
    finding(['a', 'b', 'c'], 2),
    finding(['a', 'b', 'c', 'host'], 1, 'connect'),
  ]
  expect(surprise(steps)).toBe(10)
})

test('a step that was reported before belongs to the chain, once', () => {
  const before: Before = (from, to) => (`${from}${to}` === 'ab' ? 7 : 0)
  expect(surprise([finding(['a', 'b', 'c'], 1)], before)).toBe(8)
  expect(surprise([finding(['a', 'b', 'c'], 1), finding(['a', 'b', 'd'], 1)], before)).toBe(8 + 0.5)
})

test('an edge counts once in however many chains it is found', () => {
  const one = finding(['a', 'shell', 'curl'], 6)
  expect(surprise([one, finding(['b', 'shell', 'curl'], 6), finding(['c', 'shell', 'curl'], 6)])).toBe(6)
})

test('a long script with harmless steps does not outrank a web shell', () => {
  const script = [
    finding(['cron', 'script'], 6),
    ...Array.from({ length: 30 }, (_, step) => finding(['cron', 'script', `step ${step}`], 5)),
  ]
  const shell = [finding(['nginx', 'shell'], 6), finding(['nginx', 'shell', 'id'], 6)]
  const weights = [8]
  const [first, second] = [scoreOf(shell, NOTHING, weights), scoreOf(script, NOTHING, [])]
  expect(first.surpriseBits + first.dangerBits).toBeGreaterThan(second.surpriseBits + second.dangerBits)
  expect(severityOf(first)).toBe('high')
  expect(severityOf(second)).toBe('medium')
})

test('neither the order of findings nor of dangers matters, and more of both never makes less', () => {
  const node = fc.constantFrom('a', 'b', 'c', 'd')
  const one = fc
    .tuple(fc.array(node, { minLength: 2, maxLength: 5 }), fc.double({ min: 0, max: 20, noNaN: true }))
    .map(([chain, bits]) => finding(chain, bits))
  const weight = fc.double({ min: 0, max: 20, noNaN: true })
  fc.assert(
    fc.property(fc.array(one, { minLength: 1 }), fc.array(weight), weight, (findings, weights, heavier) => {
      const score = scoreOf(findings, NOTHING, weights)
      const turned = scoreOf(findings.toReversed(), NOTHING, weights.toReversed())
      expect(turned.surpriseBits).toBeCloseTo(score.surpriseBits, 6)
      expect(turned.dangerBits).toBeCloseTo(score.dangerBits, 6)
      const worse = scoreOf(findings, NOTHING, [...weights, heavier])
      expect(worse.dangerBits).toBeGreaterThanOrEqual(score.dangerBits)
      const severities = [score, worse].map((each) => SEVERITIES.indexOf(severityOf(each)))
      expect(severities[1]).toBeGreaterThanOrEqual(severities[0] ?? 0)
    }),
  )
})

test('what is only new is never high, however surprising; what is not surprising is a grade lower', () => {
  expect(severityOf({ surpriseBits: 1000, dangerBits: 7 })).toBe('medium')
  expect(severityOf({ surpriseBits: 0.9, dangerBits: 16 })).toBe('high')
  expect(severityOf({ surpriseBits: 0.9, dangerBits: 15 })).toBe('medium')
  expect(severityOf({ surpriseBits: 1, dangerBits: 8 })).toBe('high')
  expect(severityOf({ surpriseBits: 1, dangerBits: 16 })).toBe('critical')
  expect(severityOf({ surpriseBits: 4, dangerBits: 0 })).toBe('low')
})
