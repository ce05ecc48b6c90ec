import type { Edge } from '../domain/edge.ts'
import type { Evidence, Incident, Severity } from '../domain/report.ts'
import type { Rule } from './schema.ts'
import { tell, tellCommand } from './sentence.ts'

/** A rule that fired. */
export interface Hit {
  readonly rule: Rule
  readonly severity: Severity
  /** From the oldest ancestor known to the process that did it. */
  readonly chain: readonly string[]
  /** As it is accepted, when that is what a person wants. */
  readonly edge: Edge
  readonly evidence: Evidence
  readonly timeMs: number
  readonly succeeded: boolean
  /** How a process ended, or became root; empty for all else. */
  readonly how: string
  /** Name of the user who had logged in; undefined when nobody knows it. */
  readonly loginName: string | undefined
  /** Whether the incident of the window will tell of it. */
  readonly isUnseen: boolean
}

/** In bits, so that incidents of rules stand among those of unseen edges by how grave they are: see docs/detection.md. */
const SCORES: Readonly<Record<Severity, number>> = { low: 4, medium: 8, high: 16, critical: 24 }
const NOBODY = 0xffffffff

/**
 * The incident of a rule that fired.
 * @param id that it will have
 */
export function ruleIncidentOf(id: number, hit: Hit): Incident {
  const { rule, severity, edge, evidence, timeMs, how, succeeded } = hit
  const told = { chain: hit.chain, to: edge.to, pid: evidence.pid, how }
  const chain = [...hit.chain, edge.to]
  const score = SCORES[severity]
  const times = { firstMs: timeMs, lastMs: timeMs, count: 1 }
  return {
    ...{ kind: 'incident', id, rule: rule.id, severity, score, chain, ...times },
    weights: [{ what: `rule ${rule.id}`, bits: score }],
    title: `${tell(rule.title, told)}${succeeded || rule.type === 'termination-failure' ? '' : ' (it failed)'}`,
    edges: [{ ...edge, ...times, chain, bits: score, evidence }],
    reasons: [tell(rule.reason, told), whoDidIt(hit)],
    next: [
      `ausearch --event ${evidence.serial}`,
      ...rule.next.flatMap((step) => tellCommand(step, told) ?? []),
      `fullmon explain ${id}`,
      `fullmon accept ${id} (when it was meant to be), or rules.disabled: [${rule.id}]`,
    ],
  }
}

/** The user that a process runs as may be anybody's; who logged in stays the same. */
function whoDidIt({ evidence, loginName }: Hit): string {
  const { auid, pid, ppid } = evidence
  const process = `process ${pid}, child of ${ppid}`
  if (auid < 0 || auid === NOBODY) return `done by ${process}; no login led to it`
  const name = loginName === undefined ? '' : `${loginName}, `
  return `done by ${process}; it goes back to a login of ${name}uid ${auid}`
}
