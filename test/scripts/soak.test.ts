import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { folderForTest } from '../support/folder.ts'

const ROOT = join(import.meta.dirname, '../..')

/** A checkout in which vitest is this shell script. */
function soakWith(
  vitest: string,
  ...words: string[]
): { status: number | null; lines: string[]; stderr: string } {
  const root = folderForTest()
  mkdirSync(join(root, 'scripts'))
  mkdirSync(join(root, 'node_modules/.bin'), { recursive: true })
  cpSync(join(ROOT, 'scripts/soak'), join(root, 'scripts/soak'))
  writeFileSync(join(root, 'scripts/packages'), '#!/bin/sh\n', { mode: 0o755 })
  writeFileSync(join(root, 'node_modules/.bin/vitest'), `#!/bin/sh\n${vitest}`, { mode: 0o755 })
  const { status, stdout, stderr } = spawnSync(join(root, 'scripts/soak'), words, { encoding: 'utf8' })
  return { status, lines: stdout.trimEnd().split('\n'), stderr }
}

test('all forms run once, in their long form, and their figures are shown', () => {
  const vitest = '[ "$FULLMON_SOAK" = 1 ] && echo "soak: $1 $2, 0 lost" >&2; echo noise'
  const { status, lines } = soakWith(vitest, 'all')
  expect(status).toBe(0)
  expect(lines.map((line) => line.replace(/\s+/g, ' ').replace(/[\d.]+ min/, 'N min'))).toEqual([
    'form result figures',
    'kill passed N min',
    ' run test/e2e/kill.test.ts, 0 lost',
    'rotate passed N min',
    ' run test/tail/soak.test.ts, 0 lost',
    'churn passed N min',
    ' run test/soak/churn.test.ts, 0 lost',
    'idle passed N min',
    ' run test/e2e/feedback.test.ts, 0 lost',
  ])
})

test('one that fails is shown, with all that it printed, and the others run', () => {
  const { status, lines, stderr } = soakWith(
    'echo reason; [ "$2" != test/tail/soak.test.ts ]',
    'rotate',
    'idle',
  )
  expect(status).toBe(1)
  expect(lines.slice(1).map((line) => line.split(/\s+/).slice(0, 2))).toEqual([
    ['rotate', 'FAILED'],
    ['idle', 'passed'],
  ])
  expect(stderr.match(/reason/g)).toHaveLength(1)
})

test('a wrong word runs nothing', () => {
  const { status, stderr } = soakWith('echo ran >&2', 'idle', 'idel')
  expect({ status, stderr }).toEqual({ status: 2, stderr: "soak: there is no form 'idel'; see --help.\n" })
})

test('each form is a test that has a long one', () => {
  const files = [...readFileSync(join(ROOT, 'scripts/soak'), 'utf8').matchAll(/echo (test\S+)/g)]
  expect(files).toHaveLength(4)
  for (const [, file = ''] of files) expect(readFileSync(join(ROOT, file), 'utf8')).toContain('FULLMON_SOAK')
})
