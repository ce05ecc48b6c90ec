/** `scripts/release` in clones of this repository, with real git; what it calls is replaced by commits in the clone. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'

const REPOSITORY = join(import.meta.dirname, '../..')
/** Newer than whatever this checkout states. */
const VERSION = '900.1.0'
const folder = mkdtempSync(join(tmpdir(), 'fullmon-release-'))
afterAll(() => rmSync(folder, { recursive: true }))

interface Run {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

function start(program: string, words: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Run {
  const { status, stdout, stderr } = spawnSync(program, words, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: folder, ...env },
  })
  return { status, stdout, stderr }
}

const CHANGES = '- Sees what it did not see.\n- `## no heading` in a line is text.'

/** A repository of one commit: the files of this work tree, with something unreleased, and with Node but no packages. */
function repository(): string {
  const root = mkdtempSync(join(folder, 'checkout-'))
  const files = start('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], REPOSITORY)
    .stdout.split('\0')
    .filter((path) => /^(?:scripts|docs)\/[^/]+$|^[^/]+$/.test(path) && existsSync(join(REPOSITORY, path)))
    .filter((path) => path !== 'node_modules')
  mkdirSync(join(root, 'scripts'))
  mkdirSync(join(root, 'docs'))
  for (const path of files) copyFileSync(join(REPOSITORY, path), join(root, path))
  const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8')
  writeFileSync(
    join(root, 'CHANGELOG.md'),
    changelog.replace(
      /^## Unreleased\n.*?(?=^## |(?![^]))/ms,
      `## Unreleased\n\n${CHANGES}\n\n## 0.0.1\n\nOld.\n`,
    ),
  )
  git(root, 'init', '--quiet', '--initial-branch=main')
  git(root, 'config', 'user.name', 'Rosa Release')
  git(root, 'config', 'user.email', 'rosa@example.test')
  mkdirSync(join(root, 'node_modules/.bin'), { recursive: true })
  symlinkSync(process.execPath, join(root, 'node_modules/.bin/node'))
  replace(root, 'scripts/packages', 'exit 0')
  return root
}

function git(root: string, ...words: string[]): string {
  const { status, stdout, stderr } = start('git', words, root)
  if (status !== 0) throw new Error(`git ${words.join(' ')}: ${stderr}`)
  return stdout.trim()
}

function commit(root: string, message: string): void {
  git(root, 'add', '--all')
  git(root, 'commit', '--quiet', '--message', message)
}

/** Commits a shell script in place of what the release calls. */
function replace(root: string, path: string, body: string): void {
  writeFileSync(join(root, path), `#!/bin/sh\n${body}\n`)
  chmodSync(join(root, path), 0o755)
  commit(root, `Replace ${path}`)
}

const release = (root: string, ...words: string[]): Run => start('scripts/release', words, root)
const read = (root: string, path: string): string => readFileSync(join(root, path), 'utf8')

/** All that a release may change in a checkout. */
const stateOf = (root: string): string[] => [
  git(root, 'for-each-ref'),
  git(root, 'status', '--branch', '--porcelain'),
  git(root, 'status', '--porcelain', '--ignored'),
  git(root, 'diff', 'HEAD'),
]

let root: string
beforeEach(() => {
  root = repository()
})

describe('a release without packages', () => {
  test('is one commit with the version everywhere, and a tag with the notes', () => {
    const before = git(root, 'rev-parse', 'HEAD')
    const { status, stdout, stderr } = release(root, VERSION, '--skip-tests', '--no-packages')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(git(root, 'log', '--format=%s|%an|%ae', `${before}..main`)).toBe(
      `Release ${VERSION}|Rosa Release|rosa@example.test`,
    )
    expect(git(root, 'rev-parse', `v${VERSION}^{commit}`)).toBe(git(root, 'rev-parse', 'HEAD'))
    expect(git(root, 'cat-file', '-t', `v${VERSION}`)).toBe('tag')
    expect(git(root, 'for-each-ref', '--format=%(contents)', `refs/tags/v${VERSION}`)).toBe(
      `fullmon ${VERSION}\n\n${CHANGES}`,
    )
    expect(git(root, 'status', '--porcelain')).toBe('')
    expect(git(root, 'diff', '--stat', before).split('\n').slice(0, -1)).toHaveLength(4)
    // git is a second opinion on what was written.
    expect(git(root, 'diff', '--unified=0', before, '--', 'package.json').split('\n').slice(-2)).toEqual([
      expect.stringMatching(/^-  "version": "[\d.]+",$/),
      `+  "version": "${VERSION}",`,
    ])
    expect(git(root, 'diff', '--numstat', before, '--', 'package-lock.json')).toMatch(/^2\t2\t/)
    expect(read(root, 'package-lock.json').match(/"version": "900\.1\.0"/g)).toHaveLength(2)

    const date = /^## 900\.1\.0 - (\d{4}-\d\d-\d\d)$/m.exec(read(root, 'CHANGELOG.md'))?.[1]
    expect(date).toBe(git(root, 'log', '-1', '--date=format-local:%F', '--format=%cd'))
    expect(read(root, 'CHANGELOG.md')).toContain(
      `\n## Unreleased\n\n## ${VERSION} - ${date}\n\n${CHANGES}\n\n## 0.0.1\n\nOld.\n`,
    )
    expect(read(root, 'docs/fullmon.8').split('\n')).toContain(
      `.TH FULLMON 8 ${date} "fullmon ${VERSION}" "System administration"`,
    )
    expect(stdout).toContain(`git push --atomic origin main v${VERSION}`)
    // What it says takes the release back does so.
    const back = /^ {2}(git tag --delete .*)$/m.exec(stdout)?.[1] ?? 'false'
    expect(start('sh', ['-c', back], root).status).toBe(0)
    expect([git(root, 'rev-parse', 'HEAD'), git(root, 'tag')]).toEqual([before, ''])
  })

  test('a second one needs something new to tell, and a newer version', () => {
    expect(release(root, VERSION, '--skip-tests', '--no-packages').status).toBe(0)
    const complaint = (...words: string[]): string => {
      const { status, stdout, stderr } = release(root, ...words, '--skip-tests', '--no-packages')
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
      return stderr
    }
    const before = stateOf(root)
    expect(complaint(VERSION)).toMatch(/there is a tag v900\.1\.0 already/)
    expect(complaint('900.0.9')).toMatch(/900\.0\.9 is not newer than the last release, v900\.1\.0/)
    expect(complaint('900.2.0')).toMatch(/nothing below "## Unreleased"/)
    expect(stateOf(root)).toEqual(before)
    const changelog = read(root, 'CHANGELOG.md')
    writeFileSync(
      join(root, 'CHANGELOG.md'),
      changelog.replace('## Unreleased\n', '## Unreleased\n\n- More.\n'),
    )
    commit(root, 'More')
    expect(release(root, '900.10.0', '--skip-tests', '--no-packages').status).toBe(0)
    expect(complaint('900.9.0')).toMatch(/not newer than the last release, v900\.10\.0/)
    expect(git(root, 'for-each-ref', '--format=%(contents)', 'refs/tags/v900.10.0')).toBe(
      'fullmon 900.10.0\n\n- More.',
    )
  })

  test('runs the tests of what it commits, in a checkout of its own', () => {
    replace(
      root,
      'scripts/test',
      'pwd >"$WITNESS"; grep version package.json >>"$WITNESS"; git status --porcelain',
    )
    const witness = join(folder, 'witness')
    const env = { WITNESS: witness }
    expect(start('scripts/release', [VERSION, '--no-packages'], root, env).status).toBe(0)
    const [place, version] = readFileSync(witness, 'utf8').split('\n')
    expect(place).not.toBe(root)
    expect(version).toBe(`  "version": "${VERSION}",`)
    expect(existsSync(place ?? root)).toBe(false)
  })

  test('a dry run prints what would be committed and changes nothing', () => {
    const before = stateOf(root)
    const { status, stdout } = release(root, VERSION, '--dry-run', '--no-packages')
    expect(status).toBe(0)
    expect(stdout).toContain(`+  "version": "${VERSION}",`)
    expect(stdout).toContain(`fullmon ${VERSION}\n\n${CHANGES}\n`)
    expect(stateOf(root)).toEqual(before)
  })

  test('is signed when git has a key', ({ skip }) => {
    skip(start('ssh-keygen', ['-?'], root).status === null, 'needs ssh-keygen')
    start('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')], root)
    git(root, 'config', 'gpg.format', 'ssh')
    git(root, 'config', 'user.signingkey', join(folder, 'key.pub'))
    const signers = join(folder, 'signers')
    writeFileSync(signers, `rosa@example.test ${readFileSync(join(folder, 'key.pub'), 'utf8')}`)
    git(root, 'config', 'gpg.ssh.allowedSignersFile', signers)
    expect(release(root, VERSION, '--skip-tests', '--no-packages').status).toBe(0)
    expect(start('git', ['tag', '--verify', `v${VERSION}`], root).status).toBe(0)
  })
})

