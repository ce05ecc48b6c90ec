import { runCli } from './cli/cli.ts'
import { UsageError } from './domain/result.ts'

const USAGE = 2
const FAILED = 3
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
/** A program that waits for something else than its input, such as a pipe that nobody opens, ends after this long. */
const GRACE_MS = 5000

const words = process.argv.slice(2)

/** Ends the program in order: what was read is committed. A second signal ends it at once. */
const stop = new AbortController()
for (const name of SIGNALS) {
  process.once(name, () => {
    stop.abort()
    // Not process.exit: that waits for a read that never ends. The handler is gone, so the signal does what it always does.
    setTimeout(() => process.kill(process.pid, name), GRACE_MS).unref()
  })
}

// A reader that went away, such as `| head`, is no error; but whoever watches must not go on without being heard.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' && words[0] !== 'run' ? 0 : FAILED)
})
// Nobody is left to tell it to.
process.stderr.on('error', () => undefined)

try {
  process.exitCode = await runCli(words, stop.signal)
} catch (error) {
  if (!(error instanceof Error)) throw error
  const isUsage = error instanceof UsageError
  // A bug keeps its stack; a full disk needs no line of our code.
  if (!isUsage && !('code' in error)) throw error
  process.stderr.write(`fullmon: ${error.message}\n`)
  process.exitCode = isUsage ? USAGE : FAILED
}
