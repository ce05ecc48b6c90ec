import { hash } from 'node:crypto'
import type Database from 'better-sqlite3'
import type { Edge, PatternAction } from '../domain/edge.ts'

/** Names a pattern: its process, what is done to files, and the regular expression over their paths. */
export interface PatternKey {
  readonly process: string
  readonly action: PatternAction
  readonly path: string
  /** Somebody has said that it shall never be one. */
  readonly isDenied?: boolean
}

/** One thing that is normal. How often it was seen is no part of it. */
export type Item = Edge | PatternKey

/** Bytes of the digest of an item. */
const DIGEST_BYTES = 128
const MODULUS = 1n << BigInt(8 * DIGEST_BYTES)

interface ContentRow {
  readonly edges: number
  readonly edgesSum: string
  readonly patterns: number
  readonly patternsSum: string
}

/** How many things of one kind are normal, and the sum of their digests. */
export class Tally {
  count: number
  /** Below 2^1024. */
  sum: bigint

  constructor(count = 0, sum = 0n) {
    this.count = count
    this.sum = sum
  }

  add(digest: bigint): void {
    this.count++
    this.sum = (this.sum + digest) % MODULUS
  }

  remove(digest: bigint): void {
    this.count--
    this.sum = (this.sum - digest + MODULUS) % MODULUS
  }
}

/**
 * Everything that is normal, as a multiset hash: the digests of all items are added up modulo 2^1024, so that an item can
 * come and go without looking at the others, and their order does not matter. The digest of an item is SHAKE256 over
 * `["edge",kind,from,to]`, `["pattern",process,action,path]` or the same with `"denied pattern"`, as JSON in UTF-8.
 */
export class Content {
  readonly edges: Tally
  readonly patterns: Tally
  /** What is never normal. */
  readonly denied: Tally

  constructor(edges = new Tally(), patterns = new Tally(), denied = new Tally()) {
    this.edges = edges
    this.patterns = patterns
    this.denied = denied
  }

  add(item: Item): void {
    if ('process' in item) this.patterns.add(digestOfPattern(item))
    else this.edges.add(digestOfEdge(item))
  }

  remove(item: Item): void {
    if ('process' in item) this.patterns.remove(digestOfPattern(item))
    else this.edges.remove(digestOfEdge(item))
  }

  deny(edge: Edge): void {
    this.denied.add(digestOfEdge(edge))
  }

  liftDenial(edge: Edge): void {
    this.denied.remove(digestOfEdge(edge))
  }

  /**
   * SHA-256, in hex, over counts and sums: what a row of the journal vouches for. What is denied stands there only when
   * there is any: journals are older than that.
   */
  get digest(): string {
    const tallies = [this.edges, this.patterns, ...(this.denied.count === 0 ? [] : [this.denied])]
    return hash('sha256', tallies.map(({ count, sum }) => `${count} ${hexOf(sum)}`).join(' '))
  }
}

/** What the database says of its own content, for the last row of the journal. */
export function readContent(database: Database.Database): Content {
  const row = database
    .prepare<[], ContentRow>(
      'SELECT edges, edges_sum AS edgesSum, patterns, patterns_sum AS patternsSum FROM content',
    )
    .get()
  if (row === undefined) return new Content()
  return new Content(
    new Tally(row.edges, bigintOf(row.edgesSum)),
    new Tally(row.patterns, bigintOf(row.patternsSum)),
    readDenied(database),
  )
}

function readDenied(database: Database.Database): Tally {
  if (!hasDenied(database)) return new Tally()
  const row = database
    .prepare<[], { count: number; sum: string }>('SELECT count, sum FROM denied_content')
    .get()
  return row === undefined ? new Tally() : new Tally(row.count, bigintOf(row.sum))
}

/** Not while a baseline of an older schema is migrated. */
const hasDenied = (database: Database.Database): boolean =>
  database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'denied_content'").get() !== undefined

/** Belongs into the transaction that changed what is normal. */
export function writeContent(database: Database.Database, { edges, patterns, denied }: Content): void {
  database
    .prepare<[number, string, number, string]>(
      `INSERT INTO content VALUES (1, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET edges = excluded.edges,
         edges_sum = excluded.edges_sum, patterns = excluded.patterns, patterns_sum = excluded.patterns_sum`,
    )
    .run(edges.count, hexOf(edges.sum), patterns.count, hexOf(patterns.sum))
  if (!hasDenied(database)) return
  database
    .prepare<[number, string]>(
      `INSERT INTO denied_content VALUES (1, ?, ?)
         ON CONFLICT DO UPDATE SET count = excluded.count, sum = excluded.sum`,
    )
    .run(denied.count, hexOf(denied.sum))
}

/**
 * Sums up the tables anew: what they hold, without the edges whose window of training is not over yet. Takes about five
 * seconds for a million edges.
 */
export function sumUp(database: Database.Database): Content {
  const content = new Content()
  const edges = database.prepare<[], Edge>(
    `SELECT kind, source.name AS "from", target.name AS "to"
       FROM edges JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE (from_id, to_id, kind) NOT IN (SELECT from_id, to_id, kind FROM fresh)`,
  )
  for (const edge of edges.iterate()) content.add(edge)
  // An older schema has no states.
  const patterns = database.prepare<[], PatternKey & { state?: string }>('SELECT * FROM patterns')
  for (const { process, action, path, state } of patterns.iterate())
    content.add({ process, action, path, isDenied: state === 'denied' })
  if (!hasDenied(database)) return content
  const denied = database.prepare<[], Edge>(
    `SELECT kind, source.name AS "from", target.name AS "to"
       FROM denied JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id`,
  )
  for (const edge of denied.iterate()) content.deny(edge)
  return content
}

const digestOfEdge = ({ kind, from, to }: Edge): bigint => digestOf(['edge', kind, from, to])

const digestOfPattern = ({ process, action, path, isDenied = false }: PatternKey): bigint =>
  digestOf([isDenied ? 'denied pattern' : 'pattern', process, action, path])

const digestOf = (words: readonly string[]): bigint =>
  BigInt(
    `0x${hash('shake256', JSON.stringify(words), { outputEncoding: 'hex', outputLength: DIGEST_BYTES })}`,
  )

const hexOf = (sum: bigint): string => sum.toString(16)

/** Whatever somebody has written there is some number. */
const bigintOf = (hex: string): bigint => (/^[0-9a-f]{1,256}$/.test(hex) ? BigInt(`0x${hex}`) : 0n)
