import type { Finding, Incident } from '../domain/report.ts'
import { dangersOf, type Normal } from './dangers.ts'
import { scoreOf } from './score.ts'
import { severityOf } from './severity.ts'

/** What one tree of processes did in a window. */
export interface Deeds {
  readonly findings: readonly Finding[]
  readonly edges: number
  readonly count: number
  readonly firstMs: number
  readonly lastMs: number
  /** Bits of a step of a chain that was reported before, and is not known yet; 0 of any other. */
  readonly before: (from: string, to: string) => number
  /** The last incident of the same processes. */
  readonly goesOnFrom?: number | undefined
}

/** Makes an incident of findings that belong together; its id is given when it is stored. */
export function incidentOf(
  { findings, edges, count, firstMs, lastMs, before, goesOnFrom }: Deeds,
  normal: Normal,
): Omit<Incident, 'id'> {
  const dangers = dangersOf(findings, normal)
  const gravest = findings.reduce((one, other) => (other.bits > one.bits ? other : one))
  const weights = dangers.map(({ bits }) => bits)
  const score = scoreOf(findings, before, weights)
  return {
    kind: 'incident',
    firstMs,
    lastMs,
    severity: severityOf(score),
    score: score.surpriseBits + score.dangerBits,
    title: `${gravest.edge.kind} ${gravest.chain.join('->')}`,
    chain: gravest.chain,
    edges: findings.map(({ edge, evidence, ...rest }) => ({
      ...edge,
      count: evidence.count,
      ...rest,
      evidence,
    })),
    ...(findings.length < edges ? { unlisted: edges - findings.length } : {}),
    count,
    reasons: [
      ...dangers.map(({ reason }) => reason),
      ...(goesOnFrom === undefined ? [] : [`goes on from incident ${goesOnFrom}`]),
    ],
    next: [],
  }
}