/** A script that makes a file as `scripts/package` does. */
const PACKAGE = (content: string): string =>
  `cd "$(dirname "$0")/.." || exit
version=$(sed -n 's/^  "version": "\\(.*\\)",/\\1/p' package.json); ${content} >"$4/fullmon_\${version}_$2.deb"`

/** An environment in which lintian finds nothing, or something. */
function withLintian(status: number): NodeJS.ProcessEnv {
  const bin = mkdtempSync(join(folder, 'bin-'))
  for (const [name, body] of [
    ['lintian', `exit ${status}`],
    ['dh', 'exit 1'],
  ] as const) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 })
  }
  return { PATH: `${bin}:${process.env['PATH'] ?? ''}` }
}

describe('a release with packages', () => {
  const FILES = ['fullmon_900.1.0_amd64.deb', 'fullmon_900.1.0_arm64.deb', 'install-debian.sh']

  test('has them, built from the tag, with checksums and notes', () => {
    replace(root, 'scripts/test', 'exit 0')
    replace(root, 'scripts/package', PACKAGE('{ git describe --exact-match; git status --porcelain; }'))
    const { status, stderr } = start('scripts/release', [VERSION], root, withLintian(0))
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const made = join(root, 'release', VERSION)
    expect(readdirSync(made).sort()).toEqual(['RELEASE-NOTES.md', 'SHA256SUMS', ...FILES])
    for (const file of FILES.slice(0, 2)) expect(readFileSync(join(made, file), 'utf8')).toBe(`v${VERSION}\n`)
    expect(start('sha256sum', ['--check', '--strict', 'SHA256SUMS'], made).stdout).toBe(
      FILES.map((file) => `${file}: OK\n`).join(''),
    )
    const notes = readFileSync(join(made, 'RELEASE-NOTES.md'), 'utf8')
    expect(notes).toContain(`fullmon ${VERSION}\n\n${CHANGES}\n\nCommit ${git(root, 'rev-parse', 'HEAD')}.`)
    expect(notes).toContain(readFileSync(join(made, 'SHA256SUMS'), 'utf8'))
    expect(git(root, 'status', '--porcelain')).toBe('')
    expect(start('sh', ['-c', 'ls -d tmp.*'], folder).stdout).toBe('')
  })

  test('has checksums that are signed when git has a key', ({ skip }) => {
    skip(start('gpg', ['--version'], root).status !== 0, 'needs gpg')
    const home = mkdtempSync(join(folder, 'gpg-'))
    const env = { ...withLintian(0), GNUPGHOME: home }
    const words = [
      '--batch',
      '--passphrase',
      '',
      '--quick-generate-key',
      'rosa@example.test',
      'ed25519',
      'sign',
    ]
    expect(start('gpg', words, root, env)).toMatchObject({ status: 0 })
    git(root, 'config', 'user.signingkey', 'rosa@example.test')
    replace(root, 'scripts/package', PACKAGE('echo package'))
    const output = join(folder, 'signed')
    const { status } = start('scripts/release', [VERSION, '--skip-tests', '--output', output], root, env)
    expect(status).toBe(0)
    expect(start('gpg', ['--verify', 'SHA256SUMS.asc', 'SHA256SUMS'], output, env).status).toBe(0)
    expect(start('git', ['tag', '--verify', `v${VERSION}`], root, env).status).toBe(0)
    start('gpgconf', ['--kill', 'all'], root, env)
  })
})

