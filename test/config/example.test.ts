import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { Config, loadConfig } from '../../agent/config/config.ts'
import { exampleConfig } from '../../agent/config/example.ts'
import { folderForTest } from '../support/folder.ts'

const EXAMPLE = readFileSync(join(import.meta.dirname, '../../docs/config.example.yaml'), 'utf8')
/** Settings are commented out without a blank, prose with one. */
const UNCOMMENTED = EXAMPLE.replaceAll(/^( *)#(?=\S)/gm, '$1')
const DEFAULTS = Config.parse({})

function read(text: string): Config {
  const config = join(folderForTest(), 'config.yaml')
  writeFileSync(config, text)
  return loadConfig({ config })
}

/** The keys of a configuration that has every key, as the schema knows them, independent of how the example is made. */
function keysOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, keysOf(inner)]))
    : null
}

describe('docs/config.example.yaml', () => {
  test('is what the program prints (fullmon config example > docs/config.example.yaml)', () => {
    expect(EXAMPLE).toBe(exampleConfig())
  })

  test('changes nothing as it is', () => {
    expect(read(EXAMPLE)).toEqual(DEFAULTS)
  })

  test('has the defaults behind its signs', () => {
    expect(read(UNCOMMENTED)).toEqual(DEFAULTS)
  })

  test('has every key that has a default, and those that have none', () => {
    const said = parse(UNCOMMENTED) as Record<string, Record<string, unknown>>
    expect(keysOf(said)).toMatchObject(keysOf(DEFAULTS) as object)
    expect(Object.keys(said)).toEqual(Object.keys(Config.shape))
    expect(Object.keys(said['http'] ?? {})).toEqual(expect.arrayContaining(['port', 'token_file']))
  })

  test('says something of every key', () => {
    const silent = EXAMPLE.split('\n').filter((line, index, all) => {
      const isSetting = /^ *#?[a-z][\w-]*:/.test(line)
      return isSetting && !/^ *# /.test(all[index - 1] ?? '')
    })
    // What the name of a section does not say its keys do.
    expect(silent.filter((line) => line.includes('#'))).toEqual([])
  })

  test('has examples that are right', () => {
    const examples = [...EXAMPLE.matchAll(/^ *# For example: (.*)$/gm)].map(([, text = '']) => text)
    expect(examples.length).toBeGreaterThan(2)
    for (const text of examples.filter((each) => !each.startsWith('profile: ./'))) read(topLevel(text))
  })
})

test('the configurations of README.md are right', () => {
  const page = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
  const blocks = [...page.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text = '']) => text)
  expect(blocks.length).toBeGreaterThan(0)
  for (const text of blocks) read(text)
})

/** An example of a key in a section stands below its section. */
function topLevel(text: string): string {
  const lines = EXAMPLE.split('\n')
  const at = lines.findIndex((line) => line.trim() === `# For example: ${text}`)
  const path: string[] = []
  let indent = (lines[at] ?? '').search(/#/)
  for (let index = at; index >= 0 && indent > 0; index -= 1) {
    const line = lines[index] ?? ''
    if (/^ *[a-z][\w-]*:$/.test(line) && line.search(/\S/) < indent) {
      indent = line.search(/\S/)
      path.unshift(line.trim())
    }
  }
  return [...path, text].map((line, depth) => `${'  '.repeat(depth)}${line}`).join('\n')
}
