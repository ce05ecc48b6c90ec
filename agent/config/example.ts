/** A configuration file that has every key with its default, commented out. */
import { z } from 'zod'
import { describeType } from './types.ts'
import { alternatives, keysOf } from './fit.ts'
import { metaOf } from './keys.ts'
import { Config } from './schema.ts'
import { yamlText } from './show.ts'

const WIDTH = 100
const HEAD = `The configuration of fullmon: every key, with its default behind it. To set one, take the sign
before it away. The file is read from ~/.fullmon.yaml, ~/.config/fullmon/config.yaml or
/etc/fullmon/config.yaml, the first of them that is there. What it does not say is said by the
profile, what that does not say is as it stands here.

fullmon config check      says whether it is right, with line and column of each mistake
fullmon config explain    says what counts, and where it comes from
systemctl reload fullmon  reads it again`

/** The text of the file. */
export const exampleConfig = (): string =>
  [...HEAD.split('\n').map(prose), ...linesOf(Config, '')].join('\n') + '\n'

const prose = (text: string): string => `# ${text}`.trimEnd()

function linesOf(schema: z.core.$ZodType, indent: string): string[] {
  return [...keysOf(schema)].flatMap(([key, inner], index) => {
    const { description = '', examples } = metaOf(inner)
    const isSection = alternatives(inner).every((each) => each instanceof z.ZodObject)
    const gap = indent === '' || (isSection && index > 0) ? [''] : []
    if (isSection) {
      const said = wrapped(description, indent)
      return [...gap, ...said, `${indent}${key}:`, ...linesOf(inner, `${indent}  `)]
    }
    const { type, byDefault } = describeType(inner)
    const said = wrapped(`${description} (${type})`, indent)
    const shown = (Array.isArray(examples) ? (examples as unknown[]) : []).map(
      (example) => `${indent}# For example: ${yamlText({ [key]: example }).slice(1, -1)}`,
    )
    const value = byDefault === undefined ? '' : ` ${yamlText(byDefault)}`
    return [...gap, ...said, ...shown, `${indent}#${key}:${value}`]
  })
}

/** A comment of several lines. */
function wrapped(text: string, indent: string): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? ''
    if (line !== '' && indent.length + line.length + word.length + 3 > WIDTH) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return text === '' ? [] : lines.map((line) => `${indent}# ${line}`)
}
