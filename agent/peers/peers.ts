import type { StateEntry, StateWriter } from '../domain/state.ts'
import { canonical } from './addresses.ts'
import type { ResolvedName } from './resolved.ts'
import { peerName } from './resolved.ts'

/** A name is believed for at least this long, and for this long after it was used: who keeps an address asks once. */
const LEAST_LIFE_MS = 3_600_000
/** Who has asked connects within this time, unless the answer may be kept for longer. */
const FRESH_MS = 5000
/** As long as resolvers believe anything: RFC 8767. */
const MOST_LIFE_S = 604_800
/** The stamp of a connect may be this much older than the answer before it: the kernel's clock is coarse. */
const COARSE_MS = 10
/** A name is prolonged in steps, each of which is written. */
const STEP_MS = 60_000
const MOST_NAMES = 64
const MOST_SERVERS = 1024
/** Characters of addresses and names in one half: what 20,000 addresses of usual length take. */
const MOST_CHARACTERS = 4_000_000
/** What an entry costs besides its texts. */
const CHARACTERS_OF_ENTRY = 100

interface Binding {
  /** When it was answered first, until when it is fresh, and until when it is believed. */
  readonly fromMs: number
  readonly freshMs: number
  untilMs: number
  readonly lifeMs: number
}

/** The times of a binding, in the order of its fields. */
type StoredBinding = readonly [fromMs: number, freshMs: number, untilMs: number, lifeMs: number]

type Bindings = Map<string, Binding>
type Stored = readonly [
  generation: number,
  ...names: readonly (readonly [name: string, ...times: StoredBinding])[],
]

/** A name that an address was resolved from. */
export interface NameOfAddress {
  readonly name: string
  /** Whether it was answered lately: then it is likely what a connect to the address meant. */
  readonly isFresh: boolean
}

/**
 * Which names were resolved to an address: what the host was told before it connected.
 *
 * In two halves, bounded by their characters, because who may ask for names may not choose our memory: when the newer
 * half is full, the older one is forgotten whole. What is used or answered again is taken into the newer one.
 */
export class Peers {
  /** Answers of servers that nobody asked while the host was learned. Only grows. */
  distrusted = 0
  /** Changes whenever an address gets a name that it did not have. */
  revision = 0
  /** Addresses whose names were forgotten because there were too many. Only grows. */
  forgotten = 0
  private newer = new Map<string, Bindings>()
  private older = new Map<string, Bindings>()
  private generation = 0
  private characters = 0
  /** Servers that answered during the training. */
  private readonly trusted: Set<string>
  private readonly changed: Set<string> | undefined
  private readonly mostCharacters: number

  /**
   * @param servers that answered during the training
   * @param tracksChanges whether `drain` will be called
   */
  constructor(servers: Iterable<string> = [], tracksChanges = false, mostCharacters = MOST_CHARACTERS) {
    this.trusted = new Set(servers)
    this.changed = tracksChanges ? new Set() : undefined
    this.mostCharacters = mostCharacters
  }

  /** Whether nothing was ever answered. */
  get isEmpty(): boolean {
    return this.newer.size === 0 && this.older.size === 0
  }

  get servers(): ReadonlySet<string> {
    return this.trusted
  }

  /** These servers are believed, too. */
  trust(servers: Iterable<string>): void {
    for (const server of servers) if (this.trusted.size < MOST_SERVERS) this.trusted.add(server)
  }

  /**
   * A name was resolved.
   *
   * Who may start a process here may also ask a server of their own for somebody else's name, and that server may say
   * what it likes. So only servers are believed that answered during the training, or that it is normal to ask.
   * @param isBelieved whether the training goes on, or the server is one of those
   */
  answered({ timeMs, name, addresses, ttlS, server }: ResolvedName, isBelieved: boolean): void {
    const safe = peerName(name)
    if (safe === undefined) return
    if (server !== undefined && !this.trusted.has(server)) {
      if (!isBelieved) {
        this.distrusted++
        return
      }
      if (this.trusted.size < MOST_SERVERS) this.trusted.add(server)
    }
    const ttlMs = Math.min(ttlS, MOST_LIFE_S) * 1000
    for (const address of addresses) {
      const known = canonical(address)
      if (known !== undefined) this.bind(known, safe, timeMs, ttlMs)
    }
  }

