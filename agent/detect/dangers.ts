import type { Finding } from '../domain/report.ts'
import {
  baseName,
  filePathOf,
  isLoopback,
  isNameless,
  isOutside,
  type NamedPeer,
  type NamedProcess,
  networkPeerOf,
  processOf,
} from './nodes.ts'
import { listOf, objectOf, shortName, verbOf } from './phrases.ts'
import {
  hasNoScript,
  hiddenPlaceOf,
  isKind,
  isSystemProgram,
  programOf,
  temporaryPlaceOf,
} from './programs.ts'
import { replacedIn } from './replaced.ts'
import { sensitivityOf } from './sensitive.ts'

/**
 * Shapes that ordinary life hardly has and attacks are made of, and what each weighs: how many bits it is rarer among the
 * unseen edges of an honest host than among those of an attack. These are judgements, in steps of two bits, and the same
 * for every host; nothing is dangerous here that was not unseen before.
 */
export const DANGERS = {
  'memory-exec': 16,
  'files-replaced': 16,
  'shell-connects': 14,
  'setuid-file': 14,
  'wrote-and-ran': 12,
  'temporary-exec': 12,
  'became-root': 12,
  'service-shell': 12,
  'shell-listens': 12,
  'log-wiped': 10,
  'sensitive-file': 10,
  'service-page': 10,
  traced: 10,
  scan: 10,
  'relay-connects': 10,
  'deleted-exec': 10,
  'account-tool': 8,
  'rights-tool': 8,
  'module-load': 8,
  'secret-named': 8,
  'below-odd-shell': 8,
  'below-service': 6,
  'web-page': 6,
  'relay-inside': 6,
  'downloader-connects': 4,
  'built-and-ran': 4,
  'hidden-exec': 4,
} as const

export type DangerShape = keyof typeof DANGERS

/** A dangerous shape that findings which belong together have. */
export interface Danger {
  readonly shape: DangerShape
  /** See `DANGERS`. */
  readonly bits: number
  /** One sentence for a person, without a full stop. */
  readonly reason: string
  /** What shows it, in the order of time; at least one. */
  readonly findings: readonly Finding[]
}

/** What is known of what is normal. */
export interface Normal {
  /** Whether a process of this name takes connections. */
  readonly isService: (process: string) => boolean
  /** Whether this step was found before and is no less unseen for that. */
  readonly isUnseen: (from: string, to: string) => boolean
  /** Whether anybody writes this file. */
  readonly isWritten: (path: string) => boolean
  /** Who was found to write this file when that was not normal, and when; undefined when nobody was. */
  readonly writerOf: (path: string) => { readonly by: string; readonly timeMs: number } | undefined
}

/** Ports of one address, or addresses with one port, that one process looks at when it looks for something. */
const SCAN = 10
/** Ports and addresses, when there are fewer of each. */
const SEVERAL = 3
const SETUID = 0o4000
const MOST_OBJECTS = 4
/** Stamps of the log are not finer. */
const COARSE_S = 0.01

/**
 * The dangerous shapes of findings that belong together, each once, the weightiest first.
 * @param earlier what the same processes were reported for before; shapes that only these have weigh half
 */
export function dangersOf(
  now: readonly Finding[],
  normal: Normal,
  earlier: readonly Finding[] = [],
): readonly Danger[] {
  const findings = [...earlier, ...now]
  const isNow = new Set(now)
  const found = new Map<DangerShape, { reasons: Set<string>; findings: Finding[] }>()
  const note = (shape: DangerShape, reason: string, finding: Finding): void => {
    let danger = found.get(shape)
    if (danger === undefined) found.set(shape, (danger = { reasons: new Set(), findings: [] }))
    danger.reasons.add(reason)
    danger.findings.push(finding)
  }
  const written = new Map<string, Finding>()
  const risen: (readonly string[])[] = []
  for (const finding of findings) {
    const source = processOf(finding.edge.from)
    if (source === undefined) continue
    const path = filePathOf(finding.edge.to)
    if (path !== undefined && finding.edge.kind !== 'delete' && !written.has(path)) written.set(path, finding)
    if (finding.edge.kind === 'privilege') {
      const doer = finding.chain.slice(0, -1)
      // What somebody runs who became root is root as well.
      if (risen.some((above) => above.every((name, index) => name === doer[index]))) continue
      risen.push(doer)
    }
    const writer = writerBefore(finding, written, normal)
    const isBuilt = writer !== undefined && isBuilder(processOf(writer.by), source)
    dangersOfOne(finding, source, normal, (shape, reason) => {
      // Who may put programs there is known of this one.
      if (shape !== 'temporary-exec' || !isBuilt) note(shape, reason, finding)
    })
    if (writer !== undefined)
      note(isBuilt ? 'built-and-ran' : 'wrote-and-ran', printedWriter(writer), finding)
  }
  for (const { reason, of } of scansIn(findings)) for (const finding of of) note('scan', reason, finding)
  for (const { ending, of } of replacedIn(findings))
    for (const finding of of)
      note(
        'files-replaced',
        `${of.length} files are gone and have others in their place that end in ${ending}, as when they are encrypted for a ransom`,
        finding,
      )
  return [...found]
    .map(([shape, { reasons, findings: of }]) => ({
      ...{ shape, findings: of },
      ...(of.some((finding) => isNow.has(finding))
        ? { bits: DANGERS[shape], reason: reasonOf(shape, [...reasons], of) }
        : { bits: DANGERS[shape] / 2, reason: `before that, ${reasonOf(shape, [...reasons], of)}` }),
    }))
    .sort((one, other) => other.bits - one.bits)
}

