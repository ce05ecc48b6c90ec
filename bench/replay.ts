/**
 * `bench/run LOG`: how fast fullmon, laurel and ausearch read the same log; see bench/README.md for the options.
 *
 * All read it in the same run, in turns, from the page cache, and write what they make of it to files. Then the same
 * with long logs made from it. Prints a markdown table of medians for each log. Only ratios travel from one machine to
 * another.
 */
import { createWriteStream, existsSync, rmSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { timeOf } from '../agent/cli/values.ts'
import { blocksOf, linesOf, makeLongLog } from './copies.ts'
import {
  FULLMON,
  checkTools,
  circumstances,
  inFolder,
  laurelConfig,
  median,
  numberOf,
  printTable,
  run,
  type Run,
  stop,
  summaryIn,
} from './measure.ts'

/** As many events a second as a server has that starts a thousand programs in it, when LOG is `host-a`. */
const TIMES_FASTER = 8

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '5' },
    'long-runs': { type: 'string', default: '3' },
    mb: { type: 'string', default: '500' },
    interpreted: { type: 'boolean', default: false },
    train: { type: 'string' },
    'train-until': { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const [given, ...others] = positionals
if (given === undefined || others.length > 0) stop('which log? bench/run LOG [--mb 500] [--train-until TIME]')
if (!existsSync(given)) stop(`there is no log at ${given}`)
const log = resolve(given)
const runs = numberOf('runs', values.runs, 1)
const longRuns = numberOf('long-runs', values['long-runs'], 1)
const bytes = numberOf('mb', values.mb, 0) * 1e6
checkTools({ laurel: 'laurel', ausearch: 'auditd', time: 'time' })

interface Contestant {
  readonly name: string
  readonly command: readonly string[]
  /** File on standard input. */
  readonly stdin: string
  /** What it writes besides standard output; deleted before it starts. */
  readonly writes: readonly string[]
  readonly isFullmon: boolean
}

interface Row {
  readonly name: string
  readonly runs: readonly Run[]
}

/** A log that all read. */
interface Course {
  readonly title: string
  readonly file: string
  readonly records: number
  readonly training: readonly string[]
  readonly runs: number
}

await inFolder(async (folder) => {
  if (!values.json) console.log(circumstances(['laurel', 'ausearch']))
  let records = 0
  for await (const line of linesOf(log)) if (line !== '') records++
  await compare({ title: `\`${basename(log)}\``, file: log, records, training: trainingAt(1), runs }, folder)
  if (bytes === 0) return
  const file = join(folder, 'long.log')
  const long = await makeLongLog(log, file, { bytes })
  const title = `\`${basename(log)}\` × ${long.copies}`
  await compare({ title, file, records: long.records, training: trainingAt(1), runs: longRuns }, folder)
  const busy = await makeLongLog(log, file, { bytes, busy: { timesFaster: TIMES_FASTER } })
  await compare(
    {
      title: `${title}, ${TIMES_FASTER} times faster, with many open events`,
      ...{ file, records: busy.records, training: trainingAt(TIMES_FASTER, busy.timeOf), runs: longRuns },
    },
    folder,
  )
})

/** The training asked for, in a log whose time goes faster. */
function trainingAt(timesFaster: number, moved = (timeMs: number): number => timeMs): string[] {
  const { train, 'train-until': until } = values
  if (until !== undefined) return ['--train-until', String(moved(timeOf(until, 'train-until')) / 1000)]
  return train === undefined ? [] : ['--train', String(numberOf('train', train, 0) / timesFaster)]
}

async function compare(course: Course, folder: string): Promise<void> {
  const withEnds = join(folder, 'with-eoe.log')
  await pipeline(blocksOf(addEventEnds(linesOf(course.file))), createWriteStream(withEnds, 'latin1'))
  const contestants = contestantsFor(course, withEnds, folder)
  // Warms the page cache, and has fullmon built.
  const [first] = contestants
  if (first !== undefined) await measure(first, folder)
  const rows = contestants.map(({ name }) => ({ name, runs: [] as Run[] }))
  for (let round = 0; round < course.runs; round++) {
    for (const [index, contestant] of contestants.entries())
      rows[index]?.runs.push(await measure(contestant, folder))
  }
  for (const contestant of contestants) checkWork(contestant, course, folder)
  if (values.json) printJson(course, rows)
  else print(course, rows)
}

function contestantsFor({ file, training }: Course, withEnds: string, folder: string): Contestant[] {
  const database = join(folder, 'baseline.db')
  const fullmon = (name: string, ...words: string[]): Contestant => ({
    name: `fullmon ${name}`,
    command: [FULLMON, ...words, '--json'],
    stdin: '/dev/null',
    writes: ['', '-wal', '-shm'].map((end) => database + end),
    isFullmon: true,
  })
  const laurel = (name: string, stdin: string): Contestant => ({
    name,
    command: ['laurel', '-c', laurelConfig(folder, name)],
    stdin,
    writes: [join(folder, `${name}.jsonl`)],
    isFullmon: false,
  })
  const ausearch = (how: string): Contestant => ({
    name: `ausearch ${how}`,
    command: ['ausearch', how, '-if', file],
    stdin: '/dev/null',
    writes: [],
    isFullmon: false,
  })
  return [
    fullmon('replay', 'replay', file, ...training),
    fullmon('replay --db', 'replay', file, ...training, '--db', database),
    fullmon('train --db', 'train', '--no-follow', '--auditd', file, '--db', database),
    laurel('laurel', file),
    laurel('laurel, EOE added', withEnds),
    ausearch('--raw'),
    ...(values.interpreted ? [ausearch('-i')] : []),
  ]
}

/** auditd tells its plugins where an event ends, but not its log. */
async function* addEventEnds(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) {
    yield line
    const [, node = '', stamp] = /^(node=\S+ )?type=PROCTITLE msg=(audit\([^)]*\)):/.exec(line) ?? []
    if (stamp !== undefined) yield `${node}type=EOE msg=${stamp}: `
  }
}

