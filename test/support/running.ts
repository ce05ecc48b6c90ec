import { type ChildProcess, spawn, spawnSync, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** Why nothing can be tried with Python; undefined when it can. */
export const noPython =
  spawnSync('/usr/bin/python3', ['--version']).status === 0 ? undefined : 'there is no /usr/bin/python3'

const MAIN = join(import.meta.dirname, '../../agent/main.ts')
/** What somebody else is started with, who may do nothing. */
export const AS_NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--']

/** Why nothing can be tried as somebody else; undefined when it can. */
export function noStranger(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can be somebody else'
  const [program = '', ...words] = AS_NOBODY
  const code = `fs.readFileSync(${JSON.stringify(MAIN)})`
  return spawnSync(program, [...words, process.execPath, '-e', code]).status === 0
    ? undefined
    : 'others may not read this checkout'
}

/** Why nothing can be mounted; undefined when it can. */
export const noMounts = (): string | undefined =>
  spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0
    ? undefined
    : 'nothing can be mounted'

/** Keeps a process until the test ends. */
export const FOREVER = 'import time; print("ready", flush=True); time.sleep(1000)'

/** A real process that has said that it is ready, and is there until the test has ended. */
export async function running(
  program: string,
  args: readonly string[],
  options: SpawnOptions = {},
): Promise<ChildProcess & { pid: number }> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], ...options })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  await once(child, 'spawn')
  if (child.stdout !== null) await once(child.stdout, 'data')
  return child as ChildProcess & { pid: number }
}

/** Python code that runs until the test has ended; the code has to say that it is ready, as `FOREVER` does. */
export const python = (code: string, options: SpawnOptions = {}): ReturnType<typeof running> =>
  running('/usr/bin/python3', ['-c', code], options)