/** They tell of many programs in one sentence. */
const BELOW: ReadonlySet<DangerShape> = new Set(['below-service', 'below-odd-shell'])

function reasonOf(
  shape: DangerShape,
  [reason = '', ...others]: readonly string[],
  of: readonly Finding[],
): string {
  const objects = BELOW.has(shape) ? ` ${listOf([...new Set(of.map(objectOf))], MOST_OBJECTS)}` : ''
  return `${reason}${objects}${others.length === 0 ? '' : `, and ${others.length} more like it`}`
}

type Note = (shape: DangerShape, reason: string) => void

function dangersOfOne(finding: Finding, source: NamedProcess, normal: Normal, note: Note): void {
  const { edge } = finding
  switch (edge.kind) {
    case 'exec':
    case 'memory-exec':
      noteExec(finding, source, normal, note)
      return
    case 'connect':
      noteConnect(finding, source, note)
      return
    case 'listen':
      noteListen(finding, source, note)
      return
    case 'privilege':
      if (!isKind(source, 'becomer') || !isSystemProgram(source.exe))
        note(
          'became-root',
          `${shortName(edge.from)} became root, and is none of the programs that let people do so`,
        )
      return
    case 'trace':
      noteTrace(finding, source, note)
      return
    case 'attribute':
    case 'create':
    case 'write':
      noteMode(finding, note)
      noteLog(finding, source, normal, note)
      noteSensitive(finding, normal, note)
      return
    case 'delete':
      noteLog(finding, source, normal, note)
      return
    case 'rename':
      noteSensitive(finding, normal, note)
      return
    case 'accept':
  }
}

function noteExec(
  { edge, chain, evidence }: Finding,
  source: NamedProcess,
  normal: Normal,
  note: Note,
): void {
  const target = processOf(edge.to)
  if (target === undefined) return
  if (edge.kind === 'memory-exec') {
    if (isCopyOfRuntime(source, target)) return
    note('memory-exec', `${target.exe} was executed from memory: no file of that program is left to look at`)
    return
  }
  if (target.exe.endsWith(' (deleted)') && !target.exe.startsWith('/memfd:'))
    note('deleted-exec', `${target.exe} had been deleted when it was executed`)
  const ran = target.script.startsWith('/') ? target.script : target.exe
  const temporary = temporaryPlaceOf(ran)
  if (temporary !== undefined)
    note('temporary-exec', `${ran} was executed in ${temporary}, where anybody may put programs`)
  else {
    const hidden = hiddenPlaceOf(ran)
    if (hidden !== undefined) note('hidden-exec', `${ran} was executed in a hidden place`)
  }
  if (isKind(target, 'account-tool'))
    note('account-tool', `${programOf(target)} changes who may log in, and as what`)
  noteArguments(target, evidence.argv, note)
  const service = serviceAbove(chain.slice(0, -1), normal)
  if (service === undefined) return
  // What it runs for a request, a CGI program for one, serves as much as itself.
  if (isKind(target, 'shell') && hasNoScript(target) && isServant(chain, service))
    note('service-shell', `${servantOf(chain, service)}, and never ran a shell before`)
  else if (isKind(source, 'shell') && hasNoScript(source)) {
    const shape = isOdd(source, chain, normal) ? 'below-odd-shell' : 'below-service'
    note(shape, `a shell below ${shortName(service)}, which takes connections, ran`)
  } else if (reachesOut(target) && isServant(chain, service))
    note('below-service', `${servantOf(chain, service)}, and ran`)
}

