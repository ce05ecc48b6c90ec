/**
 * A part of a path that may change from one file to the next.
 *
 * `stamp`: a date, or a date with a time. `hash`: hexadecimal digits. `capitals`: the same, and letters among them are
 * capitals although these may have none. `random`: letters and digits that only chance writes.
 */
export interface Token {
  readonly type: 'uuid' | 'stamp' | 'hash' | 'capitals' | 'number' | 'random'
  readonly text: string
  readonly start: number
  readonly end: number
  /** Whether it changes for certain, as one name shows. What is weak changes only when siblings show it. */
  readonly isStrong: boolean
}

/** A number of so many digits is a pid, a time or a counter. */
const LONG_NUMBER = 4
/** 64 bits of a digest. */
const LONG_HASH = 16
/** So many digits of a digest in which letters and digits take turns are no word with a number: `deadbeef2024` is one. */
const LONG_MIXED_HASH = 12
const MIXED = 2
/** What git shortens an object's name to. */
const SHORTEST_HASH = 7
const LONGEST_HASH = 128
/** Docker shortens ids to this. */
const CONTAINER_ID = 12
/** Random names of this length need no template around them to be told from words. */
const LONG_RANDOM = 16
/** How many characters mkstemp(3), mkdtemp(3) and their like put behind a separator. */
const TEMPLATES: ReadonlySet<number> = new Set([6, 8, 10, 12])

const HEX = '[0-9a-fA-F]'
/** 2026-11-21, 20261121T101112Z, 2026-11-21_10.11.12,345, 2026-11-21T10:11:12+01:00; Unix time with a fraction. */
const STAMP = String.raw`(?:19|20)\d\d(?<date>[-._]?)(?:0[1-9]|1[0-2])\k<date>(?:0[1-9]|[12]\d|3[01])(?:[-T_ .]?(?:[01]\d|2[0-3])(?<time>[-:._h]?)[0-5]\d(?:\k<time>[0-5]\d(?<fraction>[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?|1\d{9}(?<ofEpoch>\.\d{1,9})`
/**
 * What programs put before their random letters, in names that are nothing else: ln and cp of GNU coreutils, sed, sort,
 * tmpfile(3), gcc, git, mktemp(1), sessions of PHP.
 */
