import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { Config } from '../../agent/config/config.ts'

const MAIN = join(import.meta.dirname, '../../agent/main.ts')
const MANUAL = join(import.meta.dirname, '../../docs/fullmon.8')
const source = readFileSync(MANUAL, 'utf8').replaceAll('\\-', '-')

const helps = new Map<string, string>()
function help(...words: string[]): string {
  const known = helps.get(words.join(' '))
  if (known !== undefined) return known
  const { stdout } = spawnSync(process.execPath, [MAIN, ...words, '--help'], { encoding: 'utf8' })
  helps.set(words.join(' '), stdout)
  return stdout
}
const commands = [...help().matchAll(/^ {2}fullmon (\w+)/gm)].map(([, name = '']) => name)
const optionsOf = (text: string): string[] =>
  [...text.replace(/^Examples:[^]*/m, '').matchAll(/^ *(?:-\w, )?(--[a-z-]+)/gm)].map(
    ([, option = '']) => option,
  )

/** Options that the manual explains once for all commands. */
const COMMON = ['--help', '--version', '--config', '--profile', '--set']

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
    const isOwn = (option = ''): boolean => !COMMON.includes(option)
    expect(said.filter(isOwn)).toEqual(optionsOf(help(name)).filter(isOwn))
  })

  test.each(COMMON)('explains %s', (option) => {
    expect(section('OPTIONS')).toMatch(new RegExp(`^\\.BI?R?.* ${option}\\b|^\\.BI? ${option}\\b`, 'm'))
  })

  test.each(commands.filter((name) => optionsOf(help(name)).includes('--config')))(
    '%s takes all of them',
    (name) => {
      expect(optionsOf(help(name))).toEqual(expect.arrayContaining(COMMON))
    },
  )

  test('says all that the configuration takes', () => {
    const isSaid = (key: string): boolean =>
      section('run').includes(` --${key}`) || new RegExp(`^\\.B ${key}$`, 'm').test(section('CONFIGURATION'))
    expect(Object.keys(Config.shape).filter((key) => !isSaid(key))).toEqual([])
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