function measure({ name, command, stdin, writes }: Contestant, folder: string): Promise<Run> {
  for (const file of writes) rmSync(file, { force: true })
  return run(command, stdin, join(folder, `${name}.out`))
}

/** Who does nothing is fast. */
function checkWork({ name, writes, isFullmon }: Contestant, { records }: Course, folder: string): void {
  const output = join(folder, `${name}.out`)
  const written = isFullmon ? output : (writes[0] ?? output)
  if (statSync(written).size === 0) throw new Error(`${name} wrote nothing`)
  if (!isFullmon) return
  const { records: read } = summaryIn(output)
  if (read !== records) throw new Error(`${name} read ${read} of ${records} records`)
}

function secondsOf({ runs: all }: Row): number {
  return median(all.map(({ seconds }) => seconds))
}

function secondsIn(rows: readonly Row[], name: string): number {
  const row = rows.find((each) => each.name === name)
  return row === undefined ? Number.NaN : secondsOf(row)
}

function print({ title, file, records, runs: rounds }: Course, rows: readonly Row[]): void {
  const megabytes = statSync(file).size / 1e6
  console.log(`\n${title}: ${megabytes.toFixed(1)} MB, ${records} records; median of ${rounds}.`)
  printTable(
    [
      '',
      's (least to most)',
      'CPU s',
      'MB/s',
      'records/s',
      'peak RSS, MB',
      'speed / laurel',
      'speed / ausearch --raw',
    ],
    rows.map((row) => {
      const seconds = secondsOf(row)
      const all = row.runs.map((each) => each.seconds)
      return [
        row.name,
        `${seconds.toFixed(2)} (${Math.min(...all).toFixed(2)} to ${Math.max(...all).toFixed(2)})`,
        median(row.runs.map(({ cpuSeconds }) => cpuSeconds)).toFixed(2),
        (megabytes / seconds).toFixed(1),
        Math.round(records / seconds).toLocaleString('en'),
        median(row.runs.map(({ peakMb }) => peakMb)).toFixed(0),
        (secondsIn(rows, 'laurel') / seconds).toFixed(2),
        (secondsIn(rows, 'ausearch --raw') / seconds).toFixed(2),
      ]
    }),
  )
}

/** One object a line, as fullmon prints: numbers as measured. */
function printJson({ title, file, records }: Course, rows: readonly Row[]): void {
  for (const row of rows) {
    const { name, runs: all } = row
    console.log(
      JSON.stringify({
        ...{ kind: 'replay', log: title, bytes: statSync(file).size, records, name, runs: all },
        seconds: secondsOf(row),
        toLaurel: secondsIn(rows, 'laurel') / secondsOf(row),
        toAusearch: secondsIn(rows, 'ausearch --raw') / secondsOf(row),
      }),
    )
  }
}
