import { canonical } from './addresses.ts'
import { LONGEST_NAME, type ResolvedName } from './resolved.ts'

/** RFC 1035 and RFC 3596. */
const A = 1
const CNAME = 5
const AAAA = 28
/** Calls of nss-resolve that wait for their answers, and names of one exchange. */
const MOST_CALLS = 1024
const MOST_NAMES = 64

/** `resolvectl monitor`: `→ Q: NAME IN A`, `← S: success`, `← A: NAME IN A ADDRESS`. */
const MONITORED =
  /^(?:[→←]|->|<-) (?<part>[QSCA]): (?:(?<name>\S+) IN (?<type>\S+)(?: (?<value>.+))?|(?<state>\S+).*)$/
const ANY_MONITORED = /^(?:[→←]|->|<-) [QSCA]: /
/** Debug lines of systemd-resolved about calls over varlink: who calls, what was received or sent. */
const VARLINK = /(?<caller>varlink[^:\s]*): .*?(?<message>\{.*\})$/

type Answer = Pick<ResolvedName, 'name' | 'addresses' | 'ttlS'>

/** What was asked, and what has come of it so far. */
interface Exchange {
  readonly asked: string[]
  isSuccess: boolean
  readonly names: Set<string>
}

/** Messages of systemd-resolved → names and their addresses, without their times: these stand before them, if anywhere. */
export class ResolvedMessages {
  private exchange: Exchange | undefined
  private readonly calls = new Map<string, string>()

  /** @returns what the line resolves; `unread` when it should be a message and is none */
  read(text: string): Answer | 'unread' | undefined {
    const line = text.replace(/^(?:\S+ )?systemd-resolved\[\d+\]: /, '').trim()
    if (ANY_MONITORED.test(line)) return this.readMonitored(line)
    if (line.startsWith('{')) return this.readMessage('', line)
    const { caller, message } = VARLINK.exec(line)?.groups ?? {}
    return caller === undefined || message === undefined ? undefined : this.readMessage(caller, message)
  }

  private readMonitored(line: string): Answer | undefined {
    const { part, name, type, value = '', state } = MONITORED.exec(line)?.groups ?? {}
    if (name !== undefined && name.length > LONGEST_NAME) return undefined
    if (part === 'Q' && name !== undefined) {
      const isMore = this.exchange?.isSuccess === false
      const asked = isMore ? (this.exchange?.asked ?? []).slice(0, MOST_NAMES) : []
      this.exchange = { asked: [...asked, name.toLowerCase()], isSuccess: false, names: new Set() }
      return undefined
    }
    const { exchange } = this
    if (exchange === undefined) return undefined
    if (part === 'S') {
      exchange.isSuccess = state === 'success'
      if (!exchange.isSuccess) this.exchange = undefined
      return undefined
    }
    if (name === undefined) return undefined
    // Questions that an alias led to belong to the first.
    if (part === 'C' && exchange.names.size < MOST_NAMES) exchange.names.add(name.toLowerCase())
    const [asked = ''] = exchange.asked
    if (part !== 'A' || !exchange.isSuccess || (type !== 'A' && type !== 'AAAA')) return undefined
    const owner = name.toLowerCase()
    const address = canonical(value)
    if (address === undefined || !(exchange.asked.includes(owner) || exchange.names.has(owner)))
      return undefined
    return { name: asked, addresses: [address], ttlS: 0 }
  }

  private readMessage(caller: string, text: string): Answer | 'unread' | undefined {
    let message: unknown
    try {
      message = JSON.parse(text)
    } catch {
      return 'unread'
    }
    if (!isObject(message)) return 'unread'
    const { method, parameters } = message
    const fields = isObject(parameters) ? parameters : message
    if (method === 'io.systemd.Resolve.ResolveHostname') {
      if (typeof fields['name'] === 'string') this.noteCall(caller, fields['name'])
      return undefined
    }
    if (Array.isArray(fields['question'])) return ofMonitor(fields)
    if (Array.isArray(fields['addresses'])) return this.ofCall(caller, fields['addresses'])
    return undefined
  }

  private noteCall(caller: string, name: string): void {
    if (name.length > LONGEST_NAME || caller.length > LONGEST_NAME) return
    if (this.calls.size >= MOST_CALLS) this.calls.clear()
    this.calls.set(caller, name)
  }

  private ofCall(caller: string, found: readonly unknown[]): Answer | undefined {
    const name = this.calls.get(caller)
    const addresses = found.flatMap((each) => (isObject(each) ? addressOf(each['address']) : []))
    return name === undefined || addresses.length === 0 ? undefined : { name, addresses, ttlS: 0 }
  }
}

/** `resolvectl monitor --json=short`, one object a line. */
function ofMonitor(fields: Readonly<Record<string, unknown>>): Answer | undefined {
  if (fields['state'] !== 'success') return undefined
  const [question] = listOf(fields['question'])
  const asked = question === undefined ? undefined : nameOf(question)
  if (asked === undefined) return undefined
  const records = listOf(fields['answer']).flatMap(({ rr }) => (isObject(rr) ? [rr] : []))
  const names = new Set([asked])
  // Aliases may stand in any order, and each leads to one more at most.
  for (const record of listOf(fields['collectedQuestions'])) names.add(nameOf(record) ?? asked)
  for (let before = 0; before < names.size;) {
    before = names.size
    for (const { key, name } of records)
      if (typeof name === 'string' && typeOf(key) === CNAME && names.has(nameOf(key) ?? ''))
        names.add(name.toLowerCase())
  }
  const addresses = records.flatMap(({ key, address }) =>
    [A, AAAA].includes(typeOf(key)) && names.has(nameOf(key) ?? '') ? addressOf(address) : [],
  )
  return addresses.length === 0 ? undefined : { name: asked, addresses, ttlS: 0 }
}

/** Bytes as numbers, or text. */
function addressOf(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (!Array.isArray(value) || !value.every((byte) => Number.isInteger(byte))) return []
  const bytes = Buffer.from(value as number[])
  if (bytes.length === 4) return [bytes.join('.')]
  if (bytes.length !== 16) return []
  return [Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16)).join(':')]
}

const nameOf = (value: unknown): string | undefined =>
  isObject(value) && typeof value['name'] === 'string' ? value['name'].toLowerCase() : undefined

const typeOf = (value: unknown): number =>
  isObject(value) && typeof value['type'] === 'number' ? value['type'] : -1

const listOf = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? value.filter(isObject) : []

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
