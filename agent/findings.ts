import type { Baseline } from './baseline/baseline.ts'
import type { Reportable } from './baseline/findings.ts'
import type { UnseenEdge, UnseenNow } from './baseline/unseen.ts'
import { Budget } from './budget.ts'
import type { Core } from './core.ts'
import { dangersOf, type Normal } from './detect/dangers.ts'
import { boundedArgv } from './detect/evidence.ts'
import { incidentOf, judge } from './detect/incidents.ts'
import { Boots, isBoot } from './detect/boots.ts'
import { Maintenance } from './detect/maintenance.ts'
import { bootIncident, maintenanceIncident } from './detect/maintenance-incident.ts'
import { networkPeerOf } from './detect/nodes.ts'
import { Quota } from './detect/quota.ts'
import type { Habits } from './detect/reasons.ts'
import { memberKey, treeOf } from './detect/trees.ts'
import type { Ancestor, Boot, ProcessImage, World } from './domain/activity.ts'
import type { Edge } from './domain/edge.ts'
import type { AuditEvent } from './domain/event.ts'
import { SEVERITIES } from './domain/severity.ts'
import type { BlindSpot, EdgeMark, Evidence, Finding, Incident } from './domain/report.ts'
import type { StateReader, StateWriter } from './domain/state.ts'
import { fileName, type SeenEdge } from './graph/edges.ts'
import { chainOf, processName } from './graph/names.ts'
import { callName } from './interpret/calls.ts'
import { modeGivenBy } from './interpret/modes.ts'
import { uringCallOf } from './interpret/uring.ts'
import { Rating } from './rating.ts'
import { Rehearsal } from './rehearsal.ts'
import { Unstable } from './unstable.ts'

/** Findings that one place may bring in a window, and how many places have a share of their own. */
const SHARES = { findings: 5000, characters: 2_000_000, keys: 100 }

/** Findings that are kept. */
const MOST_FINDINGS = 100_000

/** What puts a program where it is. */
const WRITING = ['create', 'write', 'rename', 'attribute']
/** Trees of one parent that are told apart in a window. */
const MOST_TREES = 20
/** A tree with such a danger is told by itself. */
const DANGEROUS_BITS = 8
/** Linux hands out ports from here on to whoever asks for none (net.ipv4.ip_local_port_range). */
const FIRST_VOLATILE_PORT = 32_768
/** Processes that are known to be in a tree. */
const MOST_MEMBERS = 20_000

/** Where a finding belongs: see `UnseenEdge`. */
type Place = Pick<UnseenEdge, 'tree' | 'parent'>
/** What no package is a reason for, whoever does it. */
const NO_MAINTENANCE: ReadonlySet<EdgeMark> = new Set<EdgeMark>(['denied', 'reverse-shell', 'tamper'])

/** Names hold no arrow. */
const ARROW = '->'
const NOWHERE: Place = { tree: '', parent: '' }
/** Before what stands for the parent of those of one user that nobody knows the origin of. */
const ORPHANS = '? '
/** Before the key of trees that are told as one. */
const JOINED = 'below '
/** The parent of what init has started. */
const INIT = '1'

interface Window {
  readonly fromMs: number
  readonly toMs: number
  /** Whether all of it was seen. */
  readonly isWhole: boolean
  readonly isTraining: boolean
  /** How long windows are. */
  readonly lengthMs: number
  /** Whether nothing will follow it. */
  readonly isLast: boolean
  /** Rules that fired for a tree of processes, and were not told of then. */
  readonly rulesIn: (tree: string) => readonly string[]
}

/** What a window has shown. */
export interface Reported {
  /** What is to be printed. */
  readonly incidents: readonly Incident[]
  readonly spots: readonly BlindSpot[]
}

/** Unseen edges, from their first sighting to the incident that reports them. */
export class Findings {
  /** Incidents of this run, and those among them that the budget kept back. */
  incidents = 0
  withheld = 0
  private readonly baseline: Baseline
  private readonly core: Core
  private readonly quota = new Quota(SHARES)
  /** What the baseline has told of unseen edges, for one chunk: their evidence may hold many arguments. */
  private readonly unseen = new Map<SeenEdge, UnseenNow>()
  private readonly budget: Budget
  private readonly rehearsal: Rehearsal
  private readonly unstable: Unstable
  private readonly maintenance: Maintenance
  private readonly boots: Boots

