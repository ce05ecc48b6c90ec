/** Every command, option, key and rule that the pages for people from elsewhere name is there. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../agent/config/config.ts'
import { KEYS } from '../../agent/config/keys.ts'
import { folderForTest } from '../support/folder.ts'

const ROOT = join(import.meta.dirname, '../..')
const FOLDER = join(ROOT, 'docs/coming-from')
const PAGES = readdirSync(FOLDER)

const fullmon = (...words: string[]) =>
  spawnSync(process.execPath, [join(ROOT, 'agent/main.ts'), ...words], { encoding: 'utf8' })

const helps = new Map<string, string>()
function help(command: string): string {
  const known = helps.get(command) ?? fullmon(command, '--help').stdout
  helps.set(command, known)
  return known
}

/** What stands in fenced blocks of one of these languages. */
function blocksOf(page: string, ...languages: readonly string[]): string[] {
  const fences = page.split(/^```/m)
  return fences
    .filter((_, index) => index % 2 === 1)
    .map((text) => /^(\w*)\n([^]*)$/.exec(text) ?? [])
    .filter(([, language = '']) => languages.includes(language))
    .map(([, , text = '']) => text)
}
const inlineOf = (page: string): string[] =>
  [...page.replaceAll(/^```[^]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, text = '']) => text)

/** `fullmon COMMAND WORDS`, without comments, up to a pipe or a redirection. */
const commandsIn = (text: string): string[][] =>
  [...text.replaceAll(/ +# .*$/gm, '').matchAll(/\bfullmon ([^|>;&\n]+)/g)].map(([, words = '']) =>
    words
      .replaceAll(/"[^"]*"/g, 'TEXT')
      .trim()
      .split(/\s+/),
  )

test('there is a page for each', () => {
  expect(PAGES.toSorted()).toEqual([
    'cron-ps.md',
    'process-whitelist-nagios.md',
    'rule-based-runtime.md',
    'scoring-scanner.md',
  ])
})

describe.each(PAGES)('%s', (name) => {
  const page = readFileSync(join(FOLDER, name), 'utf8')
  const spoken = inlineOf(page)
  const commands = [...blocksOf(page, 'sh', ''), ...spoken].flatMap(commandsIn)

  test('names commands that there are', () => {
    const known = [...help('').matchAll(/^ {2}fullmon (\w+)/gm)].map(([, command]) => command)
    expect(commands.length).toBeGreaterThan(5)
    expect(commands.map(([command]) => command).filter((command) => !known.includes(command))).toEqual([])
  })

  test('finds the program where the package puts it', () => {
    const [, place = ''] = readFileSync(join(ROOT, 'debian/fullmon.links'), 'utf8').trim().split(/\s+/)
    const places = [...page.matchAll(/\S+\/bin\/fullmon\b/g)].map(([path]) => path.replace(/^.*=/, ''))
    expect(places.filter((path) => path !== `/${place}`)).toEqual([])
  })

  test('names options that they have', () => {
    const wrong = commands.flatMap(([command = '', ...words]) =>
      words
        .filter((word) => /^--?[a-z]/.test(word))
        .filter((word) => !new RegExp(`(^|[ ,])${word}[ ,]`, 'm').test(help(command)))
        .map((word) => `${command} ${word}`),
    )
    expect(wrong).toEqual([])
  })

  test('has options by themselves that some command has', () => {
    const all = [...new Set(commands.map(([command = '']) => command)), 'run'].map(help).join('\n')
    const options = spoken
      .map((text) => /^(--[a-z-]+)/.exec(text)?.[1])
      .filter((option) => option !== undefined)
    expect(options.filter((option) => !new RegExp(` ${option} `).test(all))).toEqual([])
  })

  test('has configurations that are right', () => {
    const configs = blocksOf(page, 'yaml').filter((text) => !text.startsWith('# /etc/fullmon/rules/'))
    expect(configs.length).toBeGreaterThan(0)
    for (const text of configs) {
      const config = join(folderForTest(), 'config.yaml')
      writeFileSync(config, text)
      loadConfig({ config })
    }
  })

  test('names keys that there are', () => {
    const dotted = spoken.flatMap((text) => [
      ...text.matchAll(/^(?:--set )?([a-z]+(?:\.[a-z0-9_]+)+)(?=[:=]|$)/g),
    ])
    const sections = new Set(KEYS.map(({ path: [first] }) => first))
    const keys = dotted.map(([, key = '']) => key).filter((key) => sections.has(key.split('.')[0]))
    expect(keys.filter((key) => !KEYS.some((each) => `${each.name}.`.startsWith(`${key}.`)))).toEqual([])
  })

  test('has rules that do what their examples say', () => {
    for (const text of blocksOf(page, 'yaml').filter((each) => each.startsWith('# /etc/fullmon/rules/'))) {
      const file = join(folderForTest(), 'ours.yaml')
      writeFileSync(file, text)
      const { status, stderr } = fullmon('rules', 'test', file)
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    }
  })

  test('leads to pages that there are', () => {
    const links = [...page.matchAll(/\]\(([^)#]+)/g)].map(([, link = '']) => link)
    expect(links.filter((link) => !existsSync(join(FOLDER, link)))).toEqual([])
  })
})
