import { CR, EQUALS, hexDigit, LF, SPACE } from './bytes.ts'

const NUL = 0
const UNIX = 1
const AX25 = 3
const X25 = 9
/** auditd prints at most this much of a unix address: `path=%.108s`. Before audit 3 it had no limit. */
const LONGEST_PATH = 108
const LONGEST_CALL_SIGN = 7
const LONGEST_X25 = 15

const SADDR = Buffer.from('saddr=')
const CLOSE = Buffer.from(' }')
const NOTHING: readonly Expected[] = []

/** What auditd writes of one address: the lines, the last one with the closing brace, and the one that is due. */
interface Expected {
  readonly lines: readonly Buffer[]
  readonly due: number
}

/**
 * Keeps lines that a process made auditd write from being read as records.
 *
 * In ENRICHED format auditd writes the address of a socket behind the GS as it is: `SADDR={ saddr_fam=local path=` + the
 * path + ` }`, newlines included (auparse/interpret.c, print_sockaddr; audit 2.6 to 4.1). A process may thus put whole
 * lines of its own into the log: the rest of the path begins the next line. But the record has the same path in hex
 * before it, so it is known which bytes auditd wrote, and exactly those are swallowed: a path may end with `}`, hold
 * a GS, or look like the end of itself.
 *
 * A line that differs from the one that is due was not written for the address: auditd left the suffix out, or the log is
 * torn or was edited. It is read as any other, and nothing more is expected.
 */
export class ForgedLines {
  /** Addresses of the last record, as long as the lines agree with them. */
  private addresses: readonly Buffer[][] = []
  private expected = NOTHING

  /** Whether the next line may belong to an address. Asked for every line of the log, so it must cost nothing. */
  get isExpecting(): boolean {
    return this.expected !== NOTHING
  }

  /**
   * Takes a SOCKADDR record: the line `[start, end)` without its newline, and the value of `saddr`.
   *
   * @returns whether the address holds a newline where auditd would write it: an attempt, whatever became of it
   */
  begin(bytes: Buffer, start: number, end: number, saddr: string): boolean {
    // Most addresses are of no family that auditd writes as it is.
    const text = mayBePrinted(saddr) ? printedText(saddr) : undefined
    return text?.includes(LF) === true && this.expect(bytes.subarray(start, end), [text])
  }

  /**
   * Takes a record of user space, whose text may have fields named `saddr` too: auditd translates them just the same. Who
   * sends one needs CAP_AUDIT_WRITE, which root has in most containers.
   *
   * @returns whether one of them holds a newline where auditd would write it
   */
  beginClaimed(bytes: Buffer, start: number, end: number): boolean {
    const line = bytes.subarray(start, end)
    const texts: Buffer[] = []
    for (let at = line.indexOf(SADDR); at >= 0; at = line.indexOf(SADDR, at + 1)) {
      let to = at + SADDR.length
      while (hexDigit(line[to] ?? 0) >= 0) to++
      const text = printedText(line.toString('latin1', at + SADDR.length, to))
      if (text?.includes(LF) === true) texts.push(text)
    }
    return texts.length > 0 && this.expect(line, texts)
  }

  /**
   * Takes a line, without its newline, while `isExpecting`; an empty one too.
   *
   * @returns whether auditd wrote it as a part of an address: it is no record, whatever it says
   */
  swallow(bytes: Buffer, start: number, end: number): boolean {
    const line = bytes.subarray(start, end)
    const agreeing = this.expected.filter(({ lines, due }) =>
      agrees(line, lines[due], due === lines.length - 1),
    )
    const open = agreeing.flatMap(({ lines, due }) =>
      due + 1 < lines.length ? [{ lines, due: due + 1 }] : this.beginsIn(line),
    )
    this.expected = open.length === 0 ? NOTHING : open
    return agreeing.length > 0
  }

  private expect(line: Buffer, texts: readonly Buffer[]): true {
    this.addresses = texts.flatMap(waysToWrite)
    const open = this.beginsIn(line)
    this.expected = open.length === 0 ? NOTHING : open
    return true
  }

  /** The addresses whose first line is the end of this one. */
  private beginsIn(line: Buffer): Expected[] {
    return this.addresses.filter(([first]) => isWrittenAtEnd(line, first)).map((lines) => ({ lines, due: 1 }))
  }
}

/** Whether an address holds a newline where auditd would write it. `saddr`: its hex digits. */
export const holdsNewline = (saddr: string): boolean =>
  saddr.includes('0A') && mayBePrinted(saddr) && printedText(saddr)?.includes(LF) === true

/** The families whose addresses auditd writes as they are, in either byte order; the rest costs two comparisons. */
function mayBePrinted(saddr: string): boolean {
  const low = saddr.startsWith('00') ? saddr.slice(2, 4) : saddr.slice(0, 2)
  return low === '01' || low === '03' || low === '09'
}

/** The part of an address that auditd writes as it is; undefined for families of which it writes numbers only. */
function printedText(saddr: string): Buffer | undefined {
  const address = Buffer.from(saddr, 'hex')
  const [first = 0, second = 0] = address
  // In the byte order of the machine that logged.
  switch (first === 0 ? second : second === 0 ? first : -1) {
    case UNIX:
      // The name of an abstract socket begins with a NUL, which is not printed.
      return upToNul(address.subarray(address[2] === NUL ? 3 : 2))
    case AX25:
      return upToNul(address.subarray(2, 2 + LONGEST_CALL_SIGN))
    case X25:
      return upToNul(address.subarray(2, 2 + LONGEST_X25))
    default:
      return undefined
  }
}

function upToNul(bytes: Buffer): Buffer {
  const nul = bytes.indexOf(NUL)
  return nul < 0 ? bytes : bytes.subarray(0, nul)
}

/** The lines of a text that is longer than a path can be depend on the version of auditd. */
function waysToWrite(text: Buffer): Buffer[][] {
  const texts = text.length > LONGEST_PATH ? [text.subarray(0, LONGEST_PATH), text] : [text]
  return texts.map((each) => linesOf(Buffer.concat([each, CLOSE])))
}

function linesOf(text: Buffer): Buffer[] {
  const lines: Buffer[] = []
  let start = 0
  for (let end = text.indexOf(LF); end >= 0; end = text.indexOf(LF, start)) {
    lines.push(text.subarray(start, end))
    start = end + 1
  }
  return [...lines, text.subarray(start)]
}

/** Whether a line ends with `path=` (or before audit 2.8: `local `) and the first line of an address; no RAW one does. */
function isWrittenAtEnd(line: Buffer, first: Buffer | undefined): boolean {
  if (first === undefined) return false
  const before = (end: number): boolean => {
    const at = end - first.length
    const byte = line[at - 1]
    return (byte === EQUALS || byte === SPACE) && line.subarray(at, end).equals(first)
  }
  return before(line.length) || (line[line.length - 1] === CR && before(line.length - 1))
}

/**
 * Whether a line is the one that is due. Behind the last line of an address in a record of user space further fields
 * follow. A line that is only the beginning of it was cut: auditd writes at most 8,969 bytes of a record.
 */
function agrees(line: Buffer, due: Buffer | undefined, isLast: boolean): boolean {
  if (due === undefined) return false
  const isIt = (text: Buffer): boolean =>
    due.subarray(0, text.length).equals(text) || (isLast && text.subarray(0, due.length).equals(due))
  // A log that was copied by way of another system has a CR at the end of every line.
  return isIt(line) || (line[line.length - 1] === CR && isIt(line.subarray(0, -1)))
}
