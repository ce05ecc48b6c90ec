import { canonical } from './addresses.ts'
import { ResolvedMessages } from './resolved-messages.ts'
import { LONGEST_NAME, type ResolvedName } from './resolved.ts'
import { withoutStamp } from './stamps.ts'

/** Characters of questions, or exchanges, that are remembered in each of two halves. */
const MOST_CHARACTERS = 500_000
/** What an entry costs besides its texts. */
const CHARACTERS_OF_ENTRY = 100
/** A line that is longer is no line of a resolver. */
const LONGEST_LINE = 65_536

/** What dnsmasq writes with `log-queries`, and with `log-queries=extra` in front of it: a number and who asked. */
const DNSMASQ =
  /^(?:\S+ )?dnsmasq\[(?<pid>\d+)\]: (?:(?<exchange>\d+) \S+\/\d+ )?(?:query\[[^\]]+\] (?<asked>\S+) from \S+|(?:reply|cached|cached-stale|config|auth|DHCP|\/\S+) (?<name>\S+) is (?<answer>\S+))$/
const ANY_DNSMASQ = /^(?:\S+ )?dnsmasq(?:-dhcp)?\[\d+\]: /
const ALIAS = '<CNAME>'

/** One answer as dnsmasq writes it, line by line: first the aliases, then the addresses of the last one. */
interface Answering {
  readonly asked: string
  name: string
  isAlias: boolean
}

/**
 * The query log of a resolver → names and their addresses: dnsmasq (`log-queries`) or systemd-resolved
 * (`resolvectl monitor` in both formats, and its debug lines in the journal). Which one it is, is seen line by line.
 */
export class QueryLogReader {
  /** Lines about names that could not be read. Only grows. */
  unread = 0
  private readonly asked = new Lately<true>()
  private readonly answering = new Lately<Answering>()
  private readonly resolved = new ResolvedMessages()

  /**
   * @param nearMs a time that the log is about, for stamps without a year
   * @param nowMs when the line was written, where it has no stamp
   * @returns what the line resolves
   */
  read(line: string, nearMs: number, nowMs?: number): ResolvedName | undefined {
    if (line.length > LONGEST_LINE) {
      this.unread++
      return undefined
    }
    const stamped = withoutStamp(line, nearMs)
    const timeMs = stamped.timeMs ?? nowMs
    const isDnsmasq = ANY_DNSMASQ.test(stamped.text)
    if (isDnsmasq && timeMs !== undefined) return this.readDnsmasq(stamped.text, timeMs)
    const answer = isDnsmasq ? undefined : this.resolved.read(stamped.text)
    if (answer === undefined && !isDnsmasq) return undefined
    // What has no time cannot be said to have been before anything.
    if (answer === undefined || answer === 'unread' || timeMs === undefined) this.unread++
    else return { timeMs, ...answer }
    return undefined
  }

  private readDnsmasq(text: string, timeMs: number): ResolvedName | undefined {
    const { pid = '', exchange = '', asked, name, answer = '' } = DNSMASQ.exec(text)?.groups ?? {}
    if ([asked, name].some((each) => each !== undefined && each.length > LONGEST_NAME + '.'.length)) {
      this.unread++
      return undefined
    }
    // Each connection over TCP has a process of its own.
    const writer = `${pid} ${exchange}`
    if (asked !== undefined) {
      this.asked.set(asked.toLowerCase(), true)
      this.answering.delete(writer)
    }
    if (name === undefined) return undefined
    const current = this.noteAnswer(writer, name.toLowerCase())
    current.isAlias = answer === ALIAS
    const address = canonical(answer)
    if (address === undefined || this.asked.get(current.asked) === undefined) return undefined
    return { timeMs, name: current.asked, addresses: [address], ttlS: 0 }
  }

  /** Which question a line answers: the name behind an alias stands only on the next line of the same answer. */
  private noteAnswer(writer: string, name: string): Answering {
    const before = this.answering.get(writer)
    if (before !== undefined && (before.isAlias || before.name === name)) {
      before.name = name
      return before
    }
    const begun = { asked: name, name, isAlias: false }
    this.answering.set(writer, begun)
    return begun
  }
}

/** A map that keeps what came lately. */
class Lately<V> {
  private newer = new Map<string, V>()
  private older = new Map<string, V>()
  private characters = 0

  get(key: string): V | undefined {
    return this.newer.get(key) ?? this.older.get(key)
  }

  set(key: string, value: V): void {
    if (this.characters >= MOST_CHARACTERS) {
      this.older = this.newer
      this.newer = new Map()
      this.characters = 0
    }
    // Of one that is there too: what is deleted is not taken off, and whoever repeats himself turns the halves sooner.
    this.characters += key.length + CHARACTERS_OF_ENTRY
    this.newer.set(key, value)
  }

  delete(key: string): void {
    this.newer.delete(key)
    this.older.delete(key)
  }
}
