import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { rulesFile } from './kernel-rules.ts'

const NAME = 'auditd-relay'

/** The plugin of auditd, wherever the program was installed. @throws UsageError when the program is not whole */
export function pluginProgram(): string {
  const root = dirname(rulesFile())
  const installed = join(root, NAME)
  return existsSync(installed) ? installed : join(root, 'scripts', NAME)
}
