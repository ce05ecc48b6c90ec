import { serviceAbove } from './detect/dangers.ts'
import type { Ancestor, Deed, ProcessImage } from './domain/activity.ts'
import type { Edge } from './domain/edge.ts'
import type { AuditEvent } from './domain/event.ts'
import type { Evidence, Severity } from './domain/report.ts'
import { evidenceOf, type Findings } from './findings.ts'
import type { SeenEdge } from './graph/edges.ts'
import { chainOf, printable, processName } from './graph/names.ts'
import { modeGivenBy } from './interpret/modes.ts'
import type { RaisedIncidents } from './raised.ts'
import type { CompiledRule, DeedKind, RuleBook, Sighting } from './rules/match.ts'
import type { Rule } from './rules/schema.ts'
import { signalName } from './rules/signals.ts'

/** <linux/audit.h>: login uid that was never set. */
const UNSET = 4_294_967_295

/**
 * What is known of an edge besides what it is. `accepted`: a person has said that it is normal. `learning`: a training goes
 * on.
 */
export type Standing = 'accepted' | 'normal' | 'learning' | 'unseen'

export interface RuleWatchParts {
  readonly book: RuleBook
  readonly findings: Findings
  readonly raised: RaisedIncidents
  readonly userName: (uid: number) => string | undefined
  /** How an edge that makes no sighting stands. */
  readonly standingOf: (edge: Edge, timeMs: number) => Standing
}

/** What a process does so soon after its start is what it was started for. */
const COMMAND_MS = 2000

/** The outermost of the processes that were started just now, one by the other; undefined when there is none. */
function commandOf(lineage: readonly Ancestor[], timeMs: number): string | undefined {
  const old = lineage.findIndex(({ bornMs }) => timeMs - bornMs > COMMAND_MS)
  const first = lineage.at(old === -1 ? lineage.length - 1 : old - 1)
  return old === 0 || first === undefined ? undefined : `${first.pid} ${first.bornMs}`
}

/** A rule may be about this; what takes time to find out is asked for only where one fires. */
interface Matter {
  readonly edge: () => Edge
  /** Whose doing it is. */
  readonly source: ProcessImage
  readonly event: AuditEvent
  /** Where it is not that of the event. */
  readonly pid: number | undefined
  readonly evidence: (edge: Edge) => Evidence
  readonly sighting: Sighting
  readonly timeMs: number
  readonly standing: Standing
  /** How a process ended, or became root; empty for all else. */
  readonly how: string
  /** Whether it is the end of a process, which no incident of a window tells. */
  readonly isEnd: boolean
}

/** Asks the rules of everything that is seen, and raises an incident at once where one fires. */
export class RuleWatch {
  private readonly parts: RuleWatchParts
  /** Seen edges are the same objects each time they are seen. */
  private readonly candidates = new WeakMap<SeenEdge, readonly CompiledRule[]>()

  constructor(parts: RuleWatchParts) {
    this.parts = parts
  }

  /**
   * Takes every edge, known or not; cheap for those that no rule is about.
   * @param nameOf under which it is known, reported and accepted
   */
  take(seen: SeenEdge, event: AuditEvent, timeMs: number, standing: Standing, nameOf: () => Edge): void {
    const candidates = this.candidatesFor(seen)
    if (candidates.length === 0) return
    const { source, peer } = seen
    const { syscall } = event
    this.judge(candidates, {
      ...{ source, event, timeMs, standing, how: '', isEnd: false, pid: undefined, edge: nameOf },
      evidence: (edge) => {
        const evidence = evidenceOf(event)
        return edge === seen.edge || peer === undefined ? evidence : { ...evidence, address: peer.address }
      },
      sighting: {
        ...{ argv: event.argv, auid: loginOf(syscall?.auid ?? UNSET), succeeded: true },
        mode: () => (syscall === undefined ? undefined : modeGivenBy(syscall)),
        ...{ how: undefined, status: undefined, signal: undefined, peer: () => nameOf().to },
        isOfService: () => this.isOfService(chainOf(source)),
      },
    })
  }

  /** Takes what makes no edge. */
  takeDeed(deed: Deed, timeMs: number): void {
    const { book, standingOf } = this.parts
    const { kind, edge, chain, source, sighting, how } = deedMatter(deed)
    const candidates = book.candidatesFor({ kind, chain, to: edge.to })
    if (candidates.length === 0) return
    const { event, pid, auid } = deed
    this.judge(candidates, {
      ...{ source, event, pid, timeMs, how, isEnd: kind === 'end', edge: () => edge },
      evidence: () => ({ ...evidenceOf(event), pid, auid: auid ?? UNSET }),
      // A process that ends was executed before, and that was normal or not.
      standing: kind === 'end' ? 'unseen' : standingOf(edge, timeMs),
      sighting: { ...sighting, isOfService: () => this.isOfService(chain) },
    })
  }

