/**
 * `node release-text.ts CHECKOUT VERSION DATE`: writes the version of a release into the files of a checkout that state
 * it, and prints the release notes. Called by `scripts/release`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

class Unfit extends Error {}

const UNRELEASED = /^## Unreleased\n(.*?)(?=^## |(?![^]))/ms

/** The changelog with what was unreleased as a section of its own, and the text of that. */
function closeChangelog(changelog: string, version: string, date: string): { text: string; notes: string } {
  const section = UNRELEASED.exec(changelog)
  if (section === null) throw new Unfit('CHANGELOG.md has no section "## Unreleased".')
  const notes = section[1]?.trim() ?? ''
  if (notes === '')
    throw new Unfit('CHANGELOG.md has nothing below "## Unreleased": say first what has changed.')
  const text = changelog.replace(UNRELEASED, () => `## Unreleased\n\n## ${version} - ${date}\n\n${notes}\n\n`)
  return { text: `${text.trimEnd()}\n`, notes }
}

function stampManual(manual: string, version: string, date: string): string {
  const title = /^\.TH FULLMON 8 \S+ "fullmon [^"]*"/m
  if (!title.test(manual)) throw new Unfit('docs/fullmon.8 has no title line that could take a version.')
  return manual.replace(title, () => `.TH FULLMON 8 ${date} "fullmon ${version}"`)
}

/** npm writes its files in the same form. */
const asJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

function stampPackage(text: string, version: string): string {
  const description = JSON.parse(text) as Record<string, unknown>
  return asJson({ ...description, version })
}

function stampLock(text: string, version: string): string {
  const lock = JSON.parse(text) as { packages: Record<string, Record<string, unknown>> }
  const packages = { ...lock.packages, '': { ...lock.packages[''], version } }
  return asJson({ ...lock, version, packages })
}

function main([checkout = '', version = '', date = '']: readonly string[]): void {
  const edit = (path: string, change: (text: string) => string): void => {
    const file = join(checkout, path)
    writeFileSync(file, change(readFileSync(file, 'utf8')))
  }
  let notes = ''
  edit('CHANGELOG.md', (text) => {
    const closed = closeChangelog(text, version, date)
    notes = closed.notes
    return closed.text
  })
  edit('docs/fullmon.8', (text) => stampManual(text, version, date))
  edit('package.json', (text) => stampPackage(text, version))
  edit('package-lock.json', (text) => stampLock(text, version))
  process.stdout.write(`fullmon ${version}\n\n${notes}\n`)
}

try {
  main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof Unfit)) throw error
  process.stderr.write(`release: ${error.message}\n`)
  process.exitCode = 2
}
