/** What is in the Debian package. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { builtPackage, noPackages } from '../support/package.ts'

const obstacle = noPackages()

interface Entry {
  readonly mode: string
  readonly owner: string
  readonly path: string
}

function outputOf(program: string, ...words: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, words, {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${program}: ${stderr}${stdout}`)
  return stdout
}

describe('the package', () => {
  let root = ''
  let path = ''
  let entries: readonly Entry[] = []
  beforeAll(() => {
    if (obstacle !== undefined) return
    root = mkdtempSync(join(tmpdir(), 'fullmon-package-'))
    path = builtPackage()
    outputOf('dpkg-deb', '-x', path, root)
    entries = outputOf('dpkg-deb', '-c', path).trimEnd().split('\n').map(entryOf)
  }, 300_000)
  afterAll(() => rmSync(root, { recursive: true, force: true }))

  beforeEach(({ skip }) => {
    skip(obstacle !== undefined, obstacle)
  })

  function entryOf(line: string): Entry {
    const [mode = '', owner = '', , , , name = ''] = line.split(/\s+/)
    return { mode, owner, path: name.replace(/^\.\//, '/').replace(/(?<=.)\/$/, '') }
  }
  const modeOf = (name: string): string | undefined => entries.find((entry) => entry.path === name)?.mode

  test('everything is root’s, and nobody else may write it', () => {
    expect(entries.filter(({ owner }) => owner !== 'root/root')).toEqual([])
    const writable = entries.filter(
      ({ mode }) => !mode.startsWith('l') && /w.{2}.?$|^.{5}w/.test(mode.slice(4)),
    )
    expect(writable).toEqual([])
  })

  test('what an administrator changes is asked for at an upgrade, and the secret of it is for root', () => {
    const conffiles = outputOf('dpkg-deb', '-I', path, 'conffiles').trimEnd().split('\n')
    expect(conffiles).toEqual(
      entries
        .filter(({ mode, path }) => mode.startsWith('-') && path.startsWith('/etc/'))
        .map(({ path }) => path),
    )
    expect(conffiles.filter((name) => !name.startsWith('/etc/fullmon/rules/'))).toEqual([
      '/etc/audit/plugins.d/fullmon.conf',
      '/etc/audit/rules.d/fullmon.rules',
      '/etc/fullmon/config.yaml',
    ])
    expect(modeOf('/etc/fullmon/config.yaml')).toBe('-rw-r-----')
    expect(modeOf('/etc/audit/rules.d/fullmon.rules')).toBe('-rw-r-----')
  })

  test('it runs by itself', () => {
    expect(outputOf(join(root, 'usr/bin/fullmon'), '--version')).toContain(packageJson.version)
  })
})
