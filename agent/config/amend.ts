/** Lines that a program adds to a configuration, so that all that people have written stays as it is. */
import { isDeepStrictEqual } from 'node:util'
import { isMap, isScalar, isSeq, type Node, type Pair, parseDocument, type YAMLMap, type YAMLSeq } from 'yaml'
import { UsageError } from '../domain/result.ts'
import { locate, plain } from './located.ts'

/** Something that is to stand in a list. */
export interface Addition {
  /** Of the list, from the root. */
  readonly key: readonly string[]
  readonly value: unknown
}

/** Words that YAML takes for something else than themselves. */
const MEANING = /^(?:true|false|null|yes|no|on|off|y|n|\.nan|\.inf)$/i
const PLAIN = /^(?:\/[\w.\/-]*|[A-Za-z_][\w.-]*)$/
const INDENT = '  '

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

function saidBy(text: string, file: string): unknown {
  try {
    return plain(locate(text, file))
  } catch (error) {
    if (error instanceof UsageError) return undefined
    throw error
  }
}

const isSame = (one: string, other: string): boolean =>
  one.replaceAll('_', '-') === other.replaceAll('_', '-')

/** What a configuration says, with a value more; undefined when something else stands in the place of the list. */
function withValue(here: unknown, [step, ...rest]: readonly string[], value: unknown): unknown {
  if (step === undefined) {
    const list = here ?? []
    if (!Array.isArray(list)) return undefined
    return list.some((item) => isDeepStrictEqual(item, value)) ? list : [...(list as unknown[]), value]
  }
  const map = here ?? {}
  if (typeof map !== 'object' || Array.isArray(map)) return undefined
  const entries = Object.entries(map)
  const name = entries.find(([each]) => isSame(each, step))?.[0] ?? step
  const inner = withValue(Object.fromEntries(entries)[name], rest, value)
  return inner === undefined ? undefined : { ...map, [name]: inner }
}

function inserted(text: string, key: readonly string[], value: unknown): string | undefined {
  const { contents } = parseDocument(text, { logLevel: 'error' })
  const line = text.includes('\r\n') ? '\r\n' : '\n'
  if (contents === null || (isScalar(contents) && contents.value === null))
    return atEnd(text, blockOf(key, value, ''), line)
  if (!isMap(contents)) return undefined
  let map: YAMLMap = contents
  for (const [depth, step] of key.entries()) {
    const rest = key.slice(depth)
    const indent = columnOf(text, map)
    if (map.flow === true || indent === undefined) return undefined
    const pair = map.items.find((each) => isScalar(each.key) && isSame(String(each.key.value), step))
    if (pair === undefined) {
      if (depth === 0) return atEnd(text, blockOf(rest, value, ''), line)
      return before(text, map, blockOf(rest, value, indent), line)
    }
    const found = pair.value
    if (isEmpty(found)) {
      const inner = blockOf(rest.slice(1), value, indent + INDENT)
      return afterKey(text, pair, inner, line)
    }
    if (depth === key.length - 1) return isSeq(found) ? intoList(text, found, value, line) : undefined
    if (!isMap(found)) return undefined
    map = found
  }
  return undefined
}

/** The same for maps in braces, to which no line can be added: comments stay, blanks may not. */
function rewritten(text: string, key: readonly string[], value: unknown): string {
  const document = parseDocument(text, { logLevel: 'error' })
  const names: string[] = []
  for (const step of key) {
    const here = names.length === 0 ? document.contents : document.getIn(names)
    const pair = isMap(here)
      ? here.items.find((each) => isScalar(each.key) && isSame(String(each.key.value), step))
      : undefined
    names.push(isScalar(pair?.key) ? String(pair.key.value) : step)
    if (isScalar(pair?.value) && pair.value.value === null) document.deleteIn(names)
  }
  if (isSeq(document.getIn(names))) document.addIn(names, document.createNode(value))
  else document.setIn(names, document.createNode([value]))
  return document.toString({ lineWidth: 0 })
}

/** Nothing, and nothing written for it. */
const isEmpty = (node: unknown): boolean =>
  node === null || (isScalar(node) && node.value === null && (node.source ?? '') === '')

/** Lines of keys with the value below them. */
function blockOf(keys: readonly string[], value: unknown, indent: string): readonly string[] {
  const lines = keys.map((key, depth) => `${indent}${INDENT.repeat(depth)}${key}:`)
  return [...lines, `${indent}${INDENT.repeat(keys.length)}- ${scalarOf(value)}`]
}

function atEnd(text: string, lines: readonly string[], line: string): string {
  const gap = text === '' || text.endsWith('\n') ? '' : line
  return text + gap + lines.map((each) => each + line).join('')
}

/** Before the first key of a map that begins on a line of its own, and before the comments on it. */
function before(text: string, map: YAMLMap, lines: readonly string[], line: string): string | undefined {
  const start = startOf(map)
  if (start === undefined) return undefined
  const lineStart = text.lastIndexOf('\n', start - 1) + 1
  return text.slice(0, lineStart) + lines.map((each) => each + line).join('') + text.slice(lineStart)
}

function afterKey(text: string, { key }: Pair, lines: readonly string[], line: string): string | undefined {
  if (!isScalar(key) || !Array.isArray(key.range)) return undefined
  return afterLineOf(text, key.range[1], lines, line)
}

function afterLineOf(text: string, offset: number, lines: readonly string[], line: string): string {
  const end = text.indexOf('\n', offset)
  if (end === -1) return atEnd(text, lines, line)
  return text.slice(0, end + 1) + lines.map((each) => each + line).join('') + text.slice(end + 1)
}

function intoList(text: string, list: YAMLSeq, value: unknown, line: string): string | undefined {
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
  return afterLineOf(text, text[end - 1] === '\n' ? end - 1 : end, [`${indent}- ${scalarOf(value)}`], line)
}

const startOf = (node: YAMLMap | YAMLSeq): number | undefined => {
  const [first] = node.items
  const key = isMap(node) ? (first as Pair | undefined)?.key : undefined
  return isScalar(key) ? key.range?.[0] : node.range?.[0]
}

/** Blanks before a map or list that is written in lines; undefined when something else stands there. */
function columnOf(text: string, node: YAMLMap | YAMLSeq): string | undefined {
  const start = startOf(node)
  if (start === undefined) return undefined
  const blanks = text.slice(text.lastIndexOf('\n', start - 1) + 1, start)
  return /^\ufeff? *$/.test(blanks) ? blanks.replace('\ufeff', '') : undefined
}

/** A text, or a map of texts, on one line. */
function scalarOf(value: unknown): string {
  if (typeof value === 'object' && value !== null)
    return `{ ${Object.entries(value)
      .map(([key, each]) => `${key}: ${scalarOf(each)}`)
      .join(', ')} }`
  if (typeof value === 'number') return String(value)
  const text = String(value)
  return PLAIN.test(text) && !MEANING.test(text) ? text : JSON.stringify(text)
}