const MAKERS = [
  String.raw`(?<plain>Cu|sed|(?<=\/tmp\/)sort)(?=[A-Za-z0-9]{6}(?:\/|$))`,
  String.raw`(?<=\/tmp\/)file(?=[A-Za-z0-9]{6}$)`,
  String.raw`cc(?=[A-Za-z0-9]{6}\.(?:[cios]|cdtor\.[co]|ld|le|res)$)`,
  String.raw`tmp_(?:obj_|pack_|idx_|objdir-incoming-)(?=[A-Za-z0-9]{6}(?:\/|$))`,
  String.raw`tmp\.(?=[A-Za-z0-9]{10}(?:\/|$))`,
  String.raw`sess_(?=[a-z0-9,-]{26}(?:\/|$))`,
].join('|')
/** Whether a path without a digit may hold what one of them or rsync made. */
const HINT = /\/(?:Cu|sed|sort|file|cc|tmp)[^/]*[A-Z]|\/\.ansible_tmp|\/\.[^/]+\.[A-Za-z]{6}(?:\/|$)/
const PIECES = new RegExp(
  [
    `(?<uuid>${HEX}{8}-${HEX}{4}-${HEX}{4}-${HEX}{4}-${HEX}{12}(?![0-9A-Za-z]))`,
    `(?<stamp>(?:${STAMP})(?![0-9A-Za-z]))`,
    // Of MariaDB and MySQL: pid, thread and number of a temporary table.
    String.raw`(?<table>(?<=\/#sql-(?:[a-z]+-)?)[0-9a-f]{1,8}(?:[-_][0-9a-f]{1,8})+(?![0-9A-Za-z]))`,
    // Python's tempfile.
    String.raw`(?<python>tmp[a-z0-9_]{8}(?![0-9A-Za-z_]))`,
    `(?<=\\/)(?<maker>${MAKERS})(?<made>[A-Za-z0-9,-]+)`,
    // Ansible puts the name of the file that it is about to replace behind eight of Python's letters.
    String.raw`(?<=\/)\.ansible_tmp(?<ansible>[a-z0-9_]{8})`,
    // The directories of git's objects, two digits each, where it has just made one.
    String.raw`(?<=\/)(?<pair>(?<=\/tmp_objdir-incoming-[A-Za-z0-9]{6}\/)[0-9a-f]{2}(?=\/|$)|[0-9a-f]{2}(?=\/tmp_obj_[A-Za-z0-9]{6}$))`,
    // A message of Exim: a time, a pid and a fraction, each with 62 digits (spec.txt, "Message identification").
    String.raw`(?<mail>(?<=\/(?:hdr\.)?)[12][0-9A-Za-z]{5}-00(?:[0-9A-Za-z]{5})?[0-9A-Za-z]{4}-[0-9A-Za-z]{2}(?:[0-9A-Za-z]{2})?(?=-[DHJKT](?:$|\/)|$|\/))`,
    // A cache of Squid: two directories and a counter (storeUfs, cache_dir ufs).
    String.raw`(?<cell>(?<=\/)[0-9A-F]{2}\/[0-9A-F]{2}\/[0-9A-F]{8}$)`,
    // A message of Postfix: microseconds and an inode, or with `enable_long_queue_ids` seconds, microseconds, `z` and an inode.
    String.raw`(?<=\/(?:maildrop|incoming|active|hold|corrupt|bounce|trace|defer(?:red)?\/[0-9A-Za-z])\/)(?<letter>[0-9A-F]{10,14}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-y]{10,12}z[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-y]{4,14})(?![0-9A-Za-z])`,
    // A release: a time, and a commit as git shortens it, which may have digits only.
    String.raw`(?<commit>(?<=\b(?:19|20)\d{10}(?:\d\d)?[-_])[0-9a-f]{7}(?![0-9A-Za-z]))`,
    // Python's tempfile, behind a name that somebody gave it.
    String.raw`(?<=[-./])(?<given>[a-z0-9_]{8}(?![0-9A-Za-z_]))`,
    `(?<word>[0-9A-Za-z]+)`,
  ].join('|'),
  'g',
)
const DIGIT = /\d/
const LETTER = /[A-Za-z]/
const LOWER_HEX = /^[0-9a-f]+$/
const UPPER_HEX = /^[0-9A-F]+$/
const ONLY_DIGITS = /^\d+$/

const WHOLE_STAMP = new RegExp(`^(?:${STAMP})$`)

/** Where the fraction of a second stands in a stamp: from its point to its end; both are the same when there is none. */
export function fractionOf(stamp: string): readonly [from: number, to: number] {
  const { fraction, ofEpoch } = WHOLE_STAMP.exec(stamp)?.groups ?? {}
  const text = fraction ?? ofEpoch
  if (text === undefined) return [stamp.length, stamp.length]
  const from = stamp.lastIndexOf(text)
  return [from, from + text.length]
}

/** What chance writes and people do not: digits between letters, letters between digits, capitals that begin no word. */
const ODD =
  /(?<=[a-zA-Z])\d+(?=[a-zA-Z])|(?<=\d)[a-zA-Z]+(?=\d)|(?<=[a-z])[A-Z](?![a-z])|(?<=[A-Z\d])[A-Z][a-z](?=[A-Z\d])/g

/** How often a text does what people do not. */
export const oddness = (text: string): number => text.match(ODD)?.length ?? 0

