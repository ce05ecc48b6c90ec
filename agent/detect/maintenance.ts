import type { Ancestor, ProcessImage } from '../domain/activity.ts'
import type { Edge } from '../domain/edge.ts'
import type { AuditEvent } from '../domain/event.ts'
import type { Finding } from '../domain/report.ts'
import type { StateReader, StateWriter } from '../domain/state.ts'
import { escapeOf, isWayIn, type Worker } from './escapes.ts'
import { baseName, processOf } from './nodes.ts'
import { OwnedFiles, PROBATION_MS } from './owned-files.ts'
import { isTold, managerAt, managerOf, ROOTS } from './package-managers.ts'
import { isKind, isSystemProgram } from './programs.ts'
import { isSensitive } from './sensitive.ts'
import {
  noteChanged,
  noteSetuid,
  raise,
  readCommandLine,
  standsForItself,
  stored,
  type StoredTransaction,
  type Transaction,
  unstored,
} from './transactions.ts'
import { memberKey } from './trees.ts'

/** However long package managers go on, what they did is told after so long. Milliseconds. */
const LONGEST_MS = 3_600_000
/** A suspicious one that has done nothing unseen yet, and so has nothing to be told by, may still do so. */
const RAISED_MS = 60_000
/** Another package manager that begins so long after one that was suspicious is another transaction. */
const APART_MS = 1000
/** Transactions that are remembered, for what is on probation. */
const MOST_TRANSACTIONS = 100
const MOST_ESCAPED = 1000
/** A parent that nobody knows was forked by somebody who did something so shortly before. */
const ORPHAN_MS = 2000
const SETUID = 0o4000
const HOME = ''

/** What one tree of findings is about, when it is about packages. */
export interface Upkeep {
  readonly transaction: Transaction
  /** Whether it is what was brought that acts now, and not who brought it. */
  readonly isAfterwards: boolean
}

/** An unseen edge, where it comes from, and when. */
export interface Met {
  /** Under its own names, before any pattern. */
  readonly finding: Finding
  readonly source: ProcessImage
  readonly event: AuditEvent
  /** See `Core.lineageOf`. */
  readonly lineage: readonly Ancestor[]
  readonly timeMs: number
}

/** Where a finding belongs when packages are the reason for it. */
export interface Place {
  readonly tree: string
  /** Name under which it is kept there with many others. */
  readonly folded?: Edge | undefined
}

/** An edge as maintenance watches it go by, known or not. */
export interface PassingEdge {
  readonly edge: Edge
  readonly source: ProcessImage
  /** As it was printed, before any pattern. */
  readonly filePath: string | undefined
}

export interface MaintenanceOptions {
  /** When the package changed last that owns a file of this host, as its database says. */
  readonly packagedMs: (path: string) => number | undefined
  /** Permissions that the call of an event gave to a file. */
  readonly modeOf: (event: AuditEvent) => number | undefined
  /** Whether a process of this image takes connections from a network. */
  readonly isService: (image: ProcessImage) => boolean
  /** Whether a process of this image did something normal before. */
  readonly isKnown: (image: ProcessImage) => boolean
}

type Stored = readonly [kind: 'open' | 'closed', transaction: StoredTransaction, afterMs: number | null]

type Escaped = readonly (readonly [member: string, sinceMs: number])[]

/**
 * The work of package managers. What is done below one is one transaction, which is open until a window has passed without
 * any of it; what it put in place is on probation for a day afterwards. One transaction at a time on each machine: package
 * managers lock each other out.
 */
export class Maintenance {
  private readonly owned = new OwnedFiles()
  /** By machine and container. */
  private readonly open = new Map<string, Transaction>()
  private readonly all = new Map<string, Transaction>()
  /** When what a transaction has brought was first seen to act, after its end and since that was last reported. */
  private readonly afterMs = new Map<string, number>()
  /** Processes below a package manager that do something else, and since when. */
  private readonly escaped = new Map<string, number>()
  private readonly below = new WeakMap<ProcessImage, boolean>()
  private readonly changed = new Set<string>()
  private readonly options: MaintenanceOptions

  constructor(options: MaintenanceOptions) {
    this.options = options
  }

