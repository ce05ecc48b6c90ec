import { join } from 'node:path'
import Database from 'better-sqlite3'
import * as fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { edgesIn, type StoredEdge } from '../../agent/baseline/transfer.ts'
import type { UnseenEdge } from '../../agent/baseline/unseen.ts'
import type { Edge } from '../../agent/domain/edge.ts'
import { folderForTest } from '../support/folder.ts'
import { reportAll, reportNext, waitingIn } from '../support/incidents.ts'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
const NOON_MS = Date.parse('2026-11-20T12:00:00Z')
const DASH = 'proc::root:/usr/bin/dash'

const exec = (to: string): Edge => ({ kind: 'exec', from: DASH, to: `proc::root:/usr/bin/${to}` })
const create = (path: string, from = DASH): Edge => ({ kind: 'create', from, to: `file:create:${path}` })

function unseen(edge: Edge, firstMs: number, ancestors: readonly string[] = [DASH], tree = ''): UnseenEdge {
  const evidence = {
    node: '',
    serial: 7,
    syscall: 'execve',
    pid: 2,
    ppid: 1,
    auid: 0,
    comm: 'sh',
    argv: ['sh'],
    count: 1,
  }
  return { edge, chain: [...ancestors, edge.to], firstMs, evidence, tree, parent: '', bits: 1 }
}

const newPath = (): string => join(folderForTest(), 'baseline.db')

function open(path = newPath()): Baseline {
  const baseline = new Baseline(path)
  onTestFinished(() => baseline.close())
  return baseline
}

type Counted = Omit<StoredEdge, 'state' | 'doubt'>

/** What another program reads from the file. */
const stored = (path: string): Counted[] =>
  [...edgesIn(path)].map(({ state, doubt, ...counted }) => {
    expect(state).toBe(counted.windows === 1 || doubt !== undefined ? 'provisional' : 'learned')
    return counted
  })

/** Edges with their times, counted again one by one. */
function recount(sightings: readonly { readonly edge: Edge; readonly timeMs: number }[]): Counted[] {
  const times = new Map<string, { edge: Edge; all: number[] }>()
  for (const { edge, timeMs } of sightings) {
    const key = `${edge.from} ${edge.kind} ${edge.to}`
    const known = times.get(key)
    if (known === undefined) times.set(key, { edge, all: [timeMs] })
    else known.all.push(timeMs)
  }
  return [...times]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([, { edge, all }]) => ({
      ...edge,
      firstMs: Math.min(...all),
      lastMs: Math.max(...all),
      sightings: all.length,
      days: new Set(all.map((timeMs) => Math.floor(timeMs / DAY_MS))).size,
      windows: new Set(all.map((timeMs) => Math.floor(timeMs / MINUTE_MS))).size,
    }))
}

const EDGES = [exec('ls'), exec('cat'), create('/a'), create('/b')]
const SIGHTING = fc.record({
  edge: fc.constantFrom(...EDGES),
  /** Since the one before it. */
  afterMs: fc.oneof(fc.nat(1000), fc.nat(3 * DAY_MS)),
})
const BATCHES = fc.array(fc.array(SIGHTING, { maxLength: 8 }), { maxLength: 8 })

function inOrder(batches: readonly (readonly { readonly edge: Edge; readonly afterMs: number }[])[]): {
  readonly edge: Edge
  readonly timeMs: number
}[][] {
  let timeMs = NOON_MS
  return batches.map((batch) => batch.map(({ edge, afterMs }) => ({ edge, timeMs: (timeMs += afterMs) })))
}

