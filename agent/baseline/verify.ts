import type Database from 'better-sqlite3'
import { UsageError } from '../domain/result.ts'
import { Content, readContent, sumUp, type Tally } from './content.ts'
import { habitsProblem } from './habits.ts'
import { CHAIN_START, chainHash, type JournalRow } from './journal.ts'
import { openForReading } from './open.ts'

/** The first row of a journal that does not fit; 0 stands for a journal without rows. */
export interface JournalProblem {
  readonly row: number
  /** Why, as a sentence that names the row. */
  readonly reason: string
}

export interface JournalVerdict {
  readonly rows: number
  /** Hash of the last row, in hex; empty when there is none. */
  readonly head: string
  readonly problem?: JournalProblem
}

/**
 * Checks the journal of a baseline, as `verifyJournal` does, and for each of `heads`, which reports have carried, whether a
 * row has it. Text has only the beginning of one.
 *
 * @returns the heads that no row has, besides the verdict
 * @throws UsageError when there is no baseline, it is not ours, or it has another schema
 */
export function verifyBaseline(
  path: string,
  heads: readonly string[],
): JournalVerdict & { readonly unknownHeads: readonly string[] } {
  const database = openForReading(path)
  try {
    return database.transaction(() => {
      const hasHead = database.prepare<[string]>("SELECT 1 FROM journal WHERE hash GLOB ? || '*'")
      const unknownHeads = heads.filter((head) => hasHead.get(head) === undefined)
      return { ...verifyJournal(database), unknownHeads }
    })()
  } finally {
    database.close()
  }
}

/**
 * Checks a journal row by row, then whether what its last row vouches for is what is in the tables. Reads at one moment,
 * also while an agent writes.
 *
 * @param mostEdges above which the tables are not gone through: that takes five seconds for a million
 */
export const verifyJournal = (database: Database.Database, mostEdges = Infinity): JournalVerdict =>
  database.transaction(() => {
    const { last, ...chain } = verifyChain(database)
    if (chain.problem !== undefined || readContent(database).edges.count > mostEdges) return chain
    const problem = contentProblem(database, last)
    return problem === undefined ? chain : { ...chain, problem }
  })()

/**
 * What somebody has changed behind the back of the journal would be vouched for from now on.
 * @param refusal what is not done then, as the beginning of a sentence that goes on with the path
 * @returns the hash of its last row, in hex; empty when there is none
 * @throws UsageError
 */
export function refuseBrokenJournal(database: Database.Database, path: string, refusal: string): string {
  const { head, problem } = verifyJournal(database)
  if (problem !== undefined)
    throw new UsageError(`${refusal} ${path}, which fullmon verify refuses: ${problem.reason}`)
  return head
}

function verifyChain(database: Database.Database): JournalVerdict & { readonly last?: JournalRow } {
  const read = database.prepare<[], JournalRow>(
    'SELECT id, time_ms AS timeMs, action, author, detail, content, hash FROM journal ORDER BY id',
  )
  let problem: JournalProblem | undefined
  let last: JournalRow | undefined
  let rows = 0
  for (const row of read.iterate()) {
    rows++
    problem ??= chainProblem(row, rows, last?.hash ?? CHAIN_START)
    last = row
  }
  const verdict = { rows, head: last?.hash ?? '', ...(last === undefined ? {} : { last }) }
  return problem === undefined ? verdict : { ...verdict, problem }
}

/** `number` is the place of the row, `before` the hash of the one before. */
function chainProblem(row: JournalRow, number: number, before: string): JournalProblem | undefined {
  if (row.id !== number)
    return { row: number, reason: `journal row ${number} is missing: ${row.id} stands in its place` }
  if (row.hash === chainHash(row, before)) return undefined
  return {
    row: number,
    reason: `journal row ${number} was changed, or one before it: its hash is not that of what it says`,
  }
}

/** What the last row vouches for is summed up in table `content`, which tells how far the tables are from it. */
function contentProblem(
  database: Database.Database,
  last: JournalRow | undefined,
): JournalProblem | undefined {
  const row = last?.id ?? 0
  const voucher = row === 0 ? 'the empty journal' : `journal row ${row}`
  const vouched = last?.content ?? new Content().digest
  const kept = readContent(database)
  const found = sumUp(database)
  if (kept.digest !== vouched) {
    const isWhole = found.digest === vouched
    const reason = isWhole
      ? `the sum of what ${voucher} vouches for was changed; edges and patterns fit`
      : `edges and patterns are not what ${voucher} vouches for, and its sum was changed`
    return { row, reason }
  }
  const differences = [
    differenceOf(found.edges, kept.edges, 'edge'),
    differenceOf(found.patterns, kept.patterns, 'pattern'),
    differenceOf(found.denied, kept.denied, 'denied edge'),
  ].filter((text) => text !== undefined)
  if (differences.length > 0)
    return { row, reason: `${differences.join(' and ')} than ${voucher} vouches for` }
  return hasForgottenFresh(database)
    ? { row, reason: `edges wait for the end of a training that is over, unvouched by ${voucher}` }
    : habitsProblem(database)
}

function differenceOf(found: Tally, vouched: Tally, word: string): string | undefined {
  const more = found.count - vouched.count
  if (more === 0) return found.sum === vouched.sum ? undefined : `other ${word}s`
  return `${Math.abs(more)} ${word}${Math.abs(more) === 1 ? '' : 's'} ${more > 0 ? 'more' : 'fewer'}`
}

/** In table `fresh` an edge is exempt from the sum: nobody may hide one there when nothing is learned. */
const hasForgottenFresh = (database: Database.Database): boolean =>
  database
    .prepare(
      'SELECT 1 FROM fresh WHERE (SELECT finished FROM trainings ORDER BY id DESC LIMIT 1) IS NOT 0 LIMIT 1',
    )
    .get() !== undefined
