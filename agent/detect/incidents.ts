import type { Finding, Incident } from '../domain/report.ts'

/** What one tree of processes did in a window. */
export interface Deeds {
  readonly findings: readonly Finding[]
  readonly edges: number
  readonly count: number
  readonly firstMs: number
  readonly lastMs: number
}

/** Makes an incident of findings that belong together; its id is given when it is stored. */
export function incidentOf({ findings, edges, count, firstMs, lastMs }: Deeds): Omit<Incident, 'id'> {
  const gravest = findings.reduce((one, other) => (other.bits > one.bits ? other : one))
  return {
    kind: 'incident',
    firstMs,
    lastMs,
    severity: 'medium',
    score: findings.reduce((sum, { bits }) => sum + bits, 0),
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
    reasons: [],
    next: [],
  }
}
