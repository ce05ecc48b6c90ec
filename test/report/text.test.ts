import * as fc from 'fast-check'
import { printable } from '../../agent/graph/names.ts'
import { describe, expect, test } from 'vitest'
import type {
  BlindSpot,
  Incident,
  IncidentEdge,
  PatternLearned,
  Report,
  Summary,
} from '../../agent/domain/report.ts'
import { printer } from '../../agent/report/printer.ts'
import { ANSI, inAscii, PLAIN, textOf, timeText } from '../../agent/report/text.ts'

const CHAIN = ['proc::www-data:/usr/sbin/nginx', 'proc::www-data:/usr/bin/dash', 'host:203.0.113.66:4444']
const EDGE: IncidentEdge = {
  ...{ kind: 'connect', from: 'proc::www-data:/usr/bin/dash', to: 'host:203.0.113.66:4444' },
  ...{ count: 1, firstMs: Date.parse('2026-11-20T12:00:00.123Z'), lastMs: 0, chain: CHAIN, bits: 8 },
  evidence: {
    ...{ node: '', serial: 4711, syscall: 'connect', pid: 99, ppid: 98, auid: 1000, comm: 'sh' },
    ...{ argv: ['sh', '-i'], count: 1 },
  },
}
const INCIDENT: Incident = {
  kind: 'incident',
  id: 12,
  ...{ firstMs: EDGE.firstMs, lastMs: EDGE.firstMs, severity: 'high', score: 20, title: 'a shell connected' },
  ...{ chain: CHAIN, edges: [EDGE], count: 1, reasons: [], next: [] },
}
const BLIND: BlindSpot = {
  kind: 'blind-spot',
  reason: 'unreadable-line',
  fromMs: Date.parse('2026-11-20T11:59:00Z'),
  toMs: Date.parse('2026-11-20T12:00:00Z'),
  count: 3,
  detail: 'lines that are no audit records',
}
const PATTERN: PatternLearned = {
  kind: 'pattern',
  pattern: '^proc::root:/usr/bin/tar->file:create:/b/\\d+$',
  process: 'proc::root:/usr/bin/tar',
  action: 'create',
  examples: ['/b/1', '/b/2', '/b/3'],
}
const SUMMARY: Summary = {
  kind: 'summary',
  ...{
    records: 10,
    events: 5,
    edges: 4,
    unseen: 3,
    incidents: 2,
    withheld: 0,
    unreadable: 2,
    lost: 1,
    forged: 0,
    elapsedMs: 61_000,
  },
  coverage: 'complete',
}

describe('a line for a person', () => {
  test('of an incident has its time, severity, title and number, and below it its chains, why, and what to do', () => {
    expect(textOf({ ...INCIDENT, reasons: ['it is new', 'it is odd'], next: ['look'] }).split('\n')).toEqual([
      '2026-11-20T12:00:00.123Z high a shell connected [incident 12]',
      '  proc::www-data:/usr/sbin/nginx->proc::www-data:/usr/bin/dash',
      '  └─ * connect host:203.0.113.66:4444 [event 4711, pid 99, auid 1000] sh -i',
      '  why:  it is new',
      '        it is odd',
      '  next: look',
    ])
  })

  test('of an edge of nobody who logged in names no login; of several sightings it says how many', () => {
    const edge = { ...EDGE, count: 7, evidence: { ...EDGE.evidence, auid: 4_294_967_295, argv: [] } }
    expect(textOf({ ...INCIDENT, edges: [edge] })).toMatch(/ \[event 4711, pid 99, 7 times\]$/)
  })

  test('of a host that has a name has its address, too', () => {
    const edge = { ...EDGE, evidence: { ...EDGE.evidence, address: '203.0.113.66' } }
    expect(textOf({ ...INCIDENT, edges: [edge] })).toContain(
      'connect host:203.0.113.66:4444 (203.0.113.66) [',
    )
  })

  test('of a blind spot says how much and since when', () => {
    expect(textOf(BLIND)).toBe(
      '2026-11-20T12:00:00.000Z blind  unreadable-line: 3 lines that are no audit records ' +
        '[since 2026-11-20T11:59:00.000Z]',
    )
  })

  test('of a pattern is the pattern', () => {
    expect(textOf(PATTERN)).toBe('+ignore ^proc::root:/usr/bin/tar->file:create:/b/\\d+$')
  })

  test('of a summary counts', () => {
    expect(textOf(SUMMARY)).toMatch(
      /^10 records, 5 events in 61 s of log; 4 edges in the baseline, 3 unseen; 2 lines unreadable, 1 events lost$/,
    )
  })

  test('of a summary names the head of the journal, as much as a person compares', () => {
    expect(textOf({ ...SUMMARY, head: 'a1b2c3d4e5f6'.padEnd(64, '0') })).toMatch(
      /1 events lost; journal a1b2c3d4e5f6$/,
    )
  })

  test('has colours on a terminal only', () => {
    expect(textOf(INCIDENT)).not.toContain('\u001b')
    expect(textOf(INCIDENT, ANSI)).toContain('\u001b[')
  })
})