/** Where the kernel and systemd put numbers that are names: a pid, a thread, a descriptor, a terminal, a user, a session. */
const NUMBERED =
  /^(?:unix:)?(?:\/proc\/(?:\d+\/(?:task\/(?:\d+\/(?:fd|fdinfo)\/)?|fd\/|fdinfo\/)?)?|\/dev\/pts\/|(?:\/var)?\/run\/user\/|\/run\/systemd\/(?:sessions|users|inhibit|machines|netif\/(?:links|leases))\/c?)$/
const LONGEST_NUMBERED = 64
/** The same in any directory. */
const UNIT = /[/](?:session-c?|user-|user@|user-runtime-dir@|run-[pu])$/
const LONGEST_UNIT = 20
const CONTAINERS = /docker|container|podman|libpod|crio|kubepods/
/** How far before an id the word for it stands. */
const NEAR = 128

/**
 * The parts of a path that have a form of their own, in their order. A word such as `deadbeef` is no hash, and none of them
 * holds a slash.
 */
export function tokensOf(path: string): Token[] {
  if (!DIGIT.test(path) && !HINT.test(path)) return []
  const tokens: Token[] = []
  const temporaryEnd = endOfTemporary(path)
  PIECES.lastIndex = 0
  for (let match = PIECES.exec(path); match !== null; match = PIECES.exec(path)) {
    const [text] = match
    const {
      uuid,
      stamp,
      python,
      word,
      maker,
      plain,
      made,
      pair,
      commit,
      mail,
      table,
      cell,
      given,
      ansible,
      letter,
    } = match.groups ?? {}
    const start = match.index
    if (word !== undefined) tokens.push(...tokensOfWord(path, text, start))
    else if (letter !== undefined)
      tokens.push(token(UPPER_HEX.test(letter) ? 'hash' : 'random', letter, start, true))
    else if (ansible !== undefined)
      tokens.push(token('random', ansible, start + text.length - ansible.length, true))
    else if (uuid !== undefined) tokens.push(token('uuid', text, start, true))
    else if (stamp !== undefined) tokens.push(token('stamp', text, start, true))
    else if (python !== undefined && isAt(path, start) && isTemporary(text.slice(3)))
      tokens.push(token('random', text.slice(3), start + 3, true))
    else if (given !== undefined && start < temporaryEnd && isGiven(given))
      tokens.push(token('random', given, start, true))
    else if (table !== undefined)
      for (const part of text.matchAll(WORDS)) tokens.push(token('hash', part[0], start + part.index, true))
    else if (cell !== undefined)
      for (const part of text.matchAll(WORDS))
        tokens.push(token('capitals', part[0], start + part.index, true))
    else if (mail !== undefined)
      for (const part of text.matchAll(WORDS)) tokens.push(token('random', part[0], start + part.index, true))
    else if ((commit ?? pair) !== undefined) tokens.push(token('hash', text, start, true))
    else if (maker !== undefined && made !== undefined && isMade(made, plain === undefined))
      tokens.push(token('random', made, start + maker.length, true))
    // Only a form: its words are looked at one by one.
    else
      for (const part of text.matchAll(WORDS)) tokens.push(...tokensOfWord(path, part[0], start + part.index))
  }
  return strengthened(path, spread(path, tokens))
}

const WORDS = /[0-9A-Za-z]+/g

/** Where the name ends that a program chose in a temporary directory; 0 for a path elsewhere. */
function endOfTemporary(path: string): number {
  const [temporary] = TEMPORARY.exec(path) ?? []
  if (temporary === undefined) return 0
  const end = path.indexOf('/', temporary.length)
  return end === -1 ? path.length : end
}

/** `august24` is a word with a number, and `0123abcd` a hash. */
const isGiven = (text: string): boolean =>
  isTemporary(text) && !LOWER_HEX.test(text) && (text.includes('_') || oddness(text) > 0)

/** Whether a name or a part of one begins there. */
const isAt = (path: string, start: number): boolean => start === 0 || !/\w/.test(path[start - 1] ?? '')

