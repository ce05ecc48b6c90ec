import { isDeepStrictEqual } from 'node:util'
import { loadDraft, type Loaded } from '../config/config.ts'
import { type Setting, settled } from '../config/settle.ts'

/** A configuration that is not written yet. */
export interface Draft {
  readonly file: string
  readonly text: string
  /** What counts when it is written. */
  readonly loaded: Loaded
}

/** @throws UsageError with file:line:column of every mistake */
export const draftOf = (file: string, text: string): Draft => ({ file, text, loaded: loadDraft(file, text) })

/**
 * With values in it; of those that count already, also where nobody says them, only what is said in so many words.
 * @throws UsageError when one of them is wrong, or has no place
 */
export function withSettings(draft: Draft, settings: readonly Setting[], inSoManyWords: boolean): Draft {
  const news = inSoManyWords
    ? settings
    : settings.filter(({ key, value }) => !isDeepStrictEqual(valueAt(draft, key), value))
  const after = draftOf(draft.file, settled(draft.text, draft.file, news))
  const inherited = news.filter(({ key, value }) => value === undefined && valueAt(after, key) !== undefined)
  // What a profile says is taken back by saying so.
  const taken = inherited.map(({ key }) => ({ key, value: null }))
  return taken.length === 0 ? after : draftOf(after.file, settled(after.text, after.file, taken))
}

const valueAt = ({ loaded: { config } }: Draft, key: readonly string[]): unknown =>
  key.reduce<unknown>((here, step) => (here as Readonly<Record<string, unknown>> | undefined)?.[step], config)
