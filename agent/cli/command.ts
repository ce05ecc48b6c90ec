import type { Arguments, Argv } from 'yargs'

/** A command of the program: its options and examples for yargs, and what to do. `run` returns the exit code. */
export interface Command {
  readonly options: (command: Argv) => Argv
  readonly run: (parsed: Arguments, signal: AbortSignal) => Promise<number>
}

/** Keeps the types of the options between `options` and `run`. */
export function command<T>(definition: {
  readonly options: (command: Argv) => Argv<T>
  readonly run: (parsed: Arguments<T>, signal: AbortSignal) => Promise<number>
}): Command {
  return definition as unknown as Command
}

export const JSON_OPTION = { type: 'boolean', default: false, describe: 'one JSON object a line' } as const
