import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { LogFile } from '../../agent/tail/log-file.ts'
import { folderForTest } from '../support/folder.ts'

test.each([
  ['at the beginning', 0],
  ['further on', 8],
])('what was written anew since the last look is not taken for what was to come (%s)', async (_, offset) => {
  const path = join(folderForTest(), 'audit.log')
  writeFileSync(path, 'one\ntwo\nthree\n')
  const file = LogFile.open(path, 1000)
  onTestFinished(() => file?.close())
  file?.seek(offset)
  expect(file?.wasCut()).toBeUndefined()
  writeFileSync(path, 'another log that is longer\n')
  expect(await file?.read(false)).toBeUndefined()
  expect(file?.wasCut()).toEqual({ isAnew: true, lostBytes: 14 - offset })
  file?.restart()
  expect((await file?.read(false))?.bytes.toString()).toBe('another log that is longer\n')
})
