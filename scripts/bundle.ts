/** Which files of node_modules a program needs: what its modules import, and what those import, however lazily. */
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { createRequire, isBuiltin } from 'node:module'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const IMPORT = /\b(?:from|import|import\()\s*(['"])([^'"\n]+)\1/g
const REQUIRE = /\brequire\(\s*(['"])([^'"\n]+)\1\s*\)/g
const MODULE = /\.[cm]?js$/
/** The folder of a package within node_modules, and of those within its own. */
const PACKAGE = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/

/** What no import names: `cpu` is that of the machine on which the program will run. */
const OPENED_BY_NAME = (cpu: string): readonly string[] => [
  `node_modules/better-sqlite3/prebuilds/linux-${cpu}.node`,
  'node_modules/yargs/locales/en.json',
]

/**
 * Paths that begin with node_modules/, sorted; the package.json of each package is among them.
 *
 * @param root folder that has node_modules
 * @param modules paths of the program's own modules
 */
export function filesNeeded(root: string, modules: readonly string[], cpu: string): readonly string[] {
  const packages = realpathSync(join(root, 'node_modules'))
  const needed = new Set(OPENED_BY_NAME(cpu))
  const open = modules.flatMap((path) => importedBy(path, join(root, 'package.json')))
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const within = relative(packages, path)
    const name = join('node_modules', within)
    if (within.startsWith('..') || needed.has(name)) continue
    needed.add(name)
    if (MODULE.test(path)) open.push(...importedBy(path, path))
  }
  return [...new Set([...needed].flatMap((name) => [name, ...manifestsOf(root, name)]))].sort()
}

/** Of the package and of the folders below it: the nearest says of which type a module is. */
function manifestsOf(root: string, name: string): readonly string[] {
  const folder = dirname(name)
  const manifest = join(folder, 'package.json')
  const here = existsSync(join(root, manifest)) ? [manifest] : []
  return folder.length <= packageOf(name).length ? here : [...here, ...manifestsOf(root, folder)]
}

/** `node_modules/NAME` of a file in it. */
export function packageOf(name: string): string {
  const [found] = PACKAGE.exec(name) ?? []
  if (found === undefined) throw new Error(`${name} is in no package`)
  return found
}

/** Names that cannot be resolved stand in comments, or are of what Node could not load either. */
function importedBy(path: string, parent: string): string[] {
  const text = readFileSync(path, 'utf8')
  const { resolve } = createRequire(parent)
  const imported = namesIn(text, IMPORT).map((name) => resolved(name, importFrom(parent)))
  const required = namesIn(text, REQUIRE).map((name) => resolved(name, resolve))
  const own = (found: string | undefined): found is string =>
    found?.includes(`${sep}node_modules${sep}`) === true
  return [...imported, ...required].filter(own)
}

const namesIn = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map(([, , name = '']) => name).filter((name) => !isBuiltin(name))

/** Needs --experimental-import-meta-resolve: without it the second argument does not count. */
const importFrom = (parent: string) => (name: string) =>
  fileURLToPath(import.meta.resolve(name, pathToFileURL(parent)))

function resolved(name: string, resolve: (name: string) => string): string | undefined {
  try {
    return realpathSync(resolve(name))
  } catch {
    return undefined
  }
}
