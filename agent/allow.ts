import { baseName, filePathOf, type NamedProcess, processOf } from './detect/nodes.ts'
import { isKind, programOf, temporaryPlaceOf } from './detect/programs.ts'
import type { Alert, Subject } from './domain/alert.ts'
import { UsageError } from './domain/result.ts'

/** By what something is allowed. */
export const ALLOW_BY = ['path', 'name', 'sha256', 'user', 'pattern', 'expected'] as const

export type AllowBy = (typeof ALLOW_BY)[number]

/** A line of the configuration that allows what an alert is about. */
export interface Allowance {
  /** List of the configuration, as `['allowlist', 'paths']`. */
  readonly key: readonly string[]
  readonly value: string | Readonly<Record<string, string>>
}

export interface AllowOptions {
  /** What is best for the alert without it. */
  readonly by: AllowBy | undefined
  /** Whether also what nobody should allow blindly is. */
  readonly isForced: boolean
  /** Whether an entry of the allowlist makes a process of this score unsuspicious. */
  readonly isCovered: (score: number) => boolean
  /** SHA-256 of the program that runs as one of these; undefined when it cannot be read. */
  readonly digestOf: (pids: readonly number[]) => Promise<string | undefined>
}

/** Backslashes that stand for something in a printed name: who writes it down writes another name. */
const ESCAPED = /\\(?:x[0-9a-f]{2}|u\{[0-9a-f]+\})/
const GLOB = /[*?[\]{}\\]/g
/** Arguments that a scan tells. */
const MOST_WORDS = 20
const DELETED = / \(deleted\)$/
const MEMORY = /^\/?memfd:/
/** Where programs of all kinds lie. */
const SYSTEM_FOLDER = /^\/(?:usr\/(?:local\/)?)?(?:(?:s?bin|lib(?:32|64|exec)?)\/)?$/

/**
 * What would have to stand in the configuration so that an alert does not come again.
 * @throws UsageError when nothing in the configuration allows it, or nobody should do so blindly
 */
export async function allowancesOf(alert: Alert, options: AllowOptions): Promise<readonly Allowance[]> {
  const { id, source, subject, incident } = alert
  switch (source) {
    case 'process':
      return [await processAllowance(alert, options)]
    case 'layer':
      return layerAllowances(alert, options)
    case 'incident':
      if (typeof subject['rule'] === 'string') return [ruleAllowance(alert, options)]
      throw new UsageError(
        `alert ${id} is of an incident, which is a matter of the baseline: fullmon accept ${incident ?? 'ID'}`,
      )
    case 'tamper':
      throw new UsageError(
        `alert ${id} is tampering, which nothing allows: fullmon reset ${id} when it is seen to`,
      )
    case 'count':
      throw new UsageError(
        `alert ${id} is about how many processes are suspicious: allow these (--source process)`,
      )
    case 'missing':
      throw new UsageError(`alert ${id} is about a process that must run: take it out of processes.required`)
    case 'root':
      throw new UsageError(
        `alert ${id} is about the root file system: set scan.expect_readonly_root to false`,
      )
  }
}

async function processAllowance(alert: Alert, options: AllowOptions): Promise<Allowance> {
  const { id, subject } = alert
  const exe = textIn(subject, 'exe')
  const program = exe.replace(DELETED, '')
  const script = textIn(subject, 'script')
  const path = script.startsWith('/') ? script : program
  const user = textIn(subject, 'user')
  const named: NamedProcess = { container: '', user, exe: program, script }
  const by = options.by ?? defaultBy(alert, named, options)
  if (!options.isForced) {
    refuseBlind(id, exe, path, by)
    refuseTooMuch(id, by, { ...named, path, isOfFolder: isOfFolder(alert) })
  }
  if (by === 'expected') return expectedAllowance(alert, named, path)
  if (!options.isForced && !isCovered(alert, options))
    throw new UsageError(
      `alert ${id} is too grave for the allowlist (score ${numberIn(subject, 'score')}): --by expected leaves it out of scans`,
    )
  switch (by) {
    case 'path':
      return { key: ['allowlist', 'paths'], value: literal(id, path) }
    case 'name':
      return { key: ['allowlist', 'names'], value: literal(id, baseName(path)) }
    case 'user':
      return { key: ['allowlist', 'users'], value: literal(id, user) }
    case 'pattern':
      return { key: ['allowlist', 'patterns'], value: `${globOf(literal(id, folderOf(path)))}*` }
    case 'sha256': {
      const digest = textIn(subject, 'sha256') || (await options.digestOf(numbersIn(subject, 'pids')))
      if (digest === undefined)
        throw new UsageError(`alert ${id}: its program cannot be read any more, so there is no SHA-256 of it`)
      return { key: ['allowlist', 'sha256'], value: digest }
    }
  }
}

