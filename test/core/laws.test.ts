import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Core } from '../../agent/core.ts'
import { NO_WORLD, type World } from '../../agent/domain/activity.ts'
import type { AuditEvent } from '../../agent/domain/event.ts'
import type { SeenEdge } from '../../agent/graph/edges.ts'
import { chainOf } from '../../agent/graph/names.ts'
import { type CoreResult, printed, runCore } from '../support/edges.ts'
import { States } from '../support/state.ts'

const FOLDER = join(import.meta.dirname, '../fixtures/recorded')
const NOTHING_LOST = {
  lateRecords: 0,
  incompleteEvents: 0,
  missingSerials: 0,
  tornLines: 0,
  unreadableLines: 0,
  shedProcesses: 0,
  shedFiles: 0,
}
const GS = '\x1d'

/** A line of the log, taken apart with a regular expression. */
interface Line {
  readonly node: string
  readonly type: string
  readonly timeMs: number
  readonly serial: number
  readonly body: string
  /** What auditd added, with its separator. */
  readonly suffix: string
}

const HEADER = /^(?:node=(\S+) )?type=(\S+) msg=audit\((\d+)\.(\d{3}):(\d+)\):\s*/

function takeApart(text: string): Line {
  const match = HEADER.exec(text)
  if (match === null) throw new Error(`no record: ${text}`)
  const [header, node = '', type = '', seconds = '', millis = '', serial = ''] = match
  const [body = '', ...suffix] = text.slice(header.length).split(GS)
  return {
    ...{ node, type, timeMs: Number(seconds) * 1000 + Number(millis), serial: Number(serial), body },
    suffix: suffix.map((each) => GS + each).join(''),
  }
}

function written({ node, type, timeMs, serial, body, suffix }: Line): string {
  const stamp = `${Math.floor(timeMs / 1000)}.${String(timeMs % 1000).padStart(3, '0')}:${serial}`
  return `${node === '' ? '' : `node=${node} `}type=${type} msg=audit(${stamp}): ${body}${suffix}\n`
}

/** All lines of one event. */
type Lines = readonly Line[]

const idOf = ({ node, timeMs, serial }: { node: string; timeMs: number; serial: number }): string =>
  `${node} ${timeMs} ${serial}`

/** The events of a log in the order in which they end. */
function eventsOf(lines: readonly Line[]): Lines[] {
  const groups = new Map<string, Line[]>()
  for (const line of [...lines].reverse()) groups.set(idOf(line), [line, ...(groups.get(idOf(line)) ?? [])])
  return [...groups.values()].reverse()
}

interface Recording {
  readonly name: string
  readonly events: readonly Lines[]
}

const RECORDINGS: readonly Recording[] = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.log'))
  .map((name) => ({
    name,
    events: eventsOf(readFileSync(join(FOLDER, name), 'latin1').trimEnd().split('\n').map(takeApart)),
  }))

// A second, slow and obvious reading of events, to compare with.

