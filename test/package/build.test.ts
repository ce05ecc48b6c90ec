/** How the Debian package is built: the same bytes everywhere, for both kinds of machines. */
import { cpSync, globSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { must, run } from '../support/debian.ts'
import { builtPackage, contentsOf, isThere, noPackages } from '../support/package.ts'
import { AS_NOBODY, noStranger } from '../support/running.ts'

const REPOSITORY = join(import.meta.dirname, '../..')
const PACKAGE = join(REPOSITORY, 'scripts/package')
const PROGRAM = 'usr/lib/fullmon'
const BUILD_MS = 300_000

const obstacle = noPackages()
const machine = obstacle === undefined ? must('dpkg', '--print-architecture').stdout.trim() : ''
let root = ''
let archive = ''
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'fullmon-package-'))
  if (obstacle === undefined) archive = builtPackage()
}, BUILD_MS)
afterAll(() => rmSync(root, { recursive: true, force: true }))
beforeEach(({ skip }) => {
  skip(obstacle !== undefined, obstacle)
})

/** What readelf says, as a second opinion. */
const machineOf = (path: string): string =>
  /Machine:\s*(.*)/.exec(must('readelf', '-h', path).stdout)?.[1] ?? ''

/** Undefined without the network. */
function builtOrMissing(arch: string): string | undefined {
  try {
    return builtPackage({ arch })
  } catch (error) {
    if (error instanceof Error && error.message.includes('npm could not fetch')) return undefined
    throw error
  }
}

test(
  'gives the same bytes for somebody else, elsewhere, in another time zone and language',
  ({ skip }) => {
    const reason = noStranger()
    skip(reason !== undefined, reason)
    const copy = join(root, 'elsewhere')
    cpSync(REPOSITORY, copy, {
      recursive: true,
      preserveTimestamps: false,
      filter: (path) => !['node_modules', 'dist', 'dist.new'].includes(basename(path)),
    })
    symlinkSync(join(REPOSITORY, 'node_modules'), join(copy, 'node_modules'))
    must('chown', '-R', '--no-dereference', '65534:65534', copy)
    must('chmod', 'a+rx', root)
    const somewhere = ['TZ=Pacific/Auckland', 'LC_ALL=C', 'LANG=C', 'SHELL=/bin/zsh', `HOME=${copy}`]
    const build = `umask 077; exec '${copy}/scripts/package' --fast --output '${copy}/out'`
    const words = ['env', '--chdir', copy, ...somewhere, ...AS_NOBODY, 'sh', '-c', build] as const
    const { status, stderr } = run(...words)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(globSync('*.deb', { cwd: join(copy, 'out') })).toEqual([basename(archive)])
    must('cmp', archive, join(copy, 'out', basename(archive)))
  },
  BUILD_MS,
)

const other = machine === 'amd64' ? 'arm64' : 'amd64'
test(
  `is possible for ${other}`,
  ({ skip }) => {
    skip(!isThere('npm'), 'needs npm')
    skip(
      !isThere(other === 'arm64' ? 'aarch64-linux-gnu-strip' : 'x86_64-linux-gnu-strip'),
      'needs its binutils',
    )
    const foreign = builtOrMissing(other)
    skip(foreign === undefined, 'npm could not fetch the runtime')
    if (foreign === undefined) return
    expect(must('dpkg-deb', '--field', foreign, 'Architecture').stdout.trim()).toBe(other)
    const host = join(root, 'other')
    must('dpkg-deb', '--extract', foreign, host)
    const kind = other === 'arm64' ? 'AArch64' : 'Advanced Micro Devices X86-64'
    const binaries = globSync(`${host}/${PROGRAM}/{bin/node,**/*.node}`)
    expect(binaries.map(machineOf)).toEqual([kind, kind])
    for (const binary of binaries) expect(must('readelf', '-S', binary).stdout).not.toContain('.symtab')
    const names = (path: string): readonly string[] =>
      contentsOf(path).map(({ path: name }) => name.replace(/linux-\w+\.node$/, 'linux.node'))
    expect(names(foreign)).toEqual(names(archive))
  },
  BUILD_MS,
)

test.each([
  [['--arch', 'mips64'], 'there is no runtime for mips64'],
  [['--version', '1.0-1'], '1.0-1 is no version'],
  [['--arch'], '--arch needs a value'],
  [['--quick'], 'it knows no --quick'],
])('%j is refused in one sentence', (words, sentence) => {
  const { status, stdout, stderr } = run(PACKAGE, ...words)
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(stderr).toMatch(/^scripts\/package: [^\n]*\.\n$/)
  expect(stderr).toContain(sentence)
})

test.each([
  ['dh', [], 'debhelper is needed: apt-get install debhelper'],
  ['npm', ['--arch', other], `npm is needed to fetch the runtime for ${other}: apt-get install npm`],
])('without %s it says what brings it', (program, words, sentence) => {
  const PATH = join(root, `without-${program}`)
  mkdirSync(PATH)
  for (const name of readdirSync('/usr/bin')) {
    if (name !== program) symlinkSync(join('/usr/bin', name), join(PATH, name))
  }
  const output = join(root, 'none')
  const { status, stderr } = run(
    'env',
    '--ignore-environment',
    `PATH=${PATH}`,
    PACKAGE,
    ...words,
    '--output',
    output,
  )
  expect({ status, stderr }).toEqual({ status: 2, stderr: `scripts/package: ${sentence}\n` })
})

test(
  'takes another version, which the program knows too',
  () => {
    const newer = builtPackage({ version: '900.1.0' })
    expect(basename(newer)).toBe(`fullmon_900.1.0_${machine}.deb`)
    const host = join(root, 'newer')
    must('dpkg-deb', '--extract', newer, host)
    expect(must(join(host, 'usr/bin/fullmon'), '--version').stdout).toContain('900.1.0')
  },
  BUILD_MS,
)
