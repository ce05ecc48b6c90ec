import { ruleBookOf } from '../rules/read.ts'
import { statusOf } from '../baseline/status.ts'
import { loadConfig } from '../config/config.ts'
import { DEFAULT_LOG } from '../config/places.ts'
import { UsageError } from '../domain/result.ts'
import { learningIn } from '../standing.ts'
import { savedLogsOf } from '../tail/rotation.ts'
import { sourceOf } from '../tail/source.ts'
import {
  ALERTS_OPTION,
  CONFIG_OPTIONS,
  DB_OPTION,
  DNS_OPTION,
  JSON_OPTION,
  LEARN_DEGRADED_OPTION,
  command,
  fileFromYargs,
} from './command.ts'
import { obstaclesOf, verdictOf } from './learning.ts'
import { live } from './live.ts'
import { readInto } from './replay.ts'
import { trainProcesses } from './train-processes.ts'
import { inMs, milliseconds } from './values.ts'

const WEEK_S = 7 * 86_400
const EVERYTHING = { kind: 'everything' } as const

export const trainCommand = command({
  lists: ['auditd', 'dns'],
  options: (yargs) =>
    yargs
      .options({
        auditd: {
          type: 'string',
          requiresArg: true,
          array: true,
          describe: 'log of auditd; several with --no-follow',
          defaultDescription: '/var/log/audit/audit.log, with --no-follow its rotated logs too',
        },
        db: DB_OPTION,
        duration: {
          type: 'number',
          requiresArg: true,
          describe: 'seconds to train for, live',
          defaultDescription: '3600',
        },
        'until-stable': {
          type: 'boolean',
          describe: 'until enough was learned; exit code 1 when it was not',
        },
        'at-most': {
          type: 'number',
          requiresArg: true,
          describe: 'seconds that this may take, live',
          defaultDescription: '604800',
        },
        follow: {
          type: 'boolean',
          default: true,
          describe: 'follow the live log; --no-follow reads saved logs',
        },
        processes: {
          type: 'boolean',
          default: false,
          describe: 'learn only what processes are like, by looking at them; needs no auditd',
        },
        'dns-interface': {
          type: 'string',
          requiresArg: true,
          describe: 'capture DNS answers there, live',
        },
        dns: { ...DNS_OPTION, describe: `${DNS_OPTION.describe}; with --no-follow` },
        'learn-degraded': LEARN_DEGRADED_OPTION,
        'alerts-per-day': ALERTS_OPTION,
        ...CONFIG_OPTIONS,
        json: JSON_OPTION,
      } as const)
      .example('sudo $0 train --duration 86400', 'learn for a day, then stop')
      .conflicts('duration', ['until-stable', 'at-most'])
      .implies('at-most', 'until-stable')
      .example('sudo $0 train --until-stable', 'learn as long as it takes, at most a week')
      .example('sudo $0 train --processes --duration 3600', 'learn what fullmon scan compares with')
      .example('sudo $0 train --no-follow', 'learn from audit.log and what was rotated away')
      .example('$0 train --no-follow --auditd a.log.gz --db ./b.db', 'learn from a saved log'),
  run: async (words, signal) => {
    const untilStable = words['until-stable'] === true
    const atMost = words['at-most']
    if (words.duration !== undefined) milliseconds(words.duration, 'duration', 0)
    if (atMost !== undefined) milliseconds(atMost, 'at-most', 0)
    if (words.follow && (words.auditd?.length ?? 0) > 1) {
      throw new UsageError('one log can be followed: several take --no-follow')
    }
    if (words.follow && words.dns !== undefined) {
      throw new UsageError('--dns reads saved answers, and takes --no-follow')
    }
    const config = loadConfig(words, {
      db: words.db,
      auditd: words.auditd?.map(fileFromYargs)[0],
      baseline: untilStable ? (atMost ?? WEEK_S) : words.duration,
      'learn-degraded': words['learn-degraded'],
      'alerts-per-day': words['alerts-per-day'],
      'dns-interface': words['dns-interface'],
    })
    if (words.processes) return trainProcesses(words, config, signal)
    if (words.follow) {
      const format = words.json ? 'json' : 'text'
      await live(config, { format, onlyTrain: true, untilStable, configFile: words.config }, signal)
      return untilStable ? judged(config.db) : 0
    }
    const logs =
      words.auditd?.map(fileFromYargs) ??
      savedLogsOf(sourceOf(config.auditd).kind === 'log' ? config.auditd : DEFAULT_LOG)
    const reading = {
      plan: () => EVERYTHING,
      monitorMs: inMs(config.monitor),
      rebase: false,
      learnDegraded: config['learn-degraded'],
      dns: words.dns ?? [],
      alertsPerDay: config['alerts-per-day'],
      networks: config.networks,
      rules: ruleBookOf(config.rules, config.ports.watched),
      format: words.json ? ('json' as const) : ('text' as const),
    }
    const code = await readInto(config.db, reading, logs, signal)
    return untilStable && code === 0 ? judged(config.db) : code
  },
})

/** Says whether enough was learned. Returns the exit code. */
function judged(db: string): number {
  const learning = learningIn(statusOf(db))
  const lines =
    learning === undefined ? ['nothing was learned'] : [verdictOf(learning), ...obstaclesOf(learning)]
  process.stderr.write(lines.map((line) => `fullmon: ${line}\n`).join(''))
  return learning?.isEnough === true ? 0 : 1
}
