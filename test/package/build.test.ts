/** What is in the Debian package. */
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { builtPackage, noPackages } from '../support/package.ts'
import { AS_NOBODY, noStranger } from '../support/running.ts'

const REPOSITORY = join(import.meta.dirname, '../..')
const MACHINE = spawnSync('dpkg', ['--print-architecture'], { encoding: 'utf8' }).stdout.trim()
const PROGRAM = 'usr/lib/fullmon'
const BUILD_MS = 300_000

const isThere = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0

function run(
  program: string,
  words: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
) {
  const { status, stdout, stderr, error } = spawnSync(program, words, {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    ...options,
  })
  if (error !== undefined) throw error
  return { status, stdout, stderr }
}

function outputOf(program: string, ...words: string[]): string {
  const { status, stdout, stderr } = run(program, words)
  if (status !== 0) throw new Error(`${program}: ${stderr}${stdout}`)
  return stdout
}

const linesOf = (program: string, ...words: string[]): readonly string[] =>
  outputOf(program, ...words)
    .trimEnd()
    .split('\n')

interface Entry {
  readonly mode: string
  readonly owner: string
  readonly path: string
}

const contentsOf = (archive: string): readonly Entry[] =>
  linesOf('dpkg-deb', '--contents', archive).map((line) => {
    const [mode = '', owner = '', , , , name = ''] = line.split(/\s+/)
    return { mode, owner, path: name.replace(/^\.\//, '/').replace(/(?<=.)\/$/, '') }
  })

/** Every second opinion on a binary is readelf's. */
const machineOf = (path: string): string => /Machine:\s*(.*)/.exec(outputOf('readelf', '-h', path))?.[1] ?? ''

const obstacle = noPackages()
let root = ''
let archive = ''
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'fullmon-package-'))
  if (obstacle !== undefined) return
  archive = builtPackage()
  outputOf('dpkg-deb', '--extract', archive, join(root, 'host'))
}, BUILD_MS)
afterAll(() => rmSync(root, { recursive: true, force: true }))
beforeEach(({ skip }) => {
  skip(obstacle !== undefined, obstacle)
})
const inHost = (path: string): string => join(root, 'host', path)

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
    const conffiles = linesOf('dpkg-deb', '--info', archive, 'conffiles')
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
    expect(executable.map(({ path }) => basename(path)).filter((name) => name !== 'auditd-relay')).toEqual([
      'node',
      'launch',
    ])
  })

  test('have a manual, a changelog of this version and completions that shells can read', () => {
    expect(outputOf('zcat', inHost('usr/share/man/man8/fullmon.8.gz'))).toBe(
      readFileSync(join(REPOSITORY, 'docs/fullmon.8'), 'utf8'),
    )
    const changelog = join(root, 'changelog')
    writeFileSync(changelog, outputOf('zcat', inHost('usr/share/doc/fullmon/changelog.gz')))
    expect(outputOf('dpkg-parsechangelog', '--file', changelog, '--show-field', 'Version').trim()).toBe(
      outputOf('dpkg-deb', '--field', archive, 'Version').trim(),
    )
    outputOf('bash', '-n', inHost('usr/share/bash-completion/completions/fullmon'))
    const zsh = readFileSync(inHost('usr/share/zsh/vendor-completions/_fullmon'), 'utf8')
    expect(zsh).toMatch(/^#compdef fullmon\n/)
  })
})

describe('its program', () => {
  test('runs by itself', () => {
    expect(outputOf(inHost('usr/bin/fullmon'), '--version')).toContain(packageJson.version)
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
    const { stdout } = run(
      inHost(`${PROGRAM}/bin/node`),
      ['--input-type=module', '-e', `import fs from 'node:fs'; import path from 'node:path'; ${code}`],
      {
        cwd: inHost(PROGRAM),
      },
    )
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
    const { stdout } = run('dpkg-shlibdeps', ['-O', ...binaries.map((path) => `-e${path}`)], { cwd: folder })
    const found = versionsIn(stdout.replace('shlibs:Depends=', ''))
    const said = versionsIn(outputOf('dpkg-deb', '--field', archive, 'Depends'))
    expect([...found.keys()].sort()).toEqual(['libc6', 'libgcc-s1', 'libstdc++6'])
    for (const [name, version] of found) {
      const own = said.get(name)
      expect([name, own]).not.toEqual([name, undefined])
      const isEnough =
        own !== '' && run('dpkg', ['--compare-versions', own ?? '', 'ge', version]).status === 0
      // Its oldest version in any release that has the others.
      expect([name, own, isEnough || name === 'libgcc-s1']).toEqual([name, own, true])
    }
  })

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
  /** As if the package were installed here, for one command. */
  function inside(etc: string, ...words: string[]): string {
    const mounts =
      'mount -t overlay overlay -o "lowerdir=$1:/etc" /etc && mount -t overlay overlay -o "lowerdir=$2:/usr" /usr'
    const script = `${mounts} && shift 2 && exec "$@"`
    return outputOf('unshare', '--mount', 'sh', '-c', script, 'sh', etc, inHost('usr'), ...words)
  }
  const listed = (etc: string): readonly { id: string; place: string; isShipped: boolean }[] =>
    inside(etc, 'fullmon', 'rules', 'list', '--json')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string; place: string; isShipped: boolean })

  beforeEach(({ skip }) => {
    skip(process.getuid?.() !== 0, 'needs root')
    skip(spawnSync('unshare', ['--mount', 'true']).status !== 0, 'needs a mount name space')
  })

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
    const node = outputOf('zcat', inHost('usr/share/doc/fullmon/LICENSE.node.gz'))
    expect(node).toContain('Node.js is licensed for use as follows')
    expect(node).toContain('OpenSSL')
  })
})

