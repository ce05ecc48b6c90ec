/** What the command line says of the configuration. */
import { UsageError } from '../domain/result.ts'
import { type Located, type Place, plain, locate } from './located.ts'
import { locatedOf, merged, NOTHING } from './layers.ts'
import type { Setting } from './settle.ts'

const optionPlace = (source: string): Place => ({ source, line: 0, column: 0 })

/** `--set scan.interval=30`. @throws UsageError when the words are no key and value */
export function ofSettings(words: readonly string[]): Located {
  return words.map(ofSetting).reduce(merged, NOTHING)
}

function ofSetting(word: string): Located {
  const { key, value } = settingOf(word)
  const nested = key.reduceRight<unknown>((inner, step) => ({ [step]: inner }), value)
  return locatedOf(nested, optionPlace(`--set ${key.join('.')}`))
}

/** What `KEY=VALUE` says. @throws UsageError when the word is no key and value */
export function settingOf(word: string): Setting {
  const equals = word.indexOf('=')
  const key = word.slice(0, Math.max(equals, 0)).trim()
  if (!/^[\w-]+(\.[\w-]+)*$/.test(key) || key.split('.').includes('__proto__'))
    throw new UsageError(`--set ${word}: expected KEY=VALUE, such as scan.interval=30`)
  const source = `--set ${key}`
  const text = word.slice(equals + 1)
  // Nothing behind the sign is an empty text; null takes back what a profile says.
  return { key: key.split('.'), value: text.trim() === '' ? '' : plain(locate(text, source)) }
}

/** Options of their own, such as --monitor; what was not given is undefined. */
export function ofOptions(given: object): Located {
  const entries = Object.entries(given)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]): [string, Located] => [
      key,
      isMap(value) ? ofOptions(value) : locatedOf(value, optionPlace(`--${key}`)),
    ])
  return { place: optionPlace('the command line'), content: { kind: 'map', entries: new Map(entries) } }
}

const isMap = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
