import type { Arguments, Argv } from 'yargs'
import { CONFIG_FILE, DEFAULT_DB, DEFAULT_LOG } from '../config/places.ts'
import { UsageError } from '../domain/result.ts'
import { type Format, FORMATS } from '../report/printer.ts'

/** A command of the program: its options and examples for yargs, and what to do. `run` returns the exit code. */
export interface Command {
  readonly options: (command: Argv) => Argv
  /** Words that may be given more than once. */
  readonly lists?: readonly string[]
  readonly run: (parsed: Arguments, signal: AbortSignal) => Promise<number>
}

/** Keeps the types of the options between `options` and `run`. */
export function command<T>(definition: {
  readonly options: (command: Argv) => Argv<T>
  readonly lists?: readonly string[]
  readonly run: (parsed: Arguments<T>, signal: AbortSignal) => Promise<number>
}): Command {
  return definition as unknown as Command
}

export const AUDITD_OPTION = {
  type: 'string',
  requiresArg: true,
  describe: 'log of auditd; - for standard input, relay for its plugin',
  defaultDescription: DEFAULT_LOG,
} as const

export const DB_OPTION = {
  type: 'string',
  requiresArg: true,
  describe: 'the baseline',
  defaultDescription: DEFAULT_DB,
} as const

/** What every command takes that reads the configuration. */
export const CONFIG_OPTIONS = {
  config: {
    type: 'string',
    requiresArg: true,
    describe: 'YAML file with the configuration',
    defaultDescription: CONFIG_FILE,
  },
  profile: {
    type: 'string',
    requiresArg: true,
    describe: 'what counts where it says nothing: a shipped profile, or a path',
  },
  set: {
    type: 'string',
    requiresArg: true,
    array: true,
    nargs: 1,
    describe: 'KEY=VALUE that wins over the file, such as scan.interval=30',
  },
} as const

export const LEARN_DEGRADED_OPTION = {
  type: 'boolean',
  describe: 'learn also from windows with blind spots',
} as const

export const DNS_OPTION = {
  type: 'string',
  requiresArg: true,
  array: true,
  describe: 'DNS answers that name hosts: a capture (pcap), or the query log of a resolver',
} as const

export const ALERTS_OPTION = {
  type: 'number',
  requiresArg: true,
  describe: 'incidents a day; 0: only high and critical ones',
  defaultDescription: '10',
} as const

/** Of commands that print reports; `--json` is short for one of them. */
export const FORMAT_OPTIONS = {
  format: {
    choices: FORMATS,
    requiresArg: true,
    describe: 'text, JSON, or JSON with names of the Elastic Common Schema',
    defaultDescription: 'text',
  },
  json: { type: 'boolean', default: false, describe: 'short for --format json' },
} as const

/** How reports are to be printed. @throws UsageError when two ways are asked for */
export function formatOf({
  format,
  json,
}: {
  readonly format?: Format | undefined
  readonly json: boolean
}): Format {
  if (json && format !== undefined && format !== 'json')
    throw new UsageError(`--json is --format json: it cannot be ${format}, too`)
  return format ?? (json ? 'json' : 'text')
}

/** Which of what a command lists is shown whole. */
export const SHOWN_IDS = {
  type: 'string',
  array: true,
  describe: 'only these, with all that is known of them',
} as const

export const JSON_OPTION = { type: 'boolean', default: false, describe: 'one JSON object a line' } as const

/** Saved logs, as the only words without an option. */
export const LOGS_POSITIONAL = {
  type: 'string',
  array: true,
  demandOption: true,
  describe: 'logs, oldest first; .gz, .xz and - too',
} as const

/** Exit code, as a shell has it for a program that Ctrl-C ended. */
export const INTERRUPTED = 130

const STDIN = '-'
const STDIN_PATH = '/dev/stdin'

/** yargs loses a lone `-` among words without an option, so it goes through yargs as a path, and back. */
export const wordsForYargs = (words: readonly string[]): string[] =>
  words.map((word) => (word === STDIN ? STDIN_PATH : word))

/** A file name that came through yargs. */
export const fileFromYargs = (name: string): string => (name === STDIN_PATH ? STDIN : name)
