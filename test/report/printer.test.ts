import { spawnSync } from 'node:child_process'
import { appendFileSync, closeSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { BlindSpot, Incident, Report } from '../../agent/domain/report.ts'
import { jsonOf, printer } from '../../agent/report/printer.ts'
import { textOf } from '../../agent/report/text.ts'
import { hasColours, isUnicodeIn } from '../../agent/support/standard-output.ts'
import { ALERT, HOSTILE_INCIDENT } from '../outputs/reports.ts'
import { folderForTest } from '../support/folder.ts'

const ORIGIN = { host: 'web-1.example.net', version: '0.1.0' }
const AGENT = join(import.meta.dirname, '../../agent')

const REPORTS: readonly BlindSpot[] = [1, 2, 3].map((count) => ({
  kind: 'blind-spot',
  ...{ reason: 'serial-gap', fromMs: 1_795_000_000_000, toMs: 1_795_000_001_000 + count, count },
  detail: 'events that never came, “as it is”',
  head: 'f'.repeat(64),
}))

/** Prints like a process that was started with its output in a file, a pipe and so on. Returns what a pipe got. */
function inProcess(
  how: 'print' | 'again',
  reports: readonly Report[],
  {
    json = false,
    log = '',
    stdout = 'pipe',
  }: { json?: boolean; log?: string; stdout?: number | 'pipe' } = {},
): string {
  const program = `
    import { jsonOf, printer } from '${AGENT}/report/printer.ts'
    import { openLog } from '${AGENT}/support/log.ts'
    import { standardOutput } from '${AGENT}/support/standard-output.ts'
    const log = ${log === '' ? 'undefined' : `openLog('${log}')`}
    const { ${how} } = printer({
      ...{ format: '${json ? 'json' : 'text'}', output: standardOutput(), log },
      origin: { host: 'h', version: '0' },
    })
    for (const report of ${JSON.stringify(reports)}) ${how}(report)
    await log?.close()`
  const done = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    stdio: ['ignore', stdout, 'pipe'],
  })
  expect(done.stderr).toBe('')
  return stdout === 'pipe' ? done.stdout : ''
}

function toFile(file: string, ...[how, reports, options]: Parameters<typeof inProcess>): void {
  const stdout = openSync(file, 'a')
  inProcess(how, reports, { ...options, stdout })
  closeSync(stdout)
}

const linesOf = (file: string): string[] => readFileSync(file, 'utf8').split('\n')
const logTexts = (file: string): string[] => linesOf(file).map((line) => line.slice(25))

test('a line for each report, and text without colours in the log', () => {
  for (const json of [false, true]) {
    const written: string[] = []
    const logged: string[] = []
    const { print } = printer({
      format: json ? 'json' : 'text',
      origin: ORIGIN,
      output: { isColoured: true, isUnicode: true, write: (text) => written.push(text), holds: () => false },
      log: { line: (text) => logged.push(text), holds: () => false, close: () => Promise.resolve() },
    })
    for (const report of REPORTS) print(report)
    expect(written.map((text) => text.indexOf('\n') === text.length - 1)).toEqual([true, true, true])
    expect(written.join('').includes('\u001b')).toBe(!json)
    expect(logged).toEqual(REPORTS.map((report) => textOf(report)))
  }
})

test('what stands in a file already is not printed again; what does not, is', () => {
  for (const json of [false, true]) {
    const folder = folderForTest()
    const [out, log] = [join(folder, 'out'), join(folder, 'log')]
    toFile(out, 'print', REPORTS.slice(0, 2), { json, log })
    // The kill came between the two outputs.
    truncateSync(log, readFileSync(log).indexOf('\n') + 1)
    toFile(out, 'again', REPORTS, { json, log })
    const texts = REPORTS.map((report) => textOf(report))
    expect(linesOf(out)).toEqual([...(json ? REPORTS.map((report) => JSON.stringify(report)) : texts), ''])
    expect(logTexts(log)).toEqual([...texts, ''])
  }
})