interface Refused {
  readonly why: string
  readonly words: readonly string[]
  readonly complaint: RegExp
  readonly prepare?: (at: string) => void
}

describe('it refuses, and changes nothing', () => {
  const REFUSED: readonly Refused[] = [
    { why: 'no version', words: [], complaint: /^release: which version\? See --help\.\n$/ },
    { why: 'two versions', words: ['1.0.0', '2.0.0'], complaint: /^release: it takes one version/ },
    { why: 'an unknown word', words: [VERSION, '--force'], complaint: /^release: it knows no --force/ },
    { why: 'what is no version', words: ['1.2'], complaint: /^release: 1\.2 is no version/ },
    { why: 'a leading zero', words: ['900.01.0'], complaint: /is no version/ },
    { why: 'a version and a line more', words: ['900.1.0\n900.1.1'], complaint: /is no version/ },
    { why: 'an older version', words: ['0.0.0'], complaint: /package\.json says [\d.]+ already/ },
    {
      why: 'a file that is not committed',
      words: [VERSION],
      complaint: /not as they were committed:\n\?\? stray/,
      prepare: (at) => writeFileSync(join(at, 'stray'), ''),
    },
    {
      why: 'another branch',
      words: [VERSION],
      complaint: /this checkout is on other/,
      prepare: (at) => git(at, 'switch', '--quiet', '--create', 'other'),
    },
    {
      why: 'no branch',
      words: [VERSION],
      complaint: /this checkout is on no branch/,
      prepare: (at) => git(at, 'switch', '--quiet', '--detach'),
    },
    { why: 'an output that exists', words: [VERSION, '--output', folder], complaint: /is there already/ },
    {
      why: 'an output without a name',
      words: [VERSION, '--output'],
      complaint: /--output needs a directory/,
    },
  ]

  test.each(REFUSED)('$why', ({ words, complaint, prepare }) => {
    prepare?.(root)
    const before = stateOf(root)
    const all = words.length === 0 ? [] : ['--no-packages', ...words]
    const { status, stdout, stderr } = release(root, ...all)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(complaint)
    expect(stateOf(root)).toEqual(before)
  })

  test('a main that lacks commits of its upstream', () => {
    const upstream = join(root, '../upstream.git')
    git(root, 'clone', '--quiet', '--bare', root, upstream)
    git(root, 'remote', 'add', 'origin', upstream)
    commitEmpty(root)
    git(root, 'push', '--quiet', '--set-upstream', 'origin', 'main')
    git(root, 'reset', '--quiet', '--hard', 'HEAD^')
    expect(release(root, VERSION, '--no-packages').stderr).toMatch(/lacks commits of its upstream/)
  })
})

