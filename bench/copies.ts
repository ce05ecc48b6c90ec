/**
 * Makes a long log from a short one: the host goes on doing what it did.
 *
 * No copy is a mere repetition. Its stamps, serials and pids go on where the copy before it ended, and most files that
 * came and went have new names, so that a reader who remembers names is not helped more than on a server. The same log
 * gives the same bytes.
 */
import { createReadStream, createWriteStream, statSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'

export interface Recipe {
  /** Whole copies are made until the log has this many bytes. */
  readonly bytes: number
  /**
   * Time goes so many times faster, and the records of an event are spread among those of others, as if it were logged
   * while more and more happens. An event ends at most 4,000 records after it began: readers may give up after 4,096.
   */
  readonly busy?: { readonly timesFaster: number }
}

export interface Made {
  readonly records: number
  readonly copies: number
  /** A time of the first copy, as it stands in the long log. Milliseconds. */
  readonly timeOf: (timeMs: number) => number
}

const STAMP = /^((?:node=\S+ )?type=(\S+) msg=audit\()(\d+)\.(\d{3}):(\d+)(?=\))/
const PID = /(?<= (?:p|op|pp)id=)\d+/g
const FILE_NAME = /(?<= name="(?:[^"]*\/)?)[^"/]+(?=")/
const CAME_OR_WENT = / nametype=(?:CREATE|DELETE)\b/
/** Where a name has a number, a hash or noise. */
const VOLATILE = /[0-9A-Za-z_]*\d[0-9A-Za-z_]*/g
const SHORTEST_VOLATILE = 6

/** Up to here pids are those of the boot, and not given again (`RESERVED_PIDS` of the kernel). */
const RESERVED_PIDS = 300
/** Default of the kernel, and its limit, which systemd sets. */
const MOST_PIDS = [32_768, 4_194_304]
const SERIALS = 2 ** 32

const LONGEST_WAIT = 2000
const LEAST_STEP = 100
const STEPS = 500

/** @throws Error if the log holds no record */
export async function makeLongLog(from: string, to: string, recipe: Recipe): Promise<Made> {
  const survey = await surveyOf(from)
  const copies = Math.max(1, Math.ceil(recipe.bytes / statSync(from).size))
  const all = linesOfCopies(from, survey, copies)
  const { busy } = recipe
  const timesFaster = busy?.timesFaster ?? 1
  const timeOf = (timeMs: number): number =>
    survey.firstMs + Math.floor((timeMs - survey.firstMs) / timesFaster)
  const lines = busy === undefined ? all : interleaved(hurried(all, timeOf))
  await pipeline(blocksOf(lines), createWriteStream(to, 'latin1'))
  return { records: survey.records * copies, copies, timeOf }
}

