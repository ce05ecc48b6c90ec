import { type Key, KEYS, valueOf } from './keys.ts'
import type { Config } from './schema.ts'

/** What differs, in the words of the configuration file; nothing when nothing does. */
export const changesOf = (config: Config, next: Config): string => changeLines(config, next).join(', ')

/** The same one by one. */
export const changeLines = (config: Config, next: Config): readonly string[] =>
  KEYS.map((key) => ({ key, was: valueOf(config, key), is: valueOf(next, key) }))
    .filter(({ was, is }) => JSON.stringify(was) !== JSON.stringify(is))
    .map(({ key, was, is }) => `${key.name} is ${valueText(key, is)} (was ${valueText(key, was)})`)

function valueText({ isSecret }: Key, value: unknown): string {
  if (value === undefined) return 'not given'
  if (isSecret) return 'hidden'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
