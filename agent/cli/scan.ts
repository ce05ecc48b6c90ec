import { setTimeout as sleep } from 'node:timers/promises'
import { type Config, loadConfig } from '../config/config.ts'
import type { ProcessScan } from '../domain/scan.ts'
import { UsageError } from '../domain/result.ts'
import { jsonOf } from '../report/printer.ts'
import { ANSI, PLAIN } from '../report/text.ts'
import { withoutExpected } from '../scan/expected.ts'
import { withModel } from '../scan/learned.ts'
import { ProcessScanner } from '../scan/scanner.ts'
import { sortedBy, SORTS, summaryOf, tableOf, unreadText } from '../scan/table.ts'
import { command, CONFIG_OPTIONS, DB_OPTION, INTERRUPTED, JSON_OPTION } from './command.ts'
import { milliseconds } from './values.ts'

const SOMETHING_SUSPICIOUS = 1
const DEFAULT_TOP = 20
const SHORTEST_SAMPLE_S = 0.1

export const scanCommand = command({
  options: (yargs) =>
    yargs
      .options({
        sort: { choices: SORTS, default: 'memory', describe: 'what comes first' },
        top: {
          type: 'number',
          requiresArg: true,
          describe: 'processes at most; suspicious ones are shown besides',
          defaultDescription: String(DEFAULT_TOP),
        },
        'min-score': {
          type: 'number',
          requiresArg: true,
          describe: 'score from which a process is suspicious; only these are shown',
        },
        all: { type: 'boolean', default: false, describe: 'all processes, those of the allowlist too' },
        count: { type: 'boolean', default: false, describe: 'only the number of suspicious processes' },
        sample: {
          type: 'number',
          requiresArg: true,
          describe: 'seconds over which %CPU is measured; without it, since each process began',
        },
        db: DB_OPTION,
        ...CONFIG_OPTIONS,
        json: JSON_OPTION,
      } as const)
      .example('sudo $0 scan', 'exit code 1: a process is suspicious')
      .example('sudo $0 scan --sample 2 --sort score --top 5', 'the five that look worst')
      .example('sudo $0 scan --count', 'for cron, or a monitoring system'),
  run: async (words, signal) => {
    const { top = DEFAULT_TOP, 'min-score': minScore, sort, all, json } = words
    if (all && words.top !== undefined) throw new UsageError('--all shows all: --top is none of it')
    if (!Number.isInteger(top) || top < 0)
      throw new UsageError('--top takes a number of processes, at least 0')
    if (minScore !== undefined && !(minScore >= 0 && Number.isFinite(minScore)))
      throw new UsageError('--min-score takes a score, at least 0')
    const sampleMs = words.sample === undefined ? 0 : milliseconds(words.sample, 'sample', SHORTEST_SAMPLE_S)
    const config = loadConfig(words, { db: words.db })
    const scan = await scanOnce(config, minScore, sampleMs, signal)
    if (scan === undefined) return INTERRUPTED
    if (words.count) {
      process.stdout.write(`${scan.suspicious}\n`)
      const unread = unreadText(scan.unread)
      if (unread !== '') process.stderr.write(`fullmon: not read: ${unread}\n`)
    } else if (json) {
      process.stdout.write(`${jsonOf({ ...scan, processes: sortedBy(scan.processes, sort) })}\n`)
    } else {
      const shown = shownOf(sortedBy(scan.processes, sort), {
        all,
        top,
        onlySuspicious: minScore !== undefined,
      })
      const { isTTY: isTerminal, columns } = process.stdout as { isTTY?: boolean; columns?: number }
      const look = isTerminal === true ? { ...ANSI, width: columns } : { ...PLAIN, width: undefined }
      process.stdout.write(tableOf(shown, look) + summaryOf(scan))
    }
    return scan.suspicious === 0 ? 0 : SOMETHING_SUSPICIOUS
  },
})

/** Undefined when somebody has no patience. */
function scanOnce(
  config: Config,
  minScore: number | undefined,
  sampleMs: number,
  signal: AbortSignal,
): Promise<ProcessScan | undefined> {
  const { allowlist, ports } = config
  const scan = minScore === undefined ? config.scan : { ...config.scan, min_score: minScore }
  const scanner = new ProcessScanner({ scan, allowlist, ports })
  return withModel(config.db, async (model) => {
    if (sampleMs > 0) {
      await scanner.look(model)
      await sleep(sampleMs, undefined, { signal }).catch(() => undefined)
    }
    if (signal.aborted) return undefined
    return withoutExpected(await scanner.look(model), config.processes.expected)
  })
}

/** What is on the allowlist is nobody's business, and what is suspicious is, however little it takes. */
function shownOf(
  processes: ProcessScan['processes'],
  { all, top, onlySuspicious }: { all: boolean; top: number; onlySuspicious: boolean },
): ProcessScan['processes'] {
  if (onlySuspicious) return processes.filter(({ isSuspicious }) => isSuspicious)
  if (all) return processes
  const strangers = processes.filter(({ allowlistedBy }) => allowlistedBy === null)
  const first = new Set(strangers.slice(0, top))
  return processes.filter((process) => first.has(process) || process.isSuspicious)
}
