import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { runLive, type Phase } from '../agent.ts'
import { acquireLock } from '../baseline/lock.ts'
import { type Config, loadConfig } from '../config/config.ts'
import { DEFAULT_LOG } from '../config/places.ts'
import { UsageError } from '../domain/result.ts'
import { printer } from '../report/printer.ts'
import { timeText } from '../report/text.ts'
import { findCommand } from '../support/command.ts'
import { loadRulesWhereNone } from '../support/kernel-rules.ts'
import { type Log, openLog } from '../support/log.ts'
import { standardOutput } from '../support/standard-output.ts'
import { AUDITD_OPTION, CONFIG_OPTION, DB_OPTION, JSON_OPTION, command, fileFromYargs } from './command.ts'
import { inMs } from './values.ts'

export const runCommand = command({
  options: (yargs) =>
    yargs
      .options({
        auditd: AUDITD_OPTION,
        db: DB_OPTION,
        baseline: {
          type: 'number',
          requiresArg: true,
          describe: 'seconds of training',
          defaultDescription: '3600',
        },
        monitor: {
          type: 'number',
          requiresArg: true,
          describe: 'seconds between reports',
          defaultDescription: '60',
        },
        rebase: { type: 'boolean', describe: 'what was reported becomes normal' },
        wait: {
          type: 'number',
          requiresArg: true,
          describe: 'seconds between looks at the log',
          defaultDescription: '0.5',
        },
        log: {
          type: 'string',
          requiresArg: true,
          describe: 'also write reports to this file, rotated by size',
        },
        config: CONFIG_OPTION,
        json: JSON_OPTION,
      } as const)
      .example('sudo $0 run', 'train for an hour, then report each minute')
      .example('sudo $0 run --baseline 86400 --rebase', 'train for a day; report each new thing once')
      .example('$0 run --auditd - --db ./b.db', 'as a plugin of auditd: records on standard input'),
  run: async (words, signal) => {
    const { db, log, baseline, monitor, rebase, wait } = words
    const auditd = words.auditd === undefined ? undefined : fileFromYargs(words.auditd)
    const config = loadConfig(words.config, {
      auditd,
      db,
      log,
      baseline,
      monitor,
      rebase,
      wait,
    } as Partial<Config>)
    await live(config, { json: words.json, onlyTrain: false }, signal)
    return 0
  },
})

/** Runs the live agent with its outputs. */
export async function live(
  config: Config,
  { json, onlyTrain }: { readonly json: boolean; readonly onlyTrain: boolean },
  signal: AbortSignal,
): Promise<void> {
  checkAuditd(config.auditd)
  const lock = acquireLock(config.db)
  try {
    await liveAlone(config, { json, onlyTrain }, signal)
  } finally {
    lock.release()
  }
}

async function liveAlone(
  config: Config,
  { json, onlyTrain }: { readonly json: boolean; readonly onlyTrain: boolean },
  signal: AbortSignal,
): Promise<void> {
  const rules = config.auditd === DEFAULT_LOG ? await loadRulesWhereNone() : undefined
  const log = config.log === undefined ? undefined : openLog(config.log)
  const say = teller(log)
  if (rules !== undefined) say(rules)
  try {
    await runLive(
      {
        auditd: config.auditd,
        db: config.db,
        log: config.log,
        trainingMs: inMs(config.baseline),
        monitorMs: inMs(config.monitor),
        rebase: config.rebase,
        pollMs: inMs(config.wait),
        onlyTrain,
        emit: printer({
          json,
          output: standardOutput(),
          ...(log === undefined ? {} : { log }),
        }).print,
        onPhase: (phase) => say(phaseText(phase)),
      },
      signal,
    )
  } finally {
    await log?.close()
  }
}

const teller =
  (log: Log | undefined): ((text: string) => void) =>
  (text) => {
    process.stderr.write(`fullmon: ${text}\n`)
    log?.line(text)
  }

const phaseText = (phase: Phase): string =>
  phase.name === 'training'
    ? `training until ${timeText(phase.untilMs)}; nothing is reported before`
    : `monitoring: the baseline has ${phase.edges} edges`

/** One sentence for each thing that a live agent cannot do without. */
function checkAuditd(path: string): void {
  if (path === '-') return
  try {
    if (existsSync(path) && !statSync(path).isFile()) throw new UsageError(`${path} is not a file`)
    accessSync(path, constants.R_OK)
  } catch (error) {
    if (error instanceof UsageError) throw error
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (!isMissing && process.getuid?.() !== 0) {
      throw new UsageError(`cannot read ${path}: run fullmon as root (sudo)`)
    }
    if (findCommand('auditd') === undefined) {
      throw new UsageError('auditd is not installed: apt-get install auditd')
    }
    throw new UsageError(`there is no log at ${path}: is auditd running? See fullmon doctor`)
  }
}
