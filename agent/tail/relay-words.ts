/** What the plugin of auditd says, see scripts/auditd-relay. */
export type Word =
  /** `first`: offset of the oldest byte that it keeps. */
  | { readonly kind: 'hello'; readonly stream: string; readonly first: number }
  /** Whole lines, or none; `behind`: bytes that it keeps behind them. */
  | { readonly kind: 'bytes'; readonly offset: number; readonly bytes: Buffer; readonly behind: number }
  /** auditd has closed its end, and all was brought. */
  | { readonly kind: 'end'; readonly offset: number }

const LONGEST_WORD_BYTES = 100
/** A line that never ends is cut by the plugin. */
const MOST_BYTES = 2 * 1024 * 1024
const NEWLINE = 0x0a
const NOTHING = Buffer.alloc(0)

/** Cuts what arrives into words. */
export class RelayReader {
  private rest: Buffer = NOTHING

  /** The words that are complete now; undefined when this is not our plugin. Bytes are copies. */
  push(bytes: Buffer): readonly Word[] | undefined {
    this.rest = this.rest.length === 0 ? bytes : Buffer.concat([this.rest, bytes])
    const words: Word[] = []
    for (;;) {
      const end = this.rest.indexOf(NEWLINE)
      if (end === -1) return this.rest.length > LONGEST_WORD_BYTES ? undefined : words
      const word = wordOf(this.rest.toString('latin1', 0, Math.min(end, LONGEST_WORD_BYTES)))
      if (word === undefined) return undefined
      const { lengthBytes, ...head } = word
      const next = end + 1 + lengthBytes
      if (next > this.rest.length) return words
      words.push(
        head.kind === 'bytes' ? { ...head, bytes: Buffer.from(this.rest.subarray(end + 1, next)) } : head,
      )
      this.rest = this.rest.subarray(next)
    }
  }
}

type Head = Word & { readonly lengthBytes: number }

function wordOf(text: string): Head | undefined {
  const [, stream, first] = /^fullmon-relay 1 ([0-9a-f]{32}) (\d{1,15})$/.exec(text) ?? []
  if (stream !== undefined) return { kind: 'hello', stream, first: Number(first), lengthBytes: 0 }
  const [, ended] = /^end (\d{1,15})$/.exec(text) ?? []
  if (ended !== undefined) return { kind: 'end', offset: Number(ended), lengthBytes: 0 }
  const [, offset, length, behind] = /^at (\d{1,15}) (\d{1,7}) (\d{1,15})$/.exec(text) ?? []
  const lengthBytes = Number(length)
  if (offset === undefined || lengthBytes > MOST_BYTES) return undefined
  return { kind: 'bytes', offset: Number(offset), bytes: NOTHING, behind: Number(behind), lengthBytes }
}
