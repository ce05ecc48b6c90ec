import { type Document, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml'
import { z } from 'zod'
import { UsageError } from '../domain/result.ts'

/** What a YAML text says, and where. */
export interface ReadYaml<T> {
  readonly value: T
  /** Whether this key stands in the text: a default does not. */
  readonly has: (key: string) => boolean
  /** `file:line:column` of the value in a list, or of the key in a map, that the path leads to. */
  readonly placeOf: (path: readonly PropertyKey[]) => string
}

/**
 * Reads a YAML text by a schema.
 *
 * @param file its name in complaints
 * @param empty what a text without anything in it stands for
 * @throws UsageError with file:line:column of every mistake
 */
export function readYaml<T extends z.ZodType>(
  text: string,
  file: string,
  schema: T,
  empty: unknown = {},
): ReadYaml<z.output<T>> {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' })
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
  const [broken] = document.errors
  if (broken !== undefined) throw new UsageError(`${at(broken.pos[0])}: ${broken.message}`)
  refuseAliases(document, at)
  const read = schema.safeParse(document.toJS() ?? empty)
  if (read.success)
    return {
      value: read.data,
      has: (key) => document.has(key),
      placeOf: (path) => at(offsetOf(document.contents, path)),
    }
  const complaints = read.error.issues.flatMap((issue) => {
    const isUnknown = issue.code === 'unrecognized_keys'
    const paths = isUnknown ? issue.keys.map((key) => [...issue.path, key]) : [issue.path]
    return paths.map((path) => ({
      offset: offsetOf(document.contents, path),
      text: `${path.length === 0 ? '' : `${path.map(String).join('.')}: `}${complaintOf(issue, schema)}`,
    }))
  })
  const inOrder = complaints.sort((one, other) => one.offset - other.offset)
  throw new UsageError(inOrder.map(({ offset, text }) => `${at(offset)}: ${text}`).join('\n'))
}

/** They make a text of a few lines stand for millions. */
function refuseAliases(document: Document, at: (offset: number) => string): void {
  visit(document, {
    Alias: (_, alias) => {
      throw new UsageError(`${at(alias.range?.[0] ?? 0)}: *${alias.source}: aliases are not understood here`)
    },
  })
}

function complaintOf(issue: z.core.$ZodIssue, schema: z.ZodType): string {
  if (issue.code === 'unrecognized_keys')
    return `no such key; there are ${keysAt(schema, issue.path).join(', ')}`
  return issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message
}

/** The keys that the schema has at a path. */
function keysAt(schema: unknown, [step, ...rest]: readonly PropertyKey[]): readonly string[] {
  let inner: unknown = schema
  while (isWrapper(inner)) inner = inner.def.innerType
  if (inner instanceof z.ZodObject)
    return step === undefined ? Object.keys(inner.shape) : keysAt(inner.shape[String(step)], rest)
  if (inner instanceof z.ZodArray) return keysAt(inner.element, rest)
  return inner instanceof z.ZodRecord ? keysAt(inner.valueType, rest) : []
}

const isWrapper = (schema: unknown): schema is { readonly def: { readonly innerType: unknown } } =>
  schema instanceof z.ZodType && 'innerType' in schema.def

function offsetOf(node: unknown, [step, ...rest]: readonly PropertyKey[], offset = 0): number {
  if (step === undefined) return offset
  if (isMap(node)) {
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === step)
    return isScalar(pair?.key) ? offsetOf(pair.value, rest, pair.key.range?.[0]) : offset
  }
  const item = isSeq(node) && typeof step === 'number' ? node.items[step] : undefined
  return isNode(item) ? offsetOf(item, rest, item.range?.[0]) : offset
}