/** Whether what ran the shell, or the shells above it, was found to do so and never does so in normal times. */
function isOdd(shell: NamedProcess, chain: readonly string[], { isUnseen }: Normal): boolean {
  let at = chain.length - 2
  let above: NamedProcess | undefined = shell
  while (above !== undefined && isKind(above, 'shell')) above = processOf(chain[--at] ?? '')
  return above !== undefined && isUnseen(chain[at] ?? '', chain[at + 1] ?? '')
}

/** What connects to others, or runs what it is told. */
const reachesOut = (process: NamedProcess): boolean =>
  hasNoScript(process) &&
  (['downloader', 'relay', 'interpreter'] as const).some((kind) => isKind(process, kind))

/** Whether the doer is the service itself, or was run by it without a shell in between. */
const isServant = (chain: readonly string[], service: string): boolean =>
  chain.slice(chain.lastIndexOf(service, -2) + 1, -1).every((name) => {
    const between = processOf(name)
    return between !== undefined && !isKind(between, 'shell')
  })

function servantOf(chain: readonly string[], service: string): string {
  const doer = chain.at(-2) ?? service
  return doer === service
    ? `${shortName(service)} takes connections`
    : `${shortName(doer)} works for ${shortName(service)}, which takes connections`
}

/** Files that hold what lets somebody in, wherever they stand in the words of a command. */
const SECRET =
  /\/etc\/(?:g?shadow|sudoers|krb5\.keytab)\b|\/\.ssh\/id_\w+|\/etc\/ssh\/ssh_host_\w+_key(?!\.pub)|\/\.(?:aws\/credentials|kube\/config|pgpass|my\.cnf|netrc|git-credentials|vault-token)\b|\/etc\/ssl\/private\/\S/

function noteArguments(target: NamedProcess, argv: readonly string[], note: Note): void {
  const [called = '', ...words] = argv
  const program = programOf(target)
  const isLoader =
    /^(?:insmod|modprobe)$/.test(program) ||
    (program === 'kmod' && /(?:^|\/)(?:insmod|modprobe)$/.test(called))
  if (isLoader && !words.includes('-r')) note('module-load', `${baseName(called)} puts code into the kernel`)
  if (program === 'setcap') note('rights-tool', 'setcap gives a program rights that only root has')
  const [secret] = words.flatMap((word) => SECRET.exec(word)?.[0] ?? [])
  if (secret !== undefined && !isKind(target, 'login') && !isKind(target, 'switcher'))
    note('secret-named', `${program} was told to do something with a file of secrets (${secret})`)
}

function noteConnect({ edge }: Finding, source: NamedProcess, note: Note): void {
  const peer = networkPeerOf(edge.to)
  if (peer === undefined) return
  if (!isOutside(peer)) {
    if (isKind(source, 'relay'))
      note(
        'relay-inside',
        `${shortName(edge.from)} speaks to a service of this host, at ${printedPeer(peer)}`,
      )
    return
  }
  const to = `${printedPeer(peer)}${isNameless(peer) ? ', to which no name was seen to resolve' : ''}`
  if (isKind(source, 'shell') && !isScripted(source))
    note('shell-connects', `a shell itself connected to ${to}`)
  else if (isKind(source, 'interpreter') && hasNoScript(source))
    note('shell-connects', `${shortName(edge.from)} without a script connected to ${to}`)
  else if (isKind(source, 'relay')) note('relay-connects', `${shortName(edge.from)} connected to ${to}`)
  else if (isKind(source, 'downloader') && isNameless(peer))
    note('downloader-connects', `${shortName(edge.from)} connected to ${to}`)
}

function noteListen({ edge }: Finding, source: NamedProcess, note: Note): void {
  const peer = networkPeerOf(edge.to)
  if (peer === undefined || peer.port === '0') return
  const isTool =
    isKind(source, 'shell') ||
    isKind(source, 'relay') ||
    (isKind(source, 'interpreter') && (hasNoScript(source) || source.script.startsWith('-m ')))
  if (isTool) note('shell-listens', `${shortName(edge.from)} waits for callers at ${printedPeer(peer)}`)
}

/** A debugger that follows its own child is none of this: that child has its own name, or that of the debugger. */
function noteTrace({ edge }: Finding, source: NamedProcess, note: Note): void {
  const target = processOf(edge.to)
  if (target === undefined || target.exe === `[${programOf(source)}]`) return
  if (target.exe === source.exe && target.user === source.user) return
  note(
    'traced',
    `${shortName(edge.from)} took hold of ${shortName(edge.to)}: it may read its memory and change what it does`,
  )
}

