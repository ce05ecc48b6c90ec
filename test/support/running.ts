import { type ChildProcess, spawn, spawnSync, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'

/** Why nothing can be tried with Python; undefined when it can. */
export const noPython = spawnSync('python3', ['--version']).status === 0 ? undefined : 'there is no python3'

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
