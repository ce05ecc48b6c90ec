import { spawn } from 'node:child_process'
import { copyFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { ScannedProcess } from '../../agent/domain/scan.ts'
import {
  type Absences,
  type ProcessPattern,
  processMatcher,
  RequiredProcesses,
} from '../../agent/scan/expected.ts'
import { ProcessScanner } from '../../agent/scan/scanner.ts'
import { Config } from '../../agent/config/config.ts'
import { folderForTest } from '../support/folder.ts'

const SLEEP = '/bin/sleep'
const { uid: UID, username: USER } = userInfo()
const scan = async (): Promise<readonly ScannedProcess[]> =>
  (await new ProcessScanner(Config.parse({})).look()).processes

/** Started under a path, and ended after the test; resolves when it is what it should be. */
function start(program: string, args: readonly string[]): () => Promise<void> {
  const child = spawn(program, args, { stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  onTestFinished(stop)
  return stop
}

test('a service that is away is told at the second look, until it is back', async () => {
  const program = join(folderForTest(), 'required-by-test')
  copyFileSync(SLEEP, program)
  const required = new RequiredProcesses(['required-by-test'])
  let absences: Absences = {}
  const look = async (nowMs: number): Promise<readonly string[]> => {
    const seen = required.look(await scan(), absences, nowMs)
    // As it is kept over a restart.
    absences = JSON.parse(JSON.stringify(seen.absences)) as Absences
    return seen.observations.map(({ title }) => title)
  }
  const stop = start(program, ['600'])
  expect(await look(1_000)).toEqual([])
  await stop()
  expect(await look(2_000)).toEqual([])
  const away = 'required-by-test does not run, since 1970-01-01T00:00:02.000Z at the latest'
  expect(await look(3_000)).toEqual([away])
  expect(await look(4_000)).toEqual([away])
  const again = start(program, ['600'])
  expect(await look(5_000)).toEqual([])
  // Away for one look: it was started anew.
  await again()
  expect(await look(6_000)).toEqual([])
  start(program, ['600'])
  expect(await look(7_000)).toEqual([])
})

test('so many are so many', async () => {
  const program = join(folderForTest(), 'many-by-test')
  copyFileSync(SLEEP, program)
  start(program, ['600'])
  const required = new RequiredProcesses([{ exe: program, argv: '* 600', user: USER, min: 2 }])
  const first = required.look(await scan(), {}, 1)
  const told = required.look(await scan(), first.absences, 2).observations
  expect(told.map(({ title }) => title)).toEqual([
    expect.stringContaining(`/many-by-test of ${USER} (* 600) runs 1 times instead of 2, since`),
  ])
  start(program, ['600'])
  expect(required.look(await scan(), first.absences, 3).observations).toEqual([])
})

test.each<[ProcessPattern, boolean]>([
  ['known-by-test', true],
  ['known-*', true],
  ['known', false],
  // What it calls itself.
  ['sleep', false],
  ['/**/known-by-test', true],
  ['/known-by-test', false],
  [{ exe: 'known-by-test', user: USER }, true],
  [{ exe: 'known-by-test', user: String(UID) }, true],
  [{ exe: 'known-by-test', user: 'nobody' }, false],
  [{ argv: '*/known-by-test 61[0-9]' }, true],
  [{ argv: '*known-by-test' }, false],
  [{ argv: '*' }, true],
])('%j: %s', async (pattern, isMatch) => {
  const folder = folderForTest()
  const program = join(folder, 'known-by-test')
  copyFileSync(SLEEP, program)
  start(program, ['611'])
  const process = (await scan()).find(({ exe }) => exe === program)
  expect(process && processMatcher(pattern)(process)).toBe(isMatch)
})

test('a script is known by its own name', async () => {
  const script = join(folderForTest(), 'script-by-test')
  writeFileSync(script, 'read -r line\n')
  const child = spawn('/bin/sh', [script], { stdio: ['pipe', 'ignore', 'ignore'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const process = (await scan()).find(({ pid }) => pid === child.pid)
  expect(process && processMatcher('script-by-test')(process)).toBe(true)
  expect(process && processMatcher(script)(process)).toBe(true)
  expect(process && processMatcher('dash')(process)).toBe(process?.exe.endsWith('/dash'))
})
