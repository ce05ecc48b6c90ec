import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import type { Readable, Writable } from 'node:stream'

/** A command that is not installed, or ended with an error; the message says which, in one line. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** Fixed places instead of $PATH: the agent runs as root and must not run what somebody else put first. */
const FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin']

/** Absolute path of an installed command, undefined when there is none. */
export function findCommand(name: string): string | undefined {
  return FOLDERS.map((folder) => `${folder}/${name}`).find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

interface Limits {
  /** When the command is killed. Milliseconds; never when it is left out. */
  readonly timeoutMs?: number
  /** Told the pid of the command when it starts. */
  readonly onStart?: (pid: number) => void
  /** Kills the command, which then ended as one that was killed. */
  readonly signal?: AbortSignal
}

/**
 * Standard output of a command, as it comes. No shell, and an empty environment but for the C locale.
 * Leaving the iteration early kills the command.
 *
 * @param stdin file descriptor that the command reads; the caller keeps and closes its own
 * @throws CommandError when the command is missing, takes too long or does not end with exit code 0
 */
export async function* outputOf(
  name: string,
  args: readonly string[],
  stdin: number | 'ignore' = 'ignore',
  { timeoutMs, onStart, signal }: Limits = {},
): AsyncGenerator<Buffer, void, undefined> {
  const path = findCommand(name)
  if (path === undefined) throw new CommandError(`${name} is not installed`)
  const child = spawn(path, args, {
    argv0: name,
    stdio: [stdin, 'pipe', 'pipe'],
    env: { LC_ALL: 'C' },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  }) as ChildProcessByStdio<null, Readable, Readable>
  if (child.pid !== undefined) onStart?.(child.pid)
  const ended = once(child, 'close')
  const kill = (): void => void child.kill('SIGKILL')
  signal?.addEventListener('abort', kill)
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, 1000)
  })
  try {
    yield* child.stdout as AsyncIterable<Buffer>
    const [code, killedBy] = (await ended) as [number | null, string | null]
    if (code === 0) return
    throw new CommandError(complaint.trim() || `${name} ended with ${code ?? killedBy ?? 'nothing'}`)
  } finally {
    signal?.removeEventListener('abort', kill)
    kill()
    await ended
  }
}

/** A command that is talked to for as long as it runs. */
export type Companion = ChildProcessByStdio<Writable, Readable, null>

/**
 * Starts a command that reads from its standard input until that ends. No shell, an empty environment, nothing on standard
 * error. What goes wrong with it later is an event of it.
 *
 * @throws CommandError when the command is missing
 */
export function startCommand(name: string, args: readonly string[]): Companion {
  const path = findCommand(name)
  if (path === undefined) throw new CommandError(`${name} is not installed`)
  return spawn(path, args, { argv0: name, stdio: ['pipe', 'pipe', 'ignore'], env: { LC_ALL: 'C' } })
}
