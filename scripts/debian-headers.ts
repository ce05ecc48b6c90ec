/** Packages of Debian, fetched through apt on a machine with whatever release of it. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fail, ok, type Result } from '../agent/domain/result.ts'

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
const SUITES = ['sid', 'trixie-backports', 'trixie']

/**
 * Unpacks packages below an empty folder and returns the root of what they hold.
 *
 * apt gets a configuration of its own: the sources and the package lists of the machine stay as they are, and nothing
 * is installed. Fails with the reason where there is no apt, no way to a mirror, or only older packages.
 *
 * @param wanted Versions by package. For one that the mirror no longer has, or undefined, it takes the newest.
 */
export function fetchHeaders(
  folder: string,
  wanted: ReadonlyMap<string, string | undefined>,
): Result<string, string> {
  for (const path of ['lists/partial', 'cache/archives/partial'])
    mkdirSync(join(folder, path), { recursive: true })
  const mirror = configuredMirror()
  const sources = SUITES.map((suite) => `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`)
  writeFileSync(join(folder, 'sources.list'), sources.join(''))
  const options = {
    'Dir::State::Lists': join(folder, 'lists'),
    'Dir::State::Status': '/dev/null',
    'Dir::Cache': join(folder, 'cache'),
    'Dir::Cache::PkgCache': 'packages',
    'Dir::Etc::SourceList': join(folder, 'sources.list'),
    'Dir::Etc::SourceParts': '/dev/null',
    'Dir::Etc::Preferences': '/dev/null',
    'Dir::Etc::PreferencesParts': '/dev/null',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '2',
    'Acquire::http::Timeout': '15',
    // Its own user may not read a temporary folder.
    'APT::Sandbox::User': 'root',
  }
  const words = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  const apt = (program: string, ...more: string[]): string => run(folder, program, '-q', ...words, ...more)

  // A suite that the mirror lacks makes this fail; what the others have can be used.
  apt('apt-get', 'update')
  for (const [name, version] of wanted) {
    const versions = apt('apt-cache', 'madison', name)
      .split('\n')
      .map((line) => line.split('|')[1]?.trim() ?? '')
    // Packages that Debian built once more, without a change, have a version that ends in +b and a number.
    const found = versions.find((other) => other.replace(/\+b\d+$/, '') === version) ?? versions[0]
    if (found === undefined || found === '') return fail(`${mirror} could not be asked for ${name}`)
    if (version !== undefined && isOlder(found, version)) return fail(`${mirror} has only ${name} ${found}`)
    apt('apt-get', 'download', `${name}=${found}`)
  }
  const root = join(folder, 'unpacked')
  const packages = readdirSync(folder).filter((name) => name.endsWith('.deb'))
  if (packages.length < wanted.size) return fail(`${mirror} did not deliver ${[...wanted.keys()].join(', ')}`)
  for (const name of packages) run(folder, 'dpkg-deb', '--extract', name, root)
  return ok(root)
}

/** The mirror that the machine uses. */
function configuredMirror(): string {
  const lists = run('/', 'apt-get', 'indextargets', '--format', '$(REPO_URI)', 'Label: Debian')
  return lists.split('\n')[0] || 'http://deb.debian.org/debian'
}

const isOlder = (version: string, than: string): boolean =>
  spawnSync('dpkg', ['--compare-versions', version, 'lt', than]).status === 0

/** What a program prints; nothing when it is not there. */
function run(cwd: string, program: string, ...words: string[]): string {
  const { error, stdout } = spawnSync(program, words, { cwd, encoding: 'utf8' })
  return error === undefined ? stdout : ''
}