/** A program that runs whatever it is told stands for all that it is told, and one of many programs for itself only. */
function defaultBy(alert: Alert, named: NamedProcess, options: AllowOptions): AllowBy {
  if (!isCovered(alert, options)) return 'expected'
  if (isOfFolder(alert)) return 'pattern'
  return isForAnybody(named) ? 'expected' : 'path'
}

/** Whether it is about many programs that lie in one folder. */
const isOfFolder = ({ subject }: Alert): boolean => textIn(subject, 'folder') !== ''

/** Whether an entry of the allowlist is enough. One that has an entry already was too grave for it. */
const isCovered = ({ subject, reasons }: Alert, options: AllowOptions): boolean =>
  options.isCovered(numberIn(subject, 'score')) &&
  !reasons.some((reason) => reason.startsWith('it is allowlisted'))

/** Whether it runs whatever it is told: what is allowed of it says nothing of what that is. */
const isForAnybody = (process: NamedProcess): boolean =>
  !process.script.startsWith('/') &&
  (process.script !== '' || isKind(process, 'shell') || isKind(process, 'interpreter'))

function refuseBlind(id: number, exe: string, path: string, by: AllowBy): void {
  const doubt = MEMORY.test(exe)
    ? 'its program is only in memory, and whoever made it has chosen its name'
    : DELETED.test(exe)
      ? 'its program was removed or replaced while it ran, so nobody can look at it: start it anew'
      : by !== 'sha256' && temporaryPlaceOf(path) !== undefined
        ? `anybody may put another program at ${path}: move it, or say --by sha256`
        : undefined
  if (doubt !== undefined)
    throw new UsageError(`alert ${id} is not allowed blindly: ${doubt}; --force does it`)
}

interface Excused extends NamedProcess {
  readonly path: string
  readonly isOfFolder: boolean
}

function refuseTooMuch(id: number, by: AllowBy, excused: Excused): void {
  const { user, exe, path } = excused
  const isOfMany =
    by === 'sha256' ? isKind(excused, 'shell') || isKind(excused, 'interpreter') : isForAnybody(excused)
  const excess =
    by === 'user'
      ? user === 'root' && 'all that root runs'
      : by === 'pattern' || excused.isOfFolder
        ? SYSTEM_FOLDER.test(folderOf(path)) && `every program in ${folderOf(path)}`
        : by !== 'expected' && isOfMany && `whatever ${exe} is told to run, which --by expected does not`
  if (excess !== false)
    throw new UsageError(`alert ${id} is not allowed blindly: that would excuse ${excess}; --force does it`)
}

/** What it is, of whom and, where the program says little, with what arguments. */
function expectedAllowance(alert: Alert, named: NamedProcess, path: string): Allowance {
  const { id, subject } = alert
  const words = textsIn(subject, 'argv')
  // Of what is printed otherwise than it is, nobody says how it is written.
  const glob = words.join(' ').split(ESCAPED).map(globOf).join('*')
  const argv = words.length < MOST_WORDS ? glob : `${glob}*`
  const told = isForAnybody(named) && words.length > 0 ? { argv } : {}
  const exe = isOfFolder(alert) ? `${globOf(literal(id, folderOf(path)))}*` : globOf(literal(id, path))
  const value = { exe, user: literal(id, named.user), ...told }
  return { key: ['processes', 'expected'], value }
}

