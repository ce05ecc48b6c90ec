import { Baseline } from './baseline/baseline.ts'
import { type Decision, Decisions, type Outcome } from './baseline/decisions.ts'
import type { Edge } from './domain/edge.ts'
import { UsageError } from './domain/result.ts'
import { namesAllowedBy } from './graph/allowed.ts'
import { Naming, type Proposal } from './naming.ts'

/** An edge of an incident, and what would be normal with it. */
export interface Generalisation {
  readonly edge: Edge
  /** Stands for all of them. */
  readonly general: Edge
  /** Names of files that it would allow besides. */
  readonly allows: readonly string[]
}

const EXAMPLES = 5

/**
 * What an edge of an incident becomes when all that may change in the name of its file does.
 * @throws UsageError when there is no such edge, or nothing may change in its name
 */
export function generalisationOf(path: string, id: number, number: number): Generalisation {
  const decisions = new Decisions(path)
  const { incident } = decisions.incident(id)
  decisions.close()
  const found = incident.edges[number - 1]
  if (found === undefined)
    throw new UsageError(`incident ${id} lists ${incident.edges.length} edges: there is no edge ${number}`)
  const { kind, from, to } = found
  const edge = { kind, from, to }
  const { edge: general, expression } = withNaming(path, (naming) => proposalOf(naming, edge))
  return { edge, general, allows: namesAllowedBy(expression, EXAMPLES) }
}

/**
 * Does so: the pattern is stored and its edge accepted, both or neither.
 * @throws UsageError when the edge stands for no others, or there are too many patterns for its directory
 */
export function generalise(
  path: string,
  id: number,
  number: number,
  general: Edge,
  decision: Decision,
): Outcome {
  const baseline = new Baseline(path)
  try {
    return baseline.batch(() => {
      const outcome = baseline.decisions.generalise(id, decision, number, general)
      new Naming(baseline, false).learnNamed(general, decision.timeMs, decision)
      const { from, kind, to } = general
      const isStored = baseline.patterns
        .ofNames()
        .some(
          ({ process, action, path: expression }) =>
            process === from && action === kind && to.endsWith(`:${expression}`),
        )
      if (!isStored) throw new UsageError(`nothing was changed: there are too many patterns beside ${to}`)
      return outcome
    })
  } finally {
    baseline.close()
  }
}

function proposalOf(naming: Naming, edge: Edge): Proposal {
  const proposal = naming.propose(edge)
  if (proposal === undefined)
    throw new UsageError(
      `${edge.to} stands for no others: nothing in it is volatile, or it must keep its own name; fullmon accept takes it as it is`,
    )
  return proposal
}

function withNaming<T>(path: string, work: (naming: Naming) => T): T {
  const baseline = new Baseline(path)
  try {
    return work(new Naming(baseline, false))
  } finally {
    baseline.close()
  }
}
