import { closeSync, openSync } from 'node:fs'
import { isatty } from 'node:tty'
import { UsageError } from './domain/result.ts'

const USAGE = 2
/** Also UNKNOWN of a plugin. */
const FAILED = 3
/** A program that waits for something else than its input, such as a pipe that nobody opens, ends after this long. */
const GRACE_MS = 1500

const words = process.argv.slice(2)
const isRun = words[0] === 'run'
/** A plugin of Nagios, for which 2 is an alarm. */
const isCheck = words[0] === 'check'

/** Ends the program in order: what was read is committed. A second signal ends it at once. */
const stop = new AbortController()
function end(name: NodeJS.Signals): void {
  stop.abort(name)
  setTimeout(() => {
    // The agent has committed what it read, and only a reader that stalls may keep it. Everything else, and an agent that
    // waits for a file, is ended by the signal, whose handler is gone: process.exit waits for a read that never ends.
    if (isRun && !isInFile()) process.exit()
    process.kill(process.pid, name)
  }, GRACE_MS).unref()
}

const isInFile = (): boolean => process.getActiveResourcesInfo().some((what) => what.startsWith('FSReq'))

for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, end)
process.on('SIGHUP', function hangUp() {
  // A command that can read its configuration again prevents what the signal does otherwise.
  if (!isTerminalGone() && !stop.signal.dispatchEvent(new Event('reload', { cancelable: true }))) return
  process.off('SIGHUP', hangUp)
  end('SIGHUP')
})

// Signals that would end the program and that nobody has a reason to send. SIGUSR1, which opens Node's debugger to everybody
// on the host, is switched off by the launcher.
for (const name of ['SIGUSR2', 'SIGALRM', 'SIGVTALRM', 'SIGXCPU', 'SIGXFSZ', 'SIGIO', 'SIGPWR'] as const)
  process.on(name, () => undefined)

/** A terminal that is closed sends the same signal, and nobody is left to watch for. */
const isInteractive = [0, 1, 2].some(isatty)
function isTerminalGone(): boolean {
  if (!isInteractive) return false
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return false
  } catch {
    return true
  }
}

// A reader that went away, such as `| head`, is no error; but who watches must not go on without being heard, nor who learns
// end in the middle as if all were well.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' && !isRun && words[0] !== 'train') process.exit(0)
  process.stderr.write(`fullmon: standard output takes nothing more: ${error.message}\n`)
  process.exit(FAILED)
})
// Nobody is left to tell it to.
process.stderr.on('error', () => undefined)

try {
  // Loaded when the signals are taken care of: it takes its time.
  const { runCli } = await import('./cli/cli.ts')
  process.exitCode = await runCli(words, stop.signal)
} catch (error) {
  if (!(error instanceof Error)) throw error
  const isUsage = error instanceof UsageError
  if (isCheck) process.stdout.write(`UNKNOWN - ${error.message.replace(/[|\p{C}]+/gu, '; ')}\n`)
  // A bug keeps its stack; a full disk needs no line of our code.
  if (!isUsage && !('code' in error) && !isCheck) throw error
  // What somebody else has named may stand in it, and a terminal would obey.
  process.stderr.write(`fullmon: ${error.message.replace(/[\p{C}--\n]/gv, '?')}\n`)
  process.exitCode = isUsage && !isCheck ? USAGE : FAILED
}
