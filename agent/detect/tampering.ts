import type { Severity, Tamper, TamperReason } from '../domain/report.ts'

/** Chains that are reported for one kind of tampering in a window: more would not be read, and are counted. */
const MOST_CHAINS = 50
const REST = '…'

/** Deeds of one kind by one chain of processes. */
interface Deeds {
  /** Besides the one that was reported. */
  readonly count: number
  /** What was reported at once; empty when nothing was. */
  readonly reported: string
  readonly last: string
  readonly severity?: Severity
  readonly chain: readonly string[]
}

export type TamperingState = readonly (readonly [key: string, Deeds])[]

/** Which tampering has been reported in this window, so that one deed is one report however often it is done. */
export class Tampering {
  private readonly deeds = new Map<string, Deeds>()

  /**
   * Takes note of a deed. True for the first one of its kind by these processes, which is to be reported at once.
   *
   * Each kind has a share by itself: one that everybody can do at will must not hide the others.
   */
  isFirst(tamper: Tamper): boolean {
    const { chain, detail } = tamper
    const grade = tamper.severity === undefined ? {} : { severity: tamper.severity }
    const key = keyOf(tamper)
    const isKnown = this.deeds.has(key)
    if (!isKnown && this.countOf(kindOf(tamper)) <= MOST_CHAINS) {
      this.deeds.set(key, { count: 0, reported: detail, last: detail, ...grade, chain })
      return true
    }
    const place = isKnown ? key : `${kindOf(tamper)} ${REST}`
    const { count = 0, reported = '' } = this.deeds.get(place) ?? {}
    this.deeds.set(place, { count: count + 1, reported, last: detail, ...grade, chain })
    return false
  }

  /** Whether just this was noted last: of something that is looked at again and again and lasts. */
  isAsBefore(tamper: Tamper): boolean {
    return this.deeds.get(keyOf(tamper))?.last === tamper.detail
  }

  /** The window ends: what came on top of what was reported at once, unless it was the same. */
  end(timeMs: number): Tamper[] {
    const more = [...this.deeds].flatMap(([key, { count, reported, last, severity, chain }]): Tamper[] => {
      if (count === 0 || last === reported) return []
      const reason = key.slice(0, key.indexOf(' ')) as TamperReason
      const detail = `${count} more in this window; the last: ${last}`
      const grade = severity === undefined ? {} : { severity }
      return [{ kind: 'tamper', reason, ...grade, timeMs, process: chain.at(-1) ?? '', chain, detail }]
    })
    this.deeds.clear()
    return more
  }

  /** What `resume` takes. */
  get memory(): TamperingState {
    return [...this.deeds]
  }

  resume(state: TamperingState): void {
    for (const [key, deeds] of state) this.deeds.set(key, deeds)
  }

  private countOf(kind: string): number {
    let count = 0
    for (const key of this.deeds.keys()) if (key.startsWith(`${kind} `)) count++
    return count
  }
}

/** What is graver is another kind: it is not hidden by what the same processes did before. */
const kindOf = ({ reason, severity }: Tamper): string =>
  severity === undefined ? `${reason} critical` : `${reason} ${severity}`

const keyOf = (tamper: Tamper): string => `${kindOf(tamper)} ${tamper.chain.join('->')}`
