import { UsageError } from './domain/result.ts'
import { runCli } from './cli/cli.ts'

const USAGE = 2
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Ends the program in order: what was read is committed, and the exit code is 0. */
const stop = new AbortController()
for (const name of SIGNALS) process.on(name, () => stop.abort())

// A reader that went away, such as `| head`, is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1)
})

try {
  process.exitCode = await runCli(process.argv.slice(2), stop.signal)
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`fullmon: ${error.message}\n`)
  process.exitCode = USAGE
}
