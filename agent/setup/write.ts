import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Decision } from '../baseline/decisions.ts'
import { vouchForWrite } from '../baseline/vouched-writes.ts'
import { changeLines } from '../config/changes.ts'
import { type Loaded, loadWithPlaces } from '../config/config.ts'
import { UsageError } from '../domain/result.ts'
import { replaceFile } from '../support/replace-file.ts'
import type { Draft } from './draft.ts'

/** Of a new configuration: root's alone, and of the group that it gives it. */
const NEW_FILE = 0o640
const OTHERS = 0o007

/**
 * Puts a configuration in the place of the one that it was made from. The journal of the baseline, if there is one, says who did
 * it, so that an agent that runs does not take it for tampering.
 *
 * @param mistakesIn is asked of the new file before it counts
 * @throws UsageError when it is wrong, cannot be written, or was changed meanwhile
 */
export function writeDraft(
  draft: Draft,
  before: Draft,
  decision: Decision,
  mistakesIn: (loaded: Loaded) => readonly string[],
): void {
  const { file, text, loaded } = draft
  const isThere = existsSync(file)
  const { db, outputs } = loaded.config
  try {
    if (existsSync(db)) {
      const place = isThere ? realpathSync(file) : resolve(file)
      const added = changeLines(before.loaded.config, loaded.config)
      vouchForWrite(db, { file: place, pid: process.pid, added, alerts: [] }, decision, 'configure')
    }
    const mask = outputs.webhook.url === undefined ? 0 : OTHERS
    replaceFile(
      file,
      text,
      (newFile) => {
        const mistakes = mistakesIn(loadWithPlaces({ config: newFile }))
        if (mistakes.length > 0) throw new UsageError(mistakes.join('\n'))
        if (textOf(file) !== before.text) throw new UsageError(`${file} was changed meanwhile: try again`)
      },
      (mode = NEW_FILE) => mode & ~mask,
    )
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`cannot write ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** What a file says; nothing when there is none. */
export const textOf = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '')