  /** @param boot the one that this host runs since; undefined in a replay */
  constructor(
    baseline: Baseline,
    core: Core,
    alertsPerDay: number,
    { packagedMs }: World,
    boot: Boot | undefined,
  ) {
    this.baseline = baseline
    this.core = core
    this.budget = new Budget(baseline, alertsPerDay)
    this.unstable = new Unstable(baseline.unstable)
    this.rehearsal = new Rehearsal(baseline, ({ findings }) => judge(findings, this.before, this.normal))
    const isKnown = (image: ProcessImage): boolean => baseline.edges.isKnown(processName(image))
    this.maintenance = new Maintenance({
      packagedMs,
      modeOf: ({ syscall }) => (syscall === undefined ? undefined : modeGivenBy(syscall)),
      isKnown,
      isService: (image) => this.normal.isService(processName(image)),
    })
    const isOwned = (path: string): boolean => this.isOwned(path)
    this.boots = new Boots(boot, { isOwned, isKnown, normal: () => this.normal })
  }

  /** Takes every edge, known or not: package managers are watched at their work. Cheap for all others. */
  watch(seen: SeenEdge, event: AuditEvent, timeMs: number): void {
    if (this.maintenance.concerns(seen, event))
      this.maintenance.watch(seen, event, this.core.lineageOf(event), timeMs)
  }

  /** Whether a package owns this file of this host, as far as is known. */
  isOwned(path: string): boolean {
    return this.maintenance.isOwned(path)
  }

  /** Who made an event, or is this process in it, and whom that descends from, nearest first. */
  lineageOf(event: AuditEvent, pid?: number): readonly Ancestor[] {
    return this.core.lineageOf(event, pid)
  }

  /** Whether packages are the reason for an edge, known or not: their transaction tells of it, if anything does. */
  isUpkeep(
    made: Pick<SeenEdge, 'edge' | 'source'>,
    event: AuditEvent,
    timeMs: number,
    lineage: readonly Ancestor[],
  ): boolean {
    return this.upkeepPlaceOf(made, event, chainOf(made.source), lineage, timeMs) !== undefined
  }

  /** The tree of the processes that did something: see detect/trees.ts. */
  treeOf(source: ProcessImage, event: AuditEvent, timeMs: number, lineage: readonly Ancestor[]): string {
    return this.placeOf(event, chainOf(source), lineage, timeMs).tree
  }

  /** Whether a process of this name takes connections, when all is normal. */
  isService(process: string): boolean {
    return this.normal.isService(process)
  }

  /** Whether the edge was met before in this chunk, and is now counted. */
  countAgain(seen: SeenEdge, timeMs: number): boolean {
    const unseen = this.unseen.get(seen)
    if (unseen !== undefined) this.baseline.unseen.count(unseen, timeMs)
    return unseen !== undefined
  }

  /**
   * Takes an edge that is not known under its name `edge`, or is told of in any case.
   * @param mark why that is
   * @param isUpgrade whether it is what an upgrade of fullmon does, for which it has that mark
   */
  take(
    seen: SeenEdge,
    edge: Edge,
    event: AuditEvent,
    timeMs: number,
    mark?: EdgeMark,
    isUpgrade = false,
  ): void {
    const { baseline } = this
    const ancestors = chainOf(seen.source)
    const address = edge === seen.edge ? undefined : seen.peer?.address
    const evidence = { ...evidenceOf(event), ...(address === undefined ? {} : { address }) }
    const lineage = this.core.lineageOf(event)
    const isMaintenance = isUpgrade || mark === undefined || !NO_MAINTENANCE.has(mark)
    const upkeep = isMaintenance ? this.upkeepPlaceOf(seen, event, ancestors, lineage, timeMs) : undefined
    const named = upkeep?.folded ?? edge
    const chain = [...ancestors, named.to]
    const isFound = baseline.unseen.now(named, chain) !== undefined || baseline.findings.has(named, chain)
    if (!isFound && !this.hasRoom(named, chain, evidence)) return
    const place = (): Place => {
      if (upkeep !== undefined) return upkeep
      const met = {
        finding: { edge, chain, firstMs: timeMs, lastMs: timeMs, evidence, bits: 0 },
        event,
        lineage,
      }
      const boot = mark === undefined ? this.boots.treeOf({ ...met, source: seen.source, timeMs }) : undefined
      return boot === undefined ? this.placeOf(event, ancestors, lineage, timeMs) : { tree: boot, parent: '' }
    }
    // What was found before stays where it is.
    const { tree, parent } = isFound && mark === undefined ? NOWHERE : place()
    this.maintenance.noteFound(tree)
    const finding = { edge: named, chain, firstMs: timeMs, evidence, tree, parent, bits: 0 }
    this.unseen.set(seen, baseline.unseen.saw(mark === undefined ? finding : { ...finding, mark }))
  }

