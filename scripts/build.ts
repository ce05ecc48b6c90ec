/**
 * Makes JavaScript of the agent: `node scripts/build.ts [FOLDER]` (default: dist). Node could run the TypeScript as it
 * is, but what it needs for that costs a quarter of a second and 40 MB at each start.
 *
 * Types are replaced by blanks, so every line and column of the result is that of its source.
 */
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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
