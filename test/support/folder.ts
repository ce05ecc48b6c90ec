import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A new folder that is gone after the test. */
export function folderForTest(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fullmon-tail-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

/** Files in a folder that this process has open, each as often as it is open. */
export function openIn(folder: string): string[] {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return '' // the descriptor that listed the folder is closed by now
    }
  })
  return targets.filter((target) => target.startsWith(folder))
}
