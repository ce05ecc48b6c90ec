/** YAML of people, with the place of each value for whoever has to complain of it. */
import {
  type Document,
  type ErrorCode,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
} from 'yaml'
import { UsageError } from '../domain/result.ts'

/** Where something stands. Options of the command line have neither line nor column. */
export interface Place {
  readonly source: string
  readonly line: number
  readonly column: number
}

/** A value with its place: in a map that of its key. */
export interface Located {
  readonly place: Place
  readonly content:
    | { readonly kind: 'map'; readonly entries: ReadonlyMap<string, Located> }
    | { readonly kind: 'list'; readonly items: readonly Located[] }
    | { readonly kind: 'scalar'; readonly value: unknown }
}

/** Deeper than anybody means it, and far from what fills the stack. */
const MOST_DEEP = 100

/** A key for complaints: on one line, and without what a terminal obeys. */
export const keyText = (key: PropertyKey): string =>
  String(key).replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`,
  )

export const placeText = ({ source, line, column }: Place): string =>
  line === 0 ? source : `${source}:${line}:${column}`

/**
 * What a YAML text says; nothing at all is null.
 *
 * @param source its name in complaints
 * @throws UsageError with the place of the first thing that is not YAML, or not understood here
 */
export function locate(text: string, source: string): Located {
  const lines = new LineCounter()
  const document = parsed(text, source, lines)
  const placeOf = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { source, line, column: col }
  }
  const refuse = (offset: number, complaint: string): never => {
    throw new UsageError(`${placeText(placeOf(offset))}: ${complaint}`)
  }
  const [broken] = document.errors
  if (broken !== undefined) refuse(broken.pos[0], COMPLAINTS[broken.code] ?? broken.message)
  visit(document, {
    // A few lines of them stand for more than fits into memory.
    Alias: (_, alias) => refuse(alias.range?.[0] ?? 0, `*${alias.source}: aliases are not understood here`),
  })

  function located(node: unknown, offset: number, depth: number): Located {
    if (depth > MOST_DEEP) refuse(offset, TOO_DEEP)
    const place = placeOf(offset)
    if (isMap(node)) {
      const entries = new Map<string, Located>()
      for (const { key, value } of node.items) {
        if (!isScalar(key)) return refuse(offset, 'a key has to be a word')
        const [name, keyOffset] = [String(key.value), key.range?.[0] ?? offset]
        // An object would take it for its prototype.
        if (name === '__proto__') refuse(keyOffset, '__proto__: no such key')
        if (entries.has(name)) refuse(keyOffset, `${keyText(name)}: it stands here twice`)
        entries.set(name, located(value, keyOffset, depth + 1))
      }
      return { place, content: { kind: 'map', entries } }
    }
    if (isSeq(node)) {
      const items = node.items.map((item) => located(item, offsetOf(item) ?? offset, depth + 1))
      return { place, content: { kind: 'list', items } }
    }
    return { place, content: { kind: 'scalar', value: isScalar(node) ? node.value : null } }
  }
  return located(document.contents, offsetOf(document.contents) ?? 0, 0)
}

/** @throws UsageError when it is nested so deeply that it cannot be read at all */
function parsed(text: string, source: string, lineCounter: LineCounter): Document {
  try {
    const document = parseDocument(text, { lineCounter, prettyErrors: false, logLevel: 'error' })
    visit(document, () => undefined)
    return document
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`${source}: ${TOO_DEEP}`)
    throw error
  }
}

const TOO_DEEP = 'it is nested too deeply'
/** Of what the library tells programmers. */
const COMPLAINTS: Partial<Record<ErrorCode, string>> = {
  RESOURCE_EXHAUSTION: TOO_DEEP,
  MULTIPLE_DOCS: 'a second document begins here, and there may be only one',
}

const offsetOf = (node: unknown): number | undefined =>
  isMap(node) || isSeq(node) || isScalar(node) ? node.range?.[0] : undefined

/** The value without its places. */
export function plain({ content }: Located): unknown {
  switch (content.kind) {
    case 'map':
      return Object.fromEntries([...content.entries].map(([key, value]) => [key, plain(value)]))
    case 'list':
      return content.items.map(plain)
    case 'scalar':
      return content.value
  }
}

export const isNothing = ({ content }: Located): boolean =>
  content.kind === 'scalar' && content.value === null

/** What stands at the end of a path, or as far along it as there is anything. */
export function nearestTo(root: Located, path: readonly PropertyKey[]): Located {
  let here = root
  for (const step of path) {
    const next = childOf(here, step)
    if (next === undefined) return here
    here = next
  }
  return here
}

export function childOf({ content }: Located, step: PropertyKey): Located | undefined {
  if (content.kind === 'map') return content.entries.get(String(step))
  return content.kind === 'list' ? content.items[Number(step)] : undefined
}
