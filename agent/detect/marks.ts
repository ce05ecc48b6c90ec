import type { EdgeMark, Finding, Severity } from '../domain/report.ts'

/** These make nothing bad. */
const HARMLESS: ReadonlySet<EdgeMark | undefined> = new Set([undefined, 'dormant', 'edited'])

/** Severity of what has marked findings in it, which without them would be `severity`. */
export function severityWithMarks(severity: Severity, findings: readonly Finding[]): Severity {
  if (findings.every(({ mark }) => mark === 'dormant')) return 'low'
  const isBad = findings.some(({ mark }) => !HARMLESS.has(mark))
  return isBad && severity !== 'critical' ? 'high' : severity
}

const REASONS: Readonly<Partial<Record<EdgeMark, string>>> = {
  denied: 'was denied: a person said that it is never normal',
  dormant: 'is normal, and was not seen for long',
  edited: 'is of the configuration of fullmon, which a person edited',
  tamper: 'is of what records and guards this host',
}

/** What the marks say, each edge once; of shapes that are dangerous see dangers.ts. */
export function reasonsOfMarks(findings: readonly Finding[]): readonly string[] {
  const reasons = findings.flatMap(({ edge, mark }) => {
    const reason = mark === undefined ? undefined : REASONS[mark]
    return reason === undefined ? [] : `${edge.kind} ${edge.from}->${edge.to} ${reason}`
  })
  return [...new Set(reasons)]
}
