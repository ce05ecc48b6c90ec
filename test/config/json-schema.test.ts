import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../../agent/config/config.ts'
import { jsonSchema } from '../../agent/config/json-schema.ts'
import { exampleConfig } from '../../agent/config/example.ts'
import { folderForTest } from '../support/folder.ts'

const VALIDATE = `
import json, sys
from jsonschema import Draft202012Validator
schema, configs = json.load(sys.stdin)
Draft202012Validator.check_schema(schema)
print(json.dumps([Draft202012Validator(schema).is_valid(config) for config in configs]))`

const isThere = spawnSync('python3', ['-c', 'from jsonschema import Draft202012Validator']).status === 0

/** What somebody else's reader of JSON schemas says of configurations. */
function verdictsOn(texts: readonly string[]): unknown {
  const input = JSON.stringify([jsonSchema(), texts.map((text) => parse(text) as unknown)])
  const { stdout, stderr } = spawnSync('python3', ['-c', VALIDATE], { input, encoding: 'utf8' })
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

function isRight(text: string): boolean {
  const config = join(folderForTest(), 'config.yaml')
  writeFileSync(config, text)
  try {
    loadConfig({ config })
    return true
  } catch {
    return false
  }
}

const TEXTS = [
  exampleConfig(),
  exampleConfig().replaceAll(/^( *)#(?=\S)/gm, '$1'),
  '',
  'scan: {interval: 30, min-score: 2}',
  'alerts_per_day: 3',
  'alerts-per-day: 3',
  'networks: {office: [10.0.0.0/8]}',
  'scan:\nhttp: {port: null}',
  'ports: {watched: [web, 9]}',
  'scan: {intervall: 30}',
  'scann: {}',
  'scan: {interval: soon}',
  'scan: {interval: -1}',
  'networks: {Office: [10.0.0.0/8]}',
  'ports: {watched: [weeb]}',
  'alerts: {min_severity: grave}',
  'rebase: 1',
  'monitor:',
]

describe('the JSON schema', () => {
  test.skipIf(!isThere)('says the same as the program (needs python3-jsonschema)', () => {
    expect(verdictsOn(TEXTS)).toEqual(TEXTS.map(isRight))
  })

  test('is of the draft that editors know, describes every key, and tells how to use it', () => {
    const schema = jsonSchema()
    expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema')
    expect(schema.description).toContain('# yaml-language-server: $schema=')
    for (const [key, each] of Object.entries(schema.properties ?? {}))
      expect((each as { description?: string }).description, key).toBeTruthy()
  })
})
