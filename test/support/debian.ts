/** A real Debian of its own for tests: made with debootstrap, kept as an archive from one run to the next. */
import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** FULLMON_TEST_DEBIAN=trixie takes Debian 13 instead of 12. */
export const SUITE = process.env['FULLMON_TEST_DEBIAN'] ?? 'bookworm'

export interface Run {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
  readonly lines: readonly string[]
}

export function run(program: string, ...words: string[]): Run {
  const { status, stdout, stderr, error } = spawnSync(program, words, {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  if (error !== undefined) throw error
  return { status, stdout, stderr, lines: stdout.trimEnd().split('\n') }
}

export function must(program: string, ...words: string[]): Run {
  const done = run(program, ...words)
  if (done.status !== 0) throw new Error(`${program} ${words.join(' ')}: ${done.stderr}${done.stdout}`)
  return done
}

/** The mirror that this machine's apt uses for Debian itself. */
export function findMirror(): string {
  const folder = '/etc/apt/sources.list.d'
  const files = [
    '/etc/apt/sources.list',
    ...(existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []),
  ]
  const text = files
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n')
  return (
    /^(?:deb\s.*?|URIs:\s*)(https?:\S+\/debian)\/?(?:\s|$)/m.exec(text)?.[1] ?? 'http://deb.debian.org/debian'
  )
}

/** Why no Debian can be made here, or undefined when one can. */
export async function debianUnavailable(mirror: string, suite: string = SUITE): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'needs root'
  if (spawnSync('debootstrap', ['--version']).status !== 0) return 'needs debootstrap'
  if (spawnSync('unshare', ['--mount', 'true']).status !== 0) return 'needs a mount name space'
  try {
    const { ok, status } = await fetch(`${mirror}/dists/${suite}/Release`, { method: 'HEAD' })
    return ok ? undefined : `${mirror} has no ${suite} (${status})`
  } catch {
    return `needs the Debian mirror ${mirror}`
  }
}

/** A folder that only root can write, kept from one run to the next. @throws Error if somebody else made it */
export function debianCache(): string {
  const cache = join(tmpdir(), 'fullmon-test-debian')
  mkdirSync(cache, { recursive: true, mode: 0o700 })
  const { uid, mode } = lstatSync(cache)
  if (uid !== 0 || (mode & 0o777) !== 0o700) throw new Error(`${cache} is not root's own`)
  return cache
}

/** A fresh Debian in `root`, with these packages besides, unpacked from an archive that the first call leaves in the cache. */
export function makeDebian(
  root: string,
  mirror: string,
  suite: string = SUITE,
  packages: readonly string[] = [],
): void {
  const cache = debianCache()
  const archive = join(cache, `${[suite, ...packages].join('+')}.tar`)
  if (!existsSync(archive)) {
    const fresh = mkdtempSync(join(cache, 'fresh-'))
    const include = packages.length === 0 ? [] : [`--include=${packages.join(',')}`]
    must('debootstrap', '--variant=minbase', ...include, suite, fresh, mirror)
    must('tar', '--create', '--file', `${fresh}.tar`, '--directory', fresh, '--one-file-system', '.')
    must('mv', `${fresh}.tar`, archive)
    rmSync(fresh, { recursive: true })
  }
  must('tar', '--extract', '--file', archive, '--directory', root)
}
