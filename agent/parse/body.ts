import { bytesOfHex, textOfBytes } from './text.ts'

/** `key=value` pairs and the words between them. */
export interface Said {
  /** As text, quotes and hex undone. The first of two equal keys counts; `(null)` is left out. */
  readonly fields: ReadonlyMap<string, string>
  /** `avc: denied { read } for`. */
  readonly words: string
}

/** What a record says for which the reader of bytes has no reading of its own. */
export interface Body {
  /** What the kernel or auditd wrote, without auditd's translations for people. */
  readonly own: Said
  /** What stands in `msg='…'`: the sender of a user-space record says so, and nobody has checked it. */
  readonly claims: Said | undefined
  /** Another record was written into the middle of this one; what stands behind is left out. */
  readonly isTorn: boolean
}

const GS = '\u001d'
const PAYLOAD = "msg='"

/** Values that are quoted, or hex when they hold more than plain text: auparse/typetab.h of audit-userspace. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  ...['comm', 'exe', 'cwd', 'name', 'path', 'key', 'ocomm', 'proctitle', 'data', 'dir', 'file', 'watch'],
  ...['acct', 'cmd', 'grp', 'new_group', 'vm', 'sw', 'root_dir', 'cgroup', 'device', 'invalid_context'],
  ...['old-chardev', 'new-chardev', 'old-disk', 'new-disk', 'old-fs', 'new-fs', 'old-net', 'new-net'],
  ...['old-rng', 'new-rng', 'apparmor', 'operation', 'denied_mask', 'requested_mask', 'info', 'profile'],
])

/**
 * Reads what stands behind the header of a record of any type. Never throws, whatever that is.
 *
 * @param body one character a byte; auditd's translations may stand behind a GS
 */
export function readBody(body: string): Body {
  const separator = body.indexOf(GS)
  const own = scan(separator < 0 ? body : body.slice(0, separator), KERNEL)
  const claims = own.payloadAt === undefined ? undefined : scan(payloadOf(body, own.payloadAt), SENDER)
  return { own, claims, isTorn: own.isTorn }
}

/**
 * The sender may put quotes and even a GS into it, so it ends at the last quote before the last GS; where there is none,
 * at the last quote of all, and in a line that was cut, at its end.
 */
function payloadOf(body: string, start: number): string {
  const separator = body.lastIndexOf(GS)
  const ends = [separator < 0 ? -1 : body.lastIndexOf("'", separator), body.lastIndexOf("'")]
  return body.slice(
    start,
    ends.find((end) => end >= start),
  )
}

/** How one of the two who write into a record does it. */
interface Hand {
  readonly isKernel: boolean
  /** Values that go on over spaces up to the next key, written without quotes: labels of AppArmor, `op=add user id=7`. */
  readonly runsOn: ReadonlySet<string>
  /** What of the unquoted untrusted values is hex. */
  readonly hex: RegExp
}

/** A log that was made by hand has small letters too, and the last digit of a cut line has no pair. */
const KERNEL: Hand = { isKernel: true, runsOn: new Set(['subj', 'obj']), hex: /^[0-9A-Fa-f]+$/ }
/** Many programs leave the quotes out: `acct=bad` is a name. */
const SENDER: Hand = { isKernel: false, runsOn: new Set(['op']), hex: /^(?:[0-9A-F]{2})+$/ }

const KEY = /[A-Za-z_][\w.:[\]-]*(?==)/y
const WORD = /[^ \t]*/y
const SPACES = /[ \t]*/y
/** auditd's translations have keys in capitals, and nothing of the kernel's has. */
const TRANSLATED = /^[A-Z][A-Z_-]*$/
/** The GS gets lost on a log's way through a clipboard: `key=(null)ARCH=x86_64`. */
const GLUED = /^(?:\(null\)|\d+)(?=[A-Z][A-Z_-]*=)/
/** The end of another record's header. */
const TEAR = /\d\.\d{3}:\d+\):/

interface Scanned extends Said {
  readonly payloadAt: number | undefined
  readonly isTorn: boolean
}

function scan(text: string, hand: Hand): Scanned {
  const { isKernel } = hand
  const fields = new Map<string, string>()
  const words: string[] = []
  const ended = (payloadAt?: number, isTorn = false): Scanned => {
    return { fields, words: textOf(words.join(' ')), payloadAt, isTorn }
  }
  /** Inside of `(hostname=?, addr=?, terminal=cron res=success)`. */
  let isBracketed = false
  let at = 0
  for (;;) {
    at += matchAt(SPACES, text, at).length
    if (at >= text.length) return ended()
    if (isKernel && text.startsWith(PAYLOAD, at)) return ended(at + PAYLOAD.length)
    if (!isKernel && text[at] === '(') {
      isBracketed = true
      at++
    }
    const key = matchAt(KEY, text, at)
    if (isKernel && TRANSLATED.test(key)) return ended()
    const valueAt = key === '' ? at : at + key.length + 1
    const written = key !== '' && hand.runsOn.has(key) ? untilKey(text, valueAt) : wordAt(text, valueAt)
    if (isKernel && !written.startsWith('"') && TEAR.test(written)) return ended(undefined, true)
    at = valueAt + written.length
    if (key === '') {
      words.push(written)
      continue
    }
    const name = isKernel ? ageless(key, words) : key
    const value = valueOf(key, isBracketed ? written.replace(/[,)]+$/, '') : written, hand)
    if (value !== undefined && !fields.has(name)) fields.set(name, textOf(value))
  }
}

/** A quoted value with its quotes, or what stands there up to the next space. */
function wordAt(text: string, at: number): string {
  if (text[at] === '"') {
    const close = text.indexOf('"', at + 1)
    return text.slice(at, close < 0 ? text.length : close + 1)
  }
  const word = matchAt(WORD, text, at)
  return GLUED.exec(word)?.[0] ?? word
}

/** Up to the next `key=` behind a space. */
function untilKey(text: string, at: number): string {
  let end = at + wordAt(text, at).length
  for (;;) {
    const next = end + matchAt(SPACES, text, end).length
    if (next >= text.length || matchAt(KEY, text, next) !== '') return text.slice(at, end)
    end = next + matchAt(WORD, text, next).length
  }
}

/** Undefined for `(null)`. */
function valueOf(key: string, written: string, { hex }: Hand): string | undefined {
  if (written.startsWith('"'))
    return written.slice(1, written.length > 1 && written.endsWith('"') ? -1 : undefined)
  if (written === '(null)') return undefined
  return UNTRUSTED.has(key) && hex.test(written) ? bytesOfHex(written).toString('latin1') : written
}

/** Before 3.x kernels wrote `old auid=4294967295 new auid=1000` for `old-auid=4294967295 auid=1000`. */
function ageless(key: string, words: string[]): string {
  const age = words.at(-1)
  if (age !== 'old' && age !== 'new') return key
  words.pop()
  return age === 'old' ? `old-${key}` : key
}

function matchAt(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0] ?? ''
}

/** The text that these bytes are, one character a byte. */
const textOf = (latin1: string): string => textOfBytes(Buffer.from(latin1, 'latin1'))
