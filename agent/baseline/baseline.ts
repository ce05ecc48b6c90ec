import { statSync } from 'node:fs'
import type Database from 'better-sqlite3'
import type { LogPosition } from '../domain/chunk.ts'
import {
  type Edge,
  type EdgeKind,
  type FileAction,
  isPeerAction,
  type PatternAction,
  type PeerAction,
  prefixOf,
} from '../domain/edge.ts'
import type { Learned } from '../domain/learning.ts'
import type { EventId } from '../domain/record.ts'
import type { EdgeMark, Evidence, Finding, Incident, Report } from '../domain/report.ts'
import type { StatesReader, StatesWriter } from '../domain/state.ts'
import { AlertBook } from './alerts.ts'
import { type Decision, Decisions, type Refusal } from './decisions.ts'
import { EdgeBook, type EdgeRow, type KnownEdge, type RowId } from './edge-book.ts'
import { ON_SAME_EDGE } from './migrations.ts'
import type { Item } from './content.ts'
import { learnedOf } from './learned.ts'
import { Journal } from './journal.ts'
import { DOUBT_OF_MERGED, expire, type LifeSpan, noteDay, quietSince, tellAgain } from './life.ts'
import { openDatabase } from './open.ts'
import { NOT_FRESH, Sources } from './sources.ts'
import { UnstablePlaces } from './unstable.ts'
import { type JournalVerdict, verifyJournal } from './verify.ts'

/** Findings that are held in memory at once, and what they may hold. */
const PORTION = 1000
const MOST_CHARACTERS = 2_000_000
/** Edges that are gone through when the agent starts: an agent that is told to stop must hear it. */
const MOST_VERIFIED = 200_000
/** How often what is denied is reported while it goes on; what is never learned, each day. */
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
/** Processes of which it is remembered what was denied to them; all are forgotten together when there are more. */
const MOST_DENIERS = 1000
const NONE: readonly string[] = []
/** File edges that a restarted agent still remembers as siblings. */
const MOST_RECENT = 10_000

/** Whether nothing shows a finding that was reported: it silences only what an incident tells of. */
const NO_INCIDENT = 'NOT EXISTS (SELECT 1 FROM incidents WHERE incidents.id = findings.incident_id)'

/** An unseen edge that waits for the end of its window. */
export interface UnseenEdge extends Omit<Finding, 'lastMs'> {
  /** Which processes it belongs to: see detect/trees.ts. */
  readonly tree: string
  /** Who started these: a key and a printed name, with a space between; empty when that is init or not known. */
  readonly parent: string
}

/** What was found, and why it does not become normal if it does not. */
export interface MergedFinding extends Omit<Refusal, 'why'> {
  readonly incident: number
  readonly why: Refusal['why'] | undefined
}

/** What one tree of processes did that is not reported yet. */
export interface Reportable {
  readonly tree: string
  readonly parent: string
  /** In the order of time; the most surprising when there are too many. */
  readonly findings: readonly Finding[]
  /** Of all its findings: how many, how often they were seen, and when. */
  readonly edges: number
  readonly count: number
  readonly firstMs: number
  readonly lastMs: number
}

export interface StoredPattern<Action extends EdgeKind = PatternAction> {
  readonly process: string
  readonly action: Action
  readonly path: string
  readonly printed: string
  readonly examples: readonly string[]
  readonly learnedMs: number
  readonly state?: PatternState
}

export type PatternState = 'learned' | 'pinned' | 'denied'

/** Trees of one parent. */
interface Crowd {
  readonly parent: string
  readonly trees: readonly string[]
}

/** Where a live agent stands in its log, and how far its clock had come. */
export interface Checkpoint {
  readonly position: LogPosition
  /** Events behind that place that were finished before it. */
  readonly finished: readonly EventId[]
  readonly clockMs: number
}

export interface Training {
  readonly fromMs: number
  readonly toMs: number
  readonly plannedMs: number | undefined
  readonly finished: boolean
}

/** An unseen edge in one of the chains that it happens in, and how often since it was written last. */
export interface UnseenNow extends Omit<UnseenEdge, 'firstMs'> {
  firstMs: number
  lastMs: number
  sightings: number
}

/**
 * What is normal on this host, and what was not, in one SQLite file.
 *
 * Sightings are gathered in memory and written at the end of a `batch`, in one transaction with the position in the
 * log: after a crash reading goes on right behind the last batch that was written.
 */
export class Baseline {
  private readonly database: Database.Database
  private readonly path: string
  private readonly inode: number | undefined
  private readonly book: EdgeBook
  /** What stays open until a person has seen to it. */
  readonly alerts: AlertBook
  private readonly journal: Journal
  private readonly unseen = new Map<string, UnseenNow>()
  private readonly unwritten = new Set<UnseenNow>()
  private readonly statements: ReturnType<typeof prepare>
  private trainingId: RowId = 0
  private dataVersion: number
  private readonly sources: Sources
  readonly unstable: UnstablePlaces
  private hasDenied: boolean
  private readonly denials = new Map<string, readonly string[]>()
  /** What was not seen since then is dormant. Unix time in milliseconds. */
  private dormantMs = Number.NEGATIVE_INFINITY

  constructor(path: string) {
    this.path = path
    this.database = openDatabase(path)
    this.inode = inodeOf(path)
    this.statements = prepare(this.database)
    this.sources = new Sources(this.database)
    this.unstable = new UnstablePlaces(this.database)
    this.journal = new Journal(this.database)
    this.alerts = new AlertBook(this.database)
    this.head = this.journal.head
    this.dataVersion = this.statements.dataVersion.get()?.data_version ?? 0
    this.hasDenied = this.statements.anyDenied.get() !== undefined
    this.book = new EdgeBook({ find: (edge) => this.findRow(edge) })
  }

  /** Another program that keeps the file busy is a fault sooner: whoever waits here hears no signal. */
  waitAtMost(milliseconds: number): void {
    this.database.pragma(`busy_timeout = ${milliseconds}`)
  }

  /** Head of the journal; empty while there is none. Of what is not committed yet, too. */
  head: string

  /** What a person decides, for a `batch` that decides and changes more. */
  get decisions(): Decisions {
    return new Decisions(this.path, this.database)
  }

  /** Whether the journal fits and, where that takes no second, what it vouches for is what is there. */
  verify(): JournalVerdict {
    return verifyJournal(this.database, MOST_VERIFIED)
  }

  /** Whether the file is still the one that was opened. SQLite goes on writing to one that was removed. */
  get isInPlace(): boolean {
    return this.inode === inodeOf(this.path)
  }

  /** Whether another process has written since the last batch. */
  get wasWritten(): boolean {
    return (this.statements.dataVersion.get()?.data_version ?? 0) !== this.dataVersion
  }

  /** Changes whenever what `find` and `sawUnseen` have handed out must not be counted any more. */
  get edition(): number {
    return this.book.edition
  }

  /** The edge when the baseline has it, for `count`: as long as `edition` is the same it need not be looked for again. */
  find(edge: Edge): KnownEdge | undefined {
    return this.book.find(edge)
  }

