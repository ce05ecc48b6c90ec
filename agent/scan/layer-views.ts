import { readFileSync, readlinkSync } from 'node:fs'
import { setImmediate as othersTurn } from 'node:timers/promises'
import type { FoundProcess } from '../domain/activity.ts'
import { type Mount, parseMounts } from './mounts.ts'

/** Processes that are asked before others get their turn. */
const AT_ONCE = 50

/** What must be known of the processes of this host. */
export type Seen = Pick<FoundProcess, 'pid' | 'container' | 'startMs'>

/** A way to see mounts: a name space, and a root in it. */
export interface View {
  readonly root: string
  readonly mounts: readonly Mount[]
  container: string
  startMs: number
  /**
   * Whether a process of the agent's own user name space is in it, whither nobody brings a mount name space but who is root:
   * what is mounted there was mounted by root.
   */
  isOfHost: boolean
  /** Users and groups of the host that its processes can be, of those who see it first. */
  readonly users: readonly IdRange[]
}

/** Users of this host who are somebody in a user name space. */
export interface IdRange {
  readonly first: number
  readonly count: number
}

/** All ways to see mounts that processes have. */
export async function viewsOf(processes: readonly Seen[]): Promise<View[]> {
  const views = new Map<string, View>()
  const ownUsers = readlinkSync('/proc/self/ns/user')
  for (const [index, { pid, container, startMs }] of processes.entries()) {
    if (index % AT_ONCE === AT_ONCE - 1) await othersTurn()
    const root = `/proc/${pid}/root`
    try {
      const id = `${readlinkSync(`/proc/${pid}/ns/mnt`)} ${readlinkSync(root)}`
      const known = views.get(id)
      const isOfHost = known?.isOfHost === true || readlinkSync(`/proc/${pid}/ns/user`) === ownUsers
      if (known === undefined) {
        const mounts = parseMounts(readFileSync(`/proc/${pid}/mountinfo`, 'latin1'))
        const users = idRanges(readFileSync(`/proc/${pid}/uid_map`, 'latin1'))
        views.set(id, { root, mounts, container, startMs, isOfHost, users })
        continue
      }
      known.isOfHost = isOfHost
      // Who enters the name space of a container need not be in its cgroup.
      if (known.container === '') known.container = container
      known.startMs = Math.min(known.startMs, startMs)
    } catch {
      // It has ended.
    }
  }
  return [...views.values()]
}

export const isAmong = (uid: number, users: readonly IdRange[]): boolean =>
  users.some(({ first, count }) => uid >= first && uid < first + count)

/** user_namespaces(7): who reads it is told the ids of his own name space. */
const idRanges = (text: string): IdRange[] =>
  text.split('\n').flatMap((line) => {
    const [, first, count] = line.trim().split(/\s+/).map(Number)
    return first === undefined || count === undefined ? [] : { first, count }
  })
