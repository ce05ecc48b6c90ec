import { Baseline } from './baseline/baseline.ts'
import { type Decision, Decisions, type KeptIncident, type Refusal } from './baseline/decisions.ts'
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

/** An incident that is taken only when it is named. */
export interface LeftOut {
  readonly id: number
  readonly title: string
  readonly why: 'high' | 'critical' | 'withheld'
}

export interface Rebased {
  readonly incidents: readonly RebasedIncident[]
  /** Regular expressions over printed edges that its files and hosts teach. */
  readonly patterns: readonly string[]
  readonly left: readonly LeftOut[]
  /** Alerts that are reset with them. */
  readonly alerts: readonly number[]
}

/** Ends a transaction of which nothing is to stay. */
class RolledBack extends Error {}

/**
 * Makes normal what incidents have shown, in one transaction with a row of the journal, also while the agent runs.
 *
 * @param ids of the incidents; without, all that nobody has decided on, but none that is high, critical or withheld
 * @param isDry whether nothing of it is to stay: it is done, and rolled back
 * @throws UsageError when there is no such incident, somebody has decided on it, or the journal does not fit
 */
export function rebase(
  path: string,
  ids: readonly number[] | undefined,
  decision: Decision,
  isDry: boolean,
): Rebased {
  const { titles, left } = chosenOf(path, ids, decision.timeMs)
  const baseline = new Baseline(path)
  try {
    const { problem } = baseline.verify()
    if (problem !== undefined)
      throw new UsageError(`nothing is changed in ${path}, which fullmon verify refuses: ${problem.reason}`)
    return transact(baseline, isDry, () => {
      const naming = new Naming(baseline, false)
      const { found, alerts } = baseline.rebase.mergeIncidents([...titles.keys()], decision)
      const patterns = found
        .filter(({ why }) => why === undefined)
        .flatMap(({ edge }) => naming.learnNamed(edge, decision.timeMs, decision)?.pattern ?? [])
      const incidents = [...titles].map(([id, title]): RebasedIncident => {
        const own = found.filter(({ incident }) => incident === id)
        return {
          id,
          title,
          edges: own.filter(({ why }) => why === undefined).map(({ edge }) => edge),
          refused: own.flatMap(({ edge, why }) => (why === undefined ? [] : { edge, why })),
        }
      })
      return { incidents, patterns, left, alerts }
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

/** Titles of the incidents that are meant, by their numbers, and those that would have to be named. */
function chosenOf(
  path: string,
  ids: readonly number[] | undefined,
  nowMs: number,
): { readonly titles: ReadonlyMap<number, string>; readonly left: readonly LeftOut[] } {
  const decisions = new Decisions(path)
  try {
    const kept = ids?.map((id) => decisions.incident(id)) ?? decisions.waiting(nowMs)
    const titles = new Map<number, string>()
    const left: LeftOut[] = []
    for (const each of kept) {
      const { id, title } = each.incident
      if (each.state !== 'open' && each.state !== 'later')
        throw new UsageError(`incident ${id} is decided on: it is ${each.state}`)
      const why = ids === undefined ? whyToBeNamed(each) : undefined
      if (why === undefined) titles.set(id, title)
      else left.push({ id, title, why })
    }
    return { titles, left }
  } finally {
    decisions.close()
  }
}

/** What is dangerous, or was never shown, does not become normal among others. */
function whyToBeNamed({ incident: { severity }, isWithheld }: KeptIncident): LeftOut['why'] | undefined {
  if (severity === 'high' || severity === 'critical') return severity
  return isWithheld ? 'withheld' : undefined
}