  /** A known edge was seen again. */
  count(known: KnownEdge, timeMs: number): void {
    this.book.count(known, timeMs)
  }

  /** The edge is normal from now on. True when it was not before. `tree`: of the processes that made it. */
  learn(edge: Edge, timeMs: number, tree = ''): boolean {
    return this.book.learn(edge, timeMs, tree)
  }

  /** What a person said is never normal when this process does it; the same object until that changes. */
  denialsOf(process: string, kind: EdgeKind): readonly string[] {
    if (!this.hasDenied) return NONE
    const key = `${kind} ${process}`
    const known = this.denials.get(key)
    if (known !== undefined) return known
    const denials = this.statements.denialsOf.all(process, kind).map(({ name }) => name)
    if (this.denials.size >= MOST_DENIERS) this.denials.clear()
    this.denials.set(key, denials)
    return denials
  }

  /**
   * The log has come to another day: what was not seen for long is dormant or forgotten.
   * @returns how many edges were forgotten
   */
  turnDay(timeMs: number, { dormantDays, expireDays }: LifeSpan): number {
    const { database } = this
    this.flush()
    noteDay(database, timeMs)
    this.dormantMs = quietSince(database, dormantDays)
    const expired = expire(database, quietSince(database, expireDays), timeMs)
    this.head = this.journal.head
    // What is remembered of an edge does not say that it is dormant now.
    this.book.forget()
    return expired
  }

  /**
   * The edge is not in the baseline: remembered once for each chain it happens in, until `reportable` hands it out. The
   * result is for `countUnseen`.
   */
  sawUnseen(found: UnseenEdge): UnseenNow {
    const key = unseenKey(found)
    let unseen = this.unseen.get(key)
    if (unseen === undefined) {
      unseen = { ...found, lastMs: found.firstMs, sightings: 0 }
      this.unseen.set(key, unseen)
    }
    this.countUnseen(unseen, found.firstMs)
    return unseen
  }

  /** What was found of this in this chain since the last batch, for `countUnseen`. */
  unseenNow(edge: Edge, chain: readonly string[]): UnseenNow | undefined {
    return this.unseen.get(unseenKey({ edge, chain }))
  }

  /** The same in the same chain was seen again. */
  countUnseen(unseen: UnseenNow, timeMs: number): void {
    if (unseen.sightings === 0) {
      this.unwritten.add(unseen)
      unseen.firstMs = timeMs
      unseen.lastMs = timeMs
    } else unseen.lastMs = Math.max(unseen.lastMs, timeMs)
    unseen.sightings++
  }

  /**
   * Does `work` and writes all that it learned and saw, in one transaction: after a crash the file is as it was after
   * some batch, and when `work` throws nothing of it is there. Within `work` transactions may nest.
   *
   * @param work is told whether another process has written since the last batch
   */
  batch<T>(work: (othersWrote: boolean) => T): T {
    try {
      // Immediate: a reader that becomes a writer is refused at once when `baseline import` has written in between.
      return this.database
        .transaction(() => {
          const result = work(this.noticeOthers())
          this.flush()
          return result
        })
        .immediate()
    } catch (error) {
      this.head = this.journal.head
      this.book.forget()
      this.unseen.clear()
      this.unwritten.clear()
      throw error
    }
  }

  checkpoint(log: string): Checkpoint | undefined {
    const row = this.statements.readCheckpoint.get(log)
    if (row === undefined) return undefined
    const { path, inode, fingerprint, offset, clock_ms: clockMs } = row
    const finished = (JSON.parse(row.finished) as [string, number, number][]).map(
      ([node, timeMs, serial]) => ({
        node,
        timeMs,
        serial,
      }),
    )
    return { position: { path, inode, fingerprint, offset }, finished, clockMs }
  }

  /** Remembers how far the log has been read. Belongs into the batch that read it. */
  writeCheckpoint(log: string, { position, finished, clockMs }: Checkpoint): void {
    const ids = JSON.stringify(finished.map(({ node, timeMs, serial }) => [node, timeMs, serial]))
    this.statements.writeCheckpoint.run({ log, ...position, finished: ids, clockMs })
  }

  /** What was remembered. */
  get states(): StatesReader {
    const { otherNodes, readState } = this.statements
    return {
      of: (node) =>
        function* (kind) {
          // Not one by one: some are read while others are.
          for (const { key, value } of readState.all(node, kind))
            yield { key, value: JSON.parse(value) as unknown }
        },
      others: otherNodes.all().map(({ node }) => node),
    }
  }

  /** Takes what is to be remembered. Belongs into the batch that changed it. */
  readonly stateWriter: StatesWriter = {
    of: (node) => ({
      put: (kind, key, value) => void this.statements.writeState.run(node, kind, key, JSON.stringify(value)),
      remove: (kind, key) => void this.statements.removeState.run(node, kind, key),
    }),
    forget: (node) => void this.statements.forgetStates.run(node),
  }

  /** What is told of the processes that do something; as of now, until the baseline changes. */
  sourcesNow(): Sources {
    this.flush()
    return this.sources
  }

  /** Bits of a step between two nodes that was unseen and has not become known; 0 when there was none. */
  unseenBits(from: string, to: string): number {
    return this.statements.unseenBits.get(from, to) ?? 0
  }

  /** Rates each unseen edge that has not been reported yet, in bits. */
  rate(bitsOf: (edge: Edge, chain: readonly string[]) => number): void {
    this.flush()
    const { unrated, putBits } = this.statements
    for (const { id, kind, from_name: from, to_name: to, chain } of unrated.all())
      putBits.run(bitsOf({ kind, from, to }, JSON.parse(chain) as string[]), id)
  }

  /**
   * Unseen edges that have not been reported yet: those of the tree that was first to do something.
   * @param held trees that are not to be reported yet
   */
  reportable(held: readonly string[] = [], matters?: (rest: Finding) => boolean): Reportable | undefined {
    this.flush()
    const first = this.statements.unreportedTree.get(JSON.stringify(held))
    if (first === undefined) return undefined
    const { tree } = first
    const { parent, edges, count, firstMs, lastMs } = this.statements.unreportedCounts.get(tree) as Reportable
    return { tree, parent, findings: this.waitingOf(tree, matters), edges, count, firstMs, lastMs }
  }

  /** What is not reported yet of parents with more trees than `most`, one tree after the other; without those of none. */
  crowdedTrees(most: number): readonly Crowd[] {
    this.flush()
    const { crowdedParents, treesOf } = this.statements
    return crowdedParents.all(most).map(({ parent }) => ({
      parent,
      trees: treesOf.all(parent).map(({ tree }) => tree),
    }))
  }

  /**
   * What waits of a tree in the order of time. When it is too much: what is marked, what is done to other things than
   * files, and the most surprising; and of the rest what matters all the same.
   */
  waitingOf(tree: string, matters: (rest: Finding) => boolean = () => false): readonly Finding[] {
    const listed = new Portion()
    const others = new Portion()
    for (const row of this.statements.unreported.iterate(tree)) {
      if (listed.take(row) || others.isFull) continue
      if (matters(findingOf(row))) others.take(row)
    }
    return inOrder([...listed.rows, ...others.rows])
  }

