/** Changes in the text of a YAML file of people: all that is not changed stays as they have written it. */
import { type Document, isMap, isScalar, type Pair, parseDocument, type YAMLMap, type YAMLSeq } from 'yaml'
import { UsageError } from '../domain/result.ts'
import { locate, plain } from './located.ts'

/** Words that YAML takes for something else than themselves. */
const MEANING = /^(?:true|false|null|yes|no|on|off|y|n|\.nan|\.inf)$/i
const PLAIN = /^(?:\/[\w.\/-]*|[A-Za-z_][\w.-]*)$/
const INDENT = '  '

/** What a text says; undefined when it is no YAML any more. */
export function saidBy(text: string, file: string): unknown {
  try {
    return plain(locate(text, file))
  } catch (error) {
    if (error instanceof UsageError) return undefined
    throw error
  }
}

const isSame = (one: string, other: string): boolean =>
  one.replaceAll('_', '-') === other.replaceAll('_', '-')

/** How a key is spelled among those that are there, with dashes or with underscores. */
export const spelledAs = (names: readonly string[], step: string): string =>
  names.find((each) => isSame(each, step)) ?? step

export const parsedForEdit = (text: string): Document => parseDocument(text, { logLevel: 'error' })

const pairOf = (map: YAMLMap, step: string): Pair | undefined =>
  map.items.find((each) => isScalar(each.key) && isSame(String(each.key.value), step))

/** The pair at the end of a path; undefined when it is not there. */
export function pairAt(document: Document, key: readonly string[]): Pair | undefined {
  let here: unknown = document.contents
  let found: Pair | undefined
  for (const step of key) {
    found = isMap(here) ? pairOf(here, step) : undefined
    here = found?.value
  }
  return found
}

/** The path as it is spelled there; what stands in its way and is nothing is taken out. */
export function clearedPath(document: Document, key: readonly string[]): readonly string[] {
  const names: string[] = []
  for (const step of key) {
    const here = names.length === 0 ? document.contents : document.getIn(names)
    const pair = isMap(here) ? pairOf(here, step) : undefined
    names.push(isScalar(pair?.key) ? String(pair.key.value) : step)
    if (isScalar(pair?.value) && pair.value.value === null) document.deleteIn(names)
  }
  return names
}

/** With lines for a path that is not there, or not all of it; undefined when it is, or no line can be added there. */
export function withLines(text: string, key: readonly string[], value: unknown): string | undefined {
  const { contents } = parsedForEdit(text)
  const line = lineEndOf(text)
  if (contents === null || (isScalar(contents) && contents.value === null))
    return atEnd(text, blockOf(key, value, ''), line)
  if (!isMap(contents)) return undefined
  let map: YAMLMap = contents
  for (const [depth, step] of key.entries()) {
    const rest = key.slice(depth)
    const indent = columnOf(text, map)
    if (map.flow === true || indent === undefined) return undefined
    const pair = pairOf(map, step)
    if (pair === undefined) {
      if (depth === 0) return atEnd(text, blockOf(rest, value, ''), line)
      return before(text, map, blockOf(rest, value, indent), line)
    }
    if (isEmpty(pair.value)) {
      const inner = blockOf(rest.slice(1), value, indent + INDENT)
      return afterKey(text, pair, inner)
    }
    if (!isMap(pair.value)) return undefined
    map = pair.value
  }
  return undefined
}

export const lineEndOf = (text: string): string => (text.includes('\r\n') ? '\r\n' : '\n')

/** Nothing, and nothing written for it. */
export const isEmpty = (node: unknown): boolean =>
  node === null || (isScalar(node) && node.value === null && (node.source ?? '') === '')

/** Lines of keys, with the value behind the last one, or as a list below it. */
function blockOf(keys: readonly string[], value: unknown, indent: string): readonly string[] {
  const lines = keys.map((key, depth) => `${indent}${INDENT.repeat(depth)}${key}:`)
  const items: readonly unknown[] = Array.isArray(value) ? value : []
  if (items.length === 0) return [...lines.slice(0, -1), `${lines.at(-1) ?? ''} ${scalarOf(value)}`]
  return [...lines, ...items.map((item) => `${indent}${INDENT.repeat(keys.length)}- ${scalarOf(item)}`)]
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

function afterKey(text: string, { key }: Pair, lines: readonly string[]): string | undefined {
  if (!isScalar(key) || !Array.isArray(key.range)) return undefined
  return afterLineOf(text, key.range[1], lines)
}

/** With lines behind the one that an offset is in. */
export function afterLineOf(text: string, offset: number, lines: readonly string[]): string {
  const line = lineEndOf(text)
  const end = text.indexOf('\n', offset)
  if (end === -1) return atEnd(text, lines, line)
  return text.slice(0, end + 1) + lines.map((each) => each + line).join('') + text.slice(end + 1)
}

const startOf = (node: YAMLMap | YAMLSeq): number | undefined => {
  const [first] = node.items
  const key = isMap(node) ? (first as Pair | undefined)?.key : undefined
  return isScalar(key) ? key.range?.[0] : node.range?.[0]
}

/** Blanks before a map or list that is written in lines; undefined when something else stands there. */
export function columnOf(text: string, node: YAMLMap | YAMLSeq): string | undefined {
  const start = startOf(node)
  if (start === undefined) return undefined
  const blanks = text.slice(text.lastIndexOf('\n', start - 1) + 1, start)
  return /^\ufeff? *$/.test(blanks) ? blanks.replace('\ufeff', '') : undefined
}

/** A value on one line, and without what a terminal obeys. */
export function scalarOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(scalarOf).join(', ')}]`
  if (typeof value === 'object' && value !== null)
    return `{ ${Object.entries(value)
      .map(([key, each]) => `${key}: ${scalarOf(each)}`)
      .join(', ')} }`
  if (typeof value !== 'string') return String(value)
  return PLAIN.test(value) && !MEANING.test(value) ? value : quoted(value)
}

/** JSON is YAML; of what it leaves as it is, some hides or moves what stands beside it. */
const quoted = (text: string): string =>
  JSON.stringify(text).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
    [...Array(character.length).keys()]
      .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
      .join(''),
  )
