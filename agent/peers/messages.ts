import { decode, type DecodedPacket } from 'dns-packet'
import { LONGEST_NAME, type ResolvedName } from './resolved.ts'

/** RFC 1035, 4.1.1. */
const HEADER_BYTES = 12
const QDCOUNT = 4
const NSCOUNT = 8
const ARCOUNT = 10
const LABEL_BYTES = 63
const DOT = 46
/** Who may take this port answers for the host: any other one anybody may send from, with the address of the host. */
const AT_SERVER = ' 53'
/** Questions that wait for their answers, in each of two halves. */
const MOST_QUESTIONS = 4096
/** Addresses of one answer: more do not fit into one that is sent over UDP. */
const MOST_ADDRESSES = 256
/** Resolvers give up sooner. */
const PATIENCE_MS = 30_000

/** One DNS message as it was carried, without the length that TCP puts before it. */
export interface Message {
  readonly timeMs: number
  readonly bytes: Buffer
  /** `ADDRESS PORT` of both ends. */
  readonly from: string
  readonly to: string
  /** Address of `from`. */
  readonly sender: string
}

/**
 * DNS messages → names and their addresses. An answer counts when its question was seen on its way to who answers:
 * that it claims to be one is no reason to believe it.
 */
export class MessageReader {
  /** Messages that are none, or none that can be read. Only grows. */
  unread = 0
  private newer = new Map<string, number>()
  private older = new Map<string, number>()

  /** The name that the message resolves; undefined when it is a question, resolves nothing, or nobody asked. */
  read({ timeMs, bytes, from, to, sender }: Message): ResolvedName | undefined {
    const packet = decoded(bytes)
    const question = packet?.questions?.[0]
    const isLong = question !== undefined && question.name.length > LONGEST_NAME
    if (packet === undefined || isLong || (question === undefined && packet.type === 'query')) {
      this.unread++
      return undefined
    }
    if (question === undefined || (question.type !== 'A' && question.type !== 'AAAA')) return undefined
    const name = question.name.toLowerCase()
    const asked = `${packet.id ?? 0} ${question.type} ${name} `
    if (packet.type === 'query') {
      if (to.endsWith(AT_SERVER)) this.ask(`${asked}${from} ${to}`, timeMs)
      return undefined
    }
    if (rcodeOf(bytes) !== 0 || !this.wasAsked(`${asked}${to} ${from}`, timeMs)) return undefined
    const { addresses, ttlS } = followed(name, packet)
    return addresses.length === 0 ? undefined : { timeMs, name, addresses, ttlS, server: sender }
  }

  private ask(question: string, timeMs: number): void {
    if (this.newer.size >= MOST_QUESTIONS) {
      this.older = this.newer
      this.newer = new Map()
    }
    this.newer.set(question, timeMs)
  }

  private wasAsked(question: string, timeMs: number): boolean {
    // Not forgotten: what is captured on two interfaces comes twice.
    const askedMs = this.newer.get(question) ?? this.older.get(question)
    return askedMs !== undefined && Math.abs(timeMs - askedMs) <= PATIENCE_MS
  }
}

/** Undefined for what is no message, or has a name with a dot within a label, which would read as another name. */
function decoded(bytes: Buffer): DecodedPacket | undefined {
  if (bytes.length < HEADER_BYTES || !isPlain(bytes)) return undefined
  // Only questions and answers are of interest, and what stands behind them may be anything.
  const message = Buffer.from(bytes)
  message.writeUInt16BE(0, NSCOUNT)
  message.writeUInt16BE(0, ARCOUNT)
  try {
    return decode(message)
  } catch {
    return undefined
  }
}

/** Whether the labels of the first question hold no dots. */
function isPlain(bytes: Buffer): boolean {
  if (bytes.readUInt16BE(QDCOUNT) === 0) return true
  let at = HEADER_BYTES
  for (;;) {
    const length = bytes[at]
    if (length === undefined || length > LABEL_BYTES) return false
    if (length === 0) return true
    if (bytes.subarray(at + 1, at + 1 + length).includes(DOT)) return false
    at += 1 + length
  }
}

const rcodeOf = (bytes: Buffer): number => (bytes[3] ?? 0) & 0xf

/** Addresses that the name leads to, over its aliases, which may stand in any order. */
function followed(name: string, { answers = [] }: DecodedPacket): { addresses: string[]; ttlS: number } {
  const aliases = new Map<string, string>()
  for (const answer of answers)
    if (answer.type === 'CNAME') aliases.set(answer.name.toLowerCase(), answer.data.toLowerCase())
  const names = new Set<string>()
  for (let at: string | undefined = name; at !== undefined && !names.has(at); at = aliases.get(at))
    names.add(at)
  const addresses: string[] = []
  let ttlS = 0
  for (const answer of answers) {
    if ((answer.type !== 'A' && answer.type !== 'AAAA') || !names.has(answer.name.toLowerCase())) continue
    if (addresses.length < MOST_ADDRESSES) addresses.push(answer.data)
    ttlS = Math.max(ttlS, answer.ttl ?? 0)
  }
  return { addresses, ttlS }
}
