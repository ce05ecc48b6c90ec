import { spawnSync } from 'node:child_process'
import { appendFileSync, cpSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { folderForTest } from '../support/folder.ts'

const REPOSITORY = join(import.meta.dirname, '../..')

/** A tree of its own with what is built, of which nobody knows a commit. */
function tree(): string {
  const root = folderForTest()
  for (const path of ['agent', 'rules', 'profiles', 'package.json', 'scripts/build.ts'])
    cpSync(join(REPOSITORY, path), join(root, path), { recursive: true })
  symlinkSync(join(REPOSITORY, 'node_modules'), join(root, 'node_modules'))
  return root
}

function git(root: string, ...words: readonly string[]): string {
  const who = ['-c', 'user.name=a', '-c', 'user.email=a@example.org', '-c', 'commit.gpgsign=false']
  const { status, stdout, stderr } = spawnSync('git', [...who, ...words], { cwd: root, encoding: 'utf8' })
  expect([status, stderr]).toEqual([0, ''])
  return stdout.trim()
}

/** Builds, and asks the result for its version. */
function built(root: string, commit?: string): string {
  const env = { ...process.env, FULLMON_COMMIT: commit }
  const build = spawnSync(process.execPath, ['scripts/build.ts'], { cwd: root, env, encoding: 'utf8' })
  if (build.status !== 0) return build.stderr
  return spawnSync(process.execPath, ['dist/agent/main.js', '--version'], { cwd: root, encoding: 'utf8' })
    .stdout
}

// It builds five times.
test('what is built knows its version, commit, schema and runtime', { timeout: 120_000 }, () => {
  const root = tree()
  const line = (commit: string): string =>
    `fullmon ${packageJson.version} (commit ${commit}, schema ${schema()}, node ${process.versions.node})\n`
  const schema = (): number => {
    const words = ['dist/agent/main.js', 'replay', '/dev/null', '--db', 'new.db', '--train', '1']
    spawnSync(process.execPath, words, { cwd: root })
    const database = new Database(join(root, 'new.db'))
    const version = database.pragma('user_version', { simple: true }) as number
    database.close()
    for (const end of ['', '-wal', '-shm', '-lock']) rmSync(join(root, `new.db${end}`), { force: true })
    return version
  }
  expect(built(root)).toBe(line('unknown'))
  expect(schema()).toBeGreaterThan(3)

  git(root, 'init', '--quiet')
  git(root, 'add', 'agent', 'rules', 'package.json', 'scripts')
  git(root, 'commit', '--quiet', '--message', 'one')
  const head = git(root, 'rev-parse', 'HEAD').slice(0, 12)
  expect(built(root)).toBe(line(head))

  expect(built(root, '0123456789ab')).toBe(line('0123456789ab'))
  expect(built(root, '0123456789ab"} 1')).toContain('FULLMON_COMMIT is no commit of twelve digits')

  appendFileSync(join(root, 'agent/main.ts'), '// Something else.\n')
  expect(built(root)).toBe(line(`${head}-dirty`))
  expect(readFileSync(join(root, 'dist/commit'), 'utf8')).toBe(`${head}-dirty\n`)
})
