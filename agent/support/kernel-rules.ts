import { existsSync } from 'node:fs'
import { UsageError } from '../domain/result.ts'

/** Beside the sources, and beside what is built of them. */
const RULES = ['../../audit.rules', '../../../audit.rules'].map(
  (place) => new URL(place, import.meta.url).pathname,
)

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
