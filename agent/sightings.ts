import type { Baseline } from './baseline/baseline.ts'
import type { KnownEdge } from './baseline/edge-book.ts'
import { neverLearned, setsUserId } from './detect/never-learn.ts'
import type { Schedule } from './detect/schedule.ts'
import type { GuardedPlaces } from './detect/tamper.ts'
import { type Edge, prefixOf } from './domain/edge.ts'
import type { AuditEvent } from './domain/event.ts'
import type { EdgeMark, PatternLearned } from './domain/report.ts'
import type { Findings } from './findings.ts'
import type { SeenEdge } from './graph/edges.ts'
import { callName } from './interpret/calls.ts'
import type { Naming } from './naming.ts'
import type { RuleWatch, Standing } from './rule-watch.ts'
import type { TamperWatch } from './tamper-watch.ts'

/** Edges that need not be looked for again; all are forgotten together when there are more. */
const MOST_FOUND = 8192

/** What decides on an edge, and what hears of it. */
export interface SightingParts {
  readonly baseline: Baseline
  readonly schedule: Schedule
  readonly naming: Naming
  readonly findings: Findings
  readonly tamper: TamperWatch
  /** Undefined where there are no rules. */
  readonly rules: RuleWatch | undefined
  /** Of the agent itself, in a live agent. */
  readonly places: GuardedPlaces | undefined
  readonly post: (learned: PatternLearned) => void
}

/** What becomes of each edge that is seen: counted when it is known, learned in the training, found otherwise. */
export class Sightings {
  private readonly parts: SightingParts
  /** What the baseline has told of edges, as long as it is of this edition. */
  private readonly found = new Map<SeenEdge, KnownEdge>()
  private edition = 0

  constructor(parts: SightingParts) {
    this.parts = parts
  }

  take(seen: SeenEdge, event: AuditEvent): void {
    const { naming, rules } = this.parts
    const stampMs = this.stampOf(event)
    const standing = this.place(seen, event, stampMs)
    rules?.take(
      ...[seen, event, stampMs, standing],
      () => naming.deniedNameOf(seen, stampMs) ?? naming.nameOf(seen, stampMs, false),
    )
  }

  /** What is dated later than the time now has a stamp that was not believed. */
  stampOf({ id }: AuditEvent): number {
    return Math.min(id.timeMs, this.parts.schedule.nowMs ?? id.timeMs)
  }

  /** How an edge stands that is not to be learned. */
  standingOf(edge: Edge, timeMs: number): Standing {
    if (this.parts.schedule.isInTraining(timeMs)) return 'learning'
    const known = this.parts.baseline.edges.find(edge)
    return known === undefined ? 'unseen' : standingOfKnown(known)
  }

  private place(seen: SeenEdge, event: AuditEvent, stampMs: number): Standing {
    const { baseline, findings, naming, schedule, tamper } = this.parts
    if (this.edition !== this.newestEdition || this.found.size > MOST_FOUND) {
      this.edition = this.newestEdition
      this.found.clear()
      findings.forget()
    }
    findings.watch(seen, event, stampMs)
    const known = this.found.get(seen)
    if (known !== undefined && !isMarked(known, seen, event)) {
      baseline.edges.count(known, stampMs)
      return standingOfKnown(known)
    }
    const isLasting = naming.isLasting(seen)
    if (isLasting && !schedule.isInTraining(stampMs) && findings.countAgain(seen, stampMs)) {
      tamper.noteFile(seen, event)
      return 'unseen'
    }
    return this.meet(seen, event, stampMs)
  }

  /** Of what is known and how it is named. Both only grow. */
  private get newestEdition(): number {
    return this.parts.baseline.edges.edition + this.parts.naming.edition
  }