  /** Whether anything is to be asked of `watch`: cheap, for every edge. */
  concerns({ source, edge }: PassingEdge, event: AuditEvent): boolean {
    if (this.isBelow(source)) return true
    if (edge.kind !== 'exec') return false
    // dnf and yum are scripts.
    const script = edge.to.slice(edge.to.indexOf('<') + 1)
    return managerAt(event.syscall?.exe ?? '') !== undefined || managerAt(script) !== undefined
  }

  /** Takes an edge, known or not, that `concerns` it: which packages are changed, and what they bring. */
  watch(passing: PassingEdge, event: AuditEvent, lineage: readonly Ancestor[], timeMs: number): void {
    const outermost = this.managerAbove(event, lineage)
    if (outermost === undefined) return
    const transaction = this.begin(event, outermost, timeMs)
    transaction.lastMs = Math.max(transaction.lastMs, timeMs)
    this.changed.add(transaction.tree)
    const { edge, source, filePath } = passing
    if (edge.kind === 'exec') this.noteExec(transaction, event, lineage)
    else if (filePath !== undefined && managerOf(source)?.unpacks === true)
      this.noteFile(transaction, passing, filePath, event)
  }

  /** Where an unseen edge belongs; undefined when packages are no reason for it. */
  placeOf(met: Met): Place | undefined {
    const { event, lineage, timeMs } = met
    const outermost = this.managerAbove(event, lineage)
    if (outermost !== undefined) return this.placeBelow(met, this.begin(event, outermost, timeMs))
    const orphaned = this.adopts(met)
    if (orphaned !== undefined) return { tree: orphaned.tree }
    return this.isEscaped(event, lineage) ? undefined : this.placeOnProbation(met)
  }

  /** There is something unseen to tell of the transaction of this tree. */
  noteFound(tree: string): void {
    const transaction = this.all.get(tree)
    if (transaction === undefined || transaction.isFound) return
    transaction.isFound = true
    this.changed.add(tree)
  }

  /** Whether a package has brought this file of this host lately, or owns it. */
  isOwned(path: string): boolean {
    return this.owned.has(HOME, path) || this.options.packagedMs(path) !== undefined
  }

  /** Trees whose findings are not to be reported yet: they go on. */
  get held(): readonly string[] {
    return [
      ...[...this.open.values()].map(({ tree }) => tree),
      ...[...this.afterMs.keys()].map((tree) => afterwards(tree)),
    ]
  }

  /** A window of this length is over. What has come to its end with it is not held any more. */
  closeWindow(endMs: number, lengthMs: number): void {
    for (const [place, transaction] of this.open) {
      const isUntold = transaction.reasons.length > 0 && !transaction.isFound
      const quietMs = isUntold ? Math.max(lengthMs, RAISED_MS) : lengthMs
      if (endMs - transaction.lastMs < quietMs && endMs - transaction.firstMs < LONGEST_MS) continue
      this.open.delete(place)
      this.changed.add(transaction.tree)
    }
    for (const [tree, sinceMs] of this.afterMs) {
      if (endMs - sinceMs < LONGEST_MS) continue
      this.afterMs.delete(tree)
      this.changed.add(tree)
    }
    this.forgetOld(endMs)
  }

  /** The log is at its end: nothing is held any more. */
  closeAll(): void {
    for (const tree of [...this.held]) this.changed.add(tree)
    this.open.clear()
    this.afterMs.clear()
  }

  /** What a tree of findings is about. */
  upkeepOf(tree: string): Upkeep | undefined {
    const isAfterwards = tree.startsWith(AFTER)
    const transaction = this.all.get(isAfterwards ? tree.slice(AFTER.length) : tree)
    return transaction === undefined ? undefined : { transaction, isAfterwards }
  }

  /** Writes what has changed since the last time. */
  drain(writer: StateWriter): void {
    this.owned.drain(writer)
    const open = new Set(this.open.values())
    for (const tree of this.changed) {
      const transaction = this.all.get(tree)
      if (tree === ESCAPED) writer.put('maintenance', ESCAPED, [...this.escaped] satisfies Escaped)
      else if (transaction === undefined) writer.remove('maintenance', tree)
      else {
        const afterMs = this.afterMs.get(tree) ?? null
        const state: Stored = [open.has(transaction) ? 'open' : 'closed', stored(transaction), afterMs]
        writer.put('maintenance', tree, state)
      }
    }
    this.changed.clear()
  }

