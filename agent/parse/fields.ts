import { EQUALS, GS, QUOTE, SPACE } from './bytes.ts'

/** The fields of a record type that are read, in the order in which the kernel writes them. */
export class Layout<Name extends string> {
  /** Keys as bytes, in order. */
  readonly keys: readonly Uint8Array[]
  /** Whether fields of auditd's ENRICHED suffix are wanted, whose keys are in capitals. */
  readonly readsSuffix: boolean
  private readonly indexes: ReadonlyMap<Name, number>

  constructor(names: readonly Name[]) {
    this.readsSuffix = names.some((name) => name === name.toUpperCase())
    this.keys = names.map((name) => Buffer.from(name, 'latin1'))
    this.indexes = new Map(names.map((name, index) => [name, index]))
  }

  indexOf(name: Name): number {
    return this.indexes.get(name) ?? -1
  }
}

/**
 * Finds the fields of `layout` in one pass over the body of a record.
 *
 * Start and end of value `i` go to `spans[2i]` and `spans[2i + 1]`; -1 means that the field is absent. Quotes belong to
 * the value. The first occurrence of a field wins, so nothing that stands further behind, where other programs may have
 * had a hand in the text, overrides what the kernel wrote first. The pass ends when the last field has been found.
 *
 * The order is a hint that makes the usual line cheap; a field that moved is still found. The ENRICHED suffix is read
 * only where it is wanted: auditd writes the path of a socket there as it is, and a path may say anything.
 */
export function findFields(
  bytes: Uint8Array,
  start: number,
  end: number,
  layout: Layout<string>,
  spans: Int32Array,
): void {
  const { keys, readsSuffix } = layout
  const count = keys.length
  spans.fill(-1, 0, count * 2)
  let expected = 0
  let at = start
  while (at < end) {
    const index = fieldAt(bytes, at, keys, expected)
    // An unread field is skipped up to the next separator, quotes or not: separators cannot stand inside the kernel's.
    let valueStart = at
    if (index >= 0) {
      valueStart = at + (keys[index]?.length ?? 0) + 1
      expected = index + 1 === count ? 0 : index + 1
    }
    const valueEnd = endOfValue(bytes, valueStart, end)
    if (index >= 0 && spans[index * 2] === -1) {
      spans[index * 2] = valueStart
      spans[index * 2 + 1] = valueEnd
      if (index + 1 === count) return
    }
    if (bytes[valueEnd] === GS && !readsSuffix) return
    at = valueEnd + 1
  }
}

/** Index of the key whose `key=` stands at `at`, tried in the order that begins with `expected`; -1 for another key. */
function fieldAt(bytes: Uint8Array, at: number, keys: readonly Uint8Array[], expected: number): number {
  const count = keys.length
  for (let tried = 0, index = expected; tried < count; tried++) {
    const key = keys[index]
    if (key !== undefined && isKeyAt(bytes, at, key)) return index
    index = index + 1 === count ? 0 : index + 1
  }
  return -1
}

function isKeyAt(bytes: Uint8Array, at: number, key: Uint8Array): boolean {
  const { length } = key
  if (bytes[at + length] !== EQUALS) return false
  for (let index = 0; index < length; index++) {
    if (bytes[at + index] !== key[index]) return false
  }
  return true
}

function endOfValue(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  if (bytes[at] === QUOTE) {
    at++
    while (at < end && bytes[at] !== QUOTE) at++
    return at < end ? at + 1 : end
  }
  while (at < end) {
    const byte = bytes[at]
    if (byte === SPACE || byte === GS) break
    at++
  }
  return at
}
