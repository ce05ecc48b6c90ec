import { readFileSync } from 'node:fs'
import yargs from 'yargs'
import { UsageError } from '../domain/result.ts'
import { baselineCommand } from './baseline.ts'
import type { Command } from './command.ts'
import { doctorCommand } from './doctor.ts'
import { replayCommand } from './replay.ts'
import { runCommand } from './run.ts'
import { statusCommand } from './status.ts'
import { trainCommand } from './train.ts'

const COMMANDS: readonly Command[] = [
  runCommand,
  trainCommand,
  replayCommand,
  baselineCommand,
  statusCommand,
  doctorCommand,
]

/**
 * Understands the words of the command line and does what they say.
 *
 * @returns the exit code: 0 for success, 1 when a check found something
 * @throws UsageError when the words make no sense, which ends the program with 2
 */
export async function runCli(words: readonly string[], signal: AbortSignal): Promise<number> {
  let exitCode = 0
  const parser = yargs()
    .scriptName('fullmon')
    .usage(
      '$0 COMMAND [OPTIONS]\n\nLearns what this host does from the log of auditd, and reports what it never did before.',
    )
    .version(version())
    .alias('version', 'V')
    .help()
    .alias('help', 'h')
    .strict()
    .demandCommand(1, 'which command? See fullmon --help')
    .wrap(100)
    .locale('en')
    .completion('completion', 'Print a completion script for bash or zsh')
    .epilogue('Exit codes: 0 success, 1 a check found something, 2 a wrong option or file. Manual: docs/.')
    .exitProcess(false)
    .fail((message, error) => {
      // yargs passes undefined for one of the two, whatever its types say.
      throw (error as Error | undefined) ?? new UsageError(message)
    })
  for (const { name, describe, options, run } of COMMANDS) {
    parser.command(
      name,
      describe,
      (command) => options(command),
      async (parsed) => {
        exitCode = await run(parsed, signal)
      },
    )
  }
  await parser.parseAsync(words)
  return exitCode
}

function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return manifest.version
}