describe('edges', () => {
  test('law: times, sightings and days are those of a recount, over batches, days and restarts', () => {
    const folder = folderForTest()
    let run = 0
    fc.assert(
      fc.property(BATCHES, fc.boolean(), (random, restarts) => {
        const batches = inOrder(random)
        const path = join(folder, `${run++}.db`)
        let baseline = new Baseline(path)
        for (const batch of batches) {
          baseline.batch(() => {
            for (const { edge, timeMs } of batch) baseline.edges.learn(edge, timeMs)
          })
          if (!restarts) continue
          baseline.close()
          baseline = new Baseline(path)
        }
        baseline.close()
        expect(stored(path)).toEqual(recount(batches.flat()))
      }),
      { numRuns: 50 },
    )
  })

  test('law: seen out of order, everything but days and windows is exact, and these are never too many', () => {
    const folder = folderForTest()
    let run = 0
    const times = fc.array(fc.array(fc.nat(9 * DAY_MS), { maxLength: 4 }), { maxLength: 6 })
    fc.assert(
      fc.property(times, (batches) => {
        const path = join(folder, `${run++}.db`)
        const baseline = new Baseline(path)
        for (const batch of batches) {
          baseline.batch(() => {
            for (const timeMs of batch) baseline.edges.learn(exec('ls'), NOON_MS + timeMs)
          })
        }
        baseline.close()
        const [truth] = recount(
          batches.flat().map((timeMs) => ({ edge: exec('ls'), timeMs: NOON_MS + timeMs })),
        )
        const [found] = stored(path)
        expect({ ...found, days: 0, windows: 0 }).toEqual({ ...truth, days: 0, windows: 0 })
        expect(found?.days ?? 0).toBeLessThanOrEqual(truth?.days ?? 0)
        expect(found?.windows ?? 0).toBeLessThanOrEqual(truth?.windows ?? 0)
      }),
      { numRuns: 30 },
    )
  })

  test('learning says what is new, also after a restart', () => {
    const path = newPath()
    const first = new Baseline(path)
    first.batch(() => {
      expect(first.edges.learn(exec('ls'), NOON_MS)).toBe(true)
      expect(first.edges.learn(exec('ls'), NOON_MS)).toBe(false)
      expect(first.edges.find(exec('cat'))).toBeUndefined()
    })
    first.close()
    const again = open(path)
    again.batch(() => {
      expect(again.edges.find(exec('ls'))).toBeDefined()
      expect(again.edges.find({ ...exec('ls'), kind: 'trace' })).toBeUndefined()
      expect(again.edges.learn(exec('ls'), NOON_MS)).toBe(false)
      expect(again.edges.learn(exec('cat'), NOON_MS)).toBe(true)
    })
    expect(again.edges.countEdges()).toBe(2)
  })

  test('names that mean something to SQL are names', () => {
    const path = newPath()
    const baseline = open(path)
    const odd = [
      "file:create:/x'); DROP TABLE edges;--",
      'file:create:/%_*?[a]',
      'file:create:/é😀',
      'file:create:/A',
    ]
    const edges = [...odd, 'file:create:/a'].map((to): Edge => ({ kind: 'create', from: DASH, to }))
    baseline.batch(() => edges.forEach((edge) => baseline.edges.learn(edge, NOON_MS)))
    expect(new Set(stored(path).map(({ to }) => to))).toEqual(new Set(edges.map(({ to }) => to)))
  })
})

