import { loadConfig, type Config } from '../config/config.ts'
import { CONFIG_FILE } from '../config/places.ts'
import { UsageError } from '../domain/result.ts'
import { savedLogsOf } from '../tail/rotation.ts'
import {
  ALERTS_OPTION,
  DB_OPTION,
  DNS_OPTION,
  JSON_OPTION,
  LEARN_DEGRADED_OPTION,
  command,
  fileFromYargs,
} from './command.ts'
import { live } from './live.ts'
import { readInto } from './replay.ts'
import { inMs, milliseconds } from './values.ts'

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
        follow: {
          type: 'boolean',
          default: true,
          describe: 'follow the live log; --no-follow reads saved logs',
        },
        'dns-interface': {
          type: 'string',
          requiresArg: true,
          describe: 'capture DNS answers there, live',
        },
        dns: { ...DNS_OPTION, describe: `${DNS_OPTION.describe}; with --no-follow` },
        'learn-degraded': LEARN_DEGRADED_OPTION,
        'alerts-per-day': ALERTS_OPTION,
        json: JSON_OPTION,
      } as const)
      .example('sudo $0 train --duration 86400', 'learn for a day, then stop')
      .example('sudo $0 train --no-follow', 'learn from audit.log and what was rotated away')
      .example('$0 train --no-follow --auditd a.log.gz --db ./b.db', 'learn from a saved log'),
  run: async (words, signal) => {
    if (words.duration !== undefined) milliseconds(words.duration, 'duration', 0)
    if (words.follow && (words.auditd?.length ?? 0) > 1) {
      throw new UsageError('one log can be followed: several take --no-follow')
    }
    if (words.follow && words.dns !== undefined) {
      throw new UsageError('--dns reads saved answers, and takes --no-follow')
    }
    const config = loadConfig(undefined, {
      db: words.db,
      auditd: words.auditd?.map(fileFromYargs)[0],
      baseline: words.duration,
      'learn-degraded': words['learn-degraded'],
      'alerts-per-day': words['alerts-per-day'],
      'dns-interface': words['dns-interface'],
    } as Partial<Config>)
    if (words.follow) {
      await live(config, { json: words.json, onlyTrain: true, configFile: CONFIG_FILE }, signal)
      return 0
    }
    const logs = words.auditd?.map(fileFromYargs) ?? savedLogsOf(config.auditd)
    const reading = {
      plan: () => EVERYTHING,
      monitorMs: inMs(config.monitor),
      rebase: false,
      learnDegraded: config['learn-degraded'],
      dns: words.dns ?? [],
      alertsPerDay: config['alerts-per-day'],
      networks: config.networks,
      json: words.json,
    }
    return readInto(config.db, reading, logs, signal)
  },
})
