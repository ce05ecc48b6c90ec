/**
 * `bench/baseline-size [LOG]`: what an event costs with small and large baselines; see bench/README.md for the options.
 *
 * Every baseline holds the edges of LOG and those of the smallest baseline, so that a log is the same work with all of
 * them. Prints a markdown table of medians for each log.
 */
import { copyFileSync, createWriteStream, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import {
  FULLMON,
  checkTools,
  circumstances,
  inFolder,
  median,
  numberOf,
  printTable,
  run,
  type Run,
  stop,
  summaryIn,
} from './measure.ts'
import { byAnother, edgeOf, eventOf, exported, type Stranger, TRAINED, unheardOf } from './strangers.ts'

const HEADER = JSON.stringify({ kind: 'baseline', format: 1 })
/** Edges that `baseline import` gets at once: it keeps them in memory. */
const PORTION = 100_000
/** A prime, to walk through all numbers below a size in an order that is none. */
const STRIDE = 7919
const STRANGERS = 25_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    edges: { type: 'string', default: '10000,100000,1000000' },
    runs: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
  },
})
const [given, ...others] = positionals
if (others.length > 0) stop('one log: bench/baseline-size [LOG] [--edges 10000,100000,1000000]')
const sizes = values.edges.split(',').map((text) => numberOf('edges', text, 1000))
const runs = numberOf('runs', values.runs, 1)
checkTools({ time: 'time' })

/** What LOG teaches, as `baseline export` prints it. */
interface Learned {
  readonly edges: number
  readonly lines: readonly string[]
}

interface Size {
  readonly edges: number
  readonly database: string
}

/** A log to replay with every baseline. */
interface Course {
  readonly title: string
  readonly log: string
}

interface Row extends Size {
  readonly megabytes: number
  readonly runs: readonly Run[]
  readonly events: number
  readonly unseen: number
}

await inFolder(async (folder) => {
  if (!values.json) console.log(circumstances([]))
  const own: Learned =
    given === undefined ? { edges: 0, lines: [HEADER, TRAINED] } : await learnedFrom(given, folder)
  const shared = Math.min(...sizes) - own.edges
  if (shared < 1) stop(`the log itself has ${own.edges} edges: --edges must be larger`)
  const baselines: Size[] = []
  for (const edges of sizes) baselines.push(await makeBaseline(edges, own, folder))
  const starts = await measureAll(await courseOf('start', [edgeOf(0)], folder), baselines, folder)
  report('The start: a log of one event', starts, starts)
  const courses: Course[] = [
    ...(given === undefined
      ? []
      : [{ title: `\`${basename(given)}\`: few edges, again and again`, log: given }]),
    await courseOf('known edges, each once', shuffled(shared).map(edgeOf), folder),
    await courseOf('unknown edges, each once: half of them between known nodes', unknown(shared), folder),
  ]
  for (const course of courses) report(course.title, await measureAll(course, baselines, folder), starts)
})

async function learnedFrom(log: string, folder: string): Promise<Learned> {
  const database = join(folder, 'own.db')
  const file = join(folder, 'own.jsonl')
  await fullmon(['train', '--no-follow', '--auditd', log, '--db', database], `${file}.out`)
  await fullmon(['baseline', 'export', '--db', database], file)
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  return { edges: lines.filter((line) => line.startsWith('{"kind":"edge"')).length, lines }
}

/** With the edges of LOG, and as many others, in an order that is none. */
async function makeBaseline(edges: number, own: Learned, folder: string): Promise<Size> {
  const database = join(folder, `${edges}.db`)
  const file = join(folder, 'portion.jsonl')
  const add = async (lines: readonly string[]): Promise<void> => {
    writeFileSync(file, lines.join('\n'))
    await fullmon(['baseline', 'import', file, '--db', database], `${file}.out`)
  }
  await add(own.lines)
  const numbers = shuffled(edges - own.edges)
  for (let at = 0; at < numbers.length; at += PORTION) {
    const portion = numbers.slice(at, at + PORTION)
    await add([HEADER, ...portion.map((number) => exported(edgeOf(number)))])
  }
  return { edges, database }
}