describe('a batch', () => {
  test('is there as a whole, or not at all', () => {
    const path = newPath()
    const baseline = open(path)
    const position = { path: '/log', inode: 1, fingerprint: 'f', offset: 0 }
    baseline.batch(() => {
      baseline.edges.learn(exec('ls'), NOON_MS)
      baseline.kept.writeCheckpoint('/log', { position, finished: [], clockMs: NOON_MS })
    })
    const before = stored(path)
    expect(() =>
      baseline.batch(() => {
        baseline.edges.learn(exec('ls'), NOON_MS + 1)
        baseline.edges.learn(exec('cat'), NOON_MS + 1)
        baseline.trainings.begin(NOON_MS, 1000)
        baseline.unseen.saw(unseen(exec('id'), NOON_MS))
        mergeAll(baseline)
        baseline.patterns.add(
          { process: DASH, action: 'create', path: 'x', printed: 'x', examples: [], learnedMs: 1 },
          () => false,
        )
        baseline.kept.writeCheckpoint('/log', {
          position: { ...position, offset: 99 },
          finished: [],
          clockMs: 2,
        })
        baseline.edges.learn(exec('cat'), NOON_MS + 2)
        baseline.unseen.saw(unseen(exec('rm'), NOON_MS))
        throw new Error('in the middle')
      }),
    ).toThrow('in the middle')
    expect(stored(path)).toEqual(before)
    // Nor does it come back with the next one.
    baseline.batch(() => {
      expect(baseline.edges.find(exec('cat'))).toBeUndefined()
      expect(baseline.edges.find(exec('id'))).toBeUndefined()
    })
    expect(stored(path)).toEqual(before)
    expect(waitingIn(baseline)).toEqual([])
    expect(baseline.patterns.ofNames()).toEqual([])
    expect(baseline.trainings.all()).toEqual([])
    expect(baseline.findings.countReported()).toBe(0)
    expect(baseline.kept.checkpoint('/log')?.position.offset).toBe(0)
  })

  test('has the file to itself: nobody can write between its first look and its last word', () => {
    const path = newPath()
    const baseline = open(path)
    baseline.batch(() => baseline.edges.learn(exec('ls'), NOON_MS))
    const other = new Database(path, { timeout: 0 })
    onTestFinished(() => void other.close())
    baseline.batch(() => {
      expect(baseline.edges.learn(exec('ls'), NOON_MS)).toBe(false)
      expect(() => other.exec("INSERT INTO nodes (name) VALUES ('x')")).toThrow('database is locked')
      // Readers are not held up, and see what was before.
      expect(stored(path)[0]?.sightings).toBe(1)
    })
    expect(stored(path)[0]?.sightings).toBe(2)
    expect(() => other.exec("INSERT INTO nodes (name) VALUES ('x')")).not.toThrow()
  })

  test('gives back what the work gives', () => {
    expect(open().batch(() => 42)).toBe(42)
  })
})

/** Everything that waits is reported, and becomes normal. */
function mergeAll(baseline: Baseline): readonly Edge[] {
  reportAll(baseline, NOON_MS)
  return baseline.rebase.mergeReported(NOON_MS, NOON_MS)
}