  /** Goes on where another one stopped. */
  restore(read: StateReader): void {
    this.owned.restore(read('owned'))
    for (const { key, value } of read('maintenance')) {
      if (key === ESCAPED) {
        for (const [member, sinceMs] of value as Escaped) this.escaped.set(member, sinceMs)
        continue
      }
      const [kind, state, afterMs] = value as Stored
      const transaction = unstored(state)
      this.all.set(key, transaction)
      if (kind === 'open') this.open.set(placeIn(key), transaction)
      if (afterMs !== null) this.afterMs.set(key, afterMs)
    }
  }

  private isBelow(image: ProcessImage): boolean {
    const known = this.below.get(image)
    if (known !== undefined) return known
    const isBelow =
      managerOf(image) !== undefined || (image.origin !== undefined && this.isBelow(image.origin))
    this.below.set(image, isBelow)
    return isBelow
  }

  /** The outermost package manager that an event is below of, unless it is something else by now that acts. */
  private managerAbove(event: AuditEvent, lineage: readonly Ancestor[]): Ancestor | undefined {
    const outermost = lineage.findLast(({ image }) => managerOf(image) !== undefined)
    return outermost === undefined || this.isEscaped(event, lineage) ? undefined : outermost
  }

  private isEscaped({ id }: AuditEvent, lineage: readonly Ancestor[]): boolean {
    return this.escaped.size > 0 && lineage.some((ancestor) => this.escaped.has(memberKey(id.node, ancestor)))
  }

  private begin({ id, syscall }: AuditEvent, { pid, image }: Ancestor, timeMs: number): Transaction {
    const place = `${id.node} ${image.container}`
    const { name, history } = managerOf(image) ?? { name: '', history: '' }
    const open = this.open.get(place)
    const isOver =
      open !== undefined && open.reasons.length > 0 && open.pid !== pid && timeMs - open.lastMs >= APART_MS
    if (open !== undefined && !isOver) {
      if (!open.managers.includes(name)) open.managers = [...open.managers, name]
      return open
    }
    const transaction: Transaction = {
      ...{ tree: `maintenance ${timeMs}.${pid} ${place}`, manager: name, user: image.user, history },
      ...{ auid: syscall?.auid ?? -1, pid, firstMs: timeMs, lastMs: timeMs, managers: [name] },
      ...{ changed: new Set<string>(), removed: new Set<string>(), unnamed: 0 },
      ...{ setuid: new Set<string>(), reasons: [], files: new Map<string, number[]>(), isFound: false },
    }
    this.open.set(place, transaction)
    this.all.set(transaction.tree, transaction)
    this.changed.add(transaction.tree)
    return transaction
  }

  private noteExec(transaction: Transaction, event: AuditEvent, lineage: readonly Ancestor[]): void {
    const [self] = lineage
    const { argv } = event
    if (self === undefined || argv.length === 0) return
    const manager = managerOf(self.image)
    if (manager !== undefined) {
      readCommandLine(transaction, manager, argv)
      const told = argv.slice(1).find(isTold)
      if (told !== undefined)
        raise(transaction, `${manager.name} was told to run something: ${shortened(told)}`)
    }
    if (makesAccount(baseName(self.image.exe), argv))
      raise(transaction, `an account was made that may log in: ${shortened(argv.join(' '))}`)
  }

  private noteFile(
    transaction: Transaction,
    { edge, source }: PassingEdge,
    printed: string,
    event: AuditEvent,
  ): void {
    const path = finalName(printed)
    const { container } = source
    if (edge.kind === 'delete') {
      if (path === printed) this.owned.remove(container, path)
      return
    }
    const name = DPKG_LIST.exec(path)?.groups?.['name']
    if (name !== undefined) noteChanged(transaction, name, false)
    if (isPutAside(path)) return
    if (((this.options.modeOf(event) ?? 0) & SETUID) !== 0) noteSetuid(transaction, path)
    if (edge.kind === 'rename' && path === printed) {
      if (replacesAnother(event)) transaction.setuid.delete(path)
      else if (isWayIn(path) && !path.startsWith('/etc/cron'))
        raise(transaction, `a package has brought ${path}`)
    }
    if (edge.kind !== 'attribute') this.owned.add(container, path, transaction.tree, transaction.lastMs)
    if (edge.kind === 'rename' && path === printed && replacesAnother(event))
      this.owned.replaced(container, path)
  }

