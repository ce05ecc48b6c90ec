import { Baseline } from './baseline/baseline.ts'
import { type Decision, Decisions, type Refusal } from './baseline/decisions.ts'
import type { Edge } from './domain/edge.ts'
import { UsageError } from './domain/result.ts'
import { Naming } from './naming.ts'

/** What becomes normal of an incident. */
export interface RebasedIncident {
  readonly id: number
  readonly title: string
  readonly edges: readonly Edge[]
  readonly refused: readonly Refusal[]
}

export interface Rebased {
  readonly incidents: readonly RebasedIncident[]
  /** Regular expressions over printed edges that its files and hosts teach. */
  readonly patterns: readonly string[]
}

/** Ends a transaction of which nothing is to stay. */
class RolledBack extends Error {}

/**
 * Makes normal what incidents have shown, in one transaction with a row of the journal, also while the agent runs.
 *
 * @param ids of the incidents; without, all that nobody has decided on
 * @param isDry whether nothing of it is to stay: it is done, and rolled back
 * @throws UsageError when there is no such incident, somebody has decided on it, or the journal does not fit
 */
export function rebase(
  path: string,
  ids: readonly number[] | undefined,
  decision: Decision,
  isDry: boolean,
): Rebased {
  const titles = titlesOf(path, ids, decision.timeMs)
  const baseline = new Baseline(path)
  try {
    const { problem } = baseline.verify()
    if (problem !== undefined)
      throw new UsageError(`nothing is changed in ${path}, which fullmon verify refuses: ${problem.reason}`)
    return transact(baseline, isDry, () => {
      const naming = new Naming(baseline, false)
      const found = baseline.mergeIncidents([...titles.keys()], decision)
      const patterns = found
        .filter(({ why }) => why === undefined)
        .flatMap(({ edge }) => naming.learnNamed(edge, decision.timeMs)?.pattern ?? [])
      const incidents = [...titles].map(([id, title]): RebasedIncident => {
        const own = found.filter(({ incident }) => incident === id)
        return {
          id,
          title,
          edges: own.filter(({ why }) => why === undefined).map(({ edge }) => edge),
          refused: own.flatMap(({ edge, why }) => (why === undefined ? [] : { edge, why })),
        }
      })
      return { incidents, patterns }
    })
  } finally {
    baseline.close()
  }
}

function transact<T>(baseline: Baseline, isDry: boolean, work: () => T): T {
  if (!isDry) return baseline.batch(work)
  const kept: { result?: T } = {}
  try {
    baseline.batch(() => {
      kept.result = work()
      throw new RolledBack()
    })
  } catch (error) {
    if (!(error instanceof RolledBack)) throw error
  }
  return kept.result as T
}

/** Titles of the incidents that are meant, by their numbers. */
function titlesOf(
  path: string,
  ids: readonly number[] | undefined,
  nowMs: number,
): ReadonlyMap<number, string> {
  const decisions = new Decisions(path)
  try {
    const kept = ids?.map((id) => decisions.incident(id)) ?? decisions.waiting(nowMs)
    for (const { incident, state } of kept)
      if (state !== 'open' && state !== 'later')
        throw new UsageError(`incident ${incident.id} is decided on: it is ${state}`)
    return new Map(kept.map(({ incident }) => [incident.id, incident.title]))
  } finally {
    decisions.close()
  }
}
