import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { Config } from '../../agent/config/config.ts'

const MAIN = join(import.meta.dirname, '../../agent/main.ts')
const MANUAL = join(import.meta.dirname, '../../docs/fullmon.8')
const source = readFileSync(MANUAL, 'utf8').replaceAll('\\-', '-')

const help = (...words: string[]): string =>
  spawnSync(process.execPath, [MAIN, ...words, '--help'], { encoding: 'utf8' }).stdout
const commands = [...help().matchAll(/^ {2}fullmon (\w+)/gm)].map(([, name = '']) => name)
const optionsOf = (text: string): string[] =>
  [...text.replace(/^Examples:[^]*/m, '').matchAll(/^ *(?:-\w, )?(--[a-z-]+)/gm)].map(
    ([, option = '']) => option,
  )

/** What the manual says of a command, or between two headings. */
const section = (heading: string): string =>
  new RegExp(`^\\.S[SH] ${heading}\\b.*\\n((?:(?!\\.S[SH] ).*\\n)*)`, 'm').exec(source)?.[1] ?? ''

describe('the manual', () => {
  test('knows as many commands as the program', () => {
    expect(commands).toContain('run')
    expect(commands.filter((name) => section(name) === '')).toEqual([])
    const known = [...source.matchAll(/^\.SS (\w+)/gm)].map(([, name]) => name)
    expect(known.sort()).toEqual(commands.toSorted())
  })

  test.each(commands)('has every option of %s in its order, and no other', (name) => {
    const said = [...section(name).matchAll(/^\.TP\n\.B[IR]? (?:-\w ", " )?(--[a-z-]+)/gm)].map(
      ([, option]) => option,
    )
    const there = optionsOf(help(name)).filter((option) => option !== '--help' && option !== '--version')
    expect(said).toEqual(there)
  })

  test('says all that the configuration takes', () => {
    const sections = [
      'rules',
      'scan',
      'allowlist',
      'processes',
      'containers',
      'ports',
      'alerts',
      'http',
      'outputs',
    ]
    for (const key of sections) expect(section('CONFIGURATION')).toMatch(new RegExp(`^\\.B ${key}$`, 'm'))
    const inFile = ['networks', ...sections]
    expect(section('CONFIGURATION')).toMatch(/^networks: *$/m)
    for (const key of Object.keys(Config.shape).filter((each) => !inFile.includes(each)))
      expect(section('run')).toMatch(new RegExp(`--${key}\\b`))
  })

  test('is of this version', () => {
    expect(source).toContain(`"fullmon ${packageJson.version}"`)
  })

  const groff = spawnSync('groff', ['--version']).status === 0
  test.skipIf(!groff)('is set without a warning', () => {
    const { status, stderr } = spawnSync('groff', ['-man', '-ww', '-Tutf8', MANUAL], { encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })
})
