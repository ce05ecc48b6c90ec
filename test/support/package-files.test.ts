import { spawnSync } from 'node:child_process'
import { mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { PackageFiles, parseApkInstalled } from '../../agent/support/package-files.ts'
import { folderForTest } from './folder.ts'

const hasDpkg = spawnSync('dpkg', ['--version']).status === 0
const YEAR_2026 = new Date('2026-01-02T03:04:05Z')

describe('the files of packages', () => {
  test.skipIf(!hasDpkg)('on Debian are those that dpkg itself knows, and as old as its list of them', () => {
    const [owned = ''] = spawnSync('dpkg', ['-L', 'dpkg'], { encoding: 'utf8' })
      .stdout.split('\n')
      .filter((path) => path.endsWith('bin/dpkg-deb'))
    const files = new PackageFiles('/var/lib/dpkg/info', '/none')
    expect(files.changedMs(owned)).toBe(statSync('/var/lib/dpkg/info/dpkg.list').mtimeMs)
    expect(files.changedMs('/usr/bin/no-such-program')).toBeUndefined()
    // As the kernel names it, wherever the package thinks that it lies.
    expect(files.changedMs(owned.replace(/^(?:\/usr)?/, '/usr'))).toBeDefined()
  })

  test('are looked up again when a package has come', () => {
    const folder = folderForTest()
    const first = new PackageFiles(folder, '/none')
    expect(first.changedMs('/usr/bin/tree')).toBeUndefined()
    writeFileSync(join(folder, 'tree.list'), '/.\n/usr\n/usr/bin\n/usr/bin/tree\n')
    utimesSync(join(folder, 'tree.list'), YEAR_2026, YEAR_2026)
    expect(new PackageFiles(folder, '/none').changedMs('/usr/bin/tree')).toBe(YEAR_2026.getTime())
  })

  test('of apk stand in one file', () => {
    const text = 'P:tree\nV:2.2.1-r0\nF:usr\nF:usr/bin\nR:tree\na:0:0:755\nZ:Q1abc=\n\nP:x\nF:\nR:root-file\n'
    expect(parseApkInstalled(text)).toEqual(['/usr/bin/tree', '/root-file'])
    const folder = folderForTest()
    writeFileSync(join(folder, 'installed'), text)
    expect(new PackageFiles('/none', join(folder, 'installed')).changedMs('/usr/bin/tree')).toBeGreaterThan(0)
  })

  test('that cannot be read are nobody’s', () => {
    const folder = folderForTest()
    mkdirSync(join(folder, 'odd.list'))
    expect(new PackageFiles(folder, folder).changedMs('/usr/bin/tree')).toBeUndefined()
  })
})
