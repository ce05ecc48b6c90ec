import { existsSync, mkdirSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { UsageError } from '../domain/result.ts'
import { CommandError, outputOf } from './command.ts'

/** Beside the sources, and beside what is built of them. */
const RULES = ['../../audit.rules', '../../../audit.rules'].map(
  (place) => new URL(place, import.meta.url).pathname,
)
/** One of the rules is about this directory; the kernel takes it only when it is there. */
const STATE = '/var/lib/fullmon'
const NONE = /^No rules$/m

/**
 * Our rules file, wherever the program was installed.
 * @throws UsageError when it is missing
 */
export function rulesFile(): string {
  const found = RULES.find((path) => existsSync(path))
  if (found === undefined)
    throw new UsageError(`audit.rules is missing; it should be at ${RULES.join(' or ')}`)
  return found
}

/**
 * Loads our rules into a kernel that has none, until it boots again. Rules of an administrator, whatever they are, are
 * left alone.
 *
 * @returns a sentence on what was done; undefined when there was nothing to do
 */
export async function loadRulesWhereNone(file = rulesFile()): Promise<string | undefined> {
  try {
    if (!NONE.test(await text(outputOf('auditctl', ['-l'])))) return undefined
    mkdirSync(STATE, { recursive: true, mode: 0o700 })
    await text(outputOf('auditctl', ['-R', file]))
    return `the kernel had no audit rules: loaded ${file}, until the next boot`
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    return `the kernel has no audit rules and takes none (${error.message}): see fullmon doctor`
  }
}
