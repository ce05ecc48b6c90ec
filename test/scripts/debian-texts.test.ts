import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { changelogOf } from '../../scripts/debian-texts.ts'

const DATE = new Date('2026-11-21T06:00:00Z')
const RELEASED = '## 0.2.0 - 2026-11-20\n\n- New.\n\n## 0.1.0 - 2026-10-01\n\nFirst.\n'

/** Versions and changes as dpkg reads them; it complains of what it does not understand. */
function entriesOf(markdown: string, version: string): string {
  const words = ['--all', '--format', 'rfc822', '--file', '-']
  const { status, stdout, stderr } = spawnSync('dpkg-parsechangelog', words, {
    input: changelogOf(`# Changelog\n\n${markdown}`, version, DATE),
    encoding: 'utf8',
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
    .split('\n')
    .filter((line) => /^ (?:fullmon \(| {2}\* )/.test(line))
    .map((line) => line.trim().replace(/^fullmon \((.*?)\).*/, '$1'))
    .join(' ')
}

test('a changelog of Debian has an entry for each version, and one for what is not released', ({ skip }) => {
  skip(spawnSync('dpkg-parsechangelog', ['--version']).status !== 0, 'needs dpkg-dev')
  expect(entriesOf(`## Unreleased\n\n- More.\n\n${RELEASED}`, '0.3.0~git1')).toBe(
    '0.3.0~git1 * More. 0.2.0 * New. 0.1.0 * First.',
  )
  expect(entriesOf(RELEASED, '0.2.0')).toBe('0.2.0 * New. 0.1.0 * First.')
  // As scripts/release leaves it.
  expect(entriesOf(`## Unreleased\n\n${RELEASED}`, '0.2.0')).toBe('0.2.0 * New. 0.1.0 * First.')
})