  private placeBelow(met: Met, transaction: Transaction): Place | undefined {
    const { event, finding, lineage, timeMs } = met
    const reason = escapeOf(finding, this.workerOf(met))
    if (reason !== undefined) {
      this.escape(event, lineage, timeMs)
      return undefined
    }
    return { tree: transaction.tree, folded: foldedEdge(met, transaction) }
  }

  private workerOf({ source, lineage, timeMs }: Met): Worker {
    const manager = managerOf(source)
    const fetches = manager?.fetches === true || lineage.some(({ image }) => APT_METHOD.test(image.exe))
    const isBrought = (path: string): boolean =>
      this.owned.find(source.container, finalName(path), timeMs) !== undefined
    return { manager, fetches, isScripted: lineage.some(({ image }) => runsScriptlet(image)), isBrought }
  }

  /** The process does something else from now on, and so does what it starts. */
  private escape({ id }: AuditEvent, [self]: readonly Ancestor[], timeMs: number): void {
    if (self === undefined) return
    if (this.escaped.size >= MOST_ESCAPED) {
      const [oldest = ''] = this.escaped.keys()
      this.escaped.delete(oldest)
    }
    this.escaped.set(memberKey(id.node, self), timeMs)
    this.changed.add(ESCAPED)
  }

  /**
   * A shell forks once more for what stands in parentheses or between pipes, and that fork does nothing that is logged: its
   * children have a parent whom nobody knows. Ordinary programs of the system among them belong to the package manager that
   * was at work, for the time that shows them to be started.
   */
  private adopts({ event, finding, lineage, source, timeMs }: Met): Transaction | undefined {
    const { edge } = finding
    const { syscall, id } = event
    const transaction = this.open.get(`${id.node} ${source.container}`)
    if (transaction === undefined || syscall === undefined || timeMs - transaction.lastMs > ORPHAN_MS)
      return undefined
    const target = processOf(edge.to)
    const isUnknown = ({ exe, origin }: ProcessImage): boolean => exe === UNKNOWN && origin === undefined
    const isOrphan = isUnknown(source) && lineage.slice(1).every(({ image }) => isUnknown(image))
    if (edge.kind !== 'exec' || !isOrphan || target === undefined) return undefined
    const isOrdinary =
      isSystemProgram(target.exe) && !target.exe.startsWith('/usr/local/') && target.script === ''
    const isSuspicious = SUSPICIOUS.some((kind) => isKind(target, kind))
    if (!isOrdinary || isSuspicious || syscall.auid !== transaction.auid || syscall.ppid <= transaction.pid)
      return undefined
    return transaction
  }

  /** What a package has brought, and what that does. */
  private placeOnProbation(met: Met): Place | undefined {
    const { event, finding, lineage, source, timeMs } = met
    const { edge } = finding
    const acting = edge.kind === 'exec' ? lineage[0]?.image : source
    if (acting === undefined) return undefined
    const tree = this.broughtBy(acting, timeMs) ?? this.unitBroughtBy(edge, source, timeMs)
    if (tree === undefined) return undefined
    if (
      edge.kind === 'exec' ? !isStarter(source) && !this.isBrought(source, timeMs) : !this.isNew(acting, met)
    )
      return undefined
    const isUnit = this.unitBroughtBy(edge, source, timeMs) !== undefined
    const isService = startedByServiceManager(edge.kind === 'exec' ? source : source.origin)
    if (!isUnit && (doesAsTold(acting) || this.isBelowService(source))) return undefined
    if (!isUnit && !isService && !ROOTS.has(acting.user)) return undefined
    const worker = { ...this.workerOf(met), fetches: isService }
    const path = pathOf(edge)
    if (
      path !== undefined &&
      !isUnit &&
      !worker.isBrought(path) &&
      (isSensitive(path) || !OWN_PLACE.test(path))
    )
      return undefined
    if (escapeOf(finding, worker) !== undefined) return undefined
    const open = this.open.get(`${event.id.node} ${source.container}`)
    if (open?.tree === tree) return { tree }
    if (!this.afterMs.has(tree)) {
      this.afterMs.set(tree, timeMs)
      this.changed.add(tree)
    }
    return { tree: afterwards(tree) }
  }

