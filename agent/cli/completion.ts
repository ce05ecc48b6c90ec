/** What may be the next word of a command line where only this program knows. */
import { PROFILES } from '../config/find.ts'

/** The shell knows what files there are. */
const FILES: readonly string[] = []

const FILE_OPTIONS = ['--auditd', '--baseline-from', '--config', '--db', '--dns', '--log', '--socket']
/** Commands, and actions of them, whose words are files. */
const OF_FILES = [/^(?:replay|events) /, /^config check /, /^baseline (?:export|import) /]

/**
 * @param words from the command to the one that is being typed
 * @returns undefined where the options say it
 */
export async function completionsFor(words: readonly string[]): Promise<readonly string[] | undefined> {
  const [before = '', typed = ''] = words.slice(-2)
  if (before === '--profile') return PROFILES
  if (FILE_OPTIONS.includes(before)) return FILES
  if (typed.startsWith('-')) return undefined
  const line = words.join(' ')
  if (OF_FILES.some((each) => each.test(line))) return FILES
  if (!/^config explain \S*$/.test(line)) return undefined
  // Only here, for it takes its time.
  const { KEYS } = await import('../config/keys.ts')
  return KEYS.map(({ name }) => name)
}
