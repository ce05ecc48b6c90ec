/** What a zod schema knows of its keys, and what it says of a wrong value, in words of people. */
import { z } from 'zod'
import { UsageError } from '../domain/result.ts'
import { describeType } from './types.ts'
import { keyText, type Located, nearestTo, type Place, placeText, plain } from './located.ts'

/** Letters that may be wrong, left out or too many in a key that is taken for another one. */
const FARTHEST = 2

type Schema = z.core.$ZodType

/** The schemas that a value may fit, without what is around them. */
export function alternatives(schema: Schema): readonly Schema[] {
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodReadonly
  )
    return alternatives(schema.unwrap())
  if (schema instanceof z.ZodPipe) return alternatives(schema.in)
  return schema instanceof z.ZodUnion ? schema.options.flatMap(alternatives) : [schema]
}

/** The keys that a map may have there, with their schemas; none where any name is a key. */
export const keysOf = (schema: Schema): ReadonlyMap<string, Schema> =>
  new Map(
    alternatives(schema).flatMap((each) => (each instanceof z.ZodObject ? Object.entries(each.shape) : [])),
  )

/** The schema of what a key or an item of this one holds. */
export function schemaBelow(schema: Schema, step: PropertyKey): Schema | undefined {
  const key = keysOf(schema).get(String(step))
  if (key !== undefined) return key
  for (const each of alternatives(schema)) {
    if (each instanceof z.ZodRecord) return each.valueType
    if (each instanceof z.ZodArray) return each.element
  }
  return undefined
}

const schemaAt = (schema: Schema, path: readonly PropertyKey[]): Schema | undefined =>
  path.reduce<Schema | undefined>((here, step) => here && schemaBelow(here, step), schema)

/**
 * What YAML says, once it is known to fit.
 * @throws UsageError with every mistake on a line of its own, in the order in which they stand there
 */
export function fit<T extends z.ZodType>(schema: T, located: Located): z.output<T> {
  const read = schema.safeParse(plain(located))
  if (read.success) return read.data
  throw new UsageError(complaintsOf(schema, read.error.issues, located).join('\n'))
}

function complaintsOf(schema: Schema, issues: readonly z.core.$ZodIssue[], located: Located): string[] {
  const value = plain(located)
  const complaints = issues
    .flatMap((issue) => mistakes(schema, issue, value))
    .map(({ path, text }) => ({ path, text, place: nearestTo(located, path).place }))
  // One source after the other, and each from its beginning.
  return [...Map.groupBy(complaints, ({ place }) => place.source).values()].flatMap((ofOne) =>
    ofOne
      .toSorted((one, other) => one.place.line - other.place.line || one.place.column - other.place.column)
      .map(
        ({ path, text, place }) =>
          `${placeText(place)}: ${isNamed(place, path) ? '' : `${path.map(keyText).join('.')}: `}${text}`,
      ),
  )
}

/** An option has named its key already. */
const isNamed = ({ line }: Place, path: readonly PropertyKey[]): boolean => line === 0 || path.length === 0

interface Mistake {
  readonly path: readonly PropertyKey[]
  readonly text: string
}

function mistakes(schema: Schema, issue: z.core.$ZodIssue, value: unknown): Mistake[] {
  const { path } = issue
  switch (issue.code) {
    case 'unrecognized_keys': {
      const here = schemaAt(schema, path)
      const known = here === undefined ? [] : [...keysOf(here).keys()]
      return issue.keys.map((key) => ({ path: [...path, key], text: noSuchKey(key, known) }))
    }
    case 'invalid_key':
      return [{ path, text: issue.issues[0]?.message ?? issue.message }]
    case 'invalid_union': {
      const best = nearestBranch(issue.errors, valueAt(value, path))
      const here = schemaAt(schema, path)
      if (best === undefined)
        return [{ path, text: here === undefined ? issue.message : `expected ${describeType(here).type}` }]
      return best.flatMap((each) => mistakes(schema, { ...each, path: [...path, ...each.path] }, value))
    }
    case 'invalid_type':
      return [{ path, text: valueAt(value, path) === undefined ? 'it is missing' : issue.message }]
    default:
      return [{ path, text: issue.message }]
  }
}

/** Of the things that a value may be, the first of its type; none when it is of another type than all. */
function nearestBranch(
  branches: readonly (readonly z.core.$ZodIssue[])[],
  value: unknown,
): readonly z.core.$ZodIssue[] | undefined {
  const isOfType = (issues: readonly z.core.$ZodIssue[]): boolean =>
    issues.every((issue) => {
      if (issue.path.length > 0) return true
      if (issue.code === 'invalid_value') return issue.values.some((each) => typeof each === typeof value)
      return issue.code !== 'invalid_type'
    })
  return branches.find(isOfType)
}

const valueAt = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (here, step) =>
      typeof here === 'object' && here !== null ? (here as Record<PropertyKey, unknown>)[step] : undefined,
    value,
  )

/** A complaint of a key, with the one that was meant or those that there are. */
export function noSuchKey(key: string, known: readonly string[], listed = known): string {
  const meant = known
    .map((each) => ({ each, distance: distanceOf(key.toLowerCase(), each) }))
    .toSorted((one, other) => one.distance - other.distance)[0]
  const isNear = meant !== undefined && meant.distance <= Math.min(FARTHEST, Math.floor(key.length / 2))
  if (isNear) return `no such key; did you mean ${meant.each}?`
  return listed.length === 0 ? 'no such key' : `no such key; there are ${listed.join(', ')}`
}

/** How many letters have to be put in, taken out, changed or swapped with their neighbour (optimal string alignment). */
function distanceOf(one: string, other: string): number {
  const rows = [Array.from({ length: other.length + 1 }, (_, column) => column)]
  for (let row = 1; row <= one.length; row += 1) {
    const line = [row]
    for (let column = 1; column <= other.length; column += 1) {
      const at = (up: number, left: number): number =>
        (up === 0 ? line : rows[row - up])?.[column - left] ?? 0
      const isSame = one[row - 1] === other[column - 1]
      const isSwapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      const swap = row > 1 && column > 1 && isSwapped ? at(2, 2) + 1 : Infinity
      line.push(Math.min(at(1, 0) + 1, at(0, 1) + 1, at(1, 1) + (isSame ? 0 : 1), swap))
    }
    rows.push(line)
  }
  return rows.at(-1)?.at(-1) ?? 0
}
