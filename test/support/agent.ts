import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Report } from '../../agent/domain/report.ts'

export const FULLMON = join(import.meta.dirname, '../../scripts/fullmon')
const PATIENCE_MS = 60_000
const POLL_MS = 20

/** The program as a user starts it. */
export interface RunningAgent {
  readonly pid: number
  /** Objects printed so far with --json. */
  readonly reports: readonly Report[]
  readonly stderr: () => string
  /** Resolves when `isThere` becomes true; rejects with all that was printed when it never does. */
  waitFor(what: string, isThere: () => boolean): Promise<void>
  /** Sends a signal. */
  send(signal: NodeJS.Signals): void
  /** Sends a signal and resolves with the exit code when the program has ended. */
  end(signal: NodeJS.Signals): Promise<number | null>
}

/**
 * An agent that runs has no socket to be asked at, unless the words say one: there is one place by default, and tests run side by
 * side.
 * @param environment is added to that of the test
 * @param command starts the program, in place of the launcher of this checkout
 */
export function startAgent(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  command: readonly string[] = [FULLMON],
): RunningAgent {
  const env = { ...process.env, ...environment }
  const [program = FULLMON, ...before] = command
  const isMute = words[0] === 'run' && !words.includes('--socket')
  const child = spawn(program, [...before, ...words, ...(isMute ? ['--socket', ''] : [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  })
  const reports: Report[] = []
  let rest = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    reports.push(...lines.map((line) => JSON.parse(line) as Report))
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  return {
    pid: child.pid ?? 0,
    reports,
    stderr: () => stderr,
    async waitFor(what, isThere) {
      const deadlineMs = performance.now() + PATIENCE_MS
      while (!isThere()) {
        if (performance.now() > deadlineMs || child.exitCode !== null) {
          const printed = reports.map((report) => JSON.stringify(report)).join('\n')
          throw new Error(`the agent never came to ${what}; it printed\n${printed}\n${stderr}`)
        }
        await sleep(POLL_MS)
      }
    },
    send: (signal) => void child.kill(signal),
    end(signal) {
      child.kill(signal)
      return ended
    },
  }
}
