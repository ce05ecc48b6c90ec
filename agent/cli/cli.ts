import yargs from 'yargs'
import { UsageError } from '../domain/result.ts'
import { completionsFor } from './completion.ts'
import { type Command, wordsForYargs } from './command.ts'
import { versionLine } from './origin.ts'

/** Each command is loaded when it is asked for: a replay needs neither the configuration nor the log file. */
const COMMANDS: readonly {
  readonly name: string
  readonly describe: string
  readonly load: () => Promise<Command>
}[] = [
  {
    name: 'run',
    describe: 'Train on the live log, then report what was never seen before',
    load: async () => (await import('./run.ts')).runCommand,
  },
  {
    name: 'setup [source]',
    describe: 'Ask what matters, and write the configuration',
    load: async () => (await import('./setup.ts')).setupCommand,
  },
  {
    name: 'train',
    describe: 'Make a baseline before deployment, live or from saved logs',
    load: async () => (await import('./train.ts')).trainCommand,
  },
  {
    name: 'replay <log..>',
    describe: 'The same over saved logs, by the time of their events',
    load: async () => (await import('./replay.ts')).replayCommand,
  },
  {
    name: 'events <log..>',
    describe: 'Show what is understood of saved logs, one event a line',
    load: async () => (await import('./events.ts')).eventsCommand,
  },
  {
    name: 'incidents [id..]',
    describe: 'Show what was reported, and how often it was seen by now',
    load: async () => (await import('./incidents.ts')).incidentsCommand,
  },
  {
    name: 'baseline <action> [file]',
    describe: 'Look at a baseline, or carry it to another host',
    load: async () => (await import('./baseline.ts')).baselineCommand,
  },
  {
    name: 'review',
    describe: 'Go through the incidents that nobody has decided on',
    load: async () => (await import('./review.ts')).reviewCommand,
  },
  {
    name: 'accept <id>',
    describe: 'Say that what an incident did is normal',
    load: async () => (await import('./decisions.ts')).acceptCommand,
  },
  {
    name: 'generalise <id>',
    describe: 'The same for a file of an incident, and all that are named like it',
    load: async () => (await import('./decisions.ts')).generaliseCommand,
  },
  {
    name: 'deny <id>',
    describe: 'Say that what an incident did is never normal',
    load: async () => (await import('./decisions.ts')).denyCommand,
  },
  {
    name: 'maintenance <id>',
    describe: 'Say that an incident was maintenance',
    load: async () => (await import('./decisions.ts')).maintenanceCommand,
  },
  {
    name: 'later <id>',
    describe: 'Leave an incident for later',
    load: async () => (await import('./decisions.ts')).laterCommand,
  },
  {
    name: 'alerts [id..]',
    describe: 'Show what is wrong and nobody has reset',
    load: async () => (await import('./alerts.ts')).alertsCommand,
  },
  {
    name: 'ack [id..]',
    describe: 'Say that somebody knows of alerts and sees to them',
    load: async () => (await import('./alert-decisions.ts')).ackCommand,
  },
  {
    name: 'mute [id..]',
    describe: 'Leave alerts alone for a time',
    load: async () => (await import('./alert-decisions.ts')).muteCommand,
  },
  {
    name: 'unmute [id..]',
    describe: 'Take that back',
    load: async () => (await import('./alert-decisions.ts')).unmuteCommand,
  },
  {
    name: 'reset [id..]',
    describe: 'Say that alerts were seen to',
    load: async () => (await import('./alert-decisions.ts')).resetCommand,
  },
  {
    name: 'allow <id..>',
    describe: 'Show or write the lines of the configuration that allow what alerts are about',
    load: async () => (await import('./allow.ts')).allowCommand,
  },
  {
    name: 'explain <what>',
    describe: 'Say where an incident or an edge comes from, and why it was reported or not',
    load: async () => (await import('./explain.ts')).explainCommand,
  },
  {
    name: 'rebase [id..]',
    describe: 'Make normal what incidents have shown, after a look at it',
    load: async () => (await import('./rebase.ts')).rebaseCommand,
  },
  {
    name: 'patterns <action> [id]',
    describe: 'Look at the patterns of volatile names, keep or forget one',
    load: async () => (await import('./patterns.ts')).patternsCommand,
  },
  {
    name: 'verify',
    describe: 'Check that nobody but fullmon has changed a baseline',
    load: async () => (await import('./verify.ts')).verifyCommand,
  },
  {
    name: 'scan',
    describe: 'Look at all processes, and say which are suspicious',
    load: async () => (await import('./scan.ts')).scanCommand,
  },
  {
    name: 'rules <action> [what..]',
    describe: 'Look at the rules of what is told at once, and try their examples',
    load: async () => (await import('./rules.ts')).rulesCommand,
  },
  {
    name: 'status',
    describe: 'Say how far training and reading have come',
    load: async () => (await import('./status.ts')).statusCommand,
  },
  {
    name: 'check',
    describe: 'Say in one line whether all is well, as a plugin of Nagios',
    load: async () => (await import('./check.ts')).checkCommand,
  },
  {
    name: 'doctor',
    describe: 'Check that the host lets fullmon see, and say how to mend what does not',
    load: async () => (await import('./doctor.ts')).doctorCommand,
  },
  {
    name: 'config <action> [what]',
    describe: 'Check the configuration, and say what counts and where it comes from',
    load: async () => (await import('./config.ts')).configCommand,
  },
]

