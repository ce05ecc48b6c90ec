import { Core } from '../../agent/core.ts'
import { NO_WORLD, type World } from '../../agent/domain/activity.ts'
import type { Edge } from '../../agent/domain/edge.ts'
import type { AuditEvent } from '../../agent/domain/event.ts'
import type { SeenEdge } from '../../agent/graph/edges.ts'

export const printed = ({ kind, from, to }: Edge): string => `${kind} ${from}->${to}`

export interface CoreResult {
  readonly edges: readonly Edge[]
  readonly seen: readonly SeenEdge[]
  readonly events: readonly AuditEvent[]
  readonly core: Core
}

/** Everything the core makes of a log, in one push or in the given pieces. */
export function runCore(log: Buffer | string | readonly Buffer[], world: World = NO_WORLD): CoreResult {
  const seen: SeenEdge[] = []
  const events: AuditEvent[] = []
  const core = new Core(world, {
    onEvent: (event) => void events.push(event),
    onEdge: (each) => void seen.push(each),
  })
  const pieces = typeof log === 'string' ? [Buffer.from(log, 'latin1')] : Buffer.isBuffer(log) ? [log] : log
  for (const piece of pieces) core.push(piece)
  core.end()
  return { edges: seen.map(({ edge }) => edge), seen, events, core }
}

/** Distinct edges as text. */
export const edgeTexts = (edges: readonly Edge[]): string[] => [...new Set(edges.map(printed))].sort()