function noteMode({ edge, evidence }: Finding, note: Note): void {
  const { mode = 0 } = evidence
  const path = filePathOf(edge.to)
  if (path === undefined || (mode & SETUID) === 0) return
  note('setuid-file', `${path} got mode ${mode.toString(8)}: whoever runs it becomes its owner`)
}

/** In sensitive places, and written by programs in passing. */
const CACHE =
  /\/known_hosts(?:\.|$)|\/__pycache__(?:\/|$)|\.pyc(?:\.\d+)?$|^\/etc\/ld\.so\.cache|^\/etc\/\.pwd\.lock$/
const WEB_PAGES = 'pages that run on the web server'

/** What whoever writes there gains; that something goes gains little. */
function noteSensitive(finding: Finding, normal: Normal, note: Note): void {
  const path = filePathOf(finding.edge.to)
  const word = path === undefined || CACHE.test(path) ? undefined : sensitivityOf(path)
  if (path === undefined || word === undefined) return
  // It comes with systemd and runs at each boot and shutdown; what it is told stands in binfmt.d.
  const source = processOf(finding.edge.from)
  if (
    path.startsWith('/proc/sys/fs/binfmt_misc/') &&
    source?.exe.endsWith('/lib/systemd/systemd-binfmt') === true
  )
    return
  // People bring pages; a service that makes one was told to by somebody else.
  const page = serviceAbove(finding.chain.slice(0, -1), normal) === undefined ? 'web-page' : 'service-page'
  const shape = word === WEB_PAGES ? page : 'sensitive-file'
  note(shape, `${shortName(finding.edge.from)} ${verbOf(finding)} ${path}, which is about ${word}`)
}

const HISTORY = /\/\.[a-z]*_?history$/
const LOG_FILE = /^\/var\/log\/|\/\.[a-z]*_?history$|^\/(?:var\/)?run\/utmp$/
/** Logs that show who was there, on every host. */
const WITNESS =
  /\/(?:wtmp|btmp|utmp|lastlog|faillog|auth\.log|secure|syslog|messages|audit\.log|system\.journal|\.[a-z]*_?history)$/
/** What rotates logs deletes these. A date may have become a pattern. */
const ROTATED =
  /\.(?:\d+|\\d\+|gz|xz|bz2|zst|old|lz4|tmp)$|[-.](?:\d{8}|\\d\{8\})|(?:\d{4}|\\d\{4\})-(?:\d\d|\\d\{2\})-(?:\d\d|\\d\{2\})/
const TRUNCATING = new Set(['truncate', 'ftruncate', 'truncate64', 'ftruncate64'])

function noteLog({ edge, evidence }: Finding, source: NamedProcess, normal: Normal, note: Note): void {
  const path = filePathOf(edge.to)
  if (path === undefined || !LOG_FILE.test(path) || ROTATED.test(path)) return
  if (isSystemProgram(source.exe) && programOf(source) === 'logrotate') return
  const isOfOthers = WITNESS.test(path) || normal.isWritten(path)
  // A shell keeps its history.
  if (HISTORY.test(path) && isKind(source, 'shell') && edge.kind !== 'delete') return
  const isByHand = isKind(source, 'file-tool') || (isKind(source, 'shell') && hasNoScript(source))
  // It removes what it has packed.
  if (edge.kind === 'delete' && isPacker(source) && !WITNESS.test(path)) return
  if (edge.kind === 'delete' && isOfOthers) note('log-wiped', `${shortName(edge.from)} removed ${path}`)
  else if (edge.kind === 'write' && isOfOthers && (isByHand || TRUNCATING.has(evidence.syscall)))
    note('log-wiped', `${shortName(edge.from)} wrote over ${path}, which is not its own log`)
}

const isPacker = (process: NamedProcess): boolean => isKind(process, 'packer') && isSystemProgram(process.exe)

/** Those of binutils, LLVM and mold, under the names that distributions and cross compilers give them, and that of Go. */
const LINKER =
  /\/(?:(?:[\w.]+-)*ld(?:\.(?:bfd|gold|lld|mold))?|(?:[\w.]+-)*gold|mold)$|\/pkg\/tool\/\w+\/link$/

/** Who builds a program runs it: what a linker writes is there for that. */
const isBuilder = (writer: NamedProcess | undefined, runner: NamedProcess): boolean =>
  writer !== undefined &&
  writer.user === runner.user &&
  isSystemProgram(writer.exe) &&
  LINKER.test(writer.exe)

interface Writer {
  readonly ran: string
  readonly by: string
  readonly beforeMs: number
}