  /** What was reported of a tree before, the last first when it is too much; in the order of time. */
  reportedOf(tree: string): readonly Finding[] {
    const portion = new Portion()
    for (const row of this.statements.reportedOf.iterate(tree)) if (!portion.take(row)) break
    return inOrder(portion.rows)
  }

  /** Who changed one of these nodes first, as far as that was found, and when. */
  firstFound(names: readonly string[]): { readonly by: string; readonly timeMs: number } | undefined {
    return this.statements.firstFound.get(JSON.stringify(names))
  }

  /** What waits of a tree is of another one from now on. */
  joinTree(tree: string, other: string): void {
    this.statements.joinTree.run(other, tree)
  }

  /** The tree that a process was found to be in. */
  treeOfMember(member: string): string | undefined {
    return this.statements.treeOfMember.get(member)?.tree
  }

  /** Processes were found to be in a tree. */
  addMembers(tree: string, members: readonly string[], timeMs: number): void {
    for (const member of members) this.statements.addMember.run(member, tree, timeMs)
  }

  /** Forgets those that were found longest ago, when there are too many. */
  trimMembers(most: number): void {
    const { count } = this.statements.countMembers.get() ?? { count: 0 }
    if (count > most) this.statements.trimMembers.run(count - most)
  }

  /** The last incident that was made of a tree. */
  lastIncidentOf(tree: string): number | undefined {
    return this.statements.lastIncidentOf.get(tree)?.id ?? undefined
  }

  /** Whether anything is done to a node, when all is normal. */
  isTarget(name: string): boolean {
    return this.statements.knownTarget.get(name) !== undefined
  }

  /** Whom a process listens at and takes connections from, when all is normal; not all, when they are many. */
  callersOf(process: string): readonly string[] {
    return this.statements.callersOf.all(process).map(({ name }) => name)
  }

  /**
   * An incident takes all that is not reported of a tree.
   * @param isDegraded whether its window was not seen whole
   * @param isWithheld whether the budget keeps it back
   */
  addIncident(
    tree: string,
    incident: Incident,
    { timeMs, isDegraded, isWithheld }: { timeMs: number; isDegraded: boolean; isWithheld: boolean },
  ): void {
    const { addIncident, markReported } = this.statements
    const { id, severity, score } = incident
    addIncident.run(id, tree, timeMs, severity, score, isWithheld ? 1 : 0, JSON.stringify(incident))
    markReported.run(timeMs, isDegraded ? 1 : 0, id, tree)
  }

  /** What is not reported of a tree belongs to an incident that was reported before. */
  addToIncident(tree: string, incident: number, timeMs: number, isDegraded: boolean): void {
    this.statements.markReported.run(timeMs, isDegraded ? 1 : 0, incident, tree)
    this.unstable.fold(incident)
  }

  /** The id that the next incident will have; none is used again. */
  get nextIncident(): number {
    return (this.statements.lastIncident.get()?.seq ?? 0) + 1
  }

  /** What a process has done of one kind, when all was normal. */
  habitOf(process: string, kind: EdgeKind): { readonly targets: number; readonly sightings: number } {
    return this.statements.habitOf.get(process, kind) ?? { targets: 0, sightings: 0 }
  }

  /** Of a training: what would have been an incident of this process, and when it would have begun. */
  addRehearsed(
    timeMs: number,
    source: string,
    { severity, score }: Pick<Incident, 'severity' | 'score'>,
  ): void {
    this.statements.addRehearsed.run(timeMs, source, severity, score)
  }

  /** The highest score that a low incident had in a training behind `fromMs`; 0 when there was none. */
  highestRehearsed(fromMs: number): number {
    return this.statements.highestRehearsed.get(fromMs) ?? 0
  }

  /** Scores of all incidents behind `fromMs` that are neither high nor critical, rehearsed or real, withheld or not. */
  ordinaryScores(fromMs: number): readonly { readonly source: string; readonly score: number }[] {
    return this.statements.ordinaryScores.all({ fromMs })
  }

  /**
   * Everything that ever was reported is normal from now on, unless it was only seen in windows that were not seen whole,
   * or may never be learned. It stays in doubt.
   * @param windowMs when the window began that has just been seen whole
   * @returns the edges that became normal
   */
  mergeReported(timeMs: number, windowMs: number): readonly Edge[] {
    this.flush()
    this.statements.seenWhole.run(windowMs)
    return this.merge(this.statements.unmerged.all(), { timeMs, author: 'agent', reason: undefined })
  }

  /**
   * What incidents have shown is normal from now on, but what was only seen in windows that were not seen whole, or may
   * never be learned. It stays in doubt.
   * @param ids of the incidents; without, all that nobody has decided on
   * @returns each finding, with why it was left out if it was
   */
  mergeIncidents(ids: readonly number[] | undefined, decision: Decision): readonly MergedFinding[] {
    this.flush()
    const chosen = ids === undefined ? undefined : new Set(ids)
    const rows = this.statements.mergeable
      .all()
      .filter(({ incident }) => chosen === undefined || chosen.has(incident))
    const found = rows.map((row): MergedFinding => {
      const { incident, kind, from_name: from, to_name: to, denied, degraded, mark } = row
      const why = denied === 1 ? 'denied' : (mark ?? (degraded === 1 ? 'degraded' : undefined))
      const edge = { kind, from, to }
      return { incident, edge, why: why === 'dormant' ? undefined : why }
    })
    this.merge(
      rows.filter((_, index) => found[index]?.why === undefined),
      decision,
    )
    return found
  }

  private merge(
    rows: readonly Pick<FindingRow, 'id' | 'kind' | 'from_name' | 'to_name'>[],
    { timeMs, author, reason }: Decision,
  ): readonly Edge[] {
    const { findEdge, mergeFinding, markMerged, endMerged } = this.statements
    const added: Edge[] = []
    const merged = rows.map(({ id, kind, from_name: from, to_name: to }): Edge => {
      if (findEdge.get(from, to, kind) === undefined) added.push({ kind, from, to })
      mergeFinding.run(id)
      markMerged.run(timeMs, id)
      return { kind, from, to }
    })
    const detail = { edges: added.length, ...(reason === undefined ? {} : { reason }) }
    if (added.length > 0) {
      endMerged.run(this.write('rebase', timeMs, detail, added, [], author))
      tellAgain(this.database)
    }
    this.book.forget()
    return merged
  }