function fieldsOf(body: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const [, key = '', value = ''] of body.matchAll(/(\S+?)=("[^"]*"|\S*)/g))
    if (!fields.has(key)) fields.set(key, value)
  return fields
}

function textOf(value: string | undefined): string | undefined {
  if (value === undefined || value === '(null)') return undefined
  return value.startsWith('"') ? value.slice(1, -1) : Buffer.from(value, 'hex').toString()
}

const low32 = (hex: string | undefined): number => Number(BigInt.asIntN(32, BigInt(`0x${hex ?? '0'}`)))

interface Reading {
  readonly id: string
  readonly syscall: unknown
  readonly argv: readonly string[]
  readonly cwd: string | undefined
  readonly paths: readonly unknown[]
  readonly saddr: string | undefined
  readonly targets: readonly unknown[]
  readonly openat2Flags: number | undefined
}

function readingOf(lines: Lines): Reading {
  const bodies = (type: string): Map<string, string>[] =>
    lines.filter((line) => line.type === type).map((line) => fieldsOf(line.body))
  const [syscall] = bodies('SYSCALL')
  const number = (key: string): number => Number(syscall?.get(key))
  const [first] = lines
  const execve = new Map(bodies('EXECVE').flatMap((fields) => [...fields]))
  const openat2 = bodies('OPENAT2')[0]?.get('oflag')
  return {
    id: first === undefined ? '' : idOf(first),
    syscall: syscall && {
      arch: Number.parseInt(syscall.get('arch') ?? '', 16),
      ...{
        syscall: number('syscall'),
        success: syscall.get('success'),
        exit: Number(syscall.get('exit') ?? 0),
      },
      a: ['a0', 'a1', 'a2', 'a3'].map((key) => low32(syscall.get(key))),
      ...{ items: number('items'), ppid: number('ppid'), pid: number('pid') },
      ...{ auid: number('auid'), uid: number('uid'), euid: number('euid') },
      ...{ comm: textOf(syscall.get('comm')), exe: textOf(syscall.get('exe')) },
      keys: textOf(syscall.get('key'))?.split('\x01') ?? [],
    },
    argv: Array.from(
      { length: Number(execve.get('argc') ?? 0) },
      (_, index) => textOf(execve.get(`a${index}`)) ?? '',
    ),
    cwd: textOf(bodies('CWD')[0]?.get('cwd')),
    paths: bodies('PATH')
      .map((path) => ({
        item: Number(path.get('item')),
        name: textOf(path.get('name')),
        inode: Number(path.get('inode') ?? 0),
        dev: path.get('dev') ?? '',
        nameType: path.get('nametype'),
      }))
      .sort((one, other) => one.item - other.item),
    saddr: bodies('SOCKADDR')[0]?.get('saddr'),
    targets: bodies('OBJ_PID').map((target) => ({
      pid: Number(target.get('opid')),
      uid: Number(target.get('ouid')),
      comm: textOf(target.get('ocomm')),
    })),
    openat2Flags: openat2 === undefined ? undefined : Number.parseInt(openat2, 8),
  }
}

/** The same of what the core has read. */
function readingOfEvent({
  id,
  syscall,
  argv,
  cwd,
  paths,
  saddr,
  targets,
  openat2Flags,
}: AuditEvent): Reading {
  return {
    id: idOf(id),
    syscall: syscall && {
      ...{ arch: syscall.arch, syscall: syscall.syscall, exit: syscall.exit },
      success: syscall.success === undefined ? undefined : syscall.success ? 'yes' : 'no',
      a: [syscall.a0, syscall.a1, syscall.a2, syscall.a3],
      ...{ items: syscall.items, ppid: syscall.ppid, pid: syscall.pid },
      ...{ auid: syscall.auid, uid: syscall.uid, euid: syscall.euid },
      ...{ comm: syscall.comm, exe: syscall.exe, keys: syscall.keys },
    },
    argv,
    cwd,
    paths: paths.map(({ item, name, inode, dev, nameType }) => ({ item, name, inode, dev, nameType })),
    saddr,
    targets: targets.map(({ pid, uid, comm }) => ({ pid, uid, comm })),
    openat2Flags,
  }
}

const byId = (readings: readonly Reading[]): Reading[] =>
  [...readings].sort((one, other) => (one.id < other.id ? -1 : one.id > other.id ? 1 : 0))

const edgesOf = ({ edges }: CoreResult): string[] => edges.map(printed)

// What may happen to a log on its way.

/** Chance, drawn once for each example: numbers below 1, used in order and over again. */
class Chance {
  private readonly numbers: readonly number[]
  private at = 0

  constructor(numbers: readonly number[]) {
    this.numbers = numbers
  }

  next(): number {
    return this.numbers[this.at++ % this.numbers.length] ?? 0
  }

  pick<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.next() * from.length)]
  }
}

const chance = fc
  .array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 50, maxLength: 400 })
  .map((numbers) => new Chance(numbers))

const scenario = fc.record({
  recording: fc.constantFrom(...RECORDINGS),
  chance,
  /** Over how many events the lines of one may be strewn. */
  spread: fc.constantFrom(0, 1, 3, 30),
  /** Whether the records of an event come in any order, or in that of the kernel. */
  isShuffled: fc.boolean(),
  node: fc.option(fc.constantFrom('web-01', 'db', '10.0.0.1'), { nil: undefined }),
  isEnriched: fc.boolean(),
  /** The serial of the first event; the others follow it. */
  firstSerial: fc.oneof(fc.nat(0xffffffff), fc.integer({ min: 0xffffffff - 20, max: 0xffffffff })),
  hasOldStamps: fc.boolean(),
})

type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never

/** Events under other serials, stamps and names of the host. */
function disguised({ recording, chance, node, isEnriched, firstSerial, hasOldStamps }: Scenario): Lines[] {
  return recording.events.map((lines, index) => {
    // A call that blocked is logged with the time at which it began: hours ago.
    const age = hasOldStamps && chance.next() < 0.3 ? Math.floor(chance.next() * 36e6) : 0
    return lines.map((line) => ({
      ...line,
      node: node ?? line.node,
      serial: (firstSerial + index) % 2 ** 32,
      timeMs: line.timeMs - age,
      suffix: isEnriched ? line.suffix : '',
    }))
  })
}

