/**
 * `bench/run LOG [--runs N] [--train-until TIME | --train S]`: how fast fullmon, laurel and ausearch read the same log.
 *
 * All read it in the same run, in turns, from the page cache, and write what they make of it to files. Prints a
 * markdown table of medians. Only ratios travel from one machine to another.
 */
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  createReadStream,
  createWriteStream,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'

const FULLMON = join(dirname(import.meta.dirname), 'scripts/fullmon')
const PATH = `/usr/sbin:/sbin:${process.env['PATH'] ?? ''}`
const NEEDED = { laurel: 'laurel', ausearch: 'auditd', time: 'time' }

interface Contestant {
  readonly name: string
  readonly command: readonly string[]
  /** File on standard input. */
  readonly stdin: string
  /** Where its work is afterwards. */
  readonly output: string
}

interface Run {
  readonly seconds: number
  readonly peakMb: number
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '5' },
    train: { type: 'string' },
    'train-until': { type: 'string' },
  },
})
const [given, ...others] = positionals
if (given === undefined || others.length > 0) {
  stop('which log? bench/run LOG [--runs N] [--train-until TIME | --train S]')
}
const log = resolve(given)
const runs = Number(values.runs)
if (!Number.isInteger(runs) || runs < 1) stop('--runs takes a number of at least 1')
checkTools()

const folder = mkdtempSync(join(tmpdir(), 'fullmon-bench-'))
try {
  await compare()
} finally {
  rmSync(folder, { recursive: true })
}

async function compare(): Promise<void> {
  const withEnds = join(folder, 'with-eoe.log')
  const records = await addEventEnds(log, withEnds)
  const contestants = contestantsFor(withEnds)
  // The first round warms the page cache, has fullmon built, and is not counted.
  for (const contestant of contestants) measure(contestant)
  checkWork(contestants, records)
  const measured = new Map(contestants.map(({ name }) => [name, [] as Run[]]))
  for (let round = 0; round < runs; round++) {
    for (const contestant of contestants) measured.get(contestant.name)?.push(measure(contestant))
  }
  print(measured, records)
}

function contestantsFor(withEnds: string): Contestant[] {
  const training = Object.entries({ train: values.train, 'train-until': values['train-until'] }).flatMap(
    ([option, value]) => (value === undefined ? [] : [`--${option}`, value]),
  )
  return [
    {
      name: 'fullmon replay',
      command: [FULLMON, 'replay', log, ...training, '--json'],
      stdin: '/dev/null',
      output: join(folder, 'fullmon replay.out'),
    },
    laurel('laurel', log),
    laurel('laurel, EOE added', withEnds),
    {
      name: 'ausearch --raw',
      command: ['ausearch', '--raw', '-if', log],
      stdin: '/dev/null',
      output: join(folder, 'ausearch --raw.out'),
    },
  ]
}

/** With the settings of the Debian package, but for the user, the place, and that nothing is rotated away. */
function laurel(name: string, input: string): Contestant {
  const config = join(folder, `${name}.toml`)
  const file = `${name}.jsonl`
  writeFileSync(
    config,
    `directory = "${folder}"
[auditlog]
file = "${file}"
size = 1000000000000
[transform]
execve-argv = [ "array" ]
[translate]
universal = false
user-db = false
[enrich]
pid = true
execve-env = [ "LD_PRELOAD", "LD_LIBRARY_PATH" ]
container = true
script = true
`,
    { mode: 0o600 },
  )
  return { name, command: ['laurel', '-c', config], stdin: input, output: join(folder, file) }
}

/** auditd tells its plugins where an event ends, but not its log: a copy of the log that has it. Returns its records. */
async function addEventEnds(from: string, to: string): Promise<number> {
  let records = 0
  const lines = async function* (): AsyncGenerator<string> {
    for await (const line of createInterface({ input: createReadStream(from, 'latin1') })) {
      records++
      const [, node = '', stamp] = /^(node=\S+ )?type=PROCTITLE msg=(audit\([^)]*\)):/.exec(line) ?? []
      yield stamp === undefined ? `${line}\n` : `${line}\n${node}type=EOE msg=${stamp}: \n`
    }
  }
  await pipeline(lines, createWriteStream(to, 'latin1'))
  return records
}