test('a line that was cut is ended, and printed whole', () => {
  const folder = folderForTest()
  const [out, log] = [join(folder, 'out'), join(folder, 'log')]
  toFile(out, 'print', REPORTS.slice(0, 2), { log })
  for (const file of [out, log]) truncateSync(file, readFileSync(file).length - 5)
  toFile(out, 'again', REPORTS.slice(0, 2), { log })
  const [first = '', second = ''] = REPORTS.map((report) => textOf(report))
  expect(linesOf(out)).toEqual([first, second.slice(0, -4), second, ''])
  expect(logTexts(log)).toEqual([first, second.slice(0, -4), second, ''])
})

test('a line that only ends with the same words is another line', () => {
  const out = join(folderForTest(), 'out')
  const [first = ''] = REPORTS.map((report) => textOf(report))
  writeFileSync(out, `not ${first}\n${first} not\n`)
  toFile(out, 'again', REPORTS.slice(0, 1))
  expect(linesOf(out)).toEqual([`not ${first}`, `${first} not`, first, ''])
})

const CHAIN = ['proc::app:/usr/bin/python3', 'proc::app:/usr/bin/dash', 'host:203.0.113.66:4444']
const INCIDENT: Incident = {
  ...{ kind: 'incident', id: 12, firstMs: 1_795_000_000_000, lastMs: 1_795_000_000_000, severity: 'high' },
  ...{
    score: 20,
    title: 'a shell connected',
    chain: CHAIN,
    count: 1,
    reasons: ['it is new'],
    next: ['look'],
  },
  edges: [
    {
      ...{ kind: 'connect', from: CHAIN[1] ?? '', to: CHAIN[2] ?? '', chain: CHAIN, count: 1, bits: 8 },
      ...{ firstMs: 1_795_000_000_000, lastMs: 1_795_000_000_000 },
      evidence: {
        ...{ node: '', serial: 4711, syscall: 'connect', pid: 99, ppid: 98, auid: 1000, comm: 'sh' },
        ...{ argv: [], count: 1 },
      },
    },
  ],
}

test('an incident of several lines stands there when all of them do', () => {
  const reports = [INCIDENT, { ...INCIDENT, id: 13 }]
  const folder = folderForTest()
  const [out, log] = [join(folder, 'out'), join(folder, 'log')]
  toFile(out, 'print', reports, { log })
  const [before, logged] = [readFileSync(out, 'utf8'), readFileSync(log, 'utf8')]
  expect(linesOf(out).length).toBeGreaterThan(2 * 4)
  toFile(out, 'again', reports, { log })
  expect(readFileSync(out, 'utf8')).toBe(before)
  expect(readFileSync(log, 'utf8')).toBe(logged)
  // The kill came in the middle of the second.
  truncateSync(out, before.lastIndexOf('why:'))
  truncateSync(log, logged.lastIndexOf('why:'))
  toFile(out, 'again', reports, { log })
  const whole = before.slice(before.length / 2)
  expect(readFileSync(out, 'utf8').endsWith(`\n${whole}`)).toBe(true)
  expect(readFileSync(out, 'utf8').split('[incident 12]')).toHaveLength(2)
  expect(readFileSync(log, 'utf8').split('[incident 12]')).toHaveLength(2)
  expect(readFileSync(log, 'utf8').split('[incident 13]')).toHaveLength(3)
})

test.each([
  [{ LANG: 'de_DE.UTF-8' }, true],
  [{ LANG: 'C', LC_CTYPE: 'C.utf8' }, true],
  [{ LANG: 'C.UTF-8', LC_ALL: 'POSIX' }, false],
  [{ LANG: 'C.UTF-8', LC_ALL: '' }, true],
  [{}, false],
])('the locale of %o has more than ASCII: %s', (environment, isUnicode) => {
  expect(isUnicodeIn(environment)).toBe(isUnicode)
})