describe('unseen edges', () => {
  test('are one finding for each chain, with how often and when first', () => {
    const baseline = open()
    baseline.batch(() => {
      baseline.unseen.saw(unseen(exec('id'), NOON_MS))
      baseline.unseen.saw(unseen(exec('id'), NOON_MS + 5))
      baseline.unseen.saw(unseen(exec('id'), NOON_MS + 1, ['proc::root:/usr/sbin/sshd', DASH]))
    })
    baseline.batch(() => baseline.unseen.saw(unseen(exec('id'), NOON_MS + 9)))
    expect(waitingIn(baseline)).toMatchObject([
      { edge: exec('id'), chain: [DASH, exec('id').to], firstMs: NOON_MS, evidence: { serial: 7, count: 3 } },
      {
        chain: ['proc::root:/usr/sbin/sshd', DASH, exec('id').to],
        firstMs: NOON_MS + 1,
        evidence: { count: 1 },
      },
    ])
  })

  test('whose names hold what parts names are not mixed up', () => {
    const baseline = open()
    baseline.unseen.saw(unseen({ kind: 'exec', from: 'proc::a:/b proc::c:/d', to: 'x' }, 1, ['p']))
    baseline.unseen.saw(unseen({ kind: 'exec', from: 'proc::a:/b', to: 'proc::c:/d x' }, 1, ['p']))
    baseline.unseen.saw(unseen(exec('id'), 1, ['a', 'b']))
    baseline.unseen.saw(unseen(exec('id'), 1, ['a->b']))
    expect(waitingIn(baseline)).toHaveLength(4)
  })

  test('are handed out in the order of time, until they have been reported, also after a restart', () => {
    const path = newPath()
    const first = new Baseline(path)
    first.batch(() => {
      first.unseen.saw(unseen(exec('b'), NOON_MS + 2))
      first.unseen.saw(unseen(exec('a'), NOON_MS + 1))
      first.unseen.saw(unseen(exec('c'), NOON_MS + 2, [DASH], 'another tree'))
    })
    first.close()
    const baseline = open(path)
    expect(waitingIn(baseline).map(({ edge }) => edge.to)).toEqual([exec('a').to, exec('b').to])
    baseline.batch(() => reportNext(baseline, NOON_MS))
    expect(waitingIn(baseline).map(({ edge }) => edge.to)).toEqual([exec('c').to])
    baseline.batch(() => baseline.unseen.saw(unseen(exec('a'), NOON_MS + 3)))
    expect(waitingIn(baseline)).toHaveLength(1)
  })

  test('that were reported are counted once, whatever their chains', () => {
    const baseline = open()
    baseline.unseen.saw(unseen(exec('id'), 1, ['a']))
    baseline.unseen.saw(unseen(exec('id'), 1, ['b']))
    baseline.unseen.saw(unseen(exec('ls'), 1, ['a']))
    expect(baseline.findings.countReported()).toBe(0)
    reportAll(baseline, NOON_MS)
    expect(baseline.findings.countReported()).toBe(2)
    expect(baseline.edges.countEdges()).toBe(0)
  })

  test('that are merged are in the baseline with all their sightings, once', () => {
    const path = newPath()
    const baseline = open(path)
    const sightings = [NOON_MS, NOON_MS + 10, NOON_MS + DAY_MS]
    baseline.batch(() => {
      baseline.edges.learn(exec('ls'), NOON_MS)
      for (const timeMs of sightings) baseline.unseen.saw(unseen(exec('id'), timeMs))
      baseline.unseen.saw(unseen(exec('id'), NOON_MS + DAY_MS + 1, ['proc::root:/usr/sbin/cron', DASH]))
    })
    const merged = baseline.batch(() => mergeAll(baseline))
    expect(merged).toEqual([exec('id'), exec('id')])
    const all = [...sightings, NOON_MS + DAY_MS + 1].map((timeMs) => ({ edge: exec('id'), timeMs }))
    expect(stored(path)).toEqual(recount([{ edge: exec('ls'), timeMs: NOON_MS }, ...all]))
    baseline.batch(() => {
      const known = baseline.edges.find(exec('id'))
      expect(known).toBeDefined()
      if (known !== undefined) baseline.edges.count(known, NOON_MS + DAY_MS + 2)
    })
    expect(stored(path).find(({ to }) => to === exec('id').to)).toMatchObject({ sightings: 5, days: 2 })
    expect(baseline.batch(() => baseline.rebase.mergeReported(NOON_MS, NOON_MS))).toEqual([])
  })

  test('that wait are not merged with those that were reported', () => {
    const baseline = open()
    baseline.batch(() => {
      baseline.unseen.saw(unseen(exec('id'), NOON_MS))
      baseline.unseen.saw(unseen(exec('rm'), NOON_MS + 1, [DASH], 'another tree'))
    })
    reportNext(baseline, NOON_MS)
    expect(baseline.batch(() => baseline.rebase.mergeReported(NOON_MS, NOON_MS))).toEqual([exec('id')])
    expect(baseline.edges.find(exec('rm'))).toBeUndefined()
    expect(waitingIn(baseline).map(({ edge }) => edge)).toEqual([exec('rm')])
  })

  test('that were reported before merging was asked for are merged too', () => {
    const baseline = open()
    baseline.batch(() => baseline.unseen.saw(unseen(exec('id'), NOON_MS)))
    baseline.batch(() => reportAll(baseline, NOON_MS))
    expect(baseline.edges.find(exec('id'))).toBeUndefined()
    expect(baseline.batch(() => baseline.rebase.mergeReported(NOON_MS, NOON_MS))).toEqual([exec('id')])
    expect(baseline.edges.find(exec('id'))).toBeDefined()
  })
})

