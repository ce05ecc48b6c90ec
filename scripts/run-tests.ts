/**
 * Runs the checks of package.json, one by one, and vitest, and counts both; see scripts/test, which installs
 * everything first. Each check counts as a test. With arguments: vitest alone, with these arguments.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import packageJson from '../package.json' with { type: 'json' }
import type { Tally } from './tally-reporter.ts'

const vitestArguments = process.argv.slice(2)
const checks = Object.keys(packageJson.scripts).filter((name) => name.startsWith('check:'))
const nothing: Tally = { passed: 0, failed: [], skipped: [], flaky: [] }
const tally = [...(vitestArguments.length === 0 ? checks.map(check) : []), vitest(vitestArguments)].reduce(
  sum,
)

for (const { name, reason } of tally.skipped) console.log(`skipped: ${name}: ${reason}`)
for (const { name, reason } of tally.flaky) console.log(`flaky: ${name}: passed when tried again: ${reason}`)
for (const name of tally.failed) console.log(`failed: ${name}`)
console.log(`${tally.passed} passed, ${tally.failed.length} failed, ${tally.skipped.length} skipped`)
process.exitCode = tally.failed.length === 0 ? 0 : 1

function sum(a: Tally, b: Tally): Tally {
  return {
    passed: a.passed + b.passed,
    failed: [...a.failed, ...b.failed],
    skipped: [...a.skipped, ...b.skipped],
    flaky: [...a.flaky, ...b.flaky],
  }
}

function run(...words: string[]): boolean {
  return spawnSync(process.execPath, words, { stdio: ['ignore', 'inherit', 'inherit'] }).status === 0
}

function check(name: string): Tally {
  console.log(name)
  const succeeded = run('--run', name)
  return succeeded ? { ...nothing, passed: 1 } : { ...nothing, failed: [name] }
}

/** A run that ends badly without a failed test (a crash, no test found) is a failure too. */
function vitest(words: readonly string[]): Tally {
  const folder = mkdtempSync(join(tmpdir(), 'fullmon-tally-'))
  const path = join(folder, 'tally.json')
  process.env['FULLMON_TALLY'] = path
  const reporters = ['--reporter=default', '--reporter=./scripts/tally-reporter.ts']
  const succeeded = run('node_modules/vitest/vitest.mjs', 'run', ...reporters, ...words)
  const tally = readTally(path)
  rmSync(folder, { recursive: true })
  return succeeded || tally.failed.length > 0 ? tally : sum(tally, { ...nothing, failed: ['vitest'] })
}

function readTally(path: string): Tally {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Tally
  } catch {
    return { ...nothing, failed: ['vitest ended without its report'] }
  }
}
