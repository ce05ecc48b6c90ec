/** What is in the Debian package. */
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { must, run } from '../support/debian.ts'
import { builtPackage, contentsOf, type Entry, isThere, noPackages } from '../support/package.ts'

const REPOSITORY = join(import.meta.dirname, '../..')
const PROGRAM = 'usr/lib/fullmon'
const BUILD_MS = 300_000

const obstacle = noPackages()
let root = ''
let archive = ''
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'fullmon-package-'))
  if (obstacle !== undefined) return
  archive = builtPackage()
  must('dpkg-deb', '--extract', archive, join(root, 'host'))
}, BUILD_MS)
afterAll(() => rmSync(root, { recursive: true, force: true }))
beforeEach(({ skip }) => {
  skip(obstacle !== undefined, obstacle)
})
const inHost = (path: string): string => join(root, 'host', path)

/** As if the package were installed here, for one command. */
function inside(etc: string, ...words: string[]): string {
  const mounts =
    'mount -t overlay overlay -o "lowerdir=$1:/etc" /etc && mount -t overlay overlay -o "lowerdir=$2:/usr" /usr'
  const script = `${mounts} && shift 2 && exec "$@"`
  return must('unshare', '--mount', 'sh', '-c', script, 'sh', etc, inHost('usr'), ...words).stdout
}

function skipWithoutMounts(skip: (condition: boolean, note: string) => void): void {
  skip(process.getuid?.() !== 0, 'needs root')
  skip(spawnSync('unshare', ['--mount', 'true']).status !== 0, 'needs a mount name space')
}