describe('what was seen in a window that was not seen whole', () => {
  test('is merged only when it is seen again in one that was', () => {
    const baseline = open()
    baseline.batch(() => {
      baseline.unseen.saw(unseen(exec('id'), NOON_MS))
      baseline.unseen.saw(unseen(exec('rm'), NOON_MS))
    })
    baseline.batch(() => reportAll(baseline, NOON_MS + 10, true))
    expect(baseline.batch(() => baseline.rebase.mergeReported(NOON_MS + 20, NOON_MS + 10))).toEqual([])
    baseline.batch(() => baseline.unseen.saw(unseen(exec('rm'), NOON_MS + 25)))
    expect(baseline.batch(() => baseline.rebase.mergeReported(NOON_MS + 30, NOON_MS + 20))).toEqual([
      exec('rm'),
    ])
  })

  test('is not learned, but for what was known before', () => {
    const path = newPath()
    const baseline = open(path)
    baseline.batch(() => baseline.edges.learn(exec('ls'), NOON_MS))
    baseline.batch(() => expect(baseline.trainings.settle(true, NOON_MS)).toBe(1))
    baseline.batch(() => {
      baseline.edges.learn(exec('ls'), NOON_MS + 1)
      baseline.edges.learn(exec('id'), NOON_MS + 1)
      expect(baseline.trainings.settle(false, NOON_MS)).toBe(1)
      expect(baseline.edges.find(exec('id'))).toBeUndefined()
    })
    expect(stored(path).map(({ to }) => to)).toEqual([exec('ls').to])
    baseline.batch(() => expect(baseline.trainings.settle(false, NOON_MS)).toBe(0))
    expect(baseline.edges.find(exec('ls'))).toBeDefined()
  })

  const file = (name: string): Edge => ({ kind: 'create', from: DASH, to: `file:create:/q/${name}` })
  const pattern = {
    process: DASH,
    action: 'create',
    path: '/q/\\d+',
    printed: '^x$',
    examples: [],
    learnedMs: 1,
  } as const

  test('does not take away the edge of a pattern that covers something from before', () => {
    const path = newPath()
    const baseline = open(path)
    baseline.batch(() => baseline.edges.learn(file('1'), NOON_MS))
    baseline.batch(() => baseline.trainings.settle(true, NOON_MS))
    baseline.batch(() => {
      baseline.edges.learn(file('2'), NOON_MS + 1)
      baseline.patterns.add(pattern, (covered) => /^\/q\/\d+$/.test(covered), '/q')
      baseline.trainings.settle(false, NOON_MS)
    })
    expect(stored(path).map(({ to }) => to)).toEqual(['file:create:/q/\\d+'])
  })

  test('takes away the edge of a pattern that covers nothing else', () => {
    const path = newPath()
    const baseline = open(path)
    baseline.batch(() => {
      baseline.edges.learn(file('1'), NOON_MS)
      baseline.edges.learn(file('2'), NOON_MS + 1)
      baseline.patterns.add(pattern, (covered) => /^\/q\/\d+$/.test(covered), '/q')
      baseline.trainings.settle(false, NOON_MS)
    })
    expect(stored(path)).toEqual([])
  })
})

test('reports stay in the outbox until they are delivered, over a restart and in their order', () => {
  const path = newPath()
  const first = open(path)
  const spot = (count: number) =>
    ({ kind: 'blind-spot', reason: 'shed', fromMs: 1, toMs: 2, count, detail: 'x' }) as const
  first.batch(() => [1, 2, 3].forEach((count) => first.kept.post(spot(count))))
  expect(() =>
    first.batch(() => {
      first.kept.post(spot(4))
      throw new Error('in the middle')
    }),
  ).toThrow('in the middle')
  const [, second] = first.kept.posted()
  first.kept.delivered(second?.id ?? 0)
  first.close()
  expect(
    open(path)
      .kept.posted()
      .map(({ report }) => report),
  ).toEqual([spot(3)])
})

