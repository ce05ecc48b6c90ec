import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { Config, loadConfig } from '../../agent/config/config.ts'
import { folderForTest } from '../support/folder.ts'

const FOLDER = join(import.meta.dirname, '../../profiles')
const NAMES = readdirSync(FOLDER).map((file) => file.replace(/\.yaml$/, ''))

function withProfile(profile: string, text = ''): Config {
  const config = join(folderForTest(), 'config.yaml')
  writeFileSync(config, text)
  return loadConfig({ config, profile })
}

test('there are those that the documents promise', () => {
  expect(NAMES.toSorted()).toEqual(['container', 'development', 'high-security', 'production'])
})

describe.each(NAMES)('%s', (name) => {
  test('is a configuration, says for whom it is, and differs from the defaults', () => {
    expect(withProfile(name)).not.toEqual({ ...Config.parse({}), profile: name })
    expect(readFileSync(join(FOLDER, `${name}.yaml`), 'utf8')).toMatch(/^# For /)
  })

  test('counts from a file as it does from the command line, and loses against the file', () => {
    const config = join(folderForTest(), 'config.yaml')
    writeFileSync(config, `profile: ${name}\n`)
    expect(loadConfig({ config })).toEqual(withProfile(name))
    expect(withProfile(name, 'monitor: 7\n').monitor).toBe(7)
  })

  test('has ports by what they are used for, and watches back doors', () => {
    const { ports } = parse(readFileSync(join(FOLDER, `${name}.yaml`), 'utf8')) as { ports: object }
    expect(Object.keys(ports)).toEqual(['web', 'databases', 'development', 'backdoors', 'watched'])
    const read = withProfile(name).ports
    expect(read.watched).toEqual(expect.arrayContaining(read.backdoors))
    expect(read.watched.filter((port) => read.web.includes(port) || read.databases.includes(port))).toEqual(
      [],
    )
  })
})

test('high-security is told of more than production, and development of less', () => {
  const [strict, usual, easy] = ['high-security', 'production', 'development'].map((name) =>
    withProfile(name),
  )
  for (const read of [
    (config?: Config) => config?.['alerts-per-day'] ?? 0,
    (config?: Config) => -(config?.scan.min_score ?? 0),
    (config?: Config) => -(config?.scan.interval ?? 0),
    (config?: Config) => -(config?.monitor ?? 0),
    (config?: Config) => -['low', 'medium', 'high', 'critical'].indexOf(config?.alerts.min_severity ?? ''),
  ]) {
    expect(read(strict)).toBeGreaterThan(read(usual))
    expect(read(usual)).toBeGreaterThan(read(easy))
  }
})

test('names of sets stand for their ports', () => {
  const text = 'ports: {web: [81, 82], watched: [web, 9, 82]}\n'
  expect(withProfile('production', text).ports.watched).toEqual([81, 82, 9])
})