describe('its files', () => {
  let entries: readonly Entry[] = []
  beforeAll(() => {
    if (obstacle === undefined) entries = contentsOf(archive)
  })

  test('are root’s, and nobody else may write them', () => {
    expect(entries.filter(({ owner }) => owner !== 'root/root')).toEqual([])
    const others = entries.filter(({ mode }) => !mode.startsWith('l') && mode.slice(4).includes('w'))
    expect(others).toEqual([])
    expect(entries.filter(({ mode }) => /[sStT]/.test(mode))).toEqual([])
  })

  test('are asked about at an upgrade when they are below /etc, and are root’s to read when they may have secrets', () => {
    const conffiles = must('dpkg-deb', '--info', archive, 'conffiles').lines
    const configured = entries.filter(({ mode, path }) => mode.startsWith('-') && path.startsWith('/etc/'))
    expect(conffiles).toEqual(configured.map(({ path }) => path))
    const closed = configured.filter(({ mode }) => mode === '-rw-r-----').map(({ path }) => path)
    expect(closed).toEqual([
      '/etc/audit/plugins.d/fullmon.conf',
      '/etc/audit/rules.d/fullmon.rules',
      '/etc/fullmon/config.yaml',
    ])
    const rules = globSync('*.yaml', { cwd: join(REPOSITORY, 'rules') }).sort()
    expect(
      conffiles.filter((path) => path.startsWith('/etc/fullmon/rules/')).map((path) => basename(path)),
    ).toEqual(rules)
  })

  test('are what runs, and nothing of how it was made', () => {
    const program = entries.filter(({ mode }) => mode.startsWith('-')).map(({ path }) => path)
    const odd = program.filter(
      (path) => path.startsWith(`/${PROGRAM}/`) && !/\.[cm]?js$|\/package\.json$/.test(path),
    )
    expect(odd.filter((path) => !path.startsWith(`/${PROGRAM}/profiles/`))).toEqual(
      expect.arrayContaining(
        ['audit.rules', 'bin/node', 'dist/commit', 'launch'].map((name) => `/${PROGRAM}/${name}`),
      ),
    )
    expect(odd.filter((path) => /\.(?:ts|md|map|h|c|cpp)$|\/npm/.test(path))).toEqual([])
    expect(odd.filter((path) => path.endsWith('.node'))).toHaveLength(1)
    expect(readlinkSync(inHost('usr/bin/fullmon'))).toBe('../lib/fullmon/launch')
    const executable = entries.filter(({ mode }) => mode.startsWith('-') && mode.includes('x'))
    expect(executable.map(({ path }) => basename(path)).sort()).toEqual(['auditd-relay', 'launch', 'node'])
  })

  test('have a configuration with all keys where the one that is installed says', () => {
    const [, example = ''] =
      /^# (\/\S+\.yaml)\.$/m.exec(readFileSync(inHost('etc/fullmon/config.yaml'), 'utf8')) ?? []
    expect(readFileSync(inHost(example), 'utf8')).toBe(
      readFileSync(join(REPOSITORY, 'docs/config.example.yaml'), 'utf8'),
    )
    const documents = readdirSync(inHost('usr/share/doc/fullmon'))
    expect(documents).toEqual(expect.arrayContaining(['README.md', 'copyright', 'rules.md', 'monitoring.md']))
  })

  test('have documents whose links lead somewhere, but for what is only in a checkout', () => {
    const folder = inHost('usr/share/doc/fullmon')
    const links = globSync('**/*.md', { cwd: folder }).flatMap((name) =>
      [...readFileSync(join(folder, name), 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(
        ([, to = '']) => ({ name, to }),
      ),
    )
    const dead = links.filter(({ name, to }) => {
      const place = to.startsWith('/') ? inHost(to) : join(folder, name, '..', to)
      return !existsSync(place)
    })
    expect(links.length).toBeGreaterThan(20)
    expect(dead.filter(({ to }) => !/^(?:\.\.\/)*(?:bench|test)\//.test(to))).toEqual([])
  })

  test('have a manual, a changelog of this version and completions that shells can read', () => {
    expect(must('zcat', inHost('usr/share/man/man8/fullmon.8.gz')).stdout).toBe(
      readFileSync(join(REPOSITORY, 'docs/fullmon.8'), 'utf8'),
    )
    const changelog = join(root, 'changelog')
    writeFileSync(changelog, must('zcat', inHost('usr/share/doc/fullmon/changelog.gz')).stdout)
    expect(must('dpkg-parsechangelog', '--file', changelog, '--show-field', 'Version').stdout.trim()).toBe(
      must('dpkg-deb', '--field', archive, 'Version').stdout.trim(),
    )
    must('bash', '-n', inHost('usr/share/bash-completion/completions/fullmon'))
    const zsh = readFileSync(inHost('usr/share/zsh/vendor-completions/_fullmon'), 'utf8')
    expect(zsh).toMatch(/^#compdef fullmon\n/)
  })
})

describe('its program', () => {
  test('runs by itself', () => {
    expect(must(inHost('usr/bin/fullmon'), '--version').stdout).toContain(packageJson.version)
  })

  test('says of a recording what a checkout says of it', ({ skip }) => {
    skipWithoutMounts(skip)
    const log = join(REPOSITORY, 'test/fixtures/packages/audit.log.gz')
    const config = join(root, 'empty.yaml')
    writeFileSync(config, '')
    const words = ['replay', log, '--train', '20', '--json', '--config', config]
    const installed = inside(inHost('etc'), 'fullmon', ...words, '--db', join(root, 'installed.db'))
    const built = must(join(REPOSITORY, 'scripts/fullmon'), ...words, '--db', join(root, 'checkout.db'))
    expect(installed.split('\n').length).toBeGreaterThan(10)
    expect(installed).toBe(built.stdout)
  })

  test('finds every module that any of its modules may ever ask for', () => {
    const code = `
      const missing = []
      const files = fs.globSync('{dist,node_modules}/**/*.{js,mjs,cjs}', { withFileTypes: true })
        .filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name))
        .filter((file) => !file.endsWith('dist/agent/main.js'))
      for (const file of files) {
        try {
          const found = await import(path.resolve(file))
          // winston and logform load by getters.
          for (const exported of [found, found.default]) for (const key in exported) void exported[key]
        } catch (error) {
          if (error.code?.endsWith('MODULE_NOT_FOUND')) missing.push(file + ': ' + error.message)
        }
      }
      console.log(JSON.stringify({ count: files.length, missing }))
      process.exit(0)`
    const imports = "import fs from 'node:fs'; import path from 'node:path'; "
    const node = ['./bin/node', '--input-type=module', '-e', imports + code]
    const { stdout } = must('env', '--chdir', inHost(PROGRAM), ...node)
    const { count, missing } = JSON.parse(stdout) as { count: number; missing: readonly string[] }
    expect(count).toBeGreaterThan(500)
    expect(missing).toEqual([])
  })

  test('needs of other packages what it says', ({ skip }) => {
    skip(!isThere('dpkg-shlibdeps'), 'needs dpkg-dev')
    const folder = join(root, 'shlibdeps')
    mkdirSync(join(folder, 'debian'), { recursive: true })
    writeFileSync(join(folder, 'debian/control'), 'Source: x\n\nPackage: x\nArchitecture: any\n')
    const binaries = globSync(`${inHost(PROGRAM)}/{bin/node,**/*.node}`)
    expect(binaries).toHaveLength(2)
    const { stdout } = must(
      'env',
      ...['--chdir', folder, 'dpkg-shlibdeps', '-O'],
      ...binaries.map((path) => `-e${path}`),
    )
    const found = versionsIn(stdout.replace('shlibs:Depends=', ''))
    const said = versionsIn(must('dpkg-deb', '--field', archive, 'Depends').stdout)
    expect([...found.keys()].sort()).toEqual(['libc6', 'libgcc-s1', 'libstdc++6'])
    for (const [name, version] of found) {
      const own = said.get(name)
      const isEnough = own !== '' && run('dpkg', '--compare-versions', own ?? '', 'ge', version).status === 0
      // Its oldest version in any release that has the others.
      expect([name, own, isEnough || name === 'libgcc-s1']).toEqual([name, own, true])
    }
  })

  /** Of each package the oldest version that does. */
  const versionsIn = (dependencies: string): ReadonlyMap<string, string> =>
    new Map(
      dependencies
        .trim()
        .split(/,\s*/)
        .map((one) => /^(\S+)(?:\s+\(>= (.*)\))?$/.exec(one) ?? [])
        .map(([, name = '', version = '']) => [name, version]),
    )
})

describe('its rules', () => {
  const OWN_RULE = `- id: setuid-bit
  type: bin-execution
  title: '{process} ran {target}'
  severity: low
  reason: because
  next: [look]
`
  const listed = (etc: string): readonly { id: string; place: string; isShipped: boolean }[] =>
    inside(etc, 'fullmon', 'rules', 'list', '--json')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string; place: string; isShipped: boolean })

  beforeEach(({ skip }) => skipWithoutMounts(skip))

  test('are those below /etc, none of them twice', () => {
    const rules = listed(inHost('etc'))
    expect(rules.length).toBeGreaterThan(40)
    expect(rules.filter(({ place }) => !place.startsWith('/etc/fullmon/rules/'))).toEqual([])
    expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length)
    expect(inside(inHost('etc'), 'fullmon', 'rules', 'test')).toContain('all as they should be')
  })

  test('may be edited, removed and replaced by the host', () => {
    const etc = join(root, 'etc')
    cpSync(inHost('etc'), etc, { recursive: true })
    const folder = join(etc, 'fullmon/rules')
    rmSync(join(folder, 'shells.yaml'))
    const network = readFileSync(join(folder, 'network.yaml'), 'utf8')
    const [, edited = ''] = /^- id: (\S+)/m.exec(network) ?? []
    writeFileSync(join(folder, 'network.yaml'), network.replace(edited, 'edited-here'))
    writeFileSync(join(folder, 'own.yaml'), OWN_RULE)
    const rules = listed(etc)
    const ids = rules.map(({ id }) => id)
    expect(ids).toContain('edited-here')
    expect(ids).not.toContain('reverse-shell-command')
    expect(rules.filter(({ id }) => id === 'setuid-bit')).toMatchObject([
      { place: expect.stringContaining('/etc/fullmon/rules/own.yaml:') as string, isShipped: false },
    ])
  })
})

describe('its copyright', () => {
  test('has the licence of everything that is bundled', () => {
    const text = readFileSync(inHost('usr/share/doc/fullmon/copyright'), 'utf8')
    const stanzas = text.split('\n\n')
    const bundled = globSync('node_modules/**/package.json', { cwd: inHost(PROGRAM) })
      .map((path) => path.replace(/\/package\.json$/, ''))
      .filter((path) => /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+$/.test(path))
    expect(bundled.length).toBeGreaterThan(30)
    for (const folder of bundled) {
      const stanza = stanzas.find((one) => one.startsWith(`Files: ${folder}/*\n`)) ?? `nothing of ${folder}`
      expect(stanza).toMatch(/\nCopyright: .*\w{3}/)
      expect(stanza).toMatch(/Permission (?:is hereby granted|to use, copy)/)
    }
    expect(text).toContain(readFileSync(join(REPOSITORY, 'LICENSE'), 'utf8').split('\n')[2])
    const node = must('zcat', inHost('usr/share/doc/fullmon/LICENSE.node.gz')).stdout
    expect(node).toContain('Node.js is licensed for use as follows')
    expect(node).toContain('OpenSSL')
  })
})

test(
  'lintian has nothing to say but what debian/fullmon.lintian-overrides explains',
  ({ skip }) => {
    skip(!isThere('lintian'), 'needs lintian')
    const { stdout } = run('lintian', '--tag-display-limit=0', '--allow-root', '--display-info', archive)
    // zstd is of the fast packages for tests; scripts/release asks about the real one.
    const told = stdout
      .trimEnd()
      .split('\n')
      .filter((line) => !line.includes(' malformed-deb-archive '))
    expect(told.filter((line) => /^[EW]: /.test(line))).toEqual([])
    expect(told.filter((line) => /unused-override|malformed-override/.test(line))).toEqual([])
    const overrides = readFileSync(join(REPOSITORY, 'debian/fullmon.lintian-overrides'), 'utf8')
    for (const group of overrides.trimEnd().split(/\n(?=#)/))
      expect(group).toMatch(/^# .{20,}\n(?:# .*\n)*fullmon: /)
  },
  BUILD_MS,
)