  /**
   * The window of the training is over. What was learned in it is normal from now on, or was never learned. What the
   * trees of unreported findings did is in doubt.
   * @param timeMs of its end
   * @param isDegraded whether the window was not seen whole
   * @returns how many edges that are
   */
  settle(isKept: boolean, timeMs: number, isDegraded = false): number {
    this.flush()
    const { count } = this.statements.countFresh.get() ?? { count: 0 }
    if (count === 0) return 0
    if (isKept) {
      this.write('learn', timeMs, { edges: count }, this.statements.freshEdges.iterate())
      if (isDegraded) this.statements.doubtFresh.run()
      this.statements.suspectFresh.run()
    } else {
      this.statements.deleteFreshEdges.run()
      this.book.forget()
    }
    this.statements.clearFresh.run()
    return count
  }

  /** Whether this was found in this chain before, reported or not, and has not become normal since. */
  hasFinding({ kind, from, to }: Edge, chain: readonly string[]): boolean {
    return this.statements.findFinding.get(from, to, kind, JSON.stringify(chain)) !== undefined
  }

  /** Whether a process stands in the baseline, as one that did something before this window. */
  isKnown(process: string): boolean {
    return this.book.hasSource(process) || this.statements.knownSource.get(process) !== undefined
  }

  /** What is not reported yet, in the order of its coming. */
  *unreported(): Iterable<Pick<UnseenEdge, 'edge' | 'chain' | 'evidence'>> {
    for (const { kind, from_name: from, to_name: to, chain, evidence } of this.statements.waiting.iterate())
      yield {
        edge: { kind, from, to },
        chain: JSON.parse(chain) as string[],
        evidence: JSON.parse(evidence) as Evidence,
      }
  }

  /**
   * Forgets those that were reported and not seen for longest, when there are too many.
   * @returns how many
   */
  trimFindings(most: number): number {
    const { count } = this.statements.countFindings.get() ?? { count: 0 }
    return count <= most ? 0 : this.statements.trimFindings.run(count - most).changes
  }

  /** One thing that is remembered by its name; undefined when there is none. */
  memory(name: string): unknown {
    const row = this.statements.readMemory.get(name)
    return row === undefined ? undefined : (JSON.parse(row.value) as unknown)
  }

  remember(name: string, value: unknown): void {
    this.stateWriter.of('').put('memory', name, value)
  }

  forget(name: string): void {
    this.stateWriter.of('').remove('memory', name)
  }

  /** Nothing that was remembered counts any more. */
  forgetStates(): void {
    this.statements.forgetAllStates.run()
  }

  /** The same, and reports that may not have been printed: somebody else has written them. */
  forgetAll(): void {
    this.statements.forgetMemories.run()
    this.statements.forgetPosted.run()
  }

  /** Remembers a report until it is surely printed. Belongs into the batch that decided on it. */
  post(report: Report): void {
    this.statements.post.run(JSON.stringify(report))
  }

  /** The oldest reports that may not have been printed, a portion of them. */
  posted(): readonly { readonly id: number; readonly report: Report }[] {
    return portionOf(this.statements.posted.iterate(), ({ report }) => report.length).map(
      ({ id, report }) => ({
        id,
        report: JSON.parse(report) as Report,
      }),
    )
  }

  /** The reports up to this one have been printed. */
  delivered(id: number): void {
    this.statements.delivered.run(id)
  }

  /** Patterns over names of files, and of sockets of this host. */
  patterns(): readonly StoredPattern[] {
    return this.everyPattern().filter((each) => !isOverHosts(each))
  }

  /** Patterns over the hosts that a process talks to. */
  peerPatterns(): readonly StoredPattern<PeerAction>[] {
    return this.everyPattern().flatMap((each) => (isOverHosts(each) ? [each] : []))
  }

  /**
   * Stores a pattern and makes one edge of those it covers. Their nodes stay: a finding may stand on one, and to look
   * takes longer than the few are worth.
   *
   * @param covers gets the path of a file node, and what follows `host:` in the node of a peer
   * @param directory that all covered files are in, without a slash at its end
   * @param replaces paths of patterns that are no more because this one covers all that they did
   */
  addPattern(
    pattern: StoredPattern,
    covers: (path: string) => boolean,
    directory = '',
    replaces: readonly string[] = [],
    { author, reason }: Partial<Decision> = {},
  ): void {
    this.flush()
    const { changes } = this.statements.addPattern.run({
      ...pattern,
      examples: JSON.stringify(pattern.examples),
    })
    const added: Item[] = changes === 0 ? [] : [pattern]
    const removed: Item[] = []
    let merged = 0
    const { process, action, path } = pattern
    const prefix = prefixOf(action)
    const edge: Edge = { kind: action, from: process, to: prefix + path }
    const before = this.statements.findEdge.get(process, edge.to, action)
    let to: RowId | undefined
    let from: RowId = 0
    const found: CoveredRow[] = []
    // Not all that are there: a directory may hold very many others.
    for (const row of this.statements.fileEdgesIn.iterate({ process, action, prefix: prefix + directory }))
      if (row.name !== edge.to && covers(row.name.slice(prefix.length))) found.push(row)
    for (const narrower of replaces) {
      const name = prefix + narrower
      const rows = this.statements.fileEdgesIn.all({ process, action, prefix: name })
      found.push(...rows.filter((row) => row.name === name))
      if (this.statements.removePattern.run(process, action, narrower).changes > 0)
        removed.push({ process, action, path: narrower })
    }
    for (const covered of found) {
      const { first_ms: firstMs, last_ms: lastMs, sightings, days, windows } = covered
      to ??= this.nodeId(edge.to)
      this.statements.writeEdge.run(covered.from_id, to, action, firstMs, lastMs, sightings, days, windows)
      this.statements.deleteEdge.run(covered.from_id, covered.to_id, action)
      from = covered.from_id
      if (this.statements.removeFresh.run(from, covered.to_id, action).changes > 0) continue
      removed.push({ kind: action, from: process, to: covered.name })
      merged++
    }
    if (to !== undefined) {
      // It may be there already: an import can bring what a training learns, too.
      const isFresh = before === undefined || this.statements.removeFresh.run(from, to, action).changes > 0
      if (isFresh && merged > 0) added.push(edge)
      else if (isFresh) this.statements.addFresh.run(from, to, action, '')
    }
    const { printed, learnedMs } = pattern
    const detail = { pattern: printed, edges: -merged, ...(reason === undefined ? {} : { reason }) }
    this.write('learn', learnedMs, detail, added, removed, author)
    this.book.forget()
  }

  /** Processes that stand in the baseline or in a finding. */
  *processes(): Iterable<string> {
    for (const { name } of this.statements.processes.all()) yield name
  }

  /** The file edges that were seen last, oldest first: for patterns to learn from after a restart. */
  *recentFileEdges(): Iterable<{ process: string; action: FileAction; path: string }> {
    for (const row of this.statements.recentFileEdges.all(MOST_RECENT).reverse()) {
      yield {
        process: row.from_name,
        action: row.kind as FileAction,
        path: row.to_name.slice(`file:${row.kind}:`.length),
      }
    }
  }

  trainings(): readonly Training[] {
    return this.statements.trainings.all().map((row) => ({
      fromMs: row.from_ms,
      toMs: row.to_ms,
      plannedMs: row.planned_ms ?? undefined,
      finished: row.finished === 1,
    }))
  }