  private candidatesFor(seen: SeenEdge): readonly CompiledRule[] {
    const known = this.candidates.get(seen)
    if (known !== undefined) return known
    const { edge, source } = seen
    const found = this.parts.book.candidatesFor({
      kind: edge.kind,
      chain: () => chainOf(source),
      to: edge.to,
    })
    this.candidates.set(seen, found)
    return found
  }

  private judge(candidates: readonly CompiledRule[], matter: Matter): void {
    const { sighting, standing } = matter
    if (standing === 'accepted') return
    for (const candidate of candidates) {
      if (candidate.rule.novel && standing !== 'unseen') continue
      const severity = candidate.severityOf(sighting)
      if (severity !== undefined && !this.fire(candidate.rule, severity, matter)) return
    }
  }

  /** Whether others may fire, too: not when packages are the reason for it. */
  private fire(rule: Rule, severity: Severity, matter: Matter): boolean {
    const { findings, raised, userName } = this.parts
    const { source, event, pid, sighting, timeMs, how } = matter
    const edge = matter.edge()
    const lineage = findings.lineageOf(event, pid)
    if (findings.isUpkeep({ edge, source }, event, timeMs, lineage)) return false
    const { auid, succeeded } = sighting
    const hit = {
      ...{ rule, severity, edge, timeMs, how, succeeded },
      chain: chainOf(source),
      evidence: matter.evidence(edge),
      isUnseen: matter.standing === 'unseen' && !matter.isEnd,
      loginName: auid === undefined ? undefined : userName(auid),
    }
    raised.raise(hit, () => findings.treeOf(source, event, timeMs, lineage), commandOf(lineage, timeMs))
    return true
  }

  private isOfService(chain: readonly string[]): boolean {
    return (
      serviceAbove(chain, { isService: (process) => this.parts.findings.isService(process) }) !== undefined
    )
  }
}

const loginOf = (auid: number): number | undefined => (auid < 0 || auid === UNSET ? undefined : auid)

/** What rules ask of a deed. */
interface DeedMatter {
  readonly kind: DeedKind
  /** As a person can accept it. */
  readonly edge: Edge
  readonly chain: readonly string[]
  readonly source: ProcessImage
  readonly sighting: Omit<Sighting, 'isOfService'>
  readonly how: string
}

/** A deed as rules see it. */
export function deedMatter(deed: Deed): DeedMatter {
  const { actor, auid, event, kind } = deed
  const mode = (): undefined => undefined
  const sighting = { argv: event.argv, auid, mode, ...NO_END, how: undefined, succeeded: false }
  switch (kind) {
    case 'end': {
      const { status, signal } = deed
      const chain = chainOf(actor)
      const to = processName(actor)
      const edge: Edge = { kind: 'exec', from: chain.at(-2) ?? to, to }
      const how = signal === undefined ? `status ${status ?? '?'}` : signalName(signal)
      return {
        kind,
        edge,
        chain,
        source: actor,
        how,
        sighting: { ...sighting, status, signal, peer: () => to },
      }
    }
    case 'exec-failed': {
      const to = processName({ ...actor, exe: deed.path, script: undefined })
      const edge: Edge = { kind: 'exec', from: processName(actor), to }
      return {
        kind,
        edge,
        chain: chainOf(actor),
        source: actor,
        how: '',
        sighting: { ...sighting, peer: () => to },
      }
    }
    case 'escalation': {
      const { before, how, program, succeeded, claims } = deed
      const isExec = how === 'setuid-file' || how === 'switcher'
      const root = { ...actor, user: 'root', exe: program ?? actor.exe, script: undefined }
      const to = processName(isExec ? actor : root)
      const edge: Edge = { kind: isExec ? 'exec' : 'privilege', from: processName(before), to }
      const told = claims?.command === undefined ? how : `${how}, ${printable(claims.command)}`
      const more = { ...sighting, how, succeeded, peer: () => to }
      return { kind, edge, chain: chainOf(before), source: before, how: told, sighting: more }
    }
  }
}

const NO_END = { status: undefined, signal: undefined }