/** Eight characters of Python's tempfile that are no word. */
const isTemporary = (text: string): boolean => DIGIT.test(text) && LETTER.test(text)

function tokensOfWord(path: string, word: string, start: number): Token[] {
  if (isOfRsync(path, word, start)) return [token('random', word, start, true)]
  if (!DIGIT.test(word)) return []
  const { length } = word
  if (isJob(path, word, start)) {
    const from = length - JOB_DIGITS
    return [token('hash', word.slice(from), start + from, true)]
  }
  if (ONLY_DIGITS.test(word)) return [token('number', word, start, isStrongNumber(path, word, start))]
  const isHex = LOWER_HEX.test(word) || UPPER_HEX.test(word)
  if (isHex && length >= SHORTEST_HASH && length <= LONGEST_HASH) {
    const isStrong =
      length >= LONG_HASH ||
      (length >= LONG_MIXED_HASH && oddness(word) >= MIXED) ||
      (length === CONTAINER_ID && CONTAINERS.test(path.slice(Math.max(0, start - NEAR), start)))
    return [token('hash', word, start, isStrong)]
  }
  const head = length - LONG_HASH
  // systemd writes `.#NAME` and 16 digits before it renames a file to NAME: see tempfn_random() there.
  if (head > 0 && isHiddenCopy(path, start, start + length) && LOWER_HEX.test(word.slice(head)))
    return [
      ...numbersIn(path, word.slice(0, head), start),
      token('hash', word.slice(head), start + head, true),
    ]
  if (isRandomWord(path, word, start)) return [token('random', word, start, true)]
  return numbersIn(path, word, start)
}

/** at(1) names a job by its queue, its number in 5 digits, and the minute in 8. */
const JOB = /^[A-Za-z]?[0-9a-f]{13}$/
const JOB_DIGITS = 13
const JOBS = /^\/var\/spool\/(?:cron\/)?at(?:jobs|spool|\/spool)?\/=?$/

const isJob = (path: string, word: string, start: number): boolean =>
  start <= LONGEST_NUMBERED && JOB.test(word) && JOBS.test(path.slice(0, start))

function* matchesOf(pattern: RegExp, text: string): Iterable<{ text: string; index: number }> {
  for (const match of text.matchAll(pattern)) yield { text: match[0], index: match.index }
}

const numbersIn = (path: string, word: string, start: number): Token[] =>
  [...matchesOf(/\d+/g, word)].map(({ text, index }) =>
    token('number', text, start + index, isStrongNumber(path, text, start + index)),
  )

/** A month, a day or an hour below a directory that is a year. */
const CALENDAR = /\/(?:19|20)\d\d(?:\/[01]\d(?:\/[0-3]\d)?)?\/$/

function isStrongNumber(path: string, digits: string, start: number): boolean {
  const { length } = digits
  if (length >= LONG_NUMBER) return true
  // `007`: somebody has counted on more.
  if (length === LONG_NUMBER - 1 && digits.startsWith('0')) return true
  if (length === 2 && CALENDAR.test(path.slice(Math.max(0, start - 12), start))) return true
  return (
    (start <= LONGEST_NUMBERED && NUMBERED.test(path.slice(0, start))) ||
    UNIT.test(path.slice(Math.max(0, start - LONGEST_UNIT), start))
  )
}

function isHiddenCopy(path: string, start: number, end: number): boolean {
  if (end !== path.length && path[end] !== '/') return false
  const slash = path.lastIndexOf('/', start)
  return path.startsWith('.#', slash + 1)
}

/** `JRnyVb` is no name, `ByName` is. */
const MANY_CAPITALS = /^(?=.*[a-z])(?:[^A-Z]*[A-Z]){3}/

/** Six letters and digits behind a hidden name: rsync writes `.NAME.XXXXXX` before it renames a file to NAME. */
function isOfRsync(path: string, word: string, start: number): boolean {
  if (word.length !== 6 || path[start - 1] !== '.') return false
  const after = path[start + word.length]
  if (after !== undefined && after !== '/') return false
  const slash = path.lastIndexOf('/', start)
  return path[slash + 1] === '.' && start - slash > 3 && LETTER.test(word) && isMade(word, false)
}

