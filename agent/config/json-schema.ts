import { z } from 'zod'
import { Config } from './schema.ts'

type Json = z.core.JSONSchema.JSONSchema

/** JSON schema of the configuration for editors. In keys with a dash or underscore either may be written. */
export function jsonSchema(): Json {
  const schema = z.toJSONSchema(Config, {
    target: 'draft-2020-12',
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
