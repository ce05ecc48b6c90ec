/** Lines that a program adds to a configuration, so that all that people have written stays as it is. */
import { isDeepStrictEqual } from 'node:util'
import { isSeq, type Node, type YAMLSeq } from 'yaml'
import { UsageError } from '../domain/result.ts'
import {
  afterLineOf,
  clearedPath,
  columnOf,
  pairAt,
  parsedForEdit,
  saidBy,
  scalarOf,
  spelledAs,
  withLines,
} from './edit.ts'
import { locate, plain } from './located.ts'

/** Something that is to stand in a list. */
export interface Addition {
  /** Of the list, from the root. */
  readonly key: readonly string[]
  readonly value: unknown
}

/**
 * The text with values at the ends of their lists; those that are there already are left out.
 * @param file its name in complaints
 * @throws UsageError when the text is no YAML, or has no place for them
 */
export function amended(text: string, file: string, additions: readonly Addition[]): string {
  return additions.reduce((before, addition) => withOne(before, file, addition), text)
}

function withOne(text: string, file: string, { key, value }: Addition): string {
  const before = plain(locate(text, file)) ?? {}
  const wanted = withValue(before, key, value)
  if (wanted === undefined) throw cannot(file, key)
  if (isDeepStrictEqual(before, wanted)) return text
  // Whatever the text looks like: what it says must be what it said, and this.
  for (const change of [inserted, rewritten]) {
    const after = change(text, key, value)
    if (after !== undefined && isDeepStrictEqual(saidBy(after, file), wanted)) return after
  }
  throw cannot(file, key)
}

const cannot = (file: string, key: readonly string[]): UsageError =>
  new UsageError(`${file}: ${key.join('.')} cannot be added to as it is written there: do it by hand`)

/** What a configuration says, with a value more; undefined when something else stands in the place of the list. */
function withValue(here: unknown, [step, ...rest]: readonly string[], value: unknown): unknown {
  if (step === undefined) {
    const list = here ?? []
    if (!Array.isArray(list)) return undefined
    return list.some((item) => isDeepStrictEqual(item, value)) ? list : [...(list as unknown[]), value]
  }
  const map = here ?? {}
  if (typeof map !== 'object' || Array.isArray(map)) return undefined
  const name = spelledAs(Object.keys(map), step)
  const inner = withValue((map as Readonly<Record<string, unknown>>)[name], rest, value)
  return inner === undefined ? undefined : { ...map, [name]: inner }
}

function inserted(text: string, key: readonly string[], value: unknown): string | undefined {
  const found = pairAt(parsedForEdit(text), key)?.value
  return isSeq(found) ? intoList(text, found, value) : withLines(text, key, [value])
}

/** The same for maps in braces, to which no line can be added: comments stay, blanks may not. */
function rewritten(text: string, key: readonly string[], value: unknown): string {
  const document = parsedForEdit(text)
  const names = clearedPath(document, key)
  if (isSeq(document.getIn(names))) document.addIn(names, document.createNode(value))
  else document.setIn(names, document.createNode([value]))
  return document.toString({ lineWidth: 0 })
}

function intoList(text: string, list: YAMLSeq, value: unknown): string | undefined {
  const last = list.items.at(-1) as Node | undefined
  const end = last?.range?.[1]
  if (list.flow === true) {
    const bracket = list.range?.[0]
    if (bracket === undefined) return undefined
    return last === undefined
      ? `${text.slice(0, bracket + 1)}${scalarOf(value)}${text.slice(bracket + 1)}`
      : end === undefined
        ? undefined
        : `${text.slice(0, end)}, ${scalarOf(value)}${text.slice(end)}`
  }
  const indent = columnOf(text, list)
  if (end === undefined || indent === undefined) return undefined
  return afterLineOf(text, text[end - 1] === '\n' ? end - 1 : end, [`${indent}- ${scalarOf(value)}`])
}
