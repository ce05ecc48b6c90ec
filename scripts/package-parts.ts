/**
 * Makes what goes into the Debian package and is not in the checkout: `node scripts/package-parts.ts FOLDER CPU NODE VERSION`.
 * Called by scripts/package; NODE is the folder of the npm package with the runtime for CPU (`x64`, `arm64`).
 */
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { filesNeeded, packageOf } from './bundle.ts'
import { type BundledPackage, changelogOf, copyrightOf } from './debian-texts.ts'

const root = dirname(import.meta.dirname)
const [folder = '', cpu = '', runtime = '', version = ''] = process.argv.slice(2)
const date = new Date(Number(process.env['SOURCE_DATE_EPOCH']) * 1000)
const read = (path: string): string => readFileSync(path, 'utf8')
const write = (name: string, text: string): void => writeFileSync(join(folder, name), text)

run({}, join(root, 'scripts/build.ts'), join(folder, 'dist'))
const program = join(folder, 'dist/agent/main.js')
const needed = filesNeeded(root, globSync(join(folder, 'dist/**/*.js')), cpu)
for (const name of needed) {
  mkdirSync(join(folder, dirname(name)), { recursive: true })
  copyFileSync(join(root, name), join(folder, name))
}
// Which of them is asked for is told by the shell.
write('completion.bash', run({ SHELL: '/bin/bash' }, program, 'completion'))
write('completion.zsh', run({ SHELL: '/bin/zsh' }, program, 'completion'))
// Its rules are files of the configuration.
rmSync(join(folder, 'dist/rules'), { recursive: true })
cpSync(join(runtime, 'bin/node'), join(folder, 'node'))
cpSync(join(runtime, 'LICENSE'), join(folder, 'LICENSE.node'))
write('changelog', changelogOf(read(join(root, 'CHANGELOG.md')), version, date))
const packages = [...new Set(needed.map(packageOf))].map(bundled)
write('copyright', copyrightOf(read(join(root, 'LICENSE')), packages, manifestOf(runtime).version))

function bundled(name: string): BundledPackage {
  const files = readdirSync(join(root, name)).filter((file) => /^licen[cs]e/i.test(file))
  if (files.length === 0) throw new Error(`${name} has no file with its licence`)
  const { version: found, license } = manifestOf(join(root, name))
  return {
    folder: name,
    version: found,
    license,
    text: files.map((file) => read(join(root, name, file))).join('\n'),
  }
}

function manifestOf(place: string): { readonly version: string; readonly license: string } {
  return JSON.parse(read(join(place, 'package.json'))) as { version: string; license: string }
}

function run(env: NodeJS.ProcessEnv, ...words: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', ...words],
    { encoding: 'utf8', env: { ...process.env, ...env } },
  )
  if (status !== 0) throw new Error(`${words.join(' ')}: ${stderr}`)
  return stdout
}