/** Lines without their newlines, one character a byte. */
export async function* linesOf(file: string): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of createReadStream(file, { encoding: 'latin1', highWaterMark: 1 << 20 })) {
    const lines = (rest + (chunk as string)).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

/** Joined lines: a stream takes thousands of them as fast as one. */
export async function* blocksOf(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let block: string[] = []
  for await (const line of lines) {
    if (block.push(line) < 4096) continue
    yield `${block.join('\n')}\n`
    block = []
  }
  if (block.length > 0) yield `${block.join('\n')}\n`
}

interface Survey {
  records: number
  firstMs: number
  lastMs: number
  leastSerial: number
  mostSerial: number
  readonly pids: Set<number>
  /** Names without directory of files that were created or deleted. */
  readonly passing: Set<string>
}

async function surveyOf(log: string): Promise<Survey> {
  const survey: Survey = {
    ...{ records: 0, firstMs: Infinity, lastMs: 0, leastSerial: Infinity, mostSerial: 0 },
    pids: new Set(),
    passing: new Set(),
  }
  for await (const line of linesOf(log)) {
    const stamp = STAMP.exec(line)
    if (stamp === null) continue
    const timeMs = msOf(stamp)
    survey.records++
    survey.firstMs = Math.min(survey.firstMs, timeMs)
    survey.lastMs = Math.max(survey.lastMs, timeMs)
    // auditd counts its own records apart, from a random number on.
    if (stamp[2]?.startsWith('DAEMON_') !== true) {
      survey.leastSerial = Math.min(survey.leastSerial, Number(stamp[5]))
      survey.mostSerial = Math.max(survey.mostSerial, Number(stamp[5]))
    }
    for (const [pid] of line.matchAll(PID)) survey.pids.add(Number(pid))
    const [name] = CAME_OR_WENT.test(line) ? (FILE_NAME.exec(line) ?? []) : []
    if (name !== undefined) survey.passing.add(name)
  }
  if (survey.records === 0) throw new Error(`${log} holds no record`)
  return survey
}

async function* linesOfCopies(from: string, survey: Survey, copies: number): AsyncGenerator<string> {
  const { firstMs, lastMs, leastSerial, mostSerial, pids, passing } = survey
  const spanMs = (Math.floor((lastMs - firstMs) / 1000) + 1) * 1000
  const serials = Math.max(0, mostSerial - leastSerial) + 1
  const [small = 0, large = 0] = MOST_PIDS
  const range = ([...pids].every((pid) => pid < small) ? small : large) - RESERVED_PIDS
  for (let copy = 0; copy < copies; copy++) {
    const movedPid = (pid: string): string =>
      Number(pid) < RESERVED_PIDS
        ? pid
        : String(RESERVED_PIDS + ((Number(pid) - RESERVED_PIDS + copy * pids.size) % range))
    for await (const line of linesOf(from)) {
      const stamp = STAMP.exec(line)
      if (stamp === null || copy === 0) {
        yield line
        continue
      }
      const header = `${stamp[1]}${stampOf(msOf(stamp) + copy * spanMs)}:${(Number(stamp[5]) + copy * serials) % SERIALS}`
      const body = line.slice(stamp[0].length).replace(PID, movedPid)
      yield (
        header +
        (stamp[2] === 'PATH'
          ? body.replace(FILE_NAME, (name) => (passing.has(name) ? renamed(name, copy) : name))
          : body)
      )
    }
  }
}

/** The name that the file has in a copy: other digits in what is long enough to be a number, a hash or noise. */
const renamed = (name: string, copy: number): string =>
  name.replace(VOLATILE, (run) => {
    if (run.length < SHORTEST_VOLATILE) return run
    let rest = copy
    return run.replace(/\d/g, (digit) => {
      const moved = (Number(digit) + rest) % 10
      rest = Math.floor(rest / 10)
      return String(moved)
    })
  })

async function* hurried(
  lines: AsyncIterable<string>,
  timeOf: (timeMs: number) => number,
): AsyncGenerator<string> {
  for await (const line of lines) {
    const stamp = STAMP.exec(line)
    yield stamp === null
      ? line
      : `${stamp[1]}${stampOf(timeOf(msOf(stamp)))}:${stamp[5]}${line.slice(stamp[0].length)}`
  }
}

/**
 * Each record of an event comes some records later than the one before it; how many is the event's own number.
 *
 * The order within an event stays. No line waits for more than LONGEST_WAIT others to be read, so an event whose records
 * stood together is over when at most twice as many have been written since it began.
 */
async function* interleaved(lines: AsyncIterable<string>): AsyncGenerator<string> {
  const waiting = Array.from({ length: LONGEST_WAIT + 1 }, (): string[] => [])
  const dueOf = new Map<string, number>()
  let at = 0
  for await (const line of lines) {
    const serial = STAMP.exec(line)?.[5] ?? ''
    const step = LEAST_STEP + ((Math.imul(Number(serial), 2_654_435_761) >>> 16) % STEPS)
    const before = dueOf.get(serial)
    const due = before === undefined ? at : Math.min(at + LONGEST_WAIT, Math.max(at, before) + step)
    dueOf.delete(serial)
    dueOf.set(serial, due)
    if (dueOf.size > LONGEST_WAIT) dueOf.delete(dueOf.keys().next().value ?? '')
    waiting[due % waiting.length]?.push(line)
    yield* waiting[at % waiting.length]?.splice(0) ?? []
    at++
  }
  for (const end = at + waiting.length; at < end; at++) yield* waiting[at % waiting.length] ?? []
}

const msOf = (stamp: RegExpExecArray): number => Number(stamp[3]) * 1000 + Number(stamp[4])

const stampOf = (timeMs: number): string =>
  `${Math.floor(timeMs / 1000)}.${String(timeMs % 1000).padStart(3, '0')}`
