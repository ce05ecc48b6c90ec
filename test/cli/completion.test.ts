import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { noPython } from '../support/running.ts'
import { atTerminal } from '../support/terminal.ts'

const MAIN = join(import.meta.dirname, '../../agent/main.ts')
/** Ctrl-U, as a key. */
const ERASE_LINE = '\u0015'

/** A folder with a `fullmon` to be found by its name, a script for completion, and a file. */
const folder = mkdtempSync(join(tmpdir(), 'fullmon-completion-'))
afterAll(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, 'fullmon'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`)
chmodSync(join(folder, 'fullmon'), 0o755)
const environment = { ...process.env, PATH: `${folder}:${process.env['PATH'] ?? ''}`, SHELL: '/bin/bash' }
const script = spawnSync('fullmon', ['completion'], { encoding: 'utf8', env: environment }).stdout
writeFileSync(join(folder, 'completion'), script)
writeFileSync(join(folder, 'recorded.log'), '')

/** What bash proposes for the last word of a line, before it looks for files. */
function proposed(...line: readonly string[]): readonly string[] {
  const program = `. '${join(folder, 'completion')}'
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    $(complete -p fullmon | sed 's/.*-F \\([^ ]*\\).*/\\1/')
    printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr } = spawnSync('bash', ['-c', program, 'bash', 'fullmon', ...line], {
    encoding: 'utf8',
    env: environment,
  })
  expect(stderr).toBe('')
  return stdout.split('\n').filter((word) => word !== '')
}

test.each([
  [['co'], ['completion', 'config']],
  [
    ['config', 's'],
    ['show', 'schema'],
  ],
  [['run', '--for'], ['--format']],
  [
    ['run', '--format', ''],
    ['text', 'json', 'ecs'],
  ],
  [['setup', '--profile', 'p'], ['production']],
  [['config', 'explain', 'http.t'], ['http.token_file']],
  [['scan', '--sort', 'c'], ['cpu']],
  // Files are left to the shell.
  [['replay', ''], []],
  [['run', '--config', ''], []],
  [['config', 'check', ''], []],
])('%j goes on with %j', (line, expected) => {
  expect(proposed(...line).toSorted()).toEqual(expected.toSorted())
})

test('what is proposed is an option of the command', () => {
  expect(proposed('scan', '--')).toEqual(expect.arrayContaining(['--sort', '--min-score', '--config']))
  expect(proposed('scan', '--')).not.toContain('--monitor')
})

test.skipIf(noPython !== undefined)(
  'bash completes commands, options and files when somebody presses Tab',
  async () => {
    const words = ['--norc', '--noprofile', '-i']
    const { shown } = await atTerminal(
      '/usr/bin/env',
      [`PATH=${environment.PATH}`, 'PS1=> ', 'bash', ...words],
      [
        ['> ', `. ${folder}/completion; cd ${folder}\r`],
        ['> ', 'fullmon rep\t'],
        ['fullmon replay ', '--train-\t'],
        ['--train-until ', '1 reco\t'],
        // Not Ctrl-C: a bash that is about to return from its completion forgets it until the next key.
        ['1 recorded.log', `${ERASE_LINE}exit\r`],
      ],
    )
    expect(shown).toContain('fullmon replay --train-until 1 recorded.log')
  },
)
