import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type Database from 'better-sqlite3'
import * as fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { type Item, sumUp } from '../../agent/baseline/content.ts'
import { Journal } from '../../agent/baseline/journal.ts'
import { openDatabase } from '../../agent/baseline/open.ts'
import { verifyJournal } from '../../agent/baseline/verify.ts'
import type { Edge } from '../../agent/domain/edge.ts'
import { folderForTest } from '../support/folder.ts'

const exec = (number: number): Edge => ({ kind: 'exec', from: 'proc::a:/a', to: `proc::a:/b${number}` })
const PATTERN = { process: 'proc::a:/a', action: 'create', path: '/tmp/\\d+' } as const
const LEARN = { timeMs: 1_795_243_161_801, action: 'learn', author: 'agent', detail: {} } as const

function databaseForTest(): Database.Database {
  const database = openDatabase(join(folderForTest(), 'baseline.db'))
  onTestFinished(() => void database.close())
  return database
}

/** The tables as they are when these are normal, and nothing in the journal. */
function put(database: Database.Database, items: readonly Item[]): void {
  const node = (name: string): unknown => {
    database.prepare('INSERT INTO nodes (name) VALUES (?) ON CONFLICT DO NOTHING').run(name)
    return database.prepare('SELECT id FROM nodes WHERE name = ?').pluck().get(name)
  }
  for (const item of items) {
    if ('process' in item) {
      database
        .prepare(
          "INSERT INTO patterns (process, action, path, printed, examples, learned_ms) VALUES (?, ?, ?, '', '[]', 1)",
        )
        .run(item.process, item.action, item.path)
    } else {
      database
        .prepare(
          `INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days) VALUES (?, ?, ?, 1, 2, 3, 1)`,
        )
        .run(node(item.from), node(item.to), item.kind)
    }
  }
}

/** As an agent does it: tables and journal in one transaction. */
const learn = (database: Database.Database, items: readonly Item[]): void =>
  database.transaction(() => {
    put(database, items)
    new Journal(database).append(LEARN, { added: items })
  })()

const forget = (database: Database.Database, edge: Edge): void => {
  database
    .prepare('DELETE FROM edges WHERE kind = ? AND to_id = (SELECT id FROM nodes WHERE name = ?)')
    .run(edge.kind, edge.to)
}

/** Three rows, five edges and a pattern. */
function journaled(): Database.Database {
  const database = databaseForTest()
  learn(database, [exec(1), exec(2)])
  learn(database, [exec(3), PATTERN])
  learn(database, [exec(4), exec(5)])
  return database
}

test('an empty baseline fits its empty journal', () => {
  expect(verifyJournal(databaseForTest())).toEqual({ rows: 0, head: '' })
})

test('the chain and the content are as they are documented', () => {
  const database = journaled()
  const rows = database.prepare('SELECT * FROM journal ORDER BY id').all() as Record<string, unknown>[]
  const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
  let before = 'fullmon journal'
  for (const { id, time_ms, action, author, detail, content, hash } of rows) {
    before = sha256(JSON.stringify([before, id, time_ms, action, author, detail, content]))
    expect(hash).toBe(before)
  }
  expect(verifyJournal(database)).toEqual({ rows: 3, head: before })
  expect(new Journal(database).head).toBe(before)
  const digest = (...words: readonly string[]): bigint =>
    BigInt(`0x${createHash('shake256', { outputLength: 128 }).update(JSON.stringify(words)).digest('hex')}`)
  const sum = [1, 2, 3, 4, 5]
    .map((number) => digest('edge', 'exec', 'proc::a:/a', `proc::a:/b${number}`))
    .reduce((left, right) => (left + right) % 2n ** 1024n)
  const pattern = digest('pattern', 'proc::a:/a', 'create', '/tmp/\\d+')
  expect(rows.at(-1)?.['content']).toBe(sha256(`5 ${sum.toString(16)} 1 ${pattern.toString(16)}`))
})

test('law: however edges and patterns came and went, the sum is that of what is there', () => {
  const items: readonly Item[] = [
    ...[1, 2, 3, 4].map(exec),
    PATTERN,
    { kind: 'exec', from: 'proc::a:/a proc::a:/b1', to: '' },
    { kind: 'create', from: 'proc::a:/a', to: 'proc::a:/b1' },
  ]
  fc.assert(
    fc.property(fc.array(fc.nat(items.length - 1), { maxLength: 20 }), (turns) => {
      const database = openDatabase(':memory:')
      const journal = new Journal(database)
      const present = new Set<Item>()
      for (const turn of turns) {
        const item = items[turn] as Item
        if (present.delete(item)) journal.append(LEARN, { removed: [item] })
        else {
          present.add(item)
          journal.append(LEARN, { added: [item] })
        }
      }
      put(database, [...present])
      expect(verifyJournal(database)).toEqual({ rows: turns.length, head: journal.head })
      database.close()
    }),
    { numRuns: 50 },
  )
})

test('counters are no part of what is vouched for: they change with each sighting', () => {
  const database = journaled()
  database.exec('UPDATE edges SET sightings = sightings + 1, last_ms = last_ms + 1')
  expect(verifyJournal(database).problem).toBeUndefined()
})

test('edges whose window is not over are not vouched for yet', () => {
  const database = journaled()
  database.exec('INSERT INTO trainings (from_ms, to_ms) VALUES (1, 2)')
  put(database, [exec(6)])
  database.exec(
    'INSERT INTO fresh (from_id, to_id, kind) SELECT from_id, to_id, kind FROM edges ORDER BY to_id DESC LIMIT 1',
  )
  expect(sumUp(database).edges.count).toBe(5)
  expect(verifyJournal(database).problem).toBeUndefined()
})