  /** Where an edge belongs when packages are the reason for it. */
  private upkeepPlaceOf(
    { edge, source }: Pick<SeenEdge, 'edge' | 'source'>,
    event: AuditEvent,
    ancestors: readonly string[],
    lineage: readonly Ancestor[],
    timeMs: number,
  ): (Place & { readonly folded: Edge | undefined }) | undefined {
    const times = { firstMs: timeMs, lastMs: timeMs }
    const finding = { edge, chain: [...ancestors, edge.to], ...times, evidence: evidenceOf(event), bits: 0 }
    const place = this.maintenance.placeOf({ finding, source, event, lineage, timeMs })
    return place === undefined ? undefined : { tree: place.tree, parent: '', folded: place.folded }
  }

  private placeOf(
    event: AuditEvent,
    ancestors: readonly string[],
    [actor, ...lineage]: readonly Ancestor[],
    timeMs: number,
  ): Place {
    const { baseline } = this
    const { node } = event.id
    if (actor === undefined) return { tree: `${node} ${ancestors.at(-1) ?? ''}`, parent: '' }
    const { key, parent, isOrphan, members } = treeOf(node, [actor, ...lineage], timeMs, {
      isKnown: this.isKnown,
      treeOf: (member) => baseline.members.treeOf(member),
    })
    if (isOrphan) return { tree: key, parent: `${ORPHANS}${node} ${actor.image.user}` }
    baseline.members.add(key, members, timeMs)
    const who = parent === undefined ? INIT : `${memberKey(node, parent)} ${processName(parent.image)}`
    return { tree: key, parent: who }
  }

  /**
   * An edge is to be learned that would be taken, were the training over.
   * @returns which processes of this window it belongs to; empty when nobody is told
   */
  rehearse(seen: SeenEdge, edge: Edge, event: AuditEvent, timeMs: number): string {
    const ancestors = chainOf(seen.source)
    const chain = [...ancestors, edge.to]
    const { node } = event.id
    const [actor, ...lineage] = this.core.lineageOf(event)
    // What packages bring says nothing of what ordinary life is.
    const whole = actor === undefined ? [] : [actor, ...lineage]
    const upkeep = this.upkeepPlaceOf(seen, event, ancestors, whole, timeMs)
    if (upkeep !== undefined) return upkeep.tree
    const known = { isKnown: this.isKnown, treeOf: () => undefined }
    const tree = actor === undefined ? NOWHERE.tree : treeOf(node, [actor, ...lineage], timeMs, known).key
    this.rehearsal.take({ edge, chain, firstMs: timeMs, evidence: evidenceOf(event), tree })
    return tree
  }

  /** A window of the training is over. `isKept`: whether what it has learned will be. */
  endRehearsal(timeMs: number, isKept: boolean): void {
    this.rehearsal.end(timeMs, isKept)
  }

  /** The training is over. */
  endTraining(timeMs: number): void {
    this.budget.begin(timeMs)
    const [last] = this.baseline.trainings.all().slice(-1)
    this.unstable.begin(last?.fromMs ?? timeMs, timeMs)
  }

  /** What was met is looked for again: the chunk is over, or the baseline has changed. */
  forget(): void {
    this.unseen.clear()
  }