function layerAllowances(
  { id, subject }: Alert,
  { by = 'path', isForced }: AllowOptions,
): readonly Allowance[] {
  if (by !== 'path' && by !== 'pattern')
    throw new UsageError(`alert ${id} is about files: they are allowed --by path or --by pattern`)
  const [name = textIn(subject, 'container')] = textsIn(subject, 'names')
  const owner = name === '' ? '' : `${globOf(literal(id, name))}:`
  const paths = textsIn(subject, 'paths').map((path) => literal(id, path))
  if (by === 'pattern' && !isForced && paths.some((path) => folderOf(path) === '/'))
    throw new UsageError(
      `alert ${id} is not allowed blindly: that would excuse all files of the container; --force does it`,
    )
  const globs = by === 'path' ? paths.map(globOf) : paths.map((path) => `${globOf(folderOf(path))}**`)
  return [...new Set(globs)].map((glob) => ({ key: ['containers', 'allowlist'], value: owner + glob }))
}

/** The program that a rule is about: the one that was executed, else the one that did something. */
function ruleAllowance({ id, subject, incident }: Alert, { by = 'path', isForced }: AllowOptions): Allowance {
  const chain = textsIn(subject, 'chain')
  const target = processOf(chain.at(-1) ?? '')
  const actor = target ?? processOf(chain.at(-2) ?? '')
  if (actor === undefined)
    throw new UsageError(`alert ${id} names no program: fullmon accept ${incident ?? 'ID'}`)
  const isOwn = actor.script.startsWith('/')
  const path = isOwn ? actor.script : actor.exe
  const file = filePathOf(chain.at(-1) ?? '')
  if (!isForced && (by === 'user' || by === 'pattern'))
    refuseTooMuch(id, by, { ...actor, path, isOfFolder: false })
  if (!isForced && by !== 'user' && isForAnybody(actor) && (by !== 'path' || file === undefined))
    throw new UsageError(
      `alert ${id} is not allowed blindly: no rule would be about ${path} any more, whatever it is told to run; fullmon accept ${incident ?? 'ID'} allows just this, --force does it`,
    )
  switch (by) {
    case 'path': {
      const place = isForAnybody(actor) && file !== undefined && !isForced ? file : path
      return { key: ['rules', 'skip', 'paths'], value: globOf(literal(id, place)) }
    }
    case 'pattern':
      return { key: ['rules', 'skip', 'paths'], value: `${globOf(literal(id, folderOf(path)))}*` }
    case 'name':
      return { key: ['rules', 'skip', 'commands'], value: literal(id, programOf(actor)) }
    case 'user':
      return { key: ['rules', 'skip', 'users'], value: literal(id, actor.user) }
    case 'sha256':
    case 'expected':
      throw new UsageError(`alert ${id} is of a rule: --by path, pattern, name or user`)
  }
}

/** A name as it is, not as it is printed. @throws UsageError when it was printed otherwise */
function literal(id: number, text: string): string {
  if (text !== '' && text !== '?' && !ESCAPED.test(text)) return text
  throw new UsageError(
    `alert ${id}: ${text === '' ? 'a name that is needed' : text} cannot be written into the configuration as it is`,
  )
}

const globOf = (text: string): string => text.replace(GLOB, '\\$&')

/** With its slash. */
const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1)

function textIn(subject: Subject, key: string): string {
  const value = subject[key]
  return typeof value === 'string' ? value : ''
}

function numberIn(subject: Subject, key: string): number {
  const value = subject[key]
  return typeof value === 'number' ? value : 0
}

function textsIn(subject: Subject, key: string): readonly string[] {
  const value = subject[key]
  return Array.isArray(value) ? value.map(String) : []
}

function numbersIn(subject: Subject, key: string): readonly number[] {
  const value = subject[key]
  return Array.isArray(value) ? value.filter((each) => typeof each === 'number') : []
}
