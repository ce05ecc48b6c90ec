import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'

const REPOSITORY = join(import.meta.dirname, '../..')
const trees: string[] = []

afterEach(() => trees.splice(0).forEach((tree) => rmSync(tree, { recursive: true })))

interface Project {
  readonly checks: Readonly<Record<string, string>>
  readonly tests: Readonly<Record<string, string>>
}

/** Runs scripts/run-tests.ts in a project of its own and returns the exit status and what it printed. */
function runTests(project: Project, ...words: string[]): { status: number | null; lines: string[] } {
  const tree = mkdtempSync(join(tmpdir(), 'fullmon-run-tests-'))
  trees.push(tree)
  cpSync(join(REPOSITORY, 'scripts'), join(tree, 'scripts'), { recursive: true })
  symlinkSync(join(REPOSITORY, 'node_modules'), join(tree, 'node_modules'))
  writeFileSync(join(tree, 'package.json'), JSON.stringify({ type: 'module', scripts: project.checks }))
  mkdirSync(join(tree, 'test'))
  for (const [name, body] of Object.entries(project.tests)) {
    const head = "import { afterAll, beforeAll, describe, expect, test } from 'vitest'\n"
    writeFileSync(join(tree, 'test', `${name}.test.ts`), head + body)
  }
  const { status, stdout } = spawnSync(process.execPath, ['scripts/run-tests.ts', ...words], {
    cwd: tree,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  })
  return { status, lines: stdout.trimEnd().split('\n') }
}

test('checks and tests that pass are counted together', () => {
  const { status, lines } = runTests({
    checks: { 'check:one': 'true', 'check:two': 'true', other: 'false' },
    tests: { a: "test('x', () => expect(1).toBe(1))", b: "test('y', () => {})\ntest('z', () => {})" },
  })
  expect(lines.at(-1)).toBe('5 passed, 0 failed, 0 skipped')
  expect(status).toBe(0)
})

test('every kind of failure is counted and named', () => {
  const { status, lines } = runTests({
    checks: { 'check:good': 'true', 'check:bad': 'exit 3' },
    tests: {
      assertion: "test('x', () => expect(1).toBe(2))\ntest('y', () => {})",
      unloadable: "import './missing.ts'\ntest('x', () => {})",
      setup: "describe('group', () => { beforeAll(() => { throw new Error('no') })\ntest('x', () => {}) })",
      stray: "test('x', () => { void Promise.reject(new Error('nobody waits')) })",
    },
  })
  expect(lines.filter((line) => line.startsWith('failed: ')).sort()).toEqual([
    'failed: check:bad',
    'failed: outside of a test: nobody waits',
    'failed: test/assertion.test.ts > x',
    'failed: test/setup.test.ts > group',
    'failed: test/unloadable.test.ts',
  ])
  expect(lines).toContain('skipped: test/setup.test.ts > group > x: its suite failed before it')
  expect(lines.at(-1)).toBe('3 passed, 5 failed, 1 skipped')
  expect(status).toBe(1)
})

test('skipped tests are listed with their reason', () => {
  const { status, lines } = runTests({
    checks: {},
    tests: { a: "test('x', (context) => context.skip('needs root'))\ntest('y', () => {})" },
  })
  expect(lines.slice(-2)).toEqual([
    'skipped: test/a.test.ts > x: needs root',
    '1 passed, 0 failed, 1 skipped',
  ])
  expect(status).toBe(0)
})

test('a test that passes only when it is tried again counts as passed, and is named with what went wrong', () => {
  const { status, lines } = runTests({
    checks: {},
    tests: {
      a: `let tries = 0
        test('x', { retry: 1 }, () => expect((tries += 1)).toBe(2))
        test('y', { retry: 1 }, () => expect(1).toBe(2))
        test('z', { retry: 1 }, () => {})`,
    },
  })
  expect(lines.slice(-3)).toEqual([
    'flaky: test/a.test.ts > x: passed when tried again: expected 1 to be 2 // Object.is equality',
    'failed: test/a.test.ts > y',
    '2 passed, 1 failed, 0 skipped',
  ])
  expect(status).toBe(1)
})

test('a vitest that dies or finds nothing is a failure', () => {
  const dying = { checks: {}, tests: { a: "test('x', () => {})" } }
  const none = runTests(dying, 'no-such-test')
  expect(none.lines.at(-1)).toBe('0 passed, 1 failed, 0 skipped')
  expect(none.status).toBe(1)
  const unknown = runTests(dying, '--no-such-option')
  expect(unknown.lines.at(-1)).toMatch(/^0 passed, [12] failed, 0 skipped$/)
  expect(unknown.status).toBe(1)
})

test('with arguments only the tests they name run, and no check', () => {
  const { status, lines } = runTests(
    {
      checks: { 'check:bad': 'false' },
      tests: { a: "test('x', () => {})", b: "test('y', () => expect(1).toBe(2))" },
    },
    'test/a',
  )
  expect(lines.at(-1)).toBe('1 passed, 0 failed, 0 skipped')
  expect(status).toBe(0)
})
