/** The configuration that counts, and where it comes from. */
import { Document, stringify, visit } from 'yaml'
import { UsageError } from '../domain/result.ts'
import type { Loaded } from './config.ts'
import { describeType } from './types.ts'
import { noSuchKey } from './fit.ts'
import { type Key, KEYS, metaOf, valueOf } from './keys.ts'
import { childOf, type Located, placeText } from './located.ts'

const HIDDEN = '(hidden)'

/** A key with all that there is to say of it. */
export interface Explained {
  readonly key: string
  readonly value: unknown
  /** Places that say it, or `default`. */
  readonly from: readonly string[]
  readonly byDefault: unknown
  readonly type: string
  readonly description: string
}

/**
 * @param name of a key or of a section; everything without it
 * @throws UsageError when there is no such key
 */
export function explain({ config, said }: Loaded, name: string | undefined): readonly Explained[] {
  const asked = name === undefined ? KEYS : keysOfName(name)
  return asked.map((key) => {
    const place = key.path.reduce<Located | undefined>((here, step) => here && childOf(here, step), said)
    const { type, byDefault } = describeType(key.schema)
    return {
      key: key.name,
      value: shown(key, valueOf(config, key)),
      from: place === undefined ? ['default'] : [...new Set(placesOf(place))],
      byDefault,
      type,
      description: metaOf(key.schema).description ?? '',
    }
  })
}

function keysOfName(name: string): readonly Key[] {
  const asked = name.replaceAll('_', '-')
  const found = KEYS.filter((key) => `${key.name.replaceAll('_', '-')}.`.startsWith(`${asked}.`))
  if (found.length > 0) return found
  const names = KEYS.map((key) => key.name)
  const sections = [...new Set(KEYS.map(({ path: [first = ''] }) => first))]
  throw new UsageError(`${name}: ${noSuchKey(name, [...sections, ...names], sections)}`)
}

/** Of a map, that of each name in it: they may stand in different files. */
const placesOf = (located: Located): string[] =>
  located.content.kind === 'map' && located.content.entries.size > 0
    ? [...located.content.entries.values()].map(({ place }) => placeText(place))
    : [placeText(located.place)]

const shown = ({ isSecret }: Key, value: unknown): unknown =>
  isSecret && value !== undefined ? HIDDEN : value

/** The configuration with all defaults and without secrets, as a file has it. */
export function effective({ config }: Loaded): Readonly<Record<string, unknown>> {
  const all: Record<string, unknown> = {}
  for (const key of KEYS) {
    const value = shown(key, valueOf(config, key))
    if (value === undefined) continue
    const folder = key.path.slice(0, -1).reduce<Record<string, unknown>>((here, step) => {
      here[step] ??= {}
      return here[step] as Record<string, unknown>
    }, all)
    folder[key.path.at(-1) ?? ''] = value
  }
  return all
}

/** The same as the text of a file. */
export function effectiveText(loaded: Loaded): string {
  const document = new Document(effective(loaded))
  visit(document, {
    Seq: (_, list) => {
      list.flow = true
    },
  })
  return document.toString({ lineWidth: 110, flowCollectionPadding: false })
}

/** A value on one line of YAML. */
export const yamlText = (value: unknown): string =>
  stringify(value, { collectionStyle: 'flow', lineWidth: 0, flowCollectionPadding: false }).trimEnd()
