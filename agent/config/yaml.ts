import type { z } from 'zod'
import { fit } from './fit.ts'
import { locatedOf } from './layers.ts'
import { isNothing, locate, nearestTo, placeText } from './located.ts'

/** What a YAML text says, and where. */
export interface ReadYaml<T> {
  readonly value: T
  /** `file:line:column` of the value in a list, or of the key in a map, that the path leads to. */
  readonly placeOf: (path: readonly PropertyKey[]) => string
}

/**
 * Reads a YAML text by a schema.
 *
 * @param file its name in complaints
 * @param empty what a text without anything in it stands for
 * @throws UsageError with file:line:column of every mistake
 */
export function readYaml<T extends z.ZodType>(
  text: string,
  file: string,
  schema: T,
  empty: unknown = {},
): ReadYaml<z.output<T>> {
  const said = locate(text, file)
  const located = isNothing(said) ? locatedOf(empty, said.place) : said
  return { value: fit(schema, located), placeOf: (path) => placeText(nearestTo(located, path).place) }
}
