import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { Config, loadConfig } from '../../agent/config/config.ts'
import { folderForTest } from '../support/folder.ts'

const MAIN = join(import.meta.dirname, '../../agent/main.ts')
/** Where a configuration is looked for instead of the folders of whoever runs the tests. */
const NOWHERE = { XDG_CONFIG_HOME: '/nonexistent', SUDO_USER: undefined }

function fullmon(words: readonly string[], environment: Record<string, string | undefined> = {}) {
  const env = { ...process.env, ...NOWHERE, ...environment }
  return spawnSync(process.execPath, [MAIN, 'config', ...words], { encoding: 'utf8', env })
}

function fileWith(text: string, name = 'config.yaml'): string {
  const file = join(folderForTest(), name)
  writeFileSync(file, text)
  return file
}

describe('config check', () => {
  test('says that nothing is wrong', () => {
    const file = fileWith('profile: production\nscan: {interval: 30}\n')
    const { status, stdout } = fullmon(['check', file])
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: `${file}, with the profile production: nothing is wrong\n`,
    })
    expect(JSON.parse(fullmon(['check', file, '--json']).stdout)).toEqual({ file, isRight: true })
  })

  test('says every mistake with its place, and ends with 2', () => {
    const file = fileWith('scan:\n  intervall: 3\n  min_score: x\nmonitor: 0\n')
    const { status, stdout, stderr } = fullmon(['check', '--config', file])
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr.trimEnd().split('\n')).toEqual([
      `fullmon: ${file}:2:3: scan.intervall: no such key; did you mean interval?`,
      expect.stringContaining(`${file}:3:3: scan.min_score: `),
      expect.stringContaining(`${file}:4:1: monitor: `),
    ])
  })

  test('reads the rules', () => {
    const rules = join(folderForTest(), 'rules')
    mkdirSync(rules)
    writeFileSync(join(rules, 'ours.yaml'), '- id: ours\n  type: exec\n')
    const file = fileWith(`rules: {folders: [${rules}], disabled: [nothing-such]}\n`)
    const { status, stderr } = fullmon(['check', file])
    expect(status).toBe(2)
    expect(stderr).toContain(`\n${rules}/ours.yaml:2:3: 0.type: `)
    writeFileSync(join(rules, 'ours.yaml'), '')
    expect(fullmon(['check', file]).stderr).toContain('rules.disabled: there is no rule nothing-such')
    expect(fullmon(['check', file, '--set', 'rules.disabled=[]']).status).toBe(0)
  })

  test.skipIf(process.geteuid?.() !== 0)('refuses rules that others may write (needs root)', () => {
    const rules = join(folderForTest(), 'rules')
    mkdirSync(rules)
    writeFileSync(join(rules, 'ours.yaml'), '')
    chmodSync(join(rules, 'ours.yaml'), 0o666)
    const { stderr } = fullmon(['check', fileWith(`rules: {folders: [${rules}]}\n`)])
    expect(stderr).toContain(`others than root may write it: chmod go-w ${rules}/ours.yaml`)
  })

  test('asks for looks at the host where something depends on them', () => {
    const file = fileWith('scan: { interval: 0 }\nprocesses: { required: [sshd] }\n')
    const nobody = 'nothing looks whether processes.required run while scan.interval is 0\n'
    expect(fullmon(['check', file])).toMatchObject({
      ...{ status: 2, stderr: `fullmon: ${file}:2:14: processes.required: ${nobody}` },
    })
    const readOnly = fileWith('scan: { interval: 0, expect_readonly_root: true }\n')
    expect(fullmon(['check', readOnly]).stderr).toContain('nothing looks for scan.expect_readonly_root')
    expect(fullmon(['check', readOnly, '--set', 'scan.interval=5']).status).toBe(0)
  })

  test('looks at the files that are named', () => {
    const [token, url] = [fileWith('0123456789abcdef\n', 'token'), fileWith('nothing\n', 'url')]
    chmodSync(token, 0o644)
    chmodSync(url, 0o600)
    const file = fileWith(
      `http: {port: 9390, token_file: ${token}}\noutputs:\n  webhook:\n    url_file: ${url}\n`,
    )
    const { status, stderr } = fullmon(['check', file])
    expect(status).toBe(2)
    expect(stderr.trimEnd().split('\n')).toEqual([
      expect.stringContaining(`${file}:1:20: http.token_file: others may read the token ${token}`),
      expect.stringContaining(`${file}:4:5: outputs.webhook: ${url} holds no address`),
    ])
    chmodSync(token, 0o600)
    writeFileSync(url, 'https://hooks.example.test/x\n')
    expect(fullmon(['check', file]).status).toBe(0)
    const open = fullmon(['check', file, '--set', 'http.token_file=null', '--set', 'http.address=0.0.0.0'])
    expect(open.stderr).toContain(
      '--set http.address: http.address: http.address 0.0.0.0 is not of this host',
    )
  })

  test.each([
    [['check', 'a', '--config', 'b'], 'config check takes one file: by its name, or with --config'],
    [['show', 'scan'], 'config show takes no word behind it'],
    [['check', '/nonexistent/c.yaml'], 'cannot read the configuration /nonexistent/c.yaml: ENOENT'],
    [['explain', 'scan.intervall'], 'scan.intervall: no such key; did you mean scan.interval?'],
    [['explain', 'whatever'], 'whatever: no such key; there are auditd, db, log,'],
  ])('%j makes no sense', (words, expected) => {
    const { status, stderr } = fullmon(words)
    expect(status).toBe(2)
    expect(stderr).toContain(`fullmon: ${expected}`)
  })
})

