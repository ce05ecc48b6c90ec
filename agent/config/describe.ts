/** What people and editors are told of the configuration. */
import { z } from 'zod'
import { Config } from './schema.ts'

const DRAFT = 'draft-2020-12'
/** zod bounds whole numbers by what a double can hold. */
const EXACT = Number.MAX_SAFE_INTEGER

type Json = z.core.JSONSchema.JSONSchema

/** JSON schema of the configuration for editors. In keys with a dash or underscore either may be written. */
export function jsonSchema(): Json {
  const schema = z.toJSONSchema(Config, {
    target: DRAFT,
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema: each }) => {
      delete each['secret']
      if (zodSchema instanceof z.ZodOptional && typeof each.type === 'string')
        each.type = [each.type, 'null'] as unknown as 'string'
      const both = Object.entries(each.properties ?? {}).filter(([key]) => /[-_]/.test(key))
      const isMap = each.type === 'object' && each.properties !== undefined
      // A section without anything in it is null.
      if (isMap) each.type = ['object', 'null'] as unknown as 'object'
      if (both.length > 0)
        each.patternProperties = Object.fromEntries(
          both.map(([key, inner]) => [`^${key.replaceAll(/[-_]/g, '[-_]')}$`, inner]),
        )
    },
  })
  return {
    title: 'fullmon',
    description:
      'Configuration of fullmon. Editors that know the YAML language server take it from the first line of a file: # yaml-language-server: $schema=/path/to/this.json',
    ...schema,
  }
}

/** Of one key: its type in words, and its default. */
export function describeType(schema: z.core.$ZodType): {
  readonly type: string
  readonly byDefault: unknown
} {
  const json = z.toJSONSchema(schema, { target: DRAFT, io: 'input', unrepresentable: 'any' })
  return { type: typeText(json), byDefault: json.default }
}

function typeText(json: Json): string {
  if (json.enum !== undefined) return `one of ${json.enum.map(String).join(', ')}`
  if (json.anyOf !== undefined) return [...new Set(json.anyOf.map((each) => typeText(each)))].join(', or ')
  switch (json.type) {
    case 'boolean':
      return 'true or false'
    case 'integer':
      return `whole number${rangeText(json)}`
    case 'number':
      return `number${rangeText(json)}`
    case 'array':
      return `list of: ${typeText(json.items as Json)}`
    case 'object': {
      const fields = Object.entries(json.properties ?? {}).map(([key]) => key)
      return fields.length > 0
        ? `map of ${fields.join(', ')}`
        : `map of names, each with: ${typeText(json.additionalProperties as Json)}`
    }
    default:
      return 'text'
  }
}

function rangeText({ minimum, maximum }: Json): string {
  const from = minimum === undefined || minimum <= -EXACT ? '' : ` from ${minimum}`
  return maximum === undefined || maximum >= EXACT ? from : `${from} to ${maximum}`
}
