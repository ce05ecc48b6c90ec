import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { folderForTest } from '../support/folder.ts'

const MAIN = join(import.meta.dirname, '../../agent/main.ts')

function run(...words: string[]): { status: number | null; stdout: string; stderr: string } {
  const config = join(folderForTest(), 'config.yaml')
  writeFileSync(config, 'rules: { folders: [], disabled: [ssh-tunnel] }\n')
  const command = [MAIN, 'rules', ...words, ...(words.includes('--config') ? [] : ['--config', config])]
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' })
  return { status, stdout, stderr }
}

test('all rules are listed, and which of them are switched off', () => {
  const { status, stdout } = run('list')
  expect(status).toBe(0)
  expect(stdout).toMatch(/^setuid-bit +edge +high$/m)
  expect(stdout).toMatch(/^ssh-tunnel +bin-execution +medium\/none +novel, disabled$/m)
  const { stdout: json } = run('list', '--json')
  const ids = json
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { id: string }).id)
  expect(ids).toContain('reverse-shell-command')
})

test('one is shown as it is written', () => {
  const { status, stdout } = run('show', 'setuid-bit')
  expect(status).toBe(0)
  expect(stdout).toMatch(/^# .*rules\/privilege\.yaml:\d+:3\n- id: setuid-bit\n/)
  const { status: wrong, stderr } = run('show', 'no-such')
  expect(stderr).toContain('no rule no-such')
  expect(wrong).toBe(2)
})

test('what the examples of all rules say is true', () => {
  const { status, stdout } = run('test')
  expect(stdout).toMatch(/^\d+ rules, \d+ examples: all as they should be\n$/)
  expect(status).toBe(0)
})

test('an example of a rule of your own that is wrong is named, and the exit code says so', () => {
  const file = join(folderForTest(), 'own.yaml')
  const rule = `- id: mine
  type: edge
  title: x
  severity: low
  when: { kind: connect, target: { port: 80 } }
  reason: y
  next: [z]
  examples:
    match: [{ from: 'proc::a:/b', to: 'host:192.0.2.1:81' }]
`
  writeFileSync(file, rule)
  const wrong = run('test', file)
  expect(wrong.stdout).toBe(
    `${file}:1:3: mine: examples.match, number 1: it does not fire\n1 rule, 1 example: 1 fail\n`,
  )
  expect(wrong.status).toBe(1)
  writeFileSync(file, rule.replace(':81', ':80'))
  expect(run('test', file).status).toBe(0)
  writeFileSync(file, rule.replace(/ {2}examples:[^]*/, ''))
  expect(run('test', file).stdout).toBe(
    '1 rule, 0 examples: all as they should be; without an example: mine\n',
  )
  writeFileSync(file, `${rule}${rule}`)
  const twice = run('test', file)
  expect(twice.stderr).toBe(`fullmon: ${file}:10:3: there is a rule mine already, at ${file}:1:3\n`)
  expect(twice.status).toBe(2)
  writeFileSync(file, rule.replace('edge', 'egde'))
  const broken = run('test', file)
  expect(broken.stderr).toContain(`${file}:2:3: 0.type: `)
  expect(broken.status).toBe(2)
})
