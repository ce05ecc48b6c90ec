import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const DOCUMENT = readFileSync(join(ROOT, 'docs/detection.md'), 'utf8')

/** What stands between the two lines that name a recording. */
function tablesOf(name: string): string {
  const [before, after] = [`<!-- ${name} -->\n\n`, `\n<!-- end of ${name} -->`]
  const from = DOCUMENT.indexOf(before)
  expect(from).toBeGreaterThan(0)
  return DOCUMENT.slice(from + before.length, DOCUMENT.indexOf(after))
}

describe.each([
  { name: 'host-a', folder: join(ROOT, '../shared/corpus/host-a'), isMet: true },
  { name: 'host-b', folder: join(ROOT, 'test/fixtures/host-b'), isMet: false },
])('docs/detection.md', ({ name, folder, isMet }) => {
  const isThere = existsSync(join(folder, 'audit.log.xz'))
  if (!isThere)
    process.stderr.write(`detection.test.ts: left out: the recording of ${name} is not beside the checkout\n`)

  test.skipIf(!isThere)(
    `says of ${name} what scripts/evaluate prints`,
    () => {
      const file = (base: string): string => join(folder, base)
      const words = [file('audit.log.xz'), file('phases.jsonl'), '--dns', file('dns.pcap.xz'), '--goal']
      const { status, stdout } = spawnSync(join(ROOT, 'scripts/evaluate'), words, {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      expect(stdout).toBe(tablesOf(name))
      expect(status === 0).toBe(isMet)
    },
    120_000,
  )
})