describe('a pattern', () => {
  const stamp = { process: DASH, action: 'create', examples: ['/q/1'], learnedMs: NOON_MS } as const
  const numbers = { ...stamp, path: '/q/\\d+', printed: '^x$' }

  test('makes one edge of those it covers, with the sum of their sightings', () => {
    const path = newPath()
    const baseline = open(path)
    const sightings = [
      { edge: create('/q/1'), timeMs: NOON_MS },
      { edge: create('/q/2'), timeMs: NOON_MS },
      { edge: create('/q/2'), timeMs: NOON_MS + DAY_MS },
      { edge: create('/q/4'), timeMs: NOON_MS + 2 * DAY_MS },
      { edge: create('/q/3'), timeMs: NOON_MS + 3 * DAY_MS },
      { edge: create('/q/0'), timeMs: NOON_MS + 4 * DAY_MS },
    ]
    const others = [
      create('/q/x'),
      create('/q/1/2'),
      create('/q'),
      create('/r/1'),
      create('/q/1', 'proc::root:/bin/other'),
    ]
    const same: Edge = { kind: 'write', from: DASH, to: 'file:write:/q/1' }
    baseline.batch(() => {
      for (const { edge, timeMs } of sightings) baseline.edges.learn(edge, timeMs)
      for (const edge of [...others, same]) baseline.edges.learn(edge, NOON_MS)
    })
    baseline.batch(() => baseline.patterns.add(numbers, (file) => /^\/q\/\d+$/.test(file), '/q'))
    const one = create('/q/\\d+')
    expect(stored(path)).toEqual(
      recount([
        ...sightings.map(({ timeMs }) => ({ edge: one, timeMs })),
        ...[...others, same].map((edge) => ({ edge, timeMs: NOON_MS })),
      ]),
    )
    // The edge is known by its new name, and by that only.
    expect(baseline.edges.find(one)).toBeDefined()
    expect(baseline.edges.find(create('/q/1'))).toBeUndefined()
  })

  test('takes what was learned in the same batch, and leaves findings of other processes alone', () => {
    const path = newPath()
    const baseline = open(path)
    const other = create('/q/2', 'proc::root:/bin/other')
    baseline.batch(() => {
      baseline.edges.learn(create('/q/1'), NOON_MS)
      baseline.edges.learn(create('/q/2'), NOON_MS)
      baseline.unseen.saw(unseen(other, NOON_MS))
      baseline.patterns.add(numbers, (file) => /^\/q\/\d+$/.test(file))
    })
    expect(stored(path)).toMatchObject([{ to: 'file:create:/q/\\d+', sightings: 2 }])
    expect(waitingIn(baseline)).toMatchObject([{ edge: other }])
  })

  test('is kept, once', () => {
    const path = newPath()
    const first = new Baseline(path)
    first.batch(() => {
      first.patterns.add(numbers, () => false)
      first.patterns.add(numbers, () => false)
      first.patterns.add({ ...numbers, action: 'delete' }, () => false)
    })
    first.close()
    const state = 'learned'
    expect(open(path).patterns.ofNames()).toEqual([
      { ...numbers, state },
      { ...numbers, action: 'delete', state },
    ])
  })
})

test('the file edges seen last come back, oldest first', () => {
  const baseline = open()
  baseline.batch(() => {
    baseline.edges.learn(create('/new'), NOON_MS + 2)
    baseline.edges.learn(exec('ls'), NOON_MS)
    baseline.edges.learn(create('/old'), NOON_MS)
    baseline.edges.learn({ kind: 'attribute', from: DASH, to: 'file:attribute:/between' }, NOON_MS + 1)
  })
  expect([...baseline.edges.recentFileEdges()]).toEqual([
    { process: DASH, action: 'create', path: '/old' },
    { process: DASH, action: 'attribute', path: '/between' },
    { process: DASH, action: 'create', path: '/new' },
  ])
})

describe('trainings', () => {
  test('are kept in their order, with how far they came', () => {
    const path = newPath()
    const first = new Baseline(path)
    first.trainings.begin(NOON_MS, 1000)
    first.trainings.extend(NOON_MS + 400, false)
    first.trainings.extend(NOON_MS + 300, false)
    first.trainings.begin(NOON_MS + 5000, undefined)
    first.trainings.extend(NOON_MS + 6000, true)
    first.close()
    expect(open(path).trainings.all()).toEqual([
      { fromMs: NOON_MS, toMs: NOON_MS + 400, plannedMs: 1000, finished: false },
      { fromMs: NOON_MS + 5000, toMs: NOON_MS + 6000, plannedMs: undefined, finished: true },
    ])
  })

  test('that somebody else began are left alone', () => {
    const path = newPath()
    const agent = open(path)
    const other = open(path)
    agent.trainings.begin(NOON_MS, 1000)
    other.trainings.begin(NOON_MS, undefined)
    other.trainings.extend(NOON_MS + 9, true)
    agent.trainings.extend(NOON_MS + 500, false)
    expect(agent.trainings.all().map(({ toMs, finished }) => [toMs - NOON_MS, finished])).toEqual([
      [500, false],
      [9, true],
    ])
  })
})

