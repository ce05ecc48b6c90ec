import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { deniedIn, edgesIn, exportBaseline, importBaseline } from '../../agent/baseline/transfer.ts'
import { verifyBaseline } from '../../agent/baseline/verify.ts'
import type { Edge } from '../../agent/domain/edge.ts'
import { PathPatterns, printedPattern } from '../../agent/graph/patterns.ts'
import { folderForTest } from '../support/folder.ts'
import { complaint } from '../support/complaint.ts'

const ROOT = join(import.meta.dirname, '../..')
const DAY_MS = 86_400_000
const NOON_MS = Date.parse('2026-11-20T12:00:00Z')
const DASH = 'proc::root:/usr/bin/dash'
const exec = (to: string): Edge => ({ kind: 'exec', from: DASH, to: `proc::root:/usr/bin/${to}` })

const HEADER = '{"kind":"baseline","format":1}'
const SEALED_HEADER = '{"kind":"baseline","format":3}'
const EDGE =
  '{"kind":"edge","edge":{"kind":"exec","from":"proc::a:/a","to":"proc::a:/b"},"firstMs":1,"lastMs":2,"sightings":3,"days":1}'
const PATTERN =
  '{"kind":"pattern","process":"proc::a:/a","action":"create","path":"/q/\\\\d+","pattern":"^x/q/\\\\d+$","examples":[],"learnedMs":1}'