test('after the training nobody can hide an edge among those', () => {
  const database = journaled()
  database.exec('INSERT INTO trainings (from_ms, to_ms, finished) VALUES (1, 2, 1)')
  put(database, [exec(6)])
  database.exec(
    'INSERT INTO fresh (from_id, to_id, kind) SELECT from_id, to_id, kind FROM edges ORDER BY to_id DESC LIMIT 1',
  )
  expect(verifyJournal(database).problem).toEqual({
    row: 3,
    reason: 'edges wait for the end of a training that is over, unvouched by journal row 3',
  })
})

test('a change that is rolled back leaves nothing behind', () => {
  const database = journaled()
  const { head } = new Journal(database)
  const journal = new Journal(database)
  const failing = database.transaction(() => {
    put(database, [exec(6)])
    journal.append(LEARN, { added: [exec(6)] })
    throw new Error('the disk is full')
  })
  expect(failing).toThrow('the disk is full')
  expect(journal.head).toBe(head)
  learn(database, [exec(7)])
  expect(verifyJournal(database)).toEqual({ rows: 4, head: journal.head })
})

test('what another connection has appended is gone on from', () => {
  const path = join(folderForTest(), 'baseline.db')
  const [one, other] = [openDatabase(path), openDatabase(path)] as const
  onTestFinished(() => [one, other].forEach((database) => database.close()))
  const journal = new Journal(one)
  learn(one, [exec(1)])
  learn(other, [exec(2)])
  expect(journal.head).toBe(new Journal(other).head)
  learn(one, [exec(3)])
  expect(verifyJournal(other)).toEqual({ rows: 3, head: journal.head })
})

test.each([
  ['an edge that somebody adds', put, [exec(6)], '1 edge more than journal row 3 vouches for'],
  ['several', put, [exec(6), exec(7), exec(8)], '3 edges more than journal row 3 vouches for'],
  [
    'a pattern that somebody adds',
    put,
    [{ ...PATTERN, path: '/\\d+' }],
    '1 pattern more than journal row 3 vouches for',
  ],
] as const)('%s is found', (_, change, items, reason) => {
  const database = journaled()
  change(database, items)
  expect(verifyJournal(database).problem).toEqual({ row: 3, reason })
})

test.each([
  [
    'an edge is removed',
    (database: Database.Database) => forget(database, exec(2)),
    3,
    '1 edge fewer than journal row 3 vouches for',
  ],
  [
    'an edge gets another target',
    "UPDATE nodes SET name = 'proc::a:/evil' WHERE name = 'proc::a:/b2'",
    3,
    'other edges than journal row 3 vouches for',
  ],
  [
    'an edge gets another kind',
    "UPDATE edges SET kind = 'trace' WHERE to_id = 2",
    3,
    'other edges than journal row 3 vouches for',
  ],
  [
    'a pattern is widened and an edge removed',
    "UPDATE patterns SET path = '/\\d+'; DELETE FROM edges WHERE to_id = 2",
    3,
    '1 edge fewer and other patterns than journal row 3 vouches for',
  ],
  [
    'the sum is set to fit',
    "INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days) VALUES (1, 1, 'exec', 1, 2, 3, 1); UPDATE content SET edges = 6",
    3,
    'edges and patterns are not what journal row 3 vouches for, and its sum was changed',
  ],
  [
    'only the sum is changed',
    "UPDATE content SET edges_sum = 'what is this'",
    3,
    'the sum of what journal row 3 vouches for was changed; edges and patterns fit',
  ],
  [
    'the sum is removed',
    'DELETE FROM content',
    3,
    'the sum of what journal row 3 vouches for was changed; edges and patterns fit',
  ],
  [
    'a row is changed',
    "UPDATE journal SET author = 'alice' WHERE id = 2",
    2,
    'journal row 2 was changed, or one before it: its hash is not that of what it says',
  ],
  [
    'the first row is removed',
    'DELETE FROM journal WHERE id = 1',
    1,
    'journal row 1 is missing: 2 stands in its place',
  ],
  [
    'a row in the middle is removed and the others moved up',
    'DELETE FROM journal WHERE id = 2; UPDATE journal SET id = 2 WHERE id = 3',
    2,
    'journal row 2 was changed, or one before it: its hash is not that of what it says',
  ],
  [
    'the last row is removed',
    'DELETE FROM journal WHERE id = 3',
    2,
    'edges and patterns are not what journal row 2 vouches for, and its sum was changed',
  ],
  [
    'all rows are removed',
    'DELETE FROM journal',
    0,
    'edges and patterns are not what the empty journal vouches for, and its sum was changed',
  ],
  [
    'all rows and the sum are removed',
    'DELETE FROM journal; DELETE FROM content',
    0,
    '5 edges more and 1 pattern more than the empty journal vouches for',
  ],
])('the first row that does not fit is named when %s', (_, change, row, reason) => {
  const database = journaled()
  if (typeof change === 'string') database.exec(change)
  else change(database)
  expect(verifyJournal(database).problem).toEqual({ row, reason })
})

test('each field of a row is covered by its hash', () => {
  for (const change of [
    'time_ms = time_ms + 1',
    "action = 'accept'",
    "author = author || ' '",
    "detail = '{ }'",
    "content = 'x'",
    "hash = 'x'",
  ]) {
    const database = journaled()
    database.exec(`UPDATE journal SET ${change} WHERE id = 1`)
    expect(verifyJournal(database).problem?.row).toBe(1)
  }
})

test('an author with halves of characters, as no file can hold them, is still the author', () => {
  const database = databaseForTest()
  new Journal(database).append({ ...LEARN, author: 'a\ud800b', detail: { note: 'c\udc00d' } })
  expect(verifyJournal(database).problem).toBeUndefined()
})
