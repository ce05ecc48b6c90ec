import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { folderForTest } from '../support/folder.ts'

const ROOT = join(import.meta.dirname, '../..')
const MAIN = join(ROOT, 'agent/main.ts')
const LOG = join(ROOT, 'test/fixtures/recorded/memory.log')

interface Said {
  readonly status: number | null
  readonly lines: readonly string[]
  readonly stderr: string
}

function fullmon(...words: readonly string[]): Said {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8' })
  return { status, lines: stdout.split('\n').filter((line) => line !== ''), stderr }
}

interface Document {
  readonly ecs: { readonly version: string }
  readonly event: { readonly kind: string; readonly id: string }
}

test('a replay prints an object of ECS for each incident, and incidents prints the same ones', () => {
  const db = join(folderForTest(), 'baseline.db')
  const replayed = fullmon('replay', LOG, '--train', '0', '--db', db, '--format', 'ecs')
  expect(replayed).toMatchObject({ status: 0, stderr: '' })
  const documents = replayed.lines.map((line) => JSON.parse(line) as Document)
  const idsOf = (of: readonly Document[]): string[] =>
    of.filter(({ event }) => event.kind === 'alert').map(({ event }) => event.id)
  expect(idsOf(documents).length).toBeGreaterThan(0)
  expect(new Set(documents.map(({ ecs }) => ecs.version)).size).toBe(1)
  const { lines } = fullmon('incidents', '--db', db, '--format', 'ecs')
  expect(idsOf(lines.map((line) => JSON.parse(line) as Document))).toEqual(idsOf(documents))
})

test('--json is --format json', () => {
  const [json, short] = [['--format', 'json'], ['--json']].map((words) => fullmon('replay', LOG, ...words))
  expect(json?.lines.length).toBeGreaterThan(0)
  expect(json?.lines).toEqual(short?.lines)
})

test('two formats at once are refused, and one that there is not', () => {
  expect(fullmon('replay', LOG, '--json', '--format', 'ecs')).toEqual({
    ...{ status: 2, lines: [] },
    stderr: 'fullmon: --json is --format json: it cannot be ecs, too\n',
  })
  expect(fullmon('replay', LOG, '--format', 'xml').status).toBe(2)
})