const END_MARKS = ['PROCTITLE', 'EOE']
/** What an event waits for, however long it takes; anything else that comes after all of these comes late. */
const AWAITED = new Set(['SYSCALL', 'PATH', ...END_MARKS])
/** What it waits for a little, because its call should bring it. */
const EXPECTED = new Set(['CWD', 'SOCKADDR', 'EXECVE', 'OBJ_PID', 'OPENAT2'])
const SHORT_SPREAD = 3

/** Strews the lines of every event among those before it; the events end in the order in which they are given. */
function strewn(events: readonly Lines[], { chance, spread, isShuffled }: Scenario): Line[] {
  const placed: { line: Line; key: number }[] = []
  events.forEach((lines, index) => {
    const isShort = spread <= SHORT_SPREAD
    const mayBeLast = lines.filter(({ type }) => AWAITED.has(type) || (isShort && EXPECTED.has(type)))
    const last = isShuffled ? chance.pick(mayBeLast) : lines.at(-1)
    const others = lines.filter((line) => line !== last)
    const keys = others.map(() => index - chance.next() * (spread + 0.9))
    if (!isShuffled) keys.sort((one, other) => one - other)
    others.forEach((line, place) => placed.push({ line, key: keys[place] ?? 0 }))
    if (last !== undefined) placed.push({ line: last, key: index })
  })
  return placed.sort((one, other) => one.key - other.key).map(({ line }) => line)
}

const bytesOf = (lines: readonly Line[]): Buffer => Buffer.from(lines.map(written).join(''), 'latin1')

function cutAnywhere(bytes: Buffer, chance: Chance): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const size = Math.ceil(chance.next() ** 3 * 3000) + 1
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}

describe('an event is what its lines say', () => {
  test.each(RECORDINGS)('$name', ({ events }) => {
    const { events: seen, core } = runCore(bytesOf(events.flat()))
    expect(byId(seen.map(readingOfEvent))).toEqual(byId(events.map(readingOf)))
    expect(seen.filter(({ complete }) => !complete)).toEqual([])
    expect(seen.filter(({ argv, argvTruncated }) => argv.length > 0 && argvTruncated)).toEqual([])
    expect(core.losses).toEqual(NOTHING_LOST)
  })

  test('in any order, among any others, cut anywhere, under any serials, stamps and nodes', () => {
    fc.assert(
      fc.property(scenario, (given) => {
        const events = disguised(given)
        const straight = runCore(bytesOf(events.flat()))
        const crooked = runCore(cutAnywhere(bytesOf(strewn(events, given)), given.chance))
        expect(byId(crooked.events.map(readingOfEvent))).toEqual(byId(events.map(readingOf)))
        expect(edgesOf(crooked)).toEqual(edgesOf(straight))
        expect(crooked.core.losses).toEqual(NOTHING_LOST)
        expect(straight.core.losses).toEqual(NOTHING_LOST)
      }),
      { numRuns: 400 },
    )
  })

  test('and when they come in an order that no waiting helps against, that is said and nothing is there twice', () => {
    fc.assert(
      fc.property(scenario, (given) => {
        const events = disguised(given)
        const keyed = events.flat().map((line) => ({ line, key: given.chance.next() }))
        const lines = keyed.sort((one, other) => one.key - other.key).map(({ line }) => line)
        const { events: seen, core } = runCore(bytesOf(lines))
        expect(seen.map(({ id }) => idOf(id)).sort()).toEqual(events.map((each) => readingOf(each).id).sort())
        const truth = byId(events.map(readingOf))
        const wrong = byId(seen.map(readingOfEvent)).filter(
          (reading, index) => !isDeepStrictEqual(reading, truth[index]),
        )
        expect(wrong.length).toBeLessThanOrEqual(core.losses.lateRecords)
        expect(core.losses).toMatchObject({ incompleteEvents: 0, unreadableLines: 0 })
      }),
      { numRuns: 100 },
    )
  })
})

