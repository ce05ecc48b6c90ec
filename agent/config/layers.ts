/** Configurations over each other: of what two say, the later one counts. */
import { z } from 'zod'
import { UsageError } from '../domain/result.ts'
import { alternatives, keysOf, schemaBelow } from './fit.ts'
import { isNothing, type Located, type Place, placeText } from './located.ts'

type Schema = z.core.$ZodType

export const NOTHING: Located = locatedOf({}, { source: '', line: 0, column: 0 })

/** Maps are merged; lists and single values of the later one replace those of the earlier one. */
export function merged(earlier: Located, later: Located): Located {
  if (earlier.content.kind !== 'map' || later.content.kind !== 'map') return later
  const entries = new Map(earlier.content.entries)
  for (const [key, value] of later.content.entries) {
    const before = entries.get(key)
    entries.set(key, before === undefined ? value : merged(before, value))
  }
  return { place: later.place, content: { kind: 'map', entries } }
}

/**
 * The same with keys as the schema has them: `min-score` is `min_score`, and a section without anything in it is empty.
 * @throws UsageError when two spellings of one key stand beside each other
 */
export function inWordsOf(schema: Schema, located: Located): Located {
  const { place, content } = located
  switch (content.kind) {
    case 'map': {
      const names = new Map([...keysOf(schema).keys()].map((key) => [withDashes(key), key]))
      const entries = new Map<string, Located>()
      for (const [said, value] of content.entries) {
        const key = names.get(withDashes(said)) ?? said
        if (entries.has(key))
          throw new UsageError(`${placeText(value.place)}: ${said}: ${key} stands here already`)
        const below = schemaBelow(schema, key)
        entries.set(key, below === undefined ? value : inWordsOf(below, value))
      }
      return { place, content: { kind: 'map', entries } }
    }
    case 'list': {
      const items = content.items.map((item, index) => {
        const below = schemaBelow(schema, index)
        return below === undefined ? item : inWordsOf(below, item)
      })
      return { place, content: { kind: 'list', items } }
    }
    case 'scalar':
      return content.value === null && isSection(schema) ? locatedOf({}, place) : located
  }
}

const withDashes = (key: string): string => key.replaceAll('_', '-')

const isSection = (schema: Schema): boolean =>
  alternatives(schema).every((each) => each instanceof z.ZodObject)

/** Without what somebody has taken back: null where a key need not be given. */
export function withoutNulls(schema: Schema, located: Located): Located {
  if (located.content.kind !== 'map') return located
  const entries = [...located.content.entries].flatMap(([key, value]): [string, Located][] => {
    const below = schemaBelow(schema, key)
    if (below === undefined) return [[key, value]]
    return isNothing(value) && below instanceof z.ZodOptional ? [] : [[key, withoutNulls(below, value)]]
  })
  return { place: located.place, content: { kind: 'map', entries: new Map(entries) } }
}

/** A value that does not stand in a file. */
export function locatedOf(value: unknown, place: Place): Located {
  if (Array.isArray(value))
    return { place, content: { kind: 'list', items: value.map((item) => locatedOf(item, place)) } }
  if (typeof value !== 'object' || value === null) return { place, content: { kind: 'scalar', value } }
  const entries = Object.entries(value).map(([key, each]): [string, Located] => [key, locatedOf(each, place)])
  return { place, content: { kind: 'map', entries: new Map(entries) } }
}
