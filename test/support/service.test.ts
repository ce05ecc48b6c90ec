import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { isOfService } from '../../agent/support/service.ts'
import { folderForTest } from './folder.ts'

test('a baseline is of the service where systemd runs, the unit is installed and the folder is its own', () => {
  const root = folderForTest()
  const state = join(root, 'var/lib/fullmon')
  const units = join(root, 'usr/lib/systemd/system')
  for (const folder of [state, units, join(root, 'run/systemd/system')])
    mkdirSync(folder, { recursive: true })
  writeFileSync(join(units, 'fullmon.service'), '')
  const db = join(state, 'baseline.db')
  const { uid } = statSync(state)
  expect(isOfService(db, uid, root)).toBe(true)
  expect(isOfService(db, uid + 1, root)).toBe(false)
  expect(isOfService(db, undefined, '/nonexistent')).toBe(false)
  expect(isOfService(join(root, 'nowhere/baseline.db'), uid, root)).toBe(false)
  rmSync(join(units, 'fullmon.service'))
  expect(isOfService(db, uid, root)).toBe(false)
})
