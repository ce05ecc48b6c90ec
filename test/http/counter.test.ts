import { statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { Counter } from '../../agent/http/counter.ts'
import { folderForTest } from '../support/folder.ts'

function baselineOf(edges: number): string {
  const db = join(folderForTest(), 'baseline.db')
  const baseline = new Baseline(db)
  baseline.batch(() => {
    for (let number = 0; number < edges; number++)
      baseline.edges.learn(
        { kind: 'write', from: 'proc::root:/usr/bin/cat', to: `file:write:/srv/${number}` },
        1,
      )
  })
  baseline.close()
  return db
}

test('a small baseline is counted at once', async () => {
  const counter = new Counter(baselineOf(3))
  await counter.refresh()
  expect(counter.counts).toMatchObject({ edges: { write: 3, exec: 0 }, nodes: 4 })
})

test('a large one beside what goes on', async () => {
  const db = baselineOf(40_000)
  expect(statSync(db).size).toBeGreaterThan(4_194_304)
  const counter = new Counter(db)
  let turns = 0
  const ticking = setInterval(() => turns++, 1)
  await counter.refresh()
  clearInterval(ticking)
  expect(counter.counts).toMatchObject({ edges: { write: 40_000 }, nodes: 40_001 })
  expect(turns).toBeGreaterThan(0)
  await counter.close()
})

test('where there is none there are no counts, and closing ends what goes on', async () => {
  const none = new Counter('/nonexistent/baseline.db')
  await none.refresh()
  expect(none.counts).toBeUndefined()
  const large = new Counter(baselineOf(40_000))
  const counting = large.refresh()
  await large.close()
  await counting
  expect(large.counts).toBeUndefined()
})
