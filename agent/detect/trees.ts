import type { Ancestor, ProcessImage } from '../domain/activity.ts'
import { isKind } from './programs.ts'

/** A process that has been there for so long is not part of what began lately. */
const SETTLED_MS = 60_000
const INIT = 1

/** What is known of processes. */
export interface Acquaintance {
  /** Whether the program of an ancestor is normal as one that does something. */
  readonly isKnown: (ancestor: Ancestor) => boolean
  /** The tree that a process was found to be in before. */
  readonly treeOf: (member: string) => string | undefined
}

/** Processes that belong together. */
export interface Tree {
  /** Tells it from all others. */
  readonly key: string
  /**
   * Who answers for it: the process that has been there for long and started these, or did it all itself; undefined when
   * they were started by init, or nobody knows.
   */
  readonly parent: Ancestor | undefined
  /** Whether nobody knows who started them: a process forked them that has done nothing else. */
  readonly isOrphan: boolean
  /** Those of its processes that will still be in it when they have been there for long. */
  readonly members: readonly string[]
}

/**
 * Which processes belong together: those that descend from one process which began lately, or whose program nobody
 * knows, and all that was found to be in such a tree before, however long it lives on. A service that has been there for
 * long has many children that have nothing to do with each other; a shell has not, and neither has who only starts
 * another program, nor a process that was forked and is still what its parent is.
 *
 * @param node machine that the processes run on; empty for this host
 * @param lineage the process that acted, its parent, and so on; at least itself
 * @param timeMs when it acted
 */
export function treeOf(
  node: string,
  lineage: readonly [Ancestor, ...Ancestor[]],
  timeMs: number,
  { isKnown, treeOf: formerTreeOf }: Acquaintance,
): Tree {
  const [actor] = lineage
  let root = actor
  let parent: Ancestor | undefined
  let former: string | undefined
  let isOneProgram = true
  let service: Ancestor | undefined
  const members: string[] = []
  for (const ancestor of lineage) {
    if (ancestor !== actor && ancestor.pid <= INIT) break
    const member = memberKey(node, ancestor)
    const formerHere = formerTreeOf(member)
    const isSettled = timeMs - ancestor.sinceMs >= SETTLED_MS && isKnown(ancestor)
    isOneProgram &&= isSameProgram(ancestor.image, actor.image)
    if (isSettled && formerHere === undefined && !isOneProgram && !isPassing(ancestor)) {
      parent = ancestor
      break
    }
    former ??= formerHere
    if (!isSettled) members.push(member)
    else if (isOneProgram) service = ancestor
    root = ancestor
  }
  const key = memberKey(node, root)
  const isService = service === root && !isPassing(root)
  // Who stands below init is a service: its children will have nothing to do with how it was started.
  return {
    key: former ?? key,
    parent: isService ? root : parent,
    isOrphan: parent === undefined && former === undefined && !isService && root.ppid !== INIT,
    members: parent === undefined ? members.filter((member) => member !== key) : members,
  }
}

/** Tells a process from all others. */
export const memberKey = (node: string, { pid, bornMs }: Ancestor): string => `${node} ${pid}@${bornMs}`

/** Whether what a process starts is its own doing. */
function isPassing({ image }: Ancestor): boolean {
  const process = { ...image, script: image.script ?? '' }
  return isKind(process, 'shell') || isKind(process, 'wrapper') || isKind(process, 'switcher')
}

const isSameProgram = (one: ProcessImage, other: ProcessImage): boolean =>
  one === other || (one.exe === other.exe && one.script === other.script && one.user === other.user)
