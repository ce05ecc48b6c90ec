import { type Config, loadConfig } from '../config/config.ts'
import { BROUGHT_BASELINE, DEFAULT_SOCKET } from '../config/places.ts'
import {
  ALERTS_OPTION,
  AUDITD_OPTION,
  CONFIG_OPTIONS,
  DB_OPTION,
  LEARN_DEGRADED_OPTION,
  command,
  fileFromYargs,
  FORMAT_OPTIONS,
  formatOf,
} from './command.ts'
import { live } from './live.ts'

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
        'baseline-from': {
          type: 'string',
          requiresArg: true,
          describe: 'take this baseline, or export of one, instead of training',
          defaultDescription: BROUGHT_BASELINE,
        },
        monitor: {
          type: 'number',
          requiresArg: true,
          describe: 'seconds between reports',
          defaultDescription: '60',
        },
        rebase: { type: 'boolean', describe: 'what was reported becomes normal' },
        'learn-degraded': LEARN_DEGRADED_OPTION,
        'alerts-per-day': ALERTS_OPTION,
        'dormant-days': {
          type: 'number',
          requiresArg: true,
          describe: 'after so many days unseen the return of an edge is told',
          defaultDescription: '30',
        },
        'expire-days': {
          type: 'number',
          requiresArg: true,
          describe: 'after so many days unseen an edge is forgotten',
          defaultDescription: '180',
        },
        'dns-interface': {
          type: 'string',
          requiresArg: true,
          describe: 'capture DNS answers there, to name hosts; any for all interfaces',
        },
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
        socket: {
          type: 'string',
          requiresArg: true,
          describe: "Unix socket for health, metrics and the API; '' for none",
          defaultDescription: DEFAULT_SOCKET,
        },
        port: { type: 'number', requiresArg: true, describe: 'port of this host for the same' },
        ...CONFIG_OPTIONS,
        ...FORMAT_OPTIONS,
      } as const)
      .example('sudo $0 run', 'train for an hour, then report each minute')
      .example('sudo $0 run --baseline 86400 --rebase', 'train for a day; report each new thing once')
      .example('$0 run --auditd - --db ./b.db', 'as a plugin of auditd: records on standard input'),
  run: async (words, signal) => {
    const { db, log, baseline, monitor, rebase, wait, socket, port } = words
    const auditd = words.auditd === undefined ? undefined : fileFromYargs(words.auditd)
    const dashed = {
      'baseline-from': words['baseline-from'],
      'learn-degraded': words['learn-degraded'],
      'alerts-per-day': words['alerts-per-day'],
      'dormant-days': words['dormant-days'],
      'expire-days': words['expire-days'],
      'dns-interface': words['dns-interface'],
    }
    const http = { socket, port }
    const given = { auditd, db, log, baseline, monitor, rebase, wait, ...dashed, http } as Partial<Config>
    const reread = (): Config => loadConfig(words, given)
    const { config: configFile } = words
    await live(reread(), { format: formatOf(words), onlyTrain: false, configFile, reread }, signal)
    return 0
  },
})