async function courseOf(title: string, edges: readonly Stranger[], folder: string): Promise<Course> {
  const log = join(folder, `${title}.log`)
  const events = function* (): Iterable<string> {
    for (const [index, edge] of edges.entries()) yield eventOf(edge, index + 1)
  }
  await pipeline(events, createWriteStream(log, 'latin1'))
  return { title, log }
}

/** By turns between nodes that every baseline knows, and to files that none does. */
function unknown(shared: number): Stranger[] {
  return shuffled(STRANGERS).flatMap((number) => [
    byAnother(edgeOf(number % shared), 1 + Math.floor(number / shared)),
    unheardOf(number),
  ])
}

/** The numbers below a size, each once, in the same mixed order every time. */
function shuffled(size: number): number[] {
  return Array.from({ length: size }, (_, index) => (index * (size % STRIDE === 0 ? 1 : STRIDE)) % size)
}

/** In turns, each time from a fresh copy of the baseline. */
async function measureAll(
  { title, log }: Course,
  baselines: readonly Size[],
  folder: string,
): Promise<Row[]> {
  const rows = baselines.map((baseline) => ({
    ...baseline,
    ...{ megabytes: statSync(baseline.database).size / 1e6, runs: [] as Run[], events: 0, unseen: 0 },
  }))
  const output = join(folder, 'replay.out')
  const database = join(folder, 'baseline.db')
  for (let round = 0; round < runs; round++) {
    for (const row of rows) {
      for (const end of ['-wal', '-shm']) rmSync(database + end, { force: true })
      copyFileSync(row.database, database)
      row.runs.push(await fullmon(['replay', log, '--db', database, '--train', '0', '--json'], output))
      const { events, unseen } = summaryIn(output)
      Object.assign(row, { events, unseen })
    }
  }
  const [first] = rows
  for (const { events, unseen } of rows) {
    if (events !== first?.events || unseen !== first.unseen)
      throw new Error(`${title}: not the same work with all`)
  }
  return rows
}

function fullmon(words: readonly string[], output: string): Promise<Run> {
  return run([FULLMON, ...words], '/dev/null', output)
}

/** Of the processor: programs beside it change that less than the time it takes. */
function cpuOf(row: Row | undefined): number {
  return median((row?.runs ?? []).map(({ cpuSeconds }) => cpuSeconds))
}

function report(title: string, rows: readonly Row[], starts: readonly Row[]): void {
  const events = rows[0]?.events ?? 0
  const unseen = rows[0]?.unseen ?? 0
  const isStart = rows === starts
  const costs = rows.map((row, index) => cpuOf(row) - (isStart ? 0 : cpuOf(starts[index])))
  const results = rows.map((row, index) => ({
    edges: row.edges,
    databaseMb: row.megabytes,
    seconds: median(row.runs.map(({ seconds }) => seconds)),
    cpuSeconds: cpuOf(row),
    microsecondsAnEvent: ((costs[index] ?? 0) / events) * 1e6,
    ratio: (costs[index] ?? 0) / (costs[0] ?? 0),
    peakMb: median(row.runs.map(({ peakMb }) => peakMb)),
  }))
  if (values.json) {
    for (const result of results)
      console.log(JSON.stringify({ kind: 'baseline-size', log: title, events, unseen, ...result }))
    return
  }
  console.log(
    `\n${title}${isStart ? '' : `; ${events} events, ${unseen} unseen edges; the start taken off`}; median of ${runs}.`,
  )
  printTable(
    ['edges', 'database, MB', 's', 'CPU s', 'CPU µs/event', 'to the smallest', 'peak RSS, MB'],
    results.map((result) => [
      result.edges.toLocaleString('en'),
      result.databaseMb.toFixed(1),
      result.seconds.toFixed(2),
      result.cpuSeconds.toFixed(2),
      isStart ? '' : result.microsecondsAnEvent.toFixed(1),
      result.ratio.toFixed(2),
      result.peakMb.toFixed(0),
    ]),
  )
}
