import type { Ancestor } from '../domain/activity.ts'

/** A process that has been there for so long is not part of what began lately. */
const SETTLED_MS = 60_000
const INIT = 1

/**
 * Which processes belong together in a window: those that descend from one process which began lately, or whose program
 * nobody knows. A service that has been there for long has many children that have nothing to do with each other.
 *
 * @param node machine that the processes run on; empty for this host
 * @param lineage the process that acted, its parent, and so on
 * @param timeMs when it acted
 * @param isKnown whether the program of an ancestor is normal as one that does something
 * @returns a key: equal for processes that belong together, as long as no pid is used again
 */
export function treeOf(
  node: string,
  lineage: readonly Ancestor[],
  timeMs: number,
  isKnown: (ancestor: Ancestor) => boolean,
): string {
  let root = lineage[0]
  for (const ancestor of lineage.slice(1)) {
    const isSettled = timeMs - ancestor.sinceMs >= SETTLED_MS && isKnown(ancestor)
    if (isSettled || ancestor.pid <= INIT) break
    root = ancestor
  }
  return `${node} ${root?.pid ?? ''}`
}
