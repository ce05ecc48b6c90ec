import type { Finding, Incident, Weight } from '../domain/report.ts'
import { adviceOf } from './advice.ts'
import { type Danger, dangersOf, type Normal } from './dangers.ts'
import { reasonsOfMarks, severityWithMarks } from './marks.ts'
import { type Habits, reasonsOf } from './reasons.ts'
import { scoreOf } from './score.ts'
import { severityOf } from './severity.ts'
import { gravestOf, titleOf } from './titles.ts'

/** What one tree of processes did in a window. */
export interface Deeds {
  readonly findings: readonly Finding[]
  readonly edges: number
  readonly count: number
  readonly firstMs: number
  readonly lastMs: number
  /** Bits of a step of a chain that was reported before, and is not known yet; 0 of any other. */
  readonly before: (from: string, to: string) => number
  /** Name of who started these processes and is not one of them; empty when that is init or not known. */
  readonly parent: string
  /** How many trees these were, when many that did nearly the same are told as one. */
  readonly trees: number
  /** The last incident of the same processes. */
  readonly goesOnFrom: number | undefined
  /** What these were reported for before. */
  readonly earlier: readonly Finding[]
}

/**
 * Makes an incident of findings that belong together.
 * @param id that it will have
 */
export function incidentOf(id: number, deeds: Deeds, normal: Normal & Habits): Incident {
  const { findings, edges, count, firstMs, lastMs, before, goesOnFrom } = deeds
  const { dangers, severity, score, weights } = judge(findings, before, normal, deeds.earlier)
  const story = { ...deeds, gravityOf: gravityIn(findings, dangers) }
  const gravest = gravestOf(story)
  const goesOn = goesOnFrom === undefined ? [] : [`goes on from incident ${goesOnFrom}`]
  return {
    kind: 'incident',
    id,
    firstMs,
    lastMs,
    severity,
    score,
    weights,
    title: titleOf(story),
    chain: gravest.chain,
    edges: findings.map(({ edge, evidence, ...rest }) => ({
      ...edge,
      count: evidence.count,
      ...rest,
      evidence,
    })),
    ...(findings.length < edges ? { unlisted: edges - findings.length } : {}),
    count,
    reasons: [...reasonsOfMarks(findings), ...reasonsOf(findings, dangers, normal), ...goesOn],
    next: adviceOf(id, gravest, dangers),
  }
}

/** What an incident matters by. */
interface Judgement extends Pick<Incident, 'severity' | 'score'> {
  readonly dangers: readonly Danger[]
  readonly weights: readonly Weight[]
}

/** How much findings that belong together matter, and what makes them dangerous. */
export function judge(
  findings: readonly Finding[],
  before: Deeds['before'],
  normal: Normal,
  earlier: readonly Finding[] = [],
): Judgement {
  const dangers = dangersOf(findings, normal, earlier)
  const score = scoreOf(
    findings,
    before,
    dangers.map(({ bits }) => bits),
  )
  const severity = severityWithMarks(severityOf(score), findings)
  const weights = [{ what: 'surprise', bits: score.surpriseBits }, ...weightsOf(dangers)]
  return { dangers, severity, score: score.surpriseBits + score.dangerBits, weights }
}

/** The heaviest danger counts whole, the next by half, and so on: see score.ts. */
const weightsOf = (dangers: readonly Danger[]): Weight[] =>
  dangers.map(({ shape, bits }, index) => ({ what: shape, bits: bits / 2 ** index }))

/** Bits of a finding and of the steps that led to it: their surprise, and each danger that any of them shows, once. */
function gravityIn(findings: readonly Finding[], dangers: readonly Danger[]): (finding: Finding) => number {
  const shown = new Map<Finding, Danger[]>(findings.map((finding) => [finding, []]))
  for (const danger of dangers) for (const finding of danger.findings) shown.get(finding)?.push(danger)
  const steps = new Map<string, Finding>()
  for (const finding of findings)
    if (finding.edge.kind === 'exec') steps.set(finding.chain.join(ARROW), finding)
  const gravities = new Map<Finding, number>()
  for (const finding of findings) {
    const path = [finding, ...stepsTo(finding, steps)]
    const all = new Set(path.flatMap((step) => shown.get(step) ?? []))
    const surprise = path.reduce((sum, { bits }) => sum + bits, 0)
    gravities.set(finding, surprise + [...all].reduce((sum, { bits }) => sum + bits, 0))
  }
  return (finding) => gravities.get(finding) ?? 0
}

/** Names hold no arrow. */
const ARROW = '->'

function stepsTo({ chain }: Finding, steps: ReadonlyMap<string, Finding>): Finding[] {
  const found: Finding[] = []
  for (let length = 2; length < chain.length; length++) {
    const step = steps.get(chain.slice(0, length).join(ARROW))
    if (step !== undefined) found.push(step)
  }
  return found
}
