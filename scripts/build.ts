/**
 * Makes JavaScript of the agent: `node scripts/build.ts [FOLDER]` (default: dist). Node could run the TypeScript as it
 * is, but what it needs for that costs a quarter of a second and 40 MB at each start.
 *
 * Types are replaced by blanks, so every line and column of the result is that of its source. The file `commit` says of what
 * it was made: $FULLMON_COMMIT, or what git knows of this checkout.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join } from 'node:path'

const root = dirname(import.meta.dirname)
const target = process.argv[2] ?? join(root, 'dist')
const RELATIVE_IMPORT = /(from |import |import\()'(\.{1,2}\/[^']*)\.ts'/g

rmSync(target, { recursive: true, force: true })
for (const source of globSync('agent/**/*.ts', { cwd: root })) {
  const javascript = stripTypeScriptTypes(readFileSync(join(root, source), 'utf8')).replace(
    RELATIVE_IMPORT,
    "$1'$2.js'",
  )
  const file = join(target, source.replace(/\.ts$/, '.js'))
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, javascript)
}
cpSync(join(root, 'rules'), join(target, 'rules'), { recursive: true })
cpSync(join(root, 'package.json'), join(target, 'package.json'))
writeFileSync(join(target, 'commit'), `${commit()}\n`)

/** Twelve digits, with `-dirty` when what is built differs from it. */
function commit(): string {
  const given = process.env['FULLMON_COMMIT']
  if (given !== undefined && given !== '') {
    if (!/^(?:[0-9a-f]{12}(?:-dirty)?|unknown)$/.test(given))
      throw new Error(`FULLMON_COMMIT is no commit of twelve digits: ${given}`)
    return given
  }
  // Not of another checkout around this tree.
  const head = existsSync(join(root, '.git')) ? git('rev-parse', 'HEAD') : undefined
  if (head === undefined) return 'unknown'
  const changes = git('status', '--porcelain', '--', 'agent', 'rules', 'package.json', 'scripts/build.ts')
  return head.slice(0, 12) + (changes === '' ? '' : '-dirty')
}

/** Undefined without git, and in a checkout of somebody else, which git refuses to look at. */
function git(...words: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync('git', ['-C', root, '--no-optional-locks', ...words], {
    encoding: 'utf8',
  })
  return status === 0 ? stdout.trim() : undefined
}