  /** Programs that an upgrade replaces are none that were never seen: what is new of them is not put down to the upgrade. */
  private isNew(acting: ProcessImage, { source, finding: { edge }, timeMs }: Met): boolean {
    return this.unitBroughtBy(edge, source, timeMs) !== undefined || !this.options.isKnown(acting)
  }

  private isBrought(image: ProcessImage, timeMs: number): boolean {
    return this.broughtBy(image, timeMs) !== undefined
  }

  /** The tree of the transaction that has brought a program, and of an interpreter, what it runs. */
  private broughtBy(image: ProcessImage, timeMs: number): string | undefined {
    const { container, exe, script, user } = image
    const process = { container, user, exe, script: script ?? '' }
    const runs = isKind(process, 'shell') || isKind(process, 'interpreter')
    if (script?.startsWith('/') === true) return this.findOwned(container, script, timeMs)
    return runs ? undefined : this.findOwned(container, exe, timeMs)
  }

  /** systemd makes links to the units that packages bring. */
  private unitBroughtBy(edge: Edge, source: ProcessImage, timeMs: number): string | undefined {
    const path = pathOf(edge)
    if (path === undefined || !path.startsWith('/etc/systemd/') || !isInit(source)) return undefined
    const unit = baseName(path)
    for (const directory of ['/lib/systemd/system', '/usr/lib/systemd/system']) {
      const tree = this.findOwned(source.container, `${directory}/${unit}`, timeMs)
      if (tree !== undefined) return tree
    }
    return undefined
  }

  private findOwned(container: string, path: string, timeMs: number): string | undefined {
    const known = this.owned.find(container, path, timeMs)
    return known === undefined || known.isReplaced ? undefined : known.transaction
  }

  /** Whether somebody may have come in through a service to do this. */
  private isBelowService(image: ProcessImage): boolean {
    for (let at: ProcessImage | undefined = image; at !== undefined; at = at.origin) {
      if (isKindOf(at, 'login', 'scheduler')) return false
      if (this.options.isService(at)) return true
    }
    return false
  }

  private forgetOld(nowMs: number): void {
    this.owned.expire(nowMs)
    const excess = this.all.size - MOST_TRANSACTIONS
    let count = 0
    for (const [tree, { lastMs }] of this.all) {
      const isIdle = ![...this.open.values()].some((open) => open.tree === tree) && !this.afterMs.has(tree)
      if (!isIdle || (nowMs - lastMs <= PROBATION_MS + LONGEST_MS && count >= excess)) continue
      count++
      this.all.delete(tree)
      this.changed.add(tree)
    }
    for (const [member, sinceMs] of this.escaped) {
      if (nowMs - sinceMs <= PROBATION_MS) continue
      this.escaped.delete(member)
      this.changed.add(ESCAPED)
    }
  }
}

const AFTER = 'after '
const ESCAPED = 'escaped'
const UNKNOWN = '?'
const APT_METHOD = /^\/usr\/lib\/apt\/methods\/[^/]+$/
/** What may be installed, may be run for what it is made for, but not as somebody's orphan. */
const SUSPICIOUS = ['shell', 'interpreter', 'relay', 'downloader', 'account-tool'] as const
const DPKG_LIST = /^\/var\/lib\/dpkg\/info\/(?<name>[^/:]+)(?::\w+)?\.list$/

/** Where package managers keep their own books, and what nobody runs. */
const PUT_ASIDE =
  /^\/(?:var\/(?:lib\/(?:dpkg|apt|rpm|dnf|yum|zypp|pacman)|cache|log|tmp)|tmp|run|lib\/apk|usr\/(?:include|src|share\/(?:doc|doc-base|man|info|locale|lintian|icons)))\//
const isPutAside = (path: string): boolean => PUT_ASIDE.test(path)

/** Scripts of packages, where dpkg, rpm and apk run them. */
const SCRIPTLET =
  /^\/var\/lib\/dpkg\/(?:info|tmp\.ci)\/|^\/var\/tmp\/rpm-tmp\.|^\/lib\/apk\/|^\/usr\/share\/debconf\/frontend$/
function runsScriptlet(image: ProcessImage): boolean {
  for (let at: ProcessImage | undefined = image; at !== undefined; at = at.origin)
    if (at.script !== undefined && SCRIPTLET.test(at.script)) return true
  return false
}

