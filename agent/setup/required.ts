/** Which processes must run, as words with blanks between them. */
import { childOf, type Located, plain } from '../config/located.ts'
import type { Setting } from '../config/settle.ts'
import { UsageError } from '../domain/result.ts'
import { isGlob } from '../support/glob.ts'
import type { Draft } from './draft.ts'
import type { Host } from './host.ts'
import { listOf, NONE, quoted } from './words.ts'

/** What is said of them in another way stays as it is. */
const isWord = (each: unknown): each is string => typeof each === 'string' && !/[\s,\p{C}]/u.test(each)

const KEY = ['processes', 'required']

/** As it is written; undefined when nobody says anything. */
function saidIn({ loaded: { said } }: Draft): readonly unknown[] | undefined {
  const list = KEY.reduce<Located | undefined>((here, step) => here && childOf(here, step), said)
  const items = list && plain(list)
  return Array.isArray(items) ? items : undefined
}

export const requiredProposal = (draft: Draft, { services }: Host): string =>
  (saidIn(draft)?.filter(isWord) ?? services).join(' ') || NONE

/** @throws UsageError when a word is no glob */
export function requiredSettings(answer: string, draft: Draft): readonly Setting[] {
  const words = listOf(answer)
  const wrong = words.find((word) => !isWord(word) || !isGlob(word))
  if (wrong !== undefined) throw new UsageError(`expected names, paths or globs, not ${quoted(wrong)}`)
  const required = saidIn(draft) ?? []
  const kept = required.filter((each) => !isWord(each) || words.includes(each))
  return [{ key: KEY, value: [...kept, ...words.filter((word) => !required.includes(word))] }]
}
