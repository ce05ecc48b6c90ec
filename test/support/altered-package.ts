/** Packages that differ from the one that was built, for upgrades that succeed and such that do not. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { must } from './debian.ts'

/** Writes a copy of the package `from` to `to`, which is of another version, with what `change` does to its folder. */
export function alterPackage(
  from: string,
  to: string,
  version: string,
  change: (folder: string) => void,
): void {
  const folder = mkdtempSync(join(tmpdir(), 'fullmon-altered-'))
  try {
    must('dpkg-deb', '--raw-extract', from, folder)
    replaceIn(join(folder, 'DEBIAN/control'), /^Version: .*$/m, `Version: ${version}`)
    replaceIn(join(folder, 'usr/lib/fullmon/dist/package.json'), /"version": ".*"/, `"version": "${version}"`)
    change(folder)
    must('dpkg-deb', '--root-owner-group', '-Znone', '--build', folder, to)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** @throws Error if there is nothing to replace */
export function replaceIn(path: string, what: RegExp, by: string): void {
  const text = readFileSync(path, 'utf8')
  if (!what.test(text)) throw new Error(`${path} has no ${String(what)}`)
  writeFileSync(path, text.replace(what, by))
}
