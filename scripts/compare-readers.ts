/**
 * `node scripts/compare-readers.ts [--laurel PROGRAM] [--check]`: what laurel, ausearch and fullmon make of each class of
 * input. Writes docs/inputs.md; with --check, says whether fullmon still reads as the table there says.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { GROUPS, type InputClass, type Said, type SaidName, type TrueEvent } from './input-classes.ts'
import {
  ausearch,
  fullmon,
  laurel,
  NOT_SHOWN,
  type ReadEvent,
  type Reader,
  ReaderEnded,
} from './reader-tools.ts'

const TABLE = join(import.meta.dirname, '../docs/inputs.md')

export interface Verdict {
  readonly kind: 'right' | 'wrong' | 'not shown'
  /** What is wrong, or not shown. */
  readonly what: string
}

const RIGHT: Verdict = { kind: 'right', what: '' }
const wrong = (what: string): Verdict => ({ kind: 'wrong', what })

/** What a reader makes of an input, beside what is true. */
export function judge(input: InputClass, reader: Reader): Verdict {
  const folder = mkdtempSync(join(tmpdir(), 'fullmon-readers-'))
  try {
    return compare(input, reader.read(input, folder))
  } catch (error) {
    if (!(error instanceof ReaderEnded)) throw error
    return wrong(error.message)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The first thing that is wrong; if nothing is, the first that is not shown. */
export function compare({ events, perhaps = [] }: InputClass, read: readonly ReadEvent[]): Verdict {
  const readAs = (event: TrueEvent): ReadEvent[] => read.filter((each) => isSame(event, each))
  const verdicts = events.map((event) => compareEvent(event, readAs(event)))
  const invented = read.find((event) => ![...events, ...perhaps].some((each) => isSame(each, event)))
  if (invented !== undefined) verdicts.unshift(wrong(`takes ${invented.types.join(', ')} for a record`))
  return (
    verdicts.find(({ kind }) => kind === 'wrong') ?? verdicts.find(({ kind }) => kind !== 'right') ?? RIGHT
  )
}

const isSame = (one: TrueEvent, other: ReadEvent): boolean =>
  one.serial === other.serial && one.timeMs === other.timeMs

function compareEvent({ types, said, orElse }: TrueEvent, read: readonly ReadEvent[]): Verdict {
  const [event, ...others] = read
  if (event === undefined) return wrong('event lost')
  if (others.length > 0) return wrong(`one event is ${read.length}`)
  const lost = types.filter((type) => !event.types.includes(type))
  if (lost.length > 0) return wrong(`${lost.join(', ')} lost`)
  const verdicts = [said, ...(orElse === undefined ? [] : [orElse])].map((each) => compareValues(each, event))
  const best = (kind: Verdict['kind']): Verdict | undefined =>
    verdicts.find((verdict) => verdict.kind === kind)
  return best('right') ?? best('not shown') ?? best('wrong') ?? RIGHT
}

/** What is said of an event, in words. */
const WORDS: Readonly<Record<SaidName, string>> = {
  ...{ node: 'host', arch: 'architecture', syscall: 'call', success: 'success', exit: 'result' },
  ...{ pid: 'process', auid: 'login', uid: 'user', comm: 'name', exe: 'program', cwd: 'directory' },
  ...{ argv: 'arguments', argvIncomplete: 'whether arguments are missing', names: 'names', file: 'path' },
  ...{ peer: 'address', keys: 'keys', operation: 'operation' },
}

function compareValues(said: Said, { shown }: ReadEvent): Verdict {
  const names = (Object.keys(said) as SaidName[]).filter(
    (name) => !isDeepStrictEqual(shown[name], said[name]),
  )
  const untrue = names.find((name) => shown[name] !== NOT_SHOWN)
  if (untrue !== undefined) return wrong(`${WORDS[untrue]}: ${printed(shown[untrue])}`)
  const [missing] = names
  return missing === undefined ? RIGHT : { kind: 'not shown', what: WORDS[missing] }
}

const LONGEST = 40
function printed(value: unknown): string {
  const text = value === undefined ? 'none' : JSON.stringify(value)
  return `\`${text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text}\``
}

const cellOf = ({ kind, what }: Verdict): string =>
  kind === 'right' ? 'right' : kind === 'wrong' ? `**wrong**: ${what}` : `not shown: ${what}`

type Verdicts = ReadonlyMap<InputClass, Verdict>

const judgeAll = (reader: Reader): Verdicts =>
  new Map(GROUPS.flatMap(({ classes }) => classes.map((input) => [input, judge(input, reader)] as const)))

function documentOf(columns: readonly (readonly [Reader, Verdicts])[], date: string): string {
  const names = columns.map(([{ name }]) => name)
  const rowOf = (input: InputClass): string =>
    row([input.name, input.right, ...columns.map(([, verdicts]) => cellOf(verdicts.get(input) ?? RIGHT))])
  const head = [row(['input', 'right reading', ...names]), row(Array<string>(names.length + 2).fill('---'))]
  const groups = GROUPS.map(({ name, classes }) => [`## ${name}`, '', ...head, ...classes.map(rowOf), ''])
  const count = (verdicts: Verdicts, kind: Verdict['kind']): string =>
    String([...verdicts.values()].filter((verdict) => verdict.kind === kind).length)
  const kinds = ['right', 'not shown', 'wrong'] as const
  const classes = GROUPS.flatMap((group) => group.classes).length
  return [
    ...['# What readers make of odd input', ''],
    `${columns.map(([{ name, version }]) => `${name} ${version ?? ''}`).join(', ')}; ${date}.`,
    ...[
      'Written by `node scripts/compare-readers.ts`; a test compares the column of fullmon with what it reads now.',
      '',
    ],
    ...INTRODUCTION,
    ...['', '## In numbers', ''],
    row([`of ${classes} classes`, ...kinds]),
    row(Array<string>(kinds.length + 1).fill('---')),
    ...columns.map(([{ name }, verdicts]) => row([name, ...kinds.map((kind) => count(verdicts, kind))])),
    '',
    ...groups.flat(),
  ]
    .join('\n')
    .replace(/\n+$/, '\n')
}

const INTRODUCTION = [
  'Each class of input is a small log in `scripts/input-classes.ts`. What is right follows from the kernel and from auditd.',
  '*Wrong*: an event or a record is lost, one event becomes two, a forged line is taken for a record, a value is another.',
  '*Not shown*: the reader leaves it as it stands in the log, or has no word for it; whoever reads on must do it.',
  '',
  'laurel gets the log on standard input, with the EOE records that auditd gives to its plugins, and translates all that it',
  'can; it is a plugin, so torn and rotated files are not its daily work. ausearch is asked with `-i`, fullmon with',
  '`events --json`. A value that a reader only spells in another way counts as right.',
]

/** A cell of a table ends at any `|`, and a NUL would make the file binary. */
const row = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replace(/[\0-\x1f]/g, ' ')).join(' | ')} |`

const cellsOf = (line: string): string[] => line.split(/(?<!\\)\|/).map((cell) => cell.trim())

/** Rows of the table whose cell for this reader is not what it makes of the input now. */
export function outdated(document: string, reader: Reader): string[] {
  const rows = document.split('\n').map(cellsOf)
  const column = rows.find(([, title]) => title === 'input')?.indexOf(reader.name) ?? -1
  return [...judgeAll(reader)].flatMap(([{ name }, verdict]) => {
    const [, title, now = ''] = cellsOf(row([name, cellOf(verdict)]))
    const written = rows.find((cells) => cells[1] === title)?.[column]
    return written === now ? [] : [`${name}: ${written ?? 'no row'}, now ${now}`]
  })
}

function main(): number {
  const { values } = parseArgs({
    options: { laurel: { type: 'string', default: 'laurel' }, check: { type: 'boolean', default: false } },
  })
  if (values.check) {
    const rows = outdated(readFileSync(TABLE, 'utf8'), fullmon())
    for (const text of rows) console.error(text)
    return rows.length === 0 ? 0 : 1
  }
  const readers = [laurel(values.laurel), ausearch(), fullmon()]
  const missing = readers.filter(({ version }) => version === undefined)
  if (missing.length > 0) {
    console.error(`not installed: ${missing.map(({ name }) => name).join(', ')}`)
    return 2
  }
  const columns = readers.map((reader) => [reader, judgeAll(reader)] as const)
  writeFileSync(TABLE, documentOf(columns, new Date().toISOString().slice(0, 10)))
  return 0
}

if (import.meta.main) process.exitCode = main()
