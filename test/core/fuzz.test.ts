import { execFile } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import type { Tally } from '../fuzz/run.ts'

/** Damaged lines for each seed; a long run is asked for with FULLMON_FUZZ_LINES, in all. */
const SEEDS = [1, 2, 3, randomInt(2 ** 32)]
const LINES = Math.ceil(Number(process.env['FULLMON_FUZZ_LINES'] ?? 100_000) / SEEDS.length)
/** What a core and an agent may come to hold that is bounded, but not full after a tenth of the run. */
const MARGIN_BYTES = 20_000_000

// Ends a run that hangs; a line takes less than 0.1 ms.
const timeout = 120_000 + LINES

test.for(SEEDS)(
  'no crash, no hang, every line read or counted, memory flat: seed %i',
  { timeout },
  async (seed, { signal }) => {
    const words = ['--expose-gc', 'test/fuzz/run.ts', '--lines', String(LINES), '--seed', String(seed)]
    const { stdout } = await promisify(execFile)(process.execPath, words, {
      cwd: join(import.meta.dirname, '../..'),
      signal,
    })
    process.stderr.write(`fuzz.test.ts: ${stdout}`)
    const { mutants, lines, records, unreadable, edges, heapBytes } = JSON.parse(stdout) as Tally
    expect(mutants).toBeGreaterThanOrEqual(LINES)
    // The damage is neither so little that everything is read, nor so much that nothing goes further than the first bytes.
    expect(records).toBeGreaterThan(lines / 2)
    expect(unreadable).toBeGreaterThan(lines / 20)
    expect(edges).toBeGreaterThan(lines / 50)
    const [first, last] = heapBytes
    expect(last - first).toBeLessThan(MARGIN_BYTES)
  },
)
