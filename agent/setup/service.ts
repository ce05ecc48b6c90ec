import { existsSync } from 'node:fs'
import { CommandError, outputOf } from '../support/command.ts'

const SERVICE = 'fullmon.service'
const PATIENCE_MS = 10_000

/** Whether systemd runs the agent. */
export const isServiceActive = (): Promise<boolean> => isDone('is-active', '--quiet', SERVICE)

/** Has the agent read its configuration again. Whether systemd took the order. */
export const reloadService = (): Promise<boolean> => isDone('reload', '--no-block', SERVICE)

/** Begins the service anew, by what its unit says now. Whether systemd took the order. */
export const restartService = async (): Promise<boolean> =>
  (await isDone('daemon-reload')) && isDone('restart', '--no-block', SERVICE)

async function isDone(...words: readonly string[]): Promise<boolean> {
  // sd_booted(3)
  if (!existsSync('/run/systemd/system')) return false
  try {
    const output = outputOf('systemctl', words, 'ignore', { timeoutMs: PATIENCE_MS })
    while ((await output.next()).done !== true);
    return true
  } catch (error) {
    if (error instanceof CommandError) return false
    throw error
  }
}
