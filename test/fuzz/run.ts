/**
 * Feeds damaged lines to the core, to `fullmon events` and to the engine with a real baseline, and sees that the laws hold.
 *
 *   node --expose-gc test/fuzz/run.ts [--lines COUNT] [--seed NUMBER]
 *
 * The last line is a tally as JSON. The first law that is broken ends the run with status 1 and the least part of the log
 * that breaks it, as a JSON string with one character a byte.
 */
import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import { Baseline } from '../../agent/baseline/baseline.ts'
import { Core } from '../../agent/core.ts'
import { NO_WORLD } from '../../agent/domain/activity.ts'
import type { Report } from '../../agent/domain/report.ts'
import { Engine } from '../../agent/engine.ts'
import { jsonOf } from '../../agent/report/printer.ts'
import { textOf } from '../../agent/report/text.ts'
import { EventReader } from '../../agent/show/reader.ts'
import { eventText } from '../../agent/show/text.ts'
import { printed } from '../support/edges.ts'
import { Chance } from './chance.ts'
import { MutantLog } from './mutants.ts'
import { seeds } from './seeds.ts'

/** Damaged lines in one part of the run. */
const PART = 5000
const LONGEST_LINE = 64 * 1024
/** More parts than this take too long to try. */
const MOST_PARTS = 10_000

export interface Tally {
  /** The same seeds of lines and the same number give the same run. */
  readonly seed: number
  readonly seeds: number
  /** Lines that were damaged, and all lines that were fed: what the damage made of them, and whole ones among them. */
  readonly mutants: number
  readonly lines: number
  readonly records: number
  readonly unreadable: number
  readonly events: number
  readonly edges: number
  readonly late: number
  /** Memory in use after a collection of garbage, when a tenth of the run was done and at its end. */
  readonly heapBytes: readonly [first: number, last: number]
}

/** What the lines of a log are by the grammar. */
interface Expected {
  readonly lines: number
  readonly records: number
  readonly unreadable: number
  /** Records of type EOE. */
  readonly endMarks: number
}

const HEADER =
  /^(?:node=[^ ]{0,255} )?type=(?:[A-Z0-9_]+|UNKNOWN\[\d+\]) msg=audit\((\d+)\.(\d{3}):(\d+)\)[: ]/

/**
 * A second opinion. A line is what stands between two newlines, when that is not nothing; without a newline behind it, it
 * is torn. A run of NULs before a record stands for lines that a power failure took, and is counted besides.
 */
function expectedOf(log: Buffer): Expected {
  const pieces = log.toString('latin1').split('\n')
  const torn = pieces.pop()
  const lines = pieces.filter((piece) => piece !== '')
  const isRecord = (line: string): boolean => {
    const [, seconds, millis, serial] = HEADER.exec(line.replace(/^\0+/, '')) ?? []
    const timeMs = Number(seconds) * 1000 + Number(millis)
    return line.length <= LONGEST_LINE && timeMs <= Number.MAX_SAFE_INTEGER && Number(serial) < 2 ** 32
  }
  const records = lines.filter(isRecord)
  const others = lines.length - records.length + (torn === '' ? 0 : 1)
  return {
    lines: records.length + others,
    records: records.length,
    unreadable: others + records.filter((line) => line.startsWith('\0')).length,
    endMarks: records.filter((line) => line.includes('type=EOE ')).length,
  }
}

/** Pieces of a log as reading gives them: a few lines, a few bytes, or very many lines. */
function* pieces(log: Buffer, chance: Chance): Generator<Buffer, void, undefined> {
  for (let at = 0; at < log.length;) {
    const size = 1 + chance.below(chance.pick([2, 30, 500, 5000, 100_000]))
    yield log.subarray(at, at + size)
    at += size
  }
}

const MEMORY = Buffer.alloc(1 << 20)

/** As the tail reads: the memory of a piece is used again for the next one. */
function* inSharedMemory(parts: Iterable<Buffer>): Generator<Buffer, void, undefined> {
  for (const part of parts)
    for (let at = 0; at < part.length; at += MEMORY.length) {
      const size = part.copy(MEMORY, 0, at)
      yield MEMORY.subarray(0, size)
      MEMORY.fill('z', 0, size)
    }
}

