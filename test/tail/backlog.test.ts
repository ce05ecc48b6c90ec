import { unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { Backlog } from '../../agent/tail/backlog.ts'
import { LogFile } from '../../agent/tail/log-file.ts'
import { folderForTest } from '../support/folder.ts'

test('what is still to be read, and what went before it was: each counts once', () => {
  const path = join(folderForTest(), 'audit.log')
  for (const [name, bytes] of [
    ['.3', 1000],
    ['.2', 200],
    ['.1', 30],
    ['', 4],
  ] as const)
    writeFileSync(path + name, 'x'.repeat(bytes))
  const next = LogFile.open(`${path}.2`, 1000)
  onTestFinished(() => next?.close())
  const backlog = new Backlog(path)
  expect(backlog.look(undefined)).toBe(0)
  expect(backlog.look(next)).toBe(234)
  expect(backlog.takeLostBytes()).toBe(0)
  backlog.leave(next?.inode ?? 0)
  unlinkSync(`${path}.2`)
  unlinkSync(`${path}.1`)
  expect(backlog.takeLostBytes()).toBe(30)
  expect(backlog.takeLostBytes()).toBe(0)
})