test.each([
  [0, '1970-01-01T00:00:00.000Z'],
  [8.64e15, '+275760-09-13T00:00:00.000Z'],
  [8.64e15 + 1000, '8640000000001000 ms'],
  [Number.MAX_SAFE_INTEGER, '9007199254740991 ms'],
  [-8.64e15 - 1, '-8640000000000001 ms'],
])('a stamp of %d is written', (timeMs, text) => {
  expect(timeText(timeMs)).toBe(text)
})

describe('the chains of an incident', () => {
  const [NGINX = '', DASH = ''] = CHAIN
  const edge = (kind: IncidentEdge['kind'], ...chain: string[]): IncidentEdge => ({
    ...{ ...EDGE, kind, chain, from: chain.at(-2) ?? '', to: chain.at(-1) ?? '' },
    evidence: { ...EDGE.evidence, argv: [] },
  })
  const drawn = (edges: IncidentEdge[], look = PLAIN, more = {}): string[] =>
    textOf({ ...INCIDENT, edges, ...more }, look)
      .split('\n')
      .slice(1)
      .map((line) => line.replace(' [event 4711, pid 99, auid 1000]', ''))
  const CURL = 'proc::www-data:/usr/bin/curl'
  const TWO = [
    edge('exec', NGINX, DASH, CURL),
    edge('connect', NGINX, DASH, CURL, 'host:203.0.113.66:80'),
    edge('write', NGINX, DASH, CURL, 'file:write:/tmp/x'),
    edge('delete', NGINX, DASH, 'proc::www-data:/bin/rm', 'file:delete:/tmp/x'),
  ]

  test('are a tree', () => {
    expect(drawn(TWO)).toEqual([
      '  proc::www-data:/usr/sbin/nginx->proc::www-data:/usr/bin/dash',
      '  ├─ * exec proc::www-data:/usr/bin/curl',
      '  │  ├─ * connect host:203.0.113.66:80',
      '  │  └─ * write file:write:/tmp/x',
      '  └─ proc::www-data:/bin/rm',
      '     └─ * delete file:delete:/tmp/x',
    ])
  })

  test('are a tree in ASCII, too', () => {
    const lines = drawn(
      [...TWO, { ...EDGE, evidence: { ...EDGE.evidence, argv: ['x'.repeat(200)] } }],
      inAscii(PLAIN),
    )
    expect(lines[2]).toBe('  |  |- * connect host:203.0.113.66:80')
    expect(lines.join('')).toMatch(/^[ -~]*$/)
  })

  test('are shortened where they are too many', () => {
    const many = Array.from({ length: 100 }, (_, index) =>
      edge('connect', NGINX, DASH, CURL, `host:127.0.0.1:${index}`),
    )
    const lines = drawn([...TWO, ...many], PLAIN, { unlisted: 7 })
    expect(lines.length).toBeLessThan(16)
    expect(lines.at(-1)).toBe('  … 102 more: fullmon incidents 12 --json')
  })
})

const TEXT = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '\n',
    '\r\n',
    '\u2028',
    '\u2029',
    '\u0085',
    '\u200b',
    '\u001b[2J',
    '\u009b2J',
    '\u0000',
    '\ud800',
    '\u202e',
  ),
)
const NUMBER = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const REPORT: fc.Arbitrary<Report> = fc.oneof(
  fc.tuple(TEXT, TEXT, NUMBER).map(([path, word, timeMs]) => ({
    ...INCIDENT,
    ...{ firstMs: timeMs, title: word, chain: [path], reasons: [word], next: [path] },
    edges: [
      {
        ...EDGE,
        ...{ to: path, chain: [path] },
        evidence: { ...EDGE.evidence, comm: word, argv: [word, path], node: word, syscall: word },
      },
    ],
  })),
  fc.tuple(TEXT, NUMBER).map(([detail, toMs]) => ({ ...BLIND, detail, toMs })),
  fc.tuple(TEXT, TEXT).map(([pattern, example]) => ({ ...PATTERN, pattern, examples: [example] })),
)

/** Characters that end a line for somebody, or tell a terminal something. */
const LIVELY = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff]/

describe('law: whatever the names are', () => {
  test('a report has as many lines of text as it would have with other names', () => {
    fc.assert(
      fc.property(REPORT, (report) => {
        const lines = textOf(report).split('\n')
        expect(lines).toHaveLength(report.kind === 'incident' ? 4 : 1)
        expect(lines.some((line) => LIVELY.test(line))).toBe(false)
      }),
    )
  })

  test('a report is one line of JSON that says the same', () => {
    fc.assert(
      fc.property(REPORT, (report) => {
        let written = ''
        const output = {
          isColoured: true,
          isUnicode: true,
          write: (text: string) => (written += text),
          holds: () => false,
        }
        printer({ format: 'json', output, origin: { host: 'h', version: '0' } }).print(report)
        expect(written.endsWith('\n')).toBe(true)
        const line = written.slice(0, -1)
        expect(line).not.toMatch(LIVELY)
        expect(line).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u200e\u200f]/)
        // Halves of characters are no JSON: they are as they are printed.
        const whole = JSON.parse(JSON.stringify(report), (_, value: unknown) =>
          typeof value === 'string' ? value.replace(/\p{Cs}/gu, printable) : value,
        ) as unknown
        expect(JSON.parse(line)).toEqual(whole)
      }),
    )
  })
})
