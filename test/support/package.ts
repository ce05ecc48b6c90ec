/** The Debian package of this checkout, built once for all tests that want it. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { globSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { must } from './debian.ts'

const ROOT = join(import.meta.dirname, '../..')
const CACHE = join(ROOT, 'node_modules/.cache/fullmon-packages')
const BUILD = join(ROOT, 'scripts/package')
const DAY_MS = 86_400_000

/** What the package is made of. */
const SOURCES = [
  '{agent,debian,docs,profiles,rules,scripts}/**',
  ...['audit.rules', 'CHANGELOG.md', 'LICENSE', 'package-lock.json', 'package.json', 'README.md'],
]

/** Why no package can be built here; undefined when one can. */
export const noPackages = (): string | undefined =>
  spawnSync('sh', ['-c', 'command -v dpkg-deb dh']).status === 0 ? undefined : 'needs debhelper'

export interface PackageOptions {
  /** `amd64` or `arm64`; that of this machine when it is not given. */
  readonly arch?: string
  /** Another one of the same program, for upgrades. */
  readonly version?: string
}

/** Path of the package. @throws Error with what was printed when it cannot be built */
export function builtPackage({ arch, version }: PackageOptions = {}): string {
  const words = [
    ...(arch === undefined ? [] : ['--arch', arch]),
    ...(version === undefined ? [] : ['--version', version]),
  ]
  const folder = join(CACHE, digest(words))
  mkdirSync(folder, { recursive: true })
  const command = 'ls "$1"/*.deb >/dev/null 2>&1 || { shift; exec "$@"; }'
  const build = [BUILD, '--fast', '--output', folder, ...words]
  const { status, stdout, stderr } = spawnSync(
    'flock',
    [CACHE, 'sh', '-c', command, 'sh', folder, ...build],
    {
      encoding: 'utf8',
    },
  )
  if (status !== 0) throw new Error(`scripts/package: ${stderr}${stdout}`)
  forgetOld()
  const [built] = globSync('*.deb', { cwd: folder })
  if (built === undefined) throw new Error(`scripts/package has built nothing: ${stdout}`)
  return realpathSync(join(folder, built))
}

/** Of all files and of the commit, which the version names. */
function digest(words: readonly string[]): string {
  const hash = createHash('sha256')
  const commit = spawnSync('git', ['-C', ROOT, 'rev-parse', 'HEAD'], { encoding: 'utf8' }).stdout
  hash.update(JSON.stringify([words, commit]))
  for (const path of globSync(SOURCES, { cwd: ROOT }).sort()) {
    const place = join(ROOT, path)
    if (statSync(place).isFile()) hash.update(`${path}\0`).update(readFileSync(place)).update('\0')
  }
  return hash.digest('hex').slice(0, 16)
}

function forgetOld(): void {
  for (const name of readdirSync(CACHE)) {
    const folder = join(CACHE, name)
    if (Date.now() - statSync(folder).mtimeMs > DAY_MS) rmSync(folder, { recursive: true, force: true })
  }
}

/** A file of a package. */
export interface Entry {
  /** As `ls -l` has it. */
  readonly mode: string
  readonly owner: string
  readonly path: string
}

/** All that is in a package. */
export const contentsOf = (archive: string): readonly Entry[] =>
  must('dpkg-deb', '--contents', archive).lines.map((line) => {
    const [mode = '', owner = '', , , , name = ''] = line.split(/\s+/)
    return { mode, owner, path: name.replace(/^\.\//, '/').replace(/(?<=.)\/$/, '') }
  })

/** Whether there is a program of this name. */
export const isThere = (program: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
