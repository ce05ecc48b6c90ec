import { Baseline } from '../baseline/baseline.ts'
import { acquireLock } from '../baseline/lock.ts'
import type { TrainingPlan } from '../detect/schedule.ts'
import { NO_WORLD } from '../domain/activity.ts'
import { UsageError } from '../domain/result.ts'
import { SavedNames } from '../dns/saved.ts'
import { Engine } from '../engine.ts'
import { type Format, printer } from '../report/printer.ts'
import { standardOutput } from '../support/standard-output.ts'
import { readSaved, sizeOf } from '../tail/saved.ts'
import { type ConfigWords, loadSaid } from '../config/config.ts'
import type { RuleBook } from '../rules/match.ts'
import { ruleBookOf } from '../rules/read.ts'
import type { NetworkNames } from '../peers/networks.ts'
import {
  ALERTS_OPTION,
  CONFIG_OPTIONS,
  command,
  DNS_OPTION,
  fileFromYargs,
  FORMAT_OPTIONS,
  formatOf,
  INTERRUPTED,
  LEARN_DEGRADED_OPTION,
  LOGS_POSITIONAL,
} from './command.ts'
import { thisOrigin } from './origin.ts'
import { Progress } from './progress.ts'
import { alertsPerDay, milliseconds, timeOf } from './values.ts'

const DEFAULT_TRAINING_S = 3600

export const replayCommand = command({
  lists: ['log', 'dns'],
  options: (yargs) =>
    yargs
      .positional('log', LOGS_POSITIONAL)
      .options({
        db: {
          type: 'string',
          requiresArg: true,
          describe: 'baseline to use and to change; without it one is made in memory',
        },
        'train-until': {
          type: 'string',
          requiresArg: true,
          describe: 'train on events before this time: epoch seconds or ISO 8601',
        },
        train: {
          type: 'number',
          requiresArg: true,
          describe: 'seconds of training from the first event',
          defaultDescription: '3600 without a trained baseline',
        },
        monitor: { type: 'number', requiresArg: true, default: 60, describe: 'seconds between reports' },
        rebase: { type: 'boolean', default: false, describe: 'what was reported becomes normal' },
        dns: DNS_OPTION,
        'learn-degraded': { ...LEARN_DEGRADED_OPTION, default: false },
        'alerts-per-day': { ...ALERTS_OPTION, default: 10 },
        ...CONFIG_OPTIONS,
        config: { ...CONFIG_OPTIONS.config, describe: 'configuration of run', defaultDescription: 'none' },
        rules: { type: 'boolean', default: true, describe: 'tell at once what rules are about' },
        ...FORMAT_OPTIONS,
      } as const)
      .conflicts('train', 'train-until')
      .example('$0 replay audit.log.1 audit.log --train 3600', 'what would have been reported')
      .example(
        '$0 replay audit.log --db b.db --train 0 --json',
        'compare a log with a baseline that was trained before',
      ),
  run: (words, signal) =>
    readInto(
      words.db ?? ':memory:',
      {
        plan: (baseline) => planOf(words, baseline),
        monitorMs: milliseconds(words.monitor, 'monitor', 0.1),
        rebase: words.rebase,
        learnDegraded: words['learn-degraded'],
        dns: words.dns ?? [],
        alertsPerDay: alertsPerDay(words['alerts-per-day']),
        ...fromConfig(words),
        format: formatOf(words),
      },
      words.log.map(fileFromYargs),
      signal,
    ),
})

/** What the configuration says of hosts and of rules; without one only the shipped rules count. */
function fromConfig(words: ConfigWords & { readonly rules: boolean }): Pick<Reading, 'networks' | 'rules'> {
  const { networks, ports, rules } = loadSaid(words)
  return { networks, rules: words.rules ? ruleBookOf(rules, ports.watched) : undefined }
}

function planOf(
  words: { readonly train: number | undefined; readonly 'train-until': string | undefined },
  baseline: Baseline,
): TrainingPlan {
  const until = words['train-until']
  if (until !== undefined) return { kind: 'until', timeMs: timeOf(until, 'train-until') }
  if (words.train === undefined && baseline.trainings.all().at(-1)?.finished === true) return { kind: 'none' }
  const durationMs = milliseconds(words.train ?? DEFAULT_TRAINING_S, 'train', 0)
  return durationMs === 0 ? { kind: 'none' } : { kind: 'for', durationMs }
}

interface Reading {
  readonly plan: (baseline: Baseline) => TrainingPlan
  readonly monitorMs: number
  readonly rebase: boolean
  readonly learnDegraded: boolean
  /** Files with DNS answers. */
  readonly dns: readonly string[]
  readonly alertsPerDay: number
  readonly networks: NetworkNames
  /** Undefined for none. */
  readonly rules: RuleBook | undefined
  readonly format: Format
}

/**
 * Reads saved logs to their end, with a line of progress when standard error is a terminal.
 * @returns the exit code: not 0 when a signal came before the end
 */
export async function readInto(
  db: string,
  { plan, monitorMs, rebase, learnDegraded, alertsPerDay, dns, networks, rules, format }: Reading,
  logs: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  if (logs.length === 0) throw new UsageError('there is no log to read')
  const lock = acquireLock(db)
  let baseline: Baseline | undefined
  let names: SavedNames | undefined
  try {
    names = dns.length === 0 ? undefined : new SavedNames(dns)
    baseline = new Baseline(db)
    const chosen = plan(baseline)
    const progress = new Progress('reading', sizeOf(logs), process.stderr)
    const output = standardOutput()
    const engine = new Engine({
      baseline,
      world: NO_WORLD,
      plan: chosen,
      monitorMs,
      rebase,
      learnDegraded,
      alertsPerDay,
      emit: printer({
        format,
        origin: thisOrigin(),
        output: {
          ...output,
          write: (text) => {
            progress.clear()
            output.write(text)
          },
        },
      }).print,
      ...(names === undefined ? {} : { names }),
      networks,
      ...(rules === undefined ? {} : { rules }),
      latestMs: () => Number.POSITIVE_INFINITY,
    })
    await ingest(engine, logs, signal, progress)
    if (signal.aborted) engine.stop()
    else engine.end()
    return signal.aborted ? INTERRUPTED : 0
  } finally {
    baseline?.close()
    names?.close()
    lock.release()
  }
}

async function ingest(
  engine: Engine,
  logs: readonly string[],
  signal: AbortSignal,
  progress: Progress,
): Promise<void> {
  try {
    for await (const chunk of readSaved(logs, signal, (bytes) => progress.advance(bytes))) {
      engine.ingest({ bytes: chunk.bytes, at: undefined })
    }
  } finally {
    progress.clear()
  }
}