function measure({ name, command, stdin, output }: Contestant): Run {
  rmSync(output, { force: true })
  const peak = join(folder, 'peak')
  const [input, result] = [openSync(stdin, 'r'), openSync(join(folder, `${name}.out`), 'w')]
  try {
    const start = performance.now()
    const { status, stderr } = spawnSync('time', ['-f', '%M', '-o', peak, ...command], {
      stdio: [input, result, 'pipe'],
      env: { ...process.env, PATH },
      encoding: 'utf8',
    })
    const seconds = (performance.now() - start) / 1000
    if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status ?? 'a signal'}: ${stderr}`)
    return { seconds, peakMb: (Number(readFileSync(peak, 'utf8')) * 1024) / 1e6 }
  } finally {
    closeSync(input)
    closeSync(result)
  }
}

/** Who does nothing is fast. */
function checkWork(contestants: readonly Contestant[], records: number): void {
  const [fullmon] = contestants
  const summary =
    readFileSync(fullmon?.output ?? '', 'utf8')
      .trim()
      .split('\n')
      .at(-1) ?? ''
  const read = (JSON.parse(summary) as { records: number }).records
  if (read !== records) throw new Error(`fullmon read ${read} of ${records} records`)
  for (const { name, output } of contestants) {
    if (statSync(output).size === 0) throw new Error(`${name} wrote nothing`)
  }
}

function print(measured: ReadonlyMap<string, readonly Run[]>, records: number): void {
  const bytes = statSync(log).size
  const secondsOf = (name: string): number => median((measured.get(name) ?? []).map(({ seconds }) => seconds))
  const [cpu] = cpus()
  console.log(
    `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores (${cpu?.model ?? 'unknown CPU'}), ` +
      `Linux ${release()}; ${versions()}; \`${basename(log)}\`: ${(bytes / 1e6).toFixed(1)} MB, ${records} records; ` +
      `median of ${runs} runs.\n`,
  )
  console.log('| | s (least to most) | MB/s | records/s | peak RSS, MB | speed / laurel |')
  console.log('|---|---|---|---|---|---|')
  for (const [name, results] of measured) {
    const seconds = secondsOf(name)
    const all = results.map((run) => run.seconds)
    const cells = [
      name,
      `${seconds.toFixed(2)} (${Math.min(...all).toFixed(2)} to ${Math.max(...all).toFixed(2)})`,
      (bytes / 1e6 / seconds).toFixed(1),
      Math.round(records / seconds).toLocaleString('en'),
      median(results.map(({ peakMb }) => peakMb)).toFixed(0),
      (secondsOf('laurel') / seconds).toFixed(2),
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2
}

function versions(): string {
  const say = (command: string): string => {
    const { stdout, stderr } = spawnSync(command, ['--version'], {
      env: { ...process.env, PATH },
      encoding: 'utf8',
    })
    return (stdout + stderr).split('\n').find((line) => /\d\.\d/.test(line)) ?? 'unknown'
  }
  return `fullmon ${say(FULLMON)} on Node ${process.version.slice(1)}, laurel ${say('laurel')}, ${say('ausearch')}`
}

function checkTools(): void {
  const missing = Object.entries(NEEDED).filter(
    ([program]) => spawnSync('sh', ['-c', `command -v ${program}`], { env: { PATH } }).status !== 0,
  )
  if (missing.length === 0) return
  const programs = missing.map(([program]) => program).join(', ')
  stop(`not installed: ${programs}; apt-get install ${missing.map(([, name]) => name).join(' ')}`)
}

function stop(sentence: string): never {
  console.error(`bench/run: ${sentence}`)
  process.exit(2)
}