/** Who wrote what was executed then, when that was not normal: the same processes, or others. */
function writerBefore(
  { edge, firstMs }: Finding,
  written: ReadonlyMap<string, Finding>,
  { writerOf }: Normal,
): Writer | undefined {
  const target = edge.kind === 'exec' ? processOf(edge.to) : undefined
  if (target === undefined) return undefined
  for (const ran of [target.script, target.exe]) {
    const own = written.get(ran)
    const writer = own === undefined ? writerOf(ran) : { by: own.edge.from, timeMs: own.firstMs }
    if (writer !== undefined && writer.timeMs <= firstMs)
      return { ran, by: writer.by, beforeMs: firstMs - writer.timeMs }
  }
  return undefined
}

function printedWriter({ ran, by, beforeMs }: Writer): string {
  const seconds = beforeMs / 1000
  const when = seconds < COARSE_S ? 'just' : `${seconds.toFixed(seconds < 10 ? 2 : 0)} s`
  return `${ran} was written ${when} before it was executed, by ${shortName(by)}`
}

interface Scan {
  readonly reason: string
  readonly of: readonly Finding[]
}

/** Many ports of one address, or many addresses with one port, that one process went to. */
function scansIn(findings: readonly Finding[]): readonly Scan[] {
  const groups = new Map<string, { of: Finding[]; others: Set<string>; what: string; isEnough: Enough }>()
  const join = (key: string, other: string, what: string, finding: Finding, isEnough: Enough): void => {
    let group = groups.get(key)
    if (group === undefined) groups.set(key, (group = { of: [], others: new Set(), what, isEnough }))
    group.of.push(finding)
    group.others.add(other)
  }
  for (const finding of findings) {
    const peer = finding.edge.kind === 'connect' ? networkPeerOf(finding.edge.to) : undefined
    if (peer === undefined) continue
    const { from } = finding.edge
    join(`${from} ports ${peer.host}`, peer.port, `ports of ${peer.host}`, finding, areMany)
    if (!isNameless(peer) || isLoopback(peer)) continue
    join(`${from} hosts ${peer.port}`, peer.host, `addresses with port ${peer.port}`, finding, areMany)
    join(from, `${peer.host} ${peer.port}`, 'ports of several addresses', finding, areBroad)
  }
  return [...groups.values()]
    .filter(({ others, isEnough }) => isEnough(others))
    .map(({ others, of, what }) => ({
      reason: `${shortName(of[0]?.edge.from ?? '')} went to ${others.size} ${what}`,
      of,
    }))
}

type Enough = (others: ReadonlySet<string>) => boolean

const areMany: Enough = ({ size }) => size >= SCAN

/** Several ports of several addresses: a few of each are what a scanner asks for first. */
const areBroad: Enough = (pairs) => {
  const each = [...pairs].map((pair) => pair.split(' '))
  const isVaried = (index: number): boolean => new Set(each.map((pair) => pair[index])).size >= SEVERAL
  return areMany(pairs) && isVaried(0) && isVaried(1)
}

/** The runtimes of containers start themselves from a copy in memory, that a container cannot change (CVE-2019-5736). */
const isCopyOfRuntime = (source: NamedProcess, target: NamedProcess): boolean =>
  isSystemProgram(source.exe) && target.exe.startsWith(`/memfd:${programOf(source)}_cloned`)

/** The nearest of these processes, oldest first, that takes connections, with nobody between who lets people in. */
export function serviceAbove(
  ancestors: readonly string[],
  { isService }: Pick<Normal, 'isService'>,
): string | undefined {
  for (const [index, name] of [...ancestors.entries()].reverse()) {
    const process = processOf(name)
    if (process === undefined || isKind(process, 'login') || isKind(process, 'scheduler')) return undefined
    if (isKind(process, 'init')) return undefined
    if (isKind(process, 'shell')) continue
    // Who listens as root often serves as somebody else.
    const isOne = ancestors
      .slice(0, index + 1)
      .some((above) => isSameProgram(process, processOf(above)) && isService(above))
    if (isOne || (isKind(process, 'server') && isSystemProgram(process.exe))) return name
  }
  return undefined
}

const isSameProgram = (one: NamedProcess, other: NamedProcess | undefined): boolean =>
  one.exe === other?.exe && one.script === other.script && one.container === other.container

/** A script has a file of its own, with what it does in it. */
const isScripted = (process: NamedProcess): boolean => !hasNoScript(process)

const printedPeer = ({ host, port }: NamedPeer): string =>
  host.includes(':') && !host.includes('/') ? `[${host}]:${port}` : `${host}:${port}`
