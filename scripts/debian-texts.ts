/** The texts that Debian wants in a form of its own, from those that we have: changelog and copyright. */

const MAINTAINER = 'fullmon maintainers <maintainers@users.noreply.h-seed-de5ecf78.example>'
const WIDTH = 78

/** A package of npm that is part of ours. */
export interface BundledPackage {
  /** Its folder: `node_modules/NAME`. */
  readonly folder: string
  readonly version: string
  /** What its manifest says: `MIT`. */
  readonly license: string
  /** The text of its file of that name. */
  readonly text: string
}

/**
 * CHANGELOG.md as a changelog of Debian. What is unreleased is what this version is; when that is nothing, the last release.
 * @param date of this version
 */
export function changelogOf(markdown: string, version: string, date: Date): string {
  const [, ...headed] = markdown.split(/^## /m)
  const sections = headed.filter((section) => section.trim() !== 'Unreleased')
  const entries = sections.map((section, index) => {
    const [heading = '', ...lines] = section.split('\n')
    const [, released, day] = /^\[?([0-9][^\]\s]*)\]? - ([0-9-]+)/.exec(heading) ?? []
    const isThis = index === 0
    if (!isThis && (released === undefined || day === undefined))
      throw new Error(`CHANGELOG.md: neither a version nor its day: ${heading}`)
    return entryOf(isThis ? version : (released ?? ''), lines, isThis ? date : new Date(day ?? ''))
  })
  return entries.join('\n')
}

function entryOf(version: string, lines: readonly string[], date: Date): string {
  const points = lines
    .join('\n')
    .split(/\n(?=- )|\n\n+/)
    .map((point) =>
      point
        .replace(/^- |^#+ /, '')
        .replace(/\s+/g, ' ')
        .trim(),
    )
    .filter((point) => point !== '')
  const changes = points.map((point) => wrapped(point, '  * ', '    ')).join('\n')
  return `fullmon (${version}) unstable; urgency=medium\n\n${changes}\n\n -- ${MAINTAINER}  ${rfc2822(date)}\n`
}

const rfc2822 = (date: Date): string => date.toUTCString().replace('GMT', '+0000')

function wrapped(text: string, first: string, others: string): string {
  const lines: string[] = []
  let line = first
  for (const word of text.split(' ')) {
    if (line.trim() !== '' && line !== first && line.length + word.length >= WIDTH) {
      lines.push(line.trimEnd())
      line = others
    }
    line += `${word} `
  }
  return [...lines, line.trimEnd()].join('\n')
}

/**
 * Who holds the rights to what is in the package, in the machine-readable form of Debian.
 *
 * @param own the file LICENSE of fullmon
 * @param nodeVersion of the Node.js that is in it; its licence is a file beside this one
 */
export function copyrightOf(own: string, packages: readonly BundledPackage[], nodeVersion: string): string {
  const paragraphs = [
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: fullmon\n' +
      'Comment: The folders are those of /usr/lib/fullmon. What is below node_modules and bin comes from the\n' +
      ' packages of npm that package-lock.json names, as their authors have published it.',
    stanza('*', holdersIn(own), 'MIT', own),
    `Files: bin/node\nCopyright: Node.js contributors, and those that its licence names\nLicense: Node.js-${nodeVersion}\n` +
      ' The licence of Node.js and those of all that it contains (V8, OpenSSL, ICU and others) are in\n' +
      ' /usr/share/doc/fullmon/LICENSE.node.gz',
    ...packages.map(({ folder, version, license, text }) =>
      stanza(
        `${folder}/*`,
        holdersIn(text),
        `${license}-${folder.replace(/^.*node_modules\//, '').replace(/[@/]/g, '')}-${version}`,
        text,
      ),
    ),
    'Files: node_modules/better-sqlite3/prebuilds/*\nCopyright: none, SQLite is in the public domain\nLicense: public-domain-SQLite\n' +
      ' The native module contains SQLite, whose authors disclaim copyright to it:\n' +
      ' https://www.sqlite.org/copyright.html\n .\n' +
      ' The rest of that module is under the licence of better-sqlite3.',
  ]
  return `${paragraphs.join('\n\n')}\n`
}

function stanza(files: string, holders: readonly string[], license: string, text: string): string {
  const body = text
    .trim()
    .split('\n')
    .map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`))
    .join('\n')
  return `Files: ${files}\nCopyright: ${holders.join('\n ')}\nLicense: ${license}\n${body}`
}

/** Lines of a licence that say whose it is. */
function holdersIn(text: string): readonly string[] {
  const found = [...text.matchAll(/^\W*(?:Copyright|\(c\))\b.*$/gim)].map(([line]) =>
    line.replace(/^\W*(?:Copyright)?\s*(?:\(c\)|©)?\s*/i, '').trim(),
  )
  return found.length === 0 ? ['see below'] : found
}
