import type { Activity, ProcessImage } from '../domain/activity.ts'
import type { Edge } from '../domain/edge.ts'
import { callerName, hostName, printable, processName } from './names.ts'

/** An edge as it was seen once: who stood at its beginning, for the chain of ancestors. */
export interface SeenEdge {
  readonly edge: Edge
  readonly source: ProcessImage
  /** The path of a file edge as it was, before any pattern. */
  readonly filePath: string | undefined
}

/** The edges of an activity. `from` is the process that acted, as it was when it did. */
export function edgesOf(activity: Activity, emit: (seen: SeenEdge) => void): void {
  const { actor } = activity
  switch (activity.kind) {
    case 'exec': {
      const edge = { from: processName(activity.before), to: processName(actor) }
      emit({ edge: { kind: 'exec', ...edge }, source: activity.before, filePath: undefined })
      if (activity.isFromMemory) {
        emit({ edge: { kind: 'memory-exec', ...edge }, source: activity.before, filePath: undefined })
      }
      return
    }
    case 'peer': {
      const to = activity.action === 'accept' ? callerName(activity.address) : hostName(activity.address)
      emit({
        edge: { kind: activity.action, from: processName(actor), to },
        source: actor,
        filePath: undefined,
      })
      return
    }
    case 'file': {
      const path = printable(activity.path)
      const to = fileName(activity.action, path)
      emit({ edge: { kind: activity.action, from: processName(actor), to }, source: actor, filePath: path })
      return
    }
    case 'privilege':
      emit({
        edge: { kind: 'privilege', from: processName(actor), to: processName(activity.became) },
        source: actor,
        filePath: undefined,
      })
      return
    case 'trace':
      emit({
        edge: { kind: 'trace', from: processName(actor), to: processName(activity.target) },
        source: actor,
        filePath: undefined,
      })
  }
}

export const fileName = (action: string, path: string): string => `file:${action}:${path}`
