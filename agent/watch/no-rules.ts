import { mkdirSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { CommandError, outputOf } from '../support/command.ts'
import { rulesFile } from '../support/kernel-rules.ts'
import { askKernel } from './kernel-answers.ts'

/** One of the rules is about this directory; the kernel takes it only when it is there. */
const STATE = '/var/lib/fullmon'
const NONE = 'the kernel has no audit rules'

/**
 * Loads our rules into a kernel that has none, until it boots again. Rules of an administrator, whatever they are, are
 * left alone, and a kernel that cannot be asked is the business of the watch over it.
 *
 * @returns a sentence on what was done, or what has to be; undefined when there was nothing to do
 */
export async function loadRulesWhereNone(file = rulesFile()): Promise<string | undefined> {
  const answers = await askKernel()
  if (!answers.ok || answers.value.rules.length > 0) return undefined
  // auditctl asks for nobody else.
  if (process.getuid?.() !== 0) return `${NONE}, and only root can load them: sudo augenrules --load`
  try {
    mkdirSync(STATE, { recursive: true, mode: 0o700 })
    await text(outputOf('auditctl', ['-R', file]))
    return `${NONE}: loaded ${file}, until the next boot`
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    return `${NONE} and takes none (${error.message}): see fullmon doctor`
  }
}