/** What a program that was just installed writes of its own accord. */
const OWN_PLACE = /^\/(?:var\/(?:lib|log|cache|spool|run|tmp)|run|tmp|dev\/shm)\//
/** Programs that do what they are told: that they are new excuses nothing. */
const NO_PROBATION = ['shell', 'relay', 'downloader', 'account-tool', 'file-tool'] as const
export const doesAsTold = (image: ProcessImage): boolean => NO_PROBATION.some((kind) => isKindOf(image, kind))

/** Names that a file has while it is put in place: dpkg(1); rpm and apk choose theirs by chance. */
export const finalName = (path: string): string =>
  path.replace(/\.dpkg-(?:new|tmp)$|;[0-9a-f]{8}$/, '').replace(/\/\.apk\.[0-9a-f]{16,}$/, '')

/** One name for the many files of a directory. */
function foldedEdge({ finding: { edge }, source }: Met, transaction: Transaction): Edge | undefined {
  const path = pathOf(edge)
  if (path === undefined || DPKG_LIST.test(path) || isWayIn(path)) return undefined
  const isUnpacked = managerOf(source)?.unpacks === true
  if (!isUnpacked && standsForItself(transaction, `${edge.kind} ${edge.from}`, path)) return undefined
  return { ...edge, to: `file:${edge.kind}:${topOf(path)}/…` }
}

const shortened = (text: string): string => (text.length <= 200 ? text : `${text.slice(0, 200)}…`)

/** Two names are gone: that of the new file, and that of the file which it replaces. */
const replacesAnother = ({ paths }: AuditEvent): boolean =>
  paths.filter(({ nameType }) => nameType === 'DELETE').length > 1

const placeIn = (tree: string): string => tree.slice(tree.indexOf(' ', tree.indexOf(' ') + 1) + 1)
const afterwards = (tree: string): string => AFTER + tree

const pathOf = (edge: Edge): string | undefined => {
  const prefix = `file:${edge.kind}:`
  return edge.to.startsWith(prefix) ? edge.to.slice(prefix.length) : undefined
}

/** The first two directories. */
const topOf = (path: string): string => path.split('/').slice(0, 3).join('/')

const INIT =
  /\/(?:systemd(?:-executor)?|init|runit|runsv|runsvdir|s6-svscan|s6-supervise|openrc-run|supervise-daemon|tini|dumb-init)$/
const isInit = ({ exe }: ProcessImage): boolean => INIT.test(exe)
const startedByServiceManager = (image: ProcessImage | undefined): boolean =>
  image !== undefined && isServiceManager(image)
const isServiceManager = (image: ProcessImage): boolean => isInit(image) || isKindOf(image, 'scheduler')

/** Who may start what a package has brought: people, and what starts services and jobs. */
const isStarter = (image: ProcessImage): boolean =>
  isServiceManager(image) ||
  isKindOf(image, 'shell', 'login', 'switcher', 'wrapper') ||
  /\/needrestart$/.test(image.script ?? image.exe)

export function isKindOf(image: ProcessImage, ...kinds: readonly Parameters<typeof isKind>[1][]): boolean {
  const { container, user, exe, script } = image
  return kinds.some((kind) => isKind({ container, user, exe, script: script ?? '' }, kind))
}

const ACCOUNT_MAKERS = new Set(['useradd', 'usermod'])
const NO_LOGIN = /\/(?:nologin|false)$/

/** Whether a command line makes an account with the rights of root, or one that may log in. */
function makesAccount(program: string, argv: readonly string[]): boolean {
  if (program === 'chpasswd') return true
  if (!ACCOUNT_MAKERS.has(program)) return false
  const valueOf = (...options: readonly string[]): string | undefined => {
    const at = argv.findIndex((word) => options.includes(word))
    return at === -1 ? undefined : argv[at + 1]
  }
  const isRoot = valueOf('-u', '--uid') === '0' || argv.includes('-o')
  if (program === 'usermod')
    return isRoot || /\b(?:sudo|wheel|root|adm)\b/.test(valueOf('-G', '-aG', '--groups') ?? '')
  const shell = valueOf('-s', '--shell')
  const isSystem = argv.some((word) => word === '-r' || word === '--system')
  return isRoot || (shell === undefined ? !isSystem : !NO_LOGIN.test(shell))
}
