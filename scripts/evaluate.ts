/** `scripts/evaluate`: replays a recording with known attacks as a user would, and prints what came of it. */
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import type { Report } from '../agent/domain/report.ts'
import {
  evaluate,
  type Evaluation,
  firstQuarterMs,
  goalsOf,
  type Mark,
  phaseMs,
  readMarks,
} from './evaluation.ts'
import { tablesOf } from './evaluation-tables.ts'

const USAGE = `Usage: scripts/evaluate LOG PHASES [--dns PCAP] [--json] [--whole | --quarter] [--goal]
                        [--into DOCUMENT]

Replays the audit log LOG twice, trained until the phase 'benign' and until a quarter of that, and prints as Markdown how
many incidents ordinary life caused and which incident covers which step of the attack. PHASES are lines of JSON:
{"t": 1795210912.678, "kind": "phase", "name": "train"} for train, benign, attack and perhaps end, in seconds, and in between
{"t": …, "kind": "attack", "name": …, "what": …, "leadsTo": …} for each step; leadsTo is optional, a regular expression
for one of the step's edges, printed as KIND FROM->TO. A step is covered by an incident with an edge first seen in its
time. What is packed is unpacked with xz.

  --dns PCAP        the DNS answers of the same time, so that peers have names
  --json            one JSON object instead of tables
  --whole           with the whole training only
  --quarter         with the first quarter of the training only
  --into DOCUMENT   put the tables there, between the lines <!-- NAME --> and <!-- end of NAME -->, where NAME is that of
                    the folder of PHASES
  --goal            exit with 1 when a goal is not met

Exit codes: 0 done, 1 a goal was not met or the replay failed, 2 a wrong word or file.
`

const FULLMON = join(import.meta.dirname, 'fullmon')

interface Recording {
  readonly log: string
  readonly marks: readonly Mark[]
  readonly pcap: string | undefined
}

/** Something is wrong with the words or files that the user gave. */
class Misuse extends Error {}

async function main(): Promise<number> {
  const { values, positionals } = wordsOf()
  if (values.help) {
    process.stdout.write(USAGE)
    return 0
  }
  const [log, phases, ...rest] = positionals
  if (log === undefined || phases === undefined || rest.length > 0)
    throw new Misuse('it takes a log and its phases; see --help')
  if (values.whole && values.quarter) throw new Misuse('--whole and --quarter exclude each other')
  for (const file of [log, phases, values.dns, values.into].filter((file) => file !== undefined))
    if (!existsSync(file)) throw new Misuse(`there is no file ${file}`)
  const folder = mkdtempSync(join(tmpdir(), 'fullmon-evaluate-'))
  try {
    const recording = { log, marks: marksIn(phases), pcap: unpacked(values.dns, folder) }
    const measured = {
      ...(values.quarter ? {} : { whole: await measure(recording, phaseMs(recording.marks, 'benign')) }),
      ...(values.whole ? {} : { quarter: await measure(recording, firstQuarterMs(recording.marks)) }),
    }
    const text = values.json
      ? `${JSON.stringify({ ...measured, goals: goalsOf(measured) })}\n`
      : tablesOf(measured)
    if (values.into === undefined) process.stdout.write(text)
    else putInto(values.into, basename(dirname(resolve(phases))), text)
    return values.goal && goalsOf(measured).some(({ isMet }) => !isMet) ? 1 : 0
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function wordsOf() {
  const flag = { type: 'boolean', default: false } as const
  const options = {
    dns: { type: 'string' },
    into: { type: 'string' },
    json: flag,
    whole: flag,
    quarter: flag,
    goal: flag,
    help: { type: 'boolean', default: false, short: 'h' },
  } as const
  try {
    return parseArgs({ allowPositionals: true, options })
  } catch (error) {
    throw new Misuse((error as Error).message)
  }
}

/** Replaces what stands between the two lines that name it. */
function putInto(document: string, name: string, text: string): void {
  const [before, after] = [`<!-- ${name} -->\n`, `<!-- end of ${name} -->\n`]
  const whole = readFileSync(document, 'utf8')
  const [from, to] = [whole.indexOf(before), whole.indexOf(after)]
  if (from < 0 || to < from) throw new Misuse(`${document} has no place for ${name}`)
  writeFileSync(document, `${whole.slice(0, from + before.length)}\n${text}\n${whole.slice(to)}`)
}

function marksIn(file: string): readonly Mark[] {
  try {
    return readMarks(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new Misuse(`${file}: ${(error as Error).message}`)
  }
}

/** The same file when it is not packed. */
function unpacked(file: string | undefined, folder: string): string | undefined {
  if (file?.endsWith('.xz') !== true) return file
  const target = join(folder, 'dns.pcap')
  const output = openSync(target, 'w')
  const { status } = spawnSync('xz', ['--decompress', '--stdout', file], {
    stdio: ['ignore', output, 'inherit'],
  })
  closeSync(output)
  if (status !== 0) throw new Misuse(`${file} cannot be unpacked with xz`)
  return target
}

async function measure({ log, marks, pcap }: Recording, untilMs: number): Promise<Evaluation> {
  const words = [
    log,
    '--train-until',
    String(untilMs / 1000),
    '--json',
    ...(pcap === undefined ? [] : ['--dns', pcap]),
  ]
  return evaluate(await replay(words), marks, untilMs)
}

/** The program as it is shipped; it shows its progress on a terminal. @throws Error when it fails */
async function replay(words: readonly string[]): Promise<readonly Report[]> {
  const child = spawn(FULLMON, ['replay', ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve)
  })
  const reports: Report[] = []
  for await (const line of createInterface({ input: child.stdout })) reports.push(JSON.parse(line) as Report)
  const code = await ended
  if (code !== 0) throw new Error(`fullmon replay ended with ${code}`)
  return reports
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(
    `evaluate: ${(error as Error).message}${error instanceof Misuse ? '; see --help' : ''}\n`,
  )
  process.exitCode = error instanceof Misuse ? 2 : 1
}
