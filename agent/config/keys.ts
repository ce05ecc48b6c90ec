/** The keys of the configuration one by one: those in sections as `section.key`. */
import { z } from 'zod'
import { alternatives, keysOf } from './fit.ts'
import { Config } from './schema.ts'

export interface Key {
  readonly path: readonly string[]
  /** The path as people write it. */
  readonly name: string
  readonly schema: z.core.$ZodType
  /** Whether its value is for nobody else's eyes. */
  readonly isSecret: boolean
}

/** Every key that has a value of its own, in the order of the schema. */
export const KEYS: readonly Key[] = keysBelow(Config, [])

function keysBelow(schema: z.core.$ZodType, path: readonly string[]): Key[] {
  return [...keysOf(schema)].flatMap(([name, inner]): Key[] => {
    const here = [...path, name]
    const isSection = alternatives(inner).every((each) => each instanceof z.ZodObject)
    if (isSection) return keysBelow(inner, here)
    return [{ path: here, name: here.join('.'), schema: inner, isSecret: metaOf(inner)['secret'] === true }]
  })
}

/** What is said of a key, around its type or within: `.describe()`, `.meta()`. */
export function metaOf(schema: z.core.$ZodType): z.core.GlobalMeta {
  const said = [...alternatives(schema), schema].map((each) => z.globalRegistry.get(each))
  return said.reduce<z.core.GlobalMeta>((all, each) => ({ ...all, ...each }), {})
}

/** The value of a key in a configuration. */
export const valueOf = (config: Config, { path }: Key): unknown =>
  path.reduce<unknown>((here, step) => (here as Readonly<Record<string, unknown>>)[step], config)