  /** The window is over: what belongs together becomes an incident. */
  report({ fromMs, toMs, isWhole, lengthMs, isTraining, isLast, rulesIn }: Window): Reported {
    const { baseline, maintenance } = this
    const incidents: Incident[] = []
    const rating = new Rating(baseline, toMs)
    baseline.findings.rate((edge, chain) => rating.bitsOf(edge, chain))
    if (!isTraining) this.budget.adjust(toMs)
    const { normal } = this
    const trees = this.joinCrowds(normal)
    if (isLast) maintenance.closeAll()
    else maintenance.closeWindow(toMs, lengthMs)
    const held = [...maintenance.held, ...(isLast ? [] : this.boots.held(toMs))]
    const matters = (rest: Finding): boolean => dangersOf([rest], normal).length > 0
    const next = (): Reportable | undefined => baseline.findings.reportable(held, matters)
    for (let found = next(); found !== undefined; found = next()) {
      const { tree, parent } = found
      const goesOnFrom = tree.startsWith(JOINED) ? undefined : baseline.incidents.lastOf(tree)
      const deeds = {
        ...{ ...found, before: this.before, parent: nameOfParent(parent), trees: trees.get(tree) ?? 1 },
        ...{ goesOnFrom, earlier: goesOnFrom === undefined ? [] : baseline.incidents.reportedOf(tree) },
      }
      const upkeep = maintenance.upkeepOf(tree)
      const isOneOfMany = upkeep !== undefined || isBoot(tree)
      const isDangerous = !isOneOfMany && this.isDangerous(found)
      const isOrdinary = !isOneOfMany && !isDangerous && this.isOrdinary(found)
      const summary = isOrdinary
        ? this.unstable.summaryOf(found.findings, this.before, found.lastMs)
        : undefined
      if (summary !== undefined && 'incident' in summary) {
        baseline.incidents.addTo(tree, summary.incident, toMs, !isWhole)
        continue
      }
      const id = baseline.incidents.next
      const shown = isBoot(tree)
        ? bootIncident(id, deeds)
        : upkeep === undefined
          ? incidentOf(id, deeds, normal)
          : maintenanceIncident(id, deeds, upkeep)
      const rules = rulesIn(tree)
      const told =
        rules.length === 0
          ? shown
          : { ...shown, reasons: [...shown.reasons, `these rules are about it, too: ${rules.join(', ')}`] }
      const raised = this.raisedBefore(tree, told)
      if (raised !== undefined) {
        // As it was told: nothing has come since.
        baseline.incidents.addTo(tree, raised.id, raised.firstMs, !isWhole)
        continue
      }
      const incident = summary === undefined ? told : { ...told, reasons: [summary.reason, ...told.reasons] }
      if (summary !== undefined) this.unstable.summarised(summary.places, incident.id, found.lastMs)
      else if (isOrdinary) this.unstable.note(found.findings, this.before, found.lastMs)
      const isWithheld = !isDangerous && this.budget.keepsBack(incident, isOrdinary)
      baseline.incidents.add(tree, incident, {
        timeMs: toMs,
        isDegraded: !isWhole,
        isWithheld,
      })
      this.incidents++
      if (isWithheld) this.withheld++
      else incidents.push(incident)
    }
    const spots = this.quota
      .overflow()
      .map(({ key, count, examples }) => tooMany(key, count, examples, fromMs, toMs))
    this.quota.clear()
    // Who makes findings all day may not fill the disk.
    baseline.members.trim(MOST_MEMBERS)
    const forgotten = baseline.findings.trim(MOST_FINDINGS)
    return { incidents, spots: forgotten === 0 ? spots : [...spots, trimmed(forgotten, toMs)] }
  }

  /**
   * Many trees of one parent are told as one, and so are all that nobody knows the origin of; but none that is dangerous
   * goes under in a crowd of others.
   * @returns how many trees the new ones are made of
   */
  private joinCrowds(normal: Normal): ReadonlyMap<string, number> {
    const { baseline } = this
    const joined = new Map<string, number>()
    for (const { parent, trees } of baseline.findings.crowdedTrees(1)) {
      if (trees.length <= MOST_TREES && !parent.startsWith(ORPHANS)) continue
      const alone = new Map<string, number>()
      for (const tree of trees) {
        const matters = (rest: Finding): boolean => dangersOf([rest], normal).length > 0
        const [worst] = dangersOf(baseline.findings.waitingOf(tree, matters), normal)
        const shape = worst !== undefined && worst.bits >= DANGEROUS_BITS ? worst.shape : ''
        const others = alone.get(shape) ?? 0
        alone.set(shape, others + 1)
        if (shape !== '' && others < MOST_TREES) continue
        const key = `${JOINED}${parent} ${shape}`
        baseline.findings.joinTree(tree, key)
        if (trees.length > MOST_TREES) joined.set(key, (joined.get(key) ?? 0) + 1)
      }
    }
    return joined
  }

  /** The incident of a rule that has told the very same already, and no less gravely. */
  private raisedBefore(tree: string, { edges, severity, unlisted = 0 }: Incident): Incident | undefined {
    const [edge] = edges
    if (edge === undefined || edges.length > 1 || unlisted > 0) return undefined
    const isSame = (other: Incident): boolean =>
      SEVERITIES.indexOf(other.severity) >= SEVERITIES.indexOf(severity) &&
      other.edges.some(
        ({ kind, chain }) => kind === edge.kind && chain.join(ARROW) === edge.chain.join(ARROW),
      )
    return this.baseline.incidents.raisedIn(tree).find(isSame)
  }

  /** Whether a danger of it is such that nobody may hide it behind noise. */
  private isDangerous({ findings }: Reportable): boolean {
    return dangersOf(findings, this.normal).some(({ bits }) => bits >= DANGEROUS_BITS)
  }