test('a checkpoint is that of its log, the last one written', () => {
  const path = newPath()
  const first = new Baseline(path)
  const position = { path: '/var/log/audit/audit.log', inode: 5, fingerprint: 'abc', offset: 10 }
  const finished = [{ node: 'n', timeMs: NOON_MS, serial: 4_294_967_295 }]
  first.batch(() => {
    first.kept.writeCheckpoint('/a', { position, finished: [], clockMs: 1 })
    first.kept.writeCheckpoint('/b', { position: { ...position, inode: 2 ** 52 }, finished, clockMs: 2 })
    first.kept.writeCheckpoint('/a', { position: { ...position, offset: 5 * 2 ** 40 }, finished, clockMs: 3 })
  })
  first.close()
  const baseline = open(path)
  expect(baseline.kept.checkpoint('/a')).toEqual({
    position: { ...position, offset: 5 * 2 ** 40 },
    finished,
    clockMs: 3,
  })
  expect(baseline.kept.checkpoint('/b')).toEqual({
    position: { ...position, inode: 2 ** 52 },
    finished,
    clockMs: 2,
  })
  expect(baseline.kept.checkpoint('/c')).toBeUndefined()
})

describe('what is asked of the file', () => {
  test('about what waits goes through what waits, not through all that was ever found', () => {
    const path = newPath()
    const parts = Object.values(open(path)).filter((part) => typeof part === 'object')
    const statements = parts.flatMap((part: object) =>
      Object.values((Reflect.get(part, 'statements') ?? {}) as Record<string, Database.Statement>),
    )
    const database = new Database(path, { readonly: true })
    onTestFinished(() => void database.close())
    const asked = statements.filter(({ source }) => /^\s*SELECT.*reported_ms IS NULL/s.test(source))
    expect(asked.length).toBeGreaterThan(4)
    for (const { source } of asked) {
      const named = Object.fromEntries([...source.matchAll(/@(\w+)/g)].map(([, name = '']) => [name, '1']))
      const plain = Array.from(source.matchAll(/\?/g), () => '1')
      const rows = database.prepare(`EXPLAIN QUERY PLAN ${source}`).all(...plain, named) as {
        detail: string
      }[]
      const scans = rows.filter(({ detail }) => /^SCAN findings(?! USING (?:COVERING )?INDEX)/.test(detail))
      expect(scans, source).toEqual([])
    }
  })
})

test('a finding without its incident silences nothing', () => {
  const path = newPath()
  const baseline = open(path)
  const found = unseen(exec('nc'), NOON_MS)
  baseline.batch(() => void baseline.unseen.saw(found))
  baseline.batch(() => reportAll(baseline, NOON_MS))
  expect(baseline.findings.has(found.edge, found.chain)).toBe(true)
  const other = new Database(path)
  other.pragma('foreign_keys = OFF')
  other.exec('UPDATE findings SET incident_id = 77')
  other.close()
  expect(baseline.findings.has(found.edge, found.chain)).toBe(false)
  baseline.batch(() => void baseline.unseen.saw({ ...found, firstMs: NOON_MS + 1 }))
  expect(waitingIn(baseline)).toHaveLength(1)
})

test('what expires is forgotten in portions, all of it, with rows of the journal that fit', () => {
  const path = newPath()
  const baseline = open(path)
  baseline.batch(() => {
    baseline.trainings.begin(NOON_MS, undefined)
    for (let count = 0; count < 25_000; count++) baseline.edges.learn(create(`/srv/${count}`), NOON_MS)
    baseline.edges.learn(exec('ls'), NOON_MS + 40 * DAY_MS)
    baseline.trainings.settle(true, NOON_MS)
  })
  const lives = { dormantDays: 1, expireDays: 2 }
  let expired = 0
  for (const day of [1, 38, 39, 40])
    baseline.batch(() => (expired += baseline.turnDay(NOON_MS + day * DAY_MS, lives)))
  expect(expired).toBe(25_000)
  const database = new Database(path, { readonly: true })
  onTestFinished(() => void database.close())
  const details = database
    .prepare("SELECT detail FROM journal WHERE action = 'expire'")
    .pluck()
    .all() as string[]
  expect(details.map((detail) => (JSON.parse(detail) as { edges: number }).edges)).toEqual([
    10_000, 10_000, 5000,
  ])
  expect(stored(path).map(({ to }) => to)).toEqual([exec('ls').to])
  expect(baseline.verify().problem).toBeUndefined()
})