function mustEqual(is: unknown, should: unknown, law: string): void {
  const [one, other] = [JSON.stringify(is), JSON.stringify(should)]
  if (one !== other) throw new Error(`${law}: ${one} is not ${other}`)
}

/** What could end a line, or move the cursor of whoever reads it on a terminal. */
const LIVELY = /[\p{Cc}\p{Zl}\p{Zp}]/u

function mustBeOneLine(text: string): void {
  if (LIVELY.test(text)) throw new Error(`printed on one line: ${JSON.stringify(text)}`)
}

/** Counts, and all edges in their order in one digest. */
interface Understood {
  readonly records: number
  readonly unreadable: number
  readonly forged: number
  /** Records in the middle of a line, which come on top of its first one. */
  readonly torn: number
  readonly late: number
  readonly events: number
  readonly edges: number
  readonly digest: string
}

function understood(parts: Iterable<Buffer>): Understood {
  const hash = createHash('sha256')
  let edges = 0
  const core = new Core(NO_WORLD, {
    onEvent: () => undefined,
    onEdge: ({ edge }) => {
      edges++
      hash.update(`${printed(edge)}\n`)
    },
  })
  for (const part of parts) core.push(part)
  core.end()
  const { unreadableLines, lateRecords, tornLines } = core.losses
  const { records, events, forgedLines } = core
  return {
    records,
    unreadable: unreadableLines,
    forged: forgedLines,
    torn: tornLines,
    late: lateRecords,
    events,
    edges,
    digest: hash.digest('hex'),
  }
}

function holdsForCore(log: Buffer, chance: Chance): Understood {
  const { records, unreadable } = expectedOf(log)
  const one = understood(inSharedMemory(pieces(log, chance)))
  // What auditd wrote for an address is no line of its own, whatever it looks like, and a torn line may hold several records.
  const { forged, torn } = one
  mustEqual(one.records >= records - forged, true, 'no record is missing')
  if (forged === 0)
    mustEqual(one.records + one.unreadable, records + unreadable + torn, 'every line is read or counted')
  const other = understood(pieces(log, chance))
  mustEqual(other, one, 'the same log gives the same edges, however it is cut')
  return one
}

/** `fullmon events` */
function holdsForEvents(log: Buffer, chance: Chance): void {
  let shownRecords = 0
  const reader = new EventReader((event) => {
    shownRecords += event.records.length
    mustBeOneLine(eventText(event))
    mustBeOneLine(jsonOf(event))
  })
  for (const part of inSharedMemory(pieces(log, chance))) reader.push(part)
  const { records, unreadable, late, forged = 0 } = reader.end()
  const expected = expectedOf(log)
  if (forged > 0) return
  const { torn } = understood([log])
  mustEqual(
    records + unreadable,
    expected.records + expected.unreadable + torn,
    'the summary counts every line',
  )
  // Of two end marks the second one says nothing, and is not called late.
  const silent = records - shownRecords - late
  if (silent < 0 || silent > expected.endMarks + torn)
    throw new Error(`every record is in an event or late: ${silent} of ${records} are not`)
}

function engineOn(baseline: Baseline, latestMs: () => number, emit: (report: Report) => void): Engine {
  const plan = { kind: 'for', durationMs: 60_000 } as const
  return new Engine({
    baseline,
    world: NO_WORLD,
    plan,
    monitorMs: 10_000,
    rebase: true,
    alertsPerDay: 10,
    emit,
    latestMs,
  })
}

function reportsOf(parts: Iterable<Buffer>): Report[] {
  const reports: Report[] = []
  const baseline = new Baseline(':memory:')
  try {
    const engine = engineOn(
      baseline,
      () => Number.POSITIVE_INFINITY,
      (report) => void reports.push(report),
    )
    for (const bytes of parts) engine.ingest({ bytes, at: undefined })
    engine.end()
  } finally {
    baseline.close()
  }
  return reports
}