const commitEmpty = (at: string): string =>
  git(at, 'commit', '--quiet', '--allow-empty', '--message', 'Empty')

describe('what fails halfway leaves the checkout as it was', () => {
  const FAILING: readonly (readonly [string, string, string, RegExp])[] = [
    ['a failing test', 'scripts/test', 'echo 3 failed; exit 1', /3 failed\n.*release: the tests failed/s],
    [
      'a package that is not built',
      'scripts/package',
      'echo no debhelper >&2; exit 2',
      /no debhelper\n.*amd64 was not/s,
    ],
    [
      'a package of another version',
      'scripts/package',
      'touch "$4/fullmon_1_$2.deb"',
      /made no fullmon_900\.1\.0_amd64/,
    ],
    ['a package that cannot be rebuilt', 'scripts/package', PACKAGE('date +%N'), /the two packages differ/],
    ['a package that lintian cannot read', 'scripts/package', PACKAGE('echo no deb'), /lintian objects/],
  ]

  test.each(FAILING)('%s', (name, script, body, complaint) => {
    replace(root, 'scripts/test', 'exit 0')
    replace(root, script, body)
    const before = stateOf(root)
    const { status, stderr } = start(
      'scripts/release',
      [VERSION],
      root,
      withLintian(name.includes('lintian') ? 2 : 0),
    )
    expect(status).toBe(1)
    expect(stderr).toMatch(complaint)
    expect(stderr).toMatch(/release: nothing was released; this checkout is as it was\.\n$/)
    expect(stateOf(root)).toEqual(before)
    expect(start('sh', ['-c', 'ls -d tmp.*'], folder).stdout).toBe('')
  })

  test('a commit that somebody makes meanwhile', () => {
    replace(root, 'scripts/test', `git -C '${root}' commit --quiet --allow-empty --message Meanwhile`)
    const { status, stderr } = release(root, VERSION, '--no-packages')
    expect(status).toBe(1)
    expect(stderr).toMatch(/main was changed meanwhile/)
    expect(git(root, 'log', '-1', '--format=%s')).toBe('Meanwhile')
    expect(git(root, 'tag')).toBe('')
    expect(git(root, 'status', '--porcelain')).toBe('')
  })
})