test('it is looked for in the last mebibyte, and in the log that was rotated away last', () => {
  const folder = folderForTest()
  const [out, log] = [join(folder, 'out'), join(folder, 'log')]
  toFile(out, 'print', REPORTS.slice(0, 1), { log })
  writeFileSync(`${log}.1`, readFileSync(log))
  writeFileSync(log, '')
  const line = readFileSync(out, 'utf8')
  appendFileSync(out, 'x\n'.repeat((1024 * 1024 - Buffer.byteLength(line)) >> 1))
  toFile(out, 'again', REPORTS.slice(0, 1), { log })
  expect(readFileSync(out, 'utf8').split(line)).toHaveLength(2)
  expect(readFileSync(log, 'utf8')).toBe('')
})

test('nobody knows what a pipe has carried: it is printed there', () => {
  const expected = REPORTS.map((report) => `${textOf(report)}\n`).join('')
  expect(inProcess('again', REPORTS)).toBe(expected)
})

test('each output has a gravity from which it tells, and how a run ended is told everywhere', () => {
  const [written, logged]: [string[], string[]] = [[], []]
  const { print } = printer({
    ...{ format: 'json', origin: ORIGIN, least: { output: 'high', log: 'medium' } },
    output: { isColoured: false, isUnicode: true, write: (text) => written.push(text), holds: () => false },
    log: { line: (text) => logged.push(text), holds: () => false, close: () => Promise.resolve() },
  })
  const summary: Report = {
    ...{ kind: 'summary', records: 0, events: 0, edges: 0, unseen: 0, incidents: 0, withheld: 0 },
    ...{ unreadable: 0, lost: 0, forged: 0, elapsedMs: 0, coverage: 'complete' },
  }
  const [spot] = REPORTS
  if (spot === undefined) throw new Error('there is no report')
  for (const report of [INCIDENT, ALERT, { ...INCIDENT, severity: 'medium' as const }, spot]) print(report)
  for (const report of [{ ...spot, isOngoing: true as const }, summary]) print(report)
  const kinds = (texts: readonly string[]): string[] =>
    texts.map((text) => (JSON.parse(text) as { kind: string }).kind)
  expect(kinds(written)).toEqual(['incident', 'alert', 'summary'])
  expect(logged).toHaveLength(5)
})

test('with names of ECS there is an object a line, and none for what is not about the host', () => {
  const written: string[] = []
  const { print } = printer({
    ...{ format: 'ecs', origin: ORIGIN },
    output: { isColoured: true, isUnicode: true, write: (text) => written.push(text), holds: () => false },
  })
  print({ kind: 'pattern', pattern: 'p', process: 'x', action: 'create', examples: [] })
  print(HOSTILE_INCIDENT)
  expect(written).toHaveLength(1)
  expect(written[0]).toMatch(/^\{.*\}\n$/)
  expect(written[0]).not.toMatch(/[\u007f-\u009f\u2028\u2029\u202a-\u202e]/)
  expect(JSON.parse(written[0] ?? '')).toMatchObject({
    host: { name: ORIGIN.host },
    event: { id: 'incident-8' },
  })
})

test.each([
  [true, {}, true],
  [false, {}, false],
  [true, { NO_COLOR: '1' }, false],
  [true, { NO_COLOR: '' }, true],
  [true, { TERM: 'dumb' }, false],
])('a terminal %j with %j has colours: %j', (isTerminal, environment, expected) => {
  expect(hasColours(isTerminal, environment)).toBe(expected)
})

test('JSON is one line that every reader takes and no terminal obeys', () => {
  const text = 'a\udcff\ud800 \\udcff \\\\udcff \u202e\u009b\u2028\u200b\ufe0f\u{1f600}'
  const line = jsonOf({ argv: [text], 'key\udc80': 1 })
  expect(line).toMatch(/^[\x20-\x7e\u{1f600}]+$/u)
  expect(line).not.toMatch(/[^\\]\\ud[89a-f]/)
  // As they were, but for bytes that are no UTF-8.
  expect(JSON.parse(line)).toEqual({
    argv: [text.replace('\udcff', '\\xff').replace('\ud800', '\\u{d800}')],
    'key\\x80': 1,
  })
  const words = ['-c', 'import json, sys; json.load(sys.stdin)["argv"][0].encode("utf-8")']
  const { status, error } = spawnSync('/usr/bin/python3', words, { input: line })
  expect(error === undefined ? status : 0).toBe(0)
})
