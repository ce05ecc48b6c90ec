import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { EdgeKind } from '../../agent/domain/edge.ts'
import type { Incident, IncidentEdge, Report } from '../../agent/domain/report.ts'
import {
  evaluate,
  firstQuarterMs,
  type Goal,
  goalsOf,
  type Measured,
  readMarks,
} from '../../scripts/evaluation.ts'
import { tablesOf } from '../../scripts/evaluation-tables.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Training from 0 to 400 s, ordinary life to 800 s, two steps of 10 s each. */
const PHASES = [
  { t: 0, kind: 'phase', name: 'train' },
  { t: 400, kind: 'phase', name: 'benign' },
  { t: 800, kind: 'phase', name: 'attack' },
  { t: 800.001, kind: 'attack', name: 'shell', what: 'a shell', leadsTo: 'exec .*->proc::app:/bin/sh$' },
  { t: 810, kind: 'attack', name: 'loot', what: 'loot' },
  { t: 820, kind: 'phase', name: 'end' },
]
const MARKS = readMarks(PHASES.map((phase) => JSON.stringify(phase)).join('\n'))

function edge(seconds: number, kind: EdgeKind = 'write', to = 'file:write:/x', bits = 1): IncidentEdge {
  const firstMs = seconds * 1000
  const evidence = {
    node: '',
    serial: 1,
    syscall: '',
    pid: 1,
    ppid: 0,
    auid: 0,
    comm: '',
    argv: [],
    count: 1,
  }
  const chain = ['proc::app:/app', to]
  return { kind, from: 'proc::app:/app', to, count: 1, firstMs, lastMs: firstMs, chain, bits, evidence }
}

let ids = 0

function incident(score: number, ...edges: readonly IncidentEdge[]): Incident {
  const firstMs = edges[0]?.firstMs ?? 0
  const times = { firstMs, lastMs: firstMs }
  const words = { title: `with ${score} bits`, chain: [], reasons: [], next: [] }
  return {
    kind: 'incident',
    id: ++ids,
    ...times,
    severity: 'high',
    score,
    ...words,
    edges,
    count: edges.length,
  }
}

const SUMMARY: Report = {
  ...{ kind: 'summary', records: 7, events: 0, edges: 0, unseen: 0, unreadable: 0, lost: 0, forged: 0 },
  ...{ elapsedMs: 0, coverage: 'complete' },
} as Report

const whole = (...incidents: readonly Incident[]) => evaluate([...incidents, SUMMARY], MARKS, 400_000)
const SHELL = ['exec', 'proc::app:/bin/sh'] as const

describe('a step is covered', () => {
  test('by the incident with the highest score that has an edge of its time', () => {
    const best = incident(9, edge(815))
    const { steps, covered } = whole(incident(3, edge(812)), best, incident(20, edge(700)))
    expect(steps.map(({ best }) => best?.id)).toEqual([undefined, best.id])
    expect(covered).toBe(1)
  })

  test.each([
    ['stamped just before its mark, as the clock is coarse', 799.995, true],
    ['stamped long before its mark', 799.9, false],
    ['when the next step has begun', 810, false],
  ])('%s', (_, seconds, isCovered) => {
    expect(whole(incident(1, edge(seconds, ...SHELL))).steps[0]?.best !== undefined).toBe(isCovered)
  })

  test('only by an edge that leads where the step did', () => {
    expect(whole(incident(1, edge(805))).steps[0]?.best).toBeUndefined()
    const { best } =
      whole(incident(1, edge(805, 'write', 'file:write:/y', 99), edge(806, ...SHELL))).steps[0] ?? {}
    expect(best).toMatchObject({
      edge: 'exec proc::app:/app->proc::app:/bin/sh',
      chain: ['proc::app:/app', 'proc::app:/bin/sh'],
    })
  })

  test('rather by an incident of its own than by one that may belong to the next step', () => {
    const own = incident(2, edge(805, ...SHELL))
    const next = incident(9, edge(809.995, ...SHELL))
    expect(whole(own, next).steps[0]?.best?.id).toBe(own.id)
    expect(whole(next).steps[0]?.best?.id).toBe(next.id)
  })

  test('by one incident together with another step', () => {
    expect(whole(incident(1, edge(805, ...SHELL), edge(815))).covered).toBe(2)
  })
})

describe('ordinary life', () => {
  test('ranks above a step with the same score', () => {
    const { steps, aboveBenign } = whole(
      incident(5, edge(500)),
      incident(5, edge(805, ...SHELL)),
      incident(6, edge(815)),
    )
    expect(steps.map(({ rank }) => rank)).toEqual([2, 1])
    expect(aboveBenign).toBe(1)
  })

  test('that goes over into the attack counts, but ranks above no step', () => {
    const { steps, benign } = whole(incident(9, edge(500), edge(816)), incident(5, edge(805, ...SHELL)))
    expect(benign).toHaveLength(1)
    expect(steps.map(({ rank }) => rank)).toEqual([1, 1])
  })

  test('is what lies between the end of the training and the attack', () => {
    const found = whole(
      incident(1, edge(300)),
      incident(1, edge(500), edge(805, ...SHELL)),
      incident(1, edge(816)),
    )
    expect(found).toMatchObject({ records: 7, duringTraining: 1, benignPhase: 1, attack: 2 })
    expect(found.benign).toHaveLength(1)
  })

  test('begins earlier when the training is shorter', () => {
    const untilMs = firstQuarterMs(MARKS)
    const found = evaluate([incident(1, edge(200)), incident(1, edge(500)), SUMMARY], MARKS, untilMs)
    expect(untilMs).toBe(100_000)
    expect(found.benign).toHaveLength(2)
    expect(found.benignPhase).toBe(1)
  })
})