/** The script for the shell asks with it, and the whole line behind it: see completion-templates.js of yargs. */
const COMPLETE = '--get-yargs-completions'

/**
 * Understands the words of the command line and does what they say.
 *
 * @returns the exit code: 0 for success, 1 when a check found something
 * @throws UsageError when the words make no sense, which ends the program with 2
 */
export async function runCli(words: readonly string[], signal: AbortSignal): Promise<number> {
  if (words[0] === COMPLETE) {
    const found = await completionsFor(words.slice(2))
    if (found !== undefined) {
      process.stdout.write(found.map((word) => `${word}\n`).join(''))
      return 0
    }
  }
  let work: (() => Promise<number>) | undefined
  const parser = yargs()
    .scriptName('fullmon')
    .usage(
      '$0 COMMAND [OPTIONS]\n\nLearns what this host does from the log of auditd, and reports what it never did before.',
    )
    .version(versionLine())
    .alias('version', 'V')
    .help()
    .alias('help', 'h')
    .strict()
    .demandCommand(1, 'which command? See fullmon --help')
    .wrap(100)
    .locale('en')
    .completion('completion', 'Print a completion script for bash or zsh')
    .epilogue(
      'Exit codes: 0 success, 1 a check found something, 2 a wrong option or file, 3 the host failed (disk, database).',
    )
    .exitProcess(false)
    .fail((message, error) => {
      // yargs passes nothing for one of the two, whatever its types say.
      throw (error as Error | undefined) ?? new UsageError(message.replace(/\s*\n\s*/g, ' '))
    })
  for (const { name, describe, load } of COMMANDS) {
    parser.command(
      name,
      describe,
      async (command) => (await load()).options(command),
      // Done when yargs is through: for a handler that takes its time it lays out the whole help first.
      (parsed) => {
        work = async () => {
          const { lists = [], run } = await load()
          refuseRepeated(parsed, lists)
          return run(parsed, signal)
        }
      },
    )
  }
  try {
    await parser.parseAsync(wordsForYargs(words))
  } catch (error) {
    // The errors of yargs itself are about words.
    throw error instanceof Error && error.name === 'YError' ? new UsageError(error.message) : error
  }
  return work === undefined ? 0 : work()
}

/** yargs makes a list of an option that is given twice. */
function refuseRepeated(parsed: Readonly<Record<string, unknown>>, lists: readonly string[]): void {
  for (const [name, value] of Object.entries(parsed)) {
    if (name !== '_' && name !== 'set' && Array.isArray(value) && !lists.includes(name))
      throw new UsageError(`--${name} was given twice`)
  }
}
