/**
 * `bench/live`: processor time of the live agent beside auditd's own and laurel's; see bench/README.md for the options.
 *
 * A real auditd and a real kernel, in the lab of the tests: only the processes of the load are audited, by the rules in
 * audit.rules. All that is measured runs together under the same load. Prints a markdown table.
 */
import { spawn } from 'node:child_process'
import { createReadStream, openSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import {
  auditctl,
  auditdUnavailable,
  type Lab,
  rulesForLoginuid,
  startAuditd,
} from '../test/support/auditd.ts'
import {
  FULLMON,
  checkTools,
  circumstances,
  inFolder,
  laurelConfig,
  numberOf,
  placeOf,
  printTable,
  stop,
  summaryIn,
} from './measure.ts'

/** Starts a program so often a second, evenly. A small process that forks fast: Node needs a millisecond for each. */
const LOAD = `
use Time::HiRes qw(time sleep);
$SIG{CHLD} = 'IGNORE';
my ($rate, $start, $parent) = ($ARGV[0], time, getppid);
# Nobody kills it when the benchmark is killed.
for (my $n = 0; getppid == $parent; $n++) {
  my $wait = $start + $n / $rate - time;
  sleep $wait if $wait > 0;
  my $child = fork // die "fork: $!";
  exec '/bin/true' if $child == 0;
}
`
/** What Debian's auditd.conf has and the lab has otherwise. */
const SETTINGS = { flush: 'INCREMENTAL_ASYNC', freq: '50' }
/** Of the kernel, for /proc: the same on every architecture of Debian. */
const TICKS_A_SECOND = 100
const TRAINING_S = 3
const PATIENCE_MS = 30_000
/** Of the load asked for; below it the machine was too busy to tell. */
const LEAST_REACHED = 0.95
const POLL_MS = 50

const { values } = parseArgs({
  options: {
    rates: { type: 'string', default: '100,333,1000' },
    seconds: { type: 'string', default: '30' },
    settle: { type: 'string', default: '5' },
    formats: { type: 'string', default: 'ENRICHED' },
    json: { type: 'boolean', default: false },
  },
})
const rates = values.rates.split(',').map((text) => numberOf('rates', text, 1))
const seconds = numberOf('seconds', values.seconds, 1)
const settleMs = numberOf('settle', values.settle, 0) * 1000
const formats = values.formats.split(',').map((text) => {
  if (text === 'ENRICHED' || text === 'RAW') return text
  return stop('--formats takes ENRICHED, RAW or both')
})
checkTools({ laurel: 'laurel', auditd: 'auditd', ausearch: 'auditd', perl: 'perl', flock: 'util-linux' })
const unavailable = auditdUnavailable()
if (unavailable !== undefined) stop(unavailable)

const PROGRAMS = ['auditd', 'laurel', 'fullmon'] as const
type Program = (typeof PROGRAMS)[number]

interface Outcome {
  readonly format: 'ENRICHED' | 'RAW'
  readonly withLaurel: boolean
  readonly asked: number
  /** Programs started each second, by what is in the log. */
  readonly reached: number
  /** Of one core. */
  readonly percent: Partial<Record<Program, number>>
  /** Resident, 10⁶ bytes, at the end. */
  readonly residentMb: Partial<Record<Program, number>>
  /** Records that the kernel could not give to auditd. */
  readonly lost: number
}

const outcomes: Outcome[] = []
if (!values.json) console.log(circumstances(['laurel', 'ausearch']))
for (const format of formats) {
  for (const withLaurel of [false, true]) {
    for (const asked of rates) {
      await inFolder(async (folder) => {
        outcomes.push(await measure({ format, withLaurel, asked }, folder))
      })
    }
  }
}
if (values.json) for (const outcome of outcomes) console.log(JSON.stringify({ kind: 'live', ...outcome }))
else print(outcomes)

async function measure(
  setting: Pick<Outcome, 'format' | 'withLaurel' | 'asked'>,
  folder: string,
): Promise<Outcome> {
  const rules = readFileSync(join(import.meta.dirname, '../audit.rules'), 'utf8')
  const lab = await startAuditd({
    logFormat: setting.format,
    rules: rulesForLoginuid(rules),
    settings: SETTINGS,
    plugins: setting.withLaurel ? { 'laurel.conf': laurelPlugin(folder) } : {},
  })
  try {
    return { ...setting, ...(await underLoad(lab, setting, folder)) }
  } finally {
    await lab.stop()
  }
}

async function underLoad(
  lab: Lab,
  { withLaurel, asked }: Pick<Outcome, 'withLaurel' | 'asked'>,
  folder: string,
): Promise<Pick<Outcome, 'reached' | 'percent' | 'residentMb' | 'lost'>> {
  const agent = await startAgent(lab.logFile, folder)
  try {
    const load = lab.start(['perl', '-e', LOAD, String(asked)])
    await Promise.all([sleep(settleMs), agent.isMonitoring()])
    const auditd = statusValue('pid')
    const laurel = withLaurel ? { laurel: childOf(auditd, 'laurel') } : {}
    const pids = { auditd, fullmon: agent.pid, ...laurel }
    const lostBefore = statusValue('lost')
    const before = snapshot(lab.logFile, pids)
    await sleep(seconds * 1000)
    const after = snapshot(lab.logFile, pids)
    load.kill()
    await lab.settle()
    await agent.end()
    const passed = (after.atMs - before.atMs) / 1000
    const seen = await count(lab.logFile, before.size, after.size)
    if (agent.recordsRead() < seen.records) throw new Error('fullmon has not read the log')
    if (seen.execs / passed < LEAST_REACHED * asked) process.stderr.write('bench: the load was not reached\n')
    if (withLaurel && statSync(join(folder, 'laurel.jsonl')).size === 0)
      throw new Error('laurel wrote nothing')
    return {
      reached: seen.execs / passed,
      percent: forEach(
        pids,
        (program) => (100 * ((after.cpu[program] ?? 0) - (before.cpu[program] ?? 0))) / passed,
      ),
      residentMb: after.residentMb,
      lost: statusValue('lost') - lostBefore,
    }
  } finally {
    await agent.end()
  }
}

interface Agent {
  readonly pid: number
  isMonitoring(): Promise<void>
  end(): Promise<void>
  /** By its summary, after the end. */
  recordsRead(): number
}

/** With a database and a configuration of its own, and the defaults. Resolves when it follows the log. */
async function startAgent(log: string, folder: string): Promise<Agent> {
  const [config, output, errors] = [join(folder, 'fullmon.yaml'), join(folder, 'out'), join(folder, 'errors')]
  writeFileSync(config, `baseline: ${TRAINING_S}\n`)
  const words = [
    'run',
    '--config',
    config,
    '--auditd',
    log,
    '--db',
    join(folder, 'baseline.db'),
    '--socket',
    '',
    '--json',
  ]
  const child = spawn(FULLMON, words, {
    stdio: ['ignore', openSync(output, 'w'), openSync(errors, 'w')],
    cwd: folder,
  })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  process.once('exit', () => child.kill())
  const says = async (text: string): Promise<void> => {
    const deadlineMs = performance.now() + PATIENCE_MS
    while (!readFileSync(errors, 'utf8').includes(text)) {
      if (performance.now() > deadlineMs || child.exitCode !== null)
        throw new Error(`fullmon never said '${text}': ${readFileSync(errors, 'utf8')}`)
      await sleep(POLL_MS)
    }
  }
  await says('training')
  return {
    pid: child.pid ?? 0,
    isMonitoring: () => says('monitoring'),
    end: async () => {
      child.kill('SIGTERM')
      await ended
    },
    recordsRead: () => summaryIn(output).records,
  }
}

/** As its package has it, with the configuration of the other benchmarks. */
function laurelPlugin(folder: string): string {
  return `active = yes
direction = out
type = always
format = string
path = ${placeOf('laurel') ?? ''}
args = --config ${laurelConfig(folder, 'laurel')}
`
}

interface Snapshot {
  readonly atMs: number
  /** Of the log. */
  readonly size: number
  /** Seconds so far, with those of children that have ended. */
  readonly cpu: Partial<Record<Program, number>>
  readonly residentMb: Partial<Record<Program, number>>
}

function snapshot(log: string, pids: Partial<Record<Program, number>>): Snapshot {
  return {
    atMs: performance.now(),
    size: statSync(log).size,
    cpu: forEach(pids, (_, pid) => {
      const [user = 0, system = 0, childrenUser = 0, childrenSystem = 0] = statOf(pid)
        .slice(11, 15)
        .map(Number)
      return (user + system + childrenUser + childrenSystem) / TICKS_A_SECOND
    }),
    residentMb: forEach(pids, (_, pid) => {
      const [, kilobytes] = /^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
      return (Number(kilobytes) * 1024) / 1e6
    }),
  }
}

function forEach(
  pids: Partial<Record<Program, number>>,
  work: (program: Program, pid: number) => number,
): Partial<Record<Program, number>> {
  return Object.fromEntries(
    PROGRAMS.flatMap((program) =>
      pids[program] === undefined ? [] : [[program, work(program, pids[program])]],
    ),
  )
}

/** Fields of /proc/PID/stat behind the name: state, parent, … see proc(5). */
function statOf(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

function childOf(parent: number, name: string): number {
  const found = readdirSync('/proc').find((entry) => {
    try {
      return (
        readFileSync(`/proc/${entry}/comm`, 'utf8').trim() === name &&
        Number(statOf(Number(entry))[1]) === parent
      )
    } catch {
      return false // no process, or one that has ended by now
    }
  })
  return found === undefined ? stop(`auditd has not started ${name}`) : Number(found)
}

function statusValue(name: string): number {
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(auditctl('-s'))?.[1])
}

/** Records and started programs in a part of the log. */
async function count(log: string, start: number, end: number): Promise<{ records: number; execs: number }> {
  let text = ''
  for await (const chunk of createReadStream(log, { encoding: 'latin1', start, end: end - 1 }))
    text += chunk as string
  return { records: text.match(/\n/g)?.length ?? 0, execs: text.match(/^type=EXECVE /gm)?.length ?? 0 }
}

function print(all: readonly Outcome[]): void {
  const percentOf = (number: number | undefined): string => (number === undefined ? '–' : number.toFixed(1))
  printTable(
    [
      ...['log', 'execs/s asked', 'reached', 'auditd, %', 'laurel, %', 'fullmon, %', 'fullmon / auditd'],
      ...['fullmon / laurel', 'fullmon RSS, MB', 'lost'],
    ],
    all.map(({ format, asked, reached, percent: { auditd, laurel, fullmon }, residentMb, lost }) => [
      ...[
        format,
        String(asked),
        reached.toFixed(0),
        percentOf(auditd),
        percentOf(laurel),
        percentOf(fullmon),
      ],
      ((fullmon ?? 0) / (auditd ?? 0)).toFixed(2),
      laurel === undefined ? '–' : ((fullmon ?? 0) / laurel).toFixed(2),
      ...[(residentMb.fullmon ?? 0).toFixed(0), String(lost)],
    ]),
  )
}
