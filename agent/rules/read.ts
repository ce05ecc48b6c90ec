import { globSync, realpathSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readYaml } from '../config/yaml.ts'
import { UsageError } from '../domain/result.ts'
import { isPresent } from '../support/readable.ts'
import { readBounded, readTrusted, requireTrustedFolder } from '../support/trusted-file.ts'
import { RuleBook } from './match.ts'
import { type Rule, Rules, type SkipPattern } from './schema.ts'

/** Rules that come with the program; as a package they are links to what the host may edit. */
export const SHIPPED_RULES = join(import.meta.dirname, '../../rules')
/** Need not be there. */
export const OWN_RULES = '/etc/fullmon/rules'

/** A rule, and where it stands. */
export interface WrittenRule {
  readonly rule: Rule
  /** `file:line:column` */
  readonly place: string
  readonly isShipped: boolean
}

/** What the configuration says of rules. */
export interface RuleOptions {
  /** With rules of the host; one with the id of a shipped rule replaces it. */
  readonly folders: readonly string[]
  readonly disabled: readonly string[]
  readonly skip: SkipPattern
}

/**
 * The rules that there are, those that are switched off among them, in the order of their files.
 * @throws UsageError with file:line:column of every mistake in one file
 */
export function readRules({ folders, disabled }: Omit<RuleOptions, 'skip'>): readonly WrittenRule[] {
  const shipped = shippedFiles()
  const isOwn = (file: string): boolean => !isPresent(file) || !shipped.includes(realpathSync(file))
  const own = folders.flatMap((folder) => ownFilesIn(folder)).filter(isOwn)
  const rules = new Map([
    ...byId(shipped.flatMap((file) => rulesIn(file, 'shipped'))),
    ...byId(own.flatMap((file) => rulesIn(file, 'own'))),
  ])
  for (const id of disabled) {
    const written = rules.get(id)
    if (written === undefined)
      throw new UsageError(`rules.disabled: there is no rule ${id}; see fullmon rules list`)
    rules.set(id, { ...written, rule: { ...written.rule, enabled: false } })
  }
  return [...rules.values()]
}

/**
 * Rules of one origin by their ids.
 * @throws UsageError with file:line:column when two have the same
 */
export function byId(written: readonly WrittenRule[]): ReadonlyMap<string, WrittenRule> {
  const rules = new Map<string, WrittenRule>()
  for (const each of written) {
    const { id } = each.rule
    const other = rules.get(id)
    if (other !== undefined)
      throw new UsageError(`${each.place}: there is a rule ${id} already, at ${other.place}`)
    rules.set(id, each)
  }
  return rules
}

/**
 * The same, ready to be asked.
 * @param watched ports that `$watched` stands for
 * @throws UsageError with every mistake
 */
export const ruleBookOf = (options: RuleOptions, watched: readonly number[]): RuleBook =>
  bookOf(readRules(options), options.skip, watched)

/** Rules that were read, ready to be asked. */
export const bookOf = (
  rules: readonly WrittenRule[],
  skip: SkipPattern,
  watched: readonly number[],
): RuleBook =>
  new RuleBook(
    rules.map(({ rule }) => rule),
    skip,
    watched,
  )

/**
 * The rules of one file.
 * @param whose `own`: they decide what root does; `tried`: they decide nothing
 * @throws UsageError with file:line:column of every mistake
 */
export function rulesIn(file: string, whose: 'shipped' | 'own' | 'tried'): readonly WrittenRule[] {
  const isOfProgram = whose === 'shipped' && dirname(file) === realpathSync(SHIPPED_RULES)
  const read = whose === 'tried' || isOfProgram ? readBounded : readTrusted
  const { value, placeOf } = readYaml(read(file, 'the rules'), file, Rules, [])
  return value.map((rule, index) => ({ rule, place: placeOf([index, 'id']), isShipped: whose === 'shipped' }))
}

/** A link to what the host has removed leads nowhere. */
const shippedFiles = (): readonly string[] =>
  filesIn(SHIPPED_RULES)
    .filter((file) => isPresent(file))
    .map((file) => realpathSync(file))

function ownFilesIn(folder: string): readonly string[] {
  const files = filesIn(folder)
  if (folder !== OWN_RULES || isPresent(folder)) requireTrustedFolder(folder, 'rules.folders:')
  return files
}

function filesIn(folder: string): readonly string[] {
  const stats = statSync(folder, { throwIfNoEntry: false })
  if (stats === undefined && folder === OWN_RULES) return []
  if (stats?.isDirectory() !== true) throw new UsageError(`rules.folders: there is no folder ${folder}`)
  return globSync('*.{yaml,yml}', { cwd: folder })
    .sort()
    .map((name) => join(folder, name))
}
