import { globSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { readYaml } from '../config/yaml.ts'
import { UsageError } from '../domain/result.ts'
import { readTrusted } from '../support/trusted-file.ts'
import { RuleBook } from './match.ts'
import { type Rule, Rules, type SkipPattern } from './schema.ts'

/** Rules that come with the program. */
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
  const own = folders
    .flatMap((folder) => filesIn(folder))
    .flatMap((file) => rulesOf(readTrusted(file, 'the rules'), file, false))
  const rules = new Map<string, WrittenRule>()
  for (const written of [...filesIn(SHIPPED_RULES).flatMap((file) => rulesIn(file, true)), ...own]) {
    const { rule, place, isShipped } = written
    const other = rules.get(rule.id)
    if (other !== undefined && other.isShipped === isShipped)
      throw new UsageError(`${place}: there is a rule ${rule.id} already, at ${other.place}`)
    rules.set(rule.id, written)
  }
  for (const id of disabled) {
    const written = rules.get(id)
    if (written === undefined)
      throw new UsageError(`rules.disabled: there is no rule ${id}; see fullmon rules list`)
    rules.set(id, { ...written, rule: { ...written.rule, enabled: false } })
  }
  return [...rules.values()]
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
 * @throws UsageError with file:line:column of every mistake
 */
export function rulesIn(file: string, isShipped = false): readonly WrittenRule[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new UsageError(
      `cannot read the rules ${file}: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
  return rulesOf(text, file, isShipped)
}

function rulesOf(text: string, file: string, isShipped: boolean): readonly WrittenRule[] {
  const { value, placeOf } = readYaml(text, file, Rules, [])
  return value.map((rule, index) => ({ rule, place: placeOf([index, 'id']), isShipped }))
}

function filesIn(folder: string): readonly string[] {
  const stats = statSync(folder, { throwIfNoEntry: false })
  if (stats === undefined && folder === OWN_RULES) return []
  if (stats?.isDirectory() !== true) throw new UsageError(`rules.folders: there is no folder ${folder}`)
  return globSync('*.{yaml,yml}', { cwd: folder })
    .sort()
    .map((name) => join(folder, name))
}