  /** Takes an edge that has not been met since the baseline changed. */
  private meet(seen: SeenEdge, event: AuditEvent, stampMs: number): Standing {
    const { baseline, findings, naming, places, schedule, tamper } = this.parts
    const isTraining = schedule.isInTraining(stampMs)
    const edge = naming.nameOf(seen, stampMs, isTraining)
    const isLasting = naming.isLasting(seen)
    const denied = naming.deniedNameOf(seen, stampMs)
    const known = denied !== undefined ? undefined : this.find(seen, edge, isTraining)
    if (known !== undefined && !isMarked(known, seen, event)) {
      if (known.isDormant && !isTraining) findings.take(seen, edge, event, stampMs, 'dormant')
      known.isDormant = false
      baseline.edges.count(known, stampMs)
      if (isLasting) this.found.set(seen, known)
      return standingOfKnown(known)
    }
    const mark = denied === undefined ? markOf(seen, edge, event, places) : 'denied'
    if (isTraining && mark === undefined) this.learn(seen, edge, event, stampMs)
    else if (!isTraining || !findings.countAgain(seen, stampMs)) {
      tamper.noteFile(seen, event)
      const isUpgrade = mark === 'tamper' && tamper.isUpgrade(seen, event)
      const told = mark === 'tamper' && tamper.isEdit(seen, event) ? 'edited' : mark
      findings.take(seen, denied ?? edge, event, stampMs, told, isUpgrade)
    }
    return isTraining ? 'learning' : 'unseen'
  }

  /** What is known of an edge. A file may have become normal before its name was known to change. */
  private find(seen: SeenEdge, edge: Edge, isTraining: boolean): KnownEdge | undefined {
    const { edges } = this.parts.baseline
    const isRenamed = edge !== seen.edge && seen.filePath !== undefined && !isTraining
    return (
      edges.find(edge) ??
      (isRenamed ? (edges.find(seen.edge) ?? this.findMade(edge)) : undefined) ??
      (isTraining ? undefined : this.findCreated(edge))
    )
  }

  /** Who creates a file opens it again some day, often after the training. */
  private findCreated({ kind, from, to }: Edge): KnownEdge | undefined {
    if (kind !== 'write') return undefined
    const created = prefixOf('create') + to.slice(prefixOf(kind).length)
    return this.parts.baseline.edges.find({ kind: 'create', from, to: created })
  }

  /** Who keeps making files under names that change removes them some day, often after the training. */
  private findMade({ kind, from, to }: Edge): KnownEdge | undefined {
    if (kind !== 'delete') return undefined
    const { edges } = this.parts.baseline
    const path = to.slice(prefixOf(kind).length)
    return (
      edges.find({ kind: 'create', from, to: prefixOf('create') + path }) ??
      edges.find({ kind: 'rename', from, to: prefixOf('rename') + path })
    )
  }

  /** Takes an edge into the baseline that is not in it. */
  private learn(seen: SeenEdge, edge: Edge, event: AuditEvent, stampMs: number): void {
    const { baseline, findings, naming, post, tamper } = this.parts
    tamper.noteFile(seen, event)
    baseline.edges.learn(edge, stampMs, findings.rehearse(seen, edge, event, stampMs))
    const learned = naming.learn(seen, edge, stampMs)
    if (learned !== undefined) post(learned)
    const isKept = naming.isLasting(seen) && this.edition === this.newestEdition
    const known = isKept ? baseline.edges.find(edge) : undefined
    if (known !== undefined) this.found.set(seen, known)
  }
}

const standingOfKnown = ({ isAccepted }: KnownEdge): Standing => (isAccepted ? 'accepted' : 'normal')

/** Whether a known edge is told of for what was done this time: its name does not say which rights a file got. */
const isMarked = ({ isAccepted }: KnownEdge, { edge, source }: SeenEdge, event: AuditEvent): boolean =>
  edge.kind === 'attribute' && !isAccepted && setsUserId({ edge, source, event, call: callOf(event) })

const markOf = (
  { edge, source, filePath }: SeenEdge,
  named: Edge,
  event: AuditEvent,
  places: GuardedPlaces | undefined,
): EdgeMark | undefined =>
  neverLearned({ edge, printed: named.to, source, filePath, event, call: callOf(event) }, places)

const callOf = ({ syscall }: AuditEvent): string =>
  syscall === undefined ? '' : callName(syscall.arch, syscall.syscall)