function holdsForEngine(log: Buffer, chance: Chance): void {
  const [one, other] = [reportsOf(inSharedMemory(pieces(log, chance))), reportsOf(pieces(log, chance))]
  mustEqual(other, one, 'the same log gives the same reports, however it is cut')
  for (const report of one) {
    for (const line of textOf(report).split('\n')) mustBeOneLine(line)
    mustBeOneLine(jsonOf(report))
  }
  const { records, unreadable } = expectedOf(log)
  const summary = one.find((report) => report.kind === 'summary')
  const { forged, torn } = understood([log])
  if (forged > 0) return
  const counted = (summary?.records ?? 0) + (summary?.unreadable ?? 0)
  mustEqual(counted, records + unreadable + torn, 'the summary counts every line')
}

/** The least of a log that a law still does not hold for, by leaving out ever smaller parts: lines, words, bytes. */
function least(log: Buffer, holds: (log: Buffer) => void): Buffer {
  const isBroken = (text: string): boolean => {
    try {
      holds(Buffer.from(text, 'latin1'))
      return false
    } catch {
      return true
    }
  }
  let text = log.toString('latin1')
  for (const ends of [/(?<=\n)/, /(?<=[\s=])/, '']) {
    let parts = text.split(ends)
    if (parts.length > MOST_PARTS) break
    for (let size = Math.ceil(parts.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
      for (let at = 0; at < parts.length;) {
        const fewer = parts.toSpliced(at, size)
        if (isBroken(fewer.join(''))) parts = fewer
        else at += size
      }
    text = parts.join('')
  }
  return Buffer.from(text, 'latin1')
}

/** Each law with the same chance every time, so that less of a log can be tried. */
function see<T>(log: Buffer, seed: number, law: (log: Buffer, chance: Chance) => T): T {
  const holds = (part: Buffer): T => law(part, new Chance(seed))
  try {
    return holds(log)
  } catch (error) {
    const small = least(log, holds)
    process.stderr.write(`${JSON.stringify(small.toString('latin1'))}\n`)
    holds(small)
    throw error
  }
}

function usedBytes(): number {
  if (gc === undefined) throw new Error('needs node --expose-gc')
  gc()
  // The memory of buffers that the first one found unused is given back by the next.
  gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function run(seed: number, wanted: number): Tally {
  const chance = new Chance(seed)
  const kinds = seeds()
  const log = new MutantLog(chance, kinds)
  // One agent that lives through all of it.
  const baseline = new Baseline(':memory:')
  const agent = engineOn(
    baseline,
    () => log.timeMs,
    () => undefined,
  )
  const total = { mutants: 0, lines: 0, records: 0, unreadable: 0, events: 0, edges: 0, late: 0 }
  let firstBytes: number | undefined
  for (let part = 1; total.mutants < wanted; part++) {
    const { bytes, mutants } = log.next(Math.min(PART, wanted - total.mutants))
    const isTorn = chance.oneIn(4)
    const read = isTorn ? bytes.subarray(0, -1 - chance.below(50)) : bytes
    const found = see(read, chance.below(2 ** 32), holdsForCore)
    see(read, chance.below(2 ** 32), holdsForEvents)
    if (part % 5 === 0) see(read, chance.below(2 ** 32), holdsForEngine)
    for (const piece of inSharedMemory(pieces(bytes, chance))) agent.ingest({ bytes: piece, at: undefined })
    agent.idle(log.timeMs)
    total.mutants += mutants
    total.lines += expectedOf(read).lines
    for (const key of ['records', 'unreadable', 'events', 'edges', 'late'] as const) total[key] += found[key]
    if (total.mutants >= wanted / 10) firstBytes ??= usedBytes()
  }
  agent.end()
  const heapBytes = [firstBytes ?? usedBytes(), usedBytes()] as const
  baseline.close()
  return { seed, seeds: kinds.flat().length, ...total, heapBytes }
}

const { values } = parseArgs({ options: { lines: { type: 'string' }, seed: { type: 'string' } } })
process.stdout.write(`${JSON.stringify(run(Number(values.seed ?? 1), Number(values.lines ?? 1_000_000)))}\n`)