test('a log cut at any byte is the same log', () => {
  const small = RECORDINGS.filter(({ name }) =>
    /^(trace|privilege-raw-node|connect-raw-node)\.log$/.test(name),
  )
  for (const { events } of small) {
    const bytes = bytesOf(events.flat())
    const whole = runCore(bytes)
    const edges = edgesOf(whole)
    const readings = whole.events.map(readingOfEvent)
    for (let at = 0; at <= bytes.length; at++) {
      const cut = runCore([bytes.subarray(0, at), bytes.subarray(at)])
      expect(edgesOf(cut)).toEqual(edges)
      if (at % 16 === 0) expect(cut.events.map(readingOfEvent)).toEqual(readings)
      expect(cut.core.losses).toEqual(NOTHING_LOST)
    }
  }
})

test('RAW and ENRICHED give the same edges where the host has the same names', () => {
  for (const { events } of RECORDINGS.filter(({ events }) =>
    events.flat().some(({ suffix }) => suffix !== ''),
  )) {
    const names = new Map<number, string>()
    for (const { body, suffix } of events.flat()) {
      const name = textOf(fieldsOf(suffix.slice(1)).get('UID'))
      if (name !== undefined) names.set(Number(fieldsOf(body).get('uid')), name)
    }
    const world: World = { ...NO_WORLD, userName: (uid) => names.get(uid) }
    const raw = events.flat().map((line) => ({ ...line, suffix: '' }))
    expect(edgesOf(runCore(bytesOf(raw), world))).toEqual(edgesOf(runCore(bytesOf(events.flat()))))
  }
})

describe('what is no record is counted, and costs nothing else', () => {
  const LINES = bytesOf((RECORDINGS[0]?.events ?? []).flat())
  const whole = runCore(LINES)

  test.each([
    ['a line torn off at the end', [LINES, 'type=SYSCALL msg=audit(1.000:1): arch=c00'], 1],
    ['a word and half a type at the end', [LINES, 'hello type='], 1],
    ['an overlong line', [`${'x'.repeat(100_000)}\n`, LINES], 1],
    ['an overlong line torn off', [LINES, 'x'.repeat(100_000)], 1],
    ['nonsense between lines', ['hello\n', LINES, 'type=\nnode=x\n'], 3],
    ['empty lines', ['\n\n', LINES, '\n'], 0],
    ['NULs where the power failed, before a line', ['\0'.repeat(5000), LINES], 1],
    ['NULs alone', [`${'\0'.repeat(5000)}\n`, LINES], 1],
  ] as const)('%s', (_, parts, unreadable) => {
    const bytes = Buffer.concat(parts.map((part) => Buffer.from(part as string)))
    for (const size of [bytes.length, 4096, 100]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      )
      const { events, edges, core } = runCore(pieces)
      expect(core.losses).toEqual({ ...NOTHING_LOST, unreadableLines: unreadable })
      expect(core.records).toBe(whole.core.records)
      expect(events).toEqual(whole.events)
      expect(edges).toEqual(whole.edges)
    }
  })
})

describe('resume', () => {
  test('after any number of stops at any places all is as if nothing had stopped', () => {
    fc.assert(
      fc.property(scenario, fc.integer({ min: 1, max: 5 }), (given, stops) => {
        const events = disguised(given)
        const bytes = bytesOf(strewn(events, given))
        const whole = runCore(bytes)
        const seen: AuditEvent[] = []
        const edges: SeenEdge[] = []
        const states = new States()
        const begin = (): Core =>
          new Core(
            NO_WORLD,
            { onEvent: (event) => void seen.push(event), onEdge: (edge) => void edges.push(edge) },
            { tracksChanges: true },
          )
        let core = begin()
        let base = 0
        let read = 0
        for (let stop = 0; stop <= stops; stop++) {
          const until = stop === stops ? bytes.length : Math.floor(given.chance.next() * (bytes.length + 1))
          // A stop may come before what has been read already is reached again.
          for (const piece of cutAnywhere(bytes.subarray(read, Math.max(read, until)), given.chance)) {
            core.push(piece)
            if (given.chance.next() < 0.2) core.drain(states.writer)
          }
          if (stop === stops) break
          core.drain(states.writer)
          const point = core.resumePoint
          base += point.offset
          read = base
          core = begin()
          core.restore(states.reader)
          core.resume(point)
        }
        core.end()
        expect(seen.map(readingOfEvent)).toEqual(whole.events.map(readingOfEvent))
        expect(edges.map(({ edge, source }) => [edge, chainOf(source)])).toEqual(
          whole.seen.map(({ edge, source }) => [edge, chainOf(source)]),
        )
        expect(core.losses).toEqual(NOTHING_LOST)
      }),
      { numRuns: 400 },
    )
  })
})