  /**
   * Names that the address was resolved from, the one that was answered last first. Being asked for is being used.
   * @param address as the graph writes it
   */
  namesOf(address: string, timeMs: number): readonly NameOfAddress[] {
    const bindings = this.bindingsOf(address)
    if (bindings === undefined) return []
    const names: NameOfAddress[] = []
    for (const [name, binding] of bindings) {
      if (timeMs < binding.fromMs - COARSE_MS || timeMs > binding.untilMs) continue
      names.push({ name, isFresh: timeMs <= binding.freshMs })
      this.prolong(address, binding, timeMs + binding.lifeMs)
    }
    return names.reverse()
  }

  /** Everything is again as it was when it was drained. Belongs before the first answer. */
  restore(entries: Iterable<StateEntry>): void {
    const stored = [...entries].map(({ key, value }) => ({ key, value: value as Stored }))
    this.generation = stored.reduce((newest, { value: [generation] }) => Math.max(newest, generation), 0)
    for (const { key, value } of stored) {
      const [generation, ...names] = value
      const bindings: Bindings = new Map(
        names.map(([name, fromMs, freshMs, untilMs, lifeMs]) => [name, { fromMs, freshMs, untilMs, lifeMs }]),
      )
      if (generation === this.generation) this.put(key, bindings)
      else this.older.set(key, bindings)
    }
  }

  /** Hands out what changed since the last time. */
  drain(writer: StateWriter): void {
    for (const address of this.changed ?? []) {
      const newer = this.newer.get(address)
      const bindings = newer ?? this.older.get(address)
      if (bindings === undefined) writer.remove('peer', address)
      else {
        const names = [...bindings].map(([name, binding]) => {
          const { fromMs, freshMs, untilMs, lifeMs } = binding
          return [name, fromMs, freshMs, untilMs, lifeMs] as const
        })
        const generation = newer === undefined ? this.generation - 1 : this.generation
        writer.put('peer', address, [generation, ...names] satisfies Stored)
      }
    }
    this.changed?.clear()
  }

  private bind(address: string, name: string, timeMs: number, ttlMs: number): void {
    if (this.characters >= this.mostCharacters) this.beginGeneration()
    const bindings = this.bindingsOf(address) ?? this.renew(address, new Map<string, Binding>())
    const known = bindings.get(name)
    const lifeMs = Math.max(LEAST_LIFE_MS, ttlMs)
    const isKnown = known !== undefined && known.untilMs >= timeMs
    // A name that was no longer fresh is so again, too.
    if (!isKnown || known.freshMs < timeMs) this.revision++
    const fromMs = isKnown ? known.fromMs : timeMs
    const freshMs = Math.max(timeMs + Math.max(FRESH_MS, ttlMs), known?.freshMs ?? 0)
    const untilMs = Math.max(timeMs + lifeMs, known?.untilMs ?? 0)
    if (known === undefined) {
      if (bindings.size >= MOST_NAMES) this.dropFirst(bindings)
      this.characters += name.length + CHARACTERS_OF_ENTRY
    }
    // Behind all others: it was answered last.
    bindings.delete(name)
    bindings.set(name, { fromMs, freshMs, untilMs, lifeMs })
    this.changed?.add(address)
  }

  private dropFirst(bindings: Bindings): void {
    for (const name of bindings.keys()) {
      bindings.delete(name)
      this.characters -= name.length + CHARACTERS_OF_ENTRY
      return
    }
  }

  private prolong(address: string, binding: Binding, untilMs: number): void {
    if (untilMs - binding.untilMs < STEP_MS) return
    binding.untilMs = untilMs
    this.changed?.add(address)
  }

  /** Takes the address into the newer half. */
  private bindingsOf(address: string): Bindings | undefined {
    const newer = this.newer.get(address)
    if (newer !== undefined) return newer
    const older = this.older.get(address)
    return older === undefined ? undefined : this.renew(address, older)
  }

  private renew(address: string, bindings: Bindings): Bindings {
    this.older.delete(address)
    this.put(address, bindings)
    this.changed?.add(address)
    return bindings
  }

  private put(address: string, bindings: Bindings): void {
    this.newer.set(address, bindings)
    this.characters += CHARACTERS_OF_ENTRY + address.length
    for (const name of bindings.keys()) this.characters += name.length + CHARACTERS_OF_ENTRY
  }

  private beginGeneration(): void {
    this.forgotten += this.older.size
    if (this.changed !== undefined) for (const address of this.older.keys()) this.changed.add(address)
    this.older = this.newer
    this.newer = new Map()
    this.characters = 0
    this.generation++
  }
}