  /** The training that was begun last and is not finished goes on. */
  resumeTraining(): void {
    this.trainingId = this.statements.lastTraining.get()?.id ?? this.trainingId
  }

  beginTraining(fromMs: number, plannedMs: number | undefined): void {
    this.trainingId = this.statements.beginTraining.run(fromMs, fromMs, plannedMs ?? null).lastInsertRowid
  }

  /** The training that was begun last has learned up to `toMs`; `finished` ends it. */
  extendTraining(toMs: number, finished: boolean): void {
    this.statements.extendTraining.run(toMs, finished ? 1 : 0, this.trainingId)
  }

  /** What the training has seen so far, or the last one saw. */
  learned(): Learned | undefined {
    this.flush()
    return learnedOf(this.database)
  }

  countEdges(): number {
    return this.statements.countEdges.get()?.count ?? 0
  }

  /** Distinct edges that were reported. */
  countReported(): number {
    return this.statements.countReported.get()?.count ?? 0
  }

  close(): void {
    this.database.close()
  }

  /** What `baseline import` has written since the last batch is known from now on, and what it removed is not. */
  private noticeOthers(): boolean {
    const version = this.statements.dataVersion.get()?.data_version ?? 0
    if (version === this.dataVersion) return false
    this.dataVersion = version
    this.book.forget()
    this.head = this.journal.head
    this.hasDenied = this.statements.anyDenied.get() !== undefined
    this.denials.clear()
    return true
  }

  private findRow({ from, to, kind }: Edge): EdgeRow | undefined {
    const row = this.statements.findEdgeAge.get(from, to, kind)
    if (row === undefined) return undefined
    const isAccepted = row.accepted !== null
    return { from: row.from, to: row.to, isDormant: !isAccepted && row.last_ms < this.dormantMs, isAccepted }
  }

  private flush(): void {
    this.book.drain((known) => this.writeEdge(known))
    for (const found of this.unwritten) {
      this.writeUnseen(found)
      found.sightings = 0
    }
    this.unwritten.clear()
    this.unseen.clear()
  }

  /** Writes a row of the journal. */
  private write(
    action: 'learn' | 'rebase',
    timeMs: number,
    detail: Readonly<Record<string, unknown>>,
    added: Iterable<Item>,
    removed: Iterable<Item> = [],
    author = 'agent',
  ): number {
    const row = this.journal.append({ timeMs, action, author, detail }, { added, removed })
    this.head = this.journal.head
    return row
  }

  private everyPattern(): readonly StoredPattern[] {
    return this.statements.patterns.all().map((row) => ({
      process: row.process,
      action: row.action,
      path: row.path,
      printed: row.printed,
      examples: JSON.parse(row.examples) as string[],
      learnedMs: row.learned_ms,
      state: row.state,
    }))
  }

  private nodeId(name: string): RowId {
    const known = this.statements.nodeId.get(name)
    return known === undefined ? this.statements.addNode.run(name).lastInsertRowid : known.id
  }

  private writeEdge(known: KnownEdge): void {
    const { edge, from, to, firstMs, lastMs, sightings, days, windows } = known
    known.from = from ?? this.nodeId(edge.from)
    known.to = to ?? this.nodeId(edge.to)
    this.statements.writeEdge.run(known.from, known.to, edge.kind, firstMs, lastMs, sightings, days, windows)
    if (from === undefined) this.statements.addFresh.run(known.from, known.to, edge.kind, known.tree)
  }

  private writeUnseen(found: UnseenNow): void {
    const { edge, firstMs, lastMs, sightings, tree, parent, bits } = found
    const key = {
      from: this.nodeId(edge.from),
      to: this.nodeId(edge.to),
      kind: edge.kind,
      chain: JSON.stringify(found.chain),
      mark: found.mark ?? null,
    }
    const evidence = JSON.stringify(found.evidence)
    this.reopen(key, { firstMs, tree, parent, bits, evidence })
    this.statements.writeUnseen.run({ ...key, evidence, firstMs, lastMs, sightings, tree, parent, bits })
  }

  /** What was reported, and is worth another report now, is a new finding; what was seen of it stays with its incident. */
  private reopen(
    key: { from: RowId; to: RowId; kind: string; chain: string; mark: string | null },
    anew: { firstMs: number; tree: string; parent: string; bits: number; evidence: string },
  ): void {
    const { reportedBefore, moveSightings, reopen } = this.statements
    const before = reportedBefore.get({
      ...key,
      hourAgoMs: anew.firstMs - HOUR_MS,
      dayAgoMs: anew.firstMs - DAY_MS,
    })
    if (before === undefined) return
    if (before.incident_id !== null) moveSightings.run(before.sightings, before.incident_id)
    reopen.run({ ...anew, id: before.id })
  }
}

const unseenKey = ({ edge, chain, mark }: Pick<UnseenEdge, 'edge' | 'chain' | 'mark'>): string =>
  [mark ?? '', `${edge.kind} ${edge.from}`, edge.to, ...chain].join('\u0000')

const inodeOf = (path: string): number | undefined => statSync(path, { throwIfNoEntry: false })?.ino

/** Rows that are held in memory, as far as they are not too much; at least one. */
class Portion {
  readonly rows: FindingRow[] = []
  private characters = 0

  get isFull(): boolean {
    return this.rows.length >= PORTION || this.characters > MOST_CHARACTERS
  }

  /** Whether there was room for it. */
  take(row: FindingRow): boolean {
    if (this.isFull) return false
    this.rows.push(row)
    this.characters += row.chain.length + row.evidence.length
    return true
  }
}

const inOrder = (rows: readonly FindingRow[]): readonly Finding[] =>
  rows.toSorted((one, other) => one.first_ms - other.first_ms || one.id - other.id).map(findingOf)

/** The first of the rows, at least one if there is one. */
function portionOf<T>(rows: Iterable<T>, charactersOf: (row: T) => number): T[] {
  const portion: T[] = []
  let characters = 0
  for (const row of rows) {
    portion.push(row)
    characters += charactersOf(row)
    if (portion.length >= PORTION || characters > MOST_CHARACTERS) break
  }
  return portion
}

const isOverHosts = (pattern: StoredPattern): pattern is StoredPattern<PeerAction> =>
  isPeerAction(pattern.action) && !pattern.path.startsWith('unix:')

const findingOf = (row: FindingRow): Finding => ({
  edge: { kind: row.kind, from: row.from_name, to: row.to_name },
  chain: JSON.parse(row.chain) as string[],
  firstMs: row.first_ms,
  lastMs: row.last_ms,
  bits: row.bits,
  ...(row.mark === null ? {} : { mark: row.mark }),
  evidence: { ...(JSON.parse(row.evidence) as Evidence), count: row.sightings },
})

interface FindingRow {
  id: number
  kind: EdgeKind
  from_name: string
  to_name: string
  chain: string
  evidence: string
  first_ms: number
  last_ms: number
  sightings: number
  bits: number
  mark: EdgeMark | null
}

