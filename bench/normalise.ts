/** What it costs to name a path that was not met before, and to learn from it. */
import { createHash } from 'node:crypto'
import { PathPatterns } from '../agent/graph/patterns.ts'
import { protectionOf } from '../agent/protection.ts'

const PATHS = 20_000
const HOSTILE_PATHS = 200
const ROUNDS = 5
const PROCESS = 'proc::www-data:/usr/bin/php8.2</srv/shop/index.php'

const hex = (index: number): string => createHash('md5').update(String(index)).digest('hex')

const USUAL: Readonly<Record<string, (index: number) => string>> = {
  'a digest': (index) => `/srv/app/uploads/report-${hex(index)}.gz`,
  'a pid': (index) => `/run/app/worker-${10_000 + index}.pid`,
  'a stamp': (index) => `/var/backups/db-20261121T101112Z-${index}.sql.gz`,
  tempfile: (index) => `/tmp/tmp${hex(index).slice(0, 7)}_/part_${index % 100}.csv`,
  'a small number': (index) => `/var/lib/app/queue/${index % 10}/part-${index % 100}.dat`,
  words: (index) => `/usr/share/doc/${'abcdefghij'.charAt(index % 10)}/changelog.Debian.gz`,
}
const HOSTILE: Readonly<Record<string, (length: number) => string>> = {
  numbers: (length) => '/a1'.repeat(length / 3),
  'one name': (length) => `/${'a1b2-'.repeat(length / 5)}`,
  digests: (length) => '/d41d8cd98f00b204'.repeat(length / 17),
}

/** Microseconds a path, of the fastest round: the others were disturbed. */
function measure(paths: readonly string[], work: (path: string) => unknown): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint()
    for (const path of paths) work(path)
    best = Math.min(best, Number(process.hrtime.bigint() - start) / 1000 / paths.length)
  }
  return best
}

const rows: Record<string, string>[] = []
for (const [what, made] of Object.entries(USUAL)) {
  const paths = Array.from({ length: PATHS }, (_, index) => made(index))
  const patterns = new PathPatterns([], false, protectionOf)
  const learn = measure(paths, (path) => patterns.learn(PROCESS, 'create', path))
  const name = measure(paths, (path) => patterns.nameOf(PROCESS, 'create', path))
  rows.push({ what, 'name, µs': name.toFixed(2), 'learn, µs': learn.toFixed(2) })
}
for (const [what, made] of Object.entries(HOSTILE))
  for (const length of [1024, 2048, 4096]) {
    const patterns = new PathPatterns([], false, protectionOf)
    const paths = Array.from({ length: HOSTILE_PATHS }, (_, index) => `${made(length)}${index}`)
    const name = measure(paths, (path) => patterns.nameOf(PROCESS, 'create', path))
    rows.push({
      what: `hostile: ${what}, ${length} characters`,
      'name, µs': name.toFixed(0),
      'ns a character': ((1000 * name) / length).toFixed(0),
    })
  }

if (process.argv.includes('--json')) for (const row of rows) process.stdout.write(`${JSON.stringify(row)}\n`)
else console.table(rows)