test('a secret is shown nowhere', () => {
  const file = fileWith('outputs: {webhook: {url: "https://hooks.example.test/secret"}}\n')
  for (const words of [
    ['show'],
    ['show', '--json'],
    ['explain'],
    ['explain', 'outputs.webhook.url', '--json'],
  ]) {
    const { stdout } = fullmon([...words, '--config', file])
    expect(stdout).toContain('(hidden)')
    expect(stdout).not.toContain('hooks.example.test')
  }
})

test('config show prints a configuration that says the same', () => {
  const text = 'monitor: 5\nnetworks: {office: [10.0.0.0/8]}\nscan: {weights: {no_tty: 0}}\n'
  const file = fileWith(text)
  const { stdout } = fullmon(['show', '--config', file, '--profile', 'container'])
  expect(loadConfig({ config: fileWith(stdout) })).toEqual(loadConfig({ config: file, profile: 'container' }))
  const json = JSON.parse(fullmon(['show', '--config', file, '--json']).stdout) as unknown
  expect(json).toEqual(JSON.parse(JSON.stringify(loadConfig({ config: file }))))
})

describe('config explain', () => {
  const explained = (...words: string[]): Record<string, unknown>[] =>
    fullmon(['explain', '--json', ...words])
      .stdout.trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)

  test('says where a value comes from', () => {
    const file = fileWith('profile: high-security\nwait: 1\n\nscan:\n  cpu_high: 50\n')
    const words = ['--config', file, '--set', 'scan.interval=9', '--set', 'wait=2']
    const from = (key: string): unknown => explained(key, ...words)[0]?.['from']
    expect(from('scan.interval')).toEqual(['--set scan.interval'])
    expect(from('wait')).toEqual(['--set wait'])
    expect(from('scan.cpu-high')).toEqual([`${file}:5:3`])
    expect(from('scan.min_score')).toEqual([
      expect.stringMatching(/\/profiles\/high-security\.yaml:\d+:\d+$/),
    ])
    expect(from('rebase')).toEqual(['default'])
    expect(explained('scan.cpu_high', ...words)).toEqual([
      {
        key: 'scan.cpu_high',
        value: 50,
        from: [`${file}:5:3`],
        byDefault: 90,
        type: expect.stringMatching(/^number from 0/) as string,
        description: expect.stringMatching(/./) as string,
      },
    ])
  })

  test('has a line for every key of a section, and for all of them', () => {
    const file = fileWith('')
    const keys = (...words: string[]): unknown[] =>
      explained(...words, '--config', file).map(({ key }) => key)
    expect(keys('http')).toEqual(expect.arrayContaining(['http.socket', 'http.port', 'http.token_file']))
    expect(keys('http').every((key) => String(key).startsWith('http.'))).toBe(true)
    const all = keys()
    for (const section of Object.keys(Config.shape))
      expect(
        all.some((key) => `${String(key)}.`.startsWith(`${section}.`)),
        section,
      ).toBe(true)
    expect(
      explained('--config', file).filter(
        ({ key, description }) => description === '' && !String(key).startsWith('outputs.'),
      ),
    ).toEqual([])
  })

  test('is for people, too', () => {
    const file = fileWith('monitor: 5\n')
    expect(fullmon(['explain', 'monitor', '--config', file]).stdout).toBe(
      `monitor: 5\n  from:    ${file}:1:1\n  default: 60\n  type:    number from 0.1 to 31536000\n` +
        '  seconds after which unseen edges are reported\n',
    )
  })
})

test('the configuration is found, and one that is not read is named', () => {
  const folder = folderForTest()
  spawnSync('mkdir', ['-p', join(folder, 'fullmon')])
  writeFileSync(join(folder, 'fullmon/config.yaml'), 'monitor: 17\n')
  const found = { XDG_CONFIG_HOME: folder }
  const { stdout } = fullmon(['explain', 'monitor'], found)
  expect(stdout).toContain(`from:    ${folder}/fullmon/config.yaml:1:1\n`)
})

test('schema and example are whole texts', () => {
  expect(JSON.parse(fullmon(['schema']).stdout)).toMatchObject({ title: 'fullmon' })
  expect(parse(fullmon(['example']).stdout)).toMatchObject({ scan: { weights: null }, allowlist: null })
})
