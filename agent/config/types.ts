/** Types of values in words of people. */
import { z } from 'zod'

/** zod bounds whole numbers by what a double can hold. */
const EXACT = Number.MAX_SAFE_INTEGER

type Json = z.core.JSONSchema.JSONSchema

/** Of one key: its type in words, and its default. */
export function describeType(schema: z.core.$ZodType): {
  readonly type: string
  readonly byDefault: unknown
} {
  const json = z.toJSONSchema(schema, { target: 'draft-2020-12', io: 'input', unrepresentable: 'any' })
  return { type: typeText(json), byDefault: json.default }
}

function typeText(json: Json): string {
  if (json.enum !== undefined) return `one of ${json.enum.map(String).join(', ')}`
  if (json.anyOf !== undefined) return [...new Set(json.anyOf.map((each) => typeText(each)))].join(', or ')
  switch (json.type) {
    case 'null':
      return 'null'
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