test('the last step lasts as long as the log when nothing says where it ends', () => {
  const marks = MARKS.filter(({ name }) => name !== 'end')
  expect(evaluate([incident(1, edge(5000)), SUMMARY], marks, 400_000).covered).toBe(1)
})

test('a replay without its end is no evaluation', () => {
  expect(() => evaluate([incident(1, edge(805))], MARKS, 400_000)).toThrow('did not come to its end')
})

test.each([
  ['{"t": 1, "kind": "phase", "name": "train"}', "there is no phase 'benign'"],
  ['{"t": "1", "kind": "phase", "name": "train"}', 'line 1 is no mark'],
  ['\n{"t": 1', 'line 2 is no mark'],
])('marks that are none: %s', (text, message) => {
  expect(() => readMarks(text)).toThrow(message)
})

describe('the goals', () => {
  const loud = whole(incident(9, edge(805, ...SHELL)), incident(9, edge(815)))

  test('are met when every step is covered and ordinary life is quiet', () => {
    expect(goalsOf({ whole: loud, quarter: loud }).filter(({ isMet }) => !isMet)).toEqual([])
  })

  test('are not met by silence', () => {
    const missed = goalsOf({ whole: whole(), quarter: whole() }).filter(({ isMet }) => !isMet)
    expect(missed.map(({ what }) => what)).toEqual([
      'steps covered',
      'steps ranked above every benign incident',
      'steps covered, trained on a quarter',
    ])
  })

  test('are not met by noise', () => {
    const noise = Array.from({ length: 50 }, (_, index) => [
      incident(20, edge(500 + index)),
      incident(1, edge(805, ...SHELL)),
    ])
    const noisy = whole(...noise.flat(), incident(1, edge(815)))
    const missed = goalsOf({ whole: noisy, quarter: noisy }).filter(({ isMet }) => !isMet)
    expect(missed.map(({ what, measured }) => [what, measured])).toEqual([
      ['steps ranked above every benign incident', 0],
      ['benign incidents', 50],
      ['incidents in the attack phase', 51],
      ['benign incidents, trained on a quarter', 50],
    ])
  })
})

describe('the tables', () => {
  const hostile = { ...incident(3, edge(500, 'write', 'file:write:/`\u001b[2J')), title: 'a | b\n\u202e*c*' }
  const text = tablesOf({ whole: whole(hostile, incident(9, edge(815))) })

  test('say which step was missed and which incident covers the others', () => {
    expect(text).toMatch(/^\| shell +\|.*\*\*missed\*\* +\|$/m)
    expect(text).toMatch(/^\| loot +\| \d+ +\| high +\| 9\.0 +\| 1 +\| with 9 bits +\|$/m)
    expect(text).toContain('- loot: `write` `proc::app:/app->file:write:/x`\n')
    expect(text).toMatch(/\| steps covered +\| at least 2 +\| 1 +\| \*\*not met\*\* \|/)
  })

  test('hold no markup and no control character of a log', () => {
    expect(text).toContain(String.raw`a \| b\u{a}\u{202e}\*c\*`)
    expect(text).toContain(String.raw`->file:write:/'\u{1b}[2J`)
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  })
})

describe('scripts/evaluate', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fullmon-evaluate-test-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  const phases = join(folder, 'phases.jsonl')
  writeFileSync(phases, PHASES.map((phase) => JSON.stringify(phase)).join('\n'))
  const log = join(ROOT, 'test/fixtures/recorded/exec.log')
  const run = (...words: readonly string[]) =>
    spawnSync(join(ROOT, 'scripts/evaluate'), words, { encoding: 'utf8', cwd: folder })

  test('replays with the program as it is shipped', () => {
    const { status, stdout } = run(log, phases, '--json')
    const { whole, quarter, goals } = JSON.parse(stdout) as Measured & { goals: readonly Goal[] }
    const records = readFileSync(log, 'latin1').split('\n').length - 1
    expect([status, whole?.records, quarter?.records, goals.length]).toEqual([0, records, records, 7])
  })

  test('ends with 1 when a goal is not met, if asked', () => {
    const { status, stdout } = run(log, phases, '--whole', '--goal')
    expect(status).toBe(1)
    expect(stdout).toContain('**not met**')
  })

  test('puts its tables into a document, and nothing else', () => {
    const document = join(folder, 'document.md')
    const name = basename(folder)
    const around = (text: string): string =>
      `before\n<!-- ${name} -->\n${text}<!-- end of ${name} -->\nafter\n`
    writeFileSync(document, around('old\n'))
    const { stdout } = run(log, phases, '--whole')
    expect(run(log, phases, '--whole', '--into', document)).toMatchObject({ status: 0, stdout: '' })
    expect(readFileSync(document, 'utf8')).toBe(around(`\n${stdout}\n`))
    writeFileSync(document, 'before\n')
    expect(run(log, phases, '--whole', '--into', document)).toMatchObject({ status: 2 })
  })

  test.each([
    ['no words', [], 'it takes a log and its phases'],
    ['a file that is not there', [log, 'nowhere'], 'there is no file nowhere'],
    ['a file of something else', [log, log], 'line 1 is no mark'],
    ['both trainings excluded', [log, phases, '--whole', '--quarter'], 'exclude each other'],
    ['a word that it does not know', [log, phases, '--fast'], "'--fast'"],
  ])('ends with 2 on %s', (_, words, message) => {
    const { status, stderr } = run(...words)
    expect(status).toBe(2)
    expect(stderr).toContain(message)
  })
})
