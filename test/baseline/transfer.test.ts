import { join } from 'node:path'
import { statSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { edgesIn, exportBaseline, importBaseline } from '../../agent/baseline/transfer.ts'
import type { Edge } from '../../agent/domain/edge.ts'
import { PathPatterns, printedPattern } from '../../agent/graph/patterns.ts'
import { folderForTest } from '../support/folder.ts'
import { complaint } from '../support/complaint.ts'

const DAY_MS = 86_400_000
const NOON_MS = Date.parse('2026-11-20T12:00:00Z')
const DASH = 'proc::root:/usr/bin/dash'
const exec = (to: string): Edge => ({ kind: 'exec', from: DASH, to: `proc::root:/usr/bin/${to}` })
const create = (path: string): Edge => ({ kind: 'create', from: DASH, to: `file:create:${path}` })

const HEADER = '{"kind":"baseline","format":1}'
const EDGE =
  '{"kind":"edge","edge":{"kind":"exec","from":"proc::a:/a","to":"proc::a:/b"},"firstMs":1,"lastMs":2,"sightings":3,"days":1}'
const PATTERN =
  '{"kind":"pattern","process":"proc::a:/a","action":"create","path":"/q/\\\\d+","pattern":"^x/q/\\\\d+$","examples":[],"learnedMs":1}'
const TRAINING = '{"kind":"training","fromMs":1,"toMs":2,"plannedMs":null,"finished":true}'

const newPath = (): string => join(folderForTest(), 'baseline.db')
const exported = (path: string): string[] => [...exportBaseline(path)]

/** A baseline with some of everything. */
function full(path: string): void {
  const baseline = new Baseline(path)
  const patterns = new PathPatterns()
  baseline.batch(() => {
    baseline.beginTraining(NOON_MS, 3_600_000)
    for (const day of [0, 1, 3]) baseline.learn(exec('ls'), NOON_MS + day * DAY_MS)
    baseline.learn({ kind: 'connect', from: DASH, to: 'host:[2001:db8::1]:443' }, NOON_MS)
    baseline.learn(create('/odd \\"name"\\é😀\\\\x0a'), NOON_MS)
    for (const file of ['/tmp/x.aB3xYz/1', '/tmp/x.aB3xYz/2', '/tmp/x.aB3xYz/3']) {
      baseline.learn(create(file), NOON_MS)
      const pattern = patterns.learn(DASH, 'create', file)
      if (pattern === undefined) continue
      const regex = new RegExp(`^${pattern.path}$`)
      baseline.addPattern({ ...pattern, printed: printedPattern(pattern), learnedMs: NOON_MS }, (path) =>
        regex.test(path),
      )
    }
    baseline.extendTraining(NOON_MS + 3_600_000, true)
  })
  baseline.close()
}

test('what was exported, imported and exported again is the same, byte for byte', () => {
  const one = newPath()
  full(one)
  const lines = exported(one)
  expect(lines.map((line) => (JSON.parse(line) as { kind: string }).kind)).toEqual([
    ...['baseline', 'training', 'pattern'],
    ...['edge', 'edge', 'edge', 'edge'],
  ])
  const other = newPath()
  expect(importBaseline(other, lines, 'host.jsonl')).toBe(4)
  expect(exported(other)).toEqual(lines)
})

test('what was imported is normal, and its patterns apply', () => {
  const one = newPath()
  full(one)
  const other = newPath()
  importBaseline(other, exported(one), 'host.jsonl')
  const baseline = new Baseline(other)
  onTestFinished(() => baseline.close())
  expect(baseline.trainings().at(-1)?.finished).toBe(true)
  expect(baseline.find(exec('ls'))).toBeDefined()
  const patterns = new PathPatterns(baseline.patterns())
  const to = patterns.nameOf(DASH, 'create', '/tmp/x.aB3xYz/4711')
  expect(baseline.find({ kind: 'create', from: DASH, to })).toBeDefined()
})

test('the order in which a baseline learned does not show in its export', () => {
  const edges = [exec('ls'), create('/b'), exec('cat'), create('/a')]
  const texts = [edges, [...edges].reverse()].map((order) => {
    const path = newPath()
    const baseline = new Baseline(path)
    for (const edge of order) baseline.batch(() => baseline.learn(edge, NOON_MS))
    baseline.close()
    return exported(path)
  })
  expect(texts[0]).toEqual(texts[1])
})

test('import merges: times widen, sightings add up, days of the same day count once', () => {
  const path = newPath()
  const baseline = new Baseline(path)
  baseline.batch(() => baseline.learn(exec('ls'), NOON_MS))
  baseline.close()
  const line = (firstMs: number, lastMs: number, sightings: number, days: number): string =>
    JSON.stringify({ kind: 'edge', edge: exec('ls'), firstMs, lastMs, sightings, days })
  importBaseline(path, [HEADER, line(NOON_MS - DAY_MS, NOON_MS - DAY_MS, 4, 1)], 'a')
  expect([...edgesIn(path)]).toMatchObject([
    { firstMs: NOON_MS - DAY_MS, lastMs: NOON_MS, sightings: 5, days: 2 },
  ])
  importBaseline(path, [HEADER, line(NOON_MS, NOON_MS + DAY_MS, 7, 2)], 'b')
  expect([...edgesIn(path)]).toMatchObject([{ lastMs: NOON_MS + DAY_MS, sightings: 12, days: 3 }])
})

test('half a training that is imported does not untrain a trained baseline', () => {
  const path = newPath()
  full(path)
  const half = '{"kind":"training","fromMs":1,"toMs":2,"plannedMs":9,"finished":false}'
  importBaseline(path, [HEADER, half], 'half')
  const baseline = new Baseline(path)
  onTestFinished(() => baseline.close())
  expect(baseline.trainings().at(-1)?.finished).toBe(true)
})

test('an export is one moment, although an agent writes while it is read', () => {
  const path = newPath()
  const agent = new Baseline(path)
  onTestFinished(() => agent.close())
  const edges = ['a', 'b', 'c', 'd'].map(exec)
  let seen = 0
  /** As often as every edge was seen, so many milliseconds the training has lasted. */
  const seeAll = (): void =>
    agent.batch(() => {
      edges.forEach((edge) => agent.learn(edge, NOON_MS))
      agent.extendTraining(NOON_MS + ++seen, false)
    })
  agent.beginTraining(NOON_MS, undefined)
  seeAll()
  const moments: number[] = []
  for (const line of exportBaseline(path)) {
    const read = JSON.parse(line) as { kind: string; sightings: number; toMs: number }
    if (read.kind === 'training') moments.push(read.toMs - NOON_MS)
    if (read.kind === 'edge') moments.push(read.sightings)
    seeAll()
  }
  expect(moments).toHaveLength(1 + edges.length)
  expect(new Set(moments).size).toBe(1)
})

test('an export that is not read to its end leaves nothing open', () => {
  const path = newPath()
  full(path)
  for (const line of exportBaseline(path)) {
    if (line.includes('"edge"')) break
  }
  for (const edge of edgesIn(path)) {
    if (edge.kind === 'exec') break
  }
  // SQLite removes the log when the last connection is closed.
  new Baseline(path).close()
  expect(statSync(`${path}-wal`, { throwIfNoEntry: false })).toBeUndefined()
})

test.each([
  ['nothing', [], /^f is empty$/],
  ['blank lines', ['', ' '], /^f is empty$/],
  ['no header', [EDGE], /^f:1: this is no exported baseline$/],
  ['no header after a blank line', ['', EDGE], /^f:2: this is no exported baseline$/],
  ['another JSON file', ['[1,2]'], /^f:1: this is no exported baseline$/],
  ['a text', ['remember the milk'], /^f:1: this is no exported baseline$/],
  ['a newer format', ['{"kind":"baseline","format":2}'], /^f:1: /],
  ['a line that was cut off', [HEADER, EDGE, EDGE.slice(0, 40)], /^f:3: /],
  ['an unknown kind', [HEADER, '{"kind":"host"}'], /^f:2: /],
  ['an unknown key', [HEADER, EDGE.replace('"days"', '"weeks":1,"days"')], /^f:2: .*weeks/],
  ['a missing key', [HEADER, EDGE.replace(',"days":1', '')], /^f:2: .*days/],
  ['a text for a number', [HEADER, EDGE.replace('"sightings":3', '"sightings":"3"')], /^f:2: .*sightings/],
  [
    'a fraction of a sighting',
    [HEADER, EDGE.replace('"sightings":3', '"sightings":1.5')],
    /^f:2: .*sightings/,
  ],
  ['an edge never seen', [HEADER, EDGE.replace('"sightings":3', '"sightings":0')], /^f:2: .*sightings/],
  ['a time before 1970', [HEADER, EDGE.replace('"firstMs":1', '"firstMs":-1')], /^f:2: .*firstMs/],
  ['a last time before the first', [HEADER, EDGE.replace('"firstMs":1', '"firstMs":3')], /^f:2: .*lastMs/],
  ['more days than sightings', [HEADER, EDGE.replace('"days":1', '"days":4')], /^f:2: .*days/],
  ['an unknown kind of edge', [HEADER, EDGE.replace('"kind":"exec"', '"kind":"eat"')], /^f:2: .*kind/],
  ['a name that is none', [HEADER, EDGE.replace('proc::a:/b', '/b')], /^f:2: .*no name of a node/],
  ['a name of two lines', [HEADER, EDGE.replace('/b"', '/b\\n"')], /^f:2: .*no name of a node/],
  [
    'a name that moves the cursor',
    [HEADER, EDGE.replace('/b"', '/b\\u001b[2J"')],
    /^f:2: .*no name of a node/,
  ],
  [
    'a pattern that is none',
    [HEADER, PATTERN.replaceAll('/q/\\\\d+', '/q/[0-9')],
    /^f:2: .*no pattern of a path/,
  ],
  [
    'a pattern that crosses a slash',
    [HEADER, PATTERN.replaceAll('/q/\\\\d+', '/q/.*')],
    /^f:2: .*no pattern of a path/,
  ],
  [
    'a class that crosses a slash',
    [HEADER, PATTERN.replaceAll('/q/\\\\d+', '/q/[^x]+')],
    /^f:2: .*no pattern/,
  ],
  ['a class of everything', [HEADER, PATTERN.replaceAll('\\\\d+', '\\\\S+')], /^f:2: .*no pattern of a path/],
  ['two patterns in one', [HEADER, PATTERN.replaceAll('/q/\\\\d+', '/q|/r')], /^f:2: .*no pattern of a path/],
  ['a printed form that lies', [HEADER, PATTERN.replace('^x/q/', '^x/r/')], /^f:2: pattern and path differ$/],
  ['a pattern for an exec', [HEADER, PATTERN.replace('"create"', '"exec"')], /^f:2: .*action/],
  ['a training without an end', [HEADER, TRAINING.replace('"toMs":2,', '')], /^f:2: .*toMs/],
])('%s is refused, with its line, and nothing is changed', (_, lines, expected) => {
  const path = newPath()
  full(path)
  const before = exported(path)
  expect(complaint(() => importBaseline(path, lines, 'f'))).toMatch(expected)
  // The right lines before the wrong one have not been taken either.
  expect(exported(path)).toEqual(before)
  const missing = newPath()
  expect(complaint(() => importBaseline(missing, lines, 'f'))).toMatch(expected)
  expect(statSync(missing, { throwIfNoEntry: false })).toBeUndefined()
})

test('the lines that the refused ones were made of are right', () => {
  const path = newPath()
  expect(importBaseline(path, ['', HEADER, TRAINING, PATTERN, EDGE, '', EDGE], 'f')).toBe(2)
  expect([...edgesIn(path)]).toEqual([
    { kind: 'exec', from: 'proc::a:/a', to: 'proc::a:/b', firstMs: 1, lastMs: 2, sightings: 6, days: 1 },
  ])
})