/**
 * Whether chance made the letters and digits behind what a program puts before them.
 *
 * @param isCertain whether nothing but chance would write a capital there: `sedScript` is a name
 */
const isMade = (text: string, isCertain: boolean): boolean =>
  DIGIT.test(text) || (isCertain ? /[A-Z]/.test(text) : oddness(text) > 0 || MANY_CAPITALS.test(text))

/** As in Maildir: `M77P4711`. */
const NUMBERED_LETTERS = /^(?:[A-Z]\d+)+$/

const TEMPORARY = /^\/(?:var\/)?tmp\//

/** Long and mixed, or of the length that mkstemp(3) writes, behind a separator at the end of a part of the name. */
function isRandomWord(path: string, word: string, start: number): boolean {
  const { length } = word
  if (NUMBERED_LETTERS.test(word)) return false
  const odd = oddness(word)
  if (length >= LONG_RANDOM) return odd * 5 >= length
  if (!TEMPLATES.has(length) || odd < (TEMPORARY.test(path) ? 1 : 2)) return false
  const before = path[start - 1]
  const after = path[start + length]
  return (
    (before === '.' || before === '-' || before === '_') &&
    (after === undefined || after === '/' || after === '.')
  )
}

/** Three directories of two digits, and their slashes. */
const DEEPEST = 10

/** A hash may be spread over directories by its first digits: `objects/3f/c09…`, `cache/a/b1/3e2…`. */
function spread(path: string, tokens: Token[]): Token[] {
  const long = tokens.filter(({ type, text }) => type === 'hash' && text.length >= 30)
  if (long.length === 0) return tokens
  const found: Token[] = []
  for (const { start } of long) {
    const [directories] =
      /(?:\/[0-9a-fA-F]{1,2}){1,3}\/$/.exec(path.slice(Math.max(0, start - DEEPEST), start)) ?? []
    if (directories === undefined) continue
    const from = start - directories.length
    for (const { text, index } of matchesOf(/[0-9a-fA-F]+/g, directories))
      found.push(token('hash', text, from + index, true))
  }
  return found.length === 0 ? tokens : [...tokens.filter(isApartFrom(found)), ...found].sort(byStart)
}

const isApartFrom =
  (others: readonly Token[]) =>
  ({ start, end }: Token): boolean =>
    others.every((other) => other.end <= start || other.start >= end)

const byStart = (one: Token, other: Token): number => one.start - other.start

/** Where a name changes for certain, its free-standing numbers and short hashes do too: `20261121-3.log`. */
function strengthened(path: string, tokens: Token[]): Token[] {
  if (tokens.every(({ isStrong }) => isStrong)) return tokens
  const volatile = new Set(tokens.filter(({ isStrong }) => isStrong).map((one) => partOf(path, one)))
  if (volatile.size === 0) return tokens
  return tokens.map((one) =>
    !one.isStrong && volatile.has(partOf(path, one)) && isFree(path, one) ? { ...one, isStrong: true } : one,
  )
}

/** Where the part of the path begins that a token stands in. */
const partOf = (path: string, { start }: Token): number => path.lastIndexOf('/', start)

/** Between signs, or behind a single capital as in Maildir: `1795211392.M77P4711.host,S=312`. */
function isFree(path: string, { start, end }: Token): boolean {
  const isEnded = !/[a-z]/.test(path[end] ?? '')
  return isEnded && /(?:^|[^A-Za-z])[A-Z]?$/.test(path.slice(Math.max(0, start - 2), start))
}

const token = (type: Token['type'], text: string, start: number, isStrong: boolean): Token => ({
  type,
  text,
  start,
  end: start + text.length,
  isStrong,
})
