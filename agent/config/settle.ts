/** Values that a program sets in a configuration, so that all else that people have written stays as it is. */
import { isDeepStrictEqual } from 'node:util'
import { isNode, isScalar, isSeq, type Node, type Pair, type YAMLSeq } from 'yaml'
import { UsageError } from '../domain/result.ts'
import { amended } from './amend.ts'
import {
  clearedPath,
  columnOf,
  isEmpty,
  pairAt,
  parsedForEdit,
  saidBy,
  scalarOf,
  spelledAs,
  withLines,
} from './edit.ts'
import { locate, plain } from './located.ts'

/** What is to stand at a place. */
export interface Setting {
  /** From the root. */
  readonly key: readonly string[]
  /** A text, number, boolean, or list of them; undefined takes out what stands there. */
  readonly value: unknown
}

/**
 * The text with each value in its place.
 * @param file its name in complaints
 * @throws UsageError when the text is no YAML, or has no place for them
 */
export function settled(text: string, file: string, settings: readonly Setting[]): string {
  return settings.reduce((before, setting) => withOne(before, file, setting), text)
}

function withOne(text: string, file: string, { key, value }: Setting): string {
  const before = plain(locate(text, file)) ?? {}
  const wanted = withValue(before, key, value)
  if (wanted === undefined) throw cannot(file, key)
  if (isDeepStrictEqual(before, wanted)) return text
  const changes = value === undefined ? [withoutLine, rewritten] : [itemByItem, inPlace, withLines, rewritten]
  // Whatever the text looks like: what it says must be what it said, and this.
  for (const change of changes) {
    const after = change(text, key, value)
    if (after !== undefined && isDeepStrictEqual(saidBy(after, file), wanted)) return after
  }
  throw cannot(file, key)
}

const cannot = (file: string, key: readonly string[]): UsageError =>
  new UsageError(`${file}: ${key.join('.')} cannot be set as it is written there: do it by hand`)

/** What a configuration says then; undefined when something else than a map stands on the way. */
function withValue(here: unknown, [step, ...rest]: readonly string[], value: unknown): unknown {
  if (step === undefined) return value
  const map = (here ?? {}) as Readonly<Record<string, unknown>>
  if (typeof map !== 'object' || Array.isArray(map)) return undefined
  const name = spelledAs(Object.keys(map), step)
  if (value === undefined && !Object.hasOwn(map, name)) return map
  const inner = withValue(map[name], rest, value)
  if (inner !== undefined) return { ...map, [name]: inner }
  return rest.length === 0
    ? Object.fromEntries(Object.entries(map).filter(([each]) => each !== name))
    : undefined
}

/** In the place of what stands there. */
function inPlace(text: string, key: readonly string[], value: unknown): string | undefined {
  const pair = pairAt(parsedForEdit(text), key)
  if (pair === undefined) return undefined
  const found = pair.value
  if (isEmpty(found)) {
    const end = endOf(pair.key)
    return end === undefined || text[end] !== ':'
      ? undefined
      : `${text.slice(0, end + 1)} ${scalarOf(value)}${text.slice(end + 1)}`
  }
  if (!isNode(found) || !Array.isArray(found.range)) return undefined
  const [start, end] = found.range
  // What is written in lines ends with one.
  return text.slice(0, start) + scalarOf(value) + text.slice(text[end - 1] === '\n' ? end - 1 : end)
}

/** A list of lines loses and gets lines: their comments stay. */
function itemByItem(text: string, key: readonly string[], value: unknown): string | undefined {
  const list = pairAt(parsedForEdit(text), key)?.value
  if (!Array.isArray(value) || !isSeq(list) || list.flow === true) return undefined
  const kept = withoutItems(text, list, (item) => value.some((each) => isDeepStrictEqual(each, item)))
  return (
    kept &&
    amended(
      kept,
      '',
      value.map((each: unknown) => ({ key, value: each })),
    )
  )
}

function withoutItems(text: string, list: YAMLSeq, isKept: (item: unknown) => boolean): string | undefined {
  if (columnOf(text, list) === undefined) return undefined
  const items = list.items as readonly Node[]
  const gone = items.filter((item) => !isKept(item.toJSON()))
  if (gone.length === items.length) return undefined
  return gone.reduceRight(
    (rest, { range }) => (Array.isArray(range) ? withoutLines(rest, range[0], range[1]) : rest),
    text,
  )
}

function withoutLine(text: string, key: readonly string[]): string | undefined {
  const pair = pairAt(parsedForEdit(text), key)
  const start = isNode(pair?.key) ? pair.key.range?.[0] : undefined
  const end = isScalar(pair?.value) ? pair.value.range?.[1] : undefined
  return start === undefined || end === undefined ? undefined : withoutLines(text, start, end)
}

/** Without the lines in which something stands. */
function withoutLines(text: string, start: number, end: number): string {
  const next = text.indexOf('\n', Math.max(start, end - 1))
  return text.slice(0, text.lastIndexOf('\n', start) + 1) + (next === -1 ? '' : text.slice(next + 1))
}

/** For what is written in another way: comments stay, blanks may not. */
function rewritten(text: string, key: readonly string[], value: unknown): string {
  const document = parsedForEdit(text)
  const names = clearedPath(document, key)
  if (value === undefined) document.deleteIn(names)
  else document.setIn(names, document.createNode(value))
  return document.toString({ lineWidth: 0 })
}

const endOf = (key: Pair['key']): number | undefined => (isNode(key) ? key.range?.[1] : undefined)