interface CoveredRow {
  from_id: number
  to_id: number
  name: string
  first_ms: number
  last_ms: number
  sightings: number
  days: number
  windows: number
}

interface CheckpointRow {
  path: string
  inode: number
  fingerprint: string
  offset: number
  finished: string
  clock_ms: number
}

export interface PatternRow {
  process: string
  action: PatternAction
  path: string
  printed: string
  examples: string
  learned_ms: number
  state: PatternState
}

interface TrainingRow {
  from_ms: number
  to_ms: number
  planned_ms: number | null
  finished: 0 | 1
}

const prepare = (database: Database.Database) => ({
  // Changes when another connection has written (sqlite.org/pragma.html#pragma_data_version).
  dataVersion: database.prepare<[], { data_version: number }>('PRAGMA data_version'),
  nodeId: database.prepare<[string], { id: number }>('SELECT id FROM nodes WHERE name = ?'),
  addNode: database.prepare<[string]>('INSERT INTO nodes (name) VALUES (?)'),
  findEdgeAge: database.prepare<
    [string, string, string],
    EdgeRow & { last_ms: number; accepted: number | null }
  >(
    `SELECT from_id AS "from", to_id AS "to", last_ms, accepted FROM edges
      WHERE from_id = (SELECT id FROM nodes WHERE name = ?)
        AND to_id = (SELECT id FROM nodes WHERE name = ?) AND kind = ?`,
  ),
  denialsOf: database.prepare<[string, string], { name: string }>(
    `SELECT name FROM denied JOIN nodes ON nodes.id = to_id
      WHERE from_id = (SELECT id FROM nodes WHERE name = ?) AND kind = ? ORDER BY name`,
  ),
  anyDenied: database.prepare<[], { any: 1 }>('SELECT 1 AS "any" FROM denied LIMIT 1'),
  findEdge: database.prepare<[string, string, string], EdgeRow>(
    `SELECT from_id AS "from", to_id AS "to" FROM edges
      WHERE from_id = (SELECT id FROM nodes WHERE name = ?)
        AND to_id = (SELECT id FROM nodes WHERE name = ?) AND kind = ?`,
  ),
  writeEdge: database.prepare<[RowId, RowId, string, number, number, number, number, number]>(
    `INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days, windows)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?) ${ON_SAME_EDGE}`,
  ),
  deleteEdge: database.prepare<[number, number, string]>(
    'DELETE FROM edges WHERE from_id = ? AND to_id = ? AND kind = ?',
  ),
  // In the order of time, so that days are added up rightly. No name goes beyond the last character of Unicode.
  fileEdgesIn: database.prepare<{ process: string; action: string; prefix: string }, CoveredRow>(
    `SELECT edges.*, target.name FROM nodes target CROSS JOIN edges
      WHERE target.name >= @prefix AND target.name < @prefix || char(0x10ffff)
        AND from_id = (SELECT id FROM nodes WHERE name = @process) AND to_id = target.id AND kind = @action
      ORDER BY first_ms, target.name`,
  ),
  // A semicolon is the character behind a colon.
  processes: database.prepare<[], { name: string }>(
    "SELECT name FROM nodes WHERE name > 'proc:' AND name < 'proc;'",
  ),
  recentFileEdges: database.prepare<[number], { kind: string; from_name: string; to_name: string }>(
    `SELECT kind, source.name AS from_name, target.name AS to_name FROM edges
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE kind IN ('create', 'delete', 'rename', 'write', 'attribute')
      ORDER BY last_ms DESC, target.name, source.name, kind LIMIT ?`,
  ),
  countEdges: database.prepare<[], { count: number }>('SELECT count(*) AS count FROM edges'),
  countReported: database.prepare<[], { count: number }>(
    `SELECT count(*) AS count FROM
       (SELECT DISTINCT from_id, to_id, kind FROM findings WHERE reported_ms IS NOT NULL)`,
  ),
  writeUnseen: database.prepare<{
    from: RowId
    to: RowId
    kind: string
    chain: string
    evidence: string
    firstMs: number
    lastMs: number
    sightings: number
    tree: string
    parent: string
    bits: number
    mark: string | null
  }>(
    `INSERT INTO findings (from_id, to_id, kind, chain, evidence, first_ms, last_ms, sightings, tree, parent, bits, mark)
     VALUES (@from, @to, @kind, @chain, @evidence, @firstMs, @lastMs, @sightings, @tree, @parent, @bits, @mark)
     ON CONFLICT DO UPDATE SET last_ms = max(last_ms, excluded.last_ms),
       sightings = sightings + excluded.sightings, mark = coalesce(excluded.mark, mark)`,
  ),
  reportedBefore: database.prepare<
    {
      from: RowId
      to: RowId
      kind: string
      chain: string
      mark: string | null
      hourAgoMs: number
      dayAgoMs: number
    },
    { id: number; incident_id: number | null; sightings: number }
  >(
    `SELECT id, incident_id, sightings FROM findings
      WHERE from_id = @from AND to_id = @to AND kind = @kind AND chain = @chain AND reported_ms IS NOT NULL
        AND (merged_ms IS NOT NULL OR ${NO_INCIDENT} OR @mark IS NOT NULL AND @mark IS NOT mark OR @mark = 'dormant'
             OR @mark = 'denied' AND reported_ms <= @hourAgoMs OR reported_ms <= @dayAgoMs AND @mark IS NOT NULL)`,
  ),
  moveSightings: database.prepare<[number, number]>('UPDATE incidents SET moved = moved + ? WHERE id = ?'),
  reopen: database.prepare<{
    id: number
    firstMs: number
    evidence: string
    tree: string
    parent: string
    bits: number
  }>(
    `UPDATE findings SET reported_ms = NULL, merged_ms = NULL, incident_id = NULL, degraded = 0, sightings = 0,
       first_ms = @firstMs, last_ms = @firstMs, evidence = @evidence, tree = @tree, parent = @parent,
       bits = @bits WHERE id = @id`,
  ),
  unrated: database.prepare<[], Pick<FindingRow, 'id' | 'kind' | 'from_name' | 'to_name' | 'chain'>>(
    `SELECT findings.id, kind, source.name AS from_name, target.name AS to_name, chain FROM findings
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE reported_ms IS NULL ORDER BY first_ms, findings.id`,
  ),
  unseenBits: database
    .prepare<[string, string], number | null>(
      `SELECT max(bits) FROM findings
        WHERE from_id = (SELECT id FROM nodes WHERE name = ?) AND to_id = (SELECT id FROM nodes WHERE name = ?)
          AND NOT EXISTS (SELECT 1 FROM edges WHERE edges.from_id = findings.from_id
                             AND edges.to_id = findings.to_id AND edges.kind = findings.kind)`,
    )
    .pluck(),
  putBits: database.prepare<[number, number]>('UPDATE findings SET bits = ? WHERE id = ?'),
  unreportedTree: database.prepare<[string], { tree: string }>(
    `SELECT tree FROM findings WHERE reported_ms IS NULL AND tree NOT IN (SELECT value FROM json_each(?))
      ORDER BY first_ms, id LIMIT 1`,
  ),
  unreportedCounts: database.prepare<[string], Omit<Reportable, 'findings'>>(
    `SELECT tree, max(parent) AS parent, count(*) AS edges, sum(sightings) AS "count", min(first_ms) AS firstMs, max(last_ms) AS lastMs
       FROM findings WHERE reported_ms IS NULL AND tree = ?`,
  ),
  unreported: database.prepare<[string], FindingRow>(
    `SELECT findings.*, source.name AS from_name, target.name AS to_name FROM findings
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE reported_ms IS NULL AND tree = ?
      ORDER BY mark IS NULL, kind IN ('create', 'delete', 'rename', 'write', 'attribute'), bits DESC, first_ms, findings.id`,
  ),
  reportedOf: database.prepare<[string], FindingRow>(
    `SELECT findings.*, source.name AS from_name, target.name AS to_name FROM incidents
       JOIN findings ON incident_id = incidents.id
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE incidents.tree = ?
      ORDER BY kind IN ('create', 'delete', 'rename', 'write', 'attribute'), findings.first_ms DESC, findings.id DESC`,
  ),
  firstFound: database.prepare<[string], { by: string; timeMs: number }>(
    `SELECT source.name AS by, first_ms AS timeMs FROM findings JOIN nodes source ON source.id = from_id
      WHERE to_id IN (SELECT id FROM nodes WHERE name IN (SELECT value FROM json_each(?)))
      ORDER BY first_ms, findings.id LIMIT 1`,
  ),
  markReported: database.prepare<[number, 0 | 1, number, string]>(
    'UPDATE findings SET reported_ms = ?, degraded = ?, incident_id = ? WHERE reported_ms IS NULL AND tree = ?',
  ),
  crowdedParents: database.prepare<[number], { parent: string }>(
    `SELECT parent FROM findings WHERE reported_ms IS NULL AND parent <> ''
      GROUP BY parent HAVING count(DISTINCT tree) > ? ORDER BY parent`,
  ),
  treesOf: database.prepare<[string], { tree: string }>(
    `SELECT tree FROM findings WHERE reported_ms IS NULL AND parent = ?
      GROUP BY tree ORDER BY min(first_ms), min(id)`,
  ),
  joinTree: database.prepare<[string, string]>(
    'UPDATE findings SET tree = ? WHERE reported_ms IS NULL AND tree = ?',
  ),
  treeOfMember: database.prepare<[string], { tree: string }>('SELECT tree FROM members WHERE member = ?'),
  addMember: database.prepare<[string, string, number]>(
    `INSERT INTO members (member, tree, time_ms) VALUES (?, ?, ?)
     ON CONFLICT DO UPDATE SET time_ms = excluded.time_ms`,
  ),
  countMembers: database.prepare<[], { count: number }>('SELECT count(*) AS count FROM members'),
  trimMembers: database.prepare<[number]>(
    `DELETE FROM members WHERE member IN (SELECT member FROM members ORDER BY time_ms, member LIMIT ?)`,
  ),
  lastIncidentOf: database.prepare<[string], { id: number | null }>(
    'SELECT max(id) AS id FROM incidents WHERE tree = ?',
  ),
  callersOf: database.prepare<[string], { name: string }>(
    `SELECT target.name FROM edges JOIN nodes target ON target.id = to_id
      WHERE from_id = (SELECT id FROM nodes WHERE name = ?) AND kind IN ('listen', 'accept')
      ORDER BY kind, target.name LIMIT 100`,
  ),
  addIncident: database.prepare<[number, string, number, string, number, 0 | 1, string]>(
    'INSERT INTO incidents (id, tree, time_ms, severity, score, withheld, report) VALUES (?, ?, ?, ?, ?, ?, ?)',
  ),
  lastIncident: database.prepare<[], { seq: number }>(
    "SELECT seq FROM sqlite_sequence WHERE name = 'incidents'",
  ),
  habitOf: database.prepare<[string, string], { targets: number; sightings: number }>(
    `SELECT count(*) AS targets, coalesce(sum(sightings), 0) AS sightings FROM edges
      WHERE from_id = (SELECT id FROM nodes WHERE name = ?) AND kind = ?`,
  ),
  addRehearsed: database.prepare<[number, string, string, number]>(
    'INSERT INTO rehearsal (time_ms, source, severity, score) VALUES (?, ?, ?, ?)',
  ),
  highestRehearsed: database
    .prepare<[number], number | null>(
      "SELECT max(score) FROM rehearsal WHERE time_ms > ? AND severity = 'low'",
    )
    .pluck(),
  ordinaryScores: database.prepare<{ fromMs: number }, { source: string; score: number }>(
    `SELECT source, score FROM rehearsal WHERE time_ms > @fromMs AND severity IN ('low', 'medium')
      UNION ALL
     SELECT json_extract(report, '$.edges[0].from') AS source, score FROM incidents
      WHERE time_ms > @fromMs AND severity IN ('low', 'medium')`,
  ),
  seenWhole: database.prepare<[number]>(
    'UPDATE findings SET degraded = 0 WHERE degraded = 1 AND last_ms >= ?',
  ),
  markMerged: database.prepare<[number, number]>('UPDATE findings SET merged_ms = ? WHERE id = ?'),
  unmerged: database.prepare<[], { id: number; kind: EdgeKind; from_name: string; to_name: string }>(
    `SELECT findings.id, kind, source.name AS from_name, target.name AS to_name FROM findings
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE reported_ms IS NOT NULL AND merged_ms IS NULL AND degraded = 0 AND mark IS NULL
        -- The many files of packages under one name (maintenance.ts), under which nothing is looked for.
        AND target.name NOT GLOB 'file:*/…'
        AND (from_id, to_id, kind) NOT IN (SELECT from_id, to_id, kind FROM denied) ORDER BY first_ms, findings.id`,
  ),
  mergeable: database.prepare<
    [],
    Pick<FindingRow, 'id' | 'kind' | 'from_name' | 'to_name' | 'mark'> & {
      incident: number
      degraded: 0 | 1
      denied: 0 | 1
    }
  >(
    `SELECT findings.id, kind, source.name AS from_name, target.name AS to_name, mark, incident_id AS incident, degraded,
            (from_id, to_id, kind) IN (SELECT from_id, to_id, kind FROM denied) AS denied FROM findings
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
       JOIN incidents ON incidents.id = incident_id
      WHERE merged_ms IS NULL AND state IN ('open', 'later') AND reported_ms <= time_ms
      ORDER BY first_ms, findings.id`,
  ),
  // Of the incidents with anything in them, those in which all became normal.
  endMerged: database.prepare<[number]>(
    `UPDATE incidents SET state = 'rebased', journal = ? WHERE state IN ('open', 'later')
        AND EXISTS (SELECT 1 FROM findings WHERE incident_id = incidents.id)
        AND NOT EXISTS (SELECT 1 FROM findings
                         WHERE incident_id = incidents.id AND merged_ms IS NULL AND reported_ms <= time_ms)`,
  ),
  mergeFinding: database.prepare<[number]>(
    `INSERT INTO edges (from_id, to_id, kind, first_ms, last_ms, sightings, days, windows, doubt)
     SELECT from_id, to_id, kind, first_ms, last_ms, sightings, 1 + (last_ms / 86400000 > first_ms / 86400000),
            1 + (last_ms / 60000 > first_ms / 60000), ${DOUBT_OF_MERGED} FROM findings WHERE id = ? ${ON_SAME_EDGE}`,
  ),
  findFinding: database.prepare<[string, string, string, string], { id: number }>(
    `SELECT id FROM findings WHERE from_id = (SELECT id FROM nodes WHERE name = ?)
       AND to_id = (SELECT id FROM nodes WHERE name = ?) AND kind = ? AND chain = ? AND merged_ms IS NULL
       AND (reported_ms IS NULL OR NOT ${NO_INCIDENT})`,
  ),
  knownSource: database.prepare<[string], { known: 1 }>(
    `SELECT 1 AS known FROM edges WHERE from_id = (SELECT id FROM nodes WHERE name = ?) AND ${NOT_FRESH} LIMIT 1`,
  ),
  knownTarget: database.prepare<[string], { known: 1 }>(
    'SELECT 1 AS known FROM edges WHERE to_id = (SELECT id FROM nodes WHERE name = ?) LIMIT 1',
  ),
  waiting: database.prepare<[], Pick<FindingRow, 'kind' | 'from_name' | 'to_name' | 'chain' | 'evidence'>>(
    `SELECT kind, source.name AS from_name, target.name AS to_name, chain, evidence FROM findings
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id
      WHERE reported_ms IS NULL ORDER BY first_ms, findings.id`,
  ),
  readMemory: database.prepare<[string], { value: string }>(
    "SELECT value FROM state WHERE node = '' AND kind = 'memory' AND key = ?",
  ),
  forgetMemories: database.prepare<[]>('DELETE FROM state'),
  forgetPosted: database.prepare<[]>('DELETE FROM outbox'),
  countFindings: database.prepare<[], { count: number }>('SELECT count(*) AS count FROM findings'),
  trimFindings: database.prepare<[number]>(
    `DELETE FROM findings WHERE id IN
       (SELECT id FROM findings WHERE reported_ms IS NOT NULL ORDER BY last_ms, id LIMIT ?)`,
  ),
  forgetAllStates: database.prepare<[]>("DELETE FROM state WHERE kind <> 'memory'"),
  addFresh: database.prepare<[RowId, RowId, string, string]>(
    'INSERT INTO fresh (from_id, to_id, kind, tree) VALUES (?, ?, ?, ?)',
  ),
  removeFresh: database.prepare<[RowId, RowId, string]>(
    'DELETE FROM fresh WHERE from_id = ? AND to_id = ? AND kind = ?',
  ),
  countFresh: database.prepare<[], { count: number }>('SELECT count(*) AS count FROM fresh'),
  freshEdges: database.prepare<[], Edge>(
    `SELECT kind, source.name AS "from", target.name AS "to" FROM fresh
       JOIN nodes source ON source.id = from_id JOIN nodes target ON target.id = to_id`,
  ),
  clearFresh: database.prepare<[]>('DELETE FROM fresh'),
  doubtFresh: database.prepare<[]>(
    "UPDATE edges SET doubt = 'degraded' WHERE (from_id, to_id, kind) IN (SELECT from_id, to_id, kind FROM fresh)",
  ),
  suspectFresh: database.prepare<[]>(
    `UPDATE edges SET doubt = 'incident' WHERE (from_id, to_id, kind) IN
       (SELECT from_id, to_id, kind FROM fresh WHERE tree <> '' AND tree IN (SELECT tree FROM findings WHERE reported_ms IS NULL))`,
  ),
  deleteFreshEdges: database.prepare<[]>(
    'DELETE FROM edges WHERE (from_id, to_id, kind) IN (SELECT from_id, to_id, kind FROM fresh)',
  ),
  post: database.prepare<[string]>('INSERT INTO outbox (report) VALUES (?)'),
  posted: database.prepare<[], { id: number; report: string }>('SELECT id, report FROM outbox ORDER BY id'),
  delivered: database.prepare<[number]>('DELETE FROM outbox WHERE id <= ?'),
  patterns: database.prepare<[], PatternRow>('SELECT * FROM patterns ORDER BY id'),
  removePattern: database.prepare<[string, string, string]>(
    'DELETE FROM patterns WHERE process = ? AND action = ? AND path = ?',
  ),
  addPattern: database.prepare<Omit<StoredPattern, 'examples'> & { examples: string }>(
    `INSERT INTO patterns (process, action, path, printed, examples, learned_ms)
     VALUES (@process, @action, @path, @printed, @examples, @learnedMs) ON CONFLICT DO NOTHING`,
  ),
  readState: database.prepare<[string, string], { key: string; value: string }>(
    'SELECT key, value FROM state WHERE node = ? AND kind = ? ORDER BY key',
  ),
  otherNodes: database.prepare<[], { node: string }>("SELECT DISTINCT node FROM state WHERE node <> ''"),
  writeState: database.prepare<[string, string, string, string]>(
    `INSERT INTO state (node, kind, key, value) VALUES (?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET value = excluded.value`,
  ),
  removeState: database.prepare<[string, string, string]>(
    'DELETE FROM state WHERE node = ? AND kind = ? AND key = ?',
  ),
  forgetStates: database.prepare<[string]>('DELETE FROM state WHERE node = ?'),
  trainings: database.prepare<[], TrainingRow>('SELECT * FROM trainings ORDER BY id'),
  lastTraining: database.prepare<[], { id: number }>(
    'SELECT max(id) AS id FROM trainings WHERE finished = 0 HAVING max(id) IS NOT NULL',
  ),
  beginTraining: database.prepare<[number, number, number | null]>(
    'INSERT INTO trainings (from_ms, to_ms, planned_ms) VALUES (?, ?, ?)',
  ),
  extendTraining: database.prepare<[number, number, RowId]>(
    'UPDATE trainings SET to_ms = max(to_ms, ?), finished = ? WHERE id = ?',
  ),
  readCheckpoint: database.prepare<[string], CheckpointRow>('SELECT * FROM checkpoints WHERE log = ?'),
  writeCheckpoint: database.prepare<LogPosition & { log: string; finished: string; clockMs: number }>(
    `INSERT INTO checkpoints (log, path, inode, fingerprint, offset, finished, clock_ms)
     VALUES (@log, @path, @inode, @fingerprint, @offset, @finished, @clockMs)
     ON CONFLICT (log) DO UPDATE SET path = excluded.path, inode = excluded.inode,
       fingerprint = excluded.fingerprint, offset = excluded.offset, finished = excluded.finished, clock_ms = excluded.clock_ms`,
  ),
})