  /** Whether what belongs together is nothing but files and hosts that are new, and not very. */
  private isOrdinary({ findings, edges }: Reportable): boolean {
    if (findings.length < edges) return false
    const { severity, dangers } = judge(findings, this.before, this.normal)
    return severity === 'low' && dangers.length === 0 && this.unstable.isOrdinary(findings, this.before)
  }

  /** What the baseline tells of what is normal. */
  private get normal(): Normal & Habits {
    const { baseline } = this
    return {
      isService: (process) => baseline.edges.callersOf(process).some(isOfService),
      isUnseen: (from, to) => this.before(from, to) > 0,
      isWritten: (path) => baseline.edges.isTarget(fileName('write', path)),
      writerOf: (path) => baseline.findings.firstFound(WRITING.map((action) => fileName(action, path))),
      habitOf: (process, kind) => baseline.edges.habitOf(process, kind),
      isKnown: (process) => baseline.edges.isKnown(process),
      isReached: (target) => baseline.edges.isTarget(target),
    }
  }

  /** Writes what has changed since the last time. */
  drain(writer: StateWriter): void {
    this.quota.drain(writer)
    this.rehearsal.drain(writer)
    this.maintenance.drain(writer)
  }

  /** Goes on where another run stopped. */
  restore(read: StateReader): void {
    for (const { edge, chain, evidence } of this.baseline.findings.unreported())
      this.hasRoom(edge, chain, evidence)
    this.quota.restore(read('quota'))
    this.rehearsal.restore(read)
    this.maintenance.restore(read)
  }

  private readonly before = (from: string, to: string): number => this.baseline.findings.unseenBits(from, to)

  private readonly isKnown = ({ image }: Ancestor): boolean => this.baseline.edges.isKnown(processName(image))

  private hasRoom(edge: Edge, chain: readonly string[], { argv }: Evidence): boolean {
    const finding = chain.join('->')
    const characters = argv.reduce((sum, { length }) => sum + length, finding.length)
    return this.quota.admits(this.answerableFor(edge, chain.slice(0, -1)), finding, characters)
  }

  /** Whose share of the findings this takes: that of the nearest process which is normal, for this kind of edge. */
  private answerableFor({ kind }: Edge, ancestors: readonly string[]): string {
    const known = ancestors.findLast((name) => this.baseline.edges.isKnown(name))
    return `${kind} ${known ?? ''}`
  }
}

/** The name behind the key: see `UnseenEdge`. */
const nameOfParent = (parent: string): string => /proc:.*$/s.exec(parent)?.[0] ?? ''

/** Whether a name that a process listens at, or takes connections from, is chosen by it for good. */
function isOfService(name: string): boolean {
  if (name.startsWith('host:unix:/')) return true
  const peer = networkPeerOf(name)
  if (peer === undefined) return false
  return peer.port === '*' || (Number(peer.port) > 0 && Number(peer.port) < FIRST_VOLATILE_PORT)
}

/** What shows the event, for whoever looks it up. */
export function evidenceOf(event: AuditEvent): Evidence {
  const { id, argv } = event
  const uring = event.syscall === undefined ? uringCallOf(event) : undefined
  const syscall = event.syscall ?? uring?.syscall
  const mode = event.syscall === undefined ? undefined : modeGivenBy(event.syscall)
  return {
    node: id.node,
    serial: id.serial,
    syscall: uring?.name ?? (syscall === undefined ? '' : callName(syscall.arch, syscall.syscall)),
    pid: syscall?.pid ?? -1,
    ppid: syscall?.ppid ?? -1,
    auid: syscall?.auid ?? -1,
    comm: syscall?.comm ?? '',
    argv: boundedArgv(argv),
    ...(mode === undefined ? {} : { mode }),
    count: 1,
  }
}

const tooMany = (
  key: string,
  count: number,
  examples: readonly string[],
  fromMs: number,
  toMs: number,
): BlindSpot => ({
  kind: 'blind-spot',
  reason: 'shed',
  fromMs,
  toMs,
  count,
  detail: `sightings of unseen edges are only counted: too many in this window of ${key === '' ? 'all others' : key}; the last: ${examples.join(', ')}`,
})

const trimmed = (count: number, timeMs: number): BlindSpot => ({
  kind: 'blind-spot',
  reason: 'shed',
  fromMs: timeMs,
  toMs: timeMs,
  count,
  detail: 'findings that were reported long ago are forgotten, and are reported again when they come again',
})