test('lintian has nothing to say but what debian/fullmon.lintian-overrides explains', ({ skip }) => {
  skip(!isThere('lintian'), 'needs lintian')
  const { stdout } = run('lintian', ['--tag-display-limit=0', '--allow-root', '--display-info', archive])
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
}, 120_000)

describe('building', () => {
  test('gives the same bytes for somebody else, elsewhere, in another time zone and language', ({ skip }) => {
    const reason = noStranger()
    skip(reason !== undefined, reason)
    const copy = join(root, 'elsewhere')
    cpSync(REPOSITORY, copy, {
      recursive: true,
      preserveTimestamps: false,
      filter: (path) => !['node_modules', 'dist', 'dist.new'].includes(basename(path)),
    })
    symlinkSync(join(REPOSITORY, 'node_modules'), join(copy, 'node_modules'))
    outputOf('chown', '-R', '--no-dereference', '65534:65534', copy)
    outputOf('chmod', 'a+rx', root)
    const [program = '', ...words] = AS_NOBODY
    const build = `umask 077; exec '${copy}/scripts/package' --fast --output '${copy}/out'`
    const env = {
      ...process.env,
      TZ: 'Pacific/Auckland',
      LC_ALL: 'C',
      HOME: copy,
      LANG: 'C',
      SHELL: '/bin/zsh',
    }
    const { status, stderr } = run(program, [...words, 'sh', '-c', build], { cwd: copy, env })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(globSync('*.deb', { cwd: join(copy, 'out') })).toEqual([basename(archive)])
    expect(linesOf('sha256sum', archive)[0]?.split(' ')[0]).toBe(
      linesOf('sha256sum', join(copy, 'out', basename(archive)))[0]?.split(' ')[0],
    )
  }, 300_000)

  const other = MACHINE === 'amd64' ? 'arm64' : 'amd64'
  test(`is possible for ${other}`, ({ skip }) => {
    skip(!isThere('npm'), 'needs npm')
    skip(
      !isThere(other === 'arm64' ? 'aarch64-linux-gnu-strip' : 'x86_64-linux-gnu-strip'),
      'needs its binutils',
    )
    const foreign = builtPackage({ arch: other })
    expect(outputOf('dpkg-deb', '--field', foreign, 'Architecture').trim()).toBe(other)
    const host = join(root, 'other')
    outputOf('dpkg-deb', '--extract', foreign, host)
    const machine = other === 'arm64' ? 'AArch64' : 'Advanced Micro Devices X86-64'
    const binaries = globSync(`${host}/${PROGRAM}/{bin/node,**/*.node}`)
    expect(binaries.map(machineOf)).toEqual([machine, machine])
    for (const binary of binaries) expect(outputOf('readelf', '-S', binary)).not.toContain('.symtab')
    const names = (path: string): readonly string[] =>
      contentsOf(path).map(({ path: name }) => name.replace(/linux-\w+\.node$/, 'linux.node'))
    expect(names(foreign)).toEqual(names(archive))
  }, 300_000)

  test.each([
    [['--arch', 'mips64'], 'there is no runtime for mips64'],
    [['--version', '1.0-1'], '1.0-1 is no version'],
    [['--arch'], '--arch needs a value'],
    [['--quick'], 'it knows no --quick'],
  ])('%j is refused in one sentence', (words, sentence) => {
    const { status, stdout, stderr } = run(join(REPOSITORY, 'scripts/package'), words)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(/^scripts\/package: [^\n]*\.\n$/)
    expect(stderr).toContain(sentence)
  })

  test('takes another version, which the program knows too', () => {
    const newer = builtPackage({ version: '900.1.0' })
    expect(basename(newer)).toBe(`fullmon_900.1.0_${MACHINE}.deb`)
    const host = join(root, 'newer')
    outputOf('dpkg-deb', '--extract', newer, host)
    expect(outputOf(join(host, 'usr/bin/fullmon'), '--version')).toContain('900.1.0')
  }, 300_000)
})
