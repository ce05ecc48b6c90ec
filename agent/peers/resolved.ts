/** A name that was asked for, and what it was resolved to. */
export interface ResolvedName {
  /** When the answer was seen. Unix time in milliseconds. */
  readonly timeMs: number
  /** As it was asked for, whatever aliases led to the addresses. */
  readonly name: string
  readonly addresses: readonly string[]
  /** How long the answer may be kept; 0 where that is not told. Seconds. */
  readonly ttlS: number
  /** Address of the server that answered; undefined where a log of the resolver tells. */
  readonly server?: string
}

/** Characters of a name: RFC 1035. */
export const LONGEST_NAME = 253
/** What a node could be mistaken for, which is something else: see the names of nodes in architecture.md. */
const TAKEN = /^(?:unix|vsock|packet|netlink|family-.*|loopback|private|public)$/
/** Names of hosts, with the `_` that people use. Others are escaped by nobody, so they are no names. */
const NAME = /^(?=.*[a-z])[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_-])?$/

/**
 * A name as it stands in the graph: lower case, without the dot at its end. Undefined for what could be mistaken for an
 * address or another kind of node, and for what no host is called: names come from outside, and are hostile.
 */
export function peerName(name: string): string | undefined {
  const lower = name.toLowerCase().replace(/\.$/, '')
  if (lower.length > LONGEST_NAME || !NAME.test(lower) || lower.includes('..')) return undefined
  const last = lower.slice(lower.lastIndexOf('.') + 1)
  // A last label of digits is an address, or will be read as one: 10.0.0.1, 0x7f.1 (RFC 1123, 2.1).
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(last) || TAKEN.test(lower)) return undefined
  return lower
}

/** Where resolved names come from. */
export interface NameSource {
  /** Calls `take` for each name that was resolved up to this time and has not been taken, in the order of their coming. */
  takeUntil(timeMs: number, take: (name: ResolvedName) => void): void
  /** Messages, packets or lines that could not be read. Only grows. */
  readonly unread: number
}
