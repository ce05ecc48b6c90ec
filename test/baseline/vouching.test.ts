import { join } from 'node:path'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { edgesIn, importBaseline } from '../../agent/baseline/transfer.ts'
import type { Edge } from '../../agent/domain/edge.ts'
import { printedPattern } from '../../agent/graph/patterns.ts'
import { NO_WORLD } from '../../agent/domain/activity.ts'
import { Engine } from '../../agent/engine.ts'
import { folderForTest } from '../support/folder.ts'
import { reportAll } from '../support/incidents.ts'
import { LogBuilder } from '../support/log-builder.ts'

const SH = 'proc::root:/bin/sh'
const PATTERN = { process: SH, action: 'create', path: '/tmp/\\d+' } as const
const file = (name: number | string): Edge => ({ kind: 'create', from: SH, to: `file:create:/tmp/${name}` })
const FILES: readonly Edge[] = [
  file(1),
  file(2),
  file('word'),
  file('\\d+'),
  { ...file(1), from: 'proc::a:/a' },
]
const NAMES = { node: '', syscall: 'openat', comm: '', argv: [] } as const
const EVIDENCE = { ...NAMES, serial: 1, pid: 1, ppid: 1, auid: 1, count: 1 } as const

const step = fc.oneof(
  fc.record({
    do: fc.constantFrom('learn' as const, 'see' as const, 'import' as const),
    edge: fc.constantFrom(...FILES),
  }),
  fc.constantFrom(
    ...(['keep', 'unlearn', 'pattern', 'import pattern', 'merge', 'fail', 'restart'] as const).map(
      (each) => ({ do: each }),
    ),
  ),
)

test('law: whatever is learned, unlearned, covered, merged and imported, the journal fits after each batch', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const path = join(folderForTest(), 'baseline.db')
      let baseline = new Baseline(path)
      let timeMs = 1
      const batch = (work: () => void): void => baseline.batch(work)
      const take = (lines: readonly object[]): void => {
        const header = { kind: 'baseline', format: 1 }
        importBaseline(
          path,
          [header, ...lines].map((line) => JSON.stringify(line)),
          { source: 'f', author: 'me' },
        )
      }
      baseline.batch(() => baseline.trainings.begin(1, undefined))
      for (const each of steps) {
        timeMs++
        switch (each.do) {
          case 'learn':
            batch(() => baseline.edges.learn(each.edge, timeMs))
            break
          case 'see':
            batch(() => {
              if (baseline.edges.find(each.edge) === undefined)
                baseline.unseen.saw({
                  edge: each.edge,
                  chain: [each.edge.from, each.edge.to],
                  firstMs: timeMs,
                  evidence: EVIDENCE,
                  tree: '',
                  parent: '',
                  bits: 1,
                })
            })
            break
          case 'import':
            take([{ kind: 'edge', edge: each.edge, firstMs: 1, lastMs: 1, sightings: 1, days: 1 }])
            break
          case 'import pattern':
            take([
              {
                kind: 'pattern',
                ...PATTERN,
                pattern: printedPattern(PATTERN),
                examples: [],
                learnedMs: 1,
              },
            ])
            break
          case 'keep':
          case 'unlearn':
            batch(() => baseline.trainings.settle(each.do === 'keep', timeMs))
            break
          case 'pattern':
            batch(() => {
              const stored = {
                ...PATTERN,
                examples: [],
                printed: printedPattern(PATTERN),
                learnedMs: timeMs,
              }
              baseline.patterns.add(stored, (name) => /^\/tmp\/\d+$/.test(name), '/tmp')
            })
            break
          case 'merge':
            batch(() => {
              reportAll(baseline, timeMs)
              baseline.rebase.mergeReported(timeMs, 0)
            })
            break
          case 'fail':
            expect(() =>
              batch(() => {
                baseline.edges.learn(file(9), timeMs)
                baseline.trainings.settle(true, timeMs)
                throw new Error('no room')
              }),
            ).toThrow('no room')
            break
          case 'restart':
            baseline.close()
            baseline = new Baseline(path)
            break
        }
        expect(baseline.verify().problem).toBeUndefined()
      }
      baseline.close()
    }),
    { numRuns: 60 },
  )
})

test('what is stamped before the end of the training and comes behind it is learned, and vouched for at once', () => {
  const baseline = new Baseline(':memory:')
  const engine = new Engine({
    baseline,
    world: NO_WORLD,
    plan: { kind: 'for', durationMs: 60_000 },
    monitorMs: 10_000,
    rebase: false,
    alertsPerDay: 10,
    emit: () => undefined,
    latestMs: () => Number.POSITIVE_INFINITY,
  })
  const nginx = { pid: 800, exe: '/usr/sbin/nginx' }
  const log = new LogBuilder(Date.parse('2026-11-20T12:00:00Z'))
    .connect(nginx, '192.0.2.1', 443)
    .after(60_001)
  log.connect(nginx, '192.0.2.2', 443).after(-2).connect(nginx, '192.0.2.3', 443)
  engine.ingest({ bytes: log.bytes, at: undefined })
  expect(baseline.trainings.all()).toMatchObject([{ finished: true }])
  expect(baseline.edges.countEdges()).toBe(2)
  expect(baseline.verify().problem).toBeUndefined()
  baseline.close()
})

test.each([
  ['in one window', 100],
  ['in window after window', 11_000],
])('ports whose range is widened, %s, are one edge, counted once and vouched for', (_, gapMs) => {
  const path = join(folderForTest(), 'baseline.db')
  const baseline = new Baseline(path)
  const log = new LogBuilder(Date.parse('2026-11-20T12:00:00Z'))
  for (const port of [40_000, 40_007, 40_014, 20_000])
    log.connect({ pid: 800, exe: '/usr/sbin/nginx' }, '198.51.100.1', port).after(gapMs)
  const engine = new Engine({
    baseline,
    world: NO_WORLD,
    plan: { kind: 'everything' },
    monitorMs: 10_000,
    rebase: false,
    alertsPerDay: 10,
    emit: () => undefined,
    latestMs: () => Number.POSITIVE_INFINITY,
  })
  engine.ingest({ bytes: log.bytes, at: undefined })
  engine.end()
  expect(baseline.patterns.ofPeers()).toMatchObject([{ path: '198.51.100.1:10000-65535' }])
  expect(baseline.verify().problem).toBeUndefined()
  expect([...edgesIn(path)]).toMatchObject([{ to: 'host:198.51.100.1:10000-65535', sightings: 4 }])
  baseline.close()
})