const TRAINING = '{"kind":"training","fromMs":1,"toMs":2,"plannedMs":null,"finished":true}'
/** What the program before this one exported: trainings, a pattern and edges. */
const RELEASED = readFileSync(join(ROOT, 'test/fixtures/baselines/schema-1.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')

const ME = { source: 'f', author: 'alice' }

const newPath = (): string => join(folderForTest(), 'baseline.db')
const exported = (path: string): string[] => [...exportBaseline(path)]
const kindOf = (line: string): string => (JSON.parse(line) as { kind: string }).kind

const edgeLine = (edge: Edge, firstMs: number, lastMs: number, sightings: number, days: number): string =>
  JSON.stringify({ kind: 'edge', edge, firstMs, lastMs, sightings, days })

/** The lines with the end that belongs to them. */
function sealed(lines: readonly string[]): string[] {
  const text = lines.map((line) => `${line}\n`).join('')
  const sha256 = createHash('sha256').update(text).digest('hex')
  return [...lines, JSON.stringify({ kind: 'end', lines: lines.length, sha256 })]
}

/** A baseline with some of everything. */
function full(path: string): void {
  const odd = { kind: 'create', from: DASH, to: 'file:create:/odd \\"name"\\é😀\\\\x0a' } as const
  const far = { kind: 'connect', from: DASH, to: 'host:[2001:db8::1]:443' } as const
  const lines = [
    ...RELEASED,
    edgeLine(exec('ls'), NOON_MS, NOON_MS + 3 * DAY_MS, 3, 3),
    edgeLine(far, NOON_MS, NOON_MS, 1, 1),
    edgeLine(odd, NOON_MS, NOON_MS, 1, 1),
  ]
  importBaseline(path, lines, ME)
}

test('what was exported, imported and exported again is the same, byte for byte', () => {
  const one = newPath()
  full(one)
  const lines = exported(one)
  expect([...new Set(lines.map(kindOf))]).toEqual(['baseline', 'training', 'pattern', 'edge', 'end'])
  const other = newPath()
  expect(importBaseline(other, lines, ME)).toEqual({ edges: 78, refused: 0, isSealed: true })
  expect(exported(other)).toEqual(lines)
})

test('a pattern over what may be executed is carried along', () => {
  const one = newPath()
  const baseline = new Baseline(one)
  const key = { process: DASH, action: 'create', path: '(?<executable>)/srv/q/\\d+' } as const
  const pattern = { ...key, examples: ['/srv/q/1'], printed: printedPattern(key), learnedMs: NOON_MS }
  baseline.batch(() => baseline.patterns.add(pattern, () => false))
  baseline.close()
  const other = newPath()
  importBaseline(other, exported(one), ME)
  expect(exported(other)).toEqual(exported(one))
})

test('an export ends with what tells whether all of it is there', () => {
  const path = newPath()
  full(path)
  const lines = exported(path)
  expect(lines[0]).toBe(SEALED_HEADER)
  expect(lines).toEqual(sealed(lines.slice(0, -1)))
})

test('what an older program exported is read, and known as that', () => {
  const path = newPath()
  expect(importBaseline(path, RELEASED, ME)).toEqual({ edges: 75, refused: 0, isSealed: false })
  // It did not count windows.
  const lines = exported(path).map((line) => line.replace(/,"windows":\d+/, ''))
  expect(lines.slice(1, -1)).toEqual(RELEASED.slice(1))
})

test('what was imported is normal, and its patterns apply', () => {
  const one = newPath()
  full(one)
  const other = newPath()
  importBaseline(other, exported(one), ME)
  const baseline = new Baseline(other)
  onTestFinished(() => baseline.close())
  expect(baseline.trainings.all().at(-1)?.finished).toBe(true)
  expect(baseline.edges.find(exec('ls'))).toBeDefined()
  const patterns = new PathPatterns(baseline.patterns.ofNames())
  const cp = 'proc::root:/usr/bin/cp'
  const to = patterns.nameOf(cp, 'create', '/srv/shop/cache/2026-12-24.csv')
  expect(baseline.edges.find({ kind: 'create', from: cp, to })).toBeDefined()
})

test('the order in which a baseline learned does not show in its export', () => {
  const edges = ['ls', 'b', 'cat', 'a'].map((name) => edgeLine(exec(name), NOON_MS, NOON_MS, 1, 1))
  const texts = [edges, [...edges].reverse()].map((order) => {
    const path = newPath()
    for (const edge of order) importBaseline(path, [HEADER, edge], ME)
    return exported(path)
  })
  expect(texts[0]).toEqual(texts[1])
})

test('what waits for the end of its window is exported too: an early copy is not an empty one', () => {
  const path = newPath()
  importBaseline(path, [HEADER, EDGE], ME)
  const before = exported(path)
  const database = new Database(path)
  database.exec('INSERT INTO fresh (from_id, to_id, kind) SELECT from_id, to_id, kind FROM edges')
  database.close()
  expect(exported(path)).toEqual(before)
})

test('an import is a row of the journal, which vouches for what came with it', () => {
  const path = newPath()
  full(path)
  importBaseline(path, [HEADER, EDGE, edgeLine(exec('ls'), NOON_MS, NOON_MS, 1, 1)], {
    source: 'host.jsonl',
    author: 'root (sudo by alice)',
  })
  const database = new Database(path, { readonly: true })
  onTestFinished(() => void database.close())
  expect(database.prepare('SELECT id, action, author, detail FROM journal').all().slice(1)).toEqual([
    {
      id: 2,
      action: 'import',
      author: 'root (sudo by alice)',
      detail: `{"source":"host.jsonl","sha256":"${createHash('sha256')
        .update(`${HEADER}\n${EDGE}\n${edgeLine(exec('ls'), NOON_MS, NOON_MS, 1, 1)}\n`)
        .digest('hex')}","edges":2,"patterns":0,"added":1}`,
    },
  ])
  expect(verifyBaseline(path, []).problem).toBeUndefined()
})

test('the same export twice adds nothing, neither sightings nor trainings, and is no row of the journal', () => {
  const one = newPath()
  full(one)
  const lines = exported(one)
  const path = newPath()
  importBaseline(path, lines, ME)
  const before = exported(path)
  const head = verifyBaseline(path, [])
  // Whoever wrote it to a file may have its name changed, and a newline behind its end.
  const again = importBaseline(path, [...lines, ''], { source: 'other.jsonl', author: 'bob' })
  expect(again).toEqual({ edges: 0, refused: 0, isSealed: true, isRepeated: true })
  expect(exported(path)).toEqual(before)
  expect(verifyBaseline(path, [])).toEqual(head)
  importBaseline(path, [HEADER, EDGE], ME)
  expect(exported(path)).not.toEqual(before)
})

test('servers of DNS that are believed are carried along, and only addresses are', () => {
  const path = newPath()
  const resolver = (address: string): string => JSON.stringify({ kind: 'resolver', address })
  const lines = sealed([SEALED_HEADER, resolver('192.0.2.53'), resolver('2001:db8::53')])
  importBaseline(path, lines, ME)
  expect(exported(path)).toEqual(lines)
  importBaseline(path, sealed([SEALED_HEADER, resolver('192.0.2.54'), resolver('192.0.2.53')]), ME)
  expect(exported(path).filter((line) => kindOf(line) === 'resolver')).toEqual(
    ['192.0.2.53', '2001:db8::53', '192.0.2.54'].map(resolver),
  )
  const evil = sealed([SEALED_HEADER, resolver('evil.test')])
  expect(complaint(() => importBaseline(path, evil, ME))).toContain('f:2: address: no address')
})

test('what is imported need not wait for the end of a window any more', () => {
  const path = newPath()
  importBaseline(path, [HEADER, EDGE], ME)
  const database = new Database(path)
  // As an agent does it in its training.
  database.exec(`
    INSERT INTO trainings (from_ms, to_ms) VALUES (1, 2);
    INSERT INTO nodes (id, name) VALUES (7, 'proc::a:/c');
    INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days) VALUES (1, 7, 'exec', 1, 2, 3, 1);
    INSERT INTO fresh (from_id, to_id, kind) VALUES (1, 7, 'exec')`)
  expect(verifyBaseline(path, []).problem).toBeUndefined()
  importBaseline(path, [HEADER, EDGE.replace('/b', '/c')], ME)
  expect(database.prepare('SELECT * FROM fresh').all()).toEqual([])
  expect(verifyBaseline(path, []).problem).toBeUndefined()
  database.close()
})

test('into a baseline that somebody has changed nothing is imported', () => {
  const path = newPath()
  full(path)
  const database = new Database(path)
  database.exec("UPDATE nodes SET name = 'proc::root:/tmp/evil' WHERE name = 'proc::root:/usr/bin/ls'")
  database.close()
  const before = exported(path)
  expect(complaint(() => importBaseline(path, [HEADER, EDGE], ME))).toBe(
    `nothing is imported into ${path}, which fullmon verify refuses: other edges than journal row 1 vouches for`,
  )
  expect(exported(path)).toEqual(before)
})

test('import merges: times widen, sightings add up, days of the same day count once', () => {
  const path = newPath()
  const line = (...stats: readonly [number, number, number, number]): string => edgeLine(exec('ls'), ...stats)
  importBaseline(path, [HEADER, line(NOON_MS, NOON_MS, 1, 1)], ME)
  importBaseline(path, [HEADER, line(NOON_MS - DAY_MS, NOON_MS - DAY_MS, 4, 1)], ME)
  expect([...edgesIn(path)]).toMatchObject([
    { firstMs: NOON_MS - DAY_MS, lastMs: NOON_MS, sightings: 5, days: 2 },
  ])
  importBaseline(path, [HEADER, line(NOON_MS, NOON_MS + DAY_MS, 7, 2)], ME)
  expect([...edgesIn(path)]).toMatchObject([{ lastMs: NOON_MS + DAY_MS, sightings: 12, days: 3 }])
})

test('half a training that is imported does not untrain a trained baseline', () => {
  const path = newPath()
  full(path)
  const half = '{"kind":"training","fromMs":1,"toMs":2,"plannedMs":9,"finished":false}'
  importBaseline(path, [HEADER, half], ME)
  const baseline = new Baseline(path)
  onTestFinished(() => baseline.close())
  expect(baseline.trainings.all().at(-1)?.finished).toBe(true)
})

test('an export is one moment, although an agent writes while it is read', () => {
  const path = newPath()
  const edges = ['a', 'b', 'c', 'd'].map(exec)
  importBaseline(path, [HEADER, ...edges.map((edge) => edgeLine(edge, NOON_MS, NOON_MS, 1, 1))], ME)
  const agent = new Baseline(path)
  onTestFinished(() => agent.close())
  let seen = 1
  /** As often as every edge was seen, so many milliseconds the training has lasted. */
  const seeAll = (): void =>
    agent.batch(() => {
      edges.forEach((edge) => agent.edges.learn(edge, NOON_MS))
      agent.trainings.extend(NOON_MS + ++seen, false)
    })
  agent.trainings.begin(NOON_MS, undefined)
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

/** Sees every edge once more in each batch, as fast as it can, until it is killed. */
const WRITER = `
  const { Baseline } = await import('${ROOT}/agent/baseline/baseline.ts')
  const baseline = new Baseline(process.argv[2])
  const edges = JSON.parse(process.argv[3])
  const seeAll = () => baseline.batch(() => edges.forEach((edge) => baseline.edges.learn(edge, ${NOON_MS})))
  seeAll()
  console.log('writing')
  for (;;) seeAll()`

test(
  'nor is it torn when another process writes, and is killed at any moment',
  { timeout: 60_000 },
  async () => {
    const path = newPath()
    const edges = Array.from({ length: 200 }, (_, index) => exec(`program${index}`))
    importBaseline(path, [HEADER, ...edges.map((edge) => edgeLine(edge, NOON_MS, NOON_MS, 1, 1))], ME)
    const program = join(folderForTest(), 'write.mjs')
    writeFileSync(program, WRITER)
    const moments = new Set<number>()
    for (let round = 0; round < 5; round++) {
      const writer = spawn(process.execPath, [program, path, JSON.stringify(edges)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const ended = once(writer, 'exit')
      onTestFinished(() => {
        writer.kill('SIGKILL')
      })
      await once(writer.stdout, 'data')
      for (let read = 0; read < 10; read++) {
        const lines = exported(path)
        expect(importBaseline(newPath(), lines, ME)).toEqual({
          edges: edges.length,
          refused: 0,
          isSealed: true,
        })
        const seen = new Set(
          lines
            .filter((line) => kindOf(line) === 'edge')
            .map((line) => (JSON.parse(line) as { sightings: number }).sightings),
        )
        expect(seen.size).toBe(1)
        for (const sightings of seen) moments.add(sightings)
      }
      writer.kill('SIGKILL')
      await ended
    }
    // It did write in between.
    expect(moments.size).toBeGreaterThan(5)
  },
)

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
  ['a newer format', ['{"kind":"baseline","format":4}'], /^f:1: /],
  ['an export that was cut off', [SEALED_HEADER, EDGE], /^f was cut off: it has no line of kind "end"$/],
  [
    'an export without a line in its middle',
    [SEALED_HEADER, ...sealed([SEALED_HEADER, TRAINING, EDGE]).slice(2)],
    /^f:3: 3 lines were exported before this one, 2 are there: the file was changed$/,
  ],
  [
    'an export with another line',
    [SEALED_HEADER, EDGE, ...sealed([SEALED_HEADER, EDGE]).slice(1)],
    /^f:4: 2 lines were exported before this one, 3 are there: the file was changed$/,
  ],
  [
    'an export with a changed line',
    [
      SEALED_HEADER,
      ...sealed([SEALED_HEADER, EDGE])
        .slice(1)
        .map((line) => line.replace('/b"', '/c"')),
    ],
    /^f:3: the lines before this one are not those that were exported: their SHA-256 differs$/,
  ],
  ['two exports in one', [...sealed([SEALED_HEADER]), SEALED_HEADER], /^f:3: this stands behind its end$/],
  ['an end that is none', [SEALED_HEADER, '{"kind":"end","lines":1,"sha256":"x"}'], /^f:2: .*sha256/],
  ['half of a character', [HEADER, EDGE.replace('/b"', '/\\ud800"')], /^f:2: .*no name of a node/],
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
  expect(complaint(() => importBaseline(path, lines, ME))).toMatch(expected)
  // The right lines before the wrong one have not been taken either.
  expect(exported(path)).toEqual(before)
  const missing = newPath()
  expect(complaint(() => importBaseline(missing, lines, ME))).toMatch(expected)
  expect(statSync(missing, { throwIfNoEntry: false })).toBeUndefined()
})

test('the lines that the refused ones were made of are right', () => {
  const path = newPath()
  expect(importBaseline(path, ['', HEADER, TRAINING, PATTERN, EDGE, '', EDGE], ME)).toEqual({
    edges: 2,
    refused: 0,
    isSealed: false,
  })
  expect([...edgesIn(path)]).toEqual([
    {
      kind: 'exec',
      from: 'proc::a:/a',
      to: 'proc::a:/b',
      firstMs: 1,
      lastMs: 2,
      sightings: 6,
      days: 1,
      windows: 1,
      state: 'provisional',
    },
  ])
})

const TMP_DENIED = exec('evil')
const DENIED = JSON.stringify({
  ...{ kind: 'denied', edge: TMP_DENIED, denied: { timeMs: 5, author: 'bob', reason: 'not here' } },
})
const ACCEPTED = JSON.stringify({
  ...{ kind: 'edge', edge: exec('id'), firstMs: 1, lastMs: 2, sightings: 3, days: 1, windows: 2 },
  accepted: { timeMs: 6, author: 'carol', reason: 'the backup does that' },
})

test('what was denied is denied where it is imported, and what was accepted is accepted by who imports it', () => {
  const path = newPath()
  importBaseline(path, [HEADER, edgeLine(TMP_DENIED, 1, 2, 3, 1)], ME)
  expect(importBaseline(path, [HEADER, ACCEPTED, DENIED], ME)).toMatchObject({ edges: 1, refused: 0 })
  expect([...edgesIn(path)]).toMatchObject([
    { to: exec('id').to, state: 'accepted', accepted: { author: 'alice' } },
  ])
  expect([...deniedIn(path)]).toMatchObject([{ edge: TMP_DENIED, denied: { author: 'alice' } }])
  expect(verifyBaseline(path, []).problem).toBeUndefined()
})

test('what is denied stays unseen, whatever is imported, and the journal vouches for it', () => {
  const path = newPath()
  importBaseline(path, [HEADER, DENIED], ME)
  const lines = [HEADER, edgeLine(TMP_DENIED, 1, 2, 3, 1), edgeLine(exec('ls'), 1, 2, 3, 1)]
  expect(importBaseline(path, lines, ME)).toMatchObject({ edges: 2, refused: 1 })
  expect([...edgesIn(path)].map(({ to }) => to)).toEqual([exec('ls').to])
  const database = new Database(path)
  database.exec('DELETE FROM denied')
  database.close()
  expect(verifyBaseline(path, []).problem?.reason).toBe('1 denied edge fewer than journal row 2 vouches for')
})

test('what a person said goes over an export, byte for byte', () => {
  const [one, other] = [newPath(), newPath()]
  importBaseline(one, [HEADER, ACCEPTED, DENIED], ME)
  const lines = exported(one)
  expect(lines.map(kindOf)).toEqual(['baseline', 'denied', 'edge', 'end'])
  importBaseline(other, lines, ME)
  const times = (line: string): string => line.replace(/"timeMs":\d+/g, '')
  expect(exported(other).slice(0, -1).map(times)).toEqual(lines.slice(0, -1).map(times))
})
