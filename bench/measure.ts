/** What the benchmarks share: to run a program and see what it takes, and to print the outcome. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const ROOT = dirname(import.meta.dirname)
export const FULLMON = join(ROOT, 'scripts/fullmon')
/** Daemons live in sbin, which not everybody has in the path. */
const PATH = `/usr/sbin:/sbin:${process.env['PATH'] ?? ''}`

export interface Run {
  /** From start to end. */
  readonly seconds: number
  /** Processor time, user and system. */
  readonly cpuSeconds: number
  /** Maximum resident set, 10⁶ bytes. */
  readonly peakMb: number
}

/**
 * Runs a program to its end, under GNU time.
 *
 * @param stdin file to read
 * @param stdout file to write
 * @throws Error if it ends with anything but 0
 */
export async function run(command: readonly string[], stdin: string, stdout: string): Promise<Run> {
  const [report, complaints] = [`${stdout}.time`, `${stdout}.err`]
  const stdio = [openSync(stdin, 'r'), openSync(stdout, 'w'), openSync(complaints, 'w')]
  try {
    const start = performance.now()
    const child = spawn('time', ['-f', '%M %U %S', '-o', report, ...command], {
      stdio,
      env: { ...process.env, PATH },
    })
    const [status] = (await once(child, 'exit')) as [number | null]
    const seconds = (performance.now() - start) / 1000
    if (status !== 0)
      throw new Error(
        `${command.join(' ')} ended with ${status ?? 'a signal'}: ${readFileSync(complaints, 'utf8').slice(0, 500)}`,
      )
    const [peak = 0, user = 0, system = 0] = readFileSync(report, 'utf8').split(' ').map(Number)
    return { seconds, cpuSeconds: user + system, peakMb: (peak * 1024) / 1e6 }
  } finally {
    for (const file of stdio) closeSync(file)
  }
}

/** Last line of what `fullmon --json` printed. */
export function summaryIn(file: string): { records: number; events: number; edges: number; unseen: number } {
  const line = readFileSync(file, 'utf8').trim().split('\n').at(-1) ?? ''
  return JSON.parse(line) as ReturnType<typeof summaryIn>
}

/** With a new folder that is gone afterwards, also when a signal ends the benchmark: it may hold gigabytes. */
export async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'fullmon-bench-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  const end = (): void => process.exit(1)
  process.once('exit', remove)
  for (const signal of SIGNALS) process.once(signal, end)
  try {
    await work(folder)
  } finally {
    for (const signal of SIGNALS) process.off(signal, end)
    process.off('exit', remove)
    remove()
  }
}

/** Settings of the Debian package, but for the user, the place, and that nothing is rotated away. Returns the file. */
export function laurelConfig(folder: string, name: string): string {
  const config = join(folder, `${name}.toml`)
  writeFileSync(
    config,
    `directory = "${folder}"
[auditlog]
file = "${name}.jsonl"
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
  return config
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2
}

export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  console.log(`\n| ${head.join(' | ')} |\n|${'---|'.repeat(head.length)}`)
  for (const cells of rows) console.log(`| ${cells.join(' | ')} |`)
  console.log()
}

/** When, where and with what. @param programs asked for their versions */
export function circumstances(programs: readonly string[]): string {
  const [cpu] = cpus()
  const versions = programs.map((program) => `, ${program} ${versionOf(program)}`).join('')
  return (
    `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores (${cpu?.model ?? 'unknown CPU'}), ` +
    `Linux ${release()}; fullmon ${commit()} on Node ${process.version.slice(1)}${versions}.`
  )
}

function commit(): string {
  const { status, stdout } = spawnSync('git', ['-C', ROOT, 'describe', '--always', '--dirty'], {
    encoding: 'utf8',
  })
  return status === 0 ? stdout.trim() : versionOf(FULLMON)
}

function versionOf(program: string): string {
  const { stdout, stderr } = spawnSync(program, ['--version'], {
    env: { ...process.env, PATH },
    encoding: 'utf8',
  })
  return /\d+(\.\d+)+/.exec(stdout + stderr)?.[0] ?? 'of unknown version'
}

/** Where a program is; undefined when it is not installed. */
export const placeOf = (program: string): string | undefined =>
  spawnSync('sh', ['-c', `command -v ${program}`], { env: { PATH }, encoding: 'utf8' }).stdout.trim() ||
  undefined

/** @param needed names of Debian packages by program */
export function checkTools(needed: Readonly<Record<string, string>>): void {
  const missing = Object.entries(needed).filter(([program]) => placeOf(program) === undefined)
  if (missing.length === 0) return
  const programs = missing.map(([program]) => program).join(', ')
  stop(`not installed: ${programs}; apt-get install ${missing.map(([, name]) => name).join(' ')}`)
}

/** Ends with a complaint about what was asked for. */
export function stop(sentence: string): never {
  console.error(`bench: ${sentence}`)
  process.exit(2)
}

/** A number of the command line. */
export function numberOf(option: string, text: string, least: number): number {
  const number = Number(text)
  if (!(number >= least)) stop(`--${option} takes a number of at least ${least}`)
  return number
}
